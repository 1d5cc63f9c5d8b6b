"""Carrying the trace into threads.

A new thread starts with an empty context, so spans made there would begin a
trace of their own. `bind` carries the OpenTelemetry context of the place where
it is called, and nothing else: other context variables of the application are
neither copied nor frozen.
"""

from __future__ import annotations

import functools
import inspect
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from throughline_tracing._context import Context, attach, detach, get_current
from throughline_tracing._wrappers import is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


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
