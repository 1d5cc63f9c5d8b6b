"""Trace on coroutine functions."""

import asyncio
import contextvars
import gc
import inspect
import pickle
import types

import pytest
from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

from throughline_tracing import Trace

APP = contextvars.ContextVar("app", default="unset")


@Trace
async def fetch(key: str, delay: float = 0) -> str:
    """Fetch it."""
    await asyncio.sleep(delay)
    return key.upper()


@Trace(name="gather")
async def fetch_all(*keys: str) -> list[str]:
    return await asyncio.gather(*(fetch(key) for key in keys))


def test_span_lasts_as_long_as_the_body(spans):
    @Trace(name="outer")
    async def outer():
        with Trace("inner"):
            await asyncio.sleep(0)

    asyncio.run(outer())
    spans.assert_tree("outer\n  inner")
    inner, outer_span = spans.spans
    assert outer_span.start_time < inner.start_time
    assert outer_span.end_time > inner.end_time


def test_nothing_happens_until_it_is_awaited(spans):
    coroutine = fetch("a")
    assert len(spans) == 0
    assert asyncio.run(coroutine) == "A"
    assert spans.names == ["fetch"]


def test_tasks_do_not_see_each_other(spans):
    assert asyncio.run(fetch_all("a", "b", "c")) == ["A", "B", "C"]
    spans.assert_tree("""
        gather
          fetch
          fetch
          fetch
    """)


def test_is_a_coroutine_function():
    assert inspect.iscoroutinefunction(fetch)
    assert not inspect.isgeneratorfunction(fetch)
    assert fetch.__name__ == "fetch"
    assert fetch.__doc__ == "Fetch it."
    assert list(inspect.signature(fetch).parameters) == ["key", "delay"]
    assert pickle.loads(pickle.dumps(fetch)) is fetch
    coroutine = fetch("a")
    assert inspect.iscoroutine(coroutine)
    coroutine.close()


def test_function_marked_as_coroutine_function_is_awaited(spans):
    def plain():
        return fetch("x")

    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is None:
        plain._is_coroutine = asyncio.coroutines._is_coroutine
    else:
        mark(plain)
    traced = Trace(name="marked")(plain)
    assert inspect.iscoroutinefunction(traced)
    assert asyncio.run(traced()) == "X"
    spans.assert_tree("marked\n  fetch")


def test_generator_based_coroutine_stays_awaitable(spans):
    @Trace(name="old style")
    @types.coroutine
    def old():
        got = yield from asyncio.sleep(0, "slept").__await__()
        return got

    async def main():
        return await old()

    assert asyncio.run(main()) == "slept"
    assert spans.names == ["old style"]


def test_cancellation_is_no_error(spans):
    async def main():
        task = asyncio.create_task(fetch("a", 60))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    span = spans.one("fetch")
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["throughline.cancelled"] is True
    assert span.events == ()


@pytest.mark.skipif(not hasattr(asyncio, "timeout"), reason="asyncio.timeout is new in 3.11")
def test_timeout_inside_and_around(spans):
    @Trace(name="inside")
    async def inside():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    async def around():
        async with asyncio.timeout(0.01):
            await fetch("a", 60)

    with pytest.raises(TimeoutError):
        asyncio.run(inside())
    with pytest.raises(TimeoutError):
        asyncio.run(around())
    assert spans.one("inside").attributes["error.type"] == "TimeoutError"
    assert spans.one("fetch").status.status_code is StatusCode.UNSET


def test_application_context_variables_are_the_applications(spans):
    @Trace
    async def set_it():
        APP.set("inside")

    async def main():
        await set_it()
        return APP.get()

    assert asyncio.run(main()) == "inside"


def test_context_is_restored(spans):
    async def main():
        before = otel_context.get_current()
        await fetch("a")
        assert otel_context.get_current() is before

    asyncio.run(main())


def test_closed_before_its_end_by_the_garbage_collector(spans, caplog):
    @types.coroutine
    def suspend():
        yield

    @Trace(name="abandoned")
    async def abandoned():
        await suspend()

    def start_elsewhere():
        coroutine = abandoned()
        coroutine.send(None)
        return coroutine

    coroutine = contextvars.copy_context().run(start_elsewhere)
    del coroutine
    gc.collect()
    assert spans.one("abandoned").status.status_code is StatusCode.UNSET
    assert caplog.records == []


def test_never_awaited_is_still_warned_about(spans):
    with pytest.warns(RuntimeWarning, match="was never awaited"):
        fetch("a")
        gc.collect()
    assert len(spans) == 0


def test_arguments_result_and_root(spans):
    @Trace(name="f", args="n", record_return=True, root="skip")
    async def f(n):
        return n * 2

    async def main():
        await f(1)
        with Trace("request"):
            return await f(3)

    assert asyncio.run(main()) == 6
    assert (spans.one("f").attributes["n"], spans.one("f").attributes["return"]) == (3, 6)


def test_suppressed(spans):
    @Trace(disable_tracing=True)
    async def quiet():
        return await fetch("a")

    assert asyncio.run(quiet()) == "A"
    assert len(spans) == 0
