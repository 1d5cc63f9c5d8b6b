"""The faults of the decorator that the article published, by their numbers: none is here.

P12, P14 and P24 to P28 are faults of the provider and of the server side; they
are in test_seed_defects_kit.py. P29, P32 to P34 are faults of the application.

With SEED_TRACING naming the article's apps/suggestions/tracing.py these tests
run against that decorator, and every one of them must fail.
"""

import abc
import asyncio
import functools
import importlib.util
import inspect
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask, Response, stream_with_context
from opentelemetry import trace as api
from opentelemetry.trace import SpanKind

import throughline_tracing
from throughline_tracing.flask import trace_app

SEED = os.environ.get("SEED_TRACING")
if SEED:
    spec = importlib.util.spec_from_file_location("tracing", SEED)
    seed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seed)
    Trace = seed.Trace
else:
    Trace = throughline_tracing.Trace

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}


@pytest.fixture
def app():
    app = Flask(__name__)
    return app if SEED else trace_app(app)


@pytest.fixture
def request_context():
    """Be inside a request, so that the published decorator records something."""
    with Flask(__name__).test_request_context("/", headers=HEADERS):
        yield


def names(spans):
    return [span.name for span in spans.spans]


def inner_names(spans):
    """The names of the spans that are not the server's."""
    return [span.name for span in spans.spans if span.kind is SpanKind.INTERNAL]


@Trace()
def module_level(a: int, b: str = "x") -> float:
    """Say something."""
    return a + len(b)


def test_p1_metadata_of_the_function_survives():
    assert module_level.__name__ == module_level.__qualname__ == "module_level"
    assert module_level.__doc__ == "Say something."
    assert module_level.__module__ == __name__
    assert str(inspect.signature(module_level)) == "(a: int, b: str = 'x') -> float"
    assert module_level.__wrapped__(1) == 2


def test_p2_two_decorated_views_do_not_collide(spans, app):
    @app.route("/a")
    @Trace()
    def first():
        return "a"

    @app.route("/b")
    @Trace()
    def second():
        return "b"

    client = app.test_client()
    assert (client.get("/a").text, client.get("/b").text) == ("a", "b")


def test_p3_a_decorated_function_can_be_pickled():
    assert pickle.loads(pickle.dumps(module_level))(1) == 2


def test_p4_a_coroutine_is_spanned_until_it_ends(spans, request_context):
    @Trace()
    async def child():
        return api.get_current_span().get_span_context()

    @Trace()
    async def parent():
        await asyncio.sleep(0.001)
        return await child(), api.get_current_span().get_span_context()

    assert inspect.iscoroutinefunction(parent)
    inside_child, inside_parent = asyncio.run(parent())
    recorded_child, recorded_parent = spans.spans
    assert inside_child.span_id == recorded_child.context.span_id
    assert inside_parent.span_id == recorded_parent.context.span_id
    assert recorded_child.parent.span_id == recorded_parent.context.span_id


def test_p5_a_generator_is_spanned_until_it_ends(spans, request_context):
    @Trace()
    def generate():
        received = yield api.get_current_span().is_recording()
        yield received

    @Trace()
    async def generate_async():
        received = yield api.get_current_span().is_recording()
        yield received

    async def consume():
        generator = generate_async()
        first = await generator.asend(None)
        second = await generator.asend("sent")
        recording_between = len(spans) == 1
        await generator.aclose()
        return first, second, recording_between

    generator = generate()
    assert (next(generator), generator.send("sent")) == (True, "sent")
    assert len(spans) == 0
    generator.close()
    assert len(spans) == 1
    assert asyncio.run(consume()) == (True, "sent", True)
    assert len(spans) == 2


def test_p6_outside_of_a_request_there_are_spans_too(spans):
    module_level(1)
    assert len(spans) == 1


def test_p7_threads_and_executors_continue_the_trace(spans, request_context):
    @Trace()
    def request(pool):
        thread = threading.Thread(target=throughline_tracing.bind(module_level), args=(1,))
        thread.start()
        thread.join()
        pool.submit(module_level, 1).result()

        async def main():
            await asyncio.get_running_loop().run_in_executor(pool, module_level, 1)

        asyncio.run(main())

    pool_class = ThreadPoolExecutor if SEED else throughline_tracing.TracedExecutor
    with pool_class(max_workers=1) as pool:
        request(pool)
    assert len(spans) == 4
    assert len({span.context.trace_id for span in spans.spans}) == 1


