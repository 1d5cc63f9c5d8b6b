"""What one `Trace(...)` was asked to do, and the marker that says a callable carries it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

MARKER = "__trace_spec__"
"""Attribute of every wrapper that `Trace` makes. `functools.wraps` copies it outwards, so a
decorator put above `Trace` does not hide it."""


@dataclass(frozen=True, eq=False)
class Spec:
    """The options of one `Trace(...)`, as given. See `Trace` for what each means."""

    name: str | None = None
    kind: SpanKind = SpanKind.INTERNAL
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    args: Any = None
    record_return: bool | Callable[[Any], Any] = False
    expected: tuple[type[BaseException], ...] = ()
    record_exception: bool = True
    status_description: bool = True
    redact: Any = True
    root: str = "new"
    disabled: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    inherit: bool = False
    nested: bool = False
    properties: bool = False
    tracer_provider: TracerProvider | None = None


def spec_of(target: object) -> Spec | None:
    """Return the spec that `target` carries itself, or None.

    Looks at the object's own attributes, so that a class does not answer for
    its bases and no user code (`__getattr__`, properties) runs.
    """
    try:
        spec = object.__getattribute__(target, "__dict__").get(MARKER)
    except AttributeError:
        return None
    return spec if isinstance(spec, Spec) else None


def is_settled(target: object, spec: Spec) -> bool:
    """Report whether `target` stays as it is when decorated with `spec`.

    The first spec a callable got is the one it keeps, except that disabling wins.
    """
    own = spec_of(target)
    return own is not None and (own.disabled or not spec.disabled)
