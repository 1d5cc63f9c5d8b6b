"""The Flask middleware: names, attributes, errors, bodies, switched-off views, its neighbours."""

import io
import logging

import pytest
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    jsonify,
    request,
    send_file,
    stream_with_context,
)
from flask.views import MethodView
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from throughline_tracing import Trace
from throughline_tracing._propagation import TraceContextPropagator
from throughline_tracing.flask import trace_app
from throughline_tracing.testing import capture

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
REMOTE = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1,b@@=2"}


@pytest.fixture(autouse=True)
def strict_propagator():
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(TraceContextPropagator())
    yield
    propagate.set_global_textmap(before)


def downstream():
    """Return the headers a call made here would carry."""
    carrier = {}
    propagate.inject(carrier)
    return carrier


@Trace
def inner():
    return downstream()


@pytest.fixture
def app():
    app = trace_app(Flask(__name__), excluded={"/healthz"})

    @app.get("/articles/<article_id>")
    def article(article_id):
        inner()
        return article_id

    @app.get("/healthz")
    def healthz():
        return jsonify(inner())

    @app.get("/off")
    @Trace(disable_tracing=True)
    def off():
        return jsonify(inner())

    @app.get("/fail")
    def fail():
        raise KeyError("broken")

    @app.get("/status/<int:code>")
    def status(code):
        abort(code)

    @app.get("/stream")
    def stream():
        def body():
            for n in range(3):
                with Trace(f"chunk {n}"):
                    yield str(n)

        return Response(stream_with_context(body()))

    return app


def test_name_kind_and_attributes(spans, app):
    app.test_client().get(
        "/articles/7?page=2&token=secret", headers=REMOTE | {"user-agent": "test"}
    )
    spans.assert_tree("""
        GET /articles/<article_id> [server] (remote parent)
          inner
    """)
    server = spans.one("GET /articles/<article_id>")
    assert dict(server.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/articles/<article_id>",
        "url.scheme": "http",
        "url.path": "/articles/7",
        "url.query": "page=2&token=REDACTED",
        "server.address": "localhost",
        "server.port": 80,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "test",
    }
    assert server.status.status_code is StatusCode.UNSET
    assert server.instrumentation_scope.name == "throughline_tracing.flask"
    assert server.instrumentation_scope.version
    assert f"{server.parent.span_id:016x}" == PARENT
    assert server.context.trace_state.to_header() == "a=1,b@@=2"


def test_p13_names_are_few(spans, app):
    """P13: a hundred ids give one name, a hundred unknown paths another."""
    client = app.test_client()
    for n in range(100):
        client.get(f"/articles/{n}")
        client.get(f"/unknown/{n}.php?x=1")
    assert {s.name for s in spans.spans if s.kind is SpanKind.SERVER} == {
        "GET /articles/<article_id>",
        "GET",
    }


def test_unmatched_and_unknown(spans, app):
    client = app.test_client()
    client.get("/nope")
    client.post("/articles/1")
    client.open("/articles/1", method="BREW")
    assert [(s.name, s.attributes["http.response.status_code"]) for s in spans.spans] == [
        ("GET", 404),
        ("POST", 405),
        ("HTTP", 405),
    ]
    last = spans.spans[-1].attributes
    assert (last["http.request.method"], last["http.request.method_original"]) == ("_OTHER", "BREW")
    assert all(s.status.status_code is StatusCode.UNSET for s in spans.spans)


@pytest.mark.parametrize(("code", "error"), [(400, False), (404, False), (500, True), (503, True)])
def test_status(spans, app, code, error):
    app.test_client().get(f"/status/{code}")
    (span,) = spans.spans
    assert span.attributes["http.response.status_code"] == code
    assert span.status.is_ok is not error
    assert span.attributes.get("error.type") == (str(code) if error else None)
    assert span.status.description is None


@pytest.mark.parametrize("propagate_exceptions", [True, False])
def test_an_unhandled_exception(spans, app, propagate_exceptions):
    app.config["PROPAGATE_EXCEPTIONS"] = propagate_exceptions
    client = app.test_client()
    if propagate_exceptions:
        with pytest.raises(KeyError):
            client.get("/fail")
    else:
        assert client.get("/fail").status_code == 500
    (span,) = spans.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "KeyError"
    assert [e.name for e in span.events] == ["exception"]
    assert span.attributes.get("http.response.status_code") == (
        None if propagate_exceptions else 500
    )


