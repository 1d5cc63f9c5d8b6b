"""The tracer provider of a service, made from its name and its environment.

`OTLPProvider` makes a provider that exports to one or several backends;
`configure` makes one and installs it, with the propagators, for the whole
process.

Guarantees: a backend that is slow or gone never slows or fails the service;
what it did not get is counted and reported with back-off. Spans that have ended
are exported, within `flush_timeout`, when the process exits, when SIGTERM ends
it, and when a forked child ends by `os._exit`. Nothing is connected before the
first span ends, so a process may configure first and fork after.

Does not wait for spans that have not ended, and cannot act on SIGKILL.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor, Tracer
from opentelemetry.sdk.trace import TracerProvider as SDKTracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import NonRecordingSpan, Span, get_current_span

from throughline_tracing import _exit
from throughline_tracing._backend import GRPC, Backend
from throughline_tracing._batch import BatchProcessor
from throughline_tracing._config import BACKEND_URL, CONFIG_FILE, Settings
from throughline_tracing._config_file import ConfigFile
from throughline_tracing._exporters import exporter_maker
from throughline_tracing._propagators import read_propagators, set_global_propagator
from throughline_tracing._sampling import sampler_of
from throughline_tracing._suppression import is_suppressed
from throughline_tracing.exceptions import ConfigurationError

FLUSH_TIMEOUT: Final = 5.0

_logger = logging.getLogger("throughline_tracing")
_configured: OTLPProvider | None = None


class OTLPProvider:
    """A tracer provider that exports spans by OTLP.

    Where ``OTEL_CONFIG_FILE`` is set, that file decides alone, and every argument but
    `flush_timeout` is ignored.

    Args:
        service_name: The ``service.name`` of every span, unless ``OTEL_SERVICE_NAME``
            or ``OTEL_RESOURCE_ATTRIBUTES`` says otherwise.
        exporter_endpoint: Where spans go: ``host:port``, a URL, several with commas
            between, or a sequence that may hold `Backend` values with headers of
            their own. None or blank: ``TRACING_BACKEND_URL``, else the standard
            ``OTEL_EXPORTER_OTLP_*`` variables. Each backend has its own queue.
        resource_attributes: Further attributes of the resource.
        sampler: Wins over ``OTEL_TRACES_SAMPLER``.
        flush_timeout: Seconds that exit and SIGTERM wait for the last spans at most.

    Raises:
        ConfigurationError: With one sentence for each setting that is refused.

    Example:
        >>> from opentelemetry import trace
        >>> provider = OTLPProvider("suggestions-service", "localhost:4317")
        >>> trace.set_tracer_provider(provider.provider)  # doctest: +SKIP
        >>> provider.shutdown()
        True
    """

    def __init__(
        self,
        service_name: str,
        exporter_endpoint: str | Iterable[str | Backend] | None = None,
        *,
        resource_attributes: Mapping[str, str | bool | int | float] | None = None,
        sampler: Sampler | None = None,
        flush_timeout: float = FLUSH_TIMEOUT,
    ) -> None:
        self.flush_timeout = flush_timeout
        file = ConfigFile.from_environment()
        if file is not None:
            if exporter_endpoint or os.environ.get(BACKEND_URL, "").strip():
                _logger.warning("%s is ignored, because %s is set", BACKEND_URL, CONFIG_FILE)
            arguments, disabled = file.provider_arguments(), file.disabled
            processors = file.processors()
        else:
            settings = Settings.read(exporter_endpoint)
            disabled = settings.disabled
            arguments = {
                "resource": _resource(service_name, resource_attributes or {}),
                "sampler": sampler or sampler_of(),
            }
            processors = [] if disabled else _processors(settings)
        self._config_file = file
        self._queues = [one for one in processors if isinstance(one, BatchProcessor)]
        self._provider = TracerProvider(
            **arguments,
            active_span_processor=_Processors(flush_timeout),
            shutdown_on_exit=False,
        )
        # The SDK asks the environment, which a file overrules.
        self._provider._disabled = disabled
        for one in processors:
            self._provider.add_span_processor(one)
        _exit.register(self)

    @property
    def provider(self) -> SDKTracerProvider:
        """The OpenTelemetry provider, for `opentelemetry.trace.set_tracer_provider`."""
        return self._provider

    @property
    def dropped_spans(self) -> int:
        """Spans this process could not deliver, over all backends."""
        return sum(one.report.dropped for one in self._queues)

    @property
    def exported_spans(self) -> int:
        """Spans this process delivered, over all backends."""
        return sum(one.report.exported for one in self._queues)

    def force_flush(self, timeout: float | None = None) -> bool:
        """Export what has ended, waiting `timeout` seconds (`flush_timeout`) at most.

        Returns:
            False if the time was not enough for every backend.
        """
        return self._provider.force_flush(_millis(timeout, self.flush_timeout))

    def shutdown(self, timeout: float | None = None) -> bool:
        """Export what has ended and stop; later spans are dropped.

        Returns:
            True if nothing was dropped, in this process, from its start.
        """
        processors = self._provider._active_span_processor
        if isinstance(processors, _Processors):
            processors.timeout = self.flush_timeout if timeout is None else timeout
        self._provider.shutdown()
        _exit.unregister(self)
        return self.dropped_spans == 0

    def start_afresh(self) -> None:
        """Make this provider the own one of a child that was not forked by `os.fork`."""
        for one in self._queues:
            one.after_fork_in_child()
        handle = getattr(self._provider, "_handle_fork", None)
        if handle is not None:
            handle()


def configure(
    service_name: str | None = None,
    backend_url: str | Iterable[str | Backend] | None = None,
    *,
    resource_attributes: Mapping[str, str | bool | int | float] | None = None,
    sampler: Sampler | None = None,
    flush_timeout: float = FLUSH_TIMEOUT,
) -> OTLPProvider:
    """Set up tracing for this process from its environment; call it once, early.

    Reads every standard ``OTEL_*`` variable for traces, and ``TRACING_BACKEND_URL``
    over them; arguments are those of `OTLPProvider`. Installs the tracer provider
    and the propagators of ``OTEL_PROPAGATORS``. A file of ``OTEL_CONFIG_FILE`` takes
    the place of all that; its meter and logger providers are installed too. A second
    call changes nothing and returns what the first one made.

    Raises:
        ConfigurationError: With one sentence for each setting that is refused.
    """
    global _configured  # noqa: PLW0603
    if _configured is not None:
        _logger.warning("configure was called again; the first call holds")
        return _configured
    faults: list[str] = []
    propagator = provider = None
    try:
        provider = OTLPProvider(
            service_name or "unknown_service",
            backend_url,
            resource_attributes=resource_attributes,
            sampler=sampler,
            flush_timeout=flush_timeout,
        )
    except ConfigurationError as error:
        faults += error.faults
    file = None if provider is None else provider._config_file
    try:
        propagator = read_propagators() if file is None else file.propagator()
    except ConfigurationError as error:
        faults += error.faults
    if provider is None or propagator is None:
        if provider is not None:
            provider.shutdown()
        raise ConfigurationError(faults)
    trace.set_tracer_provider(provider.provider)
    set_global_propagator(propagator)
    if file is not None:
        file.install_others()
    _configured = provider
    return provider


class TracerProvider(SDKTracerProvider):
    """The SDK's provider, with tracers that record nothing where tracing is suppressed."""

    honours_suppression: Final = True

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """Return the SDK's tracer for this scope."""
        tracer = super().get_tracer(*args, **kwargs)
        if type(tracer) is Tracer:
            tracer.__class__ = _Tracer
        return tracer


