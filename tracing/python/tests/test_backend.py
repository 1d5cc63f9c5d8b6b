"""What an address of a backend means, in the cases the Go package keeps as well."""

import json
from pathlib import Path

import pytest

from throughline_tracing._backend import Backend, parse_backends
from throughline_tracing.exceptions import ConfigurationError

CASES = Path(__file__).parents[3] / "testdata" / "contracts" / "backend-urls.json"


@pytest.mark.parametrize("case", json.loads(CASES.read_text()), ids=lambda c: c["value"] or "empty")
def test_contract(case):
    if "error" in case:
        with pytest.raises(ConfigurationError, match=case["error"]):
            parse_backends(case["value"], case.get("protocol"))
        return
    found = parse_backends(case["value"], case.get("protocol"))
    want = [case["want"]] if "want" in case else []
    assert [
        {"protocol": b.protocol, "endpoint": b.endpoint, "insecure": b.insecure} for b in found
    ] == want


def test_several_are_separated_by_commas_and_repeated_ones_count_once():
    found = parse_backends(" jaeger:4317 ,, http://localhost:4318,jaeger:4317,")
    assert [b.endpoint for b in found] == ["jaeger:4317", "http://localhost:4318/v1/traces"]


def test_not_set():
    assert parse_backends(None) == parse_backends("") == parse_backends(" , ") == []


def test_every_fault_is_told():
    with pytest.raises(ConfigurationError) as caught:
        parse_backends("ftp://a,jaeger:4317,b:0")
    assert len(caught.value.faults) == 2
    assert str(caught.value) == "; ".join(caught.value.faults)


@pytest.mark.parametrize(
    ("address", "protocol", "error"),
    [
        ("::1", None, "host"),
        ("[::1", None, "host"),
        ("[::1:4317", None, "bracket"),
        ("[::g]:1", None, "IPv6"),
        ("a:", None, "port"),
        ("http://a:", None, "port"),
        ("a:４３１７", None, "port"),
        ("http://a/#x", None, "fragment"),
        ("https://a/otlp", "grpc", "path"),
        ("a/b:1", "grpc", "path"),
        ("user@a:4317", None, "credentials"),
        ("http://[1::2]x:1", None, "IPv6"),
        ("http://a/b\nc", None, "control"),
        ("dns:///a:1", None, "scheme"),
        ("a" * 100_000 + ":x", None, "port"),
        ("\x00", None, "host"),
        ("http://[", None, "IPv6"),
        ("user:pw@a:4317", None, "credentials"),
    ],
)
def test_refused(address, protocol, error):
    with pytest.raises(ConfigurationError, match=error):
        Backend.parse(address, protocol=protocol)


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("[::1]", "[::1]:4317"),
        ("https://[2001:db8::1]", "[2001:db8::1]:443"),
        ("my_host.", "my_host.:4317"),
    ],
)
def test_hosts(address, endpoint):
    assert Backend.parse(address).endpoint == endpoint


def test_http_without_a_port():
    assert (
        Backend.parse("tempo", protocol="http/protobuf").endpoint == "http://tempo:4318/v1/traces"
    )


def test_secrets_are_not_shown():
    backend = Backend.parse("https://a", headers={"authorization": "Bearer secret"})
    assert "secret" not in repr(backend)
    with pytest.raises(ConfigurationError) as caught:
        Backend.parse("https://user:secret@a")
    assert "secret" not in str(caught.value)
