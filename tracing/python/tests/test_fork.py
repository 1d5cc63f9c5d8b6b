"""Every span of every process arrives, however the processes are made and ended."""

import collections
import math
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from processes import environment, eventually, run_python
from receiver import Receiver
from throughline_tracing import _batch
from throughline_tracing._batch import BatchProcessor
from throughline_tracing._config import Settings

APP = """
from flask import Flask
from throughline_tracing import Trace, configure
from throughline_tracing.flask import trace_app

configure("forked", flush_timeout=60)
app = trace_app(Flask(__name__))

@app.get("/work/<int:n>")
@Trace()
def work(n):
    return str(__import__("os").getpid())

if __import__("os").environ.get("SPAN_IN_MASTER"):
    with Trace("in the master"):
        pass
"""

SET_UP = """
import multiprocessing, os, signal, sys, time
from throughline_tracing import Trace, configure
provider = configure("forked", flush_timeout=60)
context = multiprocessing.get_context("fork")

@Trace
def parent(): pass

@Trace
def child(): pass
"""


# gunicorn tells a worker to stop once. One in its first instant does not hear it, so the test waits for
# workers that listen, and for those that have served what they may to be gone.
HOOKS = """
from pathlib import Path

def post_worker_init(worker):
    Path(f"{worker.pid}.up").touch()

def child_exit(server, worker):
    Path(f"{worker.pid}.up").unlink(missing_ok=True)
"""


@pytest.fixture(params=["grpc", "http"])
def backend(request):
    with Receiver() as running:
        address = running.grpc_address if request.param == "grpc" else running.http_url
        running.environ = {"TRACING_BACKEND_URL": address, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        yield running


def names(receiver):
    return sorted(span.name for span in receiver.spans)


@pytest.mark.parametrize(
    ("options", "in_master"),
    [
        ([], ""),
        (["--max-requests", "5"], ""),
        (["--preload"], ""),
        (["--preload", "--max-requests", "5"], "1"),
    ],
    ids=["per-worker", "per-worker-recycled", "preload", "preload-recycled-span-in-master"],
)
def test_p28_gunicorn(tmp_path, backend, options, in_master):
    """P28: N requests give N server spans and N view spans, over workers that come and go."""
    (tmp_path / "traced_app.py").write_text(APP)
    (tmp_path / "gunicorn.conf.py").write_text(HOOKS)
    command = [sys.executable, "-m", "gunicorn", "traced_app:app", "-w", "2", "-b", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, "--threads", "2", "--no-control-socket", "--graceful-timeout", "120", *options],
        cwd=tmp_path,
        env=environment(measured=False, **backend.environ, SPAN_IN_MASTER=in_master),
        stderr=subprocess.PIPE,
        text=True,
    )
    served = collections.Counter()
    most = int(options[-1]) if "--max-requests" in options else math.inf

    def settled():
        up = {path.stem for path in tmp_path.glob("*.up")}
        return len(up) == 2 and all(served[pid] < most for pid in up)

    try:
        for line in process.stderr:
            if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        for n in range(24):
            with urllib.request.urlopen(f"{match[0]}/work/{n}", timeout=60) as response:
                served[response.read().decode()] += 1
        eventually(settled)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()
    expected = ["GET /work/<int:n>", "work"] * 24 + ["in the master"] * len(in_master)
    assert names(backend) == sorted(expected)
    assert len({s.span_id for s in backend.spans}) == len(expected)


