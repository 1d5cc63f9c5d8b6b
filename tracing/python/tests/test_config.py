"""The environment variables, one by one."""

import pytest

from throughline_tracing._backend import Backend
from throughline_tracing._config import Settings
from throughline_tracing.exceptions import ConfigurationError


def read(backend_url=None, **environ):
    return Settings.read(backend_url, environ)


def endpoint(backend_url=None, **environ):
    (backend,) = read(backend_url, **environ).backends
    return backend.protocol, backend.endpoint, backend.insecure


def test_the_specified_defaults():
    assert endpoint() == ("http/protobuf", "http://localhost:4318/v1/traces", True)
    settings = read()
    assert (settings.disabled, settings.console, settings.compression) == (False, False, "none")
    assert (settings.timeout, settings.schedule_delay) == (10.0, 5.0)
    assert (settings.max_queue_size, settings.max_export_batch_size) == (2048, 512)


@pytest.mark.parametrize(
    ("environ", "want"),
    [
        ({"PROTOCOL": "grpc"}, ("grpc", "localhost:4317", True)),
        (
            {"TRACES_PROTOCOL": "grpc", "PROTOCOL": "http/protobuf"},
            ("grpc", "localhost:4317", True),
        ),
        ({"ENDPOINT": "http://c:1"}, ("http/protobuf", "http://c:1/v1/traces", True)),
        ({"ENDPOINT": "https://c/base/"}, ("http/protobuf", "https://c/base/v1/traces", False)),
        ({"TRACES_ENDPOINT": "http://c:1/x"}, ("http/protobuf", "http://c:1/x", True)),
        (
            {"TRACES_ENDPOINT": "http://t:1/t", "ENDPOINT": "http://c"},
            ("http/protobuf", "http://t:1/t", True),
        ),
        (
            {"TRACES_ENDPOINT": " ", "ENDPOINT": "http://c"},
            ("http/protobuf", "http://c/v1/traces", True),
        ),
        ({"PROTOCOL": "http/json"}, ("http/json", "http://localhost:4318/v1/traces", True)),
        (
            {"ENDPOINT": "https://c/base", "PROTOCOL": "HTTP/JSON"},
            ("http/json", "https://c/base/v1/traces", False),
        ),
        (
            {"TRACES_ENDPOINT": "http://c/x", "TRACES_PROTOCOL": "http/json"},
            ("http/json", "http://c/x", True),
        ),
        ({"ENDPOINT": "http://c:1", "PROTOCOL": "grpc"}, ("grpc", "c:1", True)),
        ({"ENDPOINT": "https://c:1", "PROTOCOL": "grpc"}, ("grpc", "c:1", False)),
        ({"ENDPOINT": "c:1", "PROTOCOL": "grpc"}, ("grpc", "c:1", False)),
        ({"ENDPOINT": "c:1", "PROTOCOL": "grpc", "INSECURE": "true"}, ("grpc", "c:1", True)),
        ({"ENDPOINT": "c:1", "PROTOCOL": "grpc", "TRACES_INSECURE": "TRUE"}, ("grpc", "c:1", True)),
    ],
)
def test_standard_endpoints(environ, want):
    assert endpoint(**{f"OTEL_EXPORTER_OTLP_{k}": v for k, v in environ.items()}) == want


def test_the_order_of_precedence():
    environ = {"TRACING_BACKEND_URL": "b:4317", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}
    assert endpoint(**environ)[1] == "b:4317"
    assert endpoint("a:4317", **environ)[1] == "a:4317"
    assert endpoint(" ", **environ)[1] == "b:4317"
    assert endpoint([], **environ)[1] == "http://c/v1/traces"
    assert endpoint(**{**environ, "TRACING_BACKEND_URL": " "})[1] == "http://c/v1/traces"


def test_protocol_wins_over_the_guess():
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "TRACING_BACKEND_URL": "b:4317"}
    assert endpoint(**environ)[:2] == ("http/protobuf", "http://b:4317/v1/traces")
    assert endpoint(["a:4317"], **environ)[1] == "http://a:4317/v1/traces"


