"""The W3C test service, asked as the W3C suite asks it."""

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from processes import environment
from throughline_tracing import conformance

TRACE = "12345678901234567890123456789012"
PARENT = "1234567890123456"
VALID = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(scope="module")
def service():
    process = subprocess.Popen(
        # Where the tests run in the background SIGINT is ignored, and programs begin like that.
        [
            sys.executable,
            "-c",
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "import runpy; runpy.run_module('throughline_tracing.conformance', run_name='__main__')",
            "--port",
            "0",
        ],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().split()[-1]
    yield url
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    process.stdout.close()


@pytest.fixture
def harness(service):
    """Post calls to the service, as the suite does, and return what arrived."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            arrived.append(
                (self.headers.get_all("traceparent"), self.headers.get_all("tracestate"), body)
            )
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    arrived = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def send(headers, calls=1):
        arrived.clear()
        body = json.dumps(
            [
                {"url": f"http://127.0.0.1:{server.server_address[1]}/{n}", "arguments": [n]}
                for n in range(calls)
            ]
        ).encode()
        host, port = service.removeprefix("http://").split("/")[0].split(":")
        connection = HTTPConnection(host, int(port), timeout=60)
        connection.putrequest("POST", "/test")
        for name, value in [
            *headers,
            ("content-length", str(len(body))),
            ("content-type", "application/json"),
        ]:
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        connection.close()
        return list(arrived)

    yield send
    server.shutdown()
    server.server_close()


def test_a_trace_is_continued_with_spans_of_its_own(harness):
    calls = harness(
        [
            ("TraceParent", VALID),
            ("tracestate", "foo=1"),
            ("TRACESTATE", ""),
            ("tracestate", "bar@@=2,foo=3"),
        ],
        3,
    )
    assert [body for *_, body in calls] == [[0], [1], [2]]
    ids = set()
    for (parent,), (state,), _ in calls:
        version, trace, span, flags = parent.split("-")
        assert (version, trace, flags) == ("00", TRACE, "01")
        assert state == "foo=1,bar@@=2,foo=3"
        ids.add(span)
    assert len(ids - {PARENT}) == 3


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", VALID), ("traceparent", VALID)],
        [("traceparent", VALID), ("traceparent", VALID.replace(PARENT, "a" * 16))],
        [("traceparent", f"00-{'0' * 32}-{PARENT}-01")],
        [("traceparent", VALID + "-what")],
        [("trace-parent", VALID)],
        [("tracestate", "foo=1")],
    ],
)
def test_a_new_trace_is_started(harness, headers):
    (((parent,), state, _),) = harness(headers)
    assert TRACE not in parent
    assert parent.endswith("-03")  # sampled, and random as level 2 wants
    assert state is None


def test_what_is_over_the_limits_is_dropped_and_the_trace_goes_on(harness):
    for state in (",".join(f"k{n}=v" for n in range(33)), "z" * 257 + "=1", "FOO=1"):
        (((parent,), sent, _),) = harness(
            [("traceparent", VALID), ("tracestate", "a=1"), ("tracestate", state)]
        )
        assert (TRACE in parent, sent) == (True, None)


def post(url, body, method="POST"):
    request = urllib.request.Request(url, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}",
        b"[1]",
        b'[{"url": 1}]',
        b'[{"url": "file:///etc/passwd"}]',
        b"[" + b"{}," * 70 + b"{}]",
        b"\xff",
    ],
)
def test_a_bad_request(service, body):
    status, text = post(service, body)
    assert status == 400
    assert text


def test_other_paths_and_dead_urls(service):
    assert post(service.replace("/test", "/"), b"[]")[0] == 404
    assert post(service, None, "GET")[0] == 404
    assert post(service, b'[{"url": "http://127.0.0.1:1/", "arguments": []}]')[0] == 502
    assert post(service, b"[]") == (200, "")


def test_a_length_that_is_none(service):
    host, port = service.removeprefix("http://").split("/")[0].split(":")
    for length in ("x", str(1 << 30)):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(
                f"POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
            )
            assert b" 400 " in connection.recv(1000)


def test_wrong_arguments(capsys, monkeypatch):
    with pytest.raises(SystemExit) as caught:
        conformance.main(["--port", "x"])
    assert caught.value.code == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert conformance.main(["--port", str(taken.getsockname()[1])]) == 1
    monkeypatch.setenv("OTEL_PROPAGATORS", "pigeon")
    assert conformance.main(["--port", "0"]) == 1
    assert "pigeon" in capsys.readouterr().err
