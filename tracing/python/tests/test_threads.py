"""Carrying the trace into threads and executors."""

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace as api

from throughline_tracing import Trace, TracedExecutor, _threads, bind, patch_threads, suppress

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


# patch_threads.


@pytest.fixture
def patched():
    undo = patch_threads()
    yield
    undo()


def test_patched_threads_carry_the_trace(spans, patched):
    """Threads, subclasses with a run of their own, and timers."""

    class Worker(threading.Thread):
        def run(self):
            work()

    with Trace("request"):
        for thread in (threading.Thread(target=work), Worker(), threading.Timer(0, work)):
            thread.start()
            thread.join()
            assert "run" not in vars(thread)
    spans.assert_tree("request\n  work\n  work\n  work")


def test_patched_executors_give_each_task_its_own_trace(spans, patched):
    """Neither the first task's trace nor another's stays with a worker."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        with Trace("first"):
            executor.submit(work).result()
        executor.submit(Trace(name="alone")(lambda: None)).result()
        with Trace("second"):
            list(executor.map(work, [1]))

        async def later():
            with Trace("third"):
                await asyncio.get_running_loop().run_in_executor(executor, work)

        asyncio.run(later())
    spans.assert_tree("first\n  work\n\nalone\n\nsecond\n  work\n\nthird\n  work")


def test_a_traced_executor_under_the_patch(spans, patched):
    with TracedExecutor(1) as executor, Trace("request"):
        executor.submit(work, 1).result()
    spans.assert_tree("request\n  work")


def test_starting_twice_fails_as_ever(spans, patched):
    with Trace("request"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
    assert len(spans) == 2


def test_a_thread_that_cannot_start_is_left_as_it_was(spans, patched, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with Trace("request"):
        thread = threading.Thread(target=work)
        with monkeypatch.context() as patch:
            patch.setitem(_threads._originals, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                thread.start()
        assert "run" not in vars(thread)


def test_the_patch_is_put_on_once_and_taken_off(spans):
    start, submit = threading.Thread.start, concurrent.futures.ThreadPoolExecutor.submit
    undo = patch_threads()
    assert patch_threads() is undo
    undo()
    undo()
    assert threading.Thread.start is start
    assert concurrent.futures.ThreadPoolExecutor.submit is submit
    with Trace("request"):
        in_thread(work)
    assert spans.one("work").parent is None


def test_what_is_patched_over_ours_stays(spans, monkeypatch):
    undo = patch_threads()
    ours, theirs = threading.Thread.start, lambda self: ours(self)
    monkeypatch.setattr(threading.Thread, "start", theirs)
    undo()
    assert threading.Thread.start is theirs
    monkeypatch.undo()
    undo()
    with Trace("request"):
        in_thread(work)
    assert spans.one("work").parent is None
