"""Saying once what the exporters would say for every batch.

A backend that is down makes the official exporters log several lines per batch.
Here their lines are kept from the log while our own thread exports; the last
one becomes the reason in a single line about the spans that were dropped, and
the pause before the next such line doubles from a minute to an hour.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_logger = logging.getLogger("throughline_tracing")

QUEUE_FULL: Final = "queue full"
FIRST_PAUSE: Final = 60.0
LONGEST_PAUSE: Final = 3600.0

_RETRYING = re.compile(r",? retrying in [0-9.]+s\.?")

_EXPORTER_LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)


class DropReport:
    """Counts spans that did not reach one backend, and reports them with back-off.

    `refuse` may be called on any thread; the rest belongs to the exporting one, and to the one
    that shuts down. That may be a signal handler which interrupted `refuse`: the exporting
    thread takes no lock that `refuse` takes.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self.reset()

    def reset(self) -> None:
        """Count from zero, as in a process that has just been forked."""
        # Reentrant: a signal handler may end a span while its thread counts one.
        self._lock = threading.RLock()
        self._refused = 0
        self._undelivered = 0
        self._exported = 0
        self._reported = 0
        self._reason = ""
        self._complained = False
        self._pause = FIRST_PAUSE
        self._next = 0.0

    @property
    def dropped(self) -> int:
        """Spans that will never reach the backend."""
        return self._refused + self._undelivered

    @property
    def exported(self) -> int:
        """Spans the backend has accepted."""
        return self._exported

    def refuse(self, reason: str) -> None:
        """Count a span that was not even queued. Cheap, and silent."""
        with self._lock:
            self._refused += 1
        # What the backend said explains a full queue, not the other way round.
        if reason != QUEUE_FULL or not self._reason:
            self._reason = reason

    def drop(self, count: int, reason: str) -> None:
        """Count spans that were queued and are lost."""
        self._undelivered += count
        self._reason = reason

    def delivered(self, count: int) -> None:
        """Count spans that arrived; say so if drops were reported before."""
        self._exported += count
        if self._complained:
            self._complained = False
            self._reason = ""
            _logger.info(
                "tracing backend %s takes spans again; %d were dropped",
                self._backend,
                self.dropped,
            )

    def emit(self, *, final: bool = False) -> None:
        """Write the line about dropped spans, if there is news and its time has come."""
        now = time.monotonic()
        total = self.dropped
        fresh = total - self._reported
        if not fresh or (now < self._next and not final):
            return
        if now - self._next > LONGEST_PAUSE:
            self._pause = FIRST_PAUSE
        self._reported = total
        self._complained = True
        pause = self._pause
        self._next = now + pause
        self._pause = min(pause * 2, LONGEST_PAUSE)
        _logger.warning(
            "tracing backend %s: %d %s dropped, %d in all (%s)%s",
            self._backend,
            fresh,
            "span" if fresh == 1 else "spans",
            total,
            self._reason,
            "" if final else f"; not said again for {pause:.0f} s",
        )


class Said(threading.local):
    """What exporters logged while this thread was exporting."""

    def __init__(self) -> None:
        self.active = False
        self.first = ""
        self.last = ""

    @property
    def reason(self) -> str:
        """The line that says why the export failed; empty when nothing was said."""
        # After the last retry the exporters log a line without the cause.
        if "max retries" in self.last or self.last.startswith("Shutdown"):
            return _RETRYING.sub("", self.first)
        return self.last


_said = Said()


@contextmanager
def capture() -> Iterator[Said]:
    """Keep what exporters log on this thread out of the log, and remember it."""
    _said.active, _said.first, _said.last = True, "", ""
    try:
        yield _said
    finally:
        _said.active = False


def _keep_out(record: logging.LogRecord) -> bool:
    if not _said.active:
        return True
    _said.last = record.getMessage()
    _said.first = _said.first or _said.last
    return False


for _name in _EXPORTER_LOGGERS:
    logging.getLogger(_name).addFilter(_keep_out)
