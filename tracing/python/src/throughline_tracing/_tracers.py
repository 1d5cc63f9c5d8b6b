"""One tracer per instrumented module, resolved when it is first needed.

The scope of a span is the module of the code it describes, with the version
of the package that module belongs to. The tracer follows the global tracer
provider: a provider set after the module was imported, or replaced in a test,
is seen by the next call, for the price of one identity check.
"""

from __future__ import annotations

import logging
import sys
from importlib import metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api
from opentelemetry.trace import NoOpTracer, ProxyTracerProvider, get_tracer_provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span, TracerProvider

logger = logging.getLogger("throughline_tracing")

_UNRESOLVED = object()

# Where the API keeps the global provider. Read on every traced call.
_HAS_GLOBAL = hasattr(trace_api, "_TRACER_PROVIDER")


class _PublicGlobals:
    """Stands in for the API module should it stop keeping its provider in a module global."""

    @property
    def _TRACER_PROVIDER(self) -> TracerProvider | None:
        provider = get_tracer_provider()
        return None if isinstance(provider, ProxyTracerProvider) else provider


class Scope:
    """The tracer of one module under one provider.

    Attributes:
        holder: The object whose ``_TRACER_PROVIDER`` is the provider to follow.
        provider: The provider that `start_span` belongs to.
        start_span: The tracer's own method, or None when nothing can be recorded.
        silent: The provider while nothing can be recorded; else an object that is none.
    """

    __slots__ = ("holder", "name", "provider", "silent", "start_span", "version")

    def __init__(self, name: str, version: str | None, provider: TracerProvider | None) -> None:
        self.name = name
        self.version = version
        self.holder: Any
        if provider is not None:
            self.holder = SimpleNamespace(_TRACER_PROVIDER=provider)
        else:
            self.holder = trace_api if _HAS_GLOBAL else _PublicGlobals()
        self.provider: object = _UNRESOLVED
        self.silent: object = _UNRESOLVED
        self.start_span: Callable[..., Span] | None = None

    def refresh(self) -> None:
        """Resolve the tracer anew. Never raises: a broken provider records nothing."""
        provider = None
        start_span = None
        try:
            if self.holder is trace_api:
                get_tracer_provider()  # loads the one that OTEL_PYTHON_TRACER_PROVIDER names
            provider = self.holder._TRACER_PROVIDER
            if provider is not None:
                tracer = provider.get_tracer(self.name, self.version)
                # A tracer that checks for suppression itself names the one behind
                # it; `Trace` has made that check already.
                tracer = getattr(tracer, "unsuppressed", tracer)
                if not isinstance(tracer, NoOpTracer):
                    start_span = tracer.start_span
        except Exception:
            logger.warning("getting a tracer for %r", self.name, exc_info=True)
        # In this order: another thread that finds the provider finds its tracer.
        self.start_span = start_span
        self.provider = provider
        self.silent = provider if start_span is None else _UNRESOLVED


_scopes: dict[str, Scope] = {}
_versions: dict[str, str | None] = {}


def scope_for(module: str | None, provider: TracerProvider | None = None) -> Scope:
    """Return the scope of `module`, shared by all that is traced in it."""
    name = module or "__main__"
    if provider is not None:
        return Scope(name, version_of(name), provider)
    scope = _scopes.get(name)
    if scope is None:
        scope = _scopes.setdefault(name, Scope(name, version_of(name), None))
    return scope


def version_of(module: str) -> str | None:
    """Return the version of the package that `module` lies in, or None if it says none.

    The package's own ``__version__`` comes first, since it is also there
    without installation; then the distribution of the same name.
    """
    package = module.partition(".")[0]
    if package not in _versions:
        # vars() and not getattr(): a module's __getattr__ may warn or import.
        version = vars(sys.modules[package]).get("__version__") if package in sys.modules else None
        if not isinstance(version, str):
            try:
                version = metadata.version(package)
            except Exception:  # not installed, or its metadata cannot be read
                version = None
        if package not in sys.modules:
            return version
        _versions[package] = version
    return _versions[package]
