"""Manual OpenTelemetry instrumentation that is hard to get wrong.

`Trace` decorates functions, coroutines, generators and whole classes. It needs
the OpenTelemetry API alone. What records and exports spans (`configure`,
`OTLPProvider`) needs the extra ``otlp`` or ``grpc`` and is imported on first use.
"""

from typing import TYPE_CHECKING, Any

from throughline_tracing._suppression import is_disabled, is_suppressed, suppress
from throughline_tracing._threads import TracedExecutor, bind, patch_threads
from throughline_tracing._trace import Trace
from throughline_tracing._version import __version__

if TYPE_CHECKING:
    from throughline_tracing._backend import Backend
    from throughline_tracing._provider import OTLPProvider, configure

__all__ = [
    "Backend",
    "OTLPProvider",
    "Trace",
    "TracedExecutor",
    "__version__",
    "bind",
    "configure",
    "is_disabled",
    "is_suppressed",
    "patch_threads",
    "suppress",
]

# Names that need the SDK, and the module each comes from.
_LAZY = {
    "Backend": "throughline_tracing._backend",
    "OTLPProvider": "throughline_tracing._provider",
    "configure": "throughline_tracing._provider",
}


def __getattr__(name: str) -> Any:
    """Import what needs the SDK on first use."""
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        value = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise ImportError(
            f"{__name__}.{name} needs the OpenTelemetry SDK: "
            "pip install 'throughline-tracing[otlp]'"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the lazily imported names as well."""
    return sorted({*globals(), *_LAZY})
