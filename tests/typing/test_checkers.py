"""Static checkers accept the programs of `accept/` and reject the marked lines of `reject/`, those and no others.

A mistake is a line that ends with `# E`. What may follow names the checkers that by their own limits do not
see it, and why: `# E: not ty, pyrefly (the reason)`.
"""

import ast
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from page_programs import page_programs

import async_nexus
from async_nexus import transports

HERE: Final = Path(__file__).parent
README: Final = HERE.parents[1] / "README.md"
ROOT: Final = Path(async_nexus.__file__).resolve().parents[1]
# A checker finds an installed package by itself; mypy refuses to be told of site-packages.
SEARCH_PATH: Final = [HERE] if "site-packages" in ROOT.parts else [HERE, ROOT]
PROGRAMS: Final = sorted([*HERE.glob("accept/*.py"), *HERE.glob("reject/*.py")])
DOCUMENTED: Final = page_programs()
MARK: Final = re.compile(r"# E(?:: not (?P<blind>[a-z]+(?:, [a-z]+)*) \((?P<why>.+)\))?$")

Place: TypeAlias = tuple[str, int]
"""A file's name and the first line of a statement in it."""

Report: TypeAlias = Iterator[tuple[str, int, str]]
"""Path, line and text of each thing that a checker found."""


@dataclass(frozen=True)
class Checker:
    """A static checker as the tests run it: in a directory of its own, once, on all programs."""

    name: str
    label: str
    run: Callable[[Path, Sequence[Path]], Report]


