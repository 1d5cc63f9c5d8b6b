"""OTLPProvider and configure against real backends: live, dead, slow, refusing, several."""

import logging
import socket
import ssl
import threading
import time

import pytest
import trustme
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from processes import eventually, run_python
from receiver import Receiver
from throughline_tracing import Backend, OTLPProvider, suppress
from throughline_tracing.exceptions import ConfigurationError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith(("OTEL_", "TRACING_")):
            monkeypatch.delenv(name)


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def provide():
    """Make providers; they are shut down at the end."""
    made = []

    def provide(*args, **kwargs):
        kwargs.setdefault("flush_timeout", 60.0)
        made.append(OTLPProvider("svc", *args, **kwargs))
        return made[-1]

    yield provide
    for provider in made:
        provider.shutdown(0.1)


def record(provider, name="work", count=1):
    tracer = provider.provider.get_tracer("test", "1.0")
    for _ in range(count):
        tracer.start_span(name).end()


@pytest.fixture(params=["grpc", "http/protobuf", "http/json"])
def protocol(request, monkeypatch):
    """Each protocol in turn; JSON has to be asked for."""
    if request.param == "http/json":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    return request.param


def address(receiver, protocol):
    return receiver.grpc_address if protocol == "grpc" else receiver.http_url


def secure_address(receiver, protocol):
    if protocol == "grpc":
        return f"https://localhost:{receiver.grpc_port}"
    return f"https://localhost:{receiver.http_port}/v1/traces"


def test_as_in_the_article(receiver):
    provider = OTLPProvider("suggestions-service", exporter_endpoint=receiver.grpc_address)
    record(provider)
    assert provider.force_flush()
    (span,) = receiver.spans
    assert (span.service, span.name, span.scope) == ("suggestions-service", "work", "test")
    assert provider.shutdown()
    assert (provider.exported_spans, provider.dropped_spans) == (1, 0)


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_protocols(receiver, provide, monkeypatch, protocol, compression):
    if (protocol, compression) == ("grpc", "deflate"):
        pytest.skip("gRPC has none")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b")
    provider = provide(address(receiver, protocol))
    record(provider, count=3)
    assert provider.force_flush()
    assert len(receiver.spans) == 3
    assert receiver.requests[0]["x-tenant"] == "a b"
    if protocol != "grpc":
        assert receiver.requests[0].get("content-encoding", "none") == compression
        assert receiver.requests[0][":path"] == "/v1/traces"
        assert ("json" in receiver.requests[0]["content-type"]) == (protocol == "http/json")


def test_every_protocol_carries_the_same(receiver, provide, monkeypatch):
    """JSON holds what protobuf holds: ids, parents, links, events, odd numbers and text."""
    from opentelemetry.trace import Link, SpanContext, SpanKind, set_span_in_context

    got = []
    for protocol in ("grpc", "http/protobuf", "http/json"):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        provider = provide(address(receiver, protocol))
        tracer = provider.provider.get_tracer("test", "1.0")
        far = SpanContext(1, 2, is_remote=True)
        parent = tracer.start_span("parent", kind=SpanKind.CLIENT)
        attributes = {"i": 2**60, "f": float("inf"), "t": "é\u2028", "l": [1, 2], "y": b"\0\xff"}
        child = tracer.start_span(
            "child", set_span_in_context(parent), attributes=attributes, links=[Link(far)]
        )
        child.record_exception(ValueError("v"))
        child.end()
        parent.end()
        assert provider.force_flush()
        child, parent = receiver.wait(2)
        assert child.parent_span_id == parent.span_id
        assert child.links == [(f"{1:032x}", f"{2:016x}")]
        got.append(
            [
                (s.name, s.kind, s.attributes, [name for name, _ in s.events], s.flags, s.scope)
                for s in (child, parent)
            ]
        )
        assert len({child.trace_id, parent.trace_id}) == 1
        receiver.clear()
    assert got[0] == got[1] == got[2]
    assert got[2][0][2] == attributes | {"l": [1, 2]}


