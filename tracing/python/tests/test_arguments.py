"""Arguments and results as attributes: chosen, coerced, bounded, redacted."""

import datetime as dt
import decimal
import enum
import math
import pathlib
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline_tracing import Trace
from throughline_tracing._arguments import MAX_ITEMS, MAX_TEXT, SECRET_KEYS, clean_text, clean_value


class Hostile:
    """Fails at anything it is asked for."""

    def __repr__(self):
        raise AssertionError("repr")

    __str__ = __len__ = __iter__ = __bool__ = __hash__ = __repr__

    def __getattr__(self, name):
        raise AssertionError(name)

    @property
    def __class__(self):
        raise AssertionError("class")


class HostileText(str):
    def __len__(self):
        raise AssertionError

    __str__ = __repr__ = __getitem__ = __iter__ = encode = isascii = __len__


class HostileInt(int):
    def __int__(self):
        raise AssertionError

    __str__ = __repr__ = __index__ = bit_length = __int__


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


def attributes_of(spans, *args, **kwargs):
    options = kwargs.pop("options")
    fn = kwargs.pop("fn")
    Trace(name="f", **options)(fn)(*args, **kwargs)
    attributes = dict(spans.spans[-1].attributes)
    del attributes["code.function.name"]
    return attributes


def f(a, /, b, c=3, *, d=4, **more):
    return a


def test_none_are_recorded_by_default(spans):
    assert attributes_of(spans, 1, 2, options={}, fn=f) == {}


@pytest.mark.parametrize(
    ("args", "kwargs", "want"),
    [
        ((1, 2), {}, {"a": 1, "b": 2, "c": 3, "d": 4}),
        ((1,), {"b": 5}, {"a": 1, "b": 5, "c": 3, "d": 4}),
        ((1, 2, 6), {"d": 7, "e": 8}, {"a": 1, "b": 2, "c": 6, "d": 7, "e": 8}),
    ],
)
def test_by_name_wherever_they_stand(spans, args, kwargs, want):
    options = {"args": ("a", "b", "c", "d", "e")}
    assert attributes_of(spans, *args, options=options, fn=f, **kwargs) == want


def test_by_name_under_another_key(spans):
    options = {"args": {"a": "app.a", "d": "app.d"}}
    assert attributes_of(spans, 1, 2, options=options, fn=f) == {"app.a": 1, "app.d": 4}


def test_one_name_needs_no_tuple(spans):
    assert attributes_of(spans, 1, 2, options={"args": "b"}, fn=f) == {"b": 2}


def test_by_function(spans):
    def pick(a, b, **others):
        return {"sum": a + b, "others": len(others), "token": "abc"}

    assert attributes_of(spans, 1, 2, options={"args": pick}, fn=f, e=5) == {
        "sum": 3,
        "others": 1,
        "token": "[REDACTED]",
    }


def test_a_function_may_give_nothing(spans):
    assert attributes_of(spans, 1, 2, options={"args": lambda a, b: None}, fn=f) == {}


@pytest.mark.parametrize("bad", [lambda a, b: 1 / 0, lambda: {}, lambda a, b: [a]])
def test_a_function_that_fails_is_said_once_and_reaches_nobody(spans, caplog, bad):
    traced = Trace(name="f", args=bad)(f)
    assert traced(1, 2) == 1
    assert traced(1, 2) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "recording arguments or result of 'f' (said once)"
    ]


def test_any_number_of_arguments_has_no_name():
    with pytest.raises(TypeError, match="stands for any number of arguments"):
        Trace(args="rest")(lambda *rest: None)


def test_wrong_calls_are_the_functions_to_refuse(spans):
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
        Trace(args=("a", "b"))(f)(1)


@pytest.mark.parametrize(
    ("option", "want"),
    [
        (True, {"return": 1}),
        (lambda result: {"n": result + 1, "secret": "x"}, {"n": 2, "secret": "[REDACTED]"}),
        (lambda result: result * 10, {"return": 10}),
        (False, {}),
    ],
)
def test_result(spans, option, want):
    assert attributes_of(spans, 1, 2, options={"record_return": option}, fn=f) == want


def test_result_function_that_fails_reaches_nobody(spans, caplog):
    options = {"record_return": lambda result: 1 / 0}
    assert attributes_of(spans, 1, 2, options=options, fn=f) == {}
    assert "recording arguments or result of 'f'" in caplog.text


VALUES = [
    (True, True),
    (7, 7),
    (2**63 - 1, 2**63 - 1),
    (2**63, str(2**63)),
    (-(2**63) - 1, str(-(2**63) - 1)),
    (1 << 20_000, "<int of 20001 bits>"),
    (1.5, 1.5),
    ("text", "text"),
    ("x" * 5000, "x" * (MAX_TEXT - 1) + "…"),
    ("a\ud800b", "a?b"),
    (HostileText("abc"), "abc"),
    (HostileText("x" * 5000), "x" * (MAX_TEXT - 1) + "…"),
    (HostileInt(5), 5),
    (HostileInt(1 << 80), str(1 << 80)),
    (b"secret bytes", "<12 bytes>"),
    (bytearray(3), "<3 bytes>"),
    (memoryview(b"abcd"), "<4 bytes>"),
    (None, "None"),
    (Color.RED, "Color.RED"),
    (Level.HIGH, "Level.HIGH"),
    (decimal.Decimal("1.50"), "1.50"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc), "2026-01-02T03:04:05+00:00"),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (dt.time(1, 2), "01:02:00"),
    (dt.timedelta(seconds=1.5), 1.5),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    ([1, 2], [1, 2]),
    (("a", "b"), ["a", "b"]),
    ([1, "a", None], ["1", "a", "None"]),
    ([[1]], ["<builtins.list>"]),
    (list(range(1000)), list(range(MAX_ITEMS))),
    ({"password": "x"}, "<dict of 1>"),
    ({1, 2}, "<set of 2>"),
    (object(), "<builtins.object>"),
    (Hostile(), f"<{__name__}.Hostile>"),
    ([Hostile()], [f"<{__name__}.Hostile>"]),
]


