"""Trace on classes with ``inherit=True``, and on classes that inherit from traced ones."""

import abc
import asyncio
import dataclasses
import enum
import inspect
import pickle
import typing

import pytest

from throughline_tracing import Trace


class Base:
    def hello(self, greeting: str = "hi") -> str:
        """Greet."""
        return f"{greeting} {self.name()}"

    def name(self) -> str:
        return "base"

    def _private(self) -> int:
        return 1

    @classmethod
    def make(cls):
        return cls()

    @staticmethod
    def double(n: int) -> int:
        return n * 2

    async def fetch(self) -> int:
        return 1

    def each(self):
        yield 1

    async def each_async(self):
        yield 1


@Trace(inherit=True)
class Child(Base):
    def name(self) -> str:
        return "child"


class GrandChild(Child):
    def name(self) -> str:
        return "grand" + super().name()

    def own(self) -> int:
        return 1


def test_without_inherit_only_own_methods_are_traced(spans):
    @Trace
    class Sub(Base):
        def name(self):
            return "sub"

    class SubSub(Sub):
        def name(self):
            return "subsub"

    assert Sub().hello() == "hi sub"
    assert SubSub().hello() == "hi subsub"
    assert [name.rpartition("<locals>.")[2] for name in spans.names] == ["Sub.name"]


def test_inherited_methods_of_every_kind_are_traced(spans):
    async def use(child):
        return await child.fetch(), [item async for item in child.each_async()]

    child = Child.make()
    assert type(child) is Child
    assert child.hello("hey") == "hey child"
    assert Child.double(2) == child.double(2) == 4
    assert list(child.each()) == [1]
    assert asyncio.run(use(child)) == (1, [1])
    spans.assert_tree(
        "\n\n".join(
            [
                "Child.make",
                "Child.hello\n  Child.name",
                "Child.double",
                "Child.double",
                "Child.each",
                "Child.fetch",
                "Child.each_async",
            ]
        )
    )


def test_overrides_in_subclasses_are_traced(spans):
    assert GrandChild().hello() == "hi grandchild"
    GrandChild().own()
    spans.assert_tree("""
        Child.hello
          GrandChild.name
            Child.name

        GrandChild.own
    """)


def test_the_base_class_is_left_alone(spans):
    Base().hello()
    Base.make()
    assert len(spans) == 0


def test_forwarders_look_like_what_they_forward_to():
    assert Child.hello.__doc__ == "Greet."
    assert Child.hello.__name__ == "hello"
    assert Child.hello.__qualname__ == "Child.hello"
    assert inspect.signature(Child.hello) == inspect.signature(Base.hello)
    assert inspect.iscoroutinefunction(Child.fetch)
    assert inspect.isgeneratorfunction(Child.each)
    assert inspect.isasyncgenfunction(Child.each_async)
    assert pickle.loads(pickle.dumps(Child.hello)) is Child.hello


def test_a_diamond_resolves_as_before(spans):
    class Root:
        def f(self):
            return ["root"]

        @classmethod
        def g(cls):
            return ["root"]

    @Trace(inherit=True)
    class Left(Root):
        pass

    class Right(Root):
        def f(self):
            return ["right", *super().f()]

        @classmethod
        def g(cls):
            return ["right", *super().g()]

    class Bottom(Left, Right):
        pass

    assert Bottom().f() == ["right", "root"]
    assert Bottom.g() == ["right", "root"]
    assert len(spans) == 2


def test_mixins_of_subclasses_are_traced(spans):
    class Mixin:
        def mixed(self):
            return 1

    class Sub(Child, Mixin):
        pass

    assert Sub().mixed() == 1
    assert spans.names[0].endswith("Sub.mixed")


