"""How suggestions is traced: wiring only; the rest is the package throughline_tracing."""

from throughline_tracing import OTLPProvider, Trace, configure
from throughline_tracing.flask import trace_app

__all__ = ["SERVICE_NAME", "Trace", "set_up_tracing", "trace_app"]

SERVICE_NAME = "suggestions-service"


def set_up_tracing(flush_timeout: float) -> OTLPProvider:
    """Send spans where TRACING_BACKEND_URL or the OTEL_* variables say.

    Raises:
        throughline_tracing.exceptions.ConfigurationError: With every fault in them.
    """
    return configure(SERVICE_NAME, flush_timeout=flush_timeout)
