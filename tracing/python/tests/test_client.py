"""Outgoing requests carry the trace."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
import requests
import urllib3
from opentelemetry import propagate, trace
from opentelemetry.trace import NonRecordingSpan, SpanKind

from processes import run_python
from throughline_tracing import Trace, suppress
from throughline_tracing._context import attach, detach
from throughline_tracing._propagation import TraceContextPropagator
from throughline_tracing.client import inject_headers

CALLS = {
    "requests": requests.get,
    "httpx": httpx.get,
    "urllib3": lambda url: urllib3.request("GET", url),
}


@pytest.fixture(autouse=True)
def strict_propagator():
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(TraceContextPropagator())
    yield
    propagate.set_global_textmap(before)


@pytest.fixture
def server():
    """Answers everything, and keeps the headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            received.append(dict(self.headers))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    received = []
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.received = received
    server.url = f"http://127.0.0.1:{server.server_address[1]}/path"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_inject_headers(spans, server):
    given = {"accept": "x"}
    with Trace("work"):
        requests.get(server.url, headers=inject_headers(given))
    context = spans.one("work").context
    assert given == {"accept": "x"}
    assert server.received[0]["accept"] == "x"
    assert server.received[0]["traceparent"].split("-")[1:3] == [
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
    ]
    assert inject_headers() == {}


def test_instrument_clients(server):
    """Each client makes one client span with the stable conventions and sends it on."""
    done = run_python(
        f"""
        import httpx, requests, urllib3
        from throughline_tracing import Trace
        from throughline_tracing.client import instrument_clients
        from throughline_tracing.testing import capture
        with capture() as spans:
            print(instrument_clients(), instrument_clients())
            with Trace("work"):
                requests.get({server.url!r}); httpx.get({server.url!r}); urllib3.request("GET", {server.url!r})
            print(spans.tree(["http.request.method", "http.response.status_code"]))
        """
    )
    names = "['requests', 'httpx', 'urllib3']"
    span = "  GET [client] http.request.method=GET http.response.status_code=200\n"
    assert done.stdout == f"{names} {names}\nwork\n{span * 3}"
    assert len({headers["traceparent"] for headers in server.received}) == 3


def test_what_is_not_installed_is_left_out():
    done = run_python(
        """
        import sys
        sys.modules["opentelemetry.instrumentation.httpx"] = None
        sys.modules["urllib3"] = None
        from throughline_tracing.client import instrument_clients
        print(instrument_clients())
        """
    )
    assert "httpx" not in done.stdout
    assert "urllib3" not in done.stdout


@pytest.mark.parametrize("client", CALLS)
def test_instrumented_clients_in_a_request_that_is_switched_off(server, client):
    """They record nothing, and send the caller's headers as they came."""
    remote = f"00-{'a' * 32}-{'b' * 16}-01"
    done = run_python(
        f"""
        import {client}
        from opentelemetry import propagate, trace
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from throughline_tracing import configure, suppress
        from throughline_tracing._context import attach
        from throughline_tracing.client import instrument_clients
        provider = configure("svc")
        memory = InMemorySpanExporter()
        provider.provider.add_span_processor(SimpleSpanProcessor(memory))
        instrument_clients()
        attach(suppress(propagate.extract({{"traceparent": {remote!r}}})))
        {"urllib3.request('GET'," if client == "urllib3" else client + ".get("} {server.url!r})
        print(len(memory.get_finished_spans()))
        """,
        OTEL_TRACES_EXPORTER="none",
    )
    assert done.stdout == "0\n"
    assert server.received[0]["traceparent"] == remote


def test_inject_below_suppress(spans):
    remote = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    context = suppress(trace.set_span_in_context(NonRecordingSpan(remote)))
    token = attach(context)
    try:
        with Trace("unseen", kind=SpanKind.CLIENT):
            assert inject_headers()["traceparent"] == f"00-{1:032x}-{2:016x}-01"
    finally:
        detach(token)
    assert spans.names == []
