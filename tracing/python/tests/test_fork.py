"""Every span of every process arrives, however the processes are made and ended."""

import re
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest

from processes import environment, run_python
from receiver import Receiver

APP = """
from flask import Flask
from throughline_tracing import Trace, configure
from throughline_tracing.flask import trace_app

configure("forked")
app = trace_app(Flask(__name__))

@app.get("/work/<int:n>")
@Trace()
def work(n):
    return str(n)

if __import__("os").environ.get("SPAN_IN_MASTER"):
    with Trace("in the master"):
        pass
"""

SET_UP = """
import multiprocessing, os, signal, sys, time
from throughline_tracing import Trace, configure
provider = configure("forked")
context = multiprocessing.get_context("fork")

@Trace
def parent(): pass

@Trace
def child(): pass
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
    # A worker that is told to stop in its first instant does not hear it; gunicorn then waits this long.
    patience = ["--graceful-timeout", "5"]
    command = [sys.executable, "-m", "gunicorn", "traced_app:app", "-w", "2", "-b", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, "--threads", "2", "--no-control-socket", *patience, *options],
        cwd=tmp_path,
        env=environment(**backend.environ, SPAN_IN_MASTER=in_master),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:
            if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        for n in range(24):
            with urllib.request.urlopen(f"{match[0]}/work/{n}", timeout=10) as response:
                assert response.read() == str(n).encode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
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
    run_python(f"{SET_UP}\n{before}\n{how}\nparent()", **backend.environ)
    assert names(backend) == ["child"] + ["parent"] * (2 if before else 1)


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
        provider = configure("forked", flush_timeout=1.0)
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
        **backend.environ,
    )
    fork, both = map(float, done.stdout.split())
    assert fork < 1.0
    assert both < 5.0
    assert names(backend) == ["child", "parent"]


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
