"""The HTTP interface of the running service, and the trace of each request."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import APP, DATA, LONELY, READ_NEXT
from receiver import tree

TRACE = "12345678901234567890123456789012"
PARENT = "1234567890123456"
# Seconds; one that waits for the timeout takes four times as long.
STOPPED_BY = 30


def test_answers_and_traces(start, receiver):
    """Each route answers as documented; each traced request is one small tree of spans."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address, OTEL_BSP_SCHEDULE_DELAY="50")
    for path in ("/suggestions/v1", "/suggestions/v1/"):
        status, headers, body = service.get(path)
        assert (status, headers["content-type"], body) == (200, "application/json", DATA)
        assert list(body) == list(DATA)
    for path in (f"/suggestions/v1/{READ_NEXT}", f"/suggestions/v1/{READ_NEXT}/"):
        assert service.get(path)[::2] == (200, DATA[READ_NEXT])
    assert service.get(f"/suggestions/v1/{LONELY}")[::2] == (200, [])

    spans = receiver.wait(10)
    traces = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    assert (
        sorted(tree(t) for t in traces.values())
        == [
            "suggestions-service server GET /suggestions/v1\n"
            "  suggestions-service internal SuggestionsService.get_suggestions",
        ]
        * 2
        + [
            "suggestions-service server GET /suggestions/v1/<article_id>\n"
            "  suggestions-service internal SuggestionsService.get_suggestions_for_article",
        ]
        * 3
    )
    server = next(s for s in spans if s.kind == "server" and "<article_id>" in s.name)
    assert server.attributes["http.route"] == "/suggestions/v1/<article_id>"
    assert server.attributes["http.request.method"] == "GET"
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["url.scheme"] == "http"
    assert server.attributes["url.path"].startswith("/suggestions/v1/")
    assert server.attributes["network.protocol.version"] == "1.1"
    assert server.attributes["server.address"] == "127.0.0.1"
    assert server.attributes["client.address"] == "127.0.0.1"
    assert server.status == 0


