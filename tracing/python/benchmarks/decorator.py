"""What a traced call costs beyond a bare one, against the peers, in one run.

    python benchmarks/decorator.py [--published PATH] [--check] [--output FILE.json]

Each scenario runs in a process of its own, since there is one global tracer
provider. Within it every variant is timed in turn, round by round, so that a
busy neighbour slows all of them; ratios are medians over the rounds of the
ratio within a round. The tracer provider is the SDK's own with a batch
processor and an exporter that throws spans away.

`--published` names the file apps/suggestions/tracing.py of the article's
repository (Domoryonok/tracing_demo), which is not part of this one; the
variable PUBLISHED_TRACING does too. It is measured inside a Flask request,
below a traced view, because it does nothing elsewhere.

`--output` writes a pyperf suite, for `pyperf stats` and `pyperf compare_to`.
`--check` exits with 1 if a limit does not hold.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyperf
from opentelemetry import context as otel_context
from opentelemetry import trace as trace_api

from throughline_tracing import Trace, suppress

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLISHED = "PUBLISHED_TRACING"
CALLS = 500  # per variant and round
WARM_UP = 3  # rounds that are not counted

# scenario, ours, peer (None: microseconds), limit
LIMITS = [
    ("recording", "Trace", "hand-written", 1.05),
    ("recording", "Trace", "start_as_current_span", 0.85),
    ("recording, 3 more attributes", "Trace", "hand-written", 1.05),
    ("recording, 3 more attributes", "Trace", "start_as_current_span", 0.85),
    ("unsampled", "Trace", "start_as_current_span", 0.70),
    ("disabled by environment", "Trace", None, 0.1),
    ("disabled subtree", "Trace", None, 0.3),
    ("recording", "Trace, class method", "Trace", 1.05),
]


def work(value: int) -> int:
    """Do next to nothing."""
    return value


class Service:
    """Holds the method to compare with the function."""

    def work(self, value: int) -> int:
        """Do next to nothing."""
        return value


async def work_async(value: int) -> int:
    """Do next to nothing, asynchronously."""
    return value


# Scenarios. Each returns its variants by name: (traced call, bare call).

Variants = dict[str, tuple["Callable[[int], Any]", "Callable[[int], Any]"]]


def set_provider(sampler: Any = None) -> Any:
    """Make the SDK's provider the global one; return it."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Null(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler=sampler)
    # Long enough a queue that nothing is dropped: dropping logs and is cheaper.
    provider.add_span_processor(BatchSpanProcessor(Null(), max_queue_size=1 << 20))
    trace_api.set_tracer_provider(provider)
    return provider


def peers(attributes: dict[str, Any]) -> Variants:
    """Return the API's decorator and the hand-written form, with the attributes of `Trace`."""
    tracer = trace_api.get_tracer(__name__)
    all_attributes = {"code.function.name": f"{__name__}.work", **attributes}

    def by_hand(value: int) -> int:
        span = tracer.start_span("work", attributes=all_attributes)
        token = otel_context.attach(trace_api.set_span_in_context(span))
        try:
            return work(value)
        finally:
            otel_context.detach(token)
            span.end()

    decorate = tracer.start_as_current_span("work", attributes=all_attributes)
    return {
        "start_as_current_span": (decorate(work), work),
        "hand-written": (by_hand, work),
    }


def published() -> tuple[Any, Any] | None:
    """Return the article's decorator and a Flask application, if they are there."""
    path = os.environ.get(PUBLISHED)
    if not path or not Path(path).is_file():
        return None
    import flask

    spec = importlib.util.spec_from_file_location("published_tracing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Trace, flask.Flask("bench")


def in_request(variants: Variants, **options: Any) -> Variants:
    """Add the article's decorator to `variants`, measured below one of its own spans."""
    found = published()
    if found is None:
        return variants
    decorator, app = found
    app.test_request_context("/").push()
    decorator(**options)(lambda: None)()  # the first span of a request reads its headers
    traced = decorator()(work)
    return {**variants, "published": (traced, work)}


def recording() -> Variants:
    set_provider()
    service = Trace(type("Service", (), {"work": Service.work}))()
    return in_request(
        {
            "Trace": (Trace(work), work),
            "Trace, class method": (service.work, Service().work),
            **peers({}),
        }
    )


def recording_attributes() -> Variants:
    set_provider()
    attributes = {"shop.name": "main", "shop.size": 3, "shop.open": True}
    return {"Trace": (Trace(attributes=attributes)(work), work), **peers(attributes)}


def recording_arguments() -> Variants:
    set_provider()
    tracer = trace_api.get_tracer(__name__)

    def by_hand(value: int) -> int:
        span = tracer.start_span("work", attributes={"code.function.name": "work", "value": value})
        token = otel_context.attach(trace_api.set_span_in_context(span))
        try:
            return work(value)
        finally:
            otel_context.detach(token)
            span.end()

    return {"Trace": (Trace(args="value")(work), work), "hand-written": (by_hand, work)}


def recording_coroutine() -> Variants:
    set_provider()
    tracer = trace_api.get_tracer(__name__)
    attributes = {"code.function.name": f"{__name__}.work_async"}

    def run(function: Any) -> Callable[[int], Any]:
        def call(value: int) -> None:
            try:
                function(value).send(None)
            except StopIteration:
                return

        return call

    decorated = tracer.start_as_current_span("work_async", attributes=attributes)(work_async)
    bare = run(work_async)
    return {
        "Trace": (run(Trace(work_async)), bare),
        "start_as_current_span": (run(decorated), bare),
    }


def recording_block() -> Variants:
    set_provider()
    tracer = trace_api.get_tracer(__name__)

    def ours(value: int) -> int:
        with Trace("work"):
            return work(value)

    def theirs(value: int) -> int:
        with tracer.start_as_current_span("work"):
            return work(value)

    return {"Trace": (ours, work), "start_as_current_span": (theirs, work)}


def unsampled() -> Variants:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    set_provider(ALWAYS_OFF)
    return in_request({"Trace": (Trace(work), work), **peers({})})


def disabled_by_environment() -> Variants:
    os.environ["OTEL_SDK_DISABLED"] = "true"
    set_provider()
    return in_request({"Trace": (Trace(work), work), **peers({})})


def disabled_after_decoration() -> Variants:
    traced = Trace(work)
    return {**disabled_by_environment(), "Trace": (traced, work)}


def disabled_subtree() -> Variants:
    set_provider()
    otel_context.attach(suppress())
    return in_request({"Trace": (Trace(work), work)}, disable_tracing=True)


SCENARIOS: dict[str, Callable[[], Variants]] = {
    "recording": recording,
    "recording, 3 more attributes": recording_attributes,
    "recording, an argument": recording_arguments,
    "recording, coroutine": recording_coroutine,
    "recording, with block": recording_block,
    "unsampled": unsampled,
    "disabled by environment": disabled_by_environment,
    "disabled after decoration": disabled_after_decoration,
    "disabled subtree": disabled_subtree,
}


def measure(scenario: str, rounds: int) -> dict[str, list[float]]:
    """Return, per variant, the added microseconds per call in each round."""
    variants = SCENARIOS[scenario]()
    timings: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants.items())
    gc.collect()
    gc.freeze()
    for number in range(rounds + WARM_UP):
        order.append(order.pop(0))
        for name, (traced, bare) in order:
            added = (timed(traced) - timed(bare)) / CALLS * 1e6
            if number >= WARM_UP:
                timings[name].append(added)
    return timings


