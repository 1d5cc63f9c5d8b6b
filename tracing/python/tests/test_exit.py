"""The last spans of a process, by every way it can end."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from processes import environment, run_python
from receiver import Receiver

SET_UP = """
import os, signal, sys, threading, time
from throughline_tracing import Trace, configure
provider = configure("ending", flush_timeout=60)
with Trace("last"): pass
"""


@pytest.fixture(params=["grpc", "http"])
def receiver(request):
    with Receiver() as running:
        running.address = running.grpc_address if request.param == "grpc" else running.http_url
        yield running


def environ(receiver):
    return {"TRACING_BACKEND_URL": receiver.address, "OTEL_BSP_SCHEDULE_DELAY": "60000"}


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise ValueError", 1),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", -signal.SIGTERM),
        # Where the tests run in the background SIGINT is ignored. The code is 1 or -2, by the version.
        (
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "os.kill(os.getpid(), signal.SIGINT); time.sleep(9)",
            None,
        ),
        # The first process of a container survives a signal that is not handled; so does one that
        # blocks it.
        (
            "from throughline_tracing import _exit; _exit._on_sigterm(15, None)",
            128 + signal.SIGTERM,
        ),
    ],
    ids=["return", "sys.exit", "exception", "sigterm", "sigint", "sigterm-as-init"],
)
def test_p27_the_last_span_arrives_and_the_exit_code_is_kept(receiver, ending, code):
    """P27: spans that wait for the batch delay are sent before the process ends."""
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
    code_before = block if "_exit._on" in ending else ""
    done = run_python(f"{code_before}{SET_UP}\n{ending}", check=False, **environ(receiver))
    assert done.returncode == code if code is not None else done.returncode, done.stderr
    assert [s.name for s in receiver.spans] == ["last"]


def test_a_handler_of_the_applications_own_is_left_alone(receiver):
    """One that exits gets its spans sent at exit; one that goes on goes on."""
    for when in ("before", "after"):
        own = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))"
        code = textwrap.dedent(SET_UP)
        code = f"import signal, sys\n{own}\n{code}" if when == "before" else f"{code}\n{own}"
        done = run_python(
            f"{code}\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(9)",
            check=False,
            **environ(receiver),
        )
        assert done.returncode == 5
    assert len(receiver.spans) == 2


def test_ignored_stays_ignored(receiver):
    done = run_python(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + SET_UP
        + "os.kill(os.getpid(), signal.SIGTERM)\nprint('still here')",
        **environ(receiver),
    )
    assert done.stdout == "still here\n"
    assert len(receiver.spans) == 1


def test_configured_in_another_thread(receiver):
    """Where no signal handler can be set, the exit alone is watched."""
    run_python(
        """
        import signal, threading
        from throughline_tracing import Trace, configure
        thread = threading.Thread(target=configure, args=("ending",))
        thread.start(); thread.join()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with Trace("last"): pass
        """,
        **environ(receiver),
    )
    assert len(receiver.spans) == 1


@pytest.mark.parametrize(
    "how", ["", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)"], ids=["exit", "sigterm"]
)
@pytest.mark.parametrize(
    "backend", ["127.0.0.1:1", "http://127.0.0.1:1/v1/traces", "hole", "http-hole"]
)
def test_the_end_is_bounded(how, backend):
    """A backend that is gone, or never answers, holds the end for the flush timeout at most."""
    done = run_python(
        f"""
        import os, signal, socket, sys, time
        from throughline_tracing import Trace, configure
        hole = socket.create_server(("127.0.0.1", 0))
        port = hole.getsockname()[1]
        backend = {{"hole": f"127.0.0.1:{{port}}", "http-hole": f"http://127.0.0.1:{{port}}/v1/traces"}}.get({backend!r}, {backend!r})
        configure("ending", backend, flush_timeout=0.5)
        with Trace("last"): pass
        print(time.time(), flush=True)
        {how}
        """,
        check=False,
        OTEL_EXPORTER_OTLP_TIMEOUT="60000",
    )
    took = time.time() - float(done.stdout)
    assert took < 20.0
    assert done.stderr.count("\n") == 1, done.stderr
    assert "1 span dropped" in done.stderr


def test_a_signal_while_spans_are_ended(receiver):
    """SIGTERM in the middle of traced work ends the process, and what had ended arrives."""
    for _ in range(5):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                SET_UP + "print(flush=True)\nwhile True:\n    with Trace('busy'): pass",
            ],
            env=environment(measured=False, **environ(receiver)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
        process.stdout.close()
    assert [s.name for s in receiver.spans].count("last") == 5
