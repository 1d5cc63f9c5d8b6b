"""Trace on classes: which methods are traced, and what the class stays."""

import abc
import collections
import dataclasses
import enum
import functools
import inspect
import pickle
import typing

import pytest

from throughline_tracing import Trace


@Trace
class Service:
    """A service."""

    limit: int = 3
    size = len

    def __init__(self) -> None:
        self.calls = 0

    def get(self, key: str) -> str:
        """Get it."""
        self.calls += 1
        return self._load(key)

    def _load(self, key: str) -> str:
        return key

    @classmethod
    def create(cls) -> "Service":
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

    def __call__(self) -> str:
        return "called"

    def __repr__(self) -> str:
        return "Service()"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1

    @property
    def count(self) -> int:
        return self.calls

    @functools.cached_property
    def cached(self) -> int:
        return 5

    first = functools.partialmethod(get, "first")

    class Inner:
        def work(self) -> int:
            return 1


def test_public_methods_of_every_kind_are_traced(spans):
    service = Service.create()
    service.get("a")
    Service.double(2)
    service.double(2)
    list(service.each())
    service()
    service.first()
    assert spans.names == [
        "Service.create",
        "Service.get",
        "Service.double",
        "Service.double",
        "Service.each",
        "Service.__call__",
        "Service.first",
    ]


def test_private_methods_dunders_properties_and_nested_classes_are_not(spans):
    service = Service()
    assert service == Service()
    assert hash(service) == 1
    assert repr(service) == "Service()"
    assert (service.count, service.cached) == (0, 5)
    service._load("a")
    Service.Inner().work()
    assert len(spans) == 0


def test_class_stays_the_class_it_was():
    assert isinstance(Service, type)
    assert Service.__name__ == "Service"
    assert Service.__doc__ == "A service."
    assert Service.size is len
    assert Service.get.__qualname__ == "Service.get"
    assert Service.get.__doc__ == "Get it."
    assert list(inspect.signature(Service.get).parameters) == ["self", "key"]
    assert inspect.iscoroutinefunction(Service.fetch)
    assert inspect.isgeneratorfunction(Service.each)
    assert inspect.isasyncgenfunction(Service.each_async)
    assert isinstance(vars(Service)["create"], classmethod)
    assert isinstance(vars(Service)["double"], staticmethod)
    assert pickle.loads(pickle.dumps(Service())) == Service()
    assert pickle.loads(pickle.dumps(Service().get))("a") == "a"


def test_decorating_twice_is_decorating_once(spans):
    get = vars(Service)["get"]
    assert Trace(Service) is Service
    assert vars(Service)["get"] is get


def test_options_of_the_class_are_those_of_its_methods(spans):
    @Trace(name="shop", args=("key", "nope"), attributes={"tier": 1}, expected=KeyError)
    class Shop:
        def get(self, key):
            raise KeyError(key)

        def put(self):
            pass

    with pytest.raises(KeyError):
        Shop().get("a")
    Shop().put()
    assert spans.names == ["shop.get", "shop.put"]
    got = spans.one("shop.get")
    assert got.attributes["key"] == "a"
    assert got.attributes["tier"] == 1
    assert got.status.is_unset


def test_a_method_keeps_the_options_it_was_given(spans):
    @Trace(attributes={"from": "class"})
    class Shop:
        @Trace(name="mine")
        def get(self):
            pass

        @classmethod
        @Trace(name="inner")
        def a(cls):
            pass

        @Trace(name="outer")
        @classmethod
        def b(cls):
            pass

    Shop().get()
    Shop.a()
    Shop.b()
    assert spans.names == ["mine", "inner", "outer"]
    assert not any("from" in span.attributes for span in spans.spans)


def test_include_replaces_the_rule_and_exclude_takes_away(spans):
    @Trace(include=("get*", "_private", "__len__"), exclude="get_raw")
    class Shop:
        def get_one(self):
            pass

        def get_raw(self):
            pass

        def put(self):
            pass

        def _private(self):
            pass

        def __len__(self):
            return 0

    shop = Shop()
    shop.get_one()
    shop.get_raw()
    shop.put()
    shop._private()
    len(shop)
    assert [name.rpartition(".")[2] for name in spans.names] == ["get_one", "_private", "__len__"]


def test_properties_are_opt_in(spans):
    @Trace(properties=True)
    class Shop:
        def __init__(self):
            self._n = 1

        @property
        def n(self):
            """The n."""
            return self._n

        @n.setter
        def n(self, value):
            self._n = value

        @functools.cached_property
        def slow(self):
            return self.n + 1

        write_only = property(None, lambda self, value: None)

    shop = Shop()
    assert shop.slow == 2
    assert shop.slow == 2
    shop.n = 5
    assert Shop.n.__doc__ == "The n."
    assert [name.rpartition(".")[2] for name in spans.names] == ["n", "slow"]
    assert spans.tree().splitlines()[1].startswith("  ")


