"""`async-nexus fuzz`: what is found, how it is reported, and that it comes again."""

import json
import re
import sys
from typing import Any

import pytest
from command_line import Command, Program

SOUND = """
@nexus.on(Brew)
def brew(event: Brew, queue: EventQueue[Pour]) -> None:
    queue.put_nowait(Pour(id=1, payload="tea" * event.payload.temp.bit_length()))

@nexus.on(Pour)
async def pour(event: Pour) -> None: ...
"""
CRASHES = """
@nexus.on(Brew)
def brew(event: Brew) -> None:
    print("brewing")
    100 // event.payload.temp
"""


def found(command: Command, target: str, *options: str, code: int = 1) -> list[dict[str, Any]]:
    """The crashes of a run with a fixed seed, whose exit code is checked."""
    done = command("fuzz", target, "--seed", "1", "--examples", "50", "--json", *options)
    assert done.code == code
    crashes: list[dict[str, Any]] = json.loads(done.out)["crashes"]
    return crashes


def test_nothing_found_is_0(program: Program, command: Command) -> None:
    """Handlers that take what the catalog accepts pass; invalid events, which are refused, are no crashes."""
    done = command("fuzz", program(SOUND), "--examples", "20")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"\d+ events, no crash; replay with: async-nexus fuzz \S+ --seed \d+ --examples 20\n", done.out)


def test_a_crash_is_1_and_names_place_handler_and_event(program: Program, command: Command) -> None:
    """A finding says where, in which handler, with which error and which event; the last line how to replay it."""
    target = program(CRASHES)
    done = command("fuzz", target, "--seed", "1")
    first, event, last = done.out.splitlines()
    assert done.code == 1
    assert re.fullmatch(rf"{target.partition(':')[0]}\.py:17: brew: ZeroDivisionError: .+", first)
    assert event.startswith('  valid event: {"id": ')
    assert '"payload": {"temp": 0}' in event
    assert last.endswith(f"1 crash; replay with: async-nexus fuzz {target} --seed 1 --examples 100")


def test_what_handlers_print_is_not_the_report(program: Program, command: Command) -> None:
    """Stdout is for the report alone: what handlers print goes to stderr."""
    done = command("fuzz", program(CRASHES), "--seed", "1", "--json")
    assert json.loads(done.out)["crashes"]
    assert "brewing\n" in done.err


def test_json_is_one_document(program: Program, command: Command) -> None:
    """For machines each crash has its members, and the document what replays it."""
    target = program(CRASHES)
    document = json.loads(command("fuzz", target, "--seed", "1", "--examples", "30", "--json").out)
    assert (document["seed"], document["examples"], document["undrawn"]) == (1, 30, [])
    (crash,) = document["crashes"]
    assert crash.pop("message")
    assert crash.pop("event") == crash.pop("failed_event")
    assert crash == {
        "error": "ZeroDivisionError",
        "handler": "brew",
        "file": f"{target.partition(':')[0]}.py",
        "line": 17,
        "valid": True,
    }


def test_a_seed_replays(program: Program, command: Command) -> None:
    """The same seed finds the same crash with the same event; another draws other events."""
    body = "@nexus.on(Brew)\ndef brew(event: Brew) -> None:\n    assert event.payload.temp % 7 or event.id == 1\n"
    first, again, other = (
        command("fuzz", program(body), "--seed", seed, "--json").out.replace("program", "") for seed in ("5", "5", "6")
    )
    events = [json.loads(out)["crashes"][0]["event"] for out in (first, again, other)]
    assert events[0] == events[1]
    assert events[0] != events[2]


def test_a_secondary_event_that_crashes_is_named(program: Program, command: Command) -> None:
    """The event that was thrown and the one that failed are told apart."""
    body = SOUND.replace("id=1", "id=-7").replace("...", "1 // (event.id + 7)")
    (crash,) = found(command, program(body))
    assert (crash["handler"], crash["event"]["type"], crash["failed_event"]["type"]) == ("pour", 99, "Pour")


def test_secondary_events_that_nothing_takes(program: Program, command: Command) -> None:
    """What a handler puts must be valid and handled; an event that was thrown need not be handled."""
    unhandled = "@nexus.on(Brew)\ndef brew(event, queue):\n    queue.put_nowait(Pour(id=1, payload=''))\n"
    invalid = (
        "nexus.declare(Pour)\n@nexus.on(Brew)\ndef brew(event, queue):\n    queue.put_nowait(Event(1, 'Pour', 0, 5))\n"
    )
    assert [crash["error"] for crash in found(command, program(unhandled))] == ["UnhandledEvent"]
    assert [crash["error"] for crash in found(command, program(invalid))] == ["InvalidPayload"]
    assert found(command, program("nexus.declare(Brew)"), code=0) == []


