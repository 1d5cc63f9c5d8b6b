"""`Trace`: one name for the decorator in all its forms and for the context manager."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import re
import sys
import types
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from opentelemetry.trace import INVALID_SPAN, SpanKind

from throughline_tracing._arguments import clean_mapping, redaction_for, static_attributes
from throughline_tracing._callables import trace_callable, trace_partial
from throughline_tracing._classes import trace_class, wrap_attribute
from throughline_tracing._context import (
    SPAN_KEY,
    attach,
    detach,
    get_current,
    get_current_span,
    with_value,
)
from throughline_tracing._errors import fail
from throughline_tracing._spec import Spec, is_settled
from throughline_tracing._suppression import SUPPRESS_KEY, suppress
from throughline_tracing._tracers import logger, scope_for
from throughline_tracing._wrappers import end, start_rooted, wrap_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from opentelemetry.trace import Span, TracerProvider

    from throughline_tracing._context import Context

    Descriptor = classmethod[Any, Any, Any] | property | functools.cached_property[Any]
    Expected = type[BaseException] | tuple[type[BaseException], ...]
    ArgsOption = (
        str | Iterable[str] | Mapping[str, str] | Callable[..., Mapping[str, object] | None]
    )

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")
D = TypeVar("D", bound="Descriptor")

_ROOTS = ("new", "link", "skip")
_DESCRIPTORS = (
    classmethod,
    staticmethod,
    property,
    functools.cached_property,
    functools.partialmethod,
)
_ROUTINES = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    functools._lru_cache_wrapper,
)


_redaction = functools.lru_cache(maxsize=64)(redaction_for)


class Tracing:
    """What ``Trace(...)`` with options gives: a decorator and a context manager.

    One instance may be shared and entered from any number of threads and tasks
    at once.
    """

    __slots__ = ("_entered", "_module", "_options", "_spec")

    def __init__(self, options: dict[str, Any], module: str) -> None:
        self._options = options
        self._module = module
        self._spec: Spec | None = None
        # Open entries by the identity of the span each made current.
        self._entered: dict[int, tuple[Span, Any]] = {}

    @overload
    def __call__(self, target: type[T], /) -> type[T]: ...
    @overload
    def __call__(self, target: F, /) -> F: ...
    @overload
    def __call__(self, target: D, /) -> D: ...
    def __call__(self, target: Any, /) -> Any:
        """Decorate `target`."""
        return _decorate(target, self._checked())

    def _checked(self) -> Spec:
        if self._spec is None:
            self._spec = make_spec(**self._options)
        return self._spec

    def __enter__(self) -> Span:
        """Start the span and make it current; a span that records nothing if tracing is off."""
        options = self._options
        parent = get_current()
        if SUPPRESS_KEY in parent:
            return get_current_span(parent)
        if options["disable_tracing"]:
            context = suppress(parent)
            span = get_current_span(context)
        else:
            started = self._start(parent)
            if started is None:
                return INVALID_SPAN
            span = started
            context = with_value(parent, SPAN_KEY, span)
        self._entered[id(span)] = span, attach(context)
        return span

    def _start(self, parent: Context) -> Span | None:
        options = self._options
        scope = scope_for(self._module, options["tracer_provider"])
        if scope.holder._TRACER_PROVIDER is not scope.provider:
            scope.refresh()
        if scope.start_span is None:
            return None
        name = options["name"] or self._module
        try:
            attributes = options["attributes"]
            if attributes is not None:
                attributes = clean_mapping(attributes, _redaction(options["redact"]))
            return start_rooted(
                options["root"], scope.start_span, name, parent, options["kind"], attributes
            )
        except Exception:
            logger.warning("starting span %r", name, exc_info=True)
            return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the span and restore what was current. The exception goes on."""
        entry = self._leave()
        if entry is None:
            return
        span, token = entry
        if self._options["disable_tracing"]:
            detach(token)
            return
        if error is not None:
            fail(span, error, self._checked())
        detach(token)
        end(span)

    def _leave(self) -> tuple[Span, Any] | None:
        """Return the entry that this exit belongs to; None if it recorded nothing."""
        context = get_current()
        entry = self._entered.pop(id(get_current_span(context)), None)
        if entry is None and self._entered and SUPPRESS_KEY not in context:
            # Left in a context that never saw the entry: a generator closed by
            # the garbage collector, or a context attached inside and not detached.
            entry = self._entered.popitem()[1]
        return entry

    async def __aenter__(self) -> Span:
        """Do as ``with``: nothing here waits."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do as ``with``: nothing here waits."""
        self.__exit__(kind, error, traceback)


