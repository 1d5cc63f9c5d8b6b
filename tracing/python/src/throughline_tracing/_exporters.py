"""The official OTLP exporters, made as `Settings` say.

What an exporter sends is what its backend and its settings name: the headers
and certificates of the environment are in there already, or are not wanted
(`Settings.sealed`), and the exporters would add them by themselves.

OTLP over HTTP with JSON goes through the protobuf exporter, for its retries,
timeouts and connections; its session turns each body into JSON.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from base64 import b64decode
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace.export import SpanExporter

from throughline_tracing._backend import GRPC, HTTP, JSON, Backend
from throughline_tracing._config import HEADERS, Settings
from throughline_tracing.exceptions import ConfigurationError

if TYPE_CHECKING:
    from requests import Session

_COMPRESS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}
_PROTOBUF_TYPE: Final = "application/x-protobuf"
_JSON_TYPE: Final = "application/json"
# What the exporters, and what they are built on, import only when they are made or first used.
_IMPORTED_LATE: Final[Mapping[str, tuple[str, ...]]] = {
    GRPC: ("grpc._channel", "grpc.experimental"),
    HTTP: ("requests", "netrc", "encodings.idna"),
    JSON: ("requests", "netrc", "encodings.idna", "google.protobuf.json_format"),
}


def exporter_maker(backend: Backend, settings: Settings) -> Callable[[], SpanExporter]:
    """Return what makes an exporter to `backend`.

    Imports what the backend needs here and now: a child forked while a thread imports has
    half a module for good.

    Raises:
        ConfigurationError: The exporter's package is not installed.
    """
    # The specification takes an empty variable for one that is not set; the exporters do not.
    for name, value in os.environ.copy().items():
        if name.startswith("OTEL_EXPORTER_OTLP_") and not value.strip():
            del os.environ[name]
    try:
        of_protocol = _grpc_exporter if backend.protocol == GRPC else _http_exporter
        make = of_protocol(backend, settings)
        for name in _IMPORTED_LATE[backend.protocol]:
            import_module(name)
    except ImportError as error:
        extra = "grpc" if backend.protocol == GRPC else "otlp"
        fault = (
            f"tracing backend {backend.endpoint!r}: {error.name} is not installed; "
            f"it comes with throughline-tracing[{extra}]"
        )
        raise ConfigurationError([fault]) from error
    return make


class _Headers(dict[str, str]):
    """Headers, true where there are none: for false ones gRPC reads the environment."""

    def __bool__(self) -> bool:
        return True


def _grpc_exporter(backend: Backend, settings: Settings) -> Callable[[], SpanExporter]:
    # Without it a child forked after the parent's first call can never use gRPC. It is read
    # when grpc is imported.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")
    from grpc import ChannelCredentials, Compression, ssl_channel_credentials
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def read(path: str) -> bytes | None:
        return Path(path).read_bytes() if path else None

    def credentials() -> ChannelCredentials | None:
        files = (settings.certificate, settings.client_key, settings.client_certificate)
        if backend.insecure or not (settings.sealed or any(files)):
            return None
        return ssl_channel_credentials(*map(read, files))

    def make() -> SpanExporter:
        return OTLPSpanExporter(
            endpoint=f"{'http' if backend.insecure else 'https'}://{backend.endpoint}",
            insecure=backend.insecure,
            credentials=credentials(),
            headers=_Headers(backend.headers),
            timeout=settings.timeout,
            compression=Compression.Gzip
            if settings.compression == "gzip"
            else Compression.NoCompression,
        )

    return make


def _http_exporter(backend: Backend, settings: Settings) -> Callable[[], SpanExporter]:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    as_json = backend.protocol == JSON
    own_session = as_json or settings.sealed or bool(settings.certificate)
    # JSON is compressed by the session.
    compression = Compression.NoCompression if as_json else Compression(settings.compression)

    def make() -> SpanExporter:
        return OTLPSpanExporter(
            endpoint=backend.endpoint,
            headers=dict(backend.headers),
            timeout=settings.timeout,
            compression=compression,
            session=_session(backend, settings) if own_session else None,
        )

    return make


def _session(backend: Backend, settings: Settings) -> Session:
    from requests import PreparedRequest, Response
    from requests import Session as RequestsSession

    as_json = backend.protocol == JSON
    content_type = _JSON_TYPE if as_json else _PROTOBUF_TYPE
    compress = _COMPRESS.get(settings.compression)

    class Session(RequestsSession):
        """Sends what the settings name, and nothing of the environment but its proxies."""

        def merge_environment_settings(
            self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> Any:
            del verify, cert  # the exporter's, which asks the environment
            merged = super().merge_environment_settings(url, proxies, stream, True, None)
            # The certificate of OTEL_EXPORTER_OTLP_CERTIFICATE wins over REQUESTS_CA_BUNDLE.
            merged["verify"] = settings.certificate or merged["verify"]
            certificate, key = settings.client_certificate, settings.client_key
            merged["cert"] = (certificate, key) if certificate and key else certificate or None
            return merged

        def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
            for name in _environment_headers() - backend.headers.keys():
                request.headers.pop(name, None)
            request.headers.setdefault("content-type", content_type)
            if as_json and isinstance(request.body, bytes):
                body = to_json(request.body)
                if compress is not None:
                    body = compress(body)
                    request.headers["content-encoding"] = settings.compression
                request.body = body
                request.headers["content-type"] = content_type
                request.headers["content-length"] = str(len(body))
            return super().send(request, **kwargs)

    return Session()


def _environment_headers() -> set[str]:
    """Return the names of the headers the exporter takes from the environment by itself."""
    pairs = ",".join(os.environ.get(name, "") for name in HEADERS).split(",")
    return {pair.partition("=")[0].strip().lower() for pair in pairs}


def to_json(request: bytes) -> bytes:
    """Return an ExportTraceServiceRequest as OTLP's JSON: ids in hex, enumerations as numbers."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest.FromString(request)
    found: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    for of_resource in found.get("resourceSpans", []):
        for of_scope in of_resource.get("scopeSpans", []):
            for span in of_scope.get("spans", []):
                for made in (span, *span.get("links", [])):
                    # The mapping of protobuf makes base64 of bytes, and OTLP wants hex.
                    for key in made.keys() & {"traceId", "spanId", "parentSpanId"}:
                        made[key] = b64decode(made[key]).hex()
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
