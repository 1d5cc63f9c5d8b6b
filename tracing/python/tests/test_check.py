"""``python -m throughline_tracing.check``."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from throughline_tracing import check

SERVICE = """
import abc, enum, functools, json
from throughline_tracing import Trace
from json import dumps

@Trace
class SuggestionsService:
    def get_suggestions(self): ...
    def get_suggestions_for_article(self): ...
    def _private(self): ...
    def __repr__(self): return ""
    class Inner:
        def work(self): ...
    Codec = json.JSONEncoder

def refresh(self): ...
SuggestionsService.refresh = refresh   # added later: not traced

class Repository(abc.ABC):
    @Trace
    def load(self): ...
    @Trace(disable_tracing=True)
    def ping(self): ...
    @classmethod
    def make(cls): ...
    @staticmethod
    @Trace
    def parse(text): ...
    @abc.abstractmethod
    def need(self): ...
    def __call__(self): ...
    def helper(self): ...
    name = property(lambda self: 1)

class Color(enum.Enum):
    RED = 1
    def shade(self): ...

@Trace
def done(): ...

def open_point(): ...

@functools.lru_cache
def cached(): ...

Borrowed = dumps
service = SuggestionsService()
"""

CLEAN = """
from throughline_tracing import Trace

@Trace
class Clean:
    def work(self): ...
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    root = tmp_path / "checked_shop"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "__main__.py").write_text("raise SystemExit('ran')")
    (root / "service.py").write_text(SERVICE)
    (root / "clean.py").write_text(CLEAN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield root
    for name in [name for name in sys.modules if name.startswith("checked_shop")]:
        del sys.modules[name]


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    return check.run(arguments, out, err), out.getvalue(), err.getvalue()


def test_lists_what_is_missing_per_class(package):
    status, out, err = run("checked_shop")
    assert (status, err) == (1, "")
    assert out == (
        "checked_shop.clean\n"
        "  Clean: 1 of 1 traced\n"
        "checked_shop.service\n"
        "  functions: 1 of 4 traced\n"
        "    not traced: refresh, open_point, cached\n"
        "  SuggestionsService: 2 of 3 traced\n"
        "    not traced: refresh\n"
        "  SuggestionsService.Inner: 0 of 1 traced\n"
        "    not traced: work\n"
        "  Repository: 2 of 6 traced, 1 disabled\n"
        "    not traced: make, __call__, helper\n"
        "8 of 15 public functions and methods are not traced\n"
    )


def test_nothing_missing(package):
    status, out, _ = run("checked_shop.clean")
    assert status == 0
    assert out.endswith("0 of 1 public functions and methods are not traced\n")


def test_ignore_list(package, tmp_path):
    ignored = tmp_path / "ignore.txt"
    ignored.write_text(
        "# deliberately untraced\n\nchecked_shop.service.Repo*  # all of it\n*.Inner.work\n"
    )
    status, out, _ = run(
        "checked_shop",
        "--ignore-file", str(ignored),
        "--ignore", "checked_shop.service.SuggestionsService.refresh",
        "--ignore", "checked_shop.service.[rc]*",
    )  # fmt: skip
    assert status == 1
    assert "  Repository: 2 of 3 traced, 1 disabled, 3 ignored\n" in out
    assert "    not traced: open_point\n" in out
    assert out.endswith("1 of 8 public functions and methods is not traced\n")


def test_everything_ignored_is_success(package):
    assert run("checked_shop", "--ignore", "*")[0] == 0


def test_json(package):
    status, out, _ = run("checked_shop.clean", "--json")
    assert status == 0
    assert json.loads(out) == [{"name": "checked_shop.clean.Clean.work", "state": "traced"}]


def test_what_cannot_be_examined(package):
    assert run("no_such_package_anywhere") == (
        2,
        "",
        "check: importing: ModuleNotFoundError: No module named 'no_such_package_anywhere'\n",
    )
    (package / "broken.py").write_text("1 / 0")
    assert run("checked_shop") == (
        2,
        "",
        "check: importing: ZeroDivisionError: division by zero\n",
    )
    status, _, err = run("checked_shop", "--ignore-file", "/nowhere/at/all")
    assert status == 2
    assert err == "check: reading '/nowhere/at/all': No such file or directory\n"


def test_usage(package):
    with pytest.raises(SystemExit) as exit_:
        run()
    assert exit_.value.code == 2


@pytest.mark.parametrize(("module", "status"), [("checked_shop.clean", 0), ("checked_shop", 1)])
def test_as_a_command_even_where_tracing_is_off(package, module, status):
    done = subprocess.run(
        [sys.executable, "-m", "throughline_tracing.check", module],
        cwd=package.parent,
        env={**os.environ, "OTEL_SDK_DISABLED": "true"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (status, "")
    assert "Clean: 1 of 1 traced" in done.stdout


def test_with_an_interpreter_that_leaves_the_working_directory_out(package):
    done = subprocess.run(
        [sys.executable, "-I", "-m", "throughline_tracing.check", "checked_shop.clean"],
        cwd=package.parent,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_main_looks_in_the_working_directory(package, monkeypatch, capsys):
    monkeypatch.chdir(package.parent)
    monkeypatch.setattr(
        sys, "path", [path for path in sys.path if path not in ("", str(Path.cwd()))]
    )
    monkeypatch.setattr(sys, "argv", ["check", "checked_shop.clean"])
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.raises(SystemExit) as exit_:
        check.main()
    assert exit_.value.code == 0
    assert "Clean: 1 of 1 traced" in capsys.readouterr().out
