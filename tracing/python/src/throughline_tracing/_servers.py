"""Hooks into uWSGI and Celery, which fork and end processes in ways of their own.

uWSGI forks without running what Python registers for a fork: unless a worker
starts afresh it waits for a thread that stayed in the master, and every worker
makes the same trace ids. Celery kills a prefork child that is done, or that it
terminates, as soon as that has said so, which leaves no time for anything else.

Nothing is imported here that the process does not use already.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def hook_uwsgi(after_fork: Callable[[], None]) -> None:
    """Have uWSGI, if this process is its, call `after_fork` in each new worker."""
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None:
        return

    def start_afresh() -> None:
        random.seed()
        after_fork()

    before: Callable[[], None] | None = getattr(uwsgi, "post_fork_hook", None)
    try:
        # Imported later, it would put its own hook in the place of ours.
        decorators: Any = import_module("uwsgidecorators")
    except Exception:  # not installed, or there is no master
        uwsgi.post_fork_hook = _both(before, start_afresh)
        return
    if before not in {None, decorators.postfork_chain_hook}:
        decorators.postfork_chain.append(before)
    decorators.postfork_chain.append(start_afresh)


def hook_celery_child(flush: Callable[[], None]) -> None:
    """Have Celery, if this new process is its child, call `flush` before it lets that go."""
    signals: Any = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(
            lambda **_: flush(), weak=False, dispatch_uid="throughline_tracing"
        )


def _both(first: Callable[[], None] | None, second: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        if first is not None:
            first()
        second()

    return call
