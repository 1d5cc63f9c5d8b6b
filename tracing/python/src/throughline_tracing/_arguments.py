"""Arguments and results as span attributes: chosen by name, coerced, bounded, redacted.

The signature is read once, at decoration. What reaches a span is never the
``repr`` or ``str`` of an object this module does not know, so no user code
runs and nothing is rendered by accident. Values of known types are bounded
(`MAX_TEXT` characters, `MAX_ITEMS` items) and are always encodable as OTLP: an
integer outside 64 bits or a lone surrogate would otherwise cost the whole batch.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import inspect
import os
import pathlib
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    Recorder = Callable[[Span, tuple[Any, ...], dict[str, Any]], None]

MAX_TEXT = 1_024
MAX_ITEMS = 64
MAX_ATTRIBUTES = 64
REDACTED = "[REDACTED]"

# Long words are secrets wherever they stand; short ones only as a whole word
# of a snake_case, kebab-case, dotted or camelCase key ("auth", not "author").
SECRET_KEYS = re.compile(
    r"""(?ix)
    pass(?:wd|word|phrase|code) | secret | credential | cookie | private[_-]?key | api[_-]?key
    | access[_-]?key | authori[sz]ation | bearer | signature | session[_-]?id | csrf | xsrf
    | token(?!s|iz|is|[_-]?count|[_-]?limit) | credit[_-]?card | card[_-]?number
    | (?:^|[._-]|(?<=[a-z])(?-i:(?=[A-Z])))
      (?:auth|pwd|pw|pin|otp|ssn|cvv|cvc|jwt|iban|dsn)
      (?:$|[._-]|(?-i:(?=[A-Z])))
    """
)

_MISSING: Any = inspect.Parameter.empty
_INT64 = 1 << 63


def clean_text(text: str, limit: int = MAX_TEXT) -> str:
    r"""Return `text` as a plain `str` of at most `limit` characters that UTF-8 can encode.

    >>> clean_text("abcdef", 4), clean_text("a\ud800b")
    ('abc…', 'a?b')
    """
    # str's own methods: a subclass may have overridden them.
    if str.__len__(text) > limit:
        text = str.__getitem__(text, slice(limit - 1)) + "…"
    elif type(text) is not str:
        text = str.__str__(text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _clean_int(value: int) -> AttributeValue:
    value = int.__int__(value)
    if -_INT64 <= value < _INT64:
        return value
    return str(value) if value.bit_length() < MAX_TEXT else f"<int of {value.bit_length()} bits>"


def _type_name(value: object) -> str:
    cls = type(value)
    return clean_text(f"<{cls.__module__}.{cls.__qualname__}>")


# How to turn a value of each known type into an attribute value. Looked up
# along the type's MRO, so that isinstance, which asks the object, is not needed.
_SCALARS: dict[type, Callable[[Any], AttributeValue]] = {
    bool: lambda value: value,
    int: _clean_int,
    float: float.__float__,
    str: clean_text,
    bytes: lambda value: f"<{bytes.__len__(value)} bytes>",
    bytearray: lambda value: f"<{bytearray.__len__(value)} bytes>",
    memoryview: lambda value: f"<{value.nbytes} bytes>",
    type(None): lambda _: "None",
    decimal.Decimal: decimal.Decimal.__str__,
    uuid.UUID: uuid.UUID.__str__,
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: datetime.timedelta.total_seconds,
    pathlib.PurePath: lambda value: clean_text(pathlib.PurePath.__str__(value)),
}


def clean_value(value: Any) -> AttributeValue:
    """Return `value` as an attribute value; of an unknown type only the type's name.

    >>> clean_value("x" * 2000)[-3:], clean_value([1, 2]), clean_value(object())
    ('xx…', [1, 2], '<builtins.object>')
    """
    cls = type(value)
    if cls is str:
        return value if len(value) <= MAX_TEXT and value.isascii() else clean_text(value)
    if cls is int:
        return value if -_INT64 <= value < _INT64 else _clean_int(value)
    if issubclass(cls, enum.Enum):
        return clean_text(f"{cls.__name__}.{vars(value).get('_name_')}")
    for base in cls.__mro__:
        scalar = _SCALARS.get(base)
        if scalar is not None:
            return scalar(value)
    if cls is list or cls is tuple or issubclass(cls, tuple):
        return _clean_items(value)
    if cls in (set, frozenset, dict):
        return f"<{cls.__name__} of {len(value)}>"
    return _type_name(value)


def _clean_items(values: Iterable[object]) -> AttributeValue:
    items: list[Any] = []
    for value in values:
        if len(items) == MAX_ITEMS:
            break
        item = clean_value(value)
        items.append(_type_name(value) if isinstance(item, list) else item)
    if len({type(item) for item in items}) > 1:  # OTLP wants one type; backends insist
        items = [item if isinstance(item, str) else str(item) for item in items]
    return items


def redaction_for(option: bool | str | re.Pattern[str]) -> Callable[[str], bool]:
    """Return the test for secret keys that `Trace(redact=option)` asks for.

    ``THROUGHLINE_REDACT_KEYS``, a regular expression, adds to the built-in
    pattern for the whole process.
    """
    if option is False:
        return lambda _: False
    if option is not True:
        own = re.compile(option)
        return lambda key: own.search(key) is not None
    more = os.environ.get("THROUGHLINE_REDACT_KEYS")
    if not more:
        return lambda key: SECRET_KEYS.search(key) is not None
    extra = re.compile(more)
    return lambda key: SECRET_KEYS.search(key) is not None or extra.search(key) is not None


def compile_recorder(
    fn: Callable[..., Any],
    option: Any,
    secret: Callable[[str], bool],
    failed: Callable[[], None],
    *,
    strict: bool,
) -> Recorder | None:
    """Return a function of (span, args, kwargs) that sets the attributes `option` asks for.

    It does so on a span that records, and never raises.

    Args:
        fn: The function whose signature the names refer to.
        option: Parameter names, a mapping of parameter name to attribute key, or a
            function that is called as `fn` is and returns a mapping.
        secret: Tells whether the value under a key must not be recorded.
        failed: Called while the exception of a failed attempt is being handled.
        strict: Whether a name that `fn` has no parameter for is a fault. For a class it is
            not: its methods differ.

    Raises:
        TypeError: The option is of another kind, or, if `strict`, a name is unknown.
    """
    if option is None:
        return None
    if isinstance(option, str):
        option = (option,)
    if isinstance(option, Mapping):
        names = dict(option)
    elif callable(option):
        return _function_recorder(option, secret, failed)
    elif isinstance(option, Iterable):
        names = {name: name for name in option}
    else:
        raise TypeError(f"args: want parameter names or a function, got {option!r}")
    plan = _plan(fn, names, secret, strict=strict)
    return _name_recorder(plan, failed) if plan else None


def _plan(
    fn: Callable[..., Any], names: dict[str, str], secret: Callable[[str], bool], *, strict: bool
) -> list[tuple[str, str, int, Any, bool]]:
    """Return per name: name, key, position (-1 if none), default, whether redacted."""
    for name, key in names.items():
        if not isinstance(name, str) or not isinstance(key, str) or not key:
            raise TypeError(f"args: want parameter names, got {name!r}: {key!r}")
    parameters = list(inspect.signature(fn).parameters.values())
    by_name = {p.name: (i, p) for i, p in enumerate(parameters)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    plan = []
    for name, key in names.items():
        redacted = secret(name) or secret(key)
        index, parameter = by_name.get(name, (-1, None))
        if parameter is None or parameter.kind is parameter.VAR_KEYWORD:
            if takes_any:
                plan.append((name, key, -1, _MISSING, redacted))
            elif strict:
                raise TypeError(f"args: {fn.__qualname__}() has no parameter {name!r}")
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise TypeError(f"args: {name!r} stands for any number of arguments; use a function")
        if parameter.kind is parameter.KEYWORD_ONLY:
            index = -1
        plan.append((name, key, index, parameter.default, redacted))
    return plan


def _name_recorder(
    plan: list[tuple[str, str, int, Any, bool]], failed: Callable[[], None]
) -> Recorder:
    def record(span: Span, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            if not span.is_recording():
                return
            given = len(args)
            for name, key, index, default, redacted in plan:
                value = args[index] if 0 <= index < given else kwargs.get(name, default)
                if value is not _MISSING:
                    # For a few attributes cheaper than to set them all at once.
                    span.set_attribute(key, REDACTED if redacted else clean_value(value))
        except Exception:
            failed()

    return record


def _function_recorder(
    option: Callable[..., Any], secret: Callable[[str], bool], failed: Callable[[], None]
) -> Recorder:
    def record(span: Span, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            if span.is_recording():
                span.set_attributes(clean_mapping(option(*args, **kwargs), secret))
        except Exception:
            failed()

    return record


def clean_mapping(values: Any, secret: Callable[[str], bool]) -> dict[str, AttributeValue]:
    """Return the mapping a user's function made as attributes, at most `MAX_ATTRIBUTES`.

    Raises:
        TypeError: It is no mapping.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise TypeError(f"want a mapping of attributes, got {type(values).__qualname__}")
    found: dict[str, AttributeValue] = {}
    for key, value in values.items():
        if len(found) == MAX_ATTRIBUTES:
            break
        if isinstance(key, str) and key:
            found[clean_text(key)] = REDACTED if secret(key) else clean_value(value)
    return found