@pytest.mark.parametrize(
    "how",
    [
        "p = context.Process(target=child); p.start(); p.join()",
        "p = context.Process(target=lambda: (child(), os._exit(0))); p.start(); p.join()",
        "p = context.Pool(1); p.apply(child); p.close(); p.join()",
        "p = context.Pool(1); p.apply(child); p.terminate(); p.join()",
        "pid = os.fork(); (child(), os._exit(0)) if pid == 0 else os.waitpid(pid, 0)",
        "pid = os.fork(); (child(), sys.exit(0)) if pid == 0 else os.waitpid(pid, 0)",
        "pid = os.fork(); (child(), os.kill(os.getpid(), 15), time.sleep(9)) if pid == 0 else os.waitpid(pid, 0)",
    ],
    ids=[
        "process",
        "process-os._exit",
        "pool",
        "pool-terminated",
        "os._exit",
        "sys.exit",
        "sigterm",
    ],
)
@pytest.mark.parametrize(
    ("backend", "before"),
    [
        ("http", "parent(); provider.force_flush()"),
        ("grpc", ""),
        ("grpc", "parent()"),
        ("grpc", "parent(); provider.force_flush()"),
    ],
    ids=["http", "grpc", "grpc-queued", "grpc-exported"],
    indirect=["backend"],
)
def test_p28_children(backend, before, how):
    """P28: a child's span arrives once, and so does its parent's from before and after."""
    done = run_python(f"{SET_UP}\n{before}\n{how}\nparent()", measured=False, **backend.environ)
    assert names(backend) == ["child"] + ["parent"] * (2 if before else 1), done.stderr


def test_a_child_has_an_instance_id_of_its_own(backend):
    """The resource of a forked child names another service instance than its parent's."""
    run_python(
        SET_UP + "parent()\npid = os.fork()\nchild()\nif pid: os.waitpid(pid, 0)", **backend.environ
    )
    instances = {s.resource["service.instance.id"] for s in backend.spans}
    assert len(instances) == 2


def test_a_fork_while_an_export_hangs(backend):
    """A backend that takes connections and never answers stops neither the fork nor the child."""
    done = run_python(
        """
        import os, socket, threading, time
        hole = socket.create_server(("127.0.0.1", 0))
        os.environ["TRACING_BACKEND_URL"] += f",127.0.0.1:{hole.getsockname()[1]}"
        from throughline_tracing import Trace, configure
        provider = configure("forked", flush_timeout=5.0)
        with Trace("parent"): pass
        flush = threading.Thread(target=provider.force_flush, args=(5,), daemon=True)
        flush.start()
        hole.accept()
        time.sleep(0.2)
        start = time.monotonic()
        pid = os.fork()
        if pid == 0:
            hole.close()
            with Trace("child"): pass
            os._exit(0)
        print(time.monotonic() - start)
        os.waitpid(pid, 0)
        print(time.monotonic() - start)
        """,
        OTEL_EXPORTER_OTLP_TIMEOUT="60000",
        OTEL_BSP_EXPORT_TIMEOUT="60000",
        **backend.environ,
    )
    fork, both = map(float, done.stdout.split())
    assert fork < 20.0
    assert both < 40.0
    assert names(backend) == ["child", "parent"]


class Held:
    """An exporter that is in a call until it is let go, or shut down."""

    def __init__(self):
        self.called, self.let_go = threading.Event(), threading.Event()
        self.sent, self.shut_down = [], False

    def export(self, spans):
        self.called.set()
        assert self.let_go.wait(60)
        if self.shut_down:
            return SpanExportResult.FAILURE
        self.sent += [span.name for span in spans]
        return SpanExportResult.SUCCESS

    def shutdown(self):
        self.shut_down = True
        self.let_go.set()


@pytest.fixture
def forking(monkeypatch):
    """Return a queue with an export under way that a fork waits for, and the exporters made."""
    monkeypatch.setattr(_batch, "_FORK_GRACE", 60)
    made = []

    def make():
        made.append(Held())
        return made[-1]

    queue = BatchProcessor("held", make, Settings(schedule_delay=600), quiet_fork=True)
    provider = TracerProvider()
    provider.add_span_processor(queue)
    provider.get_tracer("test").start_span("first").end()
    done = queue.begin_flush()
    eventually(lambda: made and made[0].called.is_set())
    provider.get_tracer("test").start_span("second").end()
    yield queue, made, done
    queue.shutdown(0)


