"""Running programs that trace, in processes of their own."""

import os
import subprocess
import sys
import textwrap
import time

# Seconds that anything may take on a machine that is busy with something else.
DEADLINE = 120.0


def environment(*, measured=True, **environ):
    """Return the environment without tracing variables, with `environ` over it.

    A process whose traced code a signal or a fork interrupts must not be `measured`: coverage
    takes a lock in it that the exporting thread, for which the signal handler waits, takes too.
    """
    left_out = ("OTEL_", "TRACING_", "GRPC_", *(() if measured else ("COVERAGE_",)))
    return {k: v for k, v in os.environ.items() if not k.startswith(left_out)} | environ


def run_python(code, *, check=True, timeout=DEADLINE, measured=True, **environ):
    """Run a program to its end; fails with what it said if it does not end well."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment(measured=measured, **environ),
        text=True,
        capture_output=True,
        timeout=timeout,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def eventually(check):
    """Return what `check` returns as soon as that is true."""
    deadline = time.monotonic() + DEADLINE
    while not (found := check()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found