def test_a_handled_exception_is_not_an_error(spans, app):
    app.register_error_handler(KeyError, lambda error: ("sorry", 409))
    app.test_client().get("/fail")
    (span,) = spans.spans
    assert (span.attributes["http.response.status_code"], span.status.is_ok) == (409, True)


def test_an_error_in_after_request(spans, app):
    @app.after_request
    def broken(response):
        raise RuntimeError("late")

    app.config["PROPAGATE_EXCEPTIONS"] = False
    response = app.test_client().get("/articles/1")
    assert response.status_code == 500
    response.close()
    server = spans.one("GET /articles/<article_id>")
    assert server.attributes["error.type"] == "RuntimeError"


def test_an_error_before_routing(spans, app):
    """Even a request that fails before any of our hooks gets a span."""
    app.config["PROPAGATE_EXCEPTIONS"] = True

    class Broken:
        def open_session(self, app, request):
            raise OSError("no session")

    app.session_interface = Broken()
    with pytest.raises(OSError):
        app.test_client().get("/articles/1", headers=REMOTE)
    (span,) = spans.spans
    assert (span.name, span.attributes["error.type"]) == ("GET", "OSError")
    assert f"{span.context.trace_id:032x}" == TRACE


def test_p9_everything_of_a_request_is_one_trace(spans, app):
    """P9: a hook before the request and two calls in the view have one parent."""
    app.before_request(Trace(name="hook")(lambda: None))
    app.test_client().get("/articles/1", headers=REMOTE)
    spans.assert_tree("""
        GET /articles/<article_id> [server] (remote parent)
          hook
          inner
    """)


def test_p10_a_streamed_body(spans, app):
    """P10: the span lasts as long as the body, and chunks are its children."""
    response = app.test_client().get("/stream", headers=REMOTE)
    assert "GET /stream" not in spans.names
    assert response.text == "012"
    spans.assert_tree("""
        GET /stream [server] (remote parent)
          chunk 0
          chunk 1
          chunk 2
    """)
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_streamed_body_that_is_not_read_to_its_end(spans, app):
    response = app.test_client().get("/stream")
    chunks = response.iter_encoded()
    assert next(chunks) == b"0"
    response.close()
    assert spans.names[-1] == "GET /stream"
    assert len(spans.one("GET /stream").events) == 0


def test_a_streamed_body_that_fails(spans, app):
    @app.get("/breaks")
    def breaks():
        def body():
            yield b"0"
            raise ConnectionError("gone")

        return Response(body())

    response = app.test_client().get("/breaks")
    with pytest.raises(ConnectionError):
        _ = response.data
    assert spans.one("GET /breaks").attributes["error.type"] == "ConnectionError"


def test_a_body_whose_close_fails(spans, app):
    @app.get("/breaks")
    def breaks():
        response = Response(iter([b"0"]))
        response.call_on_close(lambda: 1 / 0)
        return response

    body = app.wsgi_app(environ("/breaks"), lambda *_: None)
    next(iter(body))
    with pytest.raises(ZeroDivisionError):
        body.close()
    assert spans.one("GET /breaks").attributes["error.type"] == "ZeroDivisionError"


def test_a_body_that_is_thrown_away(spans, app):
    body = app.wsgi_app(environ("/stream"), lambda *_: None)
    assert spans.names == []
    del body
    assert spans.names == ["GET /stream"]


def environ(path, **more):
    from werkzeug.test import create_environ

    return create_environ(path) | more


class FileWrapper:
    """A server's own: it is told from a copy by its class."""

    def __init__(self, file, size=8192):
        self.file = file
        self.closed = 0

    def __iter__(self):
        return iter(self.file.read, b"")

    def close(self):
        self.closed += 1
        self.file.close()


class Closeless:
    """What has no close of its own gets one."""

    def __init__(self, file):
        self.file = file

    def __iter__(self):
        return iter(self.file.read, b"")


class Sealed(FileWrapper):
    __slots__ = ("file", "closed")
    close = property(lambda self: lambda: None)


