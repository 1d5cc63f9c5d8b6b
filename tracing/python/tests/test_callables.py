"""Trace on partials and on instances with ``__call__``."""

import asyncio
import copy
import functools
import inspect
import operator
import pickle

import pytest

from throughline_tracing import Trace


def add(a, b=0):
    """Add."""
    return a + b


async def add_async(a, b=0):
    return a + b


def count(n):
    yield from range(n)


class Adder:
    """Adds."""

    def __init__(self, n):
        self.n = n

    def __call__(self, m):
        return self.n + m

    def __eq__(self, other):
        return self.n == other.n


class AsyncAdder(Adder):
    async def __call__(self, m):
        return self.n + m


class Counter(Adder):
    def __call__(self, m):
        yield from range(m)


def test_partial_stays_a_partial(spans):
    traced = Trace(functools.partial(add, 1, b=2))
    assert isinstance(traced, functools.partial)
    assert traced() == 3
    assert traced(b=5) == 6
    assert (traced.args, traced.keywords) == ((1,), {"b": 2})
    assert spans.names == ["add", "add"]
    assert spans.spans[0].attributes["code.function.name"] == f"{__name__}.add"


def test_partial_of_a_coroutine_function(spans):
    traced = Trace(functools.partial(add_async, 1))
    assert inspect.iscoroutinefunction(traced)
    assert asyncio.run(traced(2)) == 3
    assert spans.names == ["add_async"]


def test_partial_of_a_generator_function(spans):
    traced = Trace(functools.partial(count, 2))
    assert inspect.isgeneratorfunction(traced)
    assert list(traced()) == [0, 1]
    assert spans.names == ["count"]


def test_partial_of_a_partial_a_class_and_a_builtin(spans):
    assert Trace(functools.partial(functools.partial(add, 1), 2))() == 3
    assert Trace(name="class")(functools.partial(Adder, 1))().n == 1
    assert Trace(name="builtin")(functools.partial(max, 1))(2) == 2
    assert spans.names == ["add", "class", "builtin"]


def test_partial_records_arguments(spans):
    Trace(args=("a", "b"))(functools.partial(add, 1))(2)
    attributes = spans.one("add").attributes
    assert (attributes["a"], attributes["b"]) == (1, 2)


def test_partial_keeps_its_own_attributes_and_is_decorated_once(spans):
    partial = functools.partial(add, 1)
    partial.label = "x"
    traced = Trace(partial)
    assert traced.label == "x"
    assert Trace(traced) is traced
    over_traced = functools.partial(Trace(add), 1)
    assert Trace(over_traced) is over_traced


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_partial_and_instance_are_copied_and_pickled(spans, clone):
    assert clone(Trace(name="p")(functools.partial(add, 1)))(2) == 3
    assert clone(Trace(name="i")(Adder(1)))(2) == 3
    assert spans.names == ["p", "i"]


def test_instance_is_called_in_a_span(spans):
    adder = Adder(1)
    traced = Trace(adder)
    assert traced(2) == 3
    adder.n = 10
    assert traced(2) == 12
    assert traced.n == 10
    assert traced.__doc__ == "Adds."
    assert repr(traced) == repr(adder)
    assert spans.names == ["Adder", "Adder"]
    assert spans.spans[0].attributes["code.function.name"] == f"{__name__}.Adder"
    with pytest.raises(AttributeError):
        _ = traced.nothing


def test_instance_is_one_of_its_class(spans):
    """Attributes set and deleted, comparison and `isinstance` are those of the instance itself."""
    adder = Adder(1)
    traced = Trace(adder)
    traced.n = 5
    assert (traced(2), adder.n) == (7, 5)
    assert isinstance(traced, Adder)
    assert traced.__class__ is Adder
    assert traced == adder
    assert traced == Trace(adder)
    assert traced != Adder(6)
    getter = operator.itemgetter("a")
    assert hash(Trace(getter)) == hash(getter)
    assert "n" in dir(traced)
    del traced.n
    assert not hasattr(adder, "n")


def test_instance_of_other_kinds(spans):
    traced = Trace(AsyncAdder(1))
    assert inspect.iscoroutinefunction(traced.__call__)
    assert asyncio.run(traced(2)) == 3
    counter = Trace(Counter(1))
    assert inspect.isgeneratorfunction(counter.__call__)
    assert list(counter(2)) == [0, 1]
    assert spans.names == ["AsyncAdder", "Counter"]


def test_instance_records_arguments_by_name(spans):
    Trace(args="m")(Adder(1))(7)
    assert spans.one("Adder").attributes["m"] == 7


def test_instance_without_python_code(spans):
    assert Trace(operator.itemgetter("a"))({"a": 1}) == 1
    assert spans.names == ["itemgetter"]


def test_instance_is_decorated_once(spans):
    traced = Trace(Adder(1))
    assert Trace(traced) is traced

    @Trace
    class Traced:
        def __call__(self):
            return 1

    instance = Traced()
    assert Trace(instance) is instance


def test_disabled(spans):
    inner = Trace(add)
    quiet = Trace(disable_tracing=True)(functools.partial(lambda: inner(1)))
    assert quiet() == 1

    class Quiet:
        def __call__(self):
            return inner(1)

    assert Trace(disable_tracing=True)(Quiet())() == 1
    assert len(spans) == 0


def test_disabling_wins_over_tracing(spans):
    class Box:
        @Trace
        def __call__(self):
            return 1

        @Trace(disable_tracing=True)
        @classmethod
        @Trace
        def make(cls):
            return 2

    assert Trace(disable_tracing=True)(functools.partial(Trace(add), 1))() == 1
    assert Trace(disable_tracing=True)(Trace(functools.partial(add, 1)))() == 1
    assert Trace(disable_tracing=True)(Box())() == 1
    assert Box.make() == 2
    assert len(spans) == 0