def test_init_subclass_of_the_application_still_runs(spans):
    seen = []

    class Registry:
        def __init_subclass__(cls, /, tag=None, **kwargs):
            super().__init_subclass__(**kwargs)
            seen.append((cls.__name__, tag))

    @Trace(inherit=True)
    class Plain(Registry, tag="a"):
        pass

    @Trace(inherit=True)
    class Own(Registry, tag="b"):
        def __init_subclass__(cls, /, more=0, **kwargs):
            super().__init_subclass__(**kwargs)
            seen.append(("own", more))

    class SubPlain(Plain, tag="c"):
        def work(self):
            pass

    class SubOwn(Own, tag="d", more=1):
        def work(self):
            pass

    assert seen == [
        ("Plain", "a"),
        ("Own", "b"),
        ("SubPlain", "c"),
        ("SubOwn", "d"),
        ("own", 1),
    ]
    SubPlain().work()
    SubOwn().work()
    assert len(spans) == 2


def test_twice_is_once(spans):
    hook = vars(Child)["__init_subclass__"]
    hello = vars(Child)["hello"]
    Trace(inherit=True)(Child)
    Trace(inherit=True)(GrandChild)
    assert vars(Child)["__init_subclass__"] is hook
    assert vars(Child)["hello"] is hello
    GrandChild().own()
    assert len(spans) == 1


def test_abstract_methods_stay_abstract(spans):
    class Contract(abc.ABC):
        @abc.abstractmethod
        def need(self): ...

        def given(self):
            return 1

    @Trace(inherit=True)
    class Half(Contract):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Half()

    class Whole(Half):
        def need(self):
            return 2

    assert (Whole().need(), Whole().given()) == (2, 1)
    assert [name.rpartition("<locals>.")[2] for name in spans.names] == ["Whole.need", "Half.given"]


@pytest.mark.parametrize("slots", [False, True])
def test_dataclasses_in_either_order(spans, slots):
    class Named:
        __slots__ = ()

        def label(self):
            return f"<{self.x}>"

    class Point(Named):
        x: int

        def norm(self):
            return self.x

    Point.__annotations__ = {"x": int}
    make = dataclasses.dataclass(slots=slots)
    inner = make(Trace(inherit=True)(Point))
    assert (inner(3).norm(), inner(3).label()) == (3, "<3>")

    @dataclasses.dataclass(slots=slots)
    class Point3(inner):
        y: int = 0

        def sum(self):
            return self.x + self.y

    assert (Point3(1, 2).sum(), Point3(1, 2).label()) == (3, "<1>")
    assert [name.rpartition(".")[2] for name in spans.names] == ["norm", "label", "sum", "label"]


def test_enum_subclasses_are_left_alone(spans):
    @Trace(inherit=True)
    class Describing:
        def describe(self):
            return self.name

    class Color(Describing, enum.Enum):
        RED = 1

        def shade(self):
            return 1

    assert Color.RED.describe() == "RED"
    assert Color.RED.shade() == 1
    assert len(spans) == 1


def test_protocol_with_explicit_implementations(spans):
    @Trace(inherit=True)
    @typing.runtime_checkable
    class Reader(typing.Protocol):
        def read(self) -> str: ...

    class File(Reader):
        def read(self) -> str:
            return "x"

    class Structural:
        def read(self) -> str:
            return "y"

    assert File().read() == "x"
    assert isinstance(Structural(), Reader)
    assert not isinstance(object(), Reader)
    assert [name.rpartition("<locals>.")[2] for name in spans.names] == ["File.read"]


def test_disabled_methods_stay_disabled_when_inherited(spans):
    class Quiet:
        @Trace(disable_tracing=True)
        def quiet(self):
            return Child().name()

    @Trace(inherit=True)
    class Sub(Quiet):
        pass

    Sub().quiet()
    assert len(spans) == 0


def test_name_is_a_prefix_for_inherited_methods_too(spans):
    @Trace(inherit=True, name="svc")
    class Sub(Base):
        pass

    Sub().name()
    assert spans.names == ["svc.name"]
    assert spans.spans[0].attributes["code.function.name"].endswith("Sub.name")


def test_builtin_bases(spans):
    @Trace(inherit=True)
    class Items(dict):
        def first(self):
            return next(iter(self))

    assert Items(a=1).first() == "a"
    assert Items(a=1).get("a") == 1
    assert len(spans) == 1
