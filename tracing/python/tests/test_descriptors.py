"""Trace on classmethods, staticmethods and properties, above and below."""

import functools
import inspect

import pytest

from throughline_tracing import Trace


class Shop:
    @Trace
    @classmethod
    def class_outside(cls, n: int) -> str:
        """Doc."""
        return f"{cls.__name__}{n}"

    @classmethod
    @Trace
    def class_inside(cls, n: int) -> str:
        """Doc."""
        return f"{cls.__name__}{n}"

    @Trace
    @staticmethod
    def static_outside(n: int) -> int:
        """Doc."""
        return n

    @staticmethod
    @Trace()
    def static_inside(n: int) -> int:
        """Doc."""
        return n

    @Trace
    @property
    def property_outside(self) -> int:
        """Doc."""
        return 1

    @property
    @Trace
    def property_inside(self) -> int:
        """Doc."""
        return 1

    @Trace
    @functools.cached_property
    def cached_outside(self) -> int:
        """Doc."""
        return 1

    @functools.cached_property
    @Trace
    def cached_inside(self) -> int:
        """Doc."""
        return 1

    @Trace
    @classmethod
    async def async_class(cls) -> int:
        return 1


class Sub(Shop):
    pass


@pytest.mark.parametrize("where", ["outside", "inside"])
@pytest.mark.parametrize("owner", [Shop, Shop(), Sub, Sub()])
def test_classmethod(spans, owner, where):
    name = Sub.__name__ if owner is Sub or type(owner) is Sub else "Shop"
    assert getattr(owner, f"class_{where}")(1) == f"{name}1"
    assert spans.names == [f"Shop.class_{where}"]


@pytest.mark.parametrize("where", ["outside", "inside"])
@pytest.mark.parametrize("owner", [Shop, Shop()])
def test_staticmethod(spans, owner, where):
    assert getattr(owner, f"static_{where}")(3) == 3
    assert spans.names == [f"Shop.static_{where}"]


@pytest.mark.parametrize("kind", ["property", "cached"])
@pytest.mark.parametrize("where", ["outside", "inside"])
def test_property(spans, kind, where):
    assert getattr(Shop(), f"{kind}_{where}") == 1
    assert spans.names == [f"Shop.{kind}_{where}"]
    assert vars(Shop)[f"{kind}_{where}"].__doc__ == "Doc."


def test_partialmethod(spans):
    class Counter:
        def add(self, a, b):
            return a + b

        add_one = Trace(name="add one")(functools.partialmethod(add, 1))

    assert Counter().add_one(2) == 3
    assert spans.names == ["add one"]


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_kind_and_looks_survive(where):
    assert isinstance(vars(Shop)[f"class_{where}"], classmethod)
    assert isinstance(vars(Shop)[f"static_{where}"], staticmethod)
    assert isinstance(vars(Shop)[f"property_{where}"], property)
    assert isinstance(vars(Shop)[f"cached_{where}"], functools.cached_property)
    for method in (getattr(Shop, f"class_{where}"), getattr(Shop, f"static_{where}")):
        assert list(inspect.signature(method).parameters) == ["n"]
        assert method.__doc__ == "Doc."
    assert inspect.iscoroutinefunction(Shop.async_class)


@pytest.mark.parametrize("name", ["class_outside", "static_inside", "property_outside"])
def test_twice_is_once(name):
    descriptor = vars(Shop)[name]
    assert Trace(descriptor) is descriptor


def test_setter_and_deleter_of_a_traced_property_survive(spans):
    class Box:
        value = 0

        @Trace
        @property
        def n(self):
            return self.value

        @n.setter
        def n(self, value):
            self.value = value

        @n.deleter
        def n(self):
            self.value = -1

    box = Box()
    box.n = 3
    assert box.n == 3
    del box.n
    assert box.n == -1
    assert len(spans) == 2


def test_write_only_property_is_left_alone():
    empty = property(None, lambda self, value: None)
    assert Trace(empty) is empty


def test_what_a_descriptor_holds_may_be_any_callable(spans):
    import operator

    class Box:
        parse = Trace(name="parse")(staticmethod(functools.partial(int, base=2)))
        size = Trace(name="size")(property(operator.itemgetter("size")))
        kind = Trace(staticmethod(dict))

        def __getitem__(self, key):
            return key

    assert Box.parse("11") == 3
    assert Box().size == "size"
    assert Box.kind() == {}
    assert spans.names == ["parse", "size"]
