"""Real uWSGI and real Celery, which fork and end their workers in ways of their own."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import types
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from processes import DEADLINE, environment, eventually
from receiver import Receiver
from throughline_tracing import _servers

BIN = Path(sys.executable).parent

APP = """
import os
from throughline_tracing import Trace, configure

configure("served", flush_timeout=60)

@Trace
def early(): pass

@Trace
def work(): pass

early()  # so that the master has a thread, which no worker inherits

def application(environ, start_response):
    work()
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

TASKS = """
import os, time
from celery import Celery
from throughline_tracing import Trace, configure

configure("tasks", flush_timeout=60)
folder = os.environ["FOLDER"]
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": folder + "/queue",
    "data_folder_out": folder + "/queue",
    "control_folder": folder + "/control",
}

@app.task
@Trace
def add(n): pass

@app.task
@Trace(name="slow")
def slow():
    with Trace("begun"):
        pass
    with open(folder + "/pid.part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(folder + "/pid.part", folder + "/pid")
    time.sleep(600)
"""


@contextlib.contextmanager
def running(command, log, **environ):
    """Run `command`; whatever is left of it at the end is killed."""
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            env=environment(measured=False, **{"OTEL_BSP_SCHEDULE_DELAY": "600000"} | environ),
            cwd=log.parent,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    except BaseException:
        print(log.read_text()[-5000:])
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE)


@pytest.mark.parametrize(
    "options", [[], ["--enable-threads", "--py-call-uwsgi-fork-hooks"]], ids=["as it is", "hooks"]
)
def test_uwsgi(tmp_path, options):
    """Each worker sends its own spans, of its own traces, although the master had one first."""
    (tmp_path / "app.py").write_text(APP)
    log = tmp_path / "log"
    command = [BIN / "uwsgi", "--master", "--die-on-term", "--need-app", "--processes", "2"]
    command += ["--http-socket", "127.0.0.1:0", "--wsgi-file", "app.py", *options]
    with (
        Receiver() as receiver,
        running(
            command, log, TRACING_BACKEND_URL=receiver.http_url, OTEL_BSP_SCHEDULE_DELAY="50"
        ) as server,
    ):
        eventually(lambda: _get(log))
        served, pids = 1, set()
        while len(pids) < 2:
            pids.add(eventually(lambda: _get(log)))
            served += 1
            assert served < 5000, "one worker takes all requests"
        # While it runs: uWSGI runs no exit handlers in a worker that is stopped in a request.
        spans = receiver.wait(served, DEADLINE, lambda span: span.name == "work")
        assert len(spans) == served
        assert len({span.trace_id for span in spans}) == served
        assert len({span.resource["service.instance.id"] for span in spans}) == 2
        server.send_signal(signal.SIGTERM)
        server.wait(DEADLINE)


def test_uwsgi_workers_that_are_idle_when_told_to_stop(tmp_path):
    """SIGTERM to the master: a worker that serves no request sends what waited for the batch delay."""
    (tmp_path / "app.py").write_text(APP)
    log, stats = tmp_path / "log", str(tmp_path / "stats")
    command = [BIN / "uwsgi", "--master", "--die-on-term", "--need-app", "--processes", "1"]
    command += ["--http-socket", "127.0.0.1:0", "--wsgi-file", "app.py", "--stats", stats]

    def idle():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(stats)
            with connection.makefile() as file:
                return all(worker["status"] == "idle" for worker in json.load(file)["workers"])

    with (
        Receiver() as receiver,
        running(command, log, TRACING_BACKEND_URL=receiver.http_url) as server,
    ):
        eventually(lambda: _get(log))
        eventually(idle)
        assert receiver.spans == []
        server.send_signal(signal.SIGTERM)
        server.wait(DEADLINE)
        assert [span.name for span in receiver.spans] == ["work"]


def _get(log):
    """Return what uWSGI, on the port it wrote to its log, answers; None before it listens."""
    match = re.search(r"bound to TCP address (127\.0\.0\.1:\d+)", log.read_text())
    if match is None:
        return None
    try:
        return urllib.request.urlopen(f"http://{match[1]}/", timeout=DEADLINE).read()
    except urllib.error.URLError:
        return None


