"""Trace on plain functions."""

import inspect
import pickle

import pytest
from opentelemetry import trace as api
from opentelemetry.trace import SpanKind

from throughline_tracing import Trace


@Trace
def add(a: int, b: int = 2, *rest: int, scale: int = 1, **more: int) -> int:
    """Add things."""
    return (a + b + sum(rest) + sum(more.values())) * scale


def plain(a: int, b: int = 2, *rest: int, scale: int = 1, **more: int) -> int:
    """Add things."""
    return (a + b + sum(rest) + sum(more.values())) * scale


@Trace()
def outer() -> int:
    return add(1) + add(2)


@Trace(name="price lookup", kind=SpanKind.CLIENT, attributes={"peer": "shop", "n": 3})
def named() -> str:
    return "x"


def test_one_span_per_call_and_children_under_their_caller(spans):
    assert outer() == 7
    spans.assert_tree("""
        outer
          add
          add
    """)
    assert {span.context.trace_id for span in spans.spans} == {1}


def test_arguments_and_result_pass_through(spans):
    assert add(1, 2, 3, scale=10, x=4) == plain(1, 2, 3, scale=10, x=4)
    assert add(b=5, a=1) == 6


def test_span_says_where_it_is_from(spans):
    add(1)
    span = spans.one("add")
    assert dict(span.attributes) == {"code.function.name": f"{__name__}.add"}
    assert span.instrumentation_scope.name == __name__
    assert span.kind is SpanKind.INTERNAL


def test_name_kind_and_attributes_are_taken(spans):
    assert named() == "x"
    span = spans.one("price lookup")
    assert span.kind is SpanKind.CLIENT
    assert dict(span.attributes) == {
        "code.function.name": f"{__name__}.named",
        "peer": "shop",
        "n": 3,
    }


def test_scope_has_the_version_of_its_package(spans):
    from throughline_tracing._tracers import version_of

    assert version_of("pytest") == pytest.__version__
    assert version_of("pytest.nothing.here") == pytest.__version__
    assert version_of("no_such_package_anywhere") is None


def test_looks_like_the_function_it_wraps():
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        want = getattr(plain, name)
        if isinstance(want, str):
            want = want.replace("plain", "add")
        assert getattr(add, name) == want
    assert inspect.signature(add) == inspect.signature(plain)
    assert inspect.isfunction(add)
    assert inspect.unwrap(add) is add.__wrapped__
    assert not inspect.iscoroutinefunction(add)
    assert not inspect.isgeneratorfunction(add)
    assert "Add things." in inspect.getsource(add)


def test_own_attributes_of_the_function_survive():
    def f():
        pass

    f.short_description = "x"
    assert Trace(f).short_description == "x"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_is_pickled_by_name(protocol):
    assert pickle.loads(pickle.dumps(add, protocol)) is add


def test_decorating_twice_is_decorating_once(spans):
    assert Trace(add) is add
    assert Trace(name="other")(add) is add


def test_a_function_may_have_any_name(spans):
    def wrapped_f():
        return 1

    wrapped = Trace()(wrapped_f)
    assert wrapped is not wrapped_f
    assert wrapped() == 1
    assert len(spans) == 1


def test_current_span_is_the_span_inside_and_what_it_was_outside(spans):
    @Trace
    def inside():
        return api.get_current_span()

    before = api.get_current_span()
    span = inside()
    assert span.get_span_context().span_id == spans.spans[0].context.span_id
    assert api.get_current_span() is before


def test_is_a_child_of_any_active_span(spans):
    with spans.provider.get_tracer("x").start_as_current_span("GET /", kind=SpanKind.SERVER):
        add(1)
    spans.assert_tree("""
        GET / [server]
          add
    """)


def test_recursion(spans):
    @Trace(name="fib")
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(3) == 2
    spans.assert_tree("""
        fib
          fib
            fib
            fib
          fib
    """)


def test_builtins_can_be_traced(spans):
    assert Trace(len)("abc") == 3
    assert Trace(name="up")("x".upper)() == "X"
    assert spans.names == ["len", "up"]


def test_bound_methods_can_be_traced(spans):
    class Box:
        def get(self):
            return 7

    assert Trace(Box().get)() == 7
    assert spans.names[0].endswith("Box.get")


def test_lru_cache_keeps_its_controls(spans):
    import functools

    @Trace
    @functools.lru_cache
    def square(n):
        return n * n

    assert (square(3), square(3)) == (9, 9)
    assert square.cache_info().hits == 1
    square.cache_clear()
    assert square.cache_info().hits == 0
    assert len(spans) == 2


def test_what_cannot_be_traced_is_refused():
    with pytest.raises(TypeError, match="want a callable or a class, got int"):
        Trace()(3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "name: want a non-empty string, got ''"),
        ({"name": 3}, "name: want a non-empty string, got 3"),
        ({"kind": "server"}, "kind: want a SpanKind, got 'server'"),
        ({"attributes": [1]}, "attributes: want a mapping, got list"),
        ({"attributes": {"": 1}}, "attributes: want non-empty string keys, got ''"),
        ({"attributes": {"x": object()}}, "attributes: 'x' has a value of type object"),
        ({"expected": "KeyError"}, "expected: want exception classes, got 'KeyError'"),
        ({"expected": (int,)}, "expected: want exception classes"),
        ({"redact": 3}, "redact: want a bool or a pattern, got 3"),
        ({"include": [3]}, "include: want method names or patterns, got 3"),
        ({"args": "nope"}, "has no parameter 'nope'"),
        ({"args": 3}, "args: want"),
    ],
)
def test_wrong_options_are_refused_at_decoration(options, message):
    with pytest.raises(TypeError, match=message):
        Trace(**options)(lambda a: a)


def test_wrong_root_is_refused():
    with pytest.raises(ValueError, match="root: want one of new, link, skip; got 'old'"):
        Trace(root="old")(plain)


def test_name_given_twice_is_refused():
    with pytest.raises(TypeError, match="given twice"):
        Trace("a", name="b")


def test_root_skip_records_only_below_a_span(spans):
    @Trace(root="skip")
    def helper():
        return 1

    helper()
    assert len(spans) == 0
    with Trace("job"):
        helper()
    spans.assert_tree("job\n  test_root_skip_records_only_below_a_span.<locals>.helper")


def test_root_link_starts_a_linked_trace(spans):
    @Trace(name="later", root="link")
    def later():
        return 1

    later()
    assert spans.one("later").links == ()
    spans.clear()
    with Trace("request") as request:
        later()
    span = spans.one("later")
    assert span.parent is None
    assert span.links[0].context == request.get_span_context()
    assert span.context.trace_id != request.get_span_context().trace_id


def test_own_provider_is_used_instead_of_the_global_one(spans):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    Trace(name="own", tracer_provider=provider)(plain)(1)
    assert [span.name for span in exporter.get_finished_spans()] == ["own"]
    assert len(spans) == 0
