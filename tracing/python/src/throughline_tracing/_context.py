"""The current OpenTelemetry context, read and swapped at the lowest cost the API allows.

The API's own functions add two Python frames to each read of a context
variable. `Trace` does three such steps per call, so they are bound here once:
to the context variable itself where the default runtime context is in use, to
the public functions otherwise.

Guarantees: the same context the API sees, at all times. `detach` never raises
and never logs: a coroutine that is closed from another context cannot restore
what that context never had, and that is no fault of the application's.
"""

import contextvars
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as api
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span, set_span_in_context


def _bind() -> tuple[
    Callable[[], Context], Callable[[Context], Any], Callable[[Any], None], type[Exception]
]:
    """Return get, attach, raw detach, and what raw detach raises in a foreign context."""
    runtime = getattr(api, "_RUNTIME_CONTEXT", None)
    variable = getattr(runtime, "_current_context", None)
    if isinstance(variable, ContextVar):
        try:  # in an empty context: it must have a default for reading it never to raise
            contextvars.Context().run(variable.get)
        except LookupError:
            pass
        else:
            return variable.get, variable.set, variable.reset, ValueError
    return api.get_current, api.attach, api.detach, Exception


get_current, attach, raw_detach, ForeignTokenError = _bind()

# `create_key` makes the key of the current span unique per process; reading it
# off a context that holds nothing else avoids importing a private name.
(SPAN_KEY,) = set_span_in_context(INVALID_SPAN, Context())

_set = dict.__setitem__


def with_value(context: Context, key: str, value: object) -> Context:
    """Return a copy of `context` in which `key` is `value`."""
    new = Context(context)
    _set(new, key, value)
    return new


def detach(token: Any) -> None:
    """Restore what was current before the `attach` that returned `token`."""
    try:
        raw_detach(token)
    except ForeignTokenError:
        return


__all__ = [
    "SPAN_KEY",
    "Context",
    "ForeignTokenError",
    "Span",
    "attach",
    "detach",
    "get_current",
    "get_current_span",
    "raw_detach",
    "with_value",
]
