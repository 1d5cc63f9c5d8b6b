"""Trace on generator functions: the whole of PEP 342 and 380, and whose context it is when."""

import contextlib
import contextvars
import gc
import inspect
import pickle
import types
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace as api
from opentelemetry.trace import StatusCode

from throughline_tracing import Trace
from throughline_tracing.testing import capture

APP = contextvars.ContextVar("app", default="unset")


@Trace
def numbers(n: int):
    """Count."""
    yield from range(n)
    return "done"


@Trace(name="leaf")
def leaf():
    pass


def test_span_lasts_until_exhaustion(spans):
    assert list(numbers(3)) == [0, 1, 2]
    assert spans.names == ["numbers"]


def test_span_starts_with_the_body(spans):
    generator = numbers(1)
    with Trace("consumer"):
        next(generator)
    generator.close()
    spans.assert_tree("consumer\n  numbers")


def test_never_started_is_no_span(spans):
    numbers(3).close()
    assert len(spans) == 0


def test_is_a_generator_function():
    assert inspect.isgeneratorfunction(numbers)
    assert not inspect.iscoroutinefunction(numbers)
    assert inspect.isgenerator(numbers(1))
    assert isinstance(numbers(1), types.GeneratorType)
    assert numbers.__name__ == "numbers"
    assert numbers.__doc__ == "Count."
    assert list(inspect.signature(numbers).parameters) == ["n"]
    assert pickle.loads(pickle.dumps(numbers)) is numbers


def test_return_value(spans):
    def caller():
        return (yield from numbers(2))

    generator = caller()
    assert [next(generator), next(generator)] == [0, 1]
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "done"


def test_send_and_throw_reach_the_body(spans):
    @Trace(name="echo")
    def echo():
        received = None
        while True:
            try:
                received = yield received
            except KeyError as error:
                received = f"caught {error}"

    generator = echo()
    assert next(generator) is None
    assert generator.send(1) == 1
    assert generator.throw(KeyError("k")) == "caught 'k'"
    assert generator.send(2) == 2
    with pytest.raises(ValueError, match="out"):
        generator.throw(ValueError("out"))
    assert spans.one("echo").attributes["error.type"] == "ValueError"


def test_context_is_the_consumers_between_steps(spans):
    @Trace(name="producer")
    def producer():
        leaf()
        yield 1
        leaf()
        yield 2

    with Trace("consumer") as consumer:
        for _ in producer():
            assert api.get_current_span() is consumer
            leaf()
    spans.assert_tree("""
        consumer
          producer
            leaf
            leaf
          leaf
          leaf
    """)


def test_a_span_held_open_across_a_yield_stays_the_bodys(spans):
    @Trace(name="producer")
    def producer():
        with Trace("batch"):
            yield 1
            leaf()
            yield 2
        leaf()

    with Trace("consumer"):
        for _ in producer():
            pass
    spans.assert_tree("""
        consumer
          producer
            batch
              leaf
            leaf
    """)


def test_disabled_and_broken_off(spans):
    @Trace(disable_tracing=True)
    def producer():
        leaf()
        yield 1

    generator = producer()
    next(generator)
    leaf()
    with pytest.raises(KeyError):
        generator.throw(KeyError)
    assert spans.names == ["leaf"]


def test_interleaved_generators_keep_apart(spans):
    @Trace
    def producer(name):
        with Trace(name):
            yield 1
            leaf()
            yield 2

    with Trace("consumer"):
        for _ in zip(producer("a"), producer("b"), strict=True):
            pass
    text = spans.tree()
    assert text.count("      leaf") == 2
    assert len(text.splitlines()) == 7


def test_steps_may_be_taken_in_different_contexts(spans, caplog):
    @Trace(name="producer")
    def producer():
        yield 1
        leaf()
        yield 2

    generator = producer()
    for _ in range(2):
        contextvars.copy_context().run(next, generator)
    assert next(generator, "end") == "end"
    spans.assert_tree("producer\n  leaf")
    assert caplog.records == []


def test_application_context_variables_are_the_consumers(spans):
    @Trace
    def producer():
        seen = APP.get()
        APP.set("from the body")
        yield seen
        yield APP.get()

    def consume():
        APP.set("one")
        generator = producer()
        first = next(generator)
        after = APP.get()
        APP.set("two")
        return first, after, next(generator)

    assert contextvars.copy_context().run(consume) == ("one", "from the body", "two")


def test_early_break(spans):
    for item in numbers(10):
        if item == 1:
            break
    gc.collect()
    span = spans.one("numbers")
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["throughline.cancelled"] is True
    assert [event.name for event in span.events] == ["abandoned"]


def test_close_runs_the_bodys_cleanup_in_its_context(spans):
    @Trace(name="producer")
    def producer():
        try:
            yield 1
        finally:
            leaf()

    generator = producer()
    next(generator)
    generator.close()
    generator.close()
    spans.assert_tree("producer\n  leaf")


def test_collected_by_the_garbage_collector(spans, caplog):
    generator = numbers(3)
    next(generator)
    del generator
    gc.collect()
    assert spans.names == ["numbers"]
    assert caplog.records == []


