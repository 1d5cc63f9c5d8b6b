"""Command app serves suggestions; see suggestions/config.py for its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from flask import Flask
from throughline_tracing import OTLPProvider
from throughline_tracing.exceptions import ConfigurationError
from throughline_tracing.logging import configure_logging

from suggestions import views
from suggestions.config import Settings, SettingsError
from suggestions.containers import Container
from suggestions.server import AddressInUseError, Server
from suggestions.service import DataSourceError
from tracing import SERVICE_NAME, set_up_tracing, trace_app


def create_app(data_source: str) -> Flask:
    """Return the traced application, with its data read.

    Raises:
        DataSourceError: The data file cannot be used.
    """
    app = Flask("suggestions")
    container = Container()
    container.config.data_source.file_name.from_value(data_source)
    container.suggestions_service.init()
    views.register(app)
    return trace_app(app)


def read_environment(environ: Mapping[str, str]) -> tuple[Settings, OTLPProvider]:
    """Return the settings, and the tracer provider that is installed from now on.

    Raises:
        SettingsError: With everything that is wrong, of either.
    """
    faults: list[str] = []
    settings = provider = None
    try:
        settings = Settings.read(environ)
    except SettingsError as error:
        faults += error.faults
    try:
        provider = set_up_tracing(flush_timeout=1.0)
    except ConfigurationError as error:
        faults += error.faults
    if settings is None or provider is None:
        raise SettingsError(faults)
    return settings, provider


def run(environ: Mapping[str, str], stderr: TextIO) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code of what prevented it."""
    try:
        settings, provider = read_environment(environ)
        configure_logging(settings.log_level, stderr, service=SERVICE_NAME)
        app = create_app(settings.data_source)
        Server(app, settings, provider).run()
    except SettingsError as error:
        for fault in error.faults:
            print(f"suggestions: {fault}", file=stderr)
        return 1
    except (AddressInUseError, DataSourceError) as error:
        print(f"suggestions: {error}", file=stderr)
        return 1
    except KeyboardInterrupt:  # before the server took the signal over
        pass
    return 0


if __name__ == "__main__":
    sys.exit(run(os.environ, sys.stderr))
