"""W3C Trace Context level 2, by examples and by properties; B3 and Jaeger beside it."""

import pickle
import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from throughline_tracing._propagation import (
    OpaqueTraceState,
    TraceContextPropagator,
    parse_tracestate,
)
from throughline_tracing._propagators import read_propagators
from throughline_tracing.exceptions import ConfigurationError

TRACE = "12345678901234567890123456789012"
PARENT = "1234567890123456"
VALID = f"00-{TRACE}-{PARENT}-01"
propagator = TraceContextPropagator()
unhurried = settings(deadline=None)  # a busy machine is no fault


class Carrier(dict):
    """Headers that may come several times."""

    class Getter:
        def get(self, carrier, key):
            return carrier.get(key)

        def keys(self, carrier):
            return list(carrier)


def extract(parents, states=None):
    carrier = Carrier(traceparent=[parents] if isinstance(parents, str) else parents)
    if states is not None:
        carrier["tracestate"] = [states] if isinstance(states, str) else states
    context = propagator.extract(carrier, getter=Carrier.Getter())
    return get_current_span(context).get_span_context()


def continued(parents, states=None):
    """Return the headers a child span of the request sends on."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    context = set_span_in_context(NonRecordingSpan(extract(parents, states)))
    sent = {}
    propagator.inject(sent, set_span_in_context(tracer.start_span("child", context)))
    return sent


@pytest.mark.parametrize(
    "header",
    [
        VALID,
        f"  {VALID}\t",
        f"00-{TRACE}-{PARENT}-00",
        f"00-{TRACE}-{PARENT}-ff",
        f"01-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
        f"fe-{TRACE}-{PARENT}-01-",
    ],
)
def test_valid_parents(header):
    context = extract(header)
    assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == (TRACE, PARENT)
    assert context.is_remote


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-extra",
        f"00-{TRACE}-{PARENT}-01.",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-0x",
        f"00-{TRACE}-{PARENT}",
        f"0-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f".0-{TRACE}-{PARENT}-01",
        f"00-{TRACE.replace('1', 'A')}-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01.what",
        f"{VALID}\n",
        f"00-{'１' * 32}-{PARENT}-01",
        f"{VALID},{VALID}",
    ],
)
def test_invalid_parents_start_a_new_trace(header):
    assert not extract(header).is_valid
    assert TRACE not in continued(header)["traceparent"]


def test_a_parent_that_comes_twice_starts_a_new_trace():
    assert not extract([VALID, VALID]).is_valid
    assert not extract([]).is_valid


def test_a_tracestate_without_a_parent_counts_for_nothing():
    assert not propagator.extract({"tracestate": "a=1"})


def test_flags_of_a_child():
    assert continued(VALID)["traceparent"].endswith("-01")
    assert continued(f"00-{TRACE}-{PARENT}-03")["traceparent"].endswith("-03")
    assert continued(f"00-{TRACE}-{PARENT}-02")["traceparent"].endswith("-02")
    assert continued(f"00-{TRACE}-{PARENT}-00")["traceparent"].endswith("-00")
    assert continued(f"cc-{TRACE}-{PARENT}-ff-x")["traceparent"].startswith(f"00-{TRACE}")


def test_a_new_trace_has_the_random_flag():
    assert continued("")["traceparent"].endswith("-03")


def test_only_known_flags_are_sent():
    current = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0xFD))
    sent = {}
    propagator.inject(sent, set_span_in_context(NonRecordingSpan(current)))
    assert sent == {"traceparent": f"00-{1:032x}-{2:016x}-01"}


def test_nothing_is_sent_outside_of_a_trace():
    sent = {}
    propagator.inject(sent, Context())
    assert sent == {}
    assert propagator.fields == {"traceparent", "tracestate"}


@pytest.mark.parametrize("header", [VALID, f"cc-{TRACE}-{PARENT}-ff-future"])
def test_a_trace_that_is_only_passed_on_stays_as_it_came(header):
    context = propagator.extract({"traceparent": header, "tracestate": "a=1,a=2"})
    sent = {}
    propagator.inject(sent, context)
    assert sent == {"traceparent": header, "tracestate": "a=1,a=2"}


def test_the_context_given_is_kept():
    context = Context({"mine": 1})
    assert propagator.extract({"traceparent": VALID}, context)["mine"] == 1
    assert propagator.extract({}, context) is context


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1", "", "bar=2"], "foo=1,bar=2"),
        (["foo=1,,bar=2, ,"], "foo=1,bar=2"),
        (["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (["foo=1,foo=1"], "foo=1,foo=1"),
        (["foo=1", "foo=2"], "foo=1,foo=2"),
        (["foo@=1,bar@@baz=2,0@x@y=3"], "foo@=1,bar@@baz=2,0@x@y=3"),
        (["z" * 256 + "=1"], "z" * 256 + "=1"),
        (["a=" + "v" * 256], "a=" + "v" * 256),
        (["a= 1"], "a= 1"),
        ([",".join(f"k{n}=v" for n in range(32))], ",".join(f"k{n}=v" for n in range(32))),
        # dropped whole
        ([""], None),
        ([",".join(f"k{n}=v" for n in range(33))], None),
        (["a=1", "z" * 257 + "=1"], None),
        (["a=1,b=" + "v" * 257], None),
        (["a=1,foo =1"], None),
        (["a=1,FOO=1"], None),
        (["a=1,foo.bar=1"], None),
        (["a=1,@foo=1"], None),
        (["a=1,foo"], None),
        (["a=1,=1"], None),
        (["a=1,foo="], None),
        (["a=1,foo=bar=baz"], None),
        (["a=1,foo=bär"], None),
        (["a=1,foo=b\x00r"], None),
        (["a=1" + " " * 100_000], None),
    ],
)
def test_tracestate(headers, sent):
    got = continued(VALID, headers)
    assert got.get("tracestate") == sent
    assert TRACE in got["traceparent"]


def test_tracestate_is_a_mapping_of_the_first_values():
    state = parse_tracestate(["a=1,b=2,a=3"])
    assert (dict(state), len(state), "b" in state) == ({"a": "1", "b": "2"}, 2, True)
    assert isinstance(state, TraceState)


def test_changes_to_a_tracestate():
    state = parse_tracestate(["a=1,b=2,a=3"])
    assert state.update("a", "9").to_header() == "a=9,b=2"
    assert state.add("c", "4").to_header() == "c=4,a=1,b=2,a=3"
    assert state.add("a", "4") is state
    assert state.delete("a").to_header() == "b=2"
    assert state.delete("x").to_header() == state.to_header()
    for key, value in [("A", "1"), ("a", ""), ("a", "1,"), ("a" * 257, "1")]:
        assert state.update(key, value) is state
    full = parse_tracestate([",".join(f"k{n}=v" for n in range(32))])
    assert full.update("new", "1").to_header() == "new=1," + ",".join(f"k{n}=v" for n in range(31))
    assert full.update("k31", "1").to_header().startswith("k31=1,k0=v")
    assert not OpaqueTraceState()


hex_digits = st.text("0123456789abcdef", min_size=1)
keys = st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,20}", fullmatch=True)
values = st.text(
    "".join(c for c in map(chr, range(0x20, 0x7F)) if c not in ",="), min_size=1, max_size=20
).filter(lambda v: v[-1] != " ")
blanks = st.text(" \t", max_size=3)


@unhurried
@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
    st.lists(st.tuples(keys, values), max_size=32),
)
def test_what_is_valid_comes_through(trace_id, span_id, flags, members):
    """A valid request is read as it is, and passed on to the letter."""
    header = f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
    state = ",".join(f"{k}={v}" for k, v in members)
    context = extract(header, state)
    assert (context.trace_id, context.span_id, context.trace_flags) == (trace_id, span_id, flags)
    assert context.trace_state.to_header() == state
    child = continued(header, state)
    assert child["traceparent"].split("-")[1] == f"{trace_id:032x}"
    assert child["traceparent"].split("-")[2] != f"{span_id:016x}"
    assert int(child["traceparent"].split("-")[3], 16) == flags & 3
    assert child.get("tracestate", "") == state


@unhurried
@given(st.text(), st.lists(st.text(), max_size=4))
@example(VALID, ["a=1,\x00"])
@example(f"00-{TRACE}-{PARENT}-01\x85", [])
def test_no_input_raises_and_what_is_sent_is_valid(parent, states):
    """Whatever comes, the headers sent obey the grammar."""
    sent = continued(parent, states)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", sent["traceparent"])
    if "tracestate" in sent:
        members = sent["tracestate"].split(",")
        assert 0 < len(members) <= 32
        for member in members:
            assert re.fullmatch(
                r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]",
                member,
            )


@unhurried
@given(
    st.lists(st.tuples(keys, values), min_size=1, max_size=40), st.lists(st.integers(0, 40)), blanks
)
def test_how_a_tracestate_is_cut_into_headers_does_not_matter(members, cuts, blank):
    """One header or several, with or without white space: the same list."""
    parts = [f"{k}={v}" for k, v in members]
    one = parse_tracestate([",".join(parts)]).to_header()
    headers, last = [], 0
    for cut in sorted({c for c in cuts if c < len(parts)} | {len(parts)}):
        headers.append(f"{blank},{blank}".join(parts[last:cut]) + blank)
        last = cut
    assert parse_tracestate(headers).to_header() == one
    assert bool(one) == (len(members) <= 32)


@unhurried
@given(st.text(string.printable, max_size=60))
def test_a_parent_is_valid_only_by_the_grammar(text):
    """The parser takes exactly what the specification's grammar describes."""
    match = re.fullmatch(
        r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?",
        text.strip(" \t"),
        re.ASCII,
    )
    valid = bool(
        match
        and match[1] != "ff"
        and int(match[2], 16)
        and int(match[3], 16)
        and not (match[1] == "00" and match[4] is not None)
    )
    assert extract(text).is_valid == valid