def test_p8_disabling_one_does_not_disable_its_siblings(spans, app):
    @Trace()
    def on():
        pass

    @Trace(disable_tracing=True)
    def off():
        on()

    @app.route("/<order>")
    @Trace()
    def view(order):
        for name in order.split("-"):
            {"on": on, "off": off}[name]()
        return ""

    for order in ("on-off", "off-on"):
        spans.clear()
        assert app.test_client().get(f"/{order}").status_code == 200
        assert len(inner_names(spans)) == 2  # the view and one of its siblings


def test_p9_two_calls_in_a_request_are_in_its_trace(spans, app):
    @Trace()
    def plain(n):
        return n

    @app.before_request
    def before():
        plain(0)

    @app.route("/")
    def view():
        return str(plain(1) + plain(2))

    assert app.test_client().get("/", headers=HEADERS).text == "3"
    assert len(spans) >= 3
    assert {f"{span.context.trace_id:032x}" for span in spans.spans} == {TRACE_ID}
    recorded = {span.context.span_id for span in spans.spans}
    roots = [span for span in spans.spans if span.parent.span_id not in recorded]
    assert {f"{span.parent.span_id:016x}" for span in roots} == {PARENT_ID}


def test_p10_chunks_of_a_streamed_response_are_in_its_trace(spans, app):
    @Trace()
    def chunk(n):
        return str(n)

    @app.route("/")
    @Trace()
    def view():
        return Response(stream_with_context(chunk(n) for n in range(3)))

    assert app.test_client().get("/", headers=HEADERS).text == "012"
    assert len(spans) >= 4
    assert {f"{span.context.trace_id:032x}" for span in spans.spans} == {TRACE_ID}


def test_p11_below_an_active_server_span_it_is_that_spans_child(spans, request_context):
    tracer = spans.provider.get_tracer("other instrumentation")
    with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as server:
        module_level(1)
    span = spans.spans[0]
    assert span.parent.span_id == server.get_span_context().span_id
    assert span.context.trace_id == server.get_span_context().trace_id


def test_p13_the_name_does_not_grow_with_what_is_asked_for(spans, app):
    @app.route("/articles/<article_id>")
    @Trace()
    def view(article_id):
        return article_id

    for n in range(100):
        app.test_client().get(f"/articles/{n}")
    assert len(set(inner_names(spans))) == 1
    assert not any("/articles/" in name for name in inner_names(spans))


def test_p15_no_source_is_needed_and_none_is_read(spans, request_context):
    namespace = {"Trace": Trace, "__name__": "without_source"}
    exec(
        "Traced = Trace\n"
        "@Trace()\n"
        "class Service:\n"
        "  '''\n"
        "  @Trace()\n"
        "  def commented(self): in a docstring\n"
        "  '''\n"
        "  def commented(self): return 1\n"
        "  @Traced()\n"
        "  def aliased(self): return 2\n",
        namespace,
    )
    service = namespace["Service"]()
    assert (service.commented(), service.aliased()) == (1, 2)
    assert len(spans) == 2


