"""W3C Trace Context level 2, strictly.

Source: https://www.w3.org/TR/trace-context-2/. What the propagator of the API
does differently, and why this one exists: it knows the level 1 grammar of
tracestate keys, and gives up the whole tracestate for a repeated key. Here

* a ``traceparent`` that is malformed or comes twice starts a new trace;
* several ``tracestate`` headers are one list, in order, empty members left out;
* members are opaque and are sent on as they came, repeated keys too;
* a tracestate with a malformed member, or with more than 32, is dropped whole,
  and the trace goes on;
* a trace that is passed on and not continued keeps its ``traceparent`` to the
  letter, those of later versions included.

No input raises, and what is kept of it is bounded: 32 members of 513 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
MAX_MEMBERS: Final = 32

_MAX_MEMBER = 256 + 1 + 256
# Optional white space around commas counts towards what is read, not what is kept.
_MAX_HEADER = MAX_MEMBERS * (_MAX_MEMBER + 1) * 2
_FLAGS = 0x03  # sampled and random; the others are not ours to set

_PARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?",
    re.ASCII,
)
_KEY = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}")
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_OWS = " \t"


class RemoteSpanContext(SpanContext):
    """The span context of a request, with the header it was read from."""

    @property
    def traceparent(self) -> str | None:
        """The header as it came; None in a copy that went through pickle."""
        return vars(self).get("traceparent")


class OpaqueTraceState(TraceState):
    """A tracestate whose members are kept as they came.

    A mapping of the first value of each key, as the API wants it, and a list of
    all members for the header.

    Example:
        >>> state = parse_tracestate(["a=1,b@@=2", "a=3"])
        >>> state["a"], state.to_header()
        ('1', 'a=1,b@@=2,a=3')
        >>> state.update("b@@", "4").to_header()
        'b@@=4,a=1,a=3'
    """

    def __init__(self, members: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._members = tuple(members)
        for key, value in self._members:
            self._dict.setdefault(key, value)

    def to_header(self) -> str:
        """Return the members joined by commas."""
        return ",".join(f"{key}={value}" for key, value in self._members)

    def add(self, key: str, value: str) -> TraceState:
        """Return a tracestate with this member first; unchanged if the key is there or wrong."""
        return self if key in self._dict else self.update(key, value)

    def update(self, key: str, value: str) -> TraceState:
        """Return a tracestate with this member first, and no other of its key.

        The last member goes where there would be more than 32. A key or a value
        that may not stand in a tracestate changes nothing.
        """
        if not (_KEY.fullmatch(key) and _VALUE.fullmatch(value)):
            return self
        others = [member for member in self._members if member[0] != key]
        return OpaqueTraceState([(key, value), *others[: MAX_MEMBERS - 1]])

    def delete(self, key: str) -> TraceState:
        """Return a tracestate without members of this key."""
        return OpaqueTraceState(member for member in self._members if member[0] != key)


class TraceContextPropagator(TextMapPropagator):
    """Reads and writes ``traceparent`` and ``tracestate``; see the module for the rules."""

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Return `context` with the remote parent the carrier holds, or unchanged."""
        context = Context() if context is None else context
        parents = getter.get(carrier, TRACEPARENT)
        if not parents or len(parents) != 1:
            return context
        traceparent = parents[0].strip(_OWS)
        match = _PARENT.fullmatch(traceparent)
        if match is None or (match[1] == "00" and match[5] is not None):
            return context
        remote = RemoteSpanContext(
            trace_id=int(match[2], 16),
            span_id=int(match[3], 16),
            is_remote=True,
            trace_flags=TraceFlags(int(match[4], 16)),
            trace_state=parse_tracestate(getter.get(carrier, TRACESTATE) or ()),
        )
        vars(remote)["traceparent"] = traceparent  # the class forbids plain assignment
        return set_span_in_context(NonRecordingSpan(remote), context)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the current span of `context` to the carrier, if there is one."""
        current = get_current_span(context).get_span_context()
        if not current.is_valid:
            return
        traceparent = current.traceparent if isinstance(current, RemoteSpanContext) else None
        if traceparent is None:
            flags = current.trace_flags & _FLAGS
            traceparent = f"00-{current.trace_id:032x}-{current.span_id:016x}-{flags:02x}"
        setter.set(carrier, TRACEPARENT, traceparent)
        if current.trace_state:
            setter.set(carrier, TRACESTATE, current.trace_state.to_header())

    @property
    def fields(self) -> set[str]:
        """The headers `inject` writes."""
        return {TRACEPARENT, TRACESTATE}


def parse_tracestate(headers: Iterable[str]) -> OpaqueTraceState:
    """Read the values of all tracestate headers; empty if any member is malformed.

    Example:
        >>> parse_tracestate(["rojo=00f067aa0ba902b7 , ,congo=t61rcWkgMzE"]).to_header()
        'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'
        >>> parse_tracestate(["Rojo=1,congo=2"]).to_header()
        ''
    """
    members: list[tuple[str, str]] = []
    combined = ",".join(headers)
    if len(combined) > _MAX_HEADER:
        return OpaqueTraceState()
    for part in combined.split(","):
        member = part.strip(_OWS)
        if not member:
            continue
        key, equals, value = member.partition("=")
        malformed = not (equals and _KEY.fullmatch(key) and _VALUE.fullmatch(value))
        if malformed or len(members) == MAX_MEMBERS:
            return OpaqueTraceState()
        members.append((key, value))
    return OpaqueTraceState(members)
