"""The service as it runs: `python app.py` in a process of its own, and a receiver for its spans."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
APP = Path(__file__).parents[1]
sys.path[:0] = [str(APP), str(ROOT / "tracing" / "python" / "tests")]

from receiver import Receiver  # noqa: E402

READ_NEXT = "d18602d5a5554e5f98734b39dc56b176"
LONELY = "80c056b351334da5b3c95f4b38bbb90f"
DATA = {READ_NEXT: [LONELY, "fd0236aca4474cfa8d4e2b3718dd6fe0"], LONELY: []}


class Service:
    """One run of `python app.py`."""

    def __init__(self, data_file, **environ):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TRACING_"))}
        self.process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=APP,
            env=clean
            | {
                "PORT": "0",
                "DATA_SOURCE_FILENAME": str(data_file),
                # A busy machine may need long for what must come; only a stop that hangs takes this.
                "SHUTDOWN_TIMEOUT": "120s",
                **environ,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = self.wait_for_line(lambda line: "Listening at" in line)
        self.url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]

    def _read(self):
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for_line(self, wanted, timeout=60.0):
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self.lines:
                    if wanted(line):
                        return line
                assert time.monotonic() < deadline, self.lines
                assert self.process.poll() is None or self._reader.is_alive(), self.lines
                self._changed.wait(0.2)

    def get(self, path, method="GET", **headers):
        """Return status, headers and decoded JSON body."""
        request = urllib.request.Request(
            self.url + path,
            headers={k.replace("_", "-"): v for k, v in headers.items()},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.headers, json.loads(response.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.loads(error.read() or "null")

    def stop(self, signum=signal.SIGTERM, timeout=150.0):
        """Send the signal to the master; return its exit code and the seconds it took."""
        start = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signum)
        code = self.process.wait(timeout)
        self._reader.join(60)
        return code, time.monotonic() - start

    def workers(self):
        """Return the pids of the worker processes."""
        pids = [re.search(r"Booting worker with pid: (\d+)", line) for line in list(self.lines)]
        return [int(match[1]) for match in pids if match]


@pytest.fixture
def data_file(tmp_path):
    path = tmp_path / "suggestions.json"
    path.write_text(json.dumps(DATA))
    return path


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def start(data_file):
    """Start services; they are stopped at the end of the test."""
    started = []

    def start(data=data_file, **environ):
        started.append(Service(data, **environ))
        return started[-1]

    yield start
    for service in started:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()
