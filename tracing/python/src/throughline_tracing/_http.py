"""HTTP conventions of server spans, shared by the WSGI and ASGI middlewares.

Source: OpenTelemetry semantic conventions, "Semantic conventions for HTTP
spans" (stable). The span name is ``{method} {route}``, or the method alone when
no route matched: never a path, which would make names without bound.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, StatusCode

from throughline_tracing._context import Context, get_current_span
from throughline_tracing._errors import fail
from throughline_tracing._spec import Spec

_KNOWN = "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY,TRACE"
METHODS: Final = frozenset(
    name.strip()
    for name in (os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS") or _KNOWN).split(",")
)
MAX_VALUE: Final = 2_048
_MAX_PORT_DIGITS: Final = 5
FIRST_SERVER_ERROR: Final = 500

# Query values that are secrets: what the conventions list, and what people put there.
_SECRET_QUERY = re.compile(
    r"(?i)(^|&)([^=&]*(?:signature|sig|token|secret|password|passwd|credential|api[_-]?key"
    r"|accesskeyid|auth|code|session)[^=&]*)=[^&]*"
)
_SPEC: Final = Spec(kind=SpanKind.SERVER)


def request_name(method: str, route: str | None) -> str:
    """Return the span name for a request.

    Example:
        >>> request_name("GET", "/suggestions/v1/<article_id>"), request_name("GET", None)
        ('GET /suggestions/v1/<article_id>', 'GET')
        >>> request_name("BREW", "/pot")
        'HTTP /pot'
    """
    known = method if method in METHODS else "HTTP"
    return f"{known} {route}" if route else known


def redact_query(query: str) -> str:
    """Return `query` without the values of parameters whose names tell of a secret.

    Example:
        >>> redact_query("page=2&api_key=hunter2")
        'page=2&api_key=REDACTED'
    """
    return _SECRET_QUERY.sub(r"\1\2=REDACTED", query)[:MAX_VALUE]


def method_attributes(method: str) -> dict[str, Any]:
    """Return the attributes for the method; unknown ones are ``_OTHER``."""
    if method in METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method[:MAX_VALUE]}


def authority_attributes(
    host: str | None, scheme: str, address: str, port: str
) -> dict[str, str | int]:
    """Return the attributes for the server as the client calls it, in its Host header.

    Example:
        >>> authority_attributes("[::1]:8002", "http", "", "")
        {'server.address': '[::1]', 'server.port': 8002}
        >>> authority_attributes(None, "https", "example.com", "")
        {'server.address': 'example.com', 'server.port': 443}
    """
    if host:
        address, colon, port = host.rpartition(":")
        if not colon or not port.isdecimal():
            address, port = host, ""
    attributes: dict[str, str | int] = {}
    if address:
        attributes["server.address"] = address[:MAX_VALUE]
    if not port:
        port = "443" if scheme == "https" else "80"
    if port.isdecimal() and len(port) <= _MAX_PORT_DIGITS:
        attributes["server.port"] = int(port)
    return attributes


def end_request(
    span: Span, status: int | None, error: BaseException | None, end_time: int | None = None
) -> None:
    """Set the outcome of a request on its server span, and end it.

    A status of 500 and above is an error, and so is an exception nobody handled;
    404 and the like are the client's.
    """
    if span.is_recording():
        if error is not None:
            fail(span, error, _SPEC)
        if status is not None:
            span.set_attribute("http.response.status_code", status)
            if status >= FIRST_SERVER_ERROR and error is None:
                span.set_attribute("error.type", str(status))
                span.set_status(StatusCode.ERROR)
    span.end(end_time)


def local_server_span(context: Context | None = None) -> bool:
    """Report whether a server span of this process is current: then no second one is made."""
    span = get_current_span(context)
    return span.is_recording() and getattr(span, "kind", None) is SpanKind.SERVER


def server_timing(span: Span) -> str:
    """Return the value of a ``server-timing`` header that names the trace.

    Source: W3C Trace Context, draft of the response header.
    """
    context = span.get_span_context()
    flags = context.trace_flags & 0x03
    return f"trace;desc=00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"
