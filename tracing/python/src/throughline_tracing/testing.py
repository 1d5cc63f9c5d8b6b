"""Testing what is traced: recorded spans as text, with the same ids and times on every run.

`capture` makes a tracer provider the global one for the length of a block and
gives back what was recorded. Ids count from 1 and the clock moves 1 ms per
reading, so a failing test prints the same tree on every machine:

>>> from throughline_tracing import Trace
>>> @Trace
... def price(item: str) -> int:
...     return {"tea": 3}[item]
>>> with capture() as spans:
...     with Trace("checkout"):
...         _ = price("tea")
>>> spans.assert_tree('''
...     checkout
...       price
... ''')

As a pytest fixture::

    @pytest.fixture
    def spans():
        with capture() as spans:
            yield spans

Needs the extra ``sdk``.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import textwrap
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from throughline_tracing._suppression import is_suppressed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from opentelemetry.trace import Span, Tracer

__all__ = ["Clock", "SequentialIds", "SpanRecorder", "capture"]


class SequentialIds(IdGenerator):
    """Trace and span ids that count from 1."""

    def __init__(self) -> None:
        self._trace_ids = itertools.count(1)
        self._span_ids = itertools.count(1)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        return next(self._trace_ids)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._span_ids)


class Clock:
    """A clock that moves by `step` nanoseconds at each reading, from `start` on.

    >>> clock = Clock(step=10)
    >>> clock(), clock()
    (10, 20)
    """

    def __init__(self, start: int = 0, step: int = 1_000_000) -> None:
        self._now = start
        self._step = step
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        with self._lock:
            self._now += self._step
            return self._now


class _Provider(TracerProvider):
    """A tracer provider on a clock of its own, which honours suppression."""

    honours_suppression = True

    def __init__(self, clock: Clock, sampler: Sampler, resource: Resource) -> None:
        super().__init__(
            sampler=sampler,
            resource=resource,
            id_generator=SequentialIds(),
            shutdown_on_exit=False,
        )
        self._clock = clock
        self._wired: set[int] = set()

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        tracer: Any = super().get_tracer(*args, **kwargs)
        if id(tracer) not in self._wired:
            self._wired.add(id(tracer))
            tracer.start_span = self._starter(tracer.start_span)
        return tracer  # type: ignore[no-any-return]

    def _starter(self, start: Any) -> Any:
        clock = self._clock

        def start_span(
            name: str,
            context: Any = None,
            kind: SpanKind = SpanKind.INTERNAL,
            attributes: Any = None,
            links: Any = (),
            start_time: int | None = None,
            **options: Any,
        ) -> Span:
            if is_suppressed(context):
                return get_current_span(context)
            started = clock() if start_time is None else start_time
            span: Any = start(name, context, kind, attributes, links, started, **options)
            if span.is_recording():
                end, add_event = span.end, span.add_event
                span.end = lambda end_time=None: end(clock() if end_time is None else end_time)
                span.add_event = lambda name, attributes=None, timestamp=None: add_event(
                    name, attributes, clock() if timestamp is None else timestamp
                )
            return span  # type: ignore[no-any-return]

        return start_span


class SpanRecorder:
    """The spans recorded in a `capture`, in the order they ended.

    Attributes:
        provider: The tracer provider that is in force, for code that takes one.
    """

    def __init__(self, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
        self.provider = provider
        self._exporter = exporter

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans that have ended."""
        return list(self._exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        """The names of the spans that have ended, in that order."""
        return [span.name for span in self.spans]

    def __len__(self) -> int:
        return len(self.spans)

    def clear(self) -> None:
        """Forget what was recorded."""
        self._exporter.clear()

    def one(self, name: str) -> ReadableSpan:
        """Return the only span of that name.

        Raises:
            AssertionError: There is none, or more than one; the message shows the tree.
        """
        found = [span for span in self.spans if span.name == name]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} spans named {name!r} in\n{self._shown()}")
        return found[0]

    def tree(self, attributes: Iterable[str] = ()) -> str:
        """Return the recorded spans as text, one per line, indented by two per level.

        A line holds the name; the kind unless it is internal; ``(remote parent)``, or
        ``(parent not recorded)`` for a span whose local parent has not ended; the values of
        `attributes`; and the error. Children are in the order they began; an empty line
        separates traces.
        """
        wanted = tuple(attributes)
        spans = sorted(self.spans, key=lambda span: span.start_time or 0)
        ids = {_id(span) for span in spans}
        children: dict[tuple[int, int] | None, list[ReadableSpan]] = {}
        for span in spans:
            parent = span.parent and (span.parent.trace_id, span.parent.span_id)
            children.setdefault(parent if parent in ids else None, []).append(span)
        traces: dict[int, list[str]] = {}

        def add(span: ReadableSpan, depth: int) -> None:
            lines = traces.setdefault(_id(span)[0], [])
            lines.append("  " * depth + _line(span, wanted, known=span.parent is None or depth > 0))
            for child in children.get(_id(span), []):
                add(child, depth + 1)

        for root in children.get(None, []):
            add(root, 0)
        return "\n\n".join("\n".join(lines) for lines in traces.values())

    def assert_tree(self, expected: str, attributes: Iterable[str] = ()) -> None:
        """Compare `tree` with `expected`, whose common indentation does not count.

        Raises:
            AssertionError: They differ; the message shows the tree and the difference.
        """
        want = textwrap.dedent(expected).strip()
        got = self.tree(attributes)
        if got != want:
            diff = "\n".join(
                difflib.unified_diff(
                    want.splitlines(), got.splitlines(), "expected", "recorded", lineterm=""
                )
            )
            raise AssertionError(f"recorded spans:\n{self._shown()}\n\n{diff}")

    def _shown(self) -> str:
        return textwrap.indent(self.tree() or "(none)", "  ")


def _id(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def _line(span: ReadableSpan, attributes: tuple[str, ...], *, known: bool) -> str:
    parts = [span.name]
    if span.kind is not SpanKind.INTERNAL:
        parts.append(f"[{span.kind.name.lower()}]")
    if not known and span.parent is not None:
        parts.append("(remote parent)" if span.parent.is_remote else "(parent not recorded)")
    values: Mapping[str, Any] = span.attributes or {}
    parts += [f"{key}={values[key]}" for key in attributes if key in values]
    if span.status.status_code is StatusCode.ERROR:
        parts.append(f"ERROR {values.get('error.type', '')}".rstrip())
    return " ".join(parts)


@contextlib.contextmanager
def capture(
    *,
    sampler: Sampler = ALWAYS_ON,
    resource: Resource | None = None,
    clock: Clock | None = None,
) -> Generator[SpanRecorder, None, None]:
    """Record the spans of a block, by a tracer provider that is the global one meanwhile.

    The provider that was global before is global again afterwards. Not for two
    blocks at once in different threads: there is one global provider.

    Args:
        sampler: Decides what is recorded; everything by default.
        resource: The resource of the spans; empty by default.
        clock: The clock; by default one of 1 ms steps.
    """
    exporter = InMemorySpanExporter()
    provider = _Provider(clock or Clock(), sampler, resource or Resource({}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    globals_: Any = trace_api
    before = globals_._TRACER_PROVIDER
    globals_._TRACER_PROVIDER = provider
    try:
        yield SpanRecorder(provider, exporter)
    finally:
        globals_._TRACER_PROVIDER = before
        provider.shutdown()
