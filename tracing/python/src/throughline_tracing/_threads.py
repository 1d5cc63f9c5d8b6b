"""Carrying the trace into threads.

A new thread starts with an empty context, so spans made there would begin a
trace of their own. `bind` carries the OpenTelemetry context of the place where
it is called, and nothing else: other context variables of the application are
neither copied nor frozen. `patch_threads` does the same for all threads and
executors of the process, also of code that cannot be changed.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from throughline_tracing._context import Context, attach, detach, get_current
from throughline_tracing._wrappers import is_coroutine_function

P = ParamSpec("P")
R = TypeVar("R")

# What `patch_threads` put its own in the place of.
_originals: dict[str, Callable[..., Any]] = {}


def bind(fn: Callable[P, R], context: Context | None = None) -> Callable[P, R]:
    """Return `fn` so that each call of it runs in `context`, by default the current one.

    Works for functions and coroutine functions.

    >>> import threading
    >>> from opentelemetry import baggage, context
    >>> token = context.attach(baggage.set_baggage("user", "ada"))
    >>> def work() -> None:
    ...     print(baggage.get_baggage("user"))
    >>> thread = threading.Thread(target=bind(work))
    >>> context.detach(token)
    >>> thread.start(); thread.join()
    ada

    Raises:
        TypeError: `fn` is a generator function: its body would run elsewhere.
    """
    bound = get_current() if context is None else context
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(f"bind: {fn!r} is a generator function; bind what consumes it")
    call: Callable[..., Any] = fn

    if is_coroutine_function(fn):

        async def run_async(*args: Any, **kwargs: Any) -> Any:
            token = attach(bound)
            try:
                return await call(*args, **kwargs)
            finally:
                detach(token)

        return _like(run_async, fn)

    def run(*args: Any, **kwargs: Any) -> Any:
        token = attach(bound)
        try:
            return call(*args, **kwargs)
        finally:
            detach(token)

    return _like(run, fn)


def _like(wrapper: Callable[..., Any], fn: Callable[P, R]) -> Callable[P, R]:
    return functools.update_wrapper(wrapper, fn)


class TracedExecutor(ThreadPoolExecutor):
    """A `ThreadPoolExecutor` whose tasks run in the context they were submitted from.

    Also for ``loop.run_in_executor`` and ``loop.set_default_executor``, which
    carry no context of their own (`asyncio.to_thread` does).

    >>> from opentelemetry import baggage, context
    >>> with TracedExecutor(max_workers=1) as executor:
    ...     token = context.attach(baggage.set_baggage("user", "ada"))
    ...     future = executor.submit(baggage.get_baggage, "user")
    ...     context.detach(token)
    ...     future.result()
    'ada'
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit `fn`, bound to the current context."""
        return super().submit(_run_in, get_current(), fn, args, kwargs)


def _run_in(
    context: Context, fn: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> R:
    token = attach(context)
    try:
        return fn(*args, **kwargs)
    finally:
        detach(token)


def patch_threads() -> Callable[[], None]:
    """Carry the trace into every thread and executor task that is started from now on.

    For code that starts threads out of reach of `bind` and `TracedExecutor`. It
    changes `threading.Thread.start` and `ThreadPoolExecutor.submit` for the whole
    process, so that is for the program to decide and never for a library. A thread
    that outlives the request it was started in keeps that request's trace, unless it
    is an executor's, whose tasks each have the trace they were submitted from.

    Returns:
        What undoes it. Patching twice is patching once.

    >>> import threading
    >>> from opentelemetry import baggage, context
    >>> undo = patch_threads()
    >>> token = context.attach(baggage.set_baggage("user", "ada"))
    >>> thread = threading.Thread(target=lambda: print(baggage.get_baggage("user")))
    >>> thread.start(); thread.join()
    ada
    >>> context.detach(token); undo()
    """
    if threading.Thread.start is not _start:
        _originals.update(start=threading.Thread.start, submit=ThreadPoolExecutor.submit)
        threading.Thread.start = _start  # type: ignore[method-assign]
        ThreadPoolExecutor.submit = _submit  # type: ignore[method-assign, assignment]
    return _unpatch


def _unpatch() -> None:
    # What somebody patched over ours is theirs, and goes on calling ours.
    if threading.Thread.start is _start:
        threading.Thread.start = _originals["start"]  # type: ignore[method-assign]
    if ThreadPoolExecutor.submit is _submit:
        ThreadPoolExecutor.submit = _originals["submit"]  # type: ignore[method-assign]


def _start(self: threading.Thread) -> None:
    start, context = _originals["start"], get_current()
    if not context or self.ident is not None:
        start(self)
        return
    # The instance's, because subclasses have a `run` of their own.
    run = self.run

    def run_in_context() -> None:
        vars(self).pop("run", None)
        _run_in(context, run, (), {})

    self.run = run_in_context  # type: ignore[method-assign]
    try:
        start(self)
    except BaseException:
        vars(self).pop("run", None)
        raise


def _submit(
    self: ThreadPoolExecutor, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> Future[R]:
    # An empty context too: the worker may have been started in another.
    future: Future[R] = _originals["submit"](self, _run_in, get_current(), fn, args, kwargs)
    return future
