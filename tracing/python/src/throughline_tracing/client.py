"""Sending the trace along with outgoing HTTP requests.

`inject_headers` is for any client; `instrument_clients` turns on the official
instrumentations of the clients that are installed, which also make client spans.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from throughline_tracing._propagators import get_global_propagator

_INSTRUMENTORS: Final = {
    "requests": "RequestsInstrumentor",
    "httpx": "HTTPXClientInstrumentor",
    "urllib3": "URLLib3Instrumentor",
}


def inject_headers(headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return `headers` with those that carry the current trace.

    Example:
        >>> inject_headers({"accept": "application/json"})  # outside of a trace
        {'accept': 'application/json'}

    With any client: ``requests.get(url, headers=inject_headers())``.
    """
    carrier = dict(headers or {})
    propagator: Any = get_global_propagator()  # its default setter is typed for another carrier
    propagator.inject(carrier)
    return carrier


def instrument_clients() -> list[str]:
    """Trace the calls of requests, httpx and urllib3, where they and their instrumentations are.

    Uses the official packages ``opentelemetry-instrumentation-requests``, ``-httpx``
    and ``-urllib3``, with the stable HTTP conventions unless
    ``OTEL_SEMCONV_STABILITY_OPT_IN`` says otherwise. Calling it again changes nothing.

    Returns:
        The clients that are traced from now on.
    """
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    traced: list[str] = []
    for client, name in _INSTRUMENTORS.items():
        try:
            instrumentation = import_module(f"opentelemetry.instrumentation.{client}")
        except ImportError:
            continue
        instrumentor = getattr(instrumentation, name)()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument()
        traced.append(client)
    return traced
