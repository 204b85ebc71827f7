"""Blocking runs: signals stop them in good order, and the program ends as it should."""

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import pytest

from async_nexus import AsyncEventNexus, Event, LoopStopped, SimpleEventConverter, State
from async_nexus.blocking import Over, run_blocking

PROGRAM = """
import asyncio, sys
import async_nexus

nexus = async_nexus.AsyncEventNexus()

class Ready(async_nexus.SimpleEventConverter):
    async def obtain_event(self):
        print("ready", flush=True)
        return async_nexus.Event(1, 99, 0, None)

    def close(self):
        print("closed", flush=True)

nexus.register(Ready())

@nexus.on(99)
async def handle(event):
    {body}
    print("handled", flush=True)

{run}
print("went on", flush=True)
"""


def program(body: str, run: str = "nexus.loop_forever()") -> "subprocess.Popen[str]":
    """Start a tiny program in a process of its own, with a nexus whose handler has the given body."""
    source = textwrap.dedent(PROGRAM).format(body=body, run=run)
    return subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def signalled(process: "subprocess.Popen[str]", *signals: int) -> tuple[int, list[str], str]:
    """Send signals to a program once it has begun; give its exit code, what it printed, its errors."""
    assert process.stdout is not None
    assert process.stderr is not None
    hanging = threading.Timer(30, process.kill)
    hanging.start()
    with process:
        printed = process.stdout.readline()
        for number in signals:
            process.send_signal(number)
            printed += process.stdout.readline()
        printed += process.stdout.read()
        errors = process.stderr.read()
    hanging.cancel()
    return process.returncode, printed.split("\n")[:-1], errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_in_good_order(number: int) -> None:
    """L2: the handler finishes, sources are closed, `loop_forever` returns, the exit code is 0."""
    finish = "while nexus._life.accepts: await asyncio.sleep(0.001)"
    code, printed, errors = signalled(program(finish), number)
    assert (code, errors) == (0, "")
    assert printed == ["ready", "handled", "closed", "went on"]


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_cuts_off(second: int) -> None:
    """L2, L3: it is `stop(grace=0)`: the handler is cancelled, the call returns, the exit code is 0."""
    body = """
    while nexus._life.accepts: await asyncio.sleep(0.001)
    print("stopping", flush=True)
    await asyncio.sleep(1000)
    """
    code, printed, errors = signalled(program(body), signal.SIGINT, second)
    assert code == 0
    assert printed == ["ready", "stopping", "closed", "went on"]
    assert errors == "the nexus was stopped before it had handled event 1 of type 99\n"


@pytest.mark.parametrize(
    "body, expected, message",
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
        ("raise ValueError('own')", 1, "ValueError: own"),
    ],
)
def test_what_a_handler_raises_ends_the_program(body: str, expected: int, message: str) -> None:
    """T3, L4: as itself, with the exit code that Python gives it; sources are closed before."""
    code, printed, errors = signalled(program(body))
    assert code == expected
    assert message in errors
    assert "never" not in errors
    assert "pending" not in errors
    assert printed == ["ready", "closed"]


@pytest.mark.parametrize("call", [AsyncEventNexus.loop_forever, AsyncEventNexus.run_until_complete])
def test_what_a_handler_raises_has_no_context(call: Callable[[AsyncEventNexus], object]) -> None:
    """L4: as itself; nothing of how the call found out that no loop runs is told along with it."""

    class Once(SimpleEventConverter):
        async def obtain_event(self) -> Event:
            return Event(1, 99, 0, None)

    nexus = AsyncEventNexus()
    nexus.register(Once())

    @nexus.on(99)
    def fail(event: Event) -> None:
        raise ValueError("own")

    with pytest.raises(ValueError, match="own") as raised:
        call(nexus)
    assert raised.value.__context__ is None


def test_signals_mean_what_they_meant_before() -> None:
    """L2: when the call has returned, the handlers of both signals are the ones from before it."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    AsyncEventNexus().run_until_complete()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_handler_that_python_did_not_set_becomes_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """L2: one that was installed from C cannot be put back."""
    put_back = dict[int, object]()
    original = signal.signal

    def record(number: int, handler: signal.Handlers) -> None:
        put_back[number] = handler
        original(number, signal.default_int_handler if number == signal.SIGINT else handler)

    monkeypatch.setattr("async_nexus.blocking.signal.getsignal", lambda _: None)
    monkeypatch.setattr("async_nexus.blocking.signal.signal", record)
    AsyncEventNexus().run_until_complete()
    assert put_back[signal.SIGTERM] is signal.SIG_DFL


def test_other_threads_get_no_signals() -> None:
    """L2: a nexus can block there all the same."""
    nexus = AsyncEventNexus()
    thread = threading.Thread(target=nexus.run_until_complete)
    thread.start()
    thread.join(30)
    assert nexus.state is State.STOPPED


def test_loops_that_know_no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """L2: there (on Windows) they are caught the old way, and mean the same."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    graces = list[float | None]()
    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "remove_signal_handler", refuse)
    before = signal.getsignal(signal.SIGTERM)

    async def work(stopped: asyncio.Event) -> None:
        signal.raise_signal(signal.SIGTERM)
        await stopped.wait()

    def start() -> "asyncio.Task[None]":
        stopped.append(asyncio.Event())
        return asyncio.get_running_loop().create_task(work(stopped[0]))

    def stop(grace: float | None) -> None:
        graces.append(grace)
        stopped[0].set() if graces[1:] else signal.raise_signal(signal.SIGINT)

    stopped = list[asyncio.Event]()
    run_blocking(start, stop)
    assert graces == [None, 0.0]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("call", [AsyncEventNexus.loop_forever, AsyncEventNexus.run_until_complete])
def test_blocking_after_the_end(call: Callable[[AsyncEventNexus], object]) -> None:
    """L1: `LoopStopped`, as from `start`."""
    nexus = AsyncEventNexus()
    nexus.run_until_complete()
    with pytest.raises(LoopStopped):
        call(nexus)


def test_what_blocked_can_be_awaited() -> None:
    """L2: one signature for both uses; what is returned afterwards is over."""
    over = AsyncEventNexus().run_until_complete()
    assert isinstance(over, Over)

    async def main() -> None:
        await over

    asyncio.run(main())
