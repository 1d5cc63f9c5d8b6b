"""The faults of the article's suggestions service, each with the test that shows it.

Named by their numbers in the list of the published code's defects.
"""

import importlib.metadata
import json
import re
import signal

import pytest
from conftest import LONELY, READ_NEXT, ROOT


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_p27_spans_survive_a_signal_right_after_a_request(start, receiver, protocol, signum):
    """P27: the signal comes before the batch delay is over; the spans arrive all the same."""
    backend = receiver.grpc_address if protocol == "grpc" else receiver.http_url
    service = start(TRACING_BACKEND_URL=backend, OTEL_BSP_SCHEDULE_DELAY="60000")
    service.get(f"/suggestions/v1/{READ_NEXT}")
    code, took = service.stop(signum)
    assert len(receiver.spans) == 2
    assert code == 0
    assert took < 30


def test_p29_logs_name_the_trace(start, receiver):
    """P29: every line is JSON, gunicorn's too; a request's line has the ids of its span."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address)
    service.get(f"/suggestions/v1/{READ_NEXT}")
    service.stop()
    lines = [json.loads(line) for line in service.lines]
    assert {"gunicorn.error", "suggestions"} <= {line["logger"] for line in lines}
    assert all({"time", "level", "msg", "logger", "service"} <= line.keys() for line in lines)
    (line,) = [line for line in lines if line["logger"] == "suggestions"]
    server = next(s for s in receiver.spans if s.kind == "server")
    assert (line["trace_id"], line["span_id"]) == (server.trace_id, server.span_id)
    assert (line["method"], line["route"], line["status"]) == (
        "GET",
        "/suggestions/v1/<article_id>",
        200,
    )


def test_p29_health_endpoints(start):
    """P29: there is an endpoint for liveness and one for readiness."""
    service = start(TRACING_BACKEND_URL="127.0.0.1:1")
    assert service.get("/healthz")[0] == 200
    assert service.get("/readyz")[0] == 200


def test_p32_not_the_development_server(start, receiver):
    """P32: requests are answered by gunicorn."""
    service = start(TRACING_BACKEND_URL=receiver.grpc_address)
    _, headers, _ = service.get("/healthz")
    assert headers["server"] == "gunicorn"
    assert not any("development server" in line for line in service.lines)


@pytest.mark.parametrize(
    "path", ["apps/suggestions/requirements/requirements.txt", "requirements/dev.txt"]
)
def test_p33_requirements_are_pinned_with_hashes(path):
    """P33: each requirement has one version and hashes, and no host or option stands among them."""
    pinned = _pinned(path)
    for name, (version, hashes) in pinned.items():
        assert version, name
        assert hashes, name
    text = (ROOT / path).read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


def test_p33_nothing_is_left_to_the_resolver():
    """P33: what the service imports, and all that needs, is among the requirements."""
    pinned = _pinned("apps/suggestions/requirements/requirements.txt")
    assert "black" not in pinned
    todo, seen = ["throughline-tracing", *pinned], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name != "throughline-tracing":
            assert name in pinned
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            assert name == "throughline-tracing"
            continue
        for requirement in requires:
            if ";" not in requirement:
                todo.append(_normal(re.match(r"[A-Za-z0-9._-]+", requirement)[0]))


def test_p33_both_files_agree():
    """P33: tests run on the versions the service runs on."""
    service = _pinned("apps/suggestions/requirements/requirements.txt")
    development = _pinned("requirements/dev.txt")
    assert {name: development[name] for name in service} == service


def test_p34_empty_and_unknown_differ(start):
    """P34: no suggestions is an empty list with 200; no such article is 404; a bad id is 400."""
    service = start(TRACING_BACKEND_URL="127.0.0.1:1")
    assert service.get(f"/suggestions/v1/{LONELY}")[::2] == (200, [])
    assert service.get("/suggestions/v1/ffffffffffffffffffffffffffffffff")[0] == 404
    assert service.get("/suggestions/v1/a.b")[0] == 400
    assert service.get(f"/suggestions/v1/{READ_NEXT}/")[0] == 200


def _pinned(path):
    found = {}
    text = (ROOT / path).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)\s+(.*)", line):
            found[_normal(match[1])] = (
                match[2],
                re.findall(r"--hash=sha256:([0-9a-f]{64})", match[3]),
            )
        else:
            assert not line.strip() or line.lstrip().startswith("#"), line
    return found


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()