class _Tracer(Tracer):
    """Hands out the span that is current where `suppress` is in force.

    So the official instrumentations record nothing there and still send the
    incoming trace context on.
    """

    @property
    def unsuppressed(self) -> SimpleNamespace:
        """What `Trace` calls, having asked about suppression itself."""
        return SimpleNamespace(start_span=super().start_span)

    def start_span(
        self, name: str, context: Context | None = None, *args: Any, **kwargs: Any
    ) -> Span:
        if is_suppressed(context):
            return NonRecordingSpan(get_current_span(context).get_span_context())
        return super().start_span(name, context, *args, **kwargs)


class _Processors(SynchronousMultiSpanProcessor):
    """Flushes and stops its processors side by side, within one timeout for all."""

    def __init__(self, timeout: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.timeout = timeout

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        deadline = time.monotonic() + timeout_millis / 1000
        pending = [p.begin_flush() for p in self._queues()]
        flushed = [done.wait(max(0.0, deadline - time.monotonic())) for done in pending]
        for processor in self._span_processors:
            if not isinstance(processor, BatchProcessor):
                left = max(0.0, deadline - time.monotonic())
                flushed.append(processor.force_flush(int(left * 1000)))
        return all(flushed)

    def shutdown(self) -> None:
        deadline = time.monotonic() + self.timeout
        for queue in self._queues():
            queue.begin_flush()
        for processor in self._span_processors:
            if isinstance(processor, BatchProcessor):
                processor.shutdown(int(max(0.0, deadline - time.monotonic()) * 1000))
            else:
                processor.shutdown()

    def _queues(self) -> list[BatchProcessor]:
        return [p for p in self._span_processors if isinstance(p, BatchProcessor)]


def _processors(settings: Settings) -> list[SpanProcessor]:
    processors: list[SpanProcessor] = [
        BatchProcessor(
            backend.endpoint,
            exporter_maker(backend, settings),
            settings,
            quiet_fork=backend.protocol == GRPC,
        )
        for backend in settings.backends
    ]
    if settings.console:
        processors.append(SimpleSpanProcessor(ConsoleSpanExporter()))
    return processors


def _resource(service_name: str, attributes: Mapping[str, Any]) -> Resource:
    """Put what the environment says over what the code says: it is nearer to the deployment."""
    of_code = Resource.create({**attributes, SERVICE_NAME: service_name})
    return of_code.merge(OTELResourceDetector().detect())


def _millis(seconds: float | None, default: float) -> int:
    return int((default if seconds is None else seconds) * 1000)