@pytest.mark.parametrize(
    "body, error",
    [
        ("@nexus.on(Brew)\nasync def brew(event): await asyncio.Event().wait()\n", "Deadlock"),
        ("@nexus.on(Brew)\nasync def brew(event, queue): await queue.put(event)\n", "Endless"),
        ("@nexus.on(Brew)\ndef brew(event): sys.exit(3)\n", "SystemExit"),
        ("@nexus.on(Brew)\ndef brew(event): raise asyncio.CancelledError\n", "CancelledError"),
        ("class Own(BaseException): ...\n@nexus.on(Brew)\ndef brew(event): raise Own\n", "Own"),
        ("@nexus.on(Brew)\nasync def brew(event): await nexus.start()\n", "LoopAlreadyStarted"),
        ("@nexus.filter\ndef sieve(event): raise KeyError(1)\n@nexus.default\ndef rest(event): ...\n", "KeyError"),
        ("@nexus.default\ndef rest(event): event.payload.temp\n", "AttributeError"),
        (
            "@nexus.on_error(InvalidPayload)\ndef dealt(failed): raise OSError\nnexus.declare(Brew)\n",
            "OSError",
        ),
    ],
)
def test_what_counts_as_a_crash(body: str, error: str, program: Program, command: Command) -> None:
    """Also handlers that never end, leave the program, are cancelled by themselves; filters and error handlers."""
    assert error in {crash["error"] for crash in found(command, program("import asyncio, sys\n" + body))}


def test_an_error_without_a_text_is_named_by_its_type(program: Program, command: Command) -> None:
    """A crash that cannot say what it is, since its `__str__` raises, is reported like any other."""
    body = """
    class Mute(Exception):
        def __str__(self): raise ValueError
    @nexus.on(Brew)
    def brew(event: Brew) -> None: raise Mute
    """
    target = program(body)
    assert command("fuzz", target, "--examples", "5").out.splitlines()[0].endswith(": brew: Mute")
    assert [(crash["error"], crash["message"]) for crash in found(command, target)] == [("Mute", "")]


def test_sleeping_and_boundaries_are_no_crash(program: Program, command: Command) -> None:
    """Hours pass in no time, and a boundary whose far side does not run never fills up."""
    body = """
    import asyncio
    nexus.add_handler(Brew, AsyncEventBoundary(maxsize=1))
    @nexus.on("slow")
    async def slow(event: Event[int]) -> None: await asyncio.sleep(3600)
    """
    assert found(command, program(body), code=0) == []


def test_sources_are_not_started(program: Program, command: Command) -> None:
    """Events come from the fuzzer alone."""
    body = """
    class Never(EventProducer[Any]):
        async def start(self) -> None: raise SystemExit(9)
    nexus.register(Never())
    nexus.add_handler(Brew, lambda event: None)
    """
    assert found(command, program(body), code=0) == []


@pytest.mark.parametrize("then", ["", "; await nexus.emit(Pour, '')"])
def test_a_handler_may_stop_the_nexus(then: str, program: Program, command: Command) -> None:
    """L3: that is no crash, and what other handlers do wrong is found all the same."""
    body = f"@nexus.on(Brew)\nasync def brew(event): nexus.stop(){then}\n"
    assert found(command, program(body + "nexus.add_handler(Pour, lambda event: None)\n"), code=0) == []
    crashes = found(command, program(body + "@nexus.on(Pour)\ndef pour(event): raise OSError\n"))
    assert {crash["error"] for crash in crashes} == {"OSError"}


def test_a_handler_that_cleans_up_ends_it(program: Program, command: Command) -> None:
    """L5: without handlers there is nothing to throw events at: that is said, and is no crash."""
    done = command("fuzz", program("@nexus.on(Brew)\ndef brew(event): nexus.cleanup()\n"), "--seed", "1")
    ended, last = done.out.splitlines()
    assert (done.code, ended) == (0, "a handler cleaned the nexus up: it took no events after that")
    assert last.startswith("1 event, no crash; ")


def test_ctrl_c_ends_it_with_130(program: Program, command: Command) -> None:
    """Also while a handler waits: it is no crash of that."""
    body = """
    import asyncio, signal
    @nexus.on(Brew)
    async def brew(event):
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(1)
    """
    done = command("fuzz", program(body))
    assert (done.code, done.out) == (130, "")


def test_a_key_that_cannot_be_drawn_is_told(program: Program, command: Command) -> None:
    """What Hypothesis cannot make is named, and the rest is fuzzed."""
    body = """
    class Opaque:
        def __init__(self, given) -> None: raise ValueError
    nexus.declare(5, Opaque)
    """
    done = command("fuzz", program(body + CRASHES.replace("\n", "\n    ")), "--seed", "1")
    assert "no events of type 5 could be drawn: " in done.out
    assert "ZeroDivisionError" in done.out


def test_without_hypothesis(program: Program, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing, and how to get it, is one line."""
    monkeypatch.delitem(sys.modules, "async_nexus.testing.fuzzing", raising=False)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    done = command("fuzz", program(SOUND))
    assert (done.code, done.out) == (2, "")
    assert done.err == "async-nexus: error: fuzz needs Hypothesis: pip install 'async-nexus[testing]'\n"
