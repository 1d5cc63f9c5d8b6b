"""Switching tracing off: for a method and what it calls, and by the environment."""

import asyncio
import functools
import inspect

import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate
from opentelemetry import trace as api
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from throughline_tracing import Trace, is_disabled, is_suppressed, suppress


@Trace(name="on")
def on():
    return api.get_current_span().is_recording()


@Trace(disable_tracing=True)
def off():
    """Off."""
    return on()


@Trace
class Service:
    def on(self):
        return on()

    @Trace(disable_tracing=True)
    def off(self):
        return self.on()

    @classmethod
    @Trace(disable_tracing=True)
    def off_class(cls):
        return cls().on()

    @Trace(disable_tracing=True)
    @staticmethod
    def off_static():
        return on()


@pytest.mark.parametrize("order", ["on off", "off on", "off on off", "on off on"])
def test_siblings_are_unaffected_in_any_order(spans, order):
    with Trace("request"):
        for name in order.split():
            {"on": on, "off": off}[name]()
    assert spans.names == ["on"] * order.split().count("on") + ["request"]


def test_method_and_what_it_calls_are_untraced(spans):
    service = Service()
    with Trace("request"):
        assert not service.off()
        assert not Service.off_class()
        assert not Service.off_static()
        assert service.on()
    spans.assert_tree("""
        request
          Service.on
            on
    """)


def test_an_error_ends_the_disabled_part_too(spans):
    @Trace(disable_tracing=True)
    def broken():
        raise KeyError

    with Trace("request"):
        with pytest.raises(KeyError):
            broken()
        on()
    assert spans.names == ["on", "request"]
    assert not is_suppressed()


def test_coroutine_generator_and_async_generator(spans):
    @Trace(disable_tracing=True)
    async def coroutine():
        await asyncio.sleep(0)
        return on()

    @Trace(disable_tracing=True)
    def generator():
        yield on()
        yield on()

    @Trace(disable_tracing=True)
    async def async_generator():
        yield on()
        yield on()

    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)

    async def main():
        results = [await coroutine()]
        results += [(item, on()) for item in generator()]
        results += [(item, on()) async for item in async_generator()]
        return results

    assert asyncio.run(main()) == [
        False,
        (False, True),
        (False, True),
        (False, True),
        (False, True),
    ]
    assert spans.names == ["on"] * 4


def test_tasks_running_beside_a_disabled_one_are_traced(spans):
    @Trace(disable_tracing=True)
    async def quiet(started, go):
        started.set()
        await go.wait()
        on()

    async def main():
        started, go = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(quiet(started, go))
        await started.wait()
        on()
        go.set()
        await task

    asyncio.run(main())
    assert spans.names == ["on"]


def test_class_as_a_whole(spans):
    @Trace(disable_tracing=True)
    class Quiet:
        def work(self):
            return on()

        @Trace
        def loud(self):
            return on()

    Quiet().work()
    Quiet().loud()
    assert spans.names == ["on", "test_class_as_a_whole.<locals>.Quiet.loud"]


def test_block(spans):
    with Trace("request"):
        with Trace(disable_tracing=True):
            on()
            with Trace(disable_tracing=True):
                on()
            on()
        on()
    assert spans.names == ["on", "request"]


def test_disabling_wins_over_tracing_and_keeps_winning(spans):
    twice = Trace(disable_tracing=True)(on)
    assert is_disabled(twice)
    assert not twice()
    assert Trace(twice) is twice
    assert len(spans) == 0


def test_is_disabled_reads_the_marker_through_other_decorators():
    def login_required(view):
        @functools.wraps(view)
        def wrapper(*args):
            return view(*args)

        return wrapper

    class View:
        @Trace(disable_tracing=True)
        def get(self):
            pass

        def dispatch_request(self):
            pass

    def as_view():
        pass

    as_view.view_class = View

    assert is_disabled(off)
    assert is_disabled(login_required(off))
    assert is_disabled(functools.partial(off))
    assert is_disabled(functools.partial(login_required(off)))
    assert is_disabled(Service().off)
    assert is_disabled(Service.off_class)
    assert is_disabled(Service.off_static)
    assert is_disabled(as_view, "GET")
    assert not is_disabled(as_view, "POST")
    assert not is_disabled(as_view)
    assert not is_disabled(on)
    assert not is_disabled(len)
    assert not is_disabled(None)


def test_is_disabled_is_not_fooled():
    def wrapped_f():
        """@Trace(disable_tracing=True)"""

    wrapped_f.__trace_spec__ = True
    wrapped_f.__wrapped__ = wrapped_f
    assert not is_disabled(wrapped_f)


def test_looks_like_the_function():
    assert off.__name__ == "off"
    assert off.__doc__ == "Off."


REMOTE = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(3))


def inject():
    headers = {}
    propagate.inject(headers)
    return headers


@pytest.mark.parametrize("sampled", [0, 1])
def test_incoming_traceparent_goes_downstream_unchanged(spans, sampled):
    remote = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(sampled))
    incoming = api.set_span_in_context(NonRecordingSpan(remote))
    token = otel_context.attach(suppress(incoming))
    try:
        assert on() is False
        assert off() is False
        assert inject()["traceparent"] == f"00-{0xABC:032x}-{0xDEF:016x}-0{sampled}"
        with spans.provider.get_tracer("x").start_as_current_span("GET", kind=SpanKind.CLIENT):
            assert inject()["traceparent"] == f"00-{0xABC:032x}-{0xDEF:016x}-0{sampled}"
    finally:
        otel_context.detach(token)
    assert len(spans) == 0


def test_without_a_parent_nothing_goes_downstream(spans):
    token = otel_context.attach(suppress())
    try:
        on()
        assert inject() == {}
    finally:
        otel_context.detach(token)
    assert len(spans) == 0


def test_below_a_local_span_the_trace_goes_on_downstream(spans):
    @Trace(disable_tracing=True)
    def call():
        api.get_current_span().set_attribute("written", "from the disabled part")
        return inject()["traceparent"]

    with Trace("request") as request:
        traceparent = call()
    context = request.get_span_context()
    assert traceparent.split("-")[1:3] == [f"{context.trace_id:032x}", f"{context.span_id:016x}"]
    assert "written" not in spans.one("request").attributes


def test_official_instrumentations_are_told(monkeypatch):
    """Under a provider that does not honour suppression they must not record."""
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled

    assert is_instrumentation_enabled()
    token = otel_context.attach(suppress())
    try:
        assert not is_instrumentation_enabled()
    finally:
        otel_context.detach(token)


def test_suppress_keeps_everything_else_in_the_context():
    from opentelemetry import baggage

    context = baggage.set_baggage("user", "ada")
    assert baggage.get_baggage("user", suppress(context)) == "ada"
    once = suppress(context)
    assert suppress(once) is once
    assert is_suppressed(once)
    assert not is_suppressed(context)
