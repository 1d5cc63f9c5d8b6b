"""Serving the application with gunicorn, started from Python.

SIGTERM and SIGINT stop it in the same way: no new connections, requests under
way are finished, spans are sent, all within the shutdown timeout; what is not
done by then is killed. Workers whose master is gone end by themselves.
"""

from __future__ import annotations

import signal
import socket
import sys
from typing import Any, Final

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import ThreadWorker
from throughline_tracing import OTLPProvider

from suggestions.config import Settings

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class AddressInUseError(OSError):
    """Somebody else listens where we should."""


class Server(BaseApplication):
    """Runs `app` in gunicorn's threaded workers until it is told to stop."""

    def __init__(self, app: Flask, settings: Settings, provider: OTLPProvider) -> None:
        self._app = app
        self._settings = settings
        self._provider = provider
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's own settings."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        for name, value in {
            "bind": f"{host}:{settings.port}",
            "control_socket_disable": True,
            "logger_class": _Logger,
            "post_fork": self._in_worker,
            "proc_name": "suggestions",
            "threads": settings.threads,
            "worker_class": _Worker,
            "worker_exit": self._worker_done,
            "workers": settings.workers,
        }.items():
            self.cfg.set(name, value)
        # Master: kills what is left, in time to end by itself.
        _set_grace(self.cfg, settings.shutdown_timeout * 0.9)

    def load(self) -> Flask:  # type: ignore[override]
        """Return the application; it was made, and the data read, before any worker."""
        return self._app

    def run(self) -> None:
        """Serve; returns by SystemExit when stopped.

        Raises:
            AddressInUseError: The port is taken.
        """
        _check_free(self._settings.host, self._settings.port)
        _Arbiter(self).run()

    def _in_worker(self, _: Arbiter, worker: Worker) -> None:
        # Requests have until then, so that there is time to send the last spans.
        _set_grace(worker.cfg, self._settings.shutdown_timeout * 0.6)

    def _worker_done(self, _: Arbiter, __: Worker) -> None:
        self._provider.shutdown(self._settings.shutdown_timeout * 0.25)


class _Arbiter(Arbiter):
    """Gunicorn's master, which drops requests on SIGINT; here it finishes them."""

    def handle_int(self) -> None:
        raise StopIteration

    def spawn_worker(self) -> Any:
        # A worker that is told to stop before it listens to signals would never hear of it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


class _Worker(ThreadWorker):
    """Gunicorn's threaded worker, which looks at the clock once a second; too seldom to stop."""

    def init_signals(self) -> None:
        super().init_signals()
        # Ctrl-C reaches the whole process group; the master tells its workers to stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout or 0.1, 0.1))


class _Logger(Logger):
    """Leaves the lines to the root logger's handlers."""

    def setup(self, cfg: Config) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True
        self.error_log.handlers.clear()

    def access(self, *_: Any) -> None:
        """Write nothing; the application writes a line with the trace in it."""


def _set_grace(cfg: Config, seconds: float) -> None:
    # Its setter takes whole seconds alone, its users any number.
    cfg.settings["graceful_timeout"].value = seconds


def _check_free(host: str, port: int) -> None:
    """Find out at once what gunicorn would find out after five seconds of trying."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressInUseError(
                f"listening on {host}:{port}: {error.strerror}; choose another HOST or PORT"
            ) from error
