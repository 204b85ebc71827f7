"""Documentation that is executed: every Python block of README and docs, and every example program."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import async_nexus

CHECKOUT = Path(__file__).parents[1]
PACKAGE_PARENT = Path(async_nexus.__file__).parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
EXAMPLES = sorted((CHECKOUT / "docs" / "examples").glob("*.py"))

# After the comment `<!-- continues -->` a block goes on where the block before it ended.
BLOCK = re.compile(r"^(<!-- continues -->\n+)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def programs(page: str) -> Iterator[str]:
    """The programs of a page, each line at its number on the page, for the sake of tracebacks."""
    program = ""
    for block in BLOCK.finditer(page):
        if not block[1]:
            if program:
                yield program
            program = ""
        lines_above = page.count("\n", 0, block.start(2))
        program += "\n" * (lines_above - program.count("\n")) + block[2]
    if program:
        yield program


def run(script: Path, cwd: Path) -> None:
    """Run a program as a user would, warnings being errors; it has to end by itself, with no traceback."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", script],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(PACKAGE_PARENT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def page_programs() -> dict[str, str]:
    """Every program under the page and line where it begins: `docs/tutorial/index.md:12`."""
    found: dict[str, str] = {}
    for page in PAGES:
        for program in programs(page.read_text(encoding="utf-8")):
            first_line = len(program) - len(program.lstrip("\n")) + 1
            found[f"{page.relative_to(CHECKOUT).as_posix()}:{first_line}"] = program
    return found


PROGRAMS = page_programs()


@pytest.mark.parametrize("place", PROGRAMS)
def test_code_on_pages_runs(place: str, tmp_path: Path) -> None:
    """What a reader copies from a page works."""
    script = tmp_path / (place.replace("/", "-").partition(":")[0] + ".py")
    script.write_text(PROGRAMS[place], encoding="utf-8")
    run(script, tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_programs_run(example: Path) -> None:
    """Each whole program runs to its end."""
    run(example, CHECKOUT)


PYTHON_FENCE = re.compile(r"^.*[`~]{3,}\W*(?:code-block\}\s*)?(?:py|python|pycon|python3)\b", re.MULTILINE)


def test_no_python_block_escapes() -> None:
    """A block that is indented, marked otherwise or left open would not be run."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(PYTHON_FENCE.findall(text)) == len(BLOCK.findall(text)), page


def test_a_block_that_continues_shares_the_names_of_the_one_before() -> None:
    """`<!-- continues -->` makes one program of two blocks; other blocks stand alone."""
    page = "Page\n```python\na = 1\n```\n\n<!-- continues -->\n```python\nb = a\n```\n```python\nc\n```\n"
    first, second = programs(page)
    assert first.splitlines() == ["", "", "a = 1", "", "", "", "", "b = a"]
    assert second.splitlines() == [""] * 10 + ["c"]


def test_every_module_is_in_the_reference() -> None:
    """A module that is added gets its place in the API reference."""
    package = Path(async_nexus.__file__).parent
    modules = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    reference = "".join(
        path.read_text(encoding="utf-8") for path in (CHECKOUT / "docs/reference").glob("*.md")
    )
    shown = set(re.findall(r"automodule:: async_nexus\.(\w+)", reference))
    assert modules - shown - {"__init__", "mypy"} == set()