def test_the_resource(receiver, provide, monkeypatch):
    """The environment wins over the code, the code over the SDK's defaults."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,team=env")
    provider = provide(receiver.grpc_address, resource_attributes={"team": "code", "zone": "a"})
    got = provider.provider.resource.attributes
    assert {
        "service.name": "svc",
        "team": "env",
        "zone": "a",
        "deployment.environment.name": "prod",
    }.items() <= got.items()
    assert {"telemetry.sdk.name", "telemetry.sdk.version", "service.instance.id"} <= got.keys()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-env")
    assert provide(receiver.grpc_address).provider.resource.attributes["service.name"] == "from-env"
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=of-resource")
    assert (
        provide(receiver.grpc_address).provider.resource.attributes["service.name"] == "of-resource"
    )


def test_samplers(receiver, provide, monkeypatch):
    provider = provide(receiver.grpc_address, sampler=ALWAYS_OFF)
    record(provider)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    other = provide(receiver.grpc_address)
    record(other)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    half = provide(receiver.grpc_address)
    record(half, count=400)
    for one in (provider, other, half):
        assert one.force_flush()
    assert 100 < len(receiver.spans) < 300


def test_other_processors_can_be_added(receiver, provide):
    """P24: add_span_processor works, and what is added is flushed and stopped with the rest."""
    provider = provide(receiver.grpc_address)
    memory = InMemorySpanExporter()
    provider.provider.add_span_processor(SimpleSpanProcessor(memory))
    record(provider)
    assert provider.force_flush()
    assert len(memory.get_finished_spans()) == len(receiver.spans) == 1
    provider.shutdown()
    assert memory._stopped


def test_console():
    done = run_python(
        """
        from throughline_tracing import Trace, configure
        configure("svc")
        with Trace("work"): pass
        """,
        OTEL_TRACES_EXPORTER="console",
    )
    assert '"name": "work"' in done.stdout


def test_disabled_makes_nothing(provide, monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    threads = threading.active_count()
    provider = provide("127.0.0.1:1")
    record(provider)
    assert provider.force_flush()
    assert threading.active_count() == threads
    assert provider.exported_spans == provider.dropped_spans == 0


def test_nothing_runs_before_the_first_span(provide):
    threads = threading.active_count()
    provider = provide("127.0.0.1:1")
    assert threading.active_count() == threads
    assert provider.force_flush()
    assert provider.shutdown()


def test_suppressed(receiver, provide):
    """Other instrumentations record nothing where tracing is suppressed, and keep the trace."""
    provider = provide(receiver.grpc_address)
    tracer = provider.provider.get_tracer("test")
    remote = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    context = suppress(trace.set_span_in_context(trace.NonRecordingSpan(remote)))
    with tracer.start_as_current_span("client", context=context) as span:
        assert not span.is_recording()
        assert span.get_span_context() == remote
    assert tracer.unsuppressed.start_span("deliberate", context).is_recording()
    assert provider.provider.get_tracer("test") is tracer


def test_a_missing_package_is_named():
    done = run_python(
        """
        import sys
        sys.modules["grpc"] = None
        sys.modules["opentelemetry.exporter.otlp.proto.http"] = None
        from throughline_tracing import OTLPProvider
        from throughline_tracing.exceptions import ConfigurationError
        for address in ("a:4317", "a:4318"):
            try:
                OTLPProvider("svc", address)
            except ConfigurationError as error:
                print(error)
        """
    )
    assert "throughline-tracing[grpc]" in done.stdout
    assert "throughline-tracing[otlp]" in done.stdout


# Several backends.


def test_each_backend_has_its_own_queue_and_headers(provide):
    """One that is dead or refuses takes nothing from the others; tokens go where they belong."""
    with Receiver(token="one") as one, Receiver(token="two") as two:
        provider = provide(
            [
                Backend.parse(one.grpc_address, headers={"authorization": "Bearer one"}),
                Backend.parse(two.http_url, headers={"Authorization": "Bearer two"}),
                "127.0.0.1:1",
                Backend.parse(one.http_url, headers={"authorization": "Bearer wrong"}),
            ]
        )
        record(provider, count=10)
        one.wait()
        two.wait()
        eventually(lambda: one.refused)
        assert not provider.shutdown(1.0)
        assert len(one.spans) == len(two.spans) == 10
        assert one.refused == 1
        assert (provider.exported_spans, provider.dropped_spans) == (20, 20)


def test_a_slow_backend_delays_the_others_by_nothing(receiver, provide, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "120000")
    monkeypatch.setenv("OTEL_BSP_EXPORT_TIMEOUT", "120000")
    hole = socket.create_server(("127.0.0.1", 0))
    with hole:
        provider = provide(
            [f"127.0.0.1:{hole.getsockname()[1]}", receiver.grpc_address], flush_timeout=0.5
        )
        record(provider)
        start = time.monotonic()
        assert not provider.force_flush()
        assert 0.4 < time.monotonic() - start < 30
        receiver.wait(1)
        start = time.monotonic()
        assert not provider.shutdown(0.3)
        assert time.monotonic() - start < 30
        assert provider.dropped_spans == 1


def test_no_delay_does_not_spin(receiver):
    """OTEL_BSP_SCHEDULE_DELAY=0 exports at once, and costs nothing while there is nothing."""
    run_python(
        """
        import time
        from throughline_tracing import configure

        provider = configure("svc")
        provider.provider.get_tracer("t").start_span("s").end()
        while not provider.exported_spans:
            time.sleep(0.01)
        before = time.process_time()
        time.sleep(1)
        assert time.process_time() - before < 0.25
        """,
        OTEL_BSP_SCHEDULE_DELAY="0",
        TRACING_BACKEND_URL=receiver.http_url,
    )


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = trustme.CA()
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.path = str(folder / "ca.pem")
    authority.server = authority.issue_cert("127.0.0.1", "localhost")
    return authority


@pytest.mark.parametrize("token", ["right", "wrong"])
def test_tls_and_a_token(provide, monkeypatch, caplog, authority, protocol, token):
    """P26: an https backend with a certificate of its own that demands a token, by OTEL_* alone."""
    import grpc

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.server.configure_cert(tls)
    key = authority.server.private_key_pem.bytes()
    chain = b"".join(pem.bytes() for pem in authority.server.cert_chain_pems)
    with Receiver("right", tls, grpc.ssl_server_credentials([(key, chain)])) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.path)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization=Bearer%20{token}")
        monkeypatch.setenv("TRACING_BACKEND_URL", secure_address(receiver, protocol))
        provider = provide()
        record(provider)
        provider.force_flush()
        assert len(receiver.spans) == (token == "right")
        assert receiver.refused == (token == "wrong")
        assert provider.dropped_spans == (token == "wrong")
    assert token not in caplog.text


def test_an_untrusted_certificate_is_refused(provide, monkeypatch, authority, protocol):
    import grpc

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.server.configure_cert(tls)
    key = authority.server.private_key_pem.bytes()
    chain = b"".join(pem.bytes() for pem in authority.server.cert_chain_pems)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
    with Receiver(None, tls, grpc.ssl_server_credentials([(key, chain)])) as receiver:
        provider = provide(secure_address(receiver, protocol))
        record(provider)
        provider.shutdown(2.0)
        assert receiver.spans == []
        assert provider.dropped_spans == 1


def test_a_client_certificate(provide, monkeypatch, authority, protocol, tmp_path):
    """The client proves who it is, over each protocol."""
    import grpc

    client = authority.issue_cert("client@example.com")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(tmp_path / "key.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_verify_locations(authority.path)
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.server.configure_cert(tls)
    key = authority.server.private_key_pem.bytes()
    chain = b"".join(pem.bytes() for pem in authority.server.cert_chain_pems)
    credentials = grpc.ssl_server_credentials(
        [(key, chain)], authority.cert_pem.bytes(), require_client_auth=True
    )
    with Receiver(None, tls, credentials) as receiver:
        provider = provide(secure_address(receiver, protocol))
        record(provider)
        assert provider.force_flush()
        assert len(receiver.spans) == 1


# What goes wrong is counted and said once.


def complaints(caplog):
    return [
        r.getMessage()
        for r in caplog.records
        if r.name.startswith(("throughline", "opentelemetry"))
    ]


@pytest.mark.parametrize(
    ("target", "timeout"), [("127.0.0.1:1", "50"), ("http://127.0.0.1:1/v1/traces", "1300")]
)
def test_a_dead_backend_is_said_once(provide, monkeypatch, caplog, target, timeout):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", timeout)
    provider = provide(target)
    for count in (4, 16):
        record(provider, count=count)
        provider.force_flush()
    (line,) = complaints(caplog)
    assert line.startswith(f"tracing backend {target}: 4 spans dropped, 4 in all (")
    assert "refused" in line.lower()
    assert provider.dropped_spans == 20
    provider.shutdown()
    assert len(complaints(caplog)) == 2
    assert "16 spans dropped, 20 in all" in complaints(caplog)[1]


def test_the_pause_grows_and_recovery_is_said(provide, receiver, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    receiver.token = "t"
    now = [1000.0]
    monkeypatch.setattr("throughline_tracing._report.time.monotonic", lambda: now[0])
    provider = provide(receiver.http_url)

    def fails():
        before = len(complaints(caplog))
        record(provider)
        provider.force_flush()
        return complaints(caplog)[before:]

    assert len(fails()) == 1
    assert fails() == []
    now[0] += 61
    assert len(fails()) == 1
    now[0] += 61
    assert fails() == []
    now[0] += 61
    assert len(fails()) == 1
    receiver.token = None
    assert fails() == [f"tracing backend {receiver.http_url} takes spans again; 5 were dropped"]
    assert fails() == []
    receiver.token = "t"
    now[0] += 3600 * 3
    assert "not said again for 60 s" in fails()[0]


def test_a_full_queue_drops_the_newest(provide, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
    hole = socket.create_server(("127.0.0.1", 0))
    with hole:
        provider = provide(f"127.0.0.1:{hole.getsockname()[1]}")
        record(provider, count=10)
        hole.accept()  # the first batch is under way
        start = time.perf_counter()
        record(provider, count=1010)
        assert time.perf_counter() - start < 5.0
        assert 1000 <= provider.dropped_spans <= 1010
        provider.shutdown(0.1)
        assert provider.dropped_spans == 1020


def test_a_signal_that_interrupts_the_counting_of_a_dropped_span(provide, receiver):
    """A handler that shuts down waits for no lock that the interrupted thread holds."""
    provider = provide(receiver.grpc_address)
    record(provider, count=600)
    (queue,) = provider._queues
    with queue.report._lock:
        assert provider.shutdown(60)
    assert len(receiver.spans) == 600


def test_full_batches_go_at_once(provide, receiver, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    provider = provide(receiver.grpc_address)
    record(provider, count=512)
    receiver.wait(512)


def test_the_delay(provide, receiver, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    record(provide(receiver.grpc_address))
    receiver.wait(1)


def test_after_shutdown_spans_are_counted_as_dropped(provide, receiver):
    provider = provide(receiver.grpc_address)
    record(provider)
    assert provider.shutdown()
    record(provider)
    assert provider.dropped_spans == 1
    assert provider.shutdown() is False
    assert provider.force_flush()
    assert len(receiver.spans) == 1


def test_an_exporter_that_raises_is_survived(provide, receiver, caplog):
    provider = provide(receiver.grpc_address)
    (queue,) = provider._queues

    def broken():
        raise RuntimeError("no exporter today")

    queue._make_exporter = broken
    record(provider)
    assert provider.force_flush()
    assert "RuntimeError: no exporter today" in caplog.text
    assert provider.dropped_spans == 1


def test_what_is_recorded_and_not_sampled_is_not_exported(provide, receiver):
    from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

    class RecordOnly(Sampler):
        def should_sample(self, *args, **kwargs):
            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self):
            return "record only"

    provider = provide(receiver.grpc_address, sampler=RecordOnly())
    record(provider)
    assert provider.force_flush()
    assert (receiver.spans, provider.dropped_spans) == ([], 0)


def test_a_thread_that_cannot_be_started_is_started_later(provide, receiver, monkeypatch):
    provider = provide(receiver.grpc_address)
    (queue,) = provider._queues

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        record(provider)
    with queue._starting:  # another thread is about to start it
        record(provider)
    assert queue.force_flush(5000)
    assert len(receiver.spans) == 2


def test_what_exporters_say_elsewhere_is_left_alone(caplog):
    logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter").warning("not of ours")
    assert "not of ours" in caplog.text


def test_ending_spans_from_many_threads(provide, receiver):
    provider = provide(receiver.grpc_address)
    threads = [threading.Thread(target=record, args=(provider, "t", 100)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.force_flush()
    assert len({s.span_id for s in receiver.spans}) == 800


# configure

CONFIGURE = """
from opentelemetry import propagate, trace
from throughline_tracing import Trace, configure
"""


def test_configure_installs_provider_and_propagators(receiver):
    done = run_python(
        CONFIGURE
        + """
