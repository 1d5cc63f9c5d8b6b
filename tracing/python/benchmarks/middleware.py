"""What tracing adds to a Flask request, ours and FlaskInstrumentor's, in one run.

    python benchmarks/middleware.py [--check] [--rounds N]

Each scenario runs in a process of its own, since there is one global tracer
provider. Within it the same application, bare and traced either way, answers
requests in turn, called as a WSGI server would call it; ratios are medians over
the rounds of the ratio of the added times within a round. Times are CPU time of
the thread that answers, which a busy machine does not change much. Where spans are
recorded they go through a batch processor to an exporter that throws them away.
FlaskInstrumentor is told to use the stable conventions.

The scenario "dead backend" compares our provider whose backend refuses
connections with one that exports nothing, by the clock: it should cost nothing.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import platform
import statistics
import subprocess
import sys
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

from flask import Flask
from opentelemetry import trace as trace_api

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 50  # requests per variant and round
WARM_UP = 3  # rounds that are not counted
LIMIT = 0.5  # of FlaskInstrumentor's added time
DEAD_LIMIT = 1.1  # of the request time with no backend

REMOTE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def application() -> Flask:
    """Return the application that is measured."""
    app = Flask("bench")
    app.add_url_rule("/articles/<article_id>", "article", lambda article_id: article_id)
    return app


def environment() -> dict[str, Any]:
    """Return the WSGI environment of one request, as gunicorn makes it."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/articles/7",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8002",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "127.0.0.1:8002",
        "HTTP_USER_AGENT": "bench",
        "HTTP_ACCEPT": "*/*",
        "HTTP_TRACEPARENT": REMOTE,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def set_provider(**options: Any) -> None:
    """Make the SDK's provider, with a batch processor to nowhere, the global one."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Null(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002
            return SpanExportResult.SUCCESS

    provider = TracerProvider(**options)
    provider.add_span_processor(BatchSpanProcessor(Null(), max_queue_size=1 << 20))
    trace_api.set_tracer_provider(provider)


def peers() -> dict[str, Flask]:
    """Return the application bare, traced by us, and traced by FlaskInstrumentor."""
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    from throughline_tracing.flask import trace_app

    theirs = application()
    FlaskInstrumentor().instrument_app(theirs)
    return {
        "bare": application(),
        "throughline": trace_app(application()),
        "FlaskInstrumentor": theirs,
    }


def recording() -> dict[str, Flask]:
    """Every request is recorded."""
    set_provider()
    return peers()


def unsampled() -> dict[str, Flask]:
    """No request is recorded, by the sampler."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    set_provider(sampler=ALWAYS_OFF)
    return peers()


def disabled() -> dict[str, Flask]:
    """OTEL_SDK_DISABLED is set."""
    os.environ["OTEL_SDK_DISABLED"] = "true"
    set_provider()
    return peers()


def dead_backend() -> dict[str, Flask]:
    """The backend refuses connections; compared with no export at all."""
    from throughline_tracing import OTLPProvider
    from throughline_tracing.flask import trace_app

    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"
    dead = OTLPProvider("bench", "127.0.0.1:1", flush_timeout=0.1)
    os.environ["OTEL_TRACES_EXPORTER"] = "none"
    without = OTLPProvider("bench", flush_timeout=0.1)
    return {
        "bare": application(),
        "no backend": trace_app(application(), tracer_provider=without.provider),
        "dead backend": trace_app(application(), tracer_provider=dead.provider),
    }


SCENARIOS: dict[str, Callable[[], dict[str, Flask]]] = {
    "recording": recording,
    "unsampled": unsampled,
    "disabled by environment": disabled,
    "dead backend": dead_backend,
}


def answer(status: str, headers: Any, exc_info: Any = None) -> None:  # noqa: ARG001
    """Stand in for the server."""
    assert status == "200 OK"


def timed(app: Flask, clock: Callable[[], float]) -> float:
    """Return the microseconds a request takes."""
    environments = [environment() for _ in range(CALLS)]
    start = clock()
    for one in environments:
        body = app(one, answer)
        for _ in body:
            pass
        body.close()  # type: ignore[attr-defined]
    return (clock() - start) / CALLS * 1e6


def measure(scenario: str, rounds: int) -> dict[str, list[float]]:
    """Return, per variant, the microseconds per request in each round."""
    variants = SCENARIOS[scenario]()
    timings: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants.items())
    clock = perf_counter if scenario == "dead backend" else thread_time
    gc.collect()
    gc.freeze()
    for number in range(rounds + WARM_UP):
        order.append(order.pop(0))
        for name, app in order:
            took = timed(app, clock)
            if number >= WARM_UP:
                timings[name].append(took)
    return timings


def added(timings: dict[str, list[float]], name: str) -> list[float]:
    """Return what a variant took beyond the bare application in each round."""
    return [a - b for a, b in zip(timings[name], timings["bare"], strict=True)]


def table(results: dict[str, dict[str, list[float]]]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| scenario | variant | per request | added |", "| --- | --- | ---: | ---: |"]
    for scenario, timings in results.items():
        for name, values in timings.items():
            extra = "" if name == "bare" else f"{statistics.median(added(timings, name)):.0f} µs"
            lines.append(f"| {scenario} | {name} | {statistics.median(values):.0f} µs | {extra} |")
    return "\n".join(lines)


def verdicts(results: dict[str, dict[str, list[float]]]) -> list[tuple[str, bool]]:
    """Return each limit as a line of text, and whether it holds."""
    lines = []
    for scenario, timings in results.items():
        if scenario == "dead backend":
            pairs = zip(timings["dead backend"], timings["no backend"], strict=True)
            what, limit = "a request with a dead backend / with none", DEAD_LIMIT
        else:
            ours, theirs = added(timings, "throughline"), added(timings, "FlaskInstrumentor")
            pairs = zip(ours, theirs, strict=True)
            what, limit = "added by throughline / by FlaskInstrumentor", LIMIT
        value = statistics.median(a / b for a, b in pairs)
        lines.append((f"{scenario}: {what} is {value:.2f}, limit {limit}", value <= limit))
    return lines


def main() -> int:
    """Run on the command line."""
    parser = argparse.ArgumentParser(description="Measure what tracing adds to a Flask request.")
    parser.add_argument("--rounds", type=int, default=100, help="rounds per scenario")
    parser.add_argument("--only", metavar="SCENARIO", help="one scenario")
    parser.add_argument("--check", action="store_true", help="fail if a limit does not hold")
    parser.add_argument("--worker", metavar="SCENARIO", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        json.dump(measure(options.worker, options.rounds), sys.stdout)
        return 0
    results = {}
    for scenario in [options.only] if options.only else SCENARIOS:
        command = [sys.executable, __file__, "--worker", scenario, "--rounds", str(options.rounds)]
        environ = {**os.environ, "OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environ)
        results[scenario] = json.loads(done.stdout)
    print(f"CPython {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    print(table(results))
    print()
    held = True
    for text, holds in verdicts(results):
        held &= holds
        print(f"{'holds' if holds else 'FAILS'}  {text}")
    return 0 if held or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
