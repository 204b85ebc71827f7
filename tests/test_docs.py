"""Documentation that is executed: every Python block of README and docs, and the flow that is drawn."""

import asyncio
import functools
import importlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType

import pytest
from page_programs import BLOCK, CHECKOUT, PAGES, page_programs, programs

import async_nexus
from async_nexus import AsyncEventNexus, Event, EventConverter, EventQueue

PACKAGE_PARENT = Path(async_nexus.__file__).parents[1]


def run(script: Path, cwd: Path) -> str:
    """Run a program as a user would, warnings being errors; it has to end by itself, with no traceback."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", script],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(PACKAGE_PARENT), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


PROGRAMS = page_programs()


@pytest.mark.parametrize("place", PROGRAMS)
def test_code_on_pages_runs(place: str, tmp_path: Path) -> None:
    """What a reader copies from a page works, and prints what the page says that it prints."""
    program = PROGRAMS[place]
    script = tmp_path / (place.replace("/", "-").partition(":")[0] + ".py")
    script.write_text(program.source, encoding="utf-8")
    output = run(script, tmp_path)
    assert not program.output or output == program.output


def test_every_example_program_is_tested() -> None:
    """`test_examples` runs each whole program in docs/examples."""
    tests = (CHECKOUT / "tests" / "test_examples.py").read_text(encoding="utf-8")
    assert [path for path in CHECKOUT.glob("docs/examples/*.py") if f'run("{path.name}"' not in tests] == []


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
    assert first.source.splitlines() == ["", "", "a = 1", "", "", "", "", "b = a"]
    assert second.source.splitlines() == [""] * 10 + ["c"]


def test_a_block_of_text_is_what_the_program_before_it_prints() -> None:
    """Output counts if it follows the program at once; of a program in two blocks it is put together."""
    block, output, goes_on = "```python\nx\n```\n", "\n```text\n1\n```\n", "<!-- continues -->\n"
    assert [each.output for each in programs(block + output + block + "words\n" + output)] == ["1\n", ""]
    assert [each.output for each in programs(block + output + goes_on + block + output)] == ["1\n1\n"]


def test_every_module_is_in_the_reference() -> None:
    """A module that is added gets its place in the API reference."""
    package = Path(async_nexus.__file__).parent
    modules = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    reference = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "docs/reference").glob("*.md"))
    shown = set(re.findall(r"automodule:: async_nexus\.(\w+)", reference))
    assert modules - shown - {"__init__", "__main__", "mypy"} == set()


FLOW = (CHECKOUT / "docs" / "explanation" / "flow.md").read_text(encoding="utf-8")


def called_on_the_way_of_an_event() -> list[str]:
    """The package's functions, in the order in which one event and its secondary event call them."""
    called: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        module = str(frame.f_globals.get("__name__"))
        if event == "call" and module.startswith("async_nexus."):
            called.append(f"{module.removeprefix('async_nexus.')}.{frame.f_code.co_qualname}")

    class Source(EventConverter):
        async def event_generator(self) -> AsyncIterator[Event]:
            yield Event(1, 99, 0, "1")

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.filter
            def pass_on(event: Event) -> bool:
                return False

            @nexus.on(99)
            async def answer(event: Event[int], queue: EventQueue) -> None:
                await queue.put(Event(2, 100, 0, event.payload))

            @nexus.on(100)
            def end(event: Event[int]) -> None:
                assert event.payload == 1

            nexus.register(Source())
            sys.setprofile(note)
            try:
                await nexus.run_until_complete()
            finally:
                sys.setprofile(None)

    asyncio.run(main())
    return called


def test_the_flow_of_an_event_is_as_drawn() -> None:
    """An event calls the functions that the explanation's table names, in its order."""
    steps = re.findall(r"^\| \d+ \|.*\| (.*) \|$", FLOW, re.MULTILINE)
    named = [name for step in steps for name in re.findall(r"`(.+?)`", step)]
    called = iter(called_on_the_way_of_an_event())
    missed = [name for name in named if name not in called]
    assert len(named) >= 10
    assert missed == []


def test_whatever_the_flow_names_exists() -> None:
    """Functions that the explanation names beside the table are there to be read."""
    for name in re.findall(r"`(\w+(?:\.\w+)+)`", FLOW):
        module, *path = name.split(".")
        functools.reduce(getattr, path, importlib.import_module(f"async_nexus.{module}"))