@overload
def Trace(target: type[T], /) -> type[T]: ...
@overload
def Trace(target: F, /) -> F: ...
@overload
def Trace(target: D, /) -> D: ...
@overload
def Trace(
    name: str | None = None,
    /,
    *,
    kind: SpanKind = ...,
    attributes: Mapping[str, object] | None = ...,
    args: ArgsOption | None = ...,
    record_return: bool | Callable[[Any], object] = ...,
    expected: Expected = ...,
    record_exception: bool = ...,
    status_description: bool = ...,
    redact: bool | str | re.Pattern[str] = ...,
    root: Literal["new", "link", "skip"] = ...,
    disable_tracing: bool = ...,
    include: str | Iterable[str] = ...,
    exclude: str | Iterable[str] = ...,
    inherit: bool = ...,
    nested: bool = ...,
    properties: bool = ...,
    tracer_provider: TracerProvider | None = ...,
) -> Tracing: ...
@overload
def Trace(
    *,
    name: str | None = None,
    kind: SpanKind = ...,
    attributes: Mapping[str, object] | None = ...,
    args: ArgsOption | None = ...,
    record_return: bool | Callable[[Any], object] = ...,
    expected: Expected = ...,
    record_exception: bool = ...,
    status_description: bool = ...,
    redact: bool | str | re.Pattern[str] = ...,
    root: Literal["new", "link", "skip"] = ...,
    disable_tracing: bool = ...,
    include: str | Iterable[str] = ...,
    exclude: str | Iterable[str] = ...,
    inherit: bool = ...,
    nested: bool = ...,
    properties: bool = ...,
    tracer_provider: TracerProvider | None = ...,
) -> Tracing: ...
def Trace(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, object] | None = None,
    args: ArgsOption | None = None,
    record_return: bool | Callable[[Any], object] = False,
    expected: Expected = (),
    record_exception: bool = True,
    status_description: bool = True,
    redact: bool | str | re.Pattern[str] = True,
    root: Literal["new", "link", "skip"] = "new",
    disable_tracing: bool = False,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    inherit: bool = False,
    nested: bool = False,
    properties: bool = False,
    tracer_provider: TracerProvider | None = None,
) -> Any:
    """Record a span around each call of a function, of a class's methods, or of a block.

    >>> @Trace
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> @Trace(args=("article_id",), expected=(KeyError,))
    ... class Service:
    ...     def get(self, article_id: str) -> list[str]:
    ...         return {"a": ["b"]}[article_id]
    ...
    ...     @Trace(disable_tracing=True)
    ...     def ping(self) -> None: ...
    >>> with Trace("load", attributes={"rows": 3}):
    ...     add(1, 2), Service().get("a")
    (3, ['b'])

    The decorated thing keeps its kind, name, signature, type and everything
    else that can be asked of it. Decorating twice is decorating once: the first
    ``Trace`` a function got is the one it keeps, except that disabling wins.

    Args:
        target: What to decorate, or the name of the span.
        name: Name of the span; by default the qualified name. On a class, a prefix.
        kind: Kind of the span.
        attributes: Attributes every span starts with, next to ``code.function.name``.
        args: Arguments to record: parameter names, a mapping of parameter name to
            attribute key, or a function that is called with the call's own arguments
            and returns a mapping. None are recorded by default.
        record_return: True records the result under ``return``; a function of the result
            returns a mapping of attributes, or the value to record.
        expected: Exceptions that are no errors: status and events stay as they are.
        record_exception: Whether an error's type, message and stack trace are recorded.
        status_description: Whether an error's message becomes the status description.
        redact: Which attribute keys from `args` and `record_return` hold secrets: True for
            the built-in pattern, a pattern of your own, or False for none.
        root: What to do without an active span: start a ``"new"`` trace, or ``"skip"``.
            ``"link"`` starts a new trace always, linked to the active span.
        disable_tracing: Record nothing in the decorated code or in what it calls. On a
            view, the middleware then records nothing of the request.
        include: Patterns of method names to trace instead of all public ones.
        exclude: Patterns of method names not to trace.
        inherit: Trace inherited methods and the overrides of subclasses too.
        nested: Trace the classes defined in the class too.
        properties: Trace the getters of properties and cached properties too.
        tracer_provider: Provider to use instead of the global one.

    Raises:
        TypeError: An option is of the wrong type, or `target` cannot be traced.
        ValueError: `root` is none of the three.
    """
    if isinstance(target, str):
        if name is not None:
            raise TypeError("Trace: the name is given twice")
        name, target = target, None
    tracing = Tracing(
        {
            "name": name,
            "kind": kind,
            "attributes": attributes,
            "args": args,
            "record_return": record_return,
            "expected": expected,
            "record_exception": record_exception,
            "status_description": status_description,
            "redact": redact,
            "root": root,
            "disable_tracing": disable_tracing,
            "include": include,
            "exclude": exclude,
            "inherit": inherit,
            "nested": nested,
            "properties": properties,
            "tracer_provider": tracer_provider,
        },
        sys._getframe(1).f_globals.get("__name__") or "__main__",
    )
    return tracing if target is None else tracing(target)


