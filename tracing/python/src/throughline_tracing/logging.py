"""Log lines that name the trace they belong to.

`configure_logging` writes JSON lines with ``trace_id``, ``span_id`` and
``trace_flags``, the names that OpenTelemetry gives them outside of OTLP; the
other keys are those of Go's ``slog``, so that services in both languages can be
read together. Whoever keeps a format of their own adds `TraceContextFilter` to
a handler and uses ``%(trace_id)s`` in it.

Guarantees: a log call never raises because of a value that has no JSON form,
and a line break in a message stays within its line.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from datetime import datetime, timezone
from typing import Any, Final, TextIO

from throughline_tracing._context import get_current_span

__all__ = ["JSONFormatter", "TraceContextFilter", "configure_logging"]

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "color_message",
    "message",
    "taskName",
    "trace_flags",
    "trace_id",
    "span_id",
}
_LEVELS: Final = {"WARNING": "WARN", "CRITICAL": "ERROR"}


class TraceContextFilter(logging.Filter):
    """Gives every record ``trace_id``, ``span_id`` and ``trace_flags``; empty outside of a trace.

    Example:
        >>> handler = logging.StreamHandler(sys.stdout)
        >>> handler.addFilter(TraceContextFilter())
        >>> handler.setFormatter(logging.Formatter("[%(trace_id)s] %(message)s"))
        >>> handler.handle(logging.makeLogRecord({"msg": "outside of a trace"})) and None
        [] outside of a trace
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids; lets every record through."""
        context = get_current_span().get_span_context()
        valid = context.is_valid
        record.trace_id = f"{context.trace_id:032x}" if valid else ""
        record.span_id = f"{context.span_id:016x}" if valid else ""
        record.trace_flags = f"{context.trace_flags:02x}" if valid else ""
        return True


class JSONFormatter(logging.Formatter):
    """Formats a record as one line of JSON.

    Keys: ``time`` (RFC 3339, UTC, milliseconds), ``level``, ``msg``, ``logger``, the
    fields given to the constructor, those of ``extra``, the trace's if there is
    one, and ``error`` with the traceback of an exception.

    Example:
        >>> record = logging.makeLogRecord({"msg": "ready", "levelname": "INFO", "created": 0.0})
        >>> JSONFormatter(service="suggestions").format(record)  # doctest: +NORMALIZE_WHITESPACE
        '{"time":"1970-01-01T00:00:00.000Z","level":"INFO","msg":"ready","logger":null,"service":"suggestions"}'
    """

    def __init__(self, **fields: object) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        when = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": _LEVELS.get(record.levelname, record.levelname),
            "msg": record.getMessage(),
            "logger": record.name,
            **self._fields,
        }
        line |= {
            key: value
            for key, value in vars(record).items()
            if key not in _STANDARD and not key.startswith("_")
        }
        context = get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
            line["span_id"] = f"{context.span_id:016x}"
            line["trace_flags"] = f"{context.trace_flags:02x}"
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["error"] = record.exc_text
        try:
            return _dump(line)
        except (TypeError, ValueError, RecursionError):  # cycles, keys that are no text, NaN
            return _dump({key: _plain(value) for key, value in line.items()})


def configure_logging(
    level: int | str = logging.INFO, stream: TextIO | None = None, **fields: object
) -> None:
    """Make the root logger write JSON lines, in place of the handlers it has.

    Args:
        level: As `logging.Logger.setLevel` takes it.
        stream: Where to; standard error by default.
        fields: In every line, such as ``service="suggestions-service"``.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter(**fields))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)


def _dump(line: dict[str, Any]) -> str:
    text = json.dumps(
        line, default=_shown, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    # Half of a surrogate pair has no encoding in UTF-8.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(value: object) -> str:
    """Stand in for a value without a JSON form: its type, as its text may hold anything."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return f"<{type(value).__qualname__}>"


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else _shown(value)
