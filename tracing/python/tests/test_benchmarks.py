"""The benchmark runs; what it measures is for `make bench` to judge."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "scenario", ["recording", "unsampled", "disabled by environment", "disabled subtree"]
)
def test_scenario(scenario, tmp_path):
    output = tmp_path / "suite.json"
    done = subprocess.run(
        [
            sys.executable,
            "benchmarks/decorator.py",
            "--only", scenario,
            "--rounds", "2",
            "--output", str(output),
        ],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PUBLISHED_TRACING"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "without the article's decorator" in done.stdout
    assert f"| {scenario} | Trace |" in done.stdout
    assert (
        f"{scenario}: Trace" in done.stdout.splitlines()[-1] or "Trace, class method" in done.stdout
    )
    assert len(json.loads(output.read_text())["benchmarks"]) >= 1


@pytest.mark.parametrize("scenario", ["recording", "dead backend"])
def test_middleware(scenario):
    done = subprocess.run(
        [sys.executable, "benchmarks/middleware.py", "--only", scenario, "--rounds", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"| {scenario} | bare |" in done.stdout
    assert f"{scenario}: a" in done.stdout.splitlines()[-1]
