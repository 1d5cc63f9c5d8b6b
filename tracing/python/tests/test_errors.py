"""What exceptions do to spans."""

import asyncio
import concurrent.futures
import dataclasses
import sys

import pytest
from opentelemetry.trace import StatusCode

from throughline_tracing import Trace


class NotFound(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Slotted(Exception):
    __slots__ = ()


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def raising(error, **options):
    @Trace(name="raising", **options)
    def f():
        raise error

    return f


def exceptions(span):
    return [event for event in span.events if event.name == "exception"]


def test_error_sets_status_type_and_one_record(spans):
    with pytest.raises(NotFound):
        raising(NotFound("no such article"))()
    span = spans.one("raising")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "no such article"
    assert span.attributes["error.type"] == f"{__name__}.NotFound"
    (event,) = exceptions(span)
    assert event.attributes["exception.type"] == f"{__name__}.NotFound"
    assert event.attributes["exception.message"] == "no such article"
    assert "raise error" in event.attributes["exception.stacktrace"]


def test_success_leaves_the_status_unset(spans):
    Trace(name="fine")(abs)(1)
    assert spans.one("fine").status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("error", [KeyError("x"), Frozen(3), Slotted(), Mute()])
def test_recorded_once_however_deep_the_nesting(spans, error):
    @Trace(name="a")
    def a():
        raise error

    @Trace(name="b")
    def b():
        a()

    @Trace(name="c")
    def c():
        with Trace("block"):
            b()

    with pytest.raises(type(error)) as caught:
        c()
    assert caught.value is error
    assert [len(exceptions(span)) for span in spans.spans] == [1, 0, 0, 0]
    assert {span.attributes["error.type"] for span in spans.spans} == {
        type(error).__qualname__
        if type(error).__module__ == "builtins"
        else f"{__name__}.{type(error).__qualname__}"
    }
    assert all(span.status.status_code is StatusCode.ERROR for span in spans.spans)


def test_an_exception_raised_again_in_another_trace_is_recorded_there(spans):
    error = KeyError("kept")
    for _ in range(2):
        with pytest.raises(KeyError):
            raising(error)()
    assert [len(exceptions(span)) for span in spans.spans] == [1, 1]


def test_a_new_exception_from_an_old_one_is_recorded(spans):
    @Trace(name="outer")
    def outer():
        try:
            raising(KeyError("x"))()
        except KeyError as error:
            raise NotFound from error

    with pytest.raises(NotFound) as caught:
        outer()
    assert isinstance(caught.value.__cause__, KeyError)
    assert [len(exceptions(span)) for span in spans.spans] == [1, 1]


def test_the_application_gets_its_exception_untouched(spans):
    error = KeyError("x")
    with pytest.raises(KeyError) as caught:
        raising(error)()
    assert caught.value is error
    assert error.__context__ is None
    assert error.__cause__ is None
    assert error.args == ("x",)


def test_handled_inside_is_no_error(spans):
    @Trace(name="handles")
    def handles():
        try:
            raise KeyError
        except KeyError:
            return 1

    handles()
    span = spans.one("handles")
    assert span.status.is_unset
    assert span.events == ()


@pytest.mark.parametrize("expected", [NotFound, (KeyError, NotFound), Exception])
def test_expected_is_no_error(spans, expected):
    with pytest.raises(NotFound):
        raising(NotFound(), expected=expected)()
    span = spans.one("raising")
    assert span.status.is_unset
    assert span.events == ()
    assert "error.type" not in span.attributes


def test_expected_here_is_an_error_where_it_is_not_expected(spans):
    @Trace(name="outer")
    def outer():
        raising(NotFound(), expected=NotFound)()

    with pytest.raises(NotFound):
        outer()
    assert spans.one("raising").status.is_unset
    assert len(exceptions(spans.one("outer"))) == 1


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        GeneratorExit(),
        KeyboardInterrupt(),
    ],
)
def test_cancellation_is_no_error(spans, error):
    with pytest.raises(type(error)):
        raising(error)()
    span = spans.one("raising")
    assert span.status.is_unset
    assert exceptions(span) == []
    assert span.attributes["throughline.cancelled"] is True