def test_p15_a_program_without_source_files(tmp_path):
    if SEED:
        (tmp_path / "tracing.py").write_text(Path(SEED).read_text())
    source = tmp_path / "service.py"
    source.write_text(
        f"from {'tracing' if SEED else 'throughline_tracing'} import Trace\n"
        "@Trace()\nclass Service:\n    def get(self): return 'got'\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import compileall, os; compileall.compile_file('service.py', legacy=True, quiet=1);"
            "os.remove('service.py');"
            "import service; assert service.__file__.endswith('.pyc');"
            "print(service.Service().get())",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "got\n", done.stderr


def test_p16_a_function_may_be_called_wrapped_f(spans, request_context):
    def wrapped_f():
        pass

    Trace()(wrapped_f)()
    assert len(spans) == 1


def test_p17_above_classmethod_and_staticmethod_and_below(spans, request_context):
    class Service:
        @Trace()
        @classmethod
        def class_above(cls):
            return cls

        @classmethod
        @Trace()
        def class_below(cls):
            return cls

        @Trace()
        @staticmethod
        def static_above():
            return 1

        @staticmethod
        @Trace()
        def static_below():
            return 1

    assert Service.class_above() is Service().class_below() is Service
    assert Service.static_above() == Service().static_below() == 1
    assert len(spans) == 4


def test_p18_partials_and_callable_instances(spans, request_context):
    class Callable_:
        def __call__(self):
            return 1

    assert Trace()(functools.partial(int, "3"))() == 3
    assert Trace()(Callable_())() == 1
    assert len(spans) == 2


def test_p19_dunders_are_not_traced(spans, request_context):
    @Trace()
    class Service:
        def __init__(self):
            self.n = 1

        def __repr__(self):
            return "Service"

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 1

        def __del__(self):
            pass

        def __getattribute__(self, name):
            return super().__getattribute__(name)

    service = Service()
    assert (repr(service), service == 1, hash(service), service.n) == ("Service", True, 1, 1)
    del service
    assert names(spans) == []


def test_p20_inherited_and_overridden_methods_and_the_rest(spans, request_context):
    class Base:
        def inherited(self):
            return 1

        def overridden(self):
            return 1

    options = {} if SEED else {"inherit": True, "properties": True, "nested": True}

    @Trace(**options)
    class Service(Base):
        def __call__(self):
            return 1

        @property
        def prop(self):
            return 1

        @functools.cached_property
        def cached(self):
            return 1

        def method(self, n):
            return n

        one = functools.partialmethod(method, 1)

        class Nested:
            def work(self):
                return 1

    class Sub(Service):
        def overridden(self):
            return 1

    service = Sub()
    results = [
        service.inherited(),
        service.overridden(),
        service(),
        service.prop,
        service.cached,
        service.one(),
        Service.Nested().work(),
    ]
    assert results == [1] * 7
    assert len(spans) == 7


def test_p21_abstract_methods_stay_abstract():
    class Base(abc.ABC):
        @Trace()
        @abc.abstractmethod
        def need(self): ...

    class Sub(Base):
        pass

    with pytest.raises(TypeError):
        Sub()


def test_p22_the_scope_is_the_module_of_the_code(spans, request_context):
    for module in ("shop.service", "shop.views"):
        namespace = {"Trace": Trace, "__name__": module}
        exec("@Trace()\ndef work(): pass\nwork()", namespace)
    scopes = [span.instrumentation_scope.name for span in spans.spans]
    assert scopes == ["shop.service", "shop.views"]


def test_p23_attributes_result_links_status_and_redaction(spans):
    @Trace(
        kind=SpanKind.CLIENT,
        attributes={"peer": "shop"},
        args=("user", "password"),
        record_return=True,
        expected=(KeyError,),
    )
    def login(user, password):
        if user == "nobody":
            raise KeyError(user)
        return "welcome"

    @Trace(root="link")
    def linked():
        pass

    login("ada", "hunter2")
    with pytest.raises(KeyError):
        login("nobody", "x")
    with throughline_tracing.Trace("request"):
        linked()
    first, second, third, _ = spans.spans
    assert first.kind is SpanKind.CLIENT
    assert dict(first.attributes) == {
        "code.function.name": f"{__name__}.{login.__qualname__}",
        "peer": "shop",
        "user": "ada",
        "password": "[REDACTED]",
        "return": "welcome",
    }
    assert second.status.is_unset
    assert len(third.links) == 1


def test_p30_what_is_switched_off_costs_nothing(monkeypatch):
    """Costs are in benchmarks/decorator.py; what is off by environment is not wrapped at all."""

    def work():
        pass

    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert Trace()(work) is work


def test_p31_tasks_of_one_request_do_not_share_state(spans, request_context):
    @Trace()
    async def on(delay):
        await asyncio.sleep(delay)

    @Trace(disable_tracing=True)
    async def off(delay):
        await asyncio.sleep(delay)
        await on(0)

    async def request():
        await asyncio.gather(off(0.002), on(0.001), on(0.003), off(0))

    asyncio.run(request())
    assert len(spans) == 2
    from flask import request as flask_request

    assert not {"DISABLE_TRACING", "DO_NOT_PROPAGATE_CONTEXT"} & flask_request.environ.keys()


def test_p35_an_exception_is_recorded_once_and_base_exceptions_too(spans, request_context):
    @Trace()
    def innermost(error):
        raise error

    @Trace()
    def middle(error):
        innermost(error)

    @Trace()
    def outermost(error):
        middle(error)

    for error in (KeyError("x"), SystemExit(3)):
        spans.clear()
        with pytest.raises(type(error)):
            outermost(error)
        assert [len(span.events) for span in spans.spans] == [1, 0, 0]
        assert all(not span.status.is_ok and not span.status.is_unset for span in spans.spans)
