"""Switching tracing off for a part of the program: a method, what it calls, or a request.

The state lives in the OpenTelemetry context and nowhere else, so it ends where
the context ends: siblings and later calls are never affected.

A suppressed context

* makes every `Trace` below it call straight through;
* tells the official instrumentations to record nothing (the
  ``suppress_instrumentation`` keys), unless the tracer provider honours
  suppression itself, see `honours_suppression`;
* keeps the trace: its current span is a non-recording span with the span
  context that was current before. Under a remote parent that is the incoming
  one, so that injection sends the same ``traceparent`` downstream; with no
  parent it is invalid, and nothing is injected.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from opentelemetry import context as api
from opentelemetry.trace import NonRecordingSpan, get_tracer_provider

from throughline_tracing._context import SPAN_KEY, Context, get_current, get_current_span
from throughline_tracing._spec import spec_of

if TYPE_CHECKING:
    from collections.abc import Callable

SUPPRESS_KEY = api.create_key("throughline-suppress")

# The instrumentations read both: the first is private to the API, the second
# is what they published before it.
_INSTRUMENTATION_KEYS = tuple(
    key
    for key in (getattr(api, "_SUPPRESS_INSTRUMENTATION_KEY", None), "suppress_instrumentation")
    if key is not None
)

_MAX_WRAPPERS = 64  # bounds the walk over a `__wrapped__` chain that bites its tail


def suppress(context: Context | None = None) -> Context:
    """Return a context below which nothing is recorded; `context` defaults to the current one.

    The result is not attached. The current span of the result is never
    recording; its span context is the one that was current, so that a remote
    parent is passed on unchanged.

    >>> from opentelemetry import context
    >>> token = context.attach(suppress())
    >>> is_suppressed()
    True
    >>> context.detach(token)
    >>> is_suppressed()
    False
    """
    base = get_current() if context is None else context
    if SUPPRESS_KEY in base:
        return base
    values: dict[str, object] = dict(base)
    values[SUPPRESS_KEY] = True
    values[SPAN_KEY] = NonRecordingSpan(get_current_span(base).get_span_context())
    if not honours_suppression(_provider()):
        for key in _INSTRUMENTATION_KEYS:
            values[key] = True
    return Context(values)


def _provider() -> object:
    try:
        return get_tracer_provider()
    except Exception:  # the one that OTEL_PYTHON_TRACER_PROVIDER names cannot be loaded
        return None


def is_suppressed(context: Context | None = None) -> bool:
    """Report whether `context` (the current one by default) lies below `suppress`."""
    return SUPPRESS_KEY in (get_current() if context is None else context)


def honours_suppression(provider: object) -> bool:
    """Report whether the tracers of `provider` return the current span when suppressed.

    Such a provider has a true attribute ``honours_suppression``. Under it the
    official instrumentations need not be silenced: they get the non-recording
    span, record nothing, and still inject the incoming ``traceparent``, which
    they do not do when silenced.
    """
    return bool(getattr(provider, "honours_suppression", False))


def is_disabled(func: Callable[..., Any] | type | None, method: str | None = None) -> bool:
    """Report whether `func` was decorated with ``@Trace(disable_tracing=True)``.

    Looks through `functools.wraps`, `functools.partial`, bound methods and
    the class behind a class-based view (its `view_class`); for the latter
    `method`, an HTTP method such as ``"GET"``, selects the handler.

    >>> from throughline_tracing import Trace
    >>> @Trace(disable_tracing=True)
    ... def health() -> str:
    ...     return "ok"
    >>> is_disabled(health), is_disabled(len), is_disabled(None)
    (True, False, False)
    """
    target: Any = func
    for _ in range(_MAX_WRAPPERS):
        if target is None:
            return False
        spec = spec_of(target)
        if spec is not None and spec.disabled:
            return True
        view_class = getattr(target, "view_class", None)
        if isinstance(view_class, type):
            names = ["dispatch_request"]
            if method is not None:
                names.append(method.lower())
            handlers = [getattr(view_class, name, None) for name in names]
            if any(is_disabled(handler) for handler in handlers):
                return True
        if isinstance(target, functools.partial):
            target = target.func
        else:
            # A bound method answers for its function's attributes: that comes first.
            inner = getattr(target, "__func__", None)
            target = getattr(target, "__wrapped__", None) if inner is None else inner
    return False
