"""What type checkers see of decorated code: exactly what they saw before.

Never run. `assert_type` fails in mypy and pyright if a type is lost; the lines
marked with an expected error fail in both if the error goes away, because
unused ignores are errors.
"""

import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from opentelemetry.trace import Span, SpanKind
from typing_extensions import assert_type

from throughline_tracing import Trace, TracedExecutor, bind

T = TypeVar("T")


@Trace
def bare(a: int, *rest: str, b: bool = False) -> float:
    return a + b + len(rest)


@Trace()
def called(a: int) -> str:
    return str(a)


@Trace("name", kind=SpanKind.CLIENT, args=("a",), expected=KeyError)
def with_options(a: int) -> str:
    return str(a)


def pick(a: int) -> dict[str, object]:
    return {"a": a}


@Trace(name="name", args=pick, record_return=len, expected=(KeyError, OSError))
def with_functions(a: int) -> str:
    return str(a)


assert_type(bare(1, "x", b=True), float)
assert_type(called(1), str)
assert_type(with_options(a=1), str)
assert_type(with_functions(1), str)
bare("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
called()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@Trace
async def fetch(key: str) -> int:
    return len(key)


@Trace
def generate(n: int) -> Generator[int, str, bytes]:
    yield n
    return b""


@Trace(name="x")
async def generate_async(n: int) -> AsyncGenerator[int, str]:
    yield n


fetch_is: Callable[[str], Coroutine[Any, Any, int]] = fetch
fetch_is_not: Callable[[str], Coroutine[Any, Any, str]] = fetch  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
assert_type(generate(1), Generator[int, str, bytes])
assert_type(generate_async(1), AsyncGenerator[int, str])


@Trace
def identity(value: T) -> T:
    return value


assert_type(identity(1), int)
assert_type(identity("x"), str)


@overload
def either(value: int) -> str: ...
@overload
def either(value: str) -> int: ...
@Trace
def either(value: int | str) -> int | str:
    return value


assert_type(either(1), str)
assert_type(either("x"), int)


@Trace
class Service:
    limit: int = 3

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, key: str) -> list[str]:
        return [key]

    @classmethod
    def create(cls) -> "Service":
        return cls("x")

    @Trace(disable_tracing=True)
    def ping(self) -> bytes:
        return b""

    @Trace
    @classmethod
    def outside(cls, n: int) -> int:
        return n

    @Trace
    @staticmethod
    def double(n: int) -> int:
        return n * 2

    # mypy takes no decorator on top of a property, from nobody.
    @Trace  # type: ignore[prop-decorator]
    @property
    def upper(self) -> str:
        return self.name.upper()

    @Trace  # type: ignore[prop-decorator]
    @functools.cached_property
    def slow(self) -> float:
        return 1.0

    @property
    @Trace
    def lower(self) -> str:
        return self.name.lower()


@Trace(inherit=True, include=("get*",))
class Child(Service):
    def get(self, key: str) -> list[str]:
        return [*super().get(key), "x"]


service: Service = Service("x")
assert_type(Service("x"), Service)
assert_type(Service.create(), Service)
assert_type(service.get("a"), list[str])
assert_type(service.ping(), bytes)
assert_type(Service.outside(1), int)
assert_type(Service.double(1), int)
assert_type(service.upper, str)
assert_type(service.lower, str)
assert_type(service.slow, float)
assert_type(Service.limit, int)
assert_type(Child("x").get("a"), list[str])
Service()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
service.get(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@Trace
@dataclass
class Point:
    x: int

    def norm(self) -> float:
        return abs(self.x)


assert_type(Point(1).norm(), float)


@Trace
class Box(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value

    def get(self) -> T:
        return self.value


assert_type(Box(1).get(), int)

partial = Trace(functools.partial(called, 1))
assert_type(partial(), str)

with Trace("block", attributes={"n": 1}) as span:
    assert_type(span, Span)


async def use() -> None:
    assert_type(await fetch("a"), int)
    async with Trace("block") as inner:
        assert_type(inner, Span)


def numbers() -> Iterator[int]:
    yield 1


traced_numbers: Callable[[], Iterator[int]] = Trace(numbers)

assert_type(bind(called)(1), str)
with TracedExecutor() as executor:
    assert_type(executor.submit(called, 1).result(), str)

Trace(kind="server")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
Trace(nope=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
Trace(root="old")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
