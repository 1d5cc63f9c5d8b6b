"""Tracing that is off: no provider, a disabled SDK, names excluded by the environment."""

import asyncio

import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from throughline_tracing import Trace, is_disabled
from throughline_tracing.testing import capture


@pytest.fixture
def sdk_disabled(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", " TRUE ")


@pytest.fixture
def no_provider(monkeypatch):
    monkeypatch.setattr(api, "_TRACER_PROVIDER", None)


def plain():
    return 1


def test_disabled_sdk_leaves_functions_as_they_are(sdk_disabled, spans):
    assert Trace(plain) is plain
    assert Trace(name="x")(plain) is plain
    assert Trace(len)("ab") == 2
    assert len(spans) == 0


def test_disabled_sdk_leaves_classes_as_they_are(sdk_disabled):
    def get(self):
        return 1

    cls = type("Shop", (), {"get": get, "make": classmethod(get), "p": property(get)})
    assert Trace(properties=True, inherit=True)(cls) is cls
    assert vars(cls)["get"] is get


def test_disabled_sdk_keeps_the_mark_on_views(sdk_disabled):
    def view():
        return 1

    assert is_disabled(Trace(disable_tracing=True)(view))


def test_sdk_disabled_after_decoration(monkeypatch, no_provider):
    traced = Trace(lambda: api.get_current_span())
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setattr(api, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
    assert traced() is api.INVALID_SPAN


def everything():
    @Trace
    def function():
        with Trace("block") as span:
            return span

    @Trace
    async def coroutine():
        return 1

    @Trace(disable_tracing=True)
    async def quiet():
        return 1

    @Trace
    def generator():
        got = yield 1
        return got

    @Trace
    async def async_generator():
        got = yield 1
        yield got

    async def consume():
        generator = async_generator()
        return (
            await coroutine() * await quiet(),
            await generator.asend(None),
            await generator.asend(5),
        )

    steps = generator()
    first = next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.send(2)
    return function(), first, stop.value.value, asyncio.run(consume())


def test_without_a_provider_everything_runs(no_provider):
    assert everything() == (api.INVALID_SPAN, 1, 2, (1, 1, 5))


def test_with_a_disabled_sdk_everything_runs(monkeypatch, sdk_disabled):
    monkeypatch.setattr(api, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
    assert everything()[1:] == (1, 2, (1, 1, 5))


def test_unsampled_everything_runs_and_records_nothing():
    with capture(sampler=ALWAYS_OFF) as spans:
        span, *others = everything()
    assert not span.is_recording()
    assert others == [1, 2, (1, 1, 5)]
    assert len(spans) == 0


def test_provider_set_after_the_first_call_is_used(no_provider):
    traced = Trace(name="late")(plain)
    traced()
    with capture() as spans:
        traced()
    traced()
    assert spans.names == ["late"]


def test_include_and_exclude_by_environment(monkeypatch, spans):
    monkeypatch.setenv("THROUGHLINE_TRACE_INCLUDE", f"other.*, {__name__}.*")
    assert Trace(plain) is not plain
    monkeypatch.setenv("THROUGHLINE_TRACE_INCLUDE", "other.*")
    assert Trace(plain) is plain
    monkeypatch.delenv("THROUGHLINE_TRACE_INCLUDE")
    monkeypatch.setenv("THROUGHLINE_TRACE_EXCLUDE", f"{__name__}.pl*")
    assert Trace(plain) is plain


class Broken(api.TracerProvider, api.Tracer):
    """Raises wherever it is asked for something."""

    def get_tracer(self, *args, **kwargs):
        raise RuntimeError("no tracer")

    def start_span(self, *args, **kwargs):
        raise RuntimeError("no span")

    start_as_current_span = start_span


class BrokenSpans(Broken):
    def get_tracer(self, *args, **kwargs):
        return self


@pytest.mark.parametrize("provider", [Broken(), BrokenSpans()])
def test_a_broken_provider_does_not_reach_the_application(monkeypatch, provider, caplog):
    monkeypatch.setattr(api, "_TRACER_PROVIDER", provider)
    assert everything() == (api.INVALID_SPAN, 1, 2, (1, 1, 5))
    assert caplog.records


def test_a_broken_processor_does_not_reach_the_application(monkeypatch, caplog):
    from opentelemetry.sdk.trace import SpanProcessor

    class Bad(SpanProcessor):
        def on_end(self, span):
            raise RuntimeError("no end")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Bad())
    monkeypatch.setattr(api, "_TRACER_PROVIDER", provider)
    assert everything()[1:] == (1, 2, (1, 1, 5))
    assert "ending a span" in caplog.text


def test_a_provider_that_cannot_be_loaded_does_not_reach_the_application(monkeypatch, no_provider):
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "no such provider")

    @Trace(disable_tracing=True)
    def quiet():
        return 1

    assert quiet() == 1
    assert Trace(plain)() == 1
