"""Command conformance serves the test service of the W3C trace-context suite.

    python -m throughline_tracing.conformance --port 5000
    SPEC_LEVEL=2 STRICT_LEVEL=2 python test.py http://127.0.0.1:5000/test

The suite (https://github.com/w3c/trace-context, ``test/``) posts a list of
``{"url": …, "arguments": …}``; for each, the service posts the arguments to the
URL with the headers that the propagator injects, all within the span of the
request. For tests alone: it calls any URL it is told to.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterable, Sequence
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from throughline_tracing._propagators import read_propagators, set_global_propagator
from throughline_tracing._provider import TracerProvider
from throughline_tracing._trace import Trace
from throughline_tracing.client import inject_headers
from throughline_tracing.exceptions import ConfigurationError
from throughline_tracing.wsgi import TraceMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_BODY: Final = 1 << 20
MAX_CALLS: Final = 64
CALL_TIMEOUT: Final = 5.0


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer ``POST /test``; 400 tells what is wrong with the request."""
    if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", "/test"):
        return _answer(start_response, "404 Not Found", "POST /test is all there is")
    try:
        calls = _read_calls(environ)
    except ValueError as error:
        return _answer(start_response, "400 Bad Request", str(error))
    try:
        for url, body in calls:
            _post(url, body)
    except OSError as error:
        return _answer(start_response, "502 Bad Gateway", str(error))
    return _answer(start_response, "200 OK", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m throughline_tracing.conformance",
        description="Serve the test service of the W3C trace-context suite.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="0 for a free one (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        set_global_propagator(read_propagators())
        server = make_server(
            options.host, options.port, TraceMiddleware(application), _Server, _Handler
        )
    except (ConfigurationError, OSError, OverflowError) as error:
        sys.stderr.write(f"conformance: {error}\n")
        return 1
    trace.set_tracer_provider(TracerProvider())
    sys.stdout.write(f"listening on http://{options.host}:{server.server_port}/test\n")
    sys.stdout.flush()
    try:
        with server:
            server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


def _read_calls(environ: WSGIEnvironment) -> list[tuple[str, bytes]]:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > MAX_BODY:
        raise ValueError(f"content-length {length!r} is not a number up to {MAX_BODY}")
    calls: Any = json.loads(environ["wsgi.input"].read(int(length)))
    if not isinstance(calls, list) or len(calls) > MAX_CALLS:
        raise ValueError(f"the body is not a list of up to {MAX_CALLS} calls")
    found: list[tuple[str, bytes]] = []
    for call in calls:
        url = call.get("url") if isinstance(call, dict) else None
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise ValueError(f"a call has no http or https url: {call!r:.100}")
        found.append((url, json.dumps(call.get("arguments")).encode()))
    return found


@Trace(name="POST", kind=SpanKind.CLIENT)
def _post(url: str, body: bytes) -> None:
    headers = inject_headers({"content-type": "application/json"})
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=CALL_TIMEOUT) as response:  # noqa: S310
        response.read(MAX_BODY)


def _answer(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    body = text.encode()
    start_response(
        status, [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))]
    )
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Write nothing; the suite says what it did."""


if __name__ == "__main__":
    sys.exit(main())
