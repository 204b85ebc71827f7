"""`async-nexus run`: whole programs, in processes of their own where signals are about."""

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from command_line import Command, Program, environment

HANDLER = """
@nexus.on(Brew)
def brew(event: Brew) -> None:
    print("brew", event.payload.temp, flush=True)

@nexus.on("fail")
def fail(event: Event) -> None:
    raise ValueError("cold")
"""
ONCE = """
class Once(SimpleEventConverter[Brew]):
    done = False
    async def obtain_event(self) -> Brew:
        if self.done:
            raise NoMoreEvents
        self.done = True
        return Brew(id=1, payload=Teapot(temp=7))

nexus.register(Once())
"""
PATIENCE = 60
"""Seconds after which a process hangs; none of these tests waits for it."""


@contextmanager
def started(here: Path, *arguments: str) -> Generator["subprocess.Popen[str]"]:
    """A command that runs until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "async_nexus", "run", *arguments],
        cwd=here,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        # Not killed at first: a program that reloads has a process of its own, which it ends.
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def event(temp: int) -> str:
    """A line that the program handles."""
    return json.dumps({"id": 1, "type": 99, "priority": 0, "payload": {"temp": temp}}) + "\n"


def line_of(process: "subprocess.Popen[str]") -> str:
    """Wait for a line on stdout."""
    assert process.stdout is not None
    return process.stdout.readline()


def write(process: "subprocess.Popen[str]", text: str) -> None:
    """Write on stdin and leave it open."""
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def test_until_complete_ends_with_the_sources(program: Program, command: Command) -> None:
    """L2: the program ends when its sources are exhausted."""
    done = command("run", program(HANDLER + ONCE), "--until-complete")
    assert (done.code, done.out, done.err) == (0, "brew 7\n", "")


def test_a_source_that_fails_is_1_with_its_traceback(program: Program, command: Command) -> None:
    """L4: what goes wrong in a source ends the program."""
    done = command("run", program(HANDLER + ONCE.replace("temp=7", "temp='hot'")))
    assert (done.code, done.out) == (1, "")
    assert "Traceback" in done.err
    assert "obtain_event" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_open_stdin_does_not_delay_a_signal(number: signal.Signals, program: Program, here: Path) -> None:
    """A signal ends the program with 0 although stdin may go on."""
    with started(here, program(HANDLER), "--stdin") as process:
        write(process, event(1))
        assert line_of(process) == "brew 1\n"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_signal_ends_with_0_although_lines_were_bad(program: Program, here: Path) -> None:
    """Only the end of the lines says whether all of them were good."""
    with started(here, program(HANDLER), "--stdin") as process:
        write(process, "no event\n")
        write(process, event(1))
        assert line_of(process) == "brew 1\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_signal_lets_the_event_be_handled_to_its_end(program: Program, here: Path) -> None:
    """L3: what a signal interrupts is finished first."""
    slow = """
    import asyncio

    @nexus.on(Brew)
    async def brew(event: Brew) -> None:
        print("begun", flush=True)
        while nexus._life.accepts:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        print("done", flush=True)
    """
    with started(here, program(slow), "--stdin") as process:
        write(process, event(1) * 20)
        assert line_of(process) == "begun\n"
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "done\n"


def test_a_program_without_stdin_waits_for_a_signal(program: Program, here: Path) -> None:
    """L2: `run` alone runs for ever; a signal ends it with 0."""
    with started(here, program(HANDLER + ONCE)) as process:
        assert line_of(process) == "brew 7\n"
        assert process.poll() is None
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_bad_lines_make_the_exit_code(program: Program, here: Path) -> None:
    """The rest goes on, each bad line is reported, and the exit code says so at the end; stdout is the program's."""
    with started(here, program(HANDLER), "--stdin") as process:
        out, err = process.communicate(
            event(1) + "\n{\n" + '{"id": 2, "type": "fail", "priority": 0, "payload": 1}\n' + event(2), PATIENCE
        )
    assert out == "brew 1\nbrew 2\n"
    assert err.splitlines() == [
        "line 3: not JSON: EOF while parsing an object at line 1 column 1",
        "line 4: a handler raised ValueError: cold",
    ]
    assert process.returncode == 1


def test_a_closed_stdin_is_an_error_of_use(program: Program, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the shell has closed it, as `<&-` does, there is one line and no traceback."""
    monkeypatch.setattr(sys, "stdin", None)
    outcome = command("run", program(HANDLER), "--stdin")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "async-nexus: error: there is no stdin to read: it is closed\n"


def test_a_file_can_be_stdin(program: Program, here: Path) -> None:
    """A redirected file, which no event loop can wait for, is read as a pipe is."""
    target = program(HANDLER)
    (here / "events.jsonl").write_text(event(1) + event(2).rstrip(), encoding="utf-8")
    with (here / "events.jsonl").open() as events:
        done = subprocess.run(
            [sys.executable, "-m", "async_nexus", "run", target, "--stdin"],
            cwd=here,
            env=environment(),
            stdin=events,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "brew 1\nbrew 2\n", "")


def poll(is_over: Callable[[], bool]) -> Iterator[int]:
    """Count until something has come, or patience is over."""
    deadline = time.monotonic() + PATIENCE
    for turn in itertools.count():
        if is_over() or time.monotonic() > deadline:
            return
        yield turn
        time.sleep(0.05)


@pytest.mark.slow
def test_reload_starts_the_program_again(program: Program, here: Path) -> None:
    """`--reload` runs what has been written meanwhile, and ends with 0 on a signal."""
    log = here / "log.txt"
    target = program(f"with open({str(log)!r}, 'a') as log:\n    print('first', file=log)\n")
    path = here / f"{target.partition(':')[0]}.py"
    changed = path.read_text(encoding="utf-8").replace("first", "second")
    log.touch()
    with started(here, target, "--reload") as process:
        for _ in poll(lambda: "first" in log.read_text(encoding="utf-8")):
            pass
        for turn in poll(lambda: "second" in log.read_text(encoding="utf-8")):
            # The watch may begin after the program has: write again, but each time leave it more time to start.
            if turn in (0, 40, 120, 280, 600):
                path.write_text(changed, encoding="utf-8")
        assert "second" in log.read_text(encoding="utf-8")
        process.terminate()
        assert process.wait(PATIENCE) == 0
