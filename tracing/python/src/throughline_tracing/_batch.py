"""A bounded queue of ended spans in front of one backend.

The thread that ends a span appends it to a deque and goes on; a background
thread exports. What a backend does, or fails to do, is never felt there: a full
queue drops the newest spans, counts them, and the background thread reports
them in one log line with a growing pause before the next.

Guarantees: `force_flush` and `shutdown` return within their timeout, whatever
the exporter does. Nothing here takes a lock that a signal handler could wait
for. In a forked child the queue is empty, and a thread and an exporter of the
child's own are made when it ends its first span.

Does not retry: exporters do that, within their own timeout.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from throughline_tracing._config import Settings
from throughline_tracing._report import QUEUE_FULL, DropReport, capture

_logger = logging.getLogger("throughline_tracing")
_processors: weakref.WeakSet[BatchProcessor] = weakref.WeakSet()

# A fork waits this long for an export that is under way to end, if the one before succeeded, and
# then so much longer for it to be abandoned. What is abandoned may have arrived, and is sent again.
_FORK_GRACE: Final = 0.5
_FORK_WAIT: Final = 2.0
_FORK_STEP: Final = 0.05
# After the timeout of a shutdown, an export that is cut short gets this long to say why.
_LAST_WORDS: Final = 0.1
# A delay of zero means "at once", not a thread that never rests.
_SHORTEST_DELAY: Final = 0.02
_STOP: Final = object()


class BatchProcessor(SpanProcessor):
    """Exports sampled spans in batches from a thread of its own.

    Args:
        name: The backend, as the log line about dropped spans calls it.
        make_exporter: Called in the background thread, once per process, so that
            no connection is made before a fork.
        settings: Seconds a span waits at most before it is exported, spans held (more
            are dropped and counted), and spans per export.
        quiet_fork: Let the process fork only when no export is under way; one that does
            not end soon is abandoned, and its batch sent again after. gRPC needs this: a
            child forked during one of its calls can never use gRPC.
    """

    def __init__(
        self,
        name: str,
        make_exporter: Callable[[], SpanExporter],
        settings: Settings,
        *,
        quiet_fork: bool = False,
    ) -> None:
        self.report = DropReport(name)
        self._make_exporter = make_exporter
        self._delay = max(settings.schedule_delay, _SHORTEST_DELAY)
        self._max_queue = settings.max_queue_size
        self._max_batch = settings.max_export_batch_size
        self._quiet_fork = quiet_fork
        self._stopped = False
        self._expired = False
        self._abandoned: list[SpanExporter] = []
        self._reset()
        _processors.add(self)

    def _reset(self) -> None:
        """Forget the queue, the thread and the exporter; they are another process's."""
        self._queue: deque[ReadableSpan] = deque()
        # SimpleQueue.put may be interrupted by a signal handler that puts as well.
        self._wake: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._woken = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._exporter: SpanExporter | None = None
        self._in_flight: list[ReadableSpan] = []
        self._delivering = True  # whether the last export succeeded
        self._cut = False  # whether the export under way was abandoned for a fork
        self._idle = threading.Event()
        self._idle.set()
        self._may_export = threading.Event()  # not while the process forks
        self._may_export.set()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing; spans are queued when they end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span; never blocks."""
        context = span.context
        if context is None or not context.trace_flags & 1:
            return
        waiting = self._queue
        if self._stopped:
            self.report.refuse("ended after shutdown")
            return
        size = len(waiting)
        if size >= self._max_queue:
            self.report.refuse(QUEUE_FULL)
            return
        waiting.append(span)
        if self._thread is None:
            self._start()
        elif size + 1 >= self._max_batch and not self._woken:
            self._woken = True
            self._wake.put(None)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what is queued now; False if that took longer than the timeout."""
        return self.wait(self.begin_flush(), timeout_millis / 1000)

    def begin_flush(self) -> threading.Event:
        """Ask for everything queued to be exported; the event is set when that is done."""
        done = threading.Event()
        thread = self._thread
        if thread is None and self._queue and not self._stopped:
            self._start()
            thread = self._thread
        if thread is None or not thread.is_alive():
            done.set()
        else:
            self._wake.put(done)
        return done

    @staticmethod
    def wait(done: threading.Event, timeout: float) -> bool:
        """Wait for `begin_flush` at most `timeout` seconds; True if it is done."""
        return done.wait(max(0.0, timeout))

    def shutdown(self, timeout_millis: int = 5000) -> None:
        """Export what is queued within the timeout, then stop for good."""
        deadline = time.monotonic() + timeout_millis / 1000
        if self._stopped:
            return
        self._may_export.set()  # a signal handler may end a process that is about to fork
        done = self.begin_flush()
        self._stopped = True
        self._expired = not self.wait(done, deadline - time.monotonic())
        thread, exporter = self._thread, self._exporter
        if thread is not None:
            self._wake.put(_STOP)
        if exporter is not None:
            # Ends a retry the exporter may be waiting for, and closes connections.
            exporter.shutdown()
        if thread is not None:
            thread.join(_LAST_WORDS if self._expired else max(0.0, deadline - time.monotonic()))
        lost = len(self._queue) + len(self._in_flight)
        self._queue.clear()
        if lost:
            self.report.drop(lost, "not delivered before shutdown")
        self.report.emit(final=True)

    def _start(self) -> None:
        # A second thread that loses the race leaves the start to the first.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name="throughline-tracing-export", daemon=True
                )
                self._thread = thread
                thread.start()
        except RuntimeError:  # the interpreter is finishing and starts no threads
            self._thread = None
        finally:
            self._starting.release()

    def _run(self) -> None:
        context_api.attach(_quiet_context())
        while True:
            try:
                request = self._wake.get(timeout=self._delay)
            except queue.Empty:
                request = None
            self._woken = False
            if request is _STOP:
                return
            self._drain()
            self.report.emit()
            if isinstance(request, threading.Event):
                request.set()

    def _drain(self) -> None:
        """Export what is queued at this moment, in batches."""
        waiting = self._queue
        left = len(waiting)
        while left > 0 and waiting and not self._expired:
            # `before_fork` clears the one and then asks for the other, and here it is the
            # other way round: at least one of the two sees the other.
            self._idle.clear()
            self._cut = False
            if not self._may_export.is_set():
                self._idle.set()
                self._may_export.wait()
                continue
            batch = [waiting.popleft() for _ in range(min(left, self._max_batch, len(waiting)))]
            left -= len(batch)
            self._in_flight = batch
            try:
                self._delivering = delivered = self._export(batch)
            finally:
                self._in_flight = []
                self._idle.set()
            if delivered:
                self.report.delivered(len(batch))
            elif self._cut:
                waiting.extendleft(reversed(batch))
                left += len(batch)

    def _export(self, batch: list[ReadableSpan]) -> bool:
        with capture() as said:
            try:
                exporter = self._exporter
                if exporter is None:
                    exporter = self._exporter = self._make_exporter()
                if exporter.export(batch) is SpanExportResult.SUCCESS:
                    return True
                reason = said.reason or "the exporter gave no reason"
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
        if not self._cut:
            self.report.drop(len(batch), reason)
        return False

    def before_fork(self) -> None:
        """Get the background thread out of the exporter."""
        if not self._quiet_fork or self._thread is None:
            return
        self._may_export.clear()
        if self._idle.wait(_FORK_GRACE if self._delivering else 0):
            return
        self._cut = True
        deadline = time.monotonic() + _FORK_WAIT
        while not self._idle.is_set() and time.monotonic() < deadline:
            # It may be made only now, and again be in a call.
            exporter, self._exporter = self._exporter, None
            if exporter is not None:
                exporter.shutdown()
            self._idle.wait(_FORK_STEP)

    def after_fork_in_parent(self) -> None:
        """Let the background thread go on."""
        self._may_export.set()

    def after_fork_in_child(self) -> None:
        """Start afresh: what is queued is the parent's to send."""
        if self._exporter is not None:
            # Closing it here would write to the parent's connections.
            self._abandoned.append(self._exporter)
        self._reset()
        self.report.reset()


def _quiet_context() -> Context:
    """Return a context in which instrumented HTTP clients record no spans of our exports."""
    return context_api.set_value(
        context_api._SUPPRESS_INSTRUMENTATION_KEY,
        True,
        context_api.set_value("suppress_instrumentation", True, Context()),
    )


def _for_each(method: str) -> Callable[[], None]:
    def call() -> None:
        for processor in list(_processors):
            try:
                getattr(processor, method)()
            except Exception:
                _logger.exception("tracing around a fork")

    return call


if hasattr(os, "register_at_fork"):  # pragma: no branch  (not on Windows)
    os.register_at_fork(
        before=_for_each("before_fork"),
        after_in_parent=_for_each("after_fork_in_parent"),
        after_in_child=_for_each("after_fork_in_child"),
    )
