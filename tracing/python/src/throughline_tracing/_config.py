"""What the environment says about exporting spans.

`Settings.read` turns the ``OTEL_*`` variables and ``TRACING_BACKEND_URL`` into
one value, or raises `ConfigurationError` with every fault. Read here: where to
export, by which protocol, with which headers and certificates, how to batch,
how to sample, and which propagators to use. Span limits and the resource are
read by the SDK.

Sources: the OpenTelemetry specification's "Environment Variable Specification"
and "OTLP Exporter Configuration". Two departures: a value that cannot be
honoured is refused rather than ignored, so that nothing is lost silently; and
``OTEL_EXPORTER_OTLP_TIMEOUT`` is in milliseconds, as specified, where the Python
exporters take it for seconds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from throughline_tracing._backend import (
    GRPC,
    HTTP,
    TRACES_PATH,
    Backend,
    Protocol,
    check_protocol,
    parse_backends,
    parse_headers,
)
from throughline_tracing.exceptions import ConfigurationError

BACKEND_URL: Final = "TRACING_BACKEND_URL"
CONFIG_FILE: Final = "OTEL_CONFIG_FILE"
# The variables of headers; the signal's own replaces the general one.
HEADERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")

_SAMPLERS: Final = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
_EXPORTERS: Final = ("otlp", "console", "none")
_COMPRESSIONS: Final = ("none", "gzip", "deflate")


@dataclass(frozen=True)
class Settings:
    """How spans are batched and exported to some backends. Times are in seconds."""

    disabled: bool = False
    backends: tuple[Backend, ...] = ()
    console: bool = False
    timeout: float = 10.0
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    compression: str = "none"
    schedule_delay: float = 5.0
    max_queue_size: int = 2048
    max_export_batch_size: int = 512
    # Nothing beyond these settings is taken from the environment.
    sealed: bool = False

    @classmethod
    def read(
        cls,
        backend_url: str | Iterable[str | Backend] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Read the settings from `environ`, by default the process's.

        Args:
            backend_url: Wins over ``TRACING_BACKEND_URL``, which wins over
                ``OTEL_EXPORTER_OTLP_(TRACES_)ENDPOINT``. None or blank: not given.
            environ: The variables.

        Raises:
            ConfigurationError: With one sentence for each setting that is refused.
        """
        reader = _Reader(os.environ if environ is None else environ)
        disabled = reader.text("OTEL_SDK_DISABLED").lower() == "true"
        exporters = reader.exporters()
        backends = reader.backends(backend_url)
        reader.choice("OTEL_TRACES_SAMPLER", _SAMPLERS)
        queue_size = reader.integer("OTEL_BSP_MAX_QUEUE_SIZE", 2048)
        settings = cls(
            disabled=disabled,
            backends=tuple(backends) if "otlp" in exporters else (),
            console="console" in exporters,
            timeout=min(
                reader.milliseconds(reader.signal("TIMEOUT"), 10_000),
                reader.milliseconds("OTEL_BSP_EXPORT_TIMEOUT", 30_000),
            ),
            certificate=reader.file("CERTIFICATE"),
            client_certificate=reader.file("CLIENT_CERTIFICATE"),
            client_key=reader.file("CLIENT_KEY"),
            compression=reader.choice(reader.signal("COMPRESSION"), _COMPRESSIONS) or "none",
            schedule_delay=reader.milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5_000),
            max_queue_size=queue_size,
            max_export_batch_size=min(
                queue_size, reader.integer("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)
            ),
        )
        for backend in settings.backends:
            if backend.protocol == GRPC and settings.compression == "deflate":
                reader.faults.append("compression 'deflate' is not available with protocol grpc")
                break
        if reader.faults and not disabled:
            raise ConfigurationError(reader.faults)
        return settings


