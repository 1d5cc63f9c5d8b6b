"""OTEL_CONFIG_FILE: the file decides alone, and what it makes is as robust as ever."""

import json
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from processes import run_python
from receiver import Receiver
from throughline_tracing import OTLPProvider
from throughline_tracing.exceptions import ConfigurationError

CASES = json.loads(
    (Path(__file__).parents[3] / "testdata" / "contracts" / "config-files.json").read_text()
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("OTEL_", "TRACING_")):
            monkeypatch.delenv(name)


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file and name it in the environment."""

    def write(text, name="otel.yaml"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        monkeypatch.setenv("OTEL_CONFIG_FILE", str(path))
        return path

    return write


def record(provider, name="work"):
    provider.provider.get_tracer("test").start_span(name).end()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_contract(case, receiver, write, monkeypatch):
    """The cases the Go package answers as well."""
    path = write(case["file"])
    monkeypatch.setenv("ENDPOINT", receiver.http_url)
    for name, value in case.get("environ", {}).items():
        monkeypatch.setenv(name, value)
    if case.get("error"):
        with pytest.raises(ConfigurationError, match="OTEL_CONFIG_FILE") as caught:
            OTLPProvider("ignored")
        assert str(path) in str(caught.value)
        return
    want = case["want"]
    provider = OTLPProvider("ignored")
    record(provider)
    assert provider.shutdown()
    assert (
        [s.service for s in receiver.spans] == [want["service"]] * want["spans"]
        if want["spans"]
        else not receiver.spans
    )
    assert sorted(provider._config_file.propagator().fields) == want["fields"]
    for request in receiver.requests:
        assert want.get("headers", {}).items() <= request.items()
        assert not request.keys() & set(want.get("absent", ()))


FILE = """
    file_format: "1.0"
    resource:
      attributes:
        - name: service.name
          value: of-the-file
    propagator:
      composite_list: tracecontext
    tracer_provider:
      processors:
        - batch:
            schedule_delay: 60000
            exporter:
              {exporter}
"""


def otlp(kind, endpoint, **more):
    return FILE.format(exporter=json.dumps({kind: {"endpoint": endpoint} | more}))


def test_a_file_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigurationError, match=r"none\.yaml.*not found"):
        OTLPProvider("svc")


def test_a_blank_name_is_none(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_CONFIG_FILE", " ")
    provider = OTLPProvider("svc", receiver.grpc_address)
    record(provider)
    assert provider.shutdown()
    assert receiver.spans[0].service == "svc"


def test_the_package_is_named_that_is_missing(write, monkeypatch):
    write("")
    monkeypatch.setitem(sys.modules, "opentelemetry.configuration", None)
    with pytest.raises(ConfigurationError, match=r"throughline-tracing\[config\]"):
        OTLPProvider("svc")


@pytest.mark.parametrize("backend", ["argument", "variable", "neither"])
def test_a_backend_beside_the_file_is_said_to_be_ignored(write, monkeypatch, caplog, backend):
    write('file_format: "1.0"')
    if backend == "variable":
        monkeypatch.setenv("TRACING_BACKEND_URL", "localhost:1")
    OTLPProvider("svc", "localhost:1" if backend == "argument" else None).shutdown()
    said = [r.getMessage() for r in caplog.records if r.name == "throughline_tracing"]
    assert said == ["TRACING_BACKEND_URL is ignored, because OTEL_CONFIG_FILE is set"] * (
        backend != "neither"
    )


def test_each_exporter(receiver, write, monkeypatch):
    """gRPC, HTTP with protobuf and with JSON, each with its headers and none of the environment."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-leak=1,content-type=x")
    headers = [{"name": "X-Team", "value": "core"}]
    for kind, endpoint, more in (
        ("otlp_grpc", f"http://{receiver.grpc_address}", {}),
        ("otlp_grpc", receiver.grpc_address, {"tls": {"insecure": True}}),
        ("otlp_http", receiver.http_url, {"compression": "deflate"}),
        ("otlp_http", receiver.http_url, {"encoding": "json", "compression": "gzip"}),
    ):
        for given in (headers, []):
            write(otlp(kind, endpoint, **more, **({"headers": given} if given else {})))
            provider = OTLPProvider("svc")
            record(provider)
            assert provider.shutdown(), (kind, more)
            (request,) = receiver.requests
            assert request.get("x-team") == ("core" if given else None)
            assert "x-leak" not in request
            if kind == "otlp_http":
                wanted = "application/json" if "encoding" in more else "application/x-protobuf"
                assert request["content-type"] == wanted
                assert request["content-encoding"] == more["compression"]
            assert len(receiver.spans) == 1
            receiver.clear()


def test_one_at_a_time_and_to_the_console(receiver, write):
    path = write(
        FILE.format(exporter="{console: }")
        + f"""
        - simple:
            exporter:
              otlp_http:
                endpoint: {receiver.http_url}
        - simple:
            exporter:
              console:
"""
    )
    done = run_python(PROGRAM.replace("{end}", ""), OTEL_CONFIG_FILE=str(path))
    assert len(receiver.spans) == 1
    assert done.stdout.count('"name": "work"') == 2