def timed(call: Callable[[int], Any]) -> float:
    """Return the seconds of this thread's CPU time that `CALLS` calls take.

    CPU time, since on a shared machine the clock on the wall mostly measures the others.
    """
    values = range(CALLS)
    start = time.thread_time()
    for value in values:
        call(value)
    return time.thread_time() - start


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def table(results: dict[str, dict[str, list[float]]]) -> str:
    """Return the results as a Markdown table: added time per call, and ours over each peer."""
    lines = [
        "| scenario | variant | added per call | Trace / variant |",
        "| --- | --- | ---: | ---: |",
    ]
    for scenario, timings in results.items():
        for name, values in timings.items():
            of = "" if name == "Trace" else f"{ratio(timings['Trace'], values):.2f}"
            lines.append(f"| {scenario} | {name} | {statistics.median(values):.2f} µs | {of} |")
    return "\n".join(lines)


def verdicts(results: dict[str, dict[str, list[float]]]) -> list[tuple[str, bool]]:
    """Return each limit as a line of text, and whether it holds."""
    lines = []
    for scenario, ours, peer, limit in LIMITS:
        timings = results.get(scenario)
        if timings is None:
            continue
        if peer is None:
            value = statistics.median(timings[ours])
            text = f"{scenario}: {ours} adds {value:.3f} µs, limit {limit} µs"
        else:
            value = ratio(timings[ours], timings[peer])
            text = f"{scenario}: {ours} / {peer} is {value:.2f}, limit {limit}"
        lines.append((text, value <= limit))
    return lines


def write_suite(results: dict[str, dict[str, list[float]]], path: str) -> None:
    """Write the results as a pyperf suite. Differences below zero count as zero."""
    benchmarks = []
    for scenario, timings in results.items():
        for name, values in timings.items():
            run = pyperf.Run(
                [max(value, 1e-6) / 1e6 for value in values],
                metadata={"name": f"{scenario}: {name}", "loops": CALLS, "unit": "second"},
                collect_metadata=False,
            )
            benchmarks.append(pyperf.Benchmark([run]))
    pyperf.BenchmarkSuite(benchmarks).dump(path, replace=True)


def main() -> int:
    """Run on the command line."""
    parser = argparse.ArgumentParser(
        description="Measure what a traced call costs beyond a bare one."
    )
    parser.add_argument("--published", metavar="PATH", help="the article's tracing.py")
    parser.add_argument("--rounds", type=int, default=120, help="rounds per scenario")
    parser.add_argument("--only", metavar="SCENARIO", help="one scenario")
    parser.add_argument("--check", action="store_true", help="fail if a limit does not hold")
    parser.add_argument("--output", metavar="FILE", help="write a pyperf suite")
    parser.add_argument("--worker", metavar="SCENARIO", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        json.dump(measure(options.worker, options.rounds), sys.stdout)
        return 0
    if options.published:
        os.environ[PUBLISHED] = options.published
    if published() is None:
        print(f"without the article's decorator: neither --published nor {PUBLISHED} names it")
    results = {}
    for scenario in [options.only] if options.only else SCENARIOS:
        command = [sys.executable, __file__, "--worker", scenario, "--rounds", str(options.rounds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        results[scenario] = json.loads(done.stdout)
    print(f"CPython {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    print(table(results))
    print()
    held = True
    for text, holds in verdicts(results):
        held &= holds
        print(f"{'holds' if holds else 'FAILS'}  {text}")
    if options.output:
        write_suite(results, options.output)
    return 0 if held or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