class _Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def text(self, name: str) -> str:
        """An empty variable is one that is not set, as the specification wants."""
        return self._environ.get(name, "").strip()

    def signal(self, name: str) -> str:
        """The variable that counts: that of traces, or that of all signals."""
        own = f"OTEL_EXPORTER_OTLP_TRACES_{name}"
        return own if self.text(own) else f"OTEL_EXPORTER_OTLP_{name}"

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name).lower()
        if value and value not in allowed:
            self.faults.append(f"{name}: {value!r} is not one of {', '.join(allowed)}")
        return value

    def exporters(self) -> set[str]:
        names = [part.strip().lower() for part in self.text("OTEL_TRACES_EXPORTER").split(",")]
        wanted = {name for name in names if name} or {"otlp"}
        for name in sorted(wanted - set(_EXPORTERS)):
            allowed = ", ".join(_EXPORTERS)
            self.faults.append(f"OTEL_TRACES_EXPORTER: {name!r} is not one of {allowed}")
        if "none" in wanted and len(wanted) > 1:
            self.faults.append("OTEL_TRACES_EXPORTER: 'none' stands alone")
        return wanted

    def integer(self, name: str, default: int) -> int:
        return int(self._number(name, default, int, "a whole number from 1 up", 1))

    def milliseconds(self, name: str, default: int) -> float:
        return self._number(name, default, float, "a number of milliseconds", 0) / 1000

    def _number(
        self, name: str, default: int, read: type[int | float], expected: str, least: int
    ) -> float:
        text = self.text(name)
        if not text:
            return default
        try:
            value = read(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and value >= least:
            return value
        self.faults.append(f"{name}: {text!r} is not {expected}")
        return default

    def file(self, name: str) -> str:
        variable = self.signal(name)
        path = self.text(variable)
        if path and not Path(path).is_file():
            self.faults.append(f"{variable}: there is no file {path!r}")
        return path

    def protocol(self) -> Protocol | None:
        name = self.signal("PROTOCOL")
        value = self.text(name).lower()
        if not value:
            return None
        try:
            return check_protocol(value)
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
            return None

    def headers(self) -> dict[str, str]:
        """Read the headers; a fault is told without their values, which may be secrets."""
        name = self.signal("HEADERS")
        try:
            return parse_headers(self.text(name), ",")
        except ValueError as error:
            self.faults.append(
                f"{name}: {error}; want name=value, separated by commas and percent-encoded"
            )
            return {}

    def backends(self, given: str | Iterable[str | Backend] | None) -> list[Backend]:
        protocol = self.protocol()
        headers = self.headers()
        found: list[Backend] = []
        try:
            if given is None or isinstance(given, str):
                found = parse_backends((given or "").strip() or self.text(BACKEND_URL), protocol)
            else:
                for one in given:
                    if isinstance(one, Backend):
                        found.append(one)
                    else:
                        found += parse_backends(one, protocol)
            found = found or [self._standard(protocol)]
        except ConfigurationError as error:
            self.faults += error.faults
        return [
            Backend(one.protocol, one.endpoint, one.insecure, {**headers, **lower(one.headers)})
            for one in found
        ]

    def _standard(self, wanted: Protocol | None) -> Backend:
        """The backend that the OTEL_* variables alone name."""
        name = self.signal("ENDPOINT")
        url = self.text(name)
        protocol = wanted or HTTP
        if protocol == GRPC:
            plaintext = self.text(self.signal("INSECURE")).lower() == "true"
            if url and "://" not in url and not plaintext:
                url = f"https://{url}"
            return Backend.parse(url or "http://localhost:4317", protocol=GRPC)
        if not url:
            return Backend(protocol, f"http://localhost:4318{TRACES_PATH}", insecure=True)
        if "://" not in url:
            raise ConfigurationError([f"{name}: {url!r} is not an http or https URL"])
        backend = Backend.parse(url, protocol=protocol)
        if name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":
            # For one signal the URL is posted to as it is.
            return Backend(protocol, url, backend.insecure)
        return Backend(protocol, f"{url.rstrip('/')}{TRACES_PATH}", backend.insecure)


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `headers` with the lower-case names gRPC wants."""
    return {name.lower(): value for name, value in headers.items()}
