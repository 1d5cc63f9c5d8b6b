"""Sampling by probability, and what spans say of it."""

import json
import random
from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceState, set_span_in_context

from throughline_tracing import OTLPProvider
from throughline_tracing._propagation import OpaqueTraceState
from throughline_tracing._sampling import ProbabilitySampler, sampler_of

CONTRACT = json.loads(
    (Path(__file__).parents[3] / "testdata" / "contracts" / "sampling.json").read_text()
)


def parent(trace_id: int, state: TraceState) -> Context:
    return set_span_in_context(NonRecordingSpan(SpanContext(trace_id, 1, True, None, state)))


@pytest.mark.parametrize("state_of", [TraceState, OpaqueTraceState])
@pytest.mark.parametrize("case", CONTRACT["decisions"], ids=lambda case: case["name"])
def test_decisions_are_those_of_the_contract(case, state_of):
    trace_id = int(case["traceId"], 16)
    members = [("vendor", "kept"), *([("ot", case["ot"])] if case["ot"] else [])]
    result = ProbabilitySampler(case["probability"]).should_sample(
        parent(trace_id, state_of(members)), trace_id, "span"
    )
    assert (result.decision is Decision.RECORD_AND_SAMPLE) is case["sampled"]
    assert result.trace_state.get("ot", "") == case["want"]
    assert result.trace_state.get("vendor") == "kept"


def test_a_value_that_leaves_no_room_is_left_out():
    state = OpaqueTraceState([("ot", "x:" + "y" * 254)])
    result = ProbabilitySampler(1).should_sample(parent(1, state), 1, "span")
    assert result.decision is Decision.RECORD_AND_SAMPLE
    assert not result.trace_state


@pytest.mark.parametrize(
    "state", [TraceState(), TraceState([("vendor", "kept")]), OpaqueTraceState()]
)
def test_dropping_a_trace_says_nothing(caplog, state):
    """A tracestate without ours is no reason for a line in the log of each trace."""
    result = ProbabilitySampler(0).should_sample(parent(1, state), 1, "span")
    assert result.decision is Decision.DROP
    assert result.trace_state == state
    assert caplog.records == []


@pytest.mark.parametrize(
    ("sampler", "argument", "want"),
    [
        ("parentbased_traceidratio", "", "th:0"),
        ("TraceIDRatio", "1.0", "th:0"),
        ("parentbased_always_on", "", ""),
        ("", "", ""),
    ],
)
def test_ratio_of_the_environment_is_in_the_tracestate(monkeypatch, sampler, argument, want):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    provider = OTLPProvider("service")
    tracer = provider.provider.get_tracer("test")
    with tracer.start_as_current_span("root") as root:
        child = tracer.start_span("child")
    provider.shutdown()
    for span in (root, child):
        assert span.get_span_context().trace_state.get("ot", "") == want
        assert span.is_recording() or span.get_span_context().trace_flags.sampled


@pytest.mark.parametrize("argument", ["nonsense", "-0.1", "1.1", "nan"])
def test_argument_that_is_no_share_is_left_to_the_sdk(argument):
    name = "traceidratio"
    assert sampler_of({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}) is None


def test_lower_share_keeps_a_part_of_the_higher():
    ids = random.Random(1)
    few, many = ProbabilitySampler(0.1), ProbabilitySampler(0.5)
    kept = {few: 0, many: 0}
    for _ in range(5_000):
        trace_id = ids.getrandbits(128)
        sampled = {
            s: s.should_sample(None, trace_id, "span").decision is Decision.RECORD_AND_SAMPLE
            for s in kept
        }
        assert sampled[many] or not sampled[few]
        for s, was in sampled.items():
            kept[s] += was
    assert 400 < kept[few] < 600
    assert 2_400 < kept[many] < 2_600