def test_nested_classes_are_opt_in(spans):
    class Stranger:
        def work(self):
            pass

    @Trace(nested=True)
    class Outer:
        class Inner:
            class Deep:
                def work(self):
                    pass

            def work(self):
                pass

        class Color(enum.Enum):
            RED = 1

            def shade(self):
                return 1

        borrowed = Stranger

    Outer.Inner().work()
    Outer.Inner.Deep().work()
    Outer.borrowed().work()
    Outer.Color.RED.shade()
    assert [name.rpartition("<locals>.")[2] for name in spans.names] == [
        "Outer.Inner.work",
        "Outer.Inner.Deep.work",
    ]


def test_abstract_stays_abstract(spans):
    @Trace
    class Base(abc.ABC):
        @abc.abstractmethod
        def need(self): ...

        @Trace
        @abc.abstractmethod
        def also(self): ...

        @property
        @abc.abstractmethod
        def prop(self): ...

        def given(self):
            return 1

    class Half(Base):
        def need(self): ...

    assert Base.need.__isabstractmethod__
    with pytest.raises(TypeError, match="abstract"):
        Base()
    with pytest.raises(TypeError, match="abstract"):
        Half()

    class Whole(Half):
        prop = 1

        def also(self): ...

    assert Whole().given() == 1


@pytest.mark.parametrize("slots", [False, True])
@pytest.mark.parametrize("outermost", [True, False])
def test_dataclass(spans, slots, outermost):
    class Point:
        x: int
        y: int = 0

        def norm(self):
            return abs(self.x) + abs(self.y)

    Point.__annotations__ = {"x": int, "y": int}
    make = dataclasses.dataclass(slots=slots, order=True)
    cls = Trace(make(Point)) if outermost else make(Trace(Point))
    assert cls(1, 2) == cls(1, 2)
    assert cls(1) < cls(2)
    assert cls(3, -4).norm() == 7
    assert dataclasses.asdict(cls(1)) == {"x": 1, "y": 0}
    assert hasattr(cls(1), "__dict__") is not slots
    assert len(spans) == 1


def test_slots(spans):
    @Trace
    class Point:
        __slots__ = ("x",)

        def __init__(self):
            self.x = 1

        def get(self):
            return self.x

    assert Point().get() == 1
    assert not hasattr(Point(), "__dict__")
    assert len(spans) == 1


def test_named_tuple(spans):
    @Trace
    class Point(typing.NamedTuple):
        x: int

        def doubled(self):
            return Point(self.x * 2)

    assert Point(1).doubled() == (2,)
    assert Point(1)._replace(x=3).x == 3
    assert len(spans) == 1
    assert isinstance(collections.namedtuple("A", "x")(1), tuple)


def test_protocol_still_checks_by_structure(spans):
    @Trace
    @typing.runtime_checkable
    class Reader(typing.Protocol):
        def read(self) -> str: ...

    class File:
        def read(self) -> str:
            return "x"

    class Explicit(Reader):
        pass

    assert isinstance(File(), Reader)
    assert issubclass(File, Reader)
    assert not isinstance(object(), Reader)
    assert Explicit().read() is None
    assert len(spans) == 1


def test_generic_class(spans):
    T = typing.TypeVar("T")

    @Trace
    class Box(typing.Generic[T]):
        def __init__(self, value: T) -> None:
            self.value = value

        def get(self) -> T:
            return self.value

    assert Box[int](3).get() == 3
    assert Box[int].__origin__ is Box
    assert len(spans) == 1


def test_enum_is_left_alone(spans):
    class Color(enum.Enum):
        RED = 1

        def shade(self):
            return self.value

    before = dict(vars(Color))
    assert Trace(Color) is Color
    assert dict(vars(Color)) == before
    Color.RED.shade()
    assert len(spans) == 0


def test_class_made_by_exec_has_no_source_and_is_traced(spans):
    namespace = {"Trace": Trace, "__name__": "made_up"}
    exec("@Trace\nclass Shop:\n  # @Trace\n  def default(self): return 1\n", namespace)
    assert namespace["Shop"]().default() == 1
    assert spans.names == ["Shop.default"]
    assert spans.spans[0].instrumentation_scope.name == "made_up"


def test_super_and_class_cell_work(spans):
    class Base:
        def hello(self):
            return "base"

    @Trace
    class Child(Base):
        def hello(self):
            return super().hello() + __class__.__name__

    assert Child().hello() == "baseChild"
    assert len(spans) == 1
