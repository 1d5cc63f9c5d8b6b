"""Which public functions and methods of a package are not traced.

    python -m throughline_tracing.check PACKAGE

The package is imported with all its modules, and every public function and
class defined in them is looked at as it is at run time, so a decorator applied
from elsewhere counts and a comment does not::

    $ python -m throughline_tracing.check suggestions
    suggestions.service
      SuggestionsService: 2 of 3 traced
        not traced: refresh
    1 of 3 public functions and methods is not traced

What is decorated with ``@Trace(disable_tracing=True)`` counts as decided. Exit
status: 0 nothing is missing, 1 something is, 2 the package cannot be examined.
"""

from __future__ import annotations

import argparse
import enum
import functools
import importlib
import json
import os
import pkgutil
import sys
import types
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from throughline_tracing._spec import spec_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TRACED, DISABLED, MISSING, IGNORED = "traced", "disabled", "missing", "ignored"

_ROUTINES = (types.FunctionType, functools._lru_cache_wrapper)


@dataclass
class Group:
    """The functions of one module, or the methods of one class.

    Attributes:
        module: Name of the module.
        name: Qualified name of the class; empty for the module's functions.
        found: State of each function by its name.
    """

    module: str
    name: str
    found: dict[str, str] = field(default_factory=dict)

    def count(self, *states: str) -> int:
        """Return how many functions are in one of `states`."""
        return sum(state in states for state in self.found.values())

    def full_name(self, function: str) -> str:
        """Return the name that ignore patterns are matched with."""
        return ".".join(part for part in (self.module, self.name, function) if part)


def examine(package: str, ignore: Iterable[str] = ()) -> list[Group]:
    """Return what `package` defines and what of it is traced.

    Args:
        package: Name of a package or module; it is imported.
        ignore: Glob patterns over full names (``shop.service.Service.refresh``) that need
            not be traced.

    Raises:
        ImportError: The package or one of its modules cannot be imported.
    """
    patterns = tuple(ignore)
    groups: list[Group] = []
    for module in _modules(package):
        functions = Group(module.__name__, "")
        groups.append(functions)
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if isinstance(value, type):
                groups.extend(_class_groups(value))
            elif isinstance(value, _ROUTINES):
                functions.found[name] = _state(value)
    for group in groups:
        for name, state in group.found.items():
            full = group.full_name(name)
            if state == MISSING and any(fnmatchcase(full, pattern) for pattern in patterns):
                group.found[name] = IGNORED
    return [group for group in groups if group.found]


def _modules(package: str) -> Iterator[types.ModuleType]:
    root = importlib.import_module(package)
    yield root
    for info in pkgutil.walk_packages(getattr(root, "__path__", ()), f"{package}."):
        if info.name.rpartition(".")[2] != "__main__":  # importing it would run the program
            yield importlib.import_module(info.name)


def _class_groups(cls: type) -> Iterator[Group]:
    if issubclass(cls, enum.Enum):
        return
    group = Group(cls.__module__, cls.__qualname__)
    nested = []
    for name, value in vars(cls).items():
        if name.startswith("_") and name != "__call__":
            continue
        if isinstance(value, type):
            if value.__qualname__ == f"{cls.__qualname__}.{name}":
                nested.append(value)
            continue
        inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(inner, _ROUTINES) and not getattr(inner, "__isabstractmethod__", False):
            group.found[name] = _state(inner)
    yield group
    for inner_class in nested:
        yield from _class_groups(inner_class)


def _state(function: Any) -> str:
    spec = spec_of(function)
    if spec is None:
        return MISSING
    return DISABLED if spec.disabled else TRACED


def write_text(groups: list[Group], out: TextIO) -> None:
    """Write what was found for people."""
    module = None
    for group in groups:
        if group.module != module:
            module = group.module
            print(module, file=out)
        counted = group.count(TRACED, MISSING, DISABLED)
        notes = [f"{group.count(TRACED)} of {counted} traced"]
        notes += [
            f"{group.count(state)} {state}" for state in (DISABLED, IGNORED) if group.count(state)
        ]
        print(f"  {group.name or 'functions'}: {', '.join(notes)}", file=out)
        missing = [name for name, state in group.found.items() if state == MISSING]
        if missing:
            print(f"    not traced: {', '.join(missing)}", file=out)
    total = sum(group.count(TRACED, MISSING, DISABLED) for group in groups)
    missing_total = sum(group.count(MISSING) for group in groups)
    verb = "is" if missing_total == 1 else "are"
    print(f"{missing_total} of {total} public functions and methods {verb} not traced", file=out)


def write_json(groups: list[Group], out: TextIO) -> None:
    """Write what was found for programs: a list of {name, state} in the order of definition."""
    found = [
        {"name": group.full_name(name), "state": state}
        for group in groups
        for name, state in group.found.items()
    ]
    json.dump(found, out, indent=2)
    out.write("\n")


def _read_ignore_file(path: str) -> list[str]:
    """Return the patterns in a file: one per line, ``#`` begins a comment."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [text for line in lines if (text := line.partition("#")[0].strip())]


def run(arguments: Sequence[str], out: TextIO, err: TextIO) -> int:
    """Examine a package as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m throughline_tracing.check",
        description="List the public functions and methods of a package that are not traced.",
    )
    parser.add_argument("package", nargs="+", help="package or module to import and examine")
    parser.add_argument(
        "--ignore",
        metavar="PATTERN",
        action="append",
        default=[],
        help="full name, or glob, of what need not be traced, such as 'shop.cli.*'; repeatable",
    )
    parser.add_argument(
        "--ignore-file",
        metavar="FILE",
        action="append",
        default=[],
        help="file of such patterns, one per line, # begins a comment; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    options = parser.parse_args(arguments)
    groups: list[Group] = []
    try:
        ignore = [*options.ignore]
        for path in options.ignore_file:
            ignore += _read_ignore_file(path)
        for package in options.package:
            groups += examine(package, ignore)
    except OSError as error:
        print(f"check: reading {error.filename!r}: {error.strerror}", file=err)
        return 2
    except Exception as error:  # whatever importing somebody's module raises
        print(f"check: importing: {type(error).__name__}: {error}", file=err)
        return 2
    (write_json if options.json else write_text)(groups, out)
    return 1 if any(group.count(MISSING) for group in groups) else 0


def main() -> None:
    """Run on the command line."""
    # With tracing off nothing is wrapped, and everything would look untraced.
    for name in ("OTEL_SDK_DISABLED", "THROUGHLINE_TRACE_INCLUDE", "THROUGHLINE_TRACE_EXCLUDE"):
        os.environ.pop(name, None)
    # As `python -m` puts it; a console that runs with -P or -I leaves it out.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    sys.exit(run(sys.argv[1:], sys.stdout, sys.stderr))


if __name__ == "__main__":
    main()