def make_spec(
    *,
    name: Any,
    kind: Any,
    attributes: Any,
    expected: Any,
    redact: Any,
    root: Any,
    disable_tracing: Any,
    include: Any,
    exclude: Any,
    **others: Any,
) -> Spec:
    """Return the options of `Trace`, checked.

    Raises:
        TypeError: An option is of the wrong type.
        ValueError: `root` is none of the three.
    """
    if name is not None and (not isinstance(name, str) or not name):
        raise TypeError(f"name: want a non-empty string, got {name!r}")
    if not isinstance(kind, SpanKind):
        raise TypeError(f"kind: want a SpanKind, got {kind!r}")
    if attributes is not None and not isinstance(attributes, collections.abc.Mapping):
        raise TypeError(f"attributes: want a mapping, got {type(attributes).__qualname__}")
    if root not in _ROOTS:
        raise ValueError(f"root: want one of {', '.join(_ROOTS)}; got {root!r}")
    if not isinstance(redact, (bool, str, re.Pattern)):
        raise TypeError(f"redact: want a bool or a pattern, got {redact!r}")
    expected = expected if isinstance(expected, tuple) else (expected,)
    for error in expected:
        if not isinstance(error, type) or not issubclass(error, BaseException):
            raise TypeError(f"expected: want exception classes, got {error!r}")
    return Spec(
        name=name,
        kind=kind,
        attributes=static_attributes(attributes),
        expected=expected,
        redact=redact,
        root=root,
        disabled=bool(disable_tracing),
        include=_patterns("include", include),
        exclude=_patterns("exclude", exclude),
        **others,
    )


def _patterns(option: str, value: Any) -> tuple[str, ...]:
    patterns = (value,) if isinstance(value, str) else tuple(value)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"{option}: want method names or patterns, got {pattern!r}")
    return patterns


def _decorate(target: Any, spec: Spec) -> Any:
    if isinstance(target, type):
        trace_class(target, spec)
        return target
    if isinstance(target, _DESCRIPTORS):
        # Written on the property itself, the decorator is the opt-in.
        traced = wrap_attribute(target, dataclasses.replace(spec, properties=True), None)
        return target if traced is None else traced
    if isinstance(target, functools.partial):
        return trace_partial(target, spec)
    if isinstance(target, _ROUTINES):
        if is_settled(getattr(target, "__func__", target), spec):
            return target
        return wrap_function(target, spec)
    if callable(target):
        return trace_callable(target, spec)
    raise TypeError(f"Trace: want a callable or a class, got {type(target).__qualname__}")