import logging
logging.basicConfig()
provider = configure("svc")
assert trace.get_tracer_provider() is provider.provider
assert propagate.get_global_textmap().fields == {"traceparent", "tracestate", "b3"}
assert configure("other") is provider
with Trace("work"):
    pass
""",
        TRACING_BACKEND_URL=receiver.grpc_address,
        OTEL_PROPAGATORS="tracecontext,b3",
    )
    assert "configure was called again" in done.stderr
    assert [s.service for s in receiver.spans] == ["svc"]


def test_configure_without_a_name(receiver):
    run_python(
        CONFIGURE + "configure()\nwith Trace('w'): pass", TRACING_BACKEND_URL=receiver.grpc_address
    )
    assert [s.service for s in receiver.spans] == ["unknown_service"]


def test_configure_tells_all_faults_and_installs_nothing():
    done = run_python(
        """
        import os
        from opentelemetry import trace
        from throughline_tracing import configure
        from throughline_tracing.exceptions import ConfigurationError
        for _ in range(2):
            try:
                configure("svc")
            except ConfigurationError as error:
                print(len(error.faults))
        assert os.environ["OTEL_PROPAGATORS"] == "pigeon"
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        os.environ["TRACING_BACKEND_URL"] = "127.0.0.1:1"
        os.environ["OTEL_TRACES_SAMPLER"] = "always_on"
        try:
            configure("svc")
        except ConfigurationError as error:
            print(error)
        """,
        TRACING_BACKEND_URL="ftp://x",
        OTEL_TRACES_SAMPLER="x",
        OTEL_PROPAGATORS="pigeon",
    )
    assert done.stdout.startswith("3\n3\nOTEL_PROPAGATORS: 'pigeon' is not installed")


def test_wrong_settings_raise(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift")
    with pytest.raises(ConfigurationError, match="thrift"):
        OTLPProvider("svc", "a:4317")
    assert isinstance(Resource.create(), Resource)