def result_recorder(
    option: bool | Callable[[Any], Any],
    secret: Callable[[str], bool],
    failed: Callable[[], None],
) -> Callable[[Span, Any], None] | None:
    """Return a function of (span, result) that sets what ``record_return`` asks for.

    True records the result under ``return``; a function returns a mapping of
    attributes, or a value to be recorded under ``return``. It does so on a span
    that records, and never raises; see `compile_recorder`.
    """
    if option is False:
        return None

    def record(span: Span, result: Any) -> None:
        try:
            if not span.is_recording():
                return
            values = result if option is True else option(result)
            if option is not True and isinstance(values, Mapping):
                span.set_attributes(clean_mapping(values, secret))
            else:
                span.set_attribute("return", clean_value(values))
        except Exception:
            failed()

    return record


def static_attributes(values: Mapping[str, Any] | None) -> dict[str, AttributeValue]:
    """Return the attributes given to ``Trace(attributes=…)``, checked.

    Raises:
        TypeError: A key is no non-empty string, or a value no attribute value.
    """
    found: dict[str, AttributeValue] = {}
    for key, value in (values or {}).items():
        if not isinstance(key, str) or not key:
            raise TypeError(f"attributes: want non-empty string keys, got {key!r}")
        items = value if isinstance(value, (list, tuple)) else (value,)
        if not all(isinstance(item, (str, bool, int, float)) for item in items):
            raise TypeError(f"attributes: {key!r} has a value of type {type(value).__qualname__}")
        found[clean_text(key)] = clean_value(value)
    return found