@pytest.mark.parametrize(("value", "want"), VALUES, ids=[str(n) for n in range(len(VALUES))])
def test_values(spans, value, want):
    got = attributes_of(spans, value, 2, options={"args": "a"}, fn=f)["a"]
    assert got == (tuple(want) if isinstance(want, list) else want)
    assert type(got) in (str, int, float, bool, tuple)


def test_nan_and_infinity(spans):
    got = attributes_of(spans, [math.nan, math.inf], 2, options={"args": "a"}, fn=f)["a"]
    assert math.isnan(got[0])
    assert math.isinf(got[1])


@pytest.mark.parametrize(
    "key",
    [
        "password", "passwd", "user_password", "newPassword", "passphrase", "passcode", "secret",
        "client_secret", "clientSecret", "token", "access_token", "accessToken", "refreshtoken",
        "api_key", "apikey", "apiKey", "x-api-key", "private_key", "access_key", "authorization",
        "http.request.header.authorization", "auth", "basic_auth", "userAuth", "cookie",
        "set-cookie", "session_id", "sessionid", "credentials", "credit_card", "card_number",
        "cvv", "ssn", "user.ssn", "pin", "otp", "jwt", "bearer", "signature", "csrf", "pwd", "dsn",
    ],
)  # fmt: skip
def test_secret_keys(key):
    assert SECRET_KEYS.search(key)


@pytest.mark.parametrize(
    "key",
    [
        "author", "author_id", "authors", "article_id", "opinion", "pinned", "spinner", "tokens",
        "max_tokens", "tokenizer", "token_count", "passenger", "compass", "pass", "session",
        "key", "primary_key", "name", "return", "discard", "shipping", "desinence", "option",
        "hpwdx", "keyboard", "cards",
    ],
)  # fmt: skip
def test_keys_that_are_none(key):
    assert not SECRET_KEYS.search(key)


def login(user, password, note=""):
    return "ok"


def test_redaction_is_on_by_default_for_the_name_and_the_key(spans):
    options = {"args": {"user": "user", "password": "p", "note": "secret.note"}}
    assert attributes_of(spans, "ada", "x", options=options, fn=login) == {
        "user": "ada",
        "p": "[REDACTED]",
        "secret.note": "[REDACTED]",
    }


@pytest.mark.parametrize("pattern", ["^user$", re.compile("USER", re.IGNORECASE)])
def test_own_pattern_replaces_the_built_in_one(spans, pattern):
    options = {"args": ("user", "password"), "redact": pattern}
    assert attributes_of(spans, "ada", "x", options=options, fn=login) == {
        "user": "[REDACTED]",
        "password": "x",
    }


def test_redaction_can_be_switched_off(spans):
    options = {"args": ("password",), "redact": False}
    assert attributes_of(spans, "a", "x", options=options, fn=login) == {"password": "x"}


def test_pattern_of_the_environment_adds_to_the_built_in_one(spans, monkeypatch):
    monkeypatch.setenv("THROUGHLINE_REDACT_KEYS", "(?i)USER")
    options = {"args": ("user", "password", "note")}
    assert attributes_of(spans, "ada", "x", options=options, fn=login) == {
        "user": "[REDACTED]",
        "password": "[REDACTED]",
        "note": "",
    }


def test_a_mapping_is_bounded(spans):
    options = {"args": lambda a, b: {f"k{i}": i for i in range(10_000)} | {7: 7, "": 1}}
    assert len(attributes_of(spans, 1, 2, options=options, fn=f)) == 64


def test_unsampled_calls_do_not_read_arguments():
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    from throughline_tracing.testing import capture

    seen = []
    with capture(sampler=ALWAYS_OFF):
        Trace(args=lambda *args: seen.append(args), record_return=seen.append)(f)(1, 2)
        Trace(args="a")(f)(1, 2)
    assert seen == []


def encodable(value):
    """Whether OTLP can carry `value`: what protobuf refuses costs the whole batch."""
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    if isinstance(value, list):
        assert len({type(item) for item in value}) <= 1
        return all(encodable(item) for item in value)
    kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    AnyValue(**{kind[type(value)]: value}).SerializeToString()
    return True


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(codec=None), max_size=50),
        st.binary(max_size=20),
        st.decimals(),
        st.datetimes(),
        st.timedeltas(),
        st.uuids(),
        st.builds(object),
        st.builds(Hostile),
        st.builds(HostileText, st.text(max_size=5)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
    ),
    max_leaves=8,
)


@given(anything)
def test_whatever_it_is_otlp_can_carry_it(value):
    assert encodable(clean_value(value))


@given(st.text(st.characters(codec=None)), st.integers(1, 20))
def test_text_is_bounded_and_encodable(text, limit):
    cleaned = clean_text(text, limit)
    assert len(cleaned) <= limit
    cleaned.encode()
