"""`Trace` on a class: its methods are traced in place, the class stays the class it was.

Only what the class itself defines is touched. With ``inherit=True`` inherited
methods get a forwarder on the class, which calls along the method resolution
order as `super` does, so that the base class is left alone and a diamond
resolves as before; an ``__init_subclass__`` hook traces the overrides of
subclasses.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from throughline_tracing._spec import Spec, is_settled, spec_of
from throughline_tracing._wrappers import wrap_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FUNCTIONS = (types.FunctionType, functools._lru_cache_wrapper)


def selected(name: str, spec: Spec) -> bool:
    """Report whether `spec` covers the method `name`.

    By default that is every public method and ``__call__``; ``include``
    replaces this rule, ``exclude`` takes away from it.
    """
    if any(fnmatchcase(name, pattern) for pattern in spec.exclude):
        return False
    if spec.include:
        return any(fnmatchcase(name, pattern) for pattern in spec.include)
    return not name.startswith("_") or name == "__call__"


def trace_class(cls: type, spec: Spec) -> None:
    """Trace the methods of `cls`, in place. Methods that carry a spec of their own keep it.

    Enumerations are left alone.
    """
    if issubclass(cls, enum.Enum):
        return
    _trace_own(cls, spec)
    if spec.inherit:
        _trace_inherited(cls, spec)
        _hook_subclasses(cls, spec)


def _trace_own(cls: type, spec: Spec) -> None:
    for name, value in list(vars(cls).items()):
        if isinstance(value, type):
            if spec.nested and value.__qualname__ == f"{cls.__qualname__}.{name}":
                trace_class(value, spec)
        elif selected(name, spec):
            wrapped = wrap_attribute(value, spec, f"{cls.__qualname__}.{name}")
            if wrapped is not None:
                setattr(cls, name, wrapped)
                if isinstance(wrapped, functools.cached_property):
                    wrapped.__set_name__(cls, name)


def wrap_attribute(value: object, spec: Spec, name: str | None) -> Any:
    """Return the traced form of a class attribute, or None if it is to stay as it is.

    Args:
        value: The attribute as it lies in the class's dictionary.
        spec: The options. Properties are traced only with ``properties=True``.
        name: Qualified name of the attribute, or None for the function's own.
    """
    if isinstance(value, _FUNCTIONS):
        return _wrap(value, spec, name)
    if isinstance(value, (classmethod, staticmethod)):
        inner = _wrap(value.__func__, spec, name)
        return None if inner is None else type(value)(inner)
    if isinstance(value, functools.partialmethod):
        inner = _wrap(value.func, spec, name)
        if inner is None:
            return None
        return functools.partialmethod(inner, *value.args, **value.keywords)
    if isinstance(value, property) and spec.properties and value.fget is not None:
        inner = _wrap(value.fget, spec, name)
        if inner is None:
            return None
        return type(value)(inner, value.fset, value.fdel, value.__doc__)
    if isinstance(value, functools.cached_property) and spec.properties:
        inner = _wrap(value.func, spec, name)
        return None if inner is None else type(value)(inner)
    return None


def _wrap(value: Any, spec: Spec, name: str | None) -> Callable[..., Any] | None:
    """Wrap `value` under its qualified name; None if it is settled or nothing to trace."""
    if isinstance(value, type) or not callable(value):
        return None
    # Below a decorated class what a method says of itself holds, either way.
    if is_settled(value, spec) if name is None else spec_of(value) is not None:
        return None
    return wrap_function(value, _named(spec, name), name, strict=name is None)


def _named(spec: Spec, name: str | None) -> Spec:
    """Return `spec` for one method: the name given to the class becomes a prefix."""
    if spec.name is None or name is None:
        return spec
    return dataclasses.replace(spec, name=f"{spec.name}.{name.rpartition('.')[2]}")


# Inheritance: forwarders and the hook for subclasses.

_OWNER = "__trace_owner__"


class _Owner:
    """The class whose place in the resolution order a forwarder calls from."""

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        self.cls = cls


def _trace_inherited(cls: type, spec: Spec) -> None:
    owner = _Owner(cls)
    for name, value in list(_inherited(cls)):
        if selected(name, spec):
            forwarder = _forwarder(owner, name, value, spec)
            if forwarder is not None:
                setattr(cls, name, forwarder)


def _inherited(cls: type) -> Iterator[tuple[str, object]]:
    """Yield (name, attribute) of what `cls` inherits, nearest definition first."""
    seen = set(vars(cls))
    for base in cls.__mro__[1:]:
        if base is object:
            continue
        for name, value in vars(base).items():
            if name not in seen:
                seen.add(name)
                yield name, value


def _forwarder(owner: _Owner, name: str, value: object, spec: Spec) -> object | None:
    """Return a traced method for `owner` that calls what it would have inherited."""
    inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
    if not isinstance(inner, _FUNCTIONS) or spec_of(inner) is not None:
        return None
    if getattr(inner, "__isabstractmethod__", False):
        return None

    def forward(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(owner.cls, self), name)(*args, **kwargs)

    # A static method is given nothing to resolve by.
    call = None if isinstance(value, staticmethod) else forward
    qualname = f"{owner.cls.__qualname__}.{name}"
    wrapped = wrap_function(inner, _named(spec, qualname), qualname, strict=False, call=call)
    wrapped.__module__ = owner.cls.__module__
    wrapped.__qualname__ = qualname
    setattr(wrapped, _OWNER, owner)
    return type(value)(wrapped) if isinstance(value, (classmethod, staticmethod)) else wrapped


def _adopt(cls: type) -> None:
    """Make the forwarders in `cls` call from there.

    ``dataclass(slots=True)`` copies a class dictionary into a class built anew.
    """
    for value in vars(cls).values():
        owner = getattr(getattr(value, "__func__", value), _OWNER, None)
        if isinstance(owner, _Owner):
            owner.cls = cls


class _SubclassHook(classmethod):  # type: ignore[type-arg]
    """The ``__init_subclass__`` of a class traced with ``inherit=True``."""

    def __set_name__(self, owner: type, name: str) -> None:
        _adopt(owner)


def _hook_subclasses(cls: type, spec: Spec) -> None:
    own = vars(cls).get("__init_subclass__")
    if isinstance(own, _SubclassHook):
        return
    owner = _Owner(cls)

    def __init_subclass__(subclass: type, **kwargs: Any) -> None:  # noqa: N807
        if own is not None:
            own.__get__(None, subclass)(**kwargs)
        else:
            super(owner.cls, subclass).__init_subclass__(**kwargs)  # type: ignore[arg-type]
        _adopt(subclass)
        if not issubclass(subclass, enum.Enum):
            _trace_own(subclass, spec)
            _trace_inherited(subclass, spec)

    setattr(__init_subclass__, _OWNER, owner)
    target: Any = cls
    target.__init_subclass__ = _SubclassHook(__init_subclass__)