@pytest.mark.parametrize(
    ("path", "method", "status", "code", "name"),
    [
        (
            "/suggestions/v1/nope",
            "GET",
            404,
            "article_not_found",
            "GET /suggestions/v1/<article_id>",
        ),
        (
            "/suggestions/v1/a%20b",
            "GET",
            400,
            "invalid_article_id",
            "GET /suggestions/v1/<article_id>",
        ),
        (
            f"/suggestions/v1/{'x' * 65}",
            "GET",
            400,
            "invalid_article_id",
            "GET /suggestions/v1/<article_id>",
        ),
        ("/suggestions/v1/a/b", "GET", 404, "not_found", "GET"),
        ("/suggestions/v1/%2F", "GET", 404, "not_found", "GET"),
        ("/suggestions//v1", "GET", 404, "not_found", "GET"),
        ("/wp-login.php?x=1", "GET", 404, "not_found", "GET"),
        ("/suggestions/v1", "DELETE", 405, "method_not_allowed", "DELETE"),
    ],
)
def test_errors_are_json_and_no_error_of_ours(start, receiver, path, method, status, code, name):
    """What the caller does wrong is told in JSON; the span has the status and is no error."""
    service = start(TRACING_BACKEND_URL=receiver.http_url, WORKERS="1")
    got, headers, body = service.get(path, method)
    assert (got, headers["content-type"], body["error"]["code"]) == (
        status,
        "application/json",
        code,
    )
    assert body["error"]["message"]
    if status == 405:
        assert set(headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    service.stop()
    for span in receiver.wait(1):
        assert span.status == 0
        assert span.events == []
        if span.kind == "server":
            assert (span.name, span.attributes["http.response.status_code"]) == (name, status)
            assert "error.type" not in span.attributes


def test_continues_the_callers_trace(start, receiver):
    """An upstream traceparent is the parent; one that is not sampled records nothing."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address)
    service.get(f"/suggestions/v1/{LONELY}", traceparent=f"00-{'9' * 32}-{PARENT}-00")
    service.get(
        f"/suggestions/v1/{READ_NEXT}",
        traceparent=f"00-{TRACE}-{PARENT}-01",
        tracestate="a=1,b@@=2",
    )
    service.stop()
    assert [(s.trace_id, s.trace_state) for s in receiver.spans] == [(TRACE, "a=1,b@@=2")] * 2
    server = next(s for s in receiver.spans if s.kind == "server")
    assert server.parent_span_id == PARENT


def test_health_is_answered_and_not_traced(start, receiver):
    """Probes record nothing, whether the prober sends a traceparent or not."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address)
    assert service.get("/healthz")[::2] == (200, {"status": "ok"})
    assert service.get("/readyz")[::2] == (200, {"status": "ok", "articles": 2})
    service.get("/healthz", traceparent=f"00-{TRACE}-{PARENT}-01")
    service.stop()
    assert receiver.spans == []
    assert not any('"route":"/healthz"' in line for line in service.lines)


def test_sdk_disabled(start, receiver):
    """OTEL_SDK_DISABLED leaves a service that works and sends nothing."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address, OTEL_SDK_DISABLED="true")
    assert service.get("/suggestions/v1")[0] == 200
    service.stop()
    assert receiver.spans == []


def test_dead_backend_is_said_once(start):
    """A backend that is not there changes no answer and writes no line per request."""
    service = start(
        TRACING_BACKEND_URL="127.0.0.1:1",
        WORKERS="1",
        OTEL_BSP_SCHEDULE_DELAY="10",
        OTEL_EXPORTER_OTLP_TIMEOUT="200",
    )
    for _ in range(50):
        assert service.get("/suggestions/v1")[0] == 200
    service.wait_for_line(lambda line: " dropped, " in line)
    _, took = service.stop()
    complaints = [json.loads(line) for line in service.lines if json.loads(line)["level"] != "INFO"]
    assert took < STOPPED_BY
    assert 1 <= len(complaints) <= 2  # once, and the rest when it stops
    assert all(c["msg"].startswith("tracing backend 127.0.0.1:1: ") for c in complaints)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stops_gracefully(start, receiver, signum):
    """A stop lets no worker and no span behind, exits 0, and is quick when idle."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address)
    service.get("/suggestions/v1")
    code, took = service.stop(signum)
    assert (code, len(receiver.spans)) == (0, 2)
    assert took < STOPPED_BY
    assert all(not _alive(pid) for pid in service.workers())


def test_stops_at_once(start):
    """A signal that comes while workers are still being made is heard by each of them."""
    for _ in range(3):
        service = start(TRACING_BACKEND_URL="127.0.0.1:1", WORKERS="4")
        code, took = service.stop()
        assert code == 0
        assert took < STOPPED_BY


def test_a_request_under_way_is_finished(start, receiver):
    """A request whose bytes are still coming when SIGTERM arrives is answered and traced."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address, WORKERS="1")
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /suggestions/v1 HTTP/1.1\r\nHost: x\r\n")
        time.sleep(0.3)  # lets the worker read the first half
        service.process.send_signal(signal.SIGTERM)
        service.wait_for_line(lambda line: "Handling signal: term" in line)
        connection.sendall(b"Connection: close\r\n\r\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200")
    code, _ = service.stop()
    assert (code, len(receiver.spans)) == (0, 2)


def test_a_stuck_request_does_not_hold_the_stop(start, receiver):
    """A client that never finishes its request delays the end by the timeout at most."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address, WORKERS="1", SHUTDOWN_TIMEOUT="4s")
    service.get("/suggestions/v1")
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /suggestions/v1 HTTP/1.1\r\nHost: x\r\n")
        time.sleep(0.3)
        code, took = service.stop()
    assert code == 0
    assert took < STOPPED_BY
    assert len(receiver.spans) == 2


def test_workers_follow_a_killed_master(start):
    """Workers whose master is killed outright end by themselves."""
    service = start(TRACING_BACKEND_URL="127.0.0.1:1")
    service.wait_for_line(lambda _: len(service.workers()) == 2)
    service.get("/readyz")
    service.process.kill()
    service.process.wait()
    deadline = time.monotonic() + 60
    while any(_alive(pid) for pid in service.workers()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_concurrent_requests_are_traces_of_their_own(start, receiver):
    """Parallel requests with different parents never mix."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address)
    ids = [f"{n:032x}" for n in range(1, 33)]
    threads = [
        threading.Thread(
            target=service.get,
            args=(f"/suggestions/v1/{READ_NEXT}",),
            kwargs={"traceparent": f"00-{i}-{PARENT}-01"},
        )
        for i in ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.stop()
    for trace_id in ids:
        spans = [s for s in receiver.spans if s.trace_id == trace_id]
        assert tree(spans).count("\n") == 1, tree(spans)


def run_app(**environ):
    return subprocess.run(
        [sys.executable, "app.py"], cwd=APP, env=environ, text=True, capture_output=True, timeout=60
    )


def test_all_faults_of_the_environment_at_once():
    """Every wrong variable is named in one go, tracing's among them, and the exit code is 1."""
    result = run_app(
        PORT="http",
        HOST="no such",
        SHUTDOWN_TIMEOUT="0",
        LOG_LEVEL="loud",
        WORKERS="0",
        THREADS="x",
        TRACING_BACKEND_URL="ftp://x, localhost:99999",
        OTEL_TRACES_SAMPLER="sometimes",
        OTEL_PROPAGATORS="tracecontext,pigeon",
    )
    assert result.returncode == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("suggestions: ") for line in lines)
    for part in (
        "PORT",
        "HOST",
        "SHUTDOWN_TIMEOUT",
        "LOG_LEVEL",
        "WORKERS",
        "THREADS",
        "ftp",
        "99999",
        "sometimes",
        "pigeon",
    ):
        assert sum(part in line for line in lines) >= 1, part


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        ("{", "is not JSON"),
        ("[]", "is not an object of lists of article ids"),
        ('{"a": "b"}', "'a' does not have a list of article ids"),
        ('{"a": [1]}', "'a' does not have a list of article ids"),
        ('{"a b": []}', "'a b' is not an article id"),
        ('{"a": [], "a": []}', "'a' comes twice"),
        ("\xff", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_data_file(tmp_path, content, message):
    """A data file that cannot be used is one clear line, and exit code 1."""
    path = tmp_path / "data.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    result = run_app(DATA_SOURCE_FILENAME=str(path), TRACING_BACKEND_URL="127.0.0.1:1")
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr
    assert result.stderr.startswith("suggestions: data file ")
    assert result.stderr.count("\n") == 1


def test_a_taken_port():
    """A port that is taken is one clear line, at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = APP / "tests" / "conftest.py"
        result = run_app(
            PORT=str(port), DATA_SOURCE_FILENAME=str(path), TRACING_BACKEND_URL="127.0.0.1:1"
        )
    assert result.returncode == 1


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