def test_ignoring_close_is_the_same_error_as_without(spans):
    @Trace
    def stubborn():
        while True:
            with contextlib.suppress(GeneratorExit):
                yield 1

    generator = stubborn()
    next(generator)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        generator.close()
    # It yields once more instead of ending; what is left of it is broken off.
    with pytest.raises(KeyError):
        generator.throw(KeyError)


def test_items_are_not_kept_alive_by_the_wrapper(spans):
    class Big:
        pass

    @Trace
    def producer():
        yield Big()
        yield None

    generator = producer()
    alive = weakref.ref(next(generator))
    gc.collect()
    assert alive() is None
    generator.close()


def test_arguments_are_not_kept_alive_by_the_wrapper(spans):
    class Big:
        pass

    @Trace
    def producer(big):
        alive = weakref.ref(big)
        yield alive
        del big
        gc.collect()
        yield alive()

    generator = producer(Big())
    assert next(generator)() is not None
    assert next(generator) is None


def test_thrown_exceptions_are_not_kept_alive_by_the_wrapper(spans):
    @Trace
    def producer():
        try:
            yield 1
        except KeyError:
            pass
        yield 2

    class Mine(KeyError):
        pass

    generator = producer()
    next(generator)
    error = Mine()
    alive = weakref.ref(error)
    generator.throw(error)
    del error
    gc.collect()
    assert alive() is None
    generator.close()


def test_error_in_the_body(spans):
    @Trace(name="broken")
    def broken():
        yield 1
        raise KeyError("x")

    generator = broken()
    next(generator)
    with pytest.raises(KeyError):
        next(generator)
    with pytest.raises(StopIteration):
        next(generator)
    assert spans.one("broken").status.status_code is StatusCode.ERROR


def test_wrong_arguments(spans):
    with pytest.raises(TypeError, match=r"numbers\(\)"):
        list(numbers())


def test_delegation_nests(spans):
    @Trace(name="outer")
    def outer():
        result = yield from numbers(2)
        leaf()
        return result

    assert list(outer()) == [0, 1]
    spans.assert_tree("outer\n  numbers\n  leaf")


def test_baggage_of_the_consumer_at_the_start_is_seen(spans):
    @Trace
    def producer():
        yield baggage.get_baggage("user")

    token = otel_context.attach(baggage.set_baggage("user", "ada"))
    try:
        assert list(producer()) == ["ada"]
    finally:
        otel_context.detach(token)


def test_as_context_manager_function(spans):
    @contextlib.contextmanager
    @Trace(name="resource")
    def resource():
        leaf()
        try:
            yield "r"
        finally:
            leaf()

    with Trace("user"), resource() as r:
        assert r == "r"
        leaf()
    spans.assert_tree("""
        user
          resource
            leaf
            leaf
          leaf
    """)


def test_method_arguments_and_result_are_recorded(spans):
    class Shop:
        @Trace(name="each", args="n", record_return=True)
        def each(self, n):
            yield n
            return n * 2

    list(Shop().each(4))
    attributes = spans.one("each").attributes
    assert (attributes["n"], attributes["return"]) == (4, 8)


def test_instrumented_by_the_interpreter_it_has_a_frame(spans):
    generator = numbers(3)
    assert generator.gi_frame is not None
    assert inspect.getgeneratorstate(generator) == inspect.GEN_CREATED
    next(generator)
    assert inspect.getgeneratorstate(generator) == inspect.GEN_SUSPENDED
    generator.close()
    assert inspect.getgeneratorstate(generator) == inspect.GEN_CLOSED


class Signal(Exception):
    pass


def scripted(log):
    """A generator whose reactions depend on what it is told."""
    value = 0
    while value < 5:
        try:
            value = (yield value) or value + 1
            log.append(("sent", value))
        except Signal:
            log.append("signal")
            value += 2
        except GeneratorExit:
            log.append("exit")
            if value == 3:
                return "left"
            raise
    if value > 6:
        raise KeyError(value)
    return value


steps = st.lists(
    st.one_of(
        st.just(("next", None)),
        st.tuples(st.just("send"), st.integers(1, 8)),
        st.just(("throw", Signal)),
        st.just(("throw", ValueError)),
        st.just(("throw", GeneratorExit)),
        st.just(("close", None)),
    ),
    max_size=8,
)


def play(generator, script):
    outcome = []
    for method, value in script:
        try:
            if method == "next":
                outcome.append(next(generator))
            elif method == "close":
                # From Python 3.13 on close() gives the generator's return value.
                outcome.append(generator.close())
            else:
                outcome.append(getattr(generator, method)(value))
        except BaseException as error:
            outcome.append((type(error), str(error.args)))
    return outcome


@given(steps)
@settings(max_examples=300, deadline=None)
def test_behaves_as_without_the_decorator(script):
    with capture() as spans:
        bare_log, traced_log = [], []
        bare = play(scripted(bare_log), script)
        generator = Trace(scripted)(traced_log)
        traced = play(generator, script)
        generator.close()
        assert traced == bare
        assert len(spans) <= 1

    assert traced_log[: len(bare_log)] == bare_log
