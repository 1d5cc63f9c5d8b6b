"""Trace on async generator functions: PEP 525 in full, in the caller's task."""

import asyncio
import contextvars
import gc
import inspect
import pickle
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace as api
from opentelemetry.trace import StatusCode

from throughline_tracing import Trace
from throughline_tracing.testing import capture

APP = contextvars.ContextVar("app", default="unset")


@Trace
async def numbers(n: int):
    """Count."""
    for item in range(n):
        await asyncio.sleep(0)
        yield item


@Trace(name="leaf")
def leaf():
    pass


def test_span_lasts_until_exhaustion(spans):
    async def main():
        return [item async for item in numbers(3)]

    assert asyncio.run(main()) == [0, 1, 2]
    assert spans.names == ["numbers"]


def test_is_an_async_generator_function():
    assert inspect.isasyncgenfunction(numbers)
    assert inspect.isasyncgen(numbers(1))
    assert numbers.__name__ == "numbers"
    assert numbers.__doc__ == "Count."
    assert pickle.loads(pickle.dumps(numbers)) is numbers


def test_context_is_the_consumers_between_steps(spans):
    @Trace(name="producer")
    async def producer():
        with Trace("batch"):
            leaf()
            yield 1
            await asyncio.sleep(0)
            leaf()
            yield 2

    async def main():
        with Trace("consumer") as consumer:
            async for _ in producer():
                assert api.get_current_span() is consumer
                leaf()

    asyncio.run(main())
    spans.assert_tree("""
        consumer
          producer
            batch
              leaf
              leaf
          leaf
          leaf
    """)


def test_body_runs_in_the_callers_task(spans):
    @Trace
    async def producer():
        yield asyncio.current_task()
        yield asyncio.current_task()

    async def main():
        return {task async for task in producer()} == {asyncio.current_task()}

    assert asyncio.run(main())


@pytest.mark.skipif(not hasattr(asyncio, "timeout"), reason="asyncio.timeout is new in 3.11")
def test_timeout_inside_the_body_and_around_it(spans):
    @Trace(name="inside")
    async def inside():
        async with asyncio.timeout(0.01):
            yield 1
            await asyncio.sleep(60)

    @Trace(name="around")
    async def around():
        yield 1
        await asyncio.sleep(60)

    async def main():
        with pytest.raises(TimeoutError):
            async for _ in inside():
                pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                async for _ in around():
                    pass

    asyncio.run(main())
    assert spans.one("inside").attributes["error.type"] == "TimeoutError"
    assert spans.one("around").status.status_code is StatusCode.UNSET


def test_application_context_variables_are_the_tasks(spans):
    @Trace
    async def producer():
        yield APP.get()
        APP.set("from the body")
        yield APP.get()

    async def main():
        APP.set("one")
        generator = producer()
        first = await generator.asend(None)
        second = await generator.asend(None)
        await generator.aclose()
        return first, second, APP.get()

    assert asyncio.run(main()) == ("one", "from the body", "from the body")


def test_early_break_and_aclose(spans):
    async def main():
        generator = numbers(5)
        async for item in generator:
            if item == 1:
                break
        await generator.aclose()
        await generator.aclose()

    asyncio.run(main())
    span = spans.one("numbers")
    assert span.attributes["throughline.cancelled"] is True
    assert [event.name for event in span.events] == ["abandoned"]
    assert span.status.status_code is StatusCode.UNSET


def test_collected_by_the_garbage_collector(spans, caplog):
    closed = []

    @Trace(name="producer")
    async def producer():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            leaf()
            closed.append(True)

    async def main():
        async for _ in producer():
            break
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert closed == [True]

    asyncio.run(main())
    spans.assert_tree("producer\n  leaf")
    assert caplog.records == []


def test_left_open_when_the_loop_ends(spans, caplog):
    async def main():
        main.kept = numbers(5)
        await main.kept.asend(None)

    asyncio.run(main())
    assert spans.names == ["numbers"]
    assert caplog.records == []


def test_cancelled_inside_the_body(spans):
    @Trace(name="slow")
    async def slow():
        yield 1
        await asyncio.sleep(60)

    async def consume():
        async for _ in slow():
            pass

    async def main():
        task = asyncio.create_task(consume())
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert spans.one("slow").attributes["throughline.cancelled"] is True


def test_steps_may_be_taken_in_different_tasks(spans, caplog):
    @Trace(name="producer")
    async def producer():
        yield 1
        leaf()
        yield 2

    async def main():
        generator = producer()
        first = await asyncio.create_task(generator.asend(None))
        second = await asyncio.create_task(generator.asend(None))
        await asyncio.create_task(generator.aclose())
        return first, second

    assert asyncio.run(main()) == (1, 2)
    spans.assert_tree("producer\n  leaf")
    assert caplog.records == []


def test_error_in_the_body(spans):
    @Trace(name="broken")
    async def broken():
        yield 1
        raise TypeError("x")

    async def main():
        async for _ in broken():
            pass

    with pytest.raises(TypeError, match="x"):
        asyncio.run(main())
    assert spans.one("broken").attributes["error.type"] == "TypeError"


def test_items_are_not_kept_alive_by_the_wrapper(spans):
    class Big:
        pass

    @Trace
    async def producer():
        yield Big()
        yield None

    async def main():
        generator = producer()
        alive = weakref.ref(await generator.asend(None))
        gc.collect()
        assert alive() is None
        await generator.aclose()

    asyncio.run(main())


def test_ignoring_aclose_is_the_same_error_as_without(spans):
    @Trace
    async def stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    async def main():
        generator = stubborn()
        await generator.asend(None)
        with pytest.raises(RuntimeError, match="async generator ignored GeneratorExit"):
            await generator.aclose()

    asyncio.run(main())


class Signal(Exception):
    pass


async def scripted(log):
    value = 0
    while value < 5:
        try:
            value = (yield value) or value + 1
            log.append(("sent", value))
        except Signal:
            await asyncio.sleep(0)
            log.append("signal")
            value += 2
        except GeneratorExit:
            await asyncio.sleep(0)
            log.append("exit")
            if value == 3:
                return
            raise
    if value > 6:
        raise KeyError(value)


steps = st.lists(
    st.one_of(
        st.just(("asend", None)),
        st.tuples(st.just("asend"), st.integers(1, 8)),
        st.just(("athrow", Signal)),
        st.just(("athrow", ValueError)),
        st.just(("aclose", None)),
    ),
    min_size=1,
    max_size=8,
)


async def play(generator, script):
    outcome = []
    for index, (method, value) in enumerate(script):
        if index == 0 and method == "asend":
            value = None
        try:
            step = generator.aclose() if method == "aclose" else getattr(generator, method)(value)
            outcome.append(await step)
        except BaseException as error:
            outcome.append((type(error), str(error.args)))
    await generator.aclose()
    return outcome


@given(steps)
@settings(max_examples=200, deadline=None)
def test_behaves_as_without_the_decorator(script):
    bare_log, traced_log = [], []
    with capture() as spans:
        bare = asyncio.run(play(scripted(bare_log), script))
        traced = asyncio.run(play(Trace(scripted)(traced_log), script))
        assert len(spans) <= 1
    assert traced == bare
    assert traced_log == bare_log
