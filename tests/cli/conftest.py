"""Programs for the command line to work on, in a directory of their own."""

import importlib
import sys
import textwrap
from itertools import count
from pathlib import Path

import pytest
from command_line import HEAD, Command, Outcome, Program

from async_nexus.cli.app import run_command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, empty; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


_NUMBERS = iter(count(1).__next__, None)


@pytest.fixture
def program(here: Path) -> Program:
    """Write a module that has a nexus, of a name that no other test uses."""

    def write(body: str = "", *, head: str = HEAD, attribute: str = "nexus") -> str:
        name = f"program{next(_NUMBERS)}"
        (here / f"{name}.py").write_text(head + textwrap.dedent(body), encoding="utf-8")
        # Else one that is written right after another is not found: the times of directories are coarse.
        importlib.invalidate_caches()
        return f"{name}:{attribute}"

    return write


@pytest.fixture
def command(here: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command as the console script does, in this process."""

    def run(*arguments: str) -> Outcome:
        code = run_command(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
