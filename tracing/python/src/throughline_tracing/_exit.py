"""Sending the last spans when a process ends.

Three ways out are watched for every registered provider: the interpreter's
exit, SIGTERM where nobody handles it, and `os._exit` in a forked child (how
multiprocessing ends its children, and prefork servers theirs), which runs no
exit handlers. Workers of uWSGI and Celery are such children too. A handler of
the application's own is left in place: it either exits, and then the first way
applies, or means to go on.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from types import FrameType
from typing import NoReturn, Protocol

from throughline_tracing._servers import hook_celery_child, hook_uwsgi


class _Provider(Protocol):
    flush_timeout: float

    def force_flush(self, timeout: float | None = None) -> bool: ...
    def shutdown(self, timeout: float | None = None) -> bool: ...
    def start_afresh(self) -> None: ...


_pid = os.getpid()
_providers: list[_Provider] = []
_exit_now = os._exit


def register(provider: _Provider) -> None:
    """Flush `provider` when this process, or one forked from it, ends."""
    if not _providers:
        atexit.register(_shut_down)
        hook_uwsgi(_after_other_fork)
    _providers.append(provider)
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, _on_sigterm)


def unregister(provider: _Provider) -> None:
    """Forget a provider that is shut down."""
    if provider in _providers:
        _providers.remove(provider)
    if not _providers:
        atexit.unregister(_shut_down)


def _shut_down() -> None:
    for provider in _providers.copy():
        provider.shutdown()


def _on_sigterm(signum: int, _frame: FrameType | None) -> None:
    """Flush, then end the way the signal would have ended the process."""
    for provider in _providers.copy():
        provider.shutdown()
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    # The first process of a container is not ended by a signal it does not handle.
    _exit_now(128 + signum)


def _flush_and_exit(status: int) -> NoReturn:
    """Stand in for `os._exit` in a forked child."""
    try:
        _flush()
    finally:
        _exit_now(status)


def _flush() -> None:
    for provider in _providers.copy():
        provider.force_flush()


def _after_fork_in_child() -> None:
    global _pid  # noqa: PLW0603
    _pid = os.getpid()
    if _providers:
        os._exit = _flush_and_exit
        hook_celery_child(_flush)


def _after_other_fork() -> None:
    """Do what is registered for forks, in a child that was forked without Python's knowledge."""
    if _pid == os.getpid():
        return
    _after_fork_in_child()
    for provider in _providers:
        provider.start_afresh()


if hasattr(os, "register_at_fork"):  # pragma: no branch  (not on Windows)
    os.register_at_fork(after_in_child=_after_fork_in_child)