@pytest.fixture
def celery(tmp_path):
    """Return what runs a prefork worker, and what sends it tasks."""
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    (tmp_path / "tasks.py").write_text(TASKS)

    def work(receiver, *options):
        command = [BIN / "celery", "-A", "tasks", "worker", "-c", "1", "-P", "prefork"]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat", *options]
        environ = {"FOLDER": str(tmp_path), "TRACING_BACKEND_URL": receiver.http_url}
        return running(command, tmp_path / "log", **environ)

    def send(code):
        subprocess.run(
            [sys.executable, "-c", f"import tasks\n{code}"],
            env=environment(FOLDER=str(tmp_path), OTEL_SDK_DISABLED="true"),
            cwd=tmp_path,
            check=True,
            timeout=DEADLINE,
        )

    return work, send


# The tasks are sent before the worker runs: two programs that write to kombu's file system transport
# at the same time may read each other's files half written.


def test_celery_children_that_are_recycled(celery):
    """A child that has done its tasks sends their spans before the worker kills it."""
    work, send = celery
    send("for n in range(6): tasks.add.delay(n)")
    with Receiver() as receiver, work(receiver, "--max-tasks-per-child", "2"):
        spans = receiver.wait(6, DEADLINE)
    assert {span.name for span in spans} == {"add"}
    assert len({span.trace_id for span in spans}) == 6


def test_a_celery_worker_that_is_told_to_stop(celery, tmp_path):
    """SIGTERM to the main process: its child sends what waited for the batch delay."""
    work, send = celery
    send("for n in range(6): tasks.add.delay(n)")
    with Receiver() as receiver, work(receiver, "--loglevel", "INFO") as worker:
        eventually(lambda: (tmp_path / "log").read_text().count(" succeeded in ") == 6)
        assert receiver.spans == []
        worker.send_signal(signal.SIGTERM)
        worker.wait(DEADLINE)
        assert [span.name for span in receiver.spans] == ["add"] * 6


def test_a_celery_child_that_is_terminated(celery, tmp_path):
    """SIGTERM, as `revoke(terminate=True)` sends it: what has ended and what it ends both come."""
    work, send = celery
    send("tasks.slow.delay()")
    with Receiver() as receiver, work(receiver):
        eventually((tmp_path / "pid").exists)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
        assert {span.name for span in receiver.wait(2, DEADLINE)} == {"begun", "slow"}


# The hook into uWSGI beside other hooks; its module is there only inside of uWSGI.


@pytest.fixture
def uwsgi(monkeypatch):
    module = types.ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    monkeypatch.setitem(sys.modules, "uwsgidecorators", None)
    return module


def test_a_hook_of_the_application_stays(uwsgi):
    calls = []
    uwsgi.post_fork_hook = lambda: calls.append("theirs")
    _servers.hook_uwsgi(lambda: calls.append("ours"))
    uwsgi.post_fork_hook()
    assert calls == ["theirs", "ours"]


def test_without_another_hook(uwsgi):
    calls = []
    _servers.hook_uwsgi(lambda: calls.append("ours"))
    uwsgi.post_fork_hook()
    assert calls == ["ours"]


@pytest.mark.parametrize("imported", [True, False])
def test_beside_the_decorators(uwsgi, monkeypatch, imported):
    """`uwsgidecorators` takes the hook when it is imported; what was there before is kept."""
    calls = []
    decorators = types.ModuleType("uwsgidecorators")
    decorators.postfork_chain = []
    decorators.postfork_chain_hook = lambda: [call() for call in decorators.postfork_chain]
    monkeypatch.setitem(sys.modules, "uwsgidecorators", decorators)
    uwsgi.post_fork_hook = (
        decorators.postfork_chain_hook if imported else lambda: calls.append("theirs")
    )
    _servers.hook_uwsgi(lambda: calls.append("ours"))
    decorators.postfork_chain_hook()
    assert calls == (["ours"] if imported else ["theirs", "ours"])