def test_tls(write, monkeypatch, tmp_path):
    """Certificates of the file count, those of the environment do not."""
    import ssl

    import grpc
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = authority.issue_cert("localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.configure_cert(tls)
    chain = b"".join(pem.bytes() for pem in server.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(server.private_key_pem.bytes(), chain)])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))
    with Receiver(None, tls, credentials) as receiver:
        for kind, port in (("otlp_grpc", receiver.grpc_port), ("otlp_http", receiver.http_port)):
            for trusted in (True, False):
                more = {"tls": {"ca_file": str(tmp_path / "ca.pem")}} if trusted else {}
                path = "" if kind == "otlp_grpc" else "/v1/traces"
                write(otlp(kind, f"https://localhost:{port}{path}", timeout=1000, **more))
                provider = OTLPProvider("svc")
                record(provider)
                assert provider.shutdown() == trusted, (kind, trusted)
                assert len(receiver.spans) == trusted
                receiver.clear()


def test_what_a_dead_backend_did_not_get_is_counted(write, caplog):
    write(otlp("otlp_grpc", "http://127.0.0.1:1", timeout=50))
    provider = OTLPProvider("svc")
    record(provider)
    assert not provider.shutdown()
    assert (provider.dropped_spans, provider.exported_spans) == (1, 0)
    assert "1 span dropped" in caplog.text


@pytest.mark.parametrize(
    ("exporter", "error"),
    [
        ({"otlp_http": {"endpoint": "localhost:4318"}}, "is not an http or https URL"),
        ({"otlp_grpc": {"endpoint": "ftp://x"}}, "scheme"),
        ({"otlp_grpc": {"compression": "deflate"}}, "compression"),
        ({"otlp_http": {"headers_list": "s3cret"}}, "header"),
    ],
)
def test_values_that_mean_nothing(write, exporter, error):
    write(FILE.format(exporter=json.dumps(exporter)))
    with pytest.raises(ConfigurationError, match=error) as caught:
        OTLPProvider("svc")
    assert "s3cret" not in str(caught.value)


PROGRAM = """
    import os, signal, sys
    from opentelemetry import metrics, propagate, trace
    from throughline_tracing import Trace, configure
    from throughline_tracing._propagation import TraceContextPropagator

    configure("ignored")
    strict, = propagate.get_global_textmap()._propagators
    assert type(strict) is TraceContextPropagator

    @Trace
    def work(): pass

    work()
    {end}
"""


@pytest.mark.parametrize(
    ("end", "status", "count"),
    [
        ("", 0, 1),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, 1),
        (
            "pid = os.fork()\n    work()\n    if not pid: os._exit(0)\n    os.waitpid(pid, 0)",
            0,
            3,
        ),
    ],
    ids=["exit", "SIGTERM", "fork"],
)
@pytest.mark.parametrize("kind", ["otlp_grpc", "otlp_http"])
def test_ways_to_end(receiver, write, kind, end, status, count):
    """The last spans come, in parent and child, whatever else the environment says."""
    url = receiver.http_url if kind == "otlp_http" else f"http://{receiver.grpc_address}"
    path = write(otlp(kind, url))
    done = run_python(
        PROGRAM.replace("{end}", end),
        check=False,
        OTEL_CONFIG_FILE=str(path),
        OTEL_SDK_DISABLED="true",
        OTEL_PROPAGATORS="b3",
    )
    assert done.returncode == status, done.stderr
    assert len(receiver.wait(count)) == count
    assert {s.service for s in receiver.spans} == {"of-the-file"}


def test_metrics_of_the_file_are_installed(write):
    path = write(
        """
        file_format: "1.0"
        meter_provider:
          readers:
            - periodic:
                exporter:
                  console:
        """
    )
    done = run_python(
        """
        from opentelemetry import metrics, propagate, trace
        from throughline_tracing import configure

        configure()
        metrics.get_meter("m").create_counter("c").add(1)
        assert not trace.get_tracer("t").start_span("s").is_recording()
        assert not propagate.get_global_textmap().fields
        """,
        OTEL_CONFIG_FILE=str(path),
    )
    assert '"name": "c"' in done.stdout


def test_limits_and_ids_are_those_of_the_file(write, monkeypatch):
    """What the file leaves out has the specification's default, not the environment's value."""
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "1")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=of-the-environment")
    write(
        """
        file_format: "1.0"
        attribute_limits:
          attribute_value_length_limit: 3
        tracer_provider:
          processors:
            - simple:
                exporter:
                  console:
          limits:
            attribute_count_limit: 2
        """
    )
    provider = OTLPProvider("svc", resource_attributes={"team": "of-the-code"})
    span = provider.provider.get_tracer("t").start_span(
        "s", attributes={"a": "12345", "b": 1, "c": 2}
    )
    for _ in range(3):
        span.add_event("e")
    assert (len(span.attributes), len(span.events)) == (2, 3)
    assert "12345" not in span.attributes.values()
    assert "team" not in span.resource.attributes
    assert span.resource.attributes["service.name"].startswith("unknown_service")
    provider.shutdown()


def test_what_a_plugin_raises_is_told(write):
    write(FILE.format(exporter="{carrier: {}}"))
    with pytest.raises(ConfigurationError, match=r"OTEL_CONFIG_FILE.*carrier"):
        OTLPProvider("svc")


def test_configure_tells_all_faults_of_the_file(write):
    path = write('file_format: "1.0"\npropagator: {composite_list: "pigeon,smoke"}\n')
    done = run_python(
        """
        from throughline_tracing import configure
        from throughline_tracing.exceptions import ConfigurationError
        try:
            configure()
        except ConfigurationError as error:
            print(len(error.faults), error)
        """,
        OTEL_CONFIG_FILE=str(path),
    )
    assert done.stdout.startswith("2 ")
    assert "pigeon" in done.stdout
    assert str(path) in done.stdout
