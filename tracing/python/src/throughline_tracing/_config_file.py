"""The file of ``OTEL_CONFIG_FILE``: OpenTelemetry's declarative configuration.

Where the variable is set the file decides alone: other ``OTEL_*`` variables and
``TRACING_BACKEND_URL`` hold only where the file refers to them by ``${NAME}``.

Reading, checking against the schema, sampler, limits and resource are those of
the package `opentelemetry.configuration`. The rest is ours: OTLP exporters get
the queues that survive forks, end within a bound and count what they drop, and
``tracecontext`` is the strict propagator. Meters and loggers are installed by
that package as it does by itself.

Source: OpenTelemetry specification, "Declarative configuration".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from throughline_tracing._backend import (
    GRPC,
    HTTP,
    JSON,
    TRACES_PATH,
    Backend,
    Protocol,
    parse_headers,
)
from throughline_tracing._batch import BatchProcessor
from throughline_tracing._config import CONFIG_FILE, Settings
from throughline_tracing._exporters import exporter_maker
from throughline_tracing._propagators import propagators_of
from throughline_tracing.exceptions import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.configuration import OpenTelemetryConfiguration

_PROPAGATORS: Final = ("tracecontext", "baggage", "b3", "b3multi")


class ConfigFile:
    """A configuration file, read and checked.

    Raises:
        ConfigurationError: It is not there, is no YAML, or does not keep to the schema;
            or the package that reads it is not installed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with self._faults():
            from opentelemetry.configuration import load_config_file

            self._model: OpenTelemetryConfiguration = load_config_file(path)

    @classmethod
    def from_environment(cls) -> ConfigFile | None:
        """Read the file that the environment names; None if it names none."""
        path = os.environ.get(CONFIG_FILE, "").strip()
        return cls(path) if path else None

    @property
    def disabled(self) -> bool:
        """Whether the file asks for no spans."""
        return bool(self._model.disabled) or self._model.tracer_provider is None

    def provider_arguments(self) -> dict[str, Any]:
        """Return the arguments of the SDK's provider: resource, sampler, limits and ids."""
        with self._faults():
            from opentelemetry.configuration._resource import create_resource
            from opentelemetry.configuration._tracer_provider import create_tracer_provider

            config = self._model.tracer_provider
            made = create_tracer_provider(
                None if config is None else replace(config, processors=[]),
                create_resource(self._model.resource),
                self._model.attribute_limits,
            )
            made.shutdown()
            return {
                "resource": made.resource,
                "sampler": made.sampler,
                "span_limits": made._span_limits,
                "id_generator": made.id_generator,
                "_tracer_configurator": made._tracer_configurator,
            }

    def processors(self) -> list[SpanProcessor]:
        """Return the processors of the file, in order."""
        config = self._model.tracer_provider
        if config is None or self.disabled:
            return []
        with self._faults():
            return [self._processor(one) for one in config.processors]

    def propagator(self) -> CompositePropagator:
        """Return the propagators of the file; none where it names none."""
        config = self._model.propagator
        names: list[str] = []
        for entry in (config.composite if config else None) or ():
            names += [name for name in _PROPAGATORS if getattr(entry, name, None) is not None]
            names += entry.additional_properties
        if config and config.composite_list:
            names += config.composite_list.split(",")
        return propagators_of(names, self._where)

    def install_others(self) -> None:
        """Install the meter and logger providers, and the level of the SDK's own log."""
        with self._faults():
            from opentelemetry.configuration import configure_sdk
            from opentelemetry.propagate import get_global_textmap, set_global_textmap

            ours = get_global_textmap()
            try:
                configure_sdk(replace(self._model, tracer_provider=None, propagator=None))
            finally:
                set_global_textmap(ours)

    @property
    def _where(self) -> str:
        return f"{CONFIG_FILE} {self._path!r}"

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Tell whatever goes wrong as one sentence that names the file."""
        try:
            yield
        except ConfigurationError as error:
            raise ConfigurationError([f"{self._where}: {one}" for one in error.faults]) from error
        except ModuleNotFoundError as error:
            fault = f"{error.name} is not installed; it comes with throughline-tracing[config]"
            raise ConfigurationError([f"{self._where}: {fault}"]) from error
        except Exception as error:  # of the package, of a plugin, or of the file's values
            raise ConfigurationError([f"{self._where}: {error}"]) from error

    def _processor(self, config: Any) -> SpanProcessor:
        if config.simple is not None:
            _, make = self._exporter(config.simple.exporter, Settings(sealed=True))
            return SimpleSpanProcessor(make())
        if config.batch is None:
            raise ValueError("a processor is neither batch nor simple")
        batch = config.batch
        queue = _or(batch.max_queue_size, 2048)
        settings = Settings(
            sealed=True,
            timeout=_or(batch.export_timeout, 30_000) / 1000,
            schedule_delay=(5_000 if batch.schedule_delay is None else batch.schedule_delay) / 1000,
            max_queue_size=queue,
            max_export_batch_size=min(queue, _or(batch.max_export_batch_size, 512)),
        )
        name, make = self._exporter(batch.exporter, settings)
        return BatchProcessor(name, make, settings, quiet_fork=batch.exporter.otlp_grpc is not None)

    def _exporter(self, config: Any, settings: Settings) -> tuple[str, Callable[[], SpanExporter]]:
        """Return the name of where `config` exports to, and what makes its exporter."""
        otlp = config.otlp_grpc or config.otlp_http
        if otlp is None:
            from opentelemetry.configuration._tracer_provider import _create_span_exporter

            # Made now, so that what is wrong with it is told now.
            exporter = _create_span_exporter(config)
            return type(exporter).__name__, lambda: exporter
        backend = _grpc_backend(otlp) if config.otlp_grpc else _http_backend(otlp)
        tls = otlp.tls
        compression = otlp.compression or "none"
        known = ("none", "gzip") if backend.protocol == GRPC else ("none", "gzip", "deflate")
        if compression not in known:
            raise ValueError(f"compression {compression!r} is not one of {', '.join(known)}")
        timeout = _or(otlp.timeout, 10_000) / 1000
        settings = replace(
            settings,
            timeout=min(timeout, settings.timeout),
            compression=compression,
            certificate=_file(tls and tls.ca_file),
            client_certificate=_file(tls and tls.cert_file),
            client_key=_file(tls and tls.key_file),
        )
        return backend.endpoint, exporter_maker(backend, settings)


def _or(value: int | None, default: int) -> int:
    """Return `value`, or the default for one that is absent or zero, which would be no bound."""
    return value or default


def _file(path: str | None) -> str:
    if path and not Path(path).is_file():
        raise ValueError(f"there is no file {path!r}")
    return path or ""


def _headers(otlp: Any) -> dict[str, str]:
    of_list = parse_headers(otlp.headers_list or "", ",")
    return of_list | {one.name.lower(): one.value or "" for one in otlp.headers or ()}


def _grpc_backend(otlp: Any) -> Backend:
    endpoint = otlp.endpoint or "http://localhost:4317"
    parsed = Backend.parse(endpoint, protocol=GRPC)
    insecure = parsed.insecure
    if "://" not in endpoint:
        insecure = bool(otlp.tls and otlp.tls.insecure)
    return Backend(GRPC, parsed.endpoint, insecure, _headers(otlp))


def _http_backend(otlp: Any) -> Backend:
    # The URL is posted to as it is.
    url = otlp.endpoint or f"http://localhost:4318{TRACES_PATH}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"endpoint {url!r} is not an http or https URL")
    encoding = getattr(getattr(otlp, "encoding", None), "value", None)
    protocol: Protocol = JSON if encoding == "json" else HTTP
    return Backend(protocol, url, parts.scheme == "http", _headers(otlp))
