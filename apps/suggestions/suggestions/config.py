"""The settings of the service, from the environment.

    HOST                  address to listen on (127.0.0.1)
    PORT                  port to listen on, 0 for a free one (8002)
    DATA_SOURCE_FILENAME  the data file (mocks/suggestions.json beside app.py)
    WORKERS, THREADS      gunicorn's processes (2), and the threads of each (8)
    SHUTDOWN_TIMEOUT      from SIGTERM to the end, in all: seconds, or as in "1500ms" (5)
    LOG_LEVEL             debug, info, warn or error (info)

TRACING_BACKEND_URL and OTEL_* are read by throughline_tracing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DEFAULT_DATA: Final = Path(__file__).parent.parent / "mocks" / "suggestions.json"
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_HOST: Final = re.compile(r"[0-9A-Za-z._:-]+")
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)?")
_LONGEST_SHUTDOWN: Final = 3600
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


class SettingsError(ValueError):
    """Settings that cannot be used; `faults` has one sentence for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Settings:
    """See the module for the meaning of each; times are in seconds."""

    host: str
    port: int
    data_source: str
    workers: int
    threads: int
    shutdown_timeout: float
    log_level: int

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings; empty variables count as not set.

        Raises:
            SettingsError: With all that is wrong.
        """
        faults: list[str] = []

        def text(name: str, default: str) -> str:
            return environ.get(name, "").strip() or default

        def number(name: str, default: int, least: int, most: int) -> int:
            value = text(name, str(default))
            if value.isascii() and value.isdigit() and least <= int(value[:9]) <= most:
                return int(value)
            faults.append(f"{name}: {value!r} is not a number from {least} to {most}")
            return default

        host = text("HOST", "127.0.0.1")
        if not _HOST.fullmatch(host):
            faults.append(f"HOST: {host!r} is not an address or a host name")
        level = text("LOG_LEVEL", "info")
        if level.lower() not in _LEVELS:
            faults.append(f"LOG_LEVEL: {level!r} is not one of debug, info, warn, error")
        timeout = text("SHUTDOWN_TIMEOUT", "5")
        duration = _DURATION.fullmatch(timeout)
        seconds = float(duration[1]) * _UNITS[duration[2]] if duration else 0.0
        if not 1 <= seconds <= _LONGEST_SHUTDOWN:
            faults.append(f"SHUTDOWN_TIMEOUT: {timeout!r} is not a time from 1 s to 1 h")
        settings = cls(
            host=host,
            port=number("PORT", 8002, 0, 65535),
            data_source=text("DATA_SOURCE_FILENAME", str(_DEFAULT_DATA)),
            workers=number("WORKERS", 2, 1, 256),
            threads=number("THREADS", 8, 1, 1024),
            shutdown_timeout=seconds,
            log_level=_LEVELS.get(level.lower(), logging.INFO),
        )
        if faults:
            raise SettingsError(faults)
        return settings
