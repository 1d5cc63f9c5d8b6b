"""The wheel, built and installed into an empty environment."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import throughline_tracing

ROOT = Path(__file__).parents[1]

PROGRAM = """
import asyncio, pickle, sys
from throughline_tracing import Trace, TracedExecutor, __version__, bind

@Trace
class Service:
    def get(self, n): return n
    async def fetch(self): return 2
    def each(self): yield 3

@Trace(disable_tracing=True)
def quiet(): return Service().get(4)

service = Service()
with Trace("block"):
    print(service.get(1), asyncio.run(service.fetch()), list(service.each()), quiet())
with TracedExecutor() as executor:
    print(executor.submit(bind(service.get), 5).result())
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "flask", "grpc"))])
try:
    from throughline_tracing import configure
except ImportError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(target), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = target.iterdir()
    return built


def test_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    version = throughline_tracing.__version__
    assert tops == {"throughline_tracing", f"throughline_tracing-{version}.dist-info"}
    assert "throughline_tracing/py.typed" in names
    assert not [
        name for name in names if "test" in name and name != "throughline_tracing/testing.py"
    ]


def test_works_in_an_empty_environment(wheel, tmp_path):
    """The core needs nothing but the OpenTelemetry API, and says what the rest needs."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel],
        check=True,
    )
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
        text=True,
    )
    installed = {line.partition("==")[0] for line in listed.stdout.splitlines()}
    assert installed - {"pip", "setuptools"} == {
        "opentelemetry-api",
        "throughline-tracing",
        "typing_extensions",
    }
    done = subprocess.run(
        [python, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "1 2 [3] 4",
        "5",
        "[]",
        "throughline_tracing.configure needs the OpenTelemetry SDK: "
        "pip install 'throughline-tracing[otlp]'",
    ], done.stderr