def call(tool: str, *arguments: str | Path, cwd: Path) -> str:
    """Run a tool of this environment; it ends with 1 where it has found something."""
    search = os.pathsep.join(map(str, SEARCH_PATH))
    done = subprocess.run(
        [sys.executable, "-m", tool, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "MYPYPATH": search, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode in (0, 1), f"{tool} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_mypy(directory: Path, programs: Sequence[Path], plugins: str = "") -> Report:
    (directory / "mypy.ini").write_text(f"[mypy]\nstrict = True\nplugins = {plugins}\n", encoding="utf-8")
    for line in call("mypy", "--output=json", "--no-error-summary", *programs, cwd=directory).splitlines():
        found = json.loads(line)
        if found["severity"] == "error":
            yield found["file"], found["line"], found["message"]


def run_pyright(directory: Path, programs: Sequence[Path]) -> Report:
    config = {
        "include": [os.path.relpath(path, directory) for path in programs],
        "extraPaths": list(map(str, SEARCH_PATH)),
        "typeCheckingMode": "strict",
    }
    (directory / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    report = call("pyright", "--outputjson", "--pythonpath", sys.executable, cwd=directory)
    for found in json.loads(report)["generalDiagnostics"]:
        yield found["file"], found["range"]["start"]["line"] + 1, found["message"]


def run_ty(directory: Path, programs: Sequence[Path]) -> Report:
    # A configuration of its own, however empty: else ty would read that of a directory above.
    (directory / "ty.toml").touch()
    paths = [f"--extra-search-path={path}" for path in SEARCH_PATH]
    options = ("--config-file", directory / "ty.toml", "--output-format=gitlab", "--python", sys.executable)
    for found in json.loads(call("ty", "check", *options, *paths, *programs, cwd=directory)):
        place = found["location"]
        yield place["path"], place["positions"]["begin"]["line"], found["description"]


def run_pyrefly(directory: Path, programs: Sequence[Path]) -> Report:
    # Without a configuration it takes a lax preset; `@override` is a matter of taste.
    config = 'preset = "strict"\n[errors]\nmissing-override-decorator = false\n'
    (directory / "pyrefly.toml").write_text(config, encoding="utf-8")
    paths = [f"--search-path={path}" for path in SEARCH_PATH]
    options = ("--config", directory / "pyrefly.toml", "--output-format=json")
    report = call(
        "pyrefly", "check", *options, "--python-interpreter-path", sys.executable, *paths, *programs, cwd=directory
    )
    for found in json.loads(report)["errors"]:
        yield found["path"], found["line"], found["description"]


CHECKERS: Final = (
    Checker("mypy", "mypy `--strict`", run_mypy),
    Checker("pydantic", "mypy `--strict` with `pydantic.mypy`", partial(run_mypy, plugins="pydantic.mypy")),
    Checker("pyright", "pyright, strict", run_pyright),
    Checker("ty", "ty", run_ty),
    Checker("pyrefly", "pyrefly, strict", run_pyrefly),
)
NAMES: Final = [checker.name for checker in CHECKERS]


def first_lines(source: str) -> dict[int, int]:
    """The first line of the statement that each line belongs to; a body is not part of its statement."""
    firsts: dict[int, int] = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        body: list[Any] | None = getattr(node, "body", None)
        first = min([node.lineno, *(each.lineno for each in decorators)])
        last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
        for line in range(first, last + 1):
            firsts.setdefault(line, first)
    return firsts


@dataclass(frozen=True)
class Mistake:
    """A marked line: where, and which checkers do not see it."""

    place: Place
    blind: frozenset[str]


def mistakes(path: Path) -> Iterator[Mistake]:
    source = path.read_text(encoding="utf-8")
    firsts = first_lines(source)
    for number, line in enumerate(source.splitlines(), 1):
        if "# E" in line:
            mark = MARK.search(line)
            assert mark, f"{path.name}:{number}: a mark reads `# E` or `# E: not ty, pyrefly (why)`"
            blind = frozenset((mark["blind"] or "").split(", ")) - {""}
            yield Mistake((path.name, firsts[number]), blind)


MISTAKES: Final = [mistake for path in PROGRAMS for mistake in mistakes(path)]


def found_by(checker: Checker, directory: Path) -> Mapping[Place, list[str]]:
    """What a checker says of the programs, at the statement that it says it of."""
    firsts = {path.name: first_lines(path.read_text(encoding="utf-8")) for path in PROGRAMS}
    found: dict[Place, list[str]] = {}
    for file, line, message in checker.run(directory, PROGRAMS):
        name = Path(file).name
        if name in firsts:
            found.setdefault((name, firsts[name].get(line, line)), []).append(message)
    return found


def table() -> str:
    """The table of the README: how many of the mistakes each checker sees."""
    rows = [
        f"| {checker.label} | {sum(checker.name not in each.blind for each in MISTAKES)} / {len(MISTAKES)} |"
        for checker in CHECKERS
    ]
    return "\n".join(["| checker | mistakes caught |", "|---|---|", *rows])


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS, ids=NAMES)
def test_a_checker_is_held_to_the_marks(checker: Checker, tmp_path: Path) -> None:
    """Nothing right is refused, and each mistake is seen except where the checker is known not to see it."""
    found = found_by(checker, tmp_path)
    expected = {each.place for each in MISTAKES if checker.name not in each.blind}
    wrongly_refused = {place: found[place] for place in sorted(found.keys() - expected)}
    assert wrongly_refused == {}
    assert sorted(expected - found.keys()) == []


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS, ids=NAMES)
def test_a_checker_accepts_the_documentation(checker: Checker, tmp_path: Path) -> None:
    """What a reader copies from a page is right to every checker."""
    places = {re.sub(r"\W", "_", place) + ".py": place for place in DOCUMENTED}
    for name, place in places.items():
        (tmp_path / name).write_text(DOCUMENTED[place].source, encoding="utf-8")
    found = checker.run(tmp_path, [tmp_path / name for name in places])
    assert [(places[Path(file).name], line, message) for file, line, message in found] == []


def test_marks_stand_where_they_can_be_told_apart() -> None:
    """One mark a statement, none in a right program, and only checkers that there are."""
    places = [each.place for each in MISTAKES]
    assert len(places) == len(set(places))
    assert {name for name, _ in places} == {path.name for path in HERE.glob("reject/*.py")}
    assert {name for each in MISTAKES for name in each.blind} <= set(NAMES)


def test_there_are_enough_programs() -> None:
    """At least 40 right programs, each a function of its own, and 120 mistakes."""
    right = [
        node
        for path in HERE.glob("accept/*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node)
    ]
    assert len(right) >= 40
    assert len(MISTAKES) >= 120


def test_every_engine_is_held_to_the_protocol() -> None:
    """The right programs say of each transport that it is a `Transport`: no other code of the package does."""
    engines = {
        name
        for module in pkgutil.iter_modules(transports.__path__, f"{transports.__name__}.")
        for name in vars(importlib.import_module(module.name))
        if re.fullmatch(r"\w+Transport", name)
    }
    program = (HERE / "accept" / "right_sources.py").read_text(encoding="utf-8")
    assert engines == set(re.findall(r"^    transport(?:: Transport)? = (\w+)\(", program, re.MULTILINE))


def test_the_readme_shows_what_each_checker_catches() -> None:
    """The table in the README is that of the marks, to which the checkers are held."""
    assert table() in README.read_text(encoding="utf-8"), f"put this into the README:\n{table()}"
