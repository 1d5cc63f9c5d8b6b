"""Trace on Flask views, with and without a server span around them."""

import pytest
from flask import Flask
from flask.views import MethodView
from opentelemetry import trace as api
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.trace import SpanKind

from throughline_tracing import Trace
from throughline_tracing.flask import trace_app

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}


@Trace
class Service:
    def get(self):
        return "got"


@pytest.fixture
def app():
    app = Flask(__name__)
    service = Service()

    @app.get("/on")
    @Trace(name="view")
    def on():
        return service.get()

    @app.get("/off")
    @Trace(disable_tracing=True)
    def off():
        assert not api.get_current_span().is_recording()
        return service.get()

    class Methods(MethodView):
        @Trace(name="Methods.get")
        def get(self):
            return service.get()

    app.add_url_rule("/methods", view_func=Methods.as_view("methods"))
    return app


def test_under_flask_instrumentor_it_is_the_server_spans_child(spans, app):
    instrumentor = FlaskInstrumentor()
    instrumentor.instrument_app(app, tracer_provider=spans.provider)
    try:
        assert app.test_client().get("/on", headers=HEADERS).text == "got"
    finally:
        instrumentor.uninstrument_app(app)
    spans.assert_tree("""
        GET /on [server] (remote parent)
          view
            Service.get
    """)
    assert {f"{span.context.trace_id:032x}" for span in spans.spans} == {TRACE_ID}


def test_under_flask_instrumentor_a_disabled_view_records_only_the_server_span(spans, app):
    instrumentor = FlaskInstrumentor()
    instrumentor.instrument_app(app, tracer_provider=spans.provider)
    try:
        app.test_client().get("/off")
    finally:
        instrumentor.uninstrument_app(app)
    spans.assert_tree("GET /off [server]")


def test_under_our_middleware(spans, app):
    client = trace_app(app).test_client()
    client.get("/on", headers=HEADERS)
    client.get("/methods")
    spans.assert_tree("""
        GET /on [server] (remote parent)
          view
            Service.get

        GET /methods [server]
          Methods.get
            Service.get
    """)
    assert sum(span.kind is SpanKind.SERVER for span in spans.spans) == 2


def test_a_disabled_view_disables_its_request_and_no_other(spans, app):
    client = trace_app(app).test_client()
    for path in ("/on", "/off", "/on", "/off"):
        assert client.get(path, headers=HEADERS).text == "got"
    assert spans.names == ["Service.get", "view", "GET /on"] * 2


def test_without_any_server_span_views_are_roots(spans, app):
    app.test_client().get("/on")
    spans.assert_tree("view\n  Service.get")
