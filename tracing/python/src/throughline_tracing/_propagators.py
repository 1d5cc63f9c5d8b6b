"""The propagators ``OTEL_PROPAGATORS`` names, as one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import Final

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import CarrierT, Getter, TextMapPropagator

from throughline_tracing._propagation import TraceContextPropagator
from throughline_tracing._tracers import logger
from throughline_tracing.exceptions import ConfigurationError

DEFAULT: Final = "tracecontext,baggage"

# Formats that other packages hold, and what to install for them.
_PACKAGES: Final = {
    "b3": "opentelemetry-propagator-b3",
    "b3multi": "opentelemetry-propagator-b3",
    "jaeger": "opentelemetry-propagator-jaeger",
    "xray": "opentelemetry-propagator-aws-xray",
    "ottrace": "opentelemetry-propagator-ot-trace",
}


def get_global_propagator() -> TextMapPropagator:
    """Return the propagator in force."""
    propagator: TextMapPropagator = _propagate.get_global_textmap()
    return propagator


def extract(carrier: CarrierT, context: Context, getter: Getter[CarrierT]) -> Context:
    """Return `context` with what the carrier holds; unchanged if a propagator fails."""
    try:
        return get_global_propagator().extract(carrier, context, getter)
    except Exception:
        logger.warning("reading the trace of a request", exc_info=True)
        return context


def set_global_propagator(propagator: TextMapPropagator) -> None:
    """Put `propagator` in force for the process."""
    _propagate.set_global_textmap(propagator)


def read_propagators(environ: Mapping[str, str] | None = None) -> CompositePropagator:
    """Return the propagators named, in their order; all inject, the last that finds a trace wins.

    Raises:
        ConfigurationError: One of them is not known or not installed.

    Example:
        >>> sorted(read_propagators({"OTEL_PROPAGATORS": "tracecontext"}).fields)
        ['traceparent', 'tracestate']
    """
    value = (os.environ if environ is None else environ).get("OTEL_PROPAGATORS", "")
    return propagators_of((value.strip() or DEFAULT).split(","), "OTEL_PROPAGATORS")


def propagators_of(names: Iterable[str], source: str) -> CompositePropagator:
    """Return the propagators of `names`; `source` is what names them, for the errors.

    Raises:
        ConfigurationError: One of them is not known or not installed.
    """
    wanted = dict.fromkeys(name.strip().lower() for name in names)
    if "none" in wanted:
        return CompositePropagator([])
    faults: list[str] = []
    found: list[TextMapPropagator] = []
    for name in filter(None, wanted):
        try:
            found.append(_load(name))
        except LookupError as error:
            faults.append(f"{source}: {error.args[0]}")
    if faults:
        raise ConfigurationError(faults)
    return CompositePropagator(found)


def _import_propagate() -> ModuleType:
    """Import the API's module, which raises while it is imported if a propagator is not known."""
    try:
        return import_module("opentelemetry.propagate")
    except ValueError:
        value = os.environ["OTEL_PROPAGATORS"]
        os.environ["OTEL_PROPAGATORS"] = "none"
        try:
            return import_module("opentelemetry.propagate")
        finally:
            os.environ["OTEL_PROPAGATORS"] = value


def _load(name: str) -> TextMapPropagator:
    if name == "tracecontext":
        return TraceContextPropagator()
    if name == "baggage":
        return W3CBaggagePropagator()
    for point in entry_points(group="opentelemetry_propagator", name=name):
        propagator: TextMapPropagator = point.load()()
        return propagator
    package = _PACKAGES.get(name)
    hint = f"pip install {package}" if package else f"known are {DEFAULT}, {', '.join(_PACKAGES)}"
    raise LookupError(f"{name!r} is not installed: {hint}")


_propagate = _import_propagate()