def test_cancellation_of_other_libraries(spans, monkeypatch):
    import types

    class Cancelled(BaseException):
        pass

    monkeypatch.setitem(sys.modules, "trio", types.SimpleNamespace(Cancelled=Cancelled))
    with pytest.raises(Cancelled):
        raising(Cancelled())()
    assert spans.one("raising").status.is_unset


@pytest.mark.parametrize(
    ("error", "is_error"),
    [
        (SystemExit(), False),
        (SystemExit(0), False),
        (SystemExit(3), True),
        (SystemExit("message"), True),
        (StopIteration(), False),
        (StopAsyncIteration(), False),
        (BaseException("odd"), True),
    ],
)
def test_ends_of_programs_and_iterations(spans, error, is_error):
    with pytest.raises(type(error)):
        raising(error)()
    span = spans.one("raising")
    assert (span.status.status_code is StatusCode.ERROR) is is_error
    assert len(exceptions(span)) == is_error


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are new in 3.11")
@pytest.mark.parametrize(
    ("members", "is_error"),
    [
        ([NotFound()], False),
        ([NotFound(), KeyError()], True),
        ([asyncio.CancelledError()], False),
        ([ValueError()], True),
    ],
)
def test_exception_group_is_judged_by_its_members(spans, members, is_error):
    group = BaseExceptionGroup("many", members)
    with pytest.raises(BaseExceptionGroup):
        raising(group, expected=NotFound)()
    assert (spans.one("raising").status.status_code is StatusCode.ERROR) is is_error


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups are new in 3.11")
def test_task_group(spans):
    @Trace(name="child")
    async def child():
        raise KeyError("x")

    @Trace(name="parent")
    async def parent():
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    with pytest.raises(ExceptionGroup):
        asyncio.run(parent())
    spans.assert_tree("""
        parent ERROR ExceptionGroup
          child ERROR KeyError
    """)


def test_record_and_description_can_be_switched_off(spans):
    with pytest.raises(KeyError):
        raising(KeyError("secret"), record_exception=False, status_description=False)()
    span = spans.one("raising")
    assert span.events == ()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.attributes["error.type"] == "KeyError"


def test_status_set_by_the_application_is_kept(spans):
    from opentelemetry import trace as api

    @Trace(name="own")
    def own(code):
        api.get_current_span().set_status(code, "mine" if code is StatusCode.ERROR else None)
        raise KeyError("x")

    for code, description in ((StatusCode.ERROR, "mine"), (StatusCode.OK, None)):
        with pytest.raises(KeyError):
            own(code)
        span = spans.one("own")
        assert span.status.status_code is code
        assert span.status.description == description
        spans.clear()


def test_message_and_stack_are_bounded(spans):
    def deep(n):
        if n == 0:
            raise NotFound("x" * 10_000_000 + "\ud800")
        # Every line differs, so that Python does not fold the repeats.
        exec(f"deep(n - 1){' ' * n}", {"deep": deep, "n": n})

    @Trace(name="deep")
    def start():
        deep(100)

    with pytest.raises(NotFound):
        start()
    span = spans.one("deep")
    attributes = exceptions(span)[0].attributes
    assert len(span.status.description) <= 512
    assert len(attributes["exception.message"]) <= 4_096
    assert len(attributes["exception.stacktrace"]) <= 32_768 + 2
    for value in attributes.values():
        value.encode()


def test_an_exception_without_words(spans):
    with pytest.raises(Mute):
        raising(Mute())()
    span = spans.one("raising")
    assert span.attributes["error.type"] == f"{__name__}.Mute"
    assert exceptions(span)[0].attributes["exception.message"] == ""


@pytest.mark.parametrize(
    ("signal", "events", "logs"), [("logs", 0, 1), ("logs/dup", 1, 1), ("x", 1, 0)]
)
def test_exceptions_as_logs_by_environment(spans, monkeypatch, signal, events, logs):
    from opentelemetry import _logs
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(_logs._internal, "_LOGGER_PROVIDER", provider)
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", signal)

    with pytest.raises(KeyError):
        raising(KeyError("x"))()
    span = spans.one("raising")
    assert len(exceptions(span)) == events
    records = [item.log_record for item in exporter.get_finished_logs()]
    assert len(records) == logs
    for record in records:
        assert record.event_name == "exception"
        assert record.attributes["exception.type"] == "KeyError"
        assert record.span_id == span.context.span_id
