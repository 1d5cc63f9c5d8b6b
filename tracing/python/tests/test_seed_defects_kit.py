"""The faults of the article's provider and of its place in a request, by their numbers.

P27 and P28, the ends of processes and forks, have files of their own: test_exit.py
and test_fork.py. Those of the service (P29, P32 to P34) are in apps/suggestions.
"""

import pytest
from flask import Flask, jsonify
from opentelemetry import baggage, propagate, trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from processes import run_python
from receiver import Receiver
from throughline_tracing import OTLPProvider, Trace
from throughline_tracing._propagators import read_propagators
from throughline_tracing.flask import trace_app

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def app():
    app = trace_app(Flask(__name__))

    @app.get("/downstream")
    @Trace()
    def downstream():
        carrier = {}
        propagate.inject(carrier)
        return jsonify(carrier | {"user": baggage.get_baggage("user")})

    app.add_url_rule("/fails", "fails", lambda: 1 / 0)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        (None, {"traceparent", "baggage"}),
        ("tracecontext,baggage,b3", {"traceparent", "baggage", "b3"}),
        ("b3multi", {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled"}),
        ("none", set()),
    ],
)
def test_p12_propagators_are_those_of_the_environment(spans, app, names, sent):
    """P12: baggage goes on, and OTEL_PROPAGATORS says in which formats the trace does."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(read_propagators({"OTEL_PROPAGATORS": names or ""}))
    try:
        got = app.test_client().get(
            "/downstream",
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "user=ada"},
        )
    finally:
        propagate.set_global_textmap(before)
    assert got.json.pop("user") == ("ada" if "baggage" in sent else None)
    assert {name.lower() for name in got.json} - {"user"} == sent


def test_p14_the_entry_is_a_server_span_by_the_conventions(spans, app):
    """P14: kind, route, status and errors are those of the semantic conventions."""
    client = app.test_client()
    for path in ("/downstream", "/nope", "/fails"):
        client.get(path)
    servers = [span for span in spans.spans if span.kind is SpanKind.SERVER]
    assert [
        (
            span.name,
            span.attributes["http.request.method"],
            span.attributes.get("http.route"),
            span.attributes["url.path"],
            span.attributes["http.response.status_code"],
            span.status.status_code,
            span.attributes.get("error.type"),
        )
        for span in servers
    ] == [
        ("GET /downstream", "GET", "/downstream", "/downstream", 200, StatusCode.UNSET, None),
        ("GET", "GET", None, "/nope", 404, StatusCode.UNSET, None),
        ("GET /fails", "GET", "/fails", "/fails", 500, StatusCode.ERROR, "ZeroDivisionError"),
    ]


def test_p24_processors_can_be_added():
    """P24: the provider is a full one; add_span_processor works."""
    memory = InMemorySpanExporter()
    provider = OTLPProvider("svc", "127.0.0.1:1")
    provider.provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.provider.get_tracer("test").start_span("work").end()
    assert [span.name for span in memory.get_finished_spans()] == ["work"]
    provider.shutdown(0.1)


def test_p25_the_resource_is_whole(monkeypatch):
    """P25: the SDK's own attributes, an instance id, and those of the environment."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    got = OTLPProvider("svc", "127.0.0.1:1").provider.resource.attributes
    assert got["service.name"] == "svc"
    assert got["deployment.environment.name"] == "test"
    assert {
        "telemetry.sdk.name",
        "telemetry.sdk.language",
        "telemetry.sdk.version",
        "service.instance.id",
    } <= got.keys()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "named")
    assert (
        OTLPProvider("svc", "127.0.0.1:1").provider.resource.attributes["service.name"] == "named"
    )


@pytest.mark.parametrize(
    ("environ", "argument"),
    [
        ({"TRACING_BACKEND_URL": "GRPC"}, "None"),
        ({"TRACING_BACKEND_URL": "HTTP"}, "None"),
        ({"TRACING_BACKEND_URL": "127.0.0.1:1"}, "'GRPC'"),
        (
            {"TRACING_BACKEND_URL": "HTTP", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
            "None",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "BASE"}, "None"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "HTTP"}, "None"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://GRPC", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "None",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "GRPC",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_INSECURE": "true",
            },
            "None",
        ),
        (
            {"TRACING_BACKEND_URL": "HOSTPORT", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "None",
        ),
        (
            {
                "TRACING_BACKEND_URL": "",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "BASE",
                "OTEL_EXPORTER_OTLP_TIMEOUT": "",
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "",
                "OTEL_EXPORTER_OTLP_COMPRESSION": "",
            },
            "None",
        ),
        (
            {
                "TRACING_BACKEND_URL": "GRPC",
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "",
                "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "",
                "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "",
            },
            "None",
        ),
    ],
)
def test_p26_every_way_to_say_where_spans_go(receiver, environ, argument):
    """P26: addresses, endpoints, protocols and headers of the environment all count."""
    places = {
        "HOSTPORT": f"127.0.0.1:{receiver.http_port}",
        "GRPC": receiver.grpc_address,
        "HTTP": receiver.http_url,
        "BASE": receiver.http_url.removesuffix("/v1/traces"),
    }
    for name, place in places.items():
        environ = {key: value.replace(name, place) for key, value in environ.items()}
        argument = argument.replace(name, place)
    run_python(
        f"from throughline_tracing import Trace, configure\nconfigure('svc', {argument})\nwith Trace('work'): pass",
        OTEL_EXPORTER_OTLP_HEADERS="x-token=t",
        **environ,
    )
    assert [span.name for span in receiver.spans] == ["work"]
    assert receiver.requests[0]["x-token"] == "t"


def test_p26_the_propagators_of_the_provider_are_left_alone():
    """P26: making a provider, as the article does, installs nothing."""
    before = trace.get_tracer_provider(), propagate.get_global_textmap()
    OTLPProvider("svc", "127.0.0.1:1").shutdown(0.1)
    assert (trace.get_tracer_provider(), propagate.get_global_textmap()) == before
