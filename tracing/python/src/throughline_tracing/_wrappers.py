"""The wrappers around functions: one per kind of callable, chosen at decoration.

Each wrapper is of the same kind as what it wraps (a coroutine function wraps a
coroutine function, and so on), and does on the call path what a span needs and
nothing else: one check that tracing is on, one that it is not suppressed, start,
attach, call, detach, end. Tracing never raises into the traced code.

Generators hold the context only while their body runs. Each step attaches the
generator's own OpenTelemetry context, runs the body in the caller's task, keeps
the context the body left, and restores the caller's; other context variables
are never touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import sys
import types
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.trace import Link

from throughline_tracing._arguments import (
    compile_recorder,
    redaction_for,
    result_recorder,
)
from throughline_tracing._context import (
    SPAN_KEY,
    Context,
    ForeignTokenError,
    attach,
    detach,
    get_current,
    get_current_span,
    raw_detach,
    with_value,
)
from throughline_tracing._errors import fail
from throughline_tracing._spec import MARKER
from throughline_tracing._suppression import SUPPRESS_KEY, suppress
from throughline_tracing._tracers import logger, scope_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from opentelemetry.trace import Span, SpanKind
    from opentelemetry.util.types import AttributeValue

    from throughline_tracing._spec import Spec


class Operation:
    """What all calls of one traced function have in common, computed at decoration."""

    __slots__ = ("_said", "attributes", "begin", "finish", "kind", "name", "root", "scope", "spec")

    def __init__(self, fn: Callable[..., Any], spec: Spec, name: str, *, strict: bool) -> None:
        module = getattr(fn, "__module__", None) or type(getattr(fn, "__self__", fn)).__module__
        secret = redaction_for(spec.redact)
        self.spec = spec
        self.name = name if spec.name is None else spec.name
        self.kind = spec.kind
        self.root = spec.root
        self.scope = scope_for(module, spec.tracer_provider)
        self.attributes = {"code.function.name": f"{module}.{name}", **spec.attributes}
        self.begin = compile_recorder(fn, spec.args, secret, self._not_recorded, strict=strict)
        self.finish = result_recorder(spec.record_return, secret, self._not_recorded)
        self._said = False

    def start(self, start_span: Callable[..., Span], parent: Context) -> Span | None:
        """Start the span of one call under `parent`; None if the call is not to be traced.

        May raise what the provider raises; see `not_started`.
        """
        return start_rooted(self.root, start_span, self.name, parent, self.kind, self.attributes)

    def not_started(self) -> None:
        """Report the exception being handled; the call goes on without a span."""
        logger.warning("starting span %r", self.name, exc_info=True)

    def _not_recorded(self) -> None:
        """Report the exception being handled, once; the call goes on without what was asked for."""
        if not self._said:
            self._said = True
            logger.warning(
                "recording arguments or result of %r (said once)", self.name, exc_info=True
            )


def start_rooted(
    root: str,
    start_span: Callable[..., Span],
    name: str,
    parent: Context,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue] | None,
) -> Span | None:
    """Start a span under `parent` as the option ``root`` says; None if it is to be skipped."""
    if root == "new":
        return start_span(name, parent, kind, attributes)
    current = get_current_span(parent).get_span_context()
    if root == "skip":
        return start_span(name, parent, kind, attributes) if current.is_valid else None
    rootless = Context({key: value for key, value in parent.items() if key != SPAN_KEY})
    links = [Link(current)] if current.is_valid else None
    return start_span(name, rootless, kind, attributes, links)


def end(span: Span) -> None:
    """End `span`. Never raises: a span processor may."""
    try:
        span.end()
    except Exception:
        not_ended()


def not_ended() -> None:
    """Report the exception being handled; the span is lost."""
    logger.warning("ending a span", exc_info=True)


def switched_off(name: str) -> bool:
    """Report whether the environment says that `name` (module.qualname) is not to be traced.

    ``OTEL_SDK_DISABLED=true`` means all, unless a file of ``OTEL_CONFIG_FILE`` says
    what is disabled; ``THROUGHLINE_TRACE_INCLUDE`` and
    ``THROUGHLINE_TRACE_EXCLUDE`` are comma-separated globs over names. Asked at
    decoration, so that what is off costs nothing: it is not wrapped at all.
    """
    environ = os.environ
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" and not (
        environ.get("OTEL_CONFIG_FILE", "").strip()
    ):
        return True
    include = environ.get("THROUGHLINE_TRACE_INCLUDE")
    if include and not _matches(name, include):
        return True
    exclude = environ.get("THROUGHLINE_TRACE_EXCLUDE")
    return bool(exclude) and _matches(name, exclude or "")


def _matches(name: str, patterns: str) -> bool:
    return any(fnmatchcase(name, pattern.strip()) for pattern in patterns.split(","))


def is_coroutine_function(fn: Callable[..., Any]) -> bool:
    """Report whether calling `fn` gives a coroutine, by its code or by a mark set on it."""
    if inspect.iscoroutinefunction(fn):
        return True
    mark = getattr(asyncio.coroutines, "_is_coroutine", None)  # before Python 3.12's own mark
    return mark is not None and getattr(fn, "_is_coroutine", None) is mark


def wrap_function(
    fn: Callable[..., Any],
    spec: Spec,
    name: str | None = None,
    *,
    strict: bool = True,
    call: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """Return `fn` traced as `spec` says.

    Args:
        fn: Any callable; its kind decides the kind of the wrapper.
        spec: The options.
        name: Qualified name, if not `fn`'s own.
        strict: Whether an argument name that `fn` does not have is a fault.
        call: What the wrapper calls instead of `fn`, whose kind and looks it has.
    """
    qualname: str = name or getattr(fn, "__qualname__", None) or type(fn).__qualname__
    if switched_off(f"{getattr(fn, '__module__', None)}.{qualname}") and call is None:
        if spec.disabled:  # the middleware still asks
            with contextlib.suppress(AttributeError, TypeError):  # a built-in takes no attributes
                setattr(fn, MARKER, spec)
        return fn
    operation = None if spec.disabled else Operation(fn, spec, qualname, strict=strict)
    target = fn if call is None else call
    wrapper: Callable[..., Any]
    if inspect.isasyncgenfunction(fn):
        wrapper = _async_generator(target, operation)
    elif is_coroutine_function(fn):
        wrapper = _coroutine(target, operation) if operation else _disabled_coroutine(target)
    elif inspect.isgeneratorfunction(fn):
        wrapper = _generator(target, operation)
        if fn.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE:
            wrapper = types.coroutine(wrapper)
    else:
        wrapper = _function(target, operation) if operation else _disabled_function(target)
    functools.update_wrapper(wrapper, fn)
    if isinstance(fn, functools._lru_cache_wrapper):
        for method in ("cache_info", "cache_clear", "cache_parameters"):
            setattr(wrapper, method, getattr(fn, method))
    setattr(wrapper, MARKER, spec)
    return wrapper


# The two wrappers below are on the path of every traced call and therefore
# repeat each other, and `Operation`, instead of calling a shared function.


def _function(fn: Callable[..., Any], operation: Operation) -> Callable[..., Any]:
    scope = operation.scope
    holder = scope.holder
    name, kind, attributes = operation.name, operation.kind, operation.attributes
    plain = operation.root == "new"
    start, not_started = operation.start, operation.not_started
    begin, finish = operation.begin, operation.finish
    spec = operation.spec

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        provider = holder._TRACER_PROVIDER
        if provider is scope.silent:
            return fn(*args, **kwargs) if kwargs else fn(*args)  # the latter is cheaper
        if provider is not scope.provider:
            scope.refresh()
        start_span = scope.start_span
        if start_span is None:
            return fn(*args, **kwargs)
        parent = get_current()
        if SUPPRESS_KEY in parent:
            return fn(*args, **kwargs)
        span: Span | None = None
        try:
            if plain:
                span = start_span(name, parent, kind, attributes)
            else:
                span = start(start_span, parent)
        except Exception:
            not_started()
        if span is None:
            return fn(*args, **kwargs)
        if begin is not None:
            begin(span, args, kwargs)
        token = attach(Context({**parent, SPAN_KEY: span}))
        try:
            result = fn(*args, **kwargs)
            if finish is not None:
                finish(span, result)
            return result
        except BaseException as error:
            fail(span, error, spec)
            raise
        finally:
            raw_detach(token)
            try:
                span.end()
            except Exception:
                not_ended()

    return wrapper


def _coroutine(fn: Callable[..., Any], operation: Operation) -> Callable[..., Any]:
    scope = operation.scope
    holder = scope.holder
    name, kind, attributes = operation.name, operation.kind, operation.attributes
    plain = operation.root == "new"
    start, not_started = operation.start, operation.not_started
    begin, finish = operation.begin, operation.finish
    spec = operation.spec

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        provider = holder._TRACER_PROVIDER
        if provider is scope.silent:
            return await fn(*args, **kwargs)
        if provider is not scope.provider:
            scope.refresh()
        start_span = scope.start_span
        if start_span is None:
            return await fn(*args, **kwargs)
        parent = get_current()
        if SUPPRESS_KEY in parent:
            return await fn(*args, **kwargs)
        span: Span | None = None
        try:
            if plain:
                span = start_span(name, parent, kind, attributes)
            else:
                span = start(start_span, parent)
        except Exception:
            not_started()
        if span is None:
            return await fn(*args, **kwargs)
        if begin is not None:
            begin(span, args, kwargs)
        token = attach(Context({**parent, SPAN_KEY: span}))
        try:
            result = await fn(*args, **kwargs)
            if finish is not None:
                finish(span, result)
            return result
        except BaseException as error:
            fail(span, error, spec)
            raise
        finally:
            # A coroutine collected half-way is closed in some other context.
            try:
                raw_detach(token)
            except ForeignTokenError:
                pass
            try:
                span.end()
            except Exception:
                not_ended()

    return wrapper


def _disabled_function(fn: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        token = attach(suppress())
        try:
            return fn(*args, **kwargs)
        finally:
            detach(token)

    return wrapper


def _disabled_coroutine(fn: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        token = attach(suppress())
        try:
            return await fn(*args, **kwargs)
        finally:
            detach(token)

    return wrapper


def _enter_generator(
    operation: Operation | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Context | None, Span | None]:
    """Return the context a generator's body runs in (None: its caller's) and its span."""
    parent = get_current()
    if operation is None:
        return suppress(parent), None
    scope = operation.scope
    if scope.holder._TRACER_PROVIDER is not scope.provider:
        scope.refresh()
    if scope.start_span is None or SUPPRESS_KEY in parent:
        return None, None
    span: Span | None = None
    try:
        span = operation.start(scope.start_span, parent)
    except Exception:
        operation.not_started()
    if span is None:
        return None, None
    if operation.begin is not None:
        operation.begin(span, args, kwargs)
    return with_value(parent, SPAN_KEY, span), span


def _generator(fn: Callable[..., Any], operation: Operation | None) -> Callable[..., Any]:
    finish = None if operation is None else operation.finish

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        context, span = _enter_generator(operation, args, kwargs)
        if context is None:
            return (yield from fn(*args, **kwargs))
        try:
            generator = fn(*args, **kwargs)
            del args, kwargs  # the body may drop what it was given
            step, value = generator.send, None
            # The item is handed out of a list, so that this frame holds no
            # reference to it while the consumer works on it.
            items: list[Any] = []
            while True:
                token = attach(context)
                try:
                    items.append(step(value))
                except StopIteration as stop:
                    if span is not None and finish is not None:
                        finish(span, stop.value)
                    return stop.value
                finally:
                    value = None
                    context = get_current()
                    detach(token)
                try:
                    value = yield items.pop()
                    step = generator.send
                except BaseException as thrown:
                    value, step = thrown, generator.throw
        except BaseException as error:
            if span is not None and operation is not None:
                fail(span, error, operation.spec)
            raise
        finally:
            if span is not None:
                end(span)

    return wrapper


def _first_step(generator: AsyncGenerator[Any, Any]) -> Callable[[Any], Any]:
    """Return what starts `generator` unseen by the event loop.

    The loop closes the generators it has seen, all at once, when it ends. The
    wrapper is seen and closes what it wraps; the loop doing it at the same time
    would make one of the two fail.
    """

    def start(_: None) -> Any:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return generator.asend(None)
        finally:
            sys.set_asyncgen_hooks(*hooks)

    return start


def _async_generator(fn: Callable[..., Any], operation: Operation | None) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        context, span = _enter_generator(operation, args, kwargs)
        try:
            generator = fn(*args, **kwargs)
            del args, kwargs
            step, value = _first_step(generator), None
            items: list[Any] = []
            while True:
                token = None if context is None else attach(context)
                try:
                    items.append(await step(value))
                except StopAsyncIteration:
                    return
                finally:
                    value = None
                    if token is not None:
                        context = get_current()
                        detach(token)
                try:
                    value = yield items.pop()
                    step = generator.asend
                except BaseException as thrown:
                    value, step = thrown, generator.athrow
        except BaseException as error:
            if span is not None and operation is not None:
                fail(span, error, operation.spec)
            raise
        finally:
            if span is not None:
                end(span)

    return cast("Callable[..., Any]", wrapper)
