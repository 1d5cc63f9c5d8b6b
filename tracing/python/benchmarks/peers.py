"""Which of the abilities in the README's table each peer has, found out by trying.

    python benchmarks/peers.py

Tries this package, the OpenTelemetry API's decorator, and of logfire, langfuse
and ddtrace those that are installed; prints a Markdown table. Each peer runs in
a process of its own. A probe that fails, or raises, is a no.
"""

# ruff: noqa: ARG001, ARG002, ARG005 (probes have the signatures they are about)

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import importlib.util
import inspect
import json
import os
import pickle
import subprocess
import sys
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

APP: contextvars.ContextVar[str] = contextvars.ContextVar("app", default="unset")


class Peer:
    """A decorator, the spans it made, and the id of the current one.

    Attributes:
        decorate: The decorator, without options.
        finished: Gives (name, span id, parent id, recorded exceptions) of each ended span.
        current: Gives the id of the current span, or None.
        block: Opens a span for a block.
    """

    def __init__(
        self,
        decorate: Callable[[Any], Any],
        finished: Callable[[], list[tuple[str, Any, Any, int]]],
        current: Callable[[], Any],
        block: Callable[[str], Any],
    ) -> None:
        self.decorate = decorate
        self.finished = finished
        self.current = current
        self.block = block


def opentelemetry_peer(decorate: Callable[[Any], Any], provider: Any) -> Peer:
    """Return a peer whose spans go through OpenTelemetry."""
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def finished() -> list[tuple[str, Any, Any, int]]:
        return [
            (
                span.name,
                span.context.span_id,
                span.parent and span.parent.span_id,
                sum(event.name == "exception" for event in span.events),
            )
            for span in exporter.get_finished_spans()
            if span.attributes.get("logfire.span_type") != "pending_span"
        ]

    def current() -> Any:
        context = api.get_current_span().get_span_context()
        return context.span_id if context.is_valid else None

    return Peer(decorate, finished, current, api.get_tracer("peers").start_as_current_span)


def ours() -> Peer:
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace import TracerProvider

    from throughline_tracing import Trace

    provider = TracerProvider()
    api.set_tracer_provider(provider)
    return opentelemetry_peer(Trace, provider)


def opentelemetry_api() -> Peer:
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    api.set_tracer_provider(provider)
    tracer = api.get_tracer("peers")
    return opentelemetry_peer(lambda f: tracer.start_as_current_span("span")(f), provider)


def logfire() -> Peer:
    import logfire as module
    from opentelemetry import trace as api

    module.configure(send_to_logfire=False, console=False)
    provider: Any = api.get_tracer_provider()
    return opentelemetry_peer(lambda f: module.instrument("span")(f), provider)


def langfuse() -> Peer:
    from langfuse import Langfuse, observe
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    api.set_tracer_provider(provider)
    Langfuse(
        public_key="pk",
        secret_key="sk",
        host="http://127.0.0.1:9",
        tracer_provider=provider,
    )
    return opentelemetry_peer(observe, provider)


def ddtrace() -> Peer:
    os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
    os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"
    from ddtrace.trace import TraceFilter, tracer

    ended: list[Any] = []

    class Keep(TraceFilter):
        def process_trace(self, trace: Any) -> None:
            ended.extend(trace)

    tracer.configure(trace_processors=[Keep()])

    def current() -> Any:
        span = tracer.current_span()
        return span and span.span_id

    def finished() -> list[tuple[str, Any, Any, int]]:
        return [(s.name, s.span_id, s.parent_id, int("error.stack" in s.get_tags())) for s in ended]

    return Peer(lambda f: tracer.wrap("span")(f), finished, current, tracer.trace)


PEERS: dict[str, tuple[str, Callable[[], Peer]]] = {
    "Trace": ("throughline-tracing", ours),
    "OpenTelemetry API": ("opentelemetry-api", opentelemetry_api),
    "logfire": ("logfire", logfire),
    "langfuse": ("langfuse", langfuse),
    "ddtrace": ("ddtrace", ddtrace),
}


# Probes. Each takes a peer and says whether it has the ability its docstring names.


def coroutine(peer: Peer) -> bool:
    """coroutine: span until the body ends"""

    async def work() -> tuple[Any, int]:
        await asyncio.sleep(0)
        return peer.current(), len(peer.finished())

    traced = peer.decorate(work)
    inside, ended = asyncio.run(traced())
    return inspect.iscoroutinefunction(traced) and inside is not None and ended == 0


def generator(peer: Peer) -> bool:
    """generator: span until the body ends"""

    def work() -> Any:
        yield peer.current()
        yield len(peer.finished())

    inside, ended = peer.decorate(work)()
    return inside is not None and ended == 0 and len(peer.finished()) == 1


def generator_kind(peer: Peer) -> bool:
    """generator: still a generator function"""

    def work() -> Any:
        yield 1

    async def work_async() -> Any:
        yield 1

    return inspect.isgeneratorfunction(peer.decorate(work)) and inspect.isasyncgenfunction(
        peer.decorate(work_async)
    )


def generator_context(peer: Peer) -> bool:
    """generator: the consumer's context is its own between items"""

    def work() -> Any:
        yield 1
        yield 2

    with peer.block("consumer"):
        mine = peer.current()
        return all(peer.current() == mine for _ in peer.decorate(work)())