def test_a_file_keeps_the_servers_wrapper(spans, app):
    """What the server can send without copying is left as it is, and ends the span when closed."""
    app.add_url_rule(
        "/file", view_func=lambda: send_file(io.BytesIO(b"data"), mimetype="text/plain")
    )
    app.add_url_rule(
        "/raw",
        "raw",
        lambda: Response(
            request.environ["wsgi.file_wrapper"](io.BytesIO(b"data")), direct_passthrough=True
        ),
    )
    body = app.wsgi_app(environ("/raw", **{"wsgi.file_wrapper": FileWrapper}), lambda *_: None)
    assert isinstance(body, FileWrapper)
    assert spans.names == []
    body.close()
    assert spans.names == ["GET /raw"]
    assert body.closed == 1
    body = app.wsgi_app(environ("/raw", **{"wsgi.file_wrapper": Sealed}), lambda *_: None)
    assert isinstance(body, Sealed)
    assert spans.names == ["GET /raw"] * 2
    body = app.wsgi_app(environ("/raw", **{"wsgi.file_wrapper": Closeless}), lambda *_: None)
    assert isinstance(body, Closeless)
    body.close()
    assert spans.names == ["GET /raw"] * 3
    assert app.test_client().get("/file").data == b"data"
    assert spans.names[-1] == "GET /file"


@pytest.mark.parametrize("path", ["/off", "/healthz"])
def test_a_view_that_is_switched_off(spans, app, path):
    """Nothing is recorded, and the caller's headers go on as they came; none, where none came."""
    app.before_request(Trace(name="hook")(lambda: None))
    client = app.test_client()
    assert client.get(path, headers=REMOTE).json == REMOTE
    assert client.get(path).json == {}
    assert spans.names == []
    client.get("/articles/1")
    assert spans.names == ["hook", "inner", "GET /articles/<article_id>"]


def test_a_streamed_body_of_a_view_that_is_switched_off(spans, app):
    @app.get("/off/stream")
    @Trace(disable_tracing=True)
    def off_stream():
        return Response(iter(lambda: (inner(), None)[1], None))

    response = app.test_client().get("/off/stream", headers=REMOTE)
    assert response.data == b""
    assert spans.names == []


def test_class_based_views(spans, app):
    class Items(MethodView):
        def get(self):
            return "on"

        @Trace(disable_tracing=True)
        def post(self):
            return jsonify(inner())

    app.add_url_rule("/items", view_func=Items.as_view("items"))
    client = app.test_client()
    client.get("/items")
    assert client.post("/items", headers=REMOTE).json == REMOTE
    assert spans.names == ["GET /items"]


def test_a_view_that_is_replaced(spans, app):
    client = app.test_client()
    client.get("/off")
    app.view_functions["off"] = lambda: "on"
    client.get("/off")
    assert spans.names == ["GET /off"]


def test_blueprints_and_mounts(spans):
    """The route has the prefixes of blueprint and mount point."""
    app = trace_app(Flask(__name__))
    blueprint = Blueprint("b", __name__, url_prefix="/b")
    blueprint.add_url_rule("/<int:n>", "n", lambda n: str(n))
    app.register_blueprint(blueprint)
    outer = DispatcherMiddleware(Flask("outer"), {"/mounted": app})
    assert Client(outer).get("/mounted/b/1").data == b"1"
    span = spans.one("GET /mounted/b/<int:n>")
    assert span.attributes["url.path"] == "/mounted/b/1"


def test_an_application_within_another_is_one_server_span(spans, app):
    nested = trace_app(Flask("nested"))

    @nested.get("/<path:rest>")
    def forward(rest):
        return Response.from_app(app.wsgi_app, environ("/articles/1"))

    nested.test_client().get("/x")
    spans.assert_tree("""
        GET /<path:rest> [server]
          inner
    """)


