"""The WSGI middleware around plain applications."""

import gc

import pytest
from opentelemetry.trace import StatusCode
from werkzeug.test import Client, create_environ

from throughline_tracing import Trace, suppress
from throughline_tracing._context import attach, detach
from throughline_tracing.client import inject_headers
from throughline_tracing.wsgi import EnvironGetter, TraceMiddleware, request_attributes

REMOTE = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}


def application(environ, start_response):
    with Trace("inside"):
        start_response("200 OK", [("content-type", "text/plain")])
    return [b"hello"]


def call(app, path="/", **environ):
    body = app(create_environ(path) | environ, lambda status, headers, exc_info=None: None)
    try:
        return b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()


def test_named_by_the_method_alone_without_routes(spans):
    assert Client(TraceMiddleware(application)).get("/some/path", headers=REMOTE).data == b"hello"
    spans.assert_tree(
        """
        GET [server] (remote parent) http.response.status_code=200
          inside
        """,
        ["http.response.status_code"],
    )


def test_a_route(spans):
    app = TraceMiddleware(
        application, route=lambda environ: "/known" if environ["PATH_INFO"] == "/known" else None
    )
    call(app, "/known")
    call(app, "/other")
    assert [s.name for s in spans.spans if s.name != "inside"] == ["GET /known", "GET"]
    assert spans.one("GET /known").attributes["http.route"] == "/known"


def test_excluded(spans):
    seen = {}

    def app(environ, start_response):
        seen.update(inject_headers())
        return application(environ, start_response)

    Client(TraceMiddleware(app, excluded=["/healthz"])).get("/healthz", headers=REMOTE)
    assert (spans.names, seen) == ([], REMOTE)


def test_an_application_that_raises(spans):
    def app(environ, start_response):
        raise OSError

    with pytest.raises(OSError):
        call(TraceMiddleware(app))
    assert spans.one("GET").attributes["error.type"] == "OSError"


def test_5xx_is_an_error_of_the_server(spans):
    def app(environ, start_response):
        start_response("503 Service Unavailable", [])
        return []

    call(TraceMiddleware(app))
    span = spans.one("GET")
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "503")


def test_a_status_nobody_can_read(spans):
    def app(environ, start_response):
        start_response("OK", [])
        return []

    call(TraceMiddleware(app))
    assert "http.response.status_code" not in spans.one("GET").attributes


def test_generators_run_in_the_span_and_leave_nothing_behind(spans):
    def app(environ, start_response):
        start_response("200 OK", [])
        with Trace("body"):
            yield b"1"
            yield b"2"

    traced = TraceMiddleware(app)
    assert call(traced) == b"12"
    spans.assert_tree("""
        GET [server]
          body
    """)
    body = traced(create_environ(), lambda *_: None)
    next(iter(body))
    del body
    gc.collect()
    assert [s.name for s in spans.spans].count("GET") == 2


def test_two_bodies_by_turns(spans):
    """Bodies produced by turns in one thread, as event-loop servers do, keep their own trace."""

    def app(environ, start_response):
        start_response("200 OK", [])
        for n in range(3):
            with Trace(f"{environ['PATH_INFO']} {n}"):
                pass
            yield b""

    traced = TraceMiddleware(app, route=lambda environ: environ["PATH_INFO"])
    one, two = (iter(traced(create_environ(p), lambda *_: None)) for p in ("/1", "/2"))
    for _ in range(3):
        next(one)
        next(two)
    list(one), list(two)
    spans.assert_tree("""
        GET /1 [server]
          /1 0
          /1 1
          /1 2

        GET /2 [server]
          /2 0
          /2 1
          /2 2
    """)


def test_one_middleware_within_another(spans):
    call(TraceMiddleware(TraceMiddleware(application)))
    spans.assert_tree("""
        GET [server]
          inside
    """)


def test_where_tracing_is_suppressed(spans):
    token = attach(suppress())
    try:
        call(TraceMiddleware(application))
    finally:
        detach(token)
    assert spans.names == []


def test_a_remote_parent_that_is_current_is_kept(spans):
    """What a middleware outside has extracted is not extracted again."""
    from opentelemetry import propagate

    token = attach(propagate.extract(REMOTE))
    try:
        call(TraceMiddleware(application), HTTP_TRACEPARENT=f"00-{'c' * 32}-{'d' * 16}-01")
    finally:
        detach(token)
    assert f"{spans.one('GET').context.trace_id:032x}" == "a" * 32


def test_server_timing(spans):
    response = Client(TraceMiddleware(application, server_timing=True)).get("/")
    assert response.headers["server-timing"].startswith("trace;desc=00-")


def test_the_getter():
    environ = {"HTTP_TRACEPARENT": "x", "HTTP_X_B3_TRACEID": "y", "REQUEST_METHOD": "GET"}
    getter = EnvironGetter()
    assert getter.get(environ, "traceparent") == ["x"]
    assert getter.get(environ, "x-b3-traceid") == ["y"]
    assert getter.get(environ, "absent") is None
    assert getter.keys(environ) == ["traceparent", "x-b3-traceid"]


@pytest.mark.parametrize(
    ("environ", "want"),
    [
        ({"HTTP_HOST": "example.com"}, ("example.com", 80)),
        ({"HTTP_HOST": "example.com:8002"}, ("example.com", 8002)),
        ({"HTTP_HOST": "[::1]:8002"}, ("[::1]", 8002)),
        ({"HTTP_HOST": "[::1]"}, ("[::1]", 80)),
        ({"HTTP_HOST": "example.com", "wsgi.url_scheme": "https"}, ("example.com", 443)),
        ({"HTTP_HOST": "x:" + "9" * 5000}, ("x", None)),
        ({"SERVER_NAME": "s", "SERVER_PORT": "81"}, ("s", 81)),
        ({}, (None, 80)),
    ],
)
def test_the_servers_address(environ, want):
    got = request_attributes({"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "?"} | environ, None)
    assert (got.get("server.address"), got.get("server.port")) == want
    assert "network.protocol.version" not in got


def test_long_values_are_cut():
    got = request_attributes(
        {
            "REQUEST_METHOD": "X" * 9999,
            "PATH_INFO": "/" * 9999,
            "QUERY_STRING": "q" * 9999,
            "HTTP_USER_AGENT": "a" * 9999,
            "HTTP_HOST": "h" * 9999,
        },
        None,
    )
    assert all(len(str(value)) <= 2048 for value in got.values())


class Broken:
    """Stands for any part of tracing that fails."""

    fields = set()

    def extract(self, carrier, context=None, getter=None):
        raise RuntimeError("propagator")

    def get_tracer(self, *args, **kwargs):
        return self

    def start_span(self, *args, **kwargs):
        raise RuntimeError("sampler")


def test_tracing_that_fails_fails_no_request(caplog):
    from opentelemetry import propagate

    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Broken())
    try:
        app = TraceMiddleware(application, route=lambda environ: 1 / 0, tracer_provider=Broken())
        assert call(app) == b"hello"
    finally:
        propagate.set_global_textmap(before)
    assert [r.getMessage() for r in caplog.records] == [
        "asking for the route of a request",
        "reading the trace of a request",
        "starting the span of a request",
    ]
