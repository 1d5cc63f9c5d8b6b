"""What happens where something is missing, broken or of another kind than usual."""

import asyncio
import subprocess
import sys

import pytest
from opentelemetry import context as api_context
from opentelemetry import trace as api
from opentelemetry.trace import NonRecordingSpan, SpanContext

import throughline_tracing
from throughline_tracing import Trace, _context, _tracers
from throughline_tracing._callables import TracedCallable
from throughline_tracing.testing import capture

CUSTOM_CONTEXT = '''
from opentelemetry import context as api
from opentelemetry.context import Context

class Stack:
    """A runtime context that is no context variable."""
    def __init__(self): self.stack = [Context()]
    def get_current(self): return self.stack[-1]
    def attach(self, context): self.stack.append(context); return len(self.stack) - 1
    def detach(self, token): del self.stack[token:]

api._RUNTIME_CONTEXT = Stack()
from throughline_tracing import Trace
from throughline_tracing.testing import capture

@Trace
def child(): pass

@Trace
def parent(fail=False):
    child()
    if fail: raise KeyError

with capture() as spans:
    parent()
    try: parent(True)
    except KeyError: pass
    with Trace("block"): child()
print(spans.tree())
'''


def test_a_runtime_context_that_is_no_context_variable():
    done = subprocess.run([sys.executable, "-c", CUSTOM_CONTEXT], capture_output=True, text=True)
    assert done.stdout == (
        "parent\n  child\n\nparent ERROR KeyError\n  child\n\nblock\n  child\n"
    ), done.stderr


@pytest.mark.parametrize("without", ["default", "variable"])
def test_context_functions_of_the_api_where_there_is_no_usable_variable(monkeypatch, without):
    import contextvars

    class Runtime:
        if without == "default":
            _current_context = contextvars.ContextVar("no default")

    monkeypatch.setattr(api_context, "_RUNTIME_CONTEXT", Runtime())
    assert _context._bind()[:3] == (api_context.get_current, api_context.attach, api_context.detach)


def test_an_api_that_keeps_its_provider_elsewhere(monkeypatch):
    monkeypatch.setattr(_tracers, "_HAS_GLOBAL", False)
    scope = _tracers.Scope("elsewhere", None, None)
    with capture() as spans:
        scope.refresh()
        assert scope.provider is spans.provider
        assert scope.start_span is not None
    monkeypatch.setattr(api, "_TRACER_PROVIDER", None)
    scope.refresh()
    assert scope.provider is None
    assert scope.start_span is None


@pytest.mark.parametrize("name", ["OTLPProvider", "configure"])
def test_without_the_sdk_the_message_says_what_to_install(monkeypatch, name):
    monkeypatch.delitem(throughline_tracing.__dict__, name, raising=False)
    monkeypatch.delitem(sys.modules, "throughline_tracing._provider", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(ImportError, match=rf"{name} needs the OpenTelemetry SDK: pip install"):
        getattr(throughline_tracing, name)


def test_a_fault_of_ours_is_not_taken_for_a_missing_sdk(monkeypatch):
    monkeypatch.delitem(throughline_tracing.__dict__, "configure", raising=False)
    monkeypatch.setitem(sys.modules, "throughline_tracing._provider", None)
    with pytest.raises(ModuleNotFoundError, match="_provider"):
        _ = throughline_tracing.configure


def test_names_of_the_package():
    assert {"Trace", "OTLPProvider", "configure"} <= set(dir(throughline_tracing))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = throughline_tracing.nothing


class BrokenSpan(NonRecordingSpan):
    """Records, it says, and then cannot."""

    def is_recording(self):
        return True

    def _fail(self, *args, **kwargs):
        raise RuntimeError("broken span")

    set_attribute = set_attributes = set_status = add_event = end = _fail


class BrokenSpans(api.TracerProvider, api.Tracer):
    def get_tracer(self, *args, **kwargs):
        return self

    def start_span(self, *args, **kwargs):
        return BrokenSpan(SpanContext(1, 2, is_remote=False))

    start_as_current_span = start_span


def test_broken_spans_do_not_reach_the_application(monkeypatch, caplog):
    monkeypatch.setattr(api, "_TRACER_PROVIDER", BrokenSpans())

    @Trace(record_return=True)
    def function(fail):
        if fail:
            raise KeyError
        return 1

    @Trace(record_return=True)
    async def coroutine():
        return 1

    assert function(False) == 1
    assert asyncio.run(coroutine()) == 1
    with pytest.raises(KeyError):
        function(True)
    messages = {record.getMessage().partition(" of ")[0] for record in caplog.records}
    assert messages == {"recording arguments or result", "ending a span", "recording an exception"}


def test_arguments_that_cannot_be_set_do_not_reach_the_application(monkeypatch, caplog):
    monkeypatch.setattr(api, "_TRACER_PROVIDER", BrokenSpans())

    @Trace(args="n")
    def function(n):
        return n

    @Trace(args="n")
    async def coroutine(n):
        return n

    assert function(1) == 1
    assert asyncio.run(coroutine(1)) == 1
    assert "recording arguments or result" in caplog.text


def test_a_callable_that_is_being_built_has_no_attributes():
    with pytest.raises(AttributeError):
        _ = TracedCallable.__new__(TracedCallable).anything


def test_argument_names_must_be_names():
    for args in ({"a": ""}, {"a": 3}, [3]):
        with pytest.raises(TypeError, match="want parameter names"):
            Trace(args=args)(lambda a: a)