@pytest.mark.parametrize("order", ["before", "after"])
def test_p11_under_flask_instrumentor(spans, app, order):
    """P11: one server span, FlaskInstrumentor's, whichever came first; Trace's are its children."""
    app = Flask(__name__)
    if order == "before":
        FlaskInstrumentor().instrument_app(app, tracer_provider=spans.provider)
    trace_app(app)
    if order == "after":
        FlaskInstrumentor().instrument_app(app, tracer_provider=spans.provider)
    app.add_url_rule("/x", view_func=lambda: jsonify(inner()), endpoint="x")
    app.add_url_rule(
        "/off", view_func=Trace(disable_tracing=True)(lambda: jsonify(inner())), endpoint="off"
    )
    app.test_client().get("/x", headers=REMOTE)
    spans.assert_tree("""
        GET /x [server] (remote parent)
          inner
    """)
    assert spans.one("GET /x").instrumentation_scope.name.endswith("instrumentation.flask")
    if order == "after":  # where its hook runs before ours, its span has begun
        spans.clear()
        assert app.test_client().get("/off", headers=REMOTE).json == REMOTE
        assert spans.names == []


def test_p11_under_a_span_that_is_active(spans, app):
    """P11: a local span without headers is the parent; a local server span is the only one."""
    tracer = spans.provider.get_tracer("test")
    with tracer.start_as_current_span("local"):
        app.test_client().get("/articles/1")
    spans.assert_tree("""
        local
          GET /articles/<article_id> [server]
            inner
    """)
    spans.clear()
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER):
        app.test_client().get("/articles/1", headers=REMOTE)
    spans.assert_tree("""
        outer [server]
          inner
    """)


def test_unsampled(app):
    """The caller's decision holds: nothing recorded, and the flag goes on."""
    with capture(sampler=ParentBased(ALWAYS_ON)) as spans:
        seen = []
        app.before_request(lambda: seen.append(downstream()["traceparent"]))
        app.test_client().get("/articles/1", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
        assert seen[0].startswith(f"00-{TRACE}-")
        assert seen[0].endswith("-00")
        assert spans.names == []


def test_without_a_provider(app):
    """With the API alone the caller's trace is passed on, and requests are answered."""
    seen = []
    app.before_request(lambda: seen.append(downstream()))
    assert app.test_client().get("/articles/1", headers=REMOTE).text == "1"
    assert seen == [REMOTE]


def test_a_provider_of_its_own(spans):
    with capture() as other:
        app = trace_app(Flask("own"), tracer_provider=spans.provider)
        app.add_url_rule("/", view_func=lambda: "")
        app.test_client().get("/")
        assert other.names == []
    assert spans.names == ["GET /"]


def test_server_timing(spans):
    app = trace_app(Flask("timing"), server_timing=True)
    app.add_url_rule("/", view_func=lambda: "")
    response = app.test_client().get("/")
    context = spans.one("GET /").context
    assert response.headers["server-timing"] == (
        f"trace;desc=00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 3:02x}"
    )
    app.view_functions["<lambda>"] = Trace(disable_tracing=True)(lambda: "")
    assert "server-timing" not in app.test_client().get("/").headers


def test_a_second_call_changes_nothing(spans, app):
    assert trace_app(app) is app
    app.test_client().get("/articles/1")
    assert spans.names == ["inner", "GET /articles/<article_id>"]


def test_hooks_outside_of_our_wsgi_application(spans, app):
    """A request context that somebody pushes by hand is served, and is no request of a client."""
    with app.test_request_context("/articles/1"):
        assert app.full_dispatch_request().data == b"1"
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with app.test_request_context("/fail"):
        assert app.handle_exception(KeyError()).status_code == 500
    assert spans.names == ["inner"]


def test_async_views(spans, app):
    @app.get("/async")
    @Trace(name="view")
    async def view():
        return jsonify(inner())

    app.test_client().get("/async")
    spans.assert_tree("""
        GET /async [server]
          view
            inner
    """)


def test_p12_baggage_goes_on(spans, app):
    """P12: baggage that came goes out, by the propagators that are configured."""
    from throughline_tracing._propagators import read_propagators

    propagate.set_global_textmap(read_propagators({}))
    seen = []
    app.before_request(lambda: seen.append(downstream()))
    app.test_client().get("/articles/1", headers=REMOTE | {"baggage": "user=ada"})
    assert seen[0]["baggage"] == "user=ada"
    assert seen[0]["traceparent"].startswith(f"00-{TRACE}-")


def test_nothing_is_logged(spans, app, caplog):
    caplog.set_level(logging.DEBUG)
    app.test_client().get("/stream").close()
    assert [r for r in caplog.records if "opentelemetry" in r.name] == []
