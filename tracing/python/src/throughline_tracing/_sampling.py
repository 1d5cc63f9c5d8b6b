"""Probability sampling that says how much each span stands for.

`ProbabilitySampler` follows OpenTelemetry's "TraceState: Probability Sampling":
a trace is sampled where its randomness, that of the trace id's last 56 bits or
``rv`` of the tracestate, is not below the threshold, and the spans carry the
threshold in their tracestate (``ot=th:…``). The Go package decides the same and
writes the same (testdata/contracts/sampling.json).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

KEY: Final = "ot"

_BITS: Final = 56
_MOST: Final = (1 << _BITS) - 1
_RANDOM_VALUE = re.compile(r"rv:([0-9a-f]{14})")


class ProbabilitySampler(Sampler):
    """Samples the share `probability` of the traces, each span by itself.

    `opentelemetry.sdk.trace.sampling.ParentBased` makes it decide for whole traces.

    Example:
        >>> ProbabilitySampler(0.25).threshold
        'c'
    """

    def __init__(self, probability: float) -> None:
        self._probability = min(max(probability, 0.0), 1.0)
        self._threshold = (1 << _BITS) - round(self._probability * (1 << _BITS))

    @property
    def threshold(self) -> str:
        """As the tracestate has it: hexadecimal, without zeros at the end."""
        return f"{self._threshold:014x}".rstrip("0") or "0"

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,  # noqa: ARG002
        kind: SpanKind | None = None,  # noqa: ARG002
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002
        trace_state: TraceState | None = None,  # noqa: ARG002
    ) -> SamplingResult:
        """Decide by the trace's randomness; keep the members of the parent's tracestate."""
        state = get_current_span(parent_context).get_span_context().trace_state or TraceState()
        members, randomness = _members(state.get(KEY, ""), trace_id & _MOST)
        sampled = randomness >= self._threshold
        if sampled:
            members = [f"th:{self.threshold}", *members]
        changed = state.update(KEY, ";".join(members)) if members else _without(state)
        if members and changed.get(KEY) != ";".join(members):
            changed = _without(state)  # rather than a threshold that is not true
        decision = Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP
        return SamplingResult(decision, attributes if sampled else None, changed)

    def get_description(self) -> str:
        """Return the name that shows in debug output."""
        return f"ProbabilitySampler{{{self._probability:g}}}"


def sampler_of(environ: Mapping[str, str] | None = None) -> Sampler | None:
    """Return the sampler that ``OTEL_TRACES_SAMPLER`` names where it samples by a ratio.

    None for the others and for an argument that cannot be read: the SDK reads those.
    """
    environ = os.environ if environ is None else environ
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    try:
        ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or 1)
    except ValueError:
        return None
    if name not in {"traceidratio", "parentbased_traceidratio"} or not 0 <= ratio <= 1:
        return None
    sampler = ProbabilitySampler(ratio)
    return ParentBased(sampler) if name.startswith("parentbased") else sampler


def _without(state: TraceState) -> TraceState:
    """Return `state` without our member; to delete what is not there would log a warning."""
    return state.delete(KEY) if KEY in state else state


def _members(value: str, randomness: int) -> tuple[list[str], int]:
    """Split an ``ot`` value: its members but for the threshold, and the randomness."""
    members = [m for m in value.split(";") if m and not m.startswith("th:")]
    for member in members:
        if explicit := _RANDOM_VALUE.fullmatch(member):
            randomness = int(explicit[1], 16)
    return members, randomness
