"""The ASGI middleware around Starlette, FastAPI and plain applications."""

import asyncio

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from httpx import ASGITransport, AsyncClient
from opentelemetry import propagate
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route
from starlette.testclient import TestClient

from throughline_tracing import Trace, suppress
from throughline_tracing._context import attach, detach
from throughline_tracing._propagation import TraceContextPropagator
from throughline_tracing.asgi import ScopeGetter, TraceMiddleware, request_attributes
from throughline_tracing.client import inject_headers

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
REMOTE = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "a=1"}


@pytest.fixture(autouse=True)
def strict_propagator():
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(TraceContextPropagator())
    yield
    propagate.set_global_textmap(before)


@Trace
async def inner():
    return inject_headers()


async def item(request):
    await inner()
    return PlainTextResponse(str(request.path_params["n"]))


@Trace(disable_tracing=True)
async def off(request):
    return JSONResponse(await inner())


async def fail(request):
    raise KeyError("broken")


async def stream(request):
    async def body():
        for n in range(2):
            with Trace(f"chunk {n}"):
                await asyncio.sleep(0)
            yield str(n)

    return StreamingResponse(body(), background=BackgroundTask(inner))


ROUTES = [
    Route("/items/{n:int}", item),
    Route("/off", off),
    Route("/fail", fail),
    Route("/stream", stream),
    Mount("/mounted", routes=[Mount("/deep", routes=[Route("/{n}", item)])]),
    Mount("/plain", app=PlainTextResponse("plain")),
    Host("sub.example.com", Starlette(routes=[Route("/host/{n}", item)])),
]


async def request(app, path, method="GET", **headers):
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )


def get(app, path, method="GET", **headers):
    return asyncio.run(request(app, path, method, **headers))


def wrapped(**options):
    return TraceMiddleware(
        Starlette(routes=[r for r in ROUTES if not isinstance(r, Host)]), **options
    )


def test_name_kind_and_attributes(spans):
    response = get(wrapped(), "/items/7?q=1&sig=x", user_agent="test", **REMOTE)
    assert response.text == "7"
    spans.assert_tree("""
        GET /items/{n:int} [server] (remote parent)
          inner
    """)
    server = spans.one("GET /items/{n:int}")
    assert dict(server.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{n:int}",
        "url.scheme": "http",
        "url.path": "/items/7",
        "url.query": "q=1&sig=REDACTED",
        "server.address": "test",
        "server.port": 80,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "test",
    }
    assert server.instrumentation_scope.name == "throughline_tracing.asgi"
    assert f"{server.context.trace_id:032x}" == TRACE


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/mounted/deep/1", "GET /mounted/deep/{n}"),
        ("/mounted/nope", "GET"),
        ("/plain/any/path", "GET /plain/{path}"),
        ("/nope", "GET"),
        ("/items/x", "GET"),
    ],
)
def test_routes(spans, path, name):
    get(wrapped(), path)
    assert [s.name for s in spans.spans if s.name != "inner"] == [name]


def test_a_method_no_route_takes(spans):
    assert get(wrapped(), "/items/7", "DELETE").status_code == 405
    assert spans.names == ["DELETE"]


def test_hosts(spans):
    app = TraceMiddleware(Starlette(routes=[ROUTES[-1]]))
    get(app, "/host/1", host="sub.example.com")
    get(app, "/host/1", host="example.com")
    assert spans.names == ["inner", "GET /host/{n}", "GET"]


def test_as_an_added_middleware(spans):
    app = Starlette(routes=ROUTES[:2])
    app.add_middleware(TraceMiddleware)
    get(app, "/items/7")
    assert get(app, "/off", **REMOTE).json() == REMOTE
    assert spans.names == ["inner", "GET /items/{n:int}"]


def test_an_endpoint_that_is_switched_off(spans):
    app = wrapped(excluded={"/items/9"})
    assert get(app, "/off", **REMOTE).json() == REMOTE
    assert get(app, "/off").json() == {}
    get(app, "/items/9")
    assert spans.names == []


