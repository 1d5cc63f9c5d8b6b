"""What an exception does to the span it leaves.

An exception is an error unless it was expected, is a cancellation, or is how
Python ends an iteration or a program. An error sets the status and
``error.type`` on every span it passes, and is recorded with its stack trace
once per trace, on the span where it was raised.

Sources: OpenTelemetry semantic conventions, "Recording errors" and
"Exceptions"; OTEP 4430 for the log form.
"""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import StatusCode

from throughline_tracing._arguments import clean_text
from throughline_tracing._tracers import logger

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from throughline_tracing._spec import Spec

MAX_DESCRIPTION = 512
MAX_MESSAGE = 4_096
MAX_STACKTRACE = 32_768

_RECORDED = "__throughline_recorded__"

_CANCELLATIONS: tuple[type[BaseException], ...] = (
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
    GeneratorExit,
    KeyboardInterrupt,
)
_CONTROL_FLOW: tuple[type[BaseException], ...] = (StopIteration, StopAsyncIteration)

# Cancellation types of libraries that may not be installed; an exception of
# one of them can only exist once its module is loaded.
_FOREIGN_CANCELLATIONS = (
    ("trio", "Cancelled"),
    ("greenlet", "GreenletExit"),
    ("curio", "CancelledError"),
)


def error_type(error: BaseException) -> str:
    """Return the value of ``error.type``: the qualified class, bare for built-ins.

    >>> error_type(KeyError("x")), error_type(asyncio.TimeoutError())[-12:]
    ('KeyError', 'TimeoutError')
    """
    cls = type(error)
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", None) else f"{module}.{cls.__qualname__}"


def fail(span: Span, error: BaseException, spec: Spec) -> None:
    """Record on `span` that `error` leaves it. Never raises."""
    try:
        if span.is_recording():
            _fail(span, error, spec)
    except Exception:
        logger.warning("recording an exception", exc_info=True)


def _fail(span: Span, error: BaseException, spec: Spec) -> None:
    if spec.expected and _is_only(error, spec.expected):
        return
    if isinstance(error, _CONTROL_FLOW):
        return
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return
    if _is_only(error, _cancellations()):
        span.set_attribute("throughline.cancelled", True)
        if isinstance(error, GeneratorExit):  # closed or collected before its end
            span.add_event("abandoned")
        return
    span.set_attribute("error.type", error_type(error))
    status = getattr(span, "status", None)
    if status is None or status.status_code is StatusCode.UNSET:
        description = _message(error, MAX_DESCRIPTION) if spec.status_description else None
        span.set_status(StatusCode.ERROR, description)
    if spec.record_exception and _mark_recorded(span, error):
        _record(span, error)


def _is_only(error: BaseException, types: tuple[type[BaseException], ...]) -> bool:
    """Report whether `error` is one of `types`, or a group of nothing else."""
    if isinstance(error, types):
        return True
    group: Any = getattr(builtins, "BaseExceptionGroup", None)  # new in Python 3.11
    if group is None or not isinstance(error, group):
        return False
    _, rest = group.split(error, types)
    return rest is None


def _cancellations() -> tuple[type[BaseException], ...]:
    found = list(_CANCELLATIONS)
    for module, name in _FOREIGN_CANCELLATIONS:
        cls = getattr(sys.modules.get(module), name, None)
        if isinstance(cls, type) and issubclass(cls, BaseException):
            found.append(cls)
    return tuple(found)


def _mark_recorded(span: Span, error: BaseException) -> bool:
    """Mark `error` as recorded in the trace of `span`; report False if it was already.

    The mark is the trace id: an exception object that is kept and raised again
    in a later request is recorded there too. Written into the instance's
    dictionary, past any ``__setattr__`` (frozen dataclasses raise there).
    """
    trace_id = span.get_span_context().trace_id
    marks = error.__dict__
    if marks.get(_RECORDED) == trace_id:
        return False
    marks[_RECORDED] = trace_id
    return True


def _message(error: BaseException, limit: int) -> str:
    try:
        return clean_text(str(error), limit)
    except Exception:  # the exception's own __str__ fails
        return ""


def _record(span: Span, error: BaseException) -> None:
    stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if len(stack) > MAX_STACKTRACE:  # the end tells what was raised
        stack = "… " + stack[-MAX_STACKTRACE:]
    attributes: dict[str, Any] = {
        "exception.type": error_type(error),
        "exception.message": _message(error, MAX_MESSAGE),
        "exception.stacktrace": clean_text(stack, MAX_STACKTRACE + 2),
    }
    signal = os.environ.get("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "").strip().lower()
    if signal in ("logs", "logs/dup"):
        _emit_log(span, attributes)
    if signal != "logs":
        span.add_event("exception", attributes)


def _emit_log(span: Span, attributes: dict[str, Any]) -> None:
    """Emit the log form of the exception event, in the context of `span`."""
    from time import time_ns

    from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
    from opentelemetry.trace import set_span_in_context

    get_logger("throughline_tracing").emit(
        LogRecord(
            timestamp=time_ns(),
            context=set_span_in_context(span),
            severity_number=SeverityNumber.ERROR,
            severity_text="ERROR",
            event_name="exception",
            attributes=attributes,
        )
    )
