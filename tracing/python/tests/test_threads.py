"""Carrying the trace into threads and executors."""

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace as api

from throughline_tracing import Trace, TracedExecutor, bind, suppress

APP = contextvars.ContextVar("app", default="unset")


@Trace(name="work")
def work(n=0):
    """Work."""
    return n


def in_thread(target):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()


def test_a_bare_thread_starts_a_trace_of_its_own(spans):
    with Trace("request"):
        in_thread(work)
    assert spans.one("work").parent is None


def test_bind_carries_the_trace_into_a_thread(spans):
    with Trace("request"):
        in_thread(bind(work))
    spans.assert_tree("request\n  work")


def test_the_context_is_that_of_the_binding_not_of_the_call(spans):
    with Trace("first"):
        bound = bind(work)
    with Trace("second") as second:
        bound()
        assert api.get_current_span() is second
    spans.assert_tree("first\n  work\n\nsecond")


def test_a_context_can_be_given(spans):
    with Trace("request"):
        given = otel_context.get_current()
    bind(work, given)()
    spans.assert_tree("request\n  work")


def test_suppression_is_carried_too(spans):
    in_thread(bind(work, suppress()))
    assert len(spans) == 0


def test_bound_keeps_looks_kind_result_and_errors(spans):
    bound = bind(work)
    assert bound.__name__ == "work"
    assert bound.__doc__ == "Work."
    assert bound(3) == 3
    assert inspect.signature(bound) == inspect.signature(work)
    before = otel_context.get_current()
    with pytest.raises(ZeroDivisionError):
        bind(lambda: 1 / 0)()
    assert otel_context.get_current() is before


def test_coroutine_functions(spans):
    @Trace(name="fetch")
    async def fetch(n):
        await asyncio.sleep(0)
        return n

    with Trace("request"):
        bound = bind(fetch)
    assert inspect.iscoroutinefunction(bound)
    result = []
    in_thread(lambda: result.append(asyncio.run(bound(5))))
    assert result == [5]
    spans.assert_tree("request\n  fetch")


def test_generators_are_refused():
    def numbers():
        yield 1

    async def numbers_async():
        yield 1

    for function in (numbers, numbers_async, Trace(numbers)):
        with pytest.raises(TypeError, match="bind what consumes it"):
            bind(function)


def test_application_context_variables_are_not_carried(spans):
    APP.set("caller")
    seen = []
    in_thread(bind(lambda: seen.append(APP.get())))
    assert seen == ["unset"]


def test_executor(spans):
    with TracedExecutor(max_workers=2) as executor:
        with Trace("request"):
            futures = [executor.submit(work, n) for n in range(2)]
            mapped = list(executor.map(work, [2, 3]))
        executor.submit(work, 4).result()
        assert [future.result() for future in futures] == [0, 1]
        assert mapped == [2, 3]
    assert isinstance(executor, concurrent.futures.ThreadPoolExecutor)
    spans.assert_tree("request\n  work\n  work\n  work\n  work\n\nwork")


def test_executor_passes_errors(spans):
    with TracedExecutor() as executor:
        future = executor.submit(lambda: 1 / 0)
        assert isinstance(future.exception(), ZeroDivisionError)


def test_executor_of_the_event_loop(spans):
    async def main():
        loop = asyncio.get_running_loop()
        with TracedExecutor(max_workers=1) as executor:
            loop.set_default_executor(executor)
            with Trace("request"):
                await loop.run_in_executor(None, work)
                await loop.run_in_executor(executor, work)
                await asyncio.to_thread(work)

    asyncio.run(main())
    spans.assert_tree("request\n  work\n  work\n  work")
