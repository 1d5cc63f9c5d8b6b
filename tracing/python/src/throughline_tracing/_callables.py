"""`Trace` on callables that are no functions: partials and instances with ``__call__``.

Both stay what they were: a partial is still a `functools.partial` whose `func`
is traced; an instance is stood in for by an object that passes every attribute,
comparison and `isinstance` through to it, but no operators. Both can be pickled
if what they hold can.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, cast

from throughline_tracing._spec import MARKER, Spec, is_settled, spec_of
from throughline_tracing._wrappers import wrap_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class TracedPartial(functools.partial):  # type: ignore[type-arg]
    """A `functools.partial` of a traced function."""

    __wrapped__: functools.partial[Any]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the partial it was made of; the spec travels along."""
        return trace_partial, (self.__wrapped__, spec_of(self))


def trace_partial(target: functools.partial[Any], spec: Spec) -> functools.partial[Any]:
    """Return `target` with its function traced; `target` itself if that is traced already."""
    if is_settled(target.func, spec) or is_settled(target, spec):
        return target
    traced = TracedPartial(wrap_function(target.func, spec), *target.args, **target.keywords)
    vars(traced).update(vars(target))
    traced.__wrapped__ = target
    setattr(traced, MARKER, spec)
    return traced


class TracedCallable:
    """Stands in for an instance with ``__call__``; anything but the call is the instance's own."""

    def __init__(self, target: Callable[..., Any], spec: Spec) -> None:
        call = wrap_function(cast("Any", target).__call__, spec, type(target).__qualname__)
        # On the instance, so that inspect.iscoroutinefunction(traced.__call__)
        # and its like answer as for the original.
        self.__dict__.update(
            {"__wrapped__": target, "__call__": call, "__doc__": target.__doc__, MARKER: spec}
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the instance in a span."""
        return self.__dict__["__call__"](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Return the instance's own attribute."""
        try:
            target = self.__dict__["__wrapped__"]
        except KeyError:  # while being unpickled or copied
            raise AttributeError(name) from None
        return getattr(target, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.__dict__["__wrapped__"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["__wrapped__"], name)

    def __dir__(self) -> Iterable[str]:
        return dir(self.__dict__["__wrapped__"])

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The instance's class, for `isinstance`."""
        return type(self.__dict__["__wrapped__"])

    def __eq__(self, other: object) -> bool:
        if type(other) is TracedCallable:
            other = other.__dict__["__wrapped__"]
        return bool(self.__dict__["__wrapped__"] == other)

    def __hash__(self) -> int:
        return hash(self.__dict__["__wrapped__"])

    def __repr__(self) -> str:
        return repr(self.__dict__["__wrapped__"])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the instance; the spec travels along."""
        return trace_callable, (self.__dict__["__wrapped__"], spec_of(self))


def trace_callable(target: Callable[..., Any], spec: Spec) -> Callable[..., Any]:
    """Return a stand-in for `target` whose calls are traced."""
    call = inspect.getattr_static(type(target), "__call__", None)
    if is_settled(target, spec) or is_settled(call, spec):
        return target
    return TracedCallable(target, spec)