def test_an_exception(spans):
    assert get(wrapped(), "/fail").status_code == 500
    span = spans.one("GET /fail")
    assert span.attributes["error.type"] == "KeyError"
    assert len(span.events) == 1


def test_a_streamed_body_and_what_runs_after(spans):
    """The span ends with the body; a background task is in its trace."""
    assert get(wrapped(), "/stream").text == "01"
    spans.assert_tree("""
        GET /stream [server]
          chunk 0
          chunk 1
          inner
    """)
    assert spans.names.index("GET /stream") < spans.names.index("inner")


def test_trailers_and_files(spans):
    async def trailers(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await send({"type": "http.response.body"})
        assert spans.names == []
        await send({"type": "http.response.trailers", "more_trailers": True})
        assert spans.names == []
        await send({"type": "http.response.trailers"})
        assert spans.names == ["GET"]

    async def path(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.pathsend", "path": "/x"})
        assert spans.names == ["GET"]

    async def silent(scope, receive, send):
        pass

    for app in (trailers, path, silent):
        call(TraceMiddleware(app))
        assert spans.names == ["GET"]
        spans.clear()


def call(app, **scope):
    sent = []

    async def send(message):
        sent.append(message)

    base = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(app(base | scope, None, send))
    return sent


def test_a_cancelled_request_is_no_error(spans):
    async def main():
        async def app(scope, receive, send):
            started.set()
            await asyncio.sleep(60)

        started = asyncio.Event()
        task = asyncio.create_task(
            TraceMiddleware(app)(
                {"type": "http", "method": "GET", "path": "/", "headers": []}, None, None
            )
        )
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert spans.one("GET").status.is_ok


def test_requests_side_by_side(spans):
    async def main():
        app = wrapped()
        await asyncio.gather(*(request(app, f"/items/{n}") for n in range(10)))

    asyncio.run(main())
    assert len({s.context.trace_id for s in spans.spans}) == 10
    assert spans.tree().count("  inner") == 10


def test_a_route_function(spans):
    app = TraceMiddleware(PlainTextResponse("x"), route=lambda scope: "/{all}")
    get(app, "/anything")
    assert spans.names == ["GET /{all}"]


def test_server_timing(spans):
    response = get(wrapped(server_timing=True), "/items/1")
    assert (
        f"{spans.one('GET /items/{n:int}').context.trace_id:032x}"
        in response.headers["server-timing"]
    )


def test_under_another_server_span(spans):
    """Inside of the official middleware, and inside of another of ours, nothing is added."""
    inside = wrapped()
    get(
        OpenTelemetryMiddleware(
            inside, tracer_provider=spans.provider, exclude_spans=["receive", "send"]
        ),
        "/items/1",
    )
    assert len([s for s in spans.spans if s.kind.name == "SERVER"]) == 1
    spans.clear()
    get(TraceMiddleware(inside), "/items/1")
    assert len(spans.spans) == 2


def test_where_tracing_is_suppressed(spans):
    token = attach(suppress())
    try:
        get(wrapped(), "/items/1")
    finally:
        detach(token)
    assert spans.names == []


def test_without_a_provider():
    assert get(wrapped(), "/items/1").status_code == 200


def test_a_remote_parent_that_is_current_is_kept(spans):
    """What a middleware outside has extracted is not extracted again."""
    token = attach(propagate.extract(REMOTE))
    try:
        get(wrapped(), "/items/1", traceparent=f"00-{'c' * 32}-{'d' * 16}-01")
    finally:
        detach(token)
    assert f"{spans.one('GET /items/{n:int}').context.trace_id:032x}" == TRACE


def test_websockets_and_lifespan(spans):
    """A websocket is within the caller's trace and no span itself; lifespan is left alone."""
    app = FastAPI(telemetry={"tracing": False})

    @app.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()
        await inner()
        await socket.close()

    with (
        TestClient(TraceMiddleware(app)) as client,
        client.websocket_connect("/ws", headers=dict(REMOTE)),
    ):
        pass
    span = spans.one("inner")
    assert f"{span.context.trace_id:032x}" == TRACE
    assert len(spans) == 1


@pytest.fixture
def fastapi():
    app = FastAPI()
    router = APIRouter(prefix="/v1")

    @router.get("/items/{n}")
    async def items(n: int):
        return await inner()

    @router.get("/off")
    @Trace(disable_tracing=True)
    async def off_endpoint():
        return await inner()

    app.include_router(router, prefix="/api")
    return app


def test_fastapi(spans, fastapi):
    """One server span, ours, named with the prefixes of the routers."""
    app = TraceMiddleware(fastapi)
    assert get(app, "/api/v1/items/7", **REMOTE).json()["traceparent"][3:35] == TRACE
    spans.assert_tree("""
        GET /api/v1/items/{n} [server] (remote parent)
          inner
    """)
    spans.clear()
    assert get(app, "/api/v1/off", **REMOTE).json() == REMOTE
    assert spans.names == []


def test_fastapi_with_an_added_middleware(spans, fastapi):
    """FastAPI's own server span is there first, and stays the only one."""
    fastapi.add_middleware(TraceMiddleware)
    get(fastapi, "/api/v1/items/7", **REMOTE)
    assert len([s for s in spans.spans if s.kind.name == "SERVER"]) == 1
    assert len({s.context.trace_id for s in spans.spans}) == 1


def test_the_getter():
    scope = {
        "headers": [
            (b"TraceState", b"a=1"),
            (b"tracestate", b"b=2"),
            (b"baggage", b"x=1"),
            (b"baggage", b"y=2"),
        ]
    }
    getter = ScopeGetter()
    assert getter.get(scope, "tracestate") == ["a=1", "b=2"]
    assert getter.get(scope, "baggage") == ["x=1,y=2"]
    assert getter.get(scope, "traceparent") is None
    assert getter.get({}, "traceparent") is None
    assert getter.keys(scope) == ["tracestate", "tracestate", "baggage", "baggage"]


def test_a_parent_that_comes_twice_starts_a_new_trace(spans):
    header = (b"traceparent", REMOTE["traceparent"].encode())
    call(TraceMiddleware(PlainTextResponse("x")), headers=[header, header])
    assert spans.one("GET").parent is None


def test_a_scope_without_anything(spans):
    got = request_attributes({"method": "GET", "path": "", "headers": []}, None)
    assert got == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/",
        "server.port": 80,
    }


def test_root_path(spans):
    call(
        TraceMiddleware(Starlette(routes=[Route("/x", item)])),
        path="/root/x",
        root_path="/root/",
        query_string=b"",
    )
    assert spans.names[-1].startswith("GET")


def test_endless_mounts_end(spans):
    class Endless:
        path = "/x"

        @property
        def routes(self):
            return [self]

        def matches(self, scope):
            from starlette.routing import Match

            return Match.FULL, {}

    app = PlainTextResponse("x")
    app.routes = [Endless()]
    get(TraceMiddleware(app), "/x")
    assert spans.names == ["GET"]


def test_routes_of_another_framework_are_not_asked(spans, caplog):
    app = PlainTextResponse("x")
    app.routes = ["not", "starlette"]
    get(TraceMiddleware(app), "/x")
    assert spans.names == ["GET"]
    assert not [r for r in caplog.records if r.name == "throughline_tracing"]


def test_tracing_that_fails_fails_no_request(caplog):
    app = TraceMiddleware(PlainTextResponse("x"), route=lambda scope: 1 / 0)
    assert get(app, "/x", **REMOTE).text == "x"
    assert [r.getMessage() for r in caplog.records if r.name == "throughline_tracing"] == [
        "starting the span of a request"
    ]