def test_an_export_under_way_may_end_before_a_fork(forking):
    """It is not cut off, which could send its spans twice; and a fork is no reason for a new one."""
    queue, made, done = forking
    threading.Timer(0.05, made[0].let_go.set).start()
    queue.before_fork()
    assert not made[0].shut_down
    queue.after_fork_in_parent()
    assert done.wait(60)
    assert made[0].sent == ["first"]


def test_an_export_that_does_not_end_is_cut_off_and_sent_again(forking, monkeypatch):
    """Nothing is exported until the fork is over, and a flush is done only when all was."""
    queue, made, done = forking
    monkeypatch.setattr(_batch, "_FORK_GRACE", 0.01)
    queue.before_fork()
    assert made[0].shut_down
    again = queue.begin_flush()
    assert not done.wait(0.1)
    assert (len(made), made[0].sent, queue.report.dropped) == (1, [], 0)
    queue.after_fork_in_parent()
    eventually(lambda: len(made) == 2 and made[1].called.is_set())
    # A backend that answers nothing holds up one fork and not every one.
    monkeypatch.setattr(_batch, "_FORK_GRACE", 60)
    start = time.monotonic()
    queue.before_fork()
    assert time.monotonic() - start < 30
    queue.after_fork_in_parent()
    eventually(lambda: len(made) == 3 and made[2].called.is_set())
    made[2].let_go.set()
    assert done.wait(60)
    assert again.wait(60)
    assert made[2].sent == ["first", "second"]


def test_a_process_that_is_told_to_stop_while_it_forks(forking):
    """A signal handler that shuts down in the middle of a fork still sends everything."""
    queue, made, _ = forking
    made[0].let_go.set()
    queue.before_fork()
    queue.shutdown(60_000)
    assert made[0].sent == ["first", "second"]
    assert queue.report.dropped == 0


@pytest.mark.parametrize(
    ("protocol", "backend"),
    [("grpc", "grpc"), ("http/protobuf", "http"), ("http/json", "http")],
    indirect=["backend"],
)
def test_exporting_imports_nothing(backend, protocol):
    """A child forked while the exporting thread imports would have half a module for good."""
    done = run_python(
        """
        import sys
        from throughline_tracing import Trace, configure
        provider = configure("forked")
        before = set(sys.modules)
        with Trace("work"): pass
        assert provider.force_flush(60)
        print(*sorted(set(sys.modules) - before))
        """,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        **backend.environ,
    )
    assert done.stdout.split() == []
    assert names(backend) == ["work"]


def test_a_fork_goes_on_when_tracing_fails_around_it(backend):
    """An error in what is done around a fork is logged, and the fork and its spans are whole."""
    done = run_python(
        SET_UP
        + """
provider._queues[0].before_fork = lambda: 1 / 0
pid = os.fork()
if pid == 0:
    child()
    sys.exit(0)
os.waitpid(pid, 0)
""",
        **backend.environ,
    )
    assert "ZeroDivisionError" in done.stderr
    assert names(backend) == ["child"]


def test_a_process_without_a_provider_is_left_alone():
    run_python(
        """
        import os
        import throughline_tracing._provider
        original = os._exit
        pid = os.fork()
        if pid == 0:
            original(0 if os._exit is original else 1)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )


def test_os_exit_is_itself_where_nothing_forked(backend):
    """Only a forked child has another `os._exit`; its status is kept there."""
    run_python(
        SET_UP
        + """
original = os._exit
pid = os.fork()
if pid == 0:
    assert os._exit is not original
    child()
    os._exit(7)
assert os._exit is original
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
""",
        **backend.environ,
    )
    assert names(backend) == ["child"]


def test_a_fork_python_does_not_know_of(backend):
    """What a hook of another forker calls makes it start afresh, if it is a new process."""
    run_python(
        SET_UP
        + """
from throughline_tracing import _exit

child()
_exit._after_other_fork()
child()
_exit._pid = -1
_exit._after_other_fork()
parent()
""",
        **backend.environ,
    )
    assert names(backend) == ["parent"]
