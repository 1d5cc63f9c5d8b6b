"""``with Trace("name"):``."""

import asyncio
import contextvars
import gc
import threading

import pytest
from opentelemetry import trace as api
from opentelemetry.trace import SpanKind, StatusCode

from throughline_tracing import Trace


def test_records_the_block(spans):
    with Trace("outer", kind=SpanKind.CONSUMER, attributes={"n": 1, "password": "x"}) as span:
        span.set_attribute("more", True)
        assert api.get_current_span() is span
        with Trace(name="inner"):
            pass
    spans.assert_tree("outer [consumer]\n  inner")
    outer = spans.one("outer")
    assert dict(outer.attributes) == {"n": 1, "password": "[REDACTED]", "more": True}
    assert outer.instrumentation_scope.name == __name__
    assert api.get_current_span() is api.INVALID_SPAN


def test_error(spans):
    with pytest.raises(KeyError), Trace("outer"), Trace("inner"):
        raise KeyError("x")
    spans.assert_tree("outer ERROR KeyError\n  inner ERROR KeyError")
    assert [len(span.events) for span in spans.spans] == [1, 0]


def test_expected(spans):
    with pytest.raises(KeyError), Trace("block", expected=KeyError):
        raise KeyError("x")
    assert spans.one("block").status.status_code is StatusCode.UNSET


def test_values_that_are_no_attributes_do_not_reach_the_application(spans, caplog):
    with Trace("block", attributes={"x": object(), 3: 4, "big": 1 << 80}):
        pass
    assert dict(spans.one("block").attributes) == {"x": "<builtins.object>", "big": str(1 << 80)}
    with Trace("block 2", attributes=[1]) as span:
        assert span is api.INVALID_SPAN
    assert "starting span 'block 2'" in caplog.text


def test_without_a_name_it_is_named_for_its_module(spans):
    with Trace(kind=SpanKind.INTERNAL):
        pass
    assert spans.names == [__name__]


def test_async_with(spans):
    async def main():
        async with Trace("outer"):
            async with Trace("inner"):
                await asyncio.sleep(0)

    asyncio.run(main())
    spans.assert_tree("outer\n  inner")


def test_one_instance_nested_in_itself(spans):
    block = Trace("block")
    with block, block, block:
        pass
    spans.assert_tree("block\n  block\n    block")


def test_one_instance_in_many_tasks_at_once(spans):
    block = Trace("block")

    async def work(delay):
        with block as span:
            await asyncio.sleep(delay)
            assert api.get_current_span() is span
        assert api.get_current_span() is api.INVALID_SPAN

    async def main():
        await asyncio.gather(work(0.003), work(0.001), work(0.002))

    asyncio.run(main())
    assert spans.names == ["block"] * 3


def test_one_instance_in_many_threads_at_once(spans):
    block = Trace("block")
    barrier = threading.Barrier(3)

    def work():
        barrier.wait()
        for _ in range(100):
            with block:
                pass

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spans) == 300
    assert {span.parent for span in spans.spans} == {None}


def test_as_a_decorator_too(spans):
    traced = Trace("job")

    @traced
    def one():
        pass

    @traced
    def two():
        with traced:
            one()

    two()
    spans.assert_tree("job\n  job\n    job")


def test_root_skip(spans):
    with Trace("helper", root="skip") as span:
        assert span is api.INVALID_SPAN
    assert len(spans) == 0


def test_left_in_a_context_that_never_saw_it(spans, caplog):
    def generator():
        with Trace("open"):
            yield 1

    def start():
        started = generator()
        next(started)
        return started

    started = contextvars.copy_context().run(start)
    del started
    gc.collect()
    assert spans.names == ["open"]
    assert caplog.records == []


def test_suppressed_inside_of_itself(spans):
    block = Trace("block")
    with block, Trace(disable_tracing=True), block as inner:
        assert not inner.is_recording()
    assert spans.names == ["block"]
