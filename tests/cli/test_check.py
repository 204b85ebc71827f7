"""`async-nexus check` and `lock`: what is reported, how, and with which exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, Program

from async_nexus.cli.check import CODES
from async_nexus.schema.wiring import Code

RIGHT = """
@nexus.on(Brew)
def brew(event: Brew) -> None: ...
"""
WRONG = """
@nexus.on(Brew)
def brew(event: Brew, queue: EventQueue[Pour | Brew]) -> None: ...
"""
TIMER = "nexus.register(Timer(1, event_type=7, event_factory=nexus))"


def test_the_command_knows_the_codes() -> None:
    """The codes that can be silenced are those that there are."""
    assert set(CODES) == set(Code)


def test_nothing_found_is_0(program: Program, command: Command) -> None:
    """A report also says that there is nothing."""
    assert command("check", program(RIGHT)).out == "no findings\n"


def test_findings_are_1_and_name_their_place(program: Program, command: Command) -> None:
    """Each finding is a line with file, line, code and sentence; the last line counts them."""
    target = program(WRONG)
    file = f"{target.partition(':')[0]}.py"
    done = command("check", target)
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines() == [
        f"{file}:14: unhandled-event: brew can emit Pour, which nothing handles: it would raise UnhandledEvent",
        f"{file}:14: event-cycle: secondary events can go round without end: brew -> Brew -> brew",
        "2 findings",
    ]


def test_a_finding_without_a_place_is_placed_at_the_target(program: Program, command: Command) -> None:
    """What is written in no class of the user's points to where the nexus is made."""
    target = program(TIMER)
    assert command("check", target).out.startswith(f"{target.partition(':')[0]}.py:12: unhandled-event: ")


@pytest.mark.parametrize("arguments", [("--json",), ("--format", "json")])
def test_json_is_one_document(arguments: tuple[str, ...], program: Program, command: Command) -> None:
    """For machines each finding has its six members."""
    target = program(WRONG)
    done = command("check", target, *arguments)
    document = json.loads(done.out)
    assert (done.code, document["changes"]) == (1, [])
    assert document["findings"][0] == {
        "code": "unhandled-event",
        "event": "Pour",
        "handler": "brew",
        "file": f"{target.partition(':')[0]}.py",
        "line": 14,
        "message": "brew can emit Pour, which nothing handles: it would raise UnhandledEvent",
    }


def test_json_is_one_document_also_without_findings(program: Program, command: Command) -> None:
    """Machines need no special case."""
    assert json.loads(command("check", program(RIGHT), "--json").out) == {"findings": [], "changes": []}


def test_findings_can_be_silenced(program: Program, command: Command) -> None:
    """`--ignore` may be repeated; nothing left is 0."""
    target = program(WRONG)
    assert command("check", target, "--ignore", "event-cycle").out.endswith("\n1 finding\n")
    assert command("check", target, "--ignore", "event-cycle", "--ignore", "unhandled-event").code == 0


def test_github_annotations(program: Program, command: Command) -> None:
    """One workflow command a finding; what has a meaning there is escaped."""
    target = program(TIMER.replace("event_type=7", "event_type='a%,:\\nb'"))
    done = command("check", target, "--format", "github")
    file = f"{target.partition(':')[0]}.py"
    assert done.code == 1
    assert done.out == (
        f"::error file={file},line=12,title=unhandled-event::the source Timer can emit a%25,:%0Ab, "
        "which nothing handles: it would raise UnhandledEvent\n"
    )


def locked(program: Program, command: Command, body: str = RIGHT) -> dict[str, Any]:
    """Write a lock file of a program; return its document."""
    assert command("lock", program(body)).out == ""
    document: dict[str, Any] = json.loads(Path("events.lock.json").read_text(encoding="utf-8"))
    return document


def test_lock_writes_the_same_bytes(program: Program, command: Command) -> None:
    """The lock file is in the current directory unless `-o` says otherwise, and is deterministic."""
    target = program(RIGHT)
    assert command("lock", target).code == command("lock", target, "-o", "other.json").code == 0
    assert Path("events.lock.json").read_bytes() == Path("other.json").read_bytes()


def test_what_has_not_changed_is_compatible(program: Program, command: Command) -> None:
    """A nexus fits its own lock file in every mode."""
    locked(program, command)
    for mode in ("backward", "forward", "full"):
        done = command("check", program(RIGHT), "--lock", "events.lock.json", "--mode", mode)
        assert (done.code, done.out) == (0, "no findings\n")


def test_a_breaking_change_is_1(program: Program, command: Command) -> None:
    """The report names event, field and rule; `--json` has them as members."""
    locked(program, command)
    changed = program(
        "Teapot = None\nclass Teapot(BaseModel):\n    temp: str\n\nclass Brew(NamedEvent[Teapot], type=99): ...\n"
        + RIGHT
    )
    done = command("check", changed, "--lock", "events.lock.json")
    assert done.code == 1
    first, last = done.out.splitlines()
    assert first.startswith("events.lock.json: breaking: ")
    assert "Brew, payload.temp: " in first
    assert last == "1 breaking change"
    (change,) = json.loads(command("check", changed, "--lock", "events.lock.json", "--json").out)["changes"]
    assert (change["event"], change["field"], change["verdict"]) == ("Brew", "payload.temp", "breaking")
    annotation = command("check", changed, "--lock", "events.lock.json", "--format", "github").out
    assert annotation.startswith("::error file=events.lock.json,line=1,title=")


def break_type(document: dict[str, Any]) -> None:
    """Damage a schema within an event's."""
    document["$defs"]["Teapot"]["properties"]["temp"]["type"] = 5


def break_reference(document: dict[str, Any]) -> None:
    """Take a schema away that another refers to."""
    del document["$defs"]["Teapot"]


def break_event(document: dict[str, Any]) -> None:
    """Take half of an event type away."""
    del document["events"]["99"]["serialization"]


def break_events(document: dict[str, Any]) -> None:
    """Have something else where the event types are."""
    document["events"] = []


def break_range(document: dict[str, Any]) -> None:
    """Describe no keys at all."""
    document["ranges"] = [{**document["events"]["99"], "first": 5, "last": 1, "step": 1}]


def break_key(document: dict[str, Any]) -> None:
    """Write a key that is none."""
    document["events"]['"'] = document["events"]["99"]


@pytest.mark.parametrize("damage", [break_type, break_reference, break_event, break_events, break_range, break_key])
def test_a_damaged_lock_file_is_named(
    damage: Callable[[dict[str, Any]], None], program: Program, command: Command
) -> None:
    """The lock file is to blame, not the target: on one line."""
    document = locked(program, command)
    damage(document)
    Path("events.lock.json").write_text(json.dumps(document), encoding="utf-8")
    done = command("check", program(RIGHT), "--lock", "events.lock.json")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("async-nexus: error: 'events.lock.json' is no lock file: ")


def test_no_wiring_leaves_the_wiring_out(program: Program, command: Command) -> None:
    """With `--no-wiring` only the lock file counts, without it both."""
    target = program(WRONG)
    command("lock", target)
    assert command("check", target, "--lock", "events.lock.json", "--no-wiring").code == 0
    assert command("check", target, "--lock", "events.lock.json").code == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"async_nexus_lock": 99}'])
def test_what_is_no_lock_file(content: bytes, program: Program, command: Command, here: Path) -> None:
    """A file that cannot be loaded is an error of use that names it."""
    (here / "bad.json").write_bytes(content)
    done = command("check", program(RIGHT), "--lock", "bad.json")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "'bad.json'" in done.err
