"""The cases that the Go package answers as well: lists of backends, and W3C Trace Context."""

import json
from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from throughline_tracing._backend import parse_backends
from throughline_tracing._propagation import TraceContextPropagator
from throughline_tracing.exceptions import ConfigurationError

CONTRACTS = Path(__file__).parents[3] / "testdata" / "contracts"


def cases(name):
    return json.loads((CONTRACTS / name).read_text())


@pytest.mark.parametrize("case", cases("backend-lists.json"), ids=lambda c: c["value"] or "empty")
def test_backend_lists(case):
    """Each backend has its own headers, and no fault tells a header's value."""
    if "error" in case:
        with pytest.raises(ConfigurationError, match=case["error"]) as caught:
            parse_backends(case["value"])
        assert "s3cret" not in str(caught.value)
        return
    assert [
        {
            "protocol": b.protocol,
            "endpoint": b.endpoint,
            "insecure": b.insecure,
            "headers": dict(b.headers),
        }
        for b in parse_backends(case["value"])
    ] == case["want"]


@pytest.mark.parametrize("case", cases("tracecontext.json"), ids=lambda c: c["name"])
def test_trace_context(case):
    """The same parents are found and refused, with the same flags and state.

    What goes out again without a span of ours is the header as it came, so it is
    compared after the unknown flags and the repeated members are left out.
    """
    headers = {k: case[k] for k in ("traceparent", "tracestate") if k in case}
    found = get_current_span(TraceContextPropagator().extract(headers, Context()))
    parent = found.get_span_context()
    want = case.get("want")
    if want is None:
        assert not parent.is_valid
        return
    assert format_trace_id(parent.trace_id) == want["trace_id"]
    assert format_span_id(parent.span_id) == want["parent_id"]
    assert parent.trace_flags & 0x03 == int(want["flags"], 16)
    members: dict[str, str] = {}
    for member in filter(None, parent.trace_state.to_header().split(",")):
        key, _, value = member.partition("=")
        members.setdefault(key, value)
    assert ",".join(f"{k}={v}" for k, v in members.items()) == want["tracestate"]