def generator_variables(peer: Peer) -> bool:
    """generator: the application's context variables as without it"""

    def work() -> Any:
        APP.set("body")
        yield 1
        yield APP.get()

    items = peer.decorate(work)()
    next(items)
    seen_outside = APP.get()
    APP.set("consumer")
    return seen_outside == "body" and next(items) == "consumer"


def async_generator_protocol(peer: Peer) -> bool:
    """async generator: asend and athrow reach the body, span until it ends"""

    async def work() -> Any:
        received = None
        while True:
            try:
                received = yield received, peer.current()
            except KeyError:
                received = "thrown"

    async def main() -> bool:
        items = peer.decorate(work)()
        _, inside = await items.asend(None)
        sent, _ = await items.asend(1)
        thrown, _ = await items.athrow(KeyError())
        before = len(peer.finished())
        await items.aclose()
        after = len(peer.finished())
        return (sent, thrown, before, after) == (1, "thrown", 0, 1) and inside is not None

    return asyncio.run(main())


def async_generator_timeout(peer: Peer) -> bool:
    """async generator: asyncio.timeout in the body"""

    async def work() -> Any:
        async with asyncio.timeout(0.01):
            yield 1
            await asyncio.sleep(1)

    async def main() -> bool:
        try:
            async for _ in peer.decorate(work)():
                pass
        except TimeoutError:
            return True
        return False

    return asyncio.run(main())


def class_(peer: Peer) -> bool:
    """class: its methods are traced, it stays a class"""

    class Service:
        def get(self) -> Any:
            return peer.current()

    traced = peer.decorate(Service)
    return isinstance(traced, type) and traced().get() is not None


def class_construction(peer: Peer) -> bool:
    """class: constructing it is no span"""

    class Service:
        def __init__(self) -> None:
            self.n = 1

    peer.decorate(Service)()
    return not peer.finished()


def above_classmethod(peer: Peer) -> bool:
    """above and below classmethod and staticmethod"""

    class Service:
        class_above = peer.decorate(classmethod(lambda cls: peer.current()))
        class_below = classmethod(peer.decorate(lambda cls: peer.current()))
        static_above = peer.decorate(staticmethod(lambda: peer.current()))
        static_below = staticmethod(peer.decorate(lambda: peer.current()))

    service: Any = Service()
    calls = [service.class_above, service.class_below, service.static_above, service.static_below]
    return all(call() is not None for call in calls)


def partial(peer: Peer) -> bool:
    """partials and callable instances"""

    class Work:
        def __call__(self, n: int) -> Any:
            return peer.current()

    def work(n: int) -> Any:
        return peer.current()

    return peer.decorate(functools.partial(work, 1))() and peer.decorate(Work())(1)


def module_level() -> int:
    """Be picklable."""
    return 1


def pickled(peer: Peer) -> bool:
    """decorated functions can be pickled"""
    global module_level
    module_level = peer.decorate(module_level)
    return pickle.loads(pickle.dumps(module_level))() == 1


def recorded_once(peer: Peer) -> bool:
    """an exception is recorded once however deep the nesting"""

    def inner() -> None:
        raise KeyError

    traced = peer.decorate(inner)
    try:
        peer.decorate(lambda: traced())()
    except KeyError:
        pass
    return sum(count for *_, count in peer.finished()) == 1


def cancelled(peer: Peer) -> bool:
    """cancellation is no error"""

    async def work() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(peer.decorate(work)())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    return [count for *_, count in peer.finished()] == [0]


def twice(peer: Peer) -> bool:
    """decorating twice is one span"""

    def work() -> None:
        pass

    peer.decorate(peer.decorate(work))()
    return len(peer.finished()) == 1


PROBES = [
    coroutine,
    generator,
    generator_kind,
    generator_context,
    generator_variables,
    async_generator_protocol,
    async_generator_timeout,
    class_,
    class_construction,
    above_classmethod,
    partial,
    pickled,
    recorded_once,
    cancelled,
    twice,
]


def probe(peer: str, name: str) -> bool:
    """Run one probe in this process."""
    made = PEERS[peer][1]()
    (function,) = (function for function in PROBES if function.__name__ == name)
    try:
        return bool(function(made))
    except Exception as error:
        print(f"{peer}: {name}: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    finally:
        gc.collect()


def main() -> None:
    """Run on the command line."""
    if len(sys.argv) > 1:
        warnings.simplefilter("ignore")
        answer = probe(*sys.argv[1:])
        json.dump(answer, sys.stdout)
        sys.stdout.flush()
        os._exit(0)  # some peers wait for their servers at exit
    there = {
        name: distribution
        for name, (distribution, _) in PEERS.items()
        if importlib.util.find_spec(distribution.replace("-", "_").replace("_api", ""))
    }
    print("|", *(f"| {name} {version(there[name])}" for name in there), "|")
    print("| ---", *("| :---:" for _ in there), "|")
    for function in PROBES:
        cells = []
        for name in there:
            command = [sys.executable, __file__, name, function.__name__]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            except subprocess.TimeoutExpired:
                print(f"{name}: {function.__name__}: does not end", file=sys.stderr)
                cells.append("no")
                continue
            sys.stderr.write(done.stderr[-300:])
            cells.append("yes" if done.stdout.strip().endswith("true") else "no")
        print(f"| {function.__doc__}", *(f"| {cell}" for cell in cells), "|")


if __name__ == "__main__":
    main()
