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
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor, Tracer
from opentelemetry.sdk.trace import TracerProvider as SDKTracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import NonRecordingSpan, Span, get_current_span

from throughline_tracing import _exit
from throughline_tracing._backend import GRPC, Backend
from throughline_tracing._batch import BatchProcessor
from throughline_tracing._config import Settings
from throughline_tracing._propagators import read_propagators, set_global_propagator
from throughline_tracing._sampling import sampler_of
from throughline_tracing._suppression import is_suppressed
from throughline_tracing.exceptions import ConfigurationError

FLUSH_TIMEOUT: Final = 5.0

_logger = logging.getLogger("throughline_tracing")
_configured: OTLPProvider | None = None


class OTLPProvider:
    """A tracer provider that exports spans by OTLP.

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
        settings = Settings.read(exporter_endpoint)
        backends = () if settings.disabled else settings.backends
        exporters = _exporter_makers(backends, settings)
        self.flush_timeout = flush_timeout
        self._queues = [
            BatchProcessor(
                backend.endpoint,
                make,
                schedule_delay=settings.schedule_delay,
                max_queue_size=settings.max_queue_size,
                max_export_batch_size=settings.max_export_batch_size,
                quiet_fork=backend.protocol == GRPC,
            )
            for backend, make in zip(backends, exporters, strict=True)
        ]
        self._provider = TracerProvider(
            resource=_resource(service_name, resource_attributes or {}),
            sampler=sampler or sampler_of(),
            active_span_processor=_Processors(flush_timeout),
            shutdown_on_exit=False,
        )
        for one in self._queues:
            self._provider.add_span_processor(one)
        if settings.console and not settings.disabled:
            self._provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
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
    and the propagators of ``OTEL_PROPAGATORS``. A second call changes nothing and
    returns what the first one made.

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
        propagator = read_propagators()
    except ConfigurationError as error:
        faults += error.faults
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
    if provider is None or propagator is None:
        if provider is not None:
            provider.shutdown()
        raise ConfigurationError(faults)
    trace.set_tracer_provider(provider.provider)
    set_global_propagator(propagator)
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


def _resource(service_name: str, attributes: Mapping[str, Any]) -> Resource:
    """Put what the environment says over what the code says: it is nearer to the deployment."""
    of_code = Resource.create({**attributes, SERVICE_NAME: service_name})
    return of_code.merge(OTELResourceDetector().detect())


def _exporter_makers(
    backends: Iterable[Backend], settings: Settings
) -> list[Callable[[], SpanExporter]]:
    """Import what each backend needs here and now; an import in a thread may meet a fork.

    Raises:
        ConfigurationError: An exporter package is not installed.
    """
    # The specification takes an empty variable for one that is not set; the exporters do not.
    for name, value in os.environ.copy().items():
        if name.startswith("OTEL_EXPORTER_OTLP_") and not value.strip():
            del os.environ[name]
    makers: list[Callable[[], SpanExporter]] = []
    for backend in backends:
        try:
            makers.append(
                _grpc_exporter(backend, settings)
                if backend.protocol == GRPC
                else _http_exporter(backend, settings)
            )
        except ImportError as error:
            extra = "grpc" if backend.protocol == GRPC else "otlp"
            fault = (
                f"tracing backend {backend.endpoint!r}: {error.name} is not installed; "
                f"it comes with throughline-tracing[{extra}]"
            )
            raise ConfigurationError([fault]) from error
    return makers


def _grpc_exporter(backend: Backend, settings: Settings) -> Callable[[], SpanExporter]:
    # Without it a child forked after the parent's first call can never use gRPC. It is read
    # when grpc is imported.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def make() -> SpanExporter:
        return OTLPSpanExporter(
            endpoint=f"{'http' if backend.insecure else 'https'}://{backend.endpoint}",
            insecure=backend.insecure,
            headers=dict(backend.headers),
            timeout=settings.timeout,
            compression=Compression.Gzip
            if settings.compression == "gzip"
            else Compression.NoCompression,
        )

    return make


def _http_exporter(backend: Backend, settings: Settings) -> Callable[[], SpanExporter]:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from requests import Session

    class CertifiedSession(Session):
        """Trusts the certificate of OTEL_EXPORTER_OTLP_CERTIFICATE over REQUESTS_CA_BUNDLE."""

        def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:
            return {
                **super().merge_environment_settings(*args, **kwargs),
                "verify": settings.certificate,
            }

    def make() -> SpanExporter:
        return OTLPSpanExporter(
            endpoint=backend.endpoint,
            headers=dict(backend.headers),
            timeout=settings.timeout,
            compression=Compression(settings.compression),
            session=CertifiedSession() if settings.certificate else None,
        )

    return make


def _millis(seconds: float | None, default: float) -> int:
    return int((default if seconds is None else seconds) * 1000)