def test_the_default_propagators():
    assert read_propagators({}).fields == {"traceparent", "tracestate", "baggage"}
    assert read_propagators({"OTEL_PROPAGATORS": " "}).fields == read_propagators({}).fields
    assert (
        read_propagators({"OTEL_PROPAGATORS": "TraceContext, ,baggage"}).fields
        == read_propagators({}).fields
    )
    assert read_propagators({"OTEL_PROPAGATORS": "none"}).fields == set()


@pytest.mark.parametrize(
    ("names", "headers"),
    [
        ("b3", {"b3": f"{TRACE}-{PARENT}-1"}),
        ("b3multi", {"x-b3-traceid": TRACE, "x-b3-spanid": PARENT, "x-b3-sampled": "1"}),
        ("jaeger", {"uber-trace-id": f"{TRACE}:{PARENT}:0:01"}),
    ],
)
def test_other_formats_in_parallel(names, headers):
    """A trace that came in one format goes out in all of them."""
    both = read_propagators({"OTEL_PROPAGATORS": f"tracecontext,{names},baggage"})
    context = both.extract(headers)
    remote = get_current_span(context).get_span_context()
    assert (f"{remote.trace_id:032x}", f"{remote.span_id:016x}") == (TRACE, PARENT)
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("child", context)
    sent = {}
    both.inject(sent, trace.set_span_in_context(span, context))
    sent = {k.lower(): v for k, v in sent.items()}
    assert set(headers) <= set(sent)
    assert sent["traceparent"].startswith(f"00-{TRACE}-")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("pigeon", "known are"), ("xray", "opentelemetry-propagator-aws-xray")],
)
def test_a_propagator_that_is_not_there(name, hint):
    with pytest.raises(ConfigurationError, match=hint) as caught:
        read_propagators({"OTEL_PROPAGATORS": f"{name},tracecontext,also-missing"})
    assert len(caught.value.faults) == 2


def test_a_remote_context_can_be_pickled():
    remote = extract(VALID, "a=1,a=2")
    copy = pickle.loads(pickle.dumps(remote))
    sent = {}
    propagator.inject(sent, set_span_in_context(NonRecordingSpan(copy)))
    assert sent["traceparent"] == VALID
