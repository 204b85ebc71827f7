"""The command line as a whole: help, usage, exit codes, and how fast it is."""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Command, Program, environment

from async_nexus import AsyncEventNexus
from async_nexus.journal import SqliteJournal

COMMANDS = ("run", "schema", "lock", "check", "graph", "fuzz", "replay")


def test_help_lists_the_commands(command: Command) -> None:
    """`--help` and `-h` show all seven, and the exit codes."""
    done = command("--help")
    assert (done.code, done.err) == (0, "")
    assert re.findall(r"^  (\w+)  ", done.out.partition("Commands:")[2], re.MULTILINE) == sorted(COMMANDS)
    assert "Exit codes:" in done.out
    assert command("-h") == done


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name: str, command: Command) -> None:
    """Each says what it is for."""
    assert command(name, "--help").out.startswith(f"Usage: async-nexus {name} [OPTIONS] TARGET")


def test_the_version_is_shown(command: Command) -> None:
    """`--version` names the program."""
    done = command("--version")
    assert (done.code, done.out.split()[0]) == (0, "async-nexus")


def test_no_command_at_all_shows_the_help(command: Command) -> None:
    """Nothing given is an error of use; the help goes to stderr."""
    done = command()
    assert (done.code, done.out) == (2, "")
    assert "Commands:" in done.err


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        (("fly",), "fly"),
        (("--fly",), "--fly"),
        (("graph",), "TARGET"),
        (("graph", "a:b", "c:d"), "c:d"),
        (("check", "a:b", "--mode", "sideways"), "sideways"),
        (("check", "a:b", "--ignore", "nothing"), "nothing"),
        (("check", "a:b", "--no-wiring"), "--lock"),
        (("check", "a:b", "--json", "--format", "github"), "--json"),
        (("check", "a:b", "--lock", "no-such.json"), "no-such.json"),
        (("schema", "a:b", "--asyncapi", "4.0"), "4.0"),
        (("schema", "a:b", "--title", "x"), "--format asyncapi"),
        (("run", "a:b", "--stdin", "--reload"), "--reload"),
    ],
)
def test_errors_of_use_are_one_line_and_2(arguments: tuple[str, ...], culprit: str, command: Command) -> None:
    """What is wrong is named on one line of stderr that begins with the program's name."""
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("async-nexus: error: ")
    assert done.err.count("\n") == 1
    assert culprit in done.err


def test_an_ending_that_says_no_format(program: Program, command: Command) -> None:
    """`-o` sets the format by its ending, and there are only some."""
    target = program()
    for name, file in (("graph", "a.png"), ("schema", "a.mmd"), ("lock", "a.yaml"), ("graph", "a")):
        done = command(name, target, "-o", file)
        assert (done.code, done.out) == (2, "")
        assert repr(file) in done.err
        assert not Path(file).exists()


def test_a_file_that_cannot_be_written(program: Program, command: Command) -> None:
    """A directory that is not there is an error of use."""
    done = command("graph", program(), "-o", "no/such/directory.dot")
    assert done.code == 2
    assert done.err.count("\n") == 1


def test_it_runs_as_a_module_from_any_directory(program: Program, here: Path) -> None:
    """`python -m async_nexus` is the console script."""
    target = program("nexus.on(Brew)(lambda event: None)")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "async_nexus", "check", target],
        cwd=here,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "no findings\n", "")


def shell(line: str, target: str) -> "subprocess.CompletedProcess[str]":
    """Run a line as a shell does: `$CLI` is the program, `$T` the target."""
    return subprocess.run(
        ["sh", "-c", line],
        env=environment() | {"CLI": f"{sys.executable} -m async_nexus", "T": target, "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "line", ["$CLI graph $T >&-", "$CLI --version >&-", "$CLI graph $T >&- 2>&-", "$CLI check $T 2>&-"]
)
def test_a_closed_stream_is_nowhere_to_write_to(line: str, program: Program) -> None:
    """Where the shell has closed it nobody wants to know; the exit code is as ever."""
    done = shell(line, program("nexus.on(Brew)(lambda event: None)"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the disk that is full is one of Linux")
@pytest.mark.parametrize(
    "arguments", ["graph $T", "schema $T", "check $T", "fuzz $T --examples 1", "--help", "run $T --until-complete"]
)
def test_what_cannot_be_written_to_stdout(arguments: str, program: Program) -> None:
    """It is an error of use, as it is with a file."""
    done = shell(f"$CLI {arguments} > /dev/full", program("print('loading')\nnexus.on(Brew)(lambda event: None)"))
    assert done.stderr.removeprefix("loading\n") == (
        "async-nexus: error: cannot write to stdout: No space left on device\n"
    )
    assert done.returncode == 2


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_a_reader_that_has_gone_is_no_error(arguments: tuple[str, ...], program: Program, here: Path) -> None:
    """Whose output nobody reads any more, as after `head`, ends with 1 and without a traceback."""

    async def record() -> None:
        async with AsyncEventNexus(journal=SqliteJournal("journal.db")) as nexus:
            nexus.default(lambda event: None)
            nexus.start()
            await nexus.emit(99, {"temp": 1})

    asyncio.run(record())
    reader, writer = os.pipe()
    os.close(reader)
    target = program("nexus.on(Brew)(lambda event: print('brew'))")
    done = subprocess.run(
        [sys.executable, "-m", "async_nexus", "replay", target, "journal.db", *arguments],
        env=environment() | {"PYTHONUNBUFFERED": ""},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_without_the_extra_it_says_what_to_install() -> None:
    """Where click is missing, the error of use names the extra."""
    program = "import sys; sys.modules['click'] = None; from async_nexus.cli import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "async-nexus: error: it needs click: pip install 'async-nexus[cli]'\n"


def test_the_package_itself_needs_nothing_of_the_extra() -> None:
    """`import async_nexus` imports none of what the command line needs."""
    wanted = "{'click', 'yaml', 'pygraphviz', 'watchfiles', 'async_nexus.cli', 'async_nexus.schema'}"
    program = f"from async_nexus import *; import sys; sys.exit(len({wanted} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.slow
def test_help_is_fast() -> None:
    """`--help` takes at most three times as long as importing pydantic."""

    def seconds(*arguments: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    help_times, floor = [], []
    for _ in range(9):
        help_times.append(seconds("-m", "async_nexus", "--help"))
        floor.append(seconds("-c", "import pydantic"))
    assert statistics.median(help_times) <= 3 * statistics.median(floor)
