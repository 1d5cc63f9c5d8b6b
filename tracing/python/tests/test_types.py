"""Types survive decoration, as mypy and pyright see it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_mypy():
    status, output = run("mypy", "--strict", "typing_tests")
    assert status == 0, output


def test_pyright():
    status, output = run("pyright", "--pythonpath", sys.executable, "typing_tests")
    assert status == 0, output


def test_the_package_says_that_it_is_typed():
    import throughline_tracing

    assert Path(throughline_tracing.__file__).with_name("py.typed").exists()
