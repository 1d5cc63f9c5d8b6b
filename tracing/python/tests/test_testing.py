"""The testing helpers, tested."""

import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from throughline_tracing import Trace
from throughline_tracing.testing import Clock, capture


@Trace(name="work")
def work(fail=False):
    api.get_current_span().add_event("half")
    if fail:
        raise KeyError("x")


def record(clock=None):
    with capture(clock=clock) as spans, Trace("job", attributes={"n": 1}):
        work()
    return [
        (
            span.name,
            span.context.trace_id,
            span.context.span_id,
            span.start_time,
            span.end_time,
            [event.timestamp for event in span.events],
        )
        for span in spans.spans
    ]


def test_every_run_is_the_same():
    ms = 1_000_000
    want = [("work", 1, 2, 2 * ms, 4 * ms, [3 * ms]), ("job", 1, 1, 1 * ms, 5 * ms, [])]
    assert record() == record() == want
    assert record(Clock(start=100, step=1))[1][3:5] == (101, 105)


def test_the_provider_before_is_restored_also_after_an_error():
    before = api._TRACER_PROVIDER
    with pytest.raises(ZeroDivisionError), capture():
        raise ZeroDivisionError
    assert api._TRACER_PROVIDER is before


def test_nested_captures():
    with capture() as outer:
        work()
        with capture() as inner:
            work()
        work()
    assert (len(outer), len(inner)) == (2, 1)


def test_times_given_are_kept():
    with capture() as spans:
        span = spans.provider.get_tracer("x").start_span("given", start_time=7)
        span.add_event("event", timestamp=8)
        span.end(9)
    (recorded,) = spans.spans
    assert (recorded.start_time, recorded.events[0].timestamp, recorded.end_time) == (7, 8, 9)


def test_sampler_and_resource_are_taken():
    with capture(sampler=ALWAYS_OFF) as spans:
        work()
    assert len(spans) == 0
    with capture(resource=Resource({"service.name": "shop"})) as spans:
        work()
    assert dict(spans.spans[0].resource.attributes) == {"service.name": "shop"}


def test_tree_shows_kind_parent_attributes_and_error(spans):
    remote = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))
    tracer = spans.provider.get_tracer("x")
    context = api.set_span_in_context(NonRecordingSpan(remote))
    with tracer.start_as_current_span("GET /", context, SpanKind.SERVER, {"n": 1, "m": 2}):
        with pytest.raises(KeyError):
            work(fail=True)
    unfinished = tracer.start_span("unfinished")
    tracer.start_span("child", api.set_span_in_context(unfinished)).end()
    assert spans.tree(attributes=("n", "absent")) == (
        "GET / [server] (remote parent) n=1\n  work ERROR KeyError\n\nchild (parent not recorded)"
    )


def test_a_status_without_a_type(spans):
    with Trace("x") as span:
        span.set_status(api.StatusCode.ERROR)
    assert spans.tree() == "x ERROR"


def test_assert_tree_says_what_it_saw(spans):
    work()
    spans.assert_tree("  work  ")
    with pytest.raises(AssertionError) as caught:
        spans.assert_tree("job\n  work")
    assert str(caught.value) == (
        "recorded spans:\n  work\n\n--- expected\n+++ recorded\n@@ -1,2 +1 @@\n-job\n-  work\n+work"
    )


def test_one_says_what_it_saw(spans):
    with pytest.raises(AssertionError, match=r"0 spans named 'job' in\n  \(none\)"):
        spans.one("job")
    work()
    assert spans.one("work").name == "work"
    work()
    with pytest.raises(AssertionError, match="2 spans named 'work'"):
        spans.one("work")


def test_clear(spans):
    work()
    spans.clear()
    assert (len(spans), spans.names, spans.tree()) == (0, [], "")