def test_headers_for_all_and_for_one():
    settings = read(
        ["a:4317", Backend.parse("b:4317", headers={"Authorization": "Bearer b"})],
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20all,X-Tenant=t",
    )
    assert [dict(b.headers) for b in settings.backends] == [
        {"authorization": "Bearer all", "x-tenant": "t"},
        {"authorization": "Bearer b", "x-tenant": "t"},
    ]
    settings = read(OTEL_EXPORTER_OTLP_HEADERS="a=1", OTEL_EXPORTER_OTLP_TRACES_HEADERS="b=2")
    assert dict(settings.backends[0].headers) == {"b": "2"}


@pytest.mark.parametrize(
    ("value", "backends", "console"),
    [
        ("", 1, False),
        ("otlp", 1, False),
        ("none", 0, False),
        ("console", 0, True),
        ("OTLP, console", 1, True),
    ],
)
def test_exporters(value, backends, console):
    settings = read(OTEL_TRACES_EXPORTER=value)
    assert (len(settings.backends), settings.console) == (backends, console)


def test_numbers():
    settings = read(
        OTEL_EXPORTER_OTLP_TIMEOUT="2500",
        OTEL_BSP_SCHEDULE_DELAY="200",
        OTEL_BSP_MAX_QUEUE_SIZE="100",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="500",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )
    assert (settings.timeout, settings.schedule_delay) == (2.5, 0.2)
    assert (settings.max_queue_size, settings.max_export_batch_size) == (100, 100)
    assert settings.compression == "gzip"
    assert read(OTEL_BSP_EXPORT_TIMEOUT="100").timeout == 0.1
    assert (
        read(OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="7", OTEL_EXPORTER_OTLP_TIMEOUT="9").timeout == 0.007
    )


WRONG = {
    "OTEL_TRACES_EXPORTER": "zipkin",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "thrift",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/such/file",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/no/such/file",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "10s",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd",
    "OTEL_BSP_SCHEDULE_DELAY": "nan",
    "OTEL_BSP_EXPORT_TIMEOUT": "-1",
    "OTEL_BSP_MAX_QUEUE_SIZE": "0",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1.5",
    "OTEL_TRACES_SAMPLER": "sometimes",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_that_cannot_be_honoured_is_refused_by_name(name):
    with pytest.raises(ConfigurationError, match=name):
        read(**{name: WRONG[name]})


def test_all_faults_at_once():
    with pytest.raises(ConfigurationError) as caught:
        read("ftp://x", **WRONG)
    # The endpoint is not looked at where an address wins over it.
    assert len(caught.value.faults) == len(WRONG)


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"OTEL_TRACES_EXPORTER": "none,otlp"}, "none"),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "deflate", "TRACING_BACKEND_URL": "a:4317"}, "deflate"),
    ],
)
def test_what_does_not_go_together(environ, error):
    with pytest.raises(ConfigurationError, match=error):
        read(**environ)


def test_disabled_asks_for_nothing_else():
    settings = read(OTEL_SDK_DISABLED=" True ", **WRONG)
    assert settings.disabled


@pytest.mark.parametrize(
    "value",
    ["Bearer s3cret", "a=b,s3cret", "bad name=s3cret", "=s3cret", "a=s3cret%2", "a=s3cret%0A"],
)
def test_faulty_headers_are_refused_without_their_value(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A header variable usually holds a token, so it is neither told nor logged."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.read(environ={"OTEL_EXPORTER_OTLP_HEADERS": value})
    assert "OTEL_EXPORTER_OTLP_HEADERS" in str(caught.value)
    assert "s3cret" not in str(caught.value) + caplog.text


def test_headers_are_decoded() -> None:
    """Percent-encoding is undone, names are lower-cased, empty entries are skipped."""
    settings = Settings.read(environ={"OTEL_EXPORTER_OTLP_HEADERS": " X-A = b%20c ,, d=e=f"})
    assert settings.backends[0].headers == {"x-a": "b c", "d": "e=f"}
