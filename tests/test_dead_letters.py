"""Failed events in a file, and their way back."""

# ruff: noqa: ASYNC240 -- looking at files is what these tests are for, and nothing runs beside it

import asyncio
import json
import logging
import os
import stat
import sys
import textwrap
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from log_records import logged
from pydantic import BaseModel, Field, SecretStr

import async_nexus
from async_nexus import AsyncEventNexus, Event, NamedEvent
from async_nexus.dead_letters import DeadLetter, DeadLetters, LineFailure, Replay, read, replay
from async_nexus.failures import FailedEvent

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows knows neither these permissions nor these locks")


class Teapot(BaseModel):
    colour: str
    price: Decimal = Field(alias="cost")
    filled: datetime


class Glazed(Teapot):
    glaze: str


class Unwritable(BaseModel, arbitrary_types_allowed=True):
    what: object


class TeapotEvent(NamedEvent[Teapot], type=99): ...


POT = Teapot(colour="blue", cost=Decimal("1.10"), filled=WHEN)


def failed(
    payload: object = None,
    error: Exception | None = None,
    *,
    event: Event[Any] | None = None,
    handler: str | None = "brew",
    attempt: int = 1,
) -> FailedEvent:
    """Make a failed event."""
    return FailedEvent(event or Event(1, 99, 0, payload), error or OSError("no water"), handler, WHEN, attempt)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the dead letters go."""
    return tmp_path / "failed.jsonl"


async def write(letters: DeadLetters, *all_failed: FailedEvent) -> None:
    """Append failed events, one after another."""
    for each in all_failed:
        await letters.handle(each, None)


def payloads(path: Path) -> list[Any]:
    """What the file and those rotated away hold, oldest first."""
    return [each.event["payload"] if isinstance(each, DeadLetter) else each for each in read(path)]


# Writing


async def test_a_line_says_all_of_a_failed_event(path: Path) -> None:
    """F6: a line is one JSON object with event, error, handler, time and attempt."""
    await write(DeadLetters(path), failed({"cups": 2}, ValueError("cracked"), attempt=3))
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "when": "2026-01-02T03:04:05.678901+00:00",
        "handler": "brew",
        "attempt": 3,
        "error": {"type": "ValueError", "text": "cracked"},
        "event": {"id": 1, "type": 99, "priority": 0, "payload": {"cups": 2}},
    }


async def test_what_was_written_is_read(path: Path) -> None:
    """F6: reading gives each line with its place."""
    await write(DeadLetters(path), failed("é\n\u2028", handler=None))
    (letter,) = read(path)
    assert isinstance(letter, DeadLetter)
    assert (letter.file, letter.line, letter.when, letter.attempt) == (path, 1, WHEN, 1)
    assert (letter.handler, letter.error.type, letter.error.text) == (None, "OSError", "no water")
    assert letter.event["payload"] == "é\n\u2028"


async def test_members_of_a_group_are_told(path: Path) -> None:
    """F3: a group that a handler raised is one error, whose members a reader wants to know."""
    await write(DeadLetters(path), failed(error=ExceptionGroup("both", [OSError("a"), Missing("b")])))
    (letter,) = read(path)
    assert isinstance(letter, DeadLetter)
    told = [(member.type, member.text) for member in letter.error.errors]
    assert told == [("OSError", "a"), (f"{Missing.__module__}.Missing", "b")]


class Missing(LookupError):
    """An error of the test's own."""


@pytest.mark.parametrize("payload", [object(), b"\xff", "\ud800", Unwritable(what=object())])
async def test_a_payload_that_cannot_be_written_is_noted(path: Path, payload: object) -> None:
    """F6: the rest of the failed event is kept, with the reason."""
    await write(DeadLetters(path), failed(payload))
    (letter,) = read(path)
    assert isinstance(letter, DeadLetter)
    assert letter.event == {"id": 1, "type": 99, "priority": 0}
    assert "Error" in (letter.payload_error or "")


async def test_a_payload_that_cannot_be_read_back_is_noted(path: Path) -> None:
    """F6: what there is of it is kept, with the reason, and is not replayed as something else."""
    await write(DeadLetters(path), failed({"temp": float("nan"), "where": "kettle"}))
    (letter,) = read(path)
    assert isinstance(letter, DeadLetter)
    assert letter.event["payload"] == {"temp": None, "where": "kettle"}
    assert "JSON has neither NaN nor infinity" in (letter.payload_error or "")


async def test_a_payload_that_is_written_over_several_lines_stays_in_one(path: Path) -> None:
    """F6: one JSON object a line, however a payload's class likes its JSON."""

    class Pretty(BaseModel):
        cups: int

        def model_dump_json(self, **options: Any) -> str:
            return super().model_dump_json(**{**options, "indent": 2})

    await write(DeadLetters(path), failed(Pretty(cups=2)))
    assert payloads(path) == [{"cups": 2}]


async def test_an_error_without_a_text_does_not_keep_its_event_out(path: Path) -> None:
    """F6: what an error does when it is printed is no reason to lose an event."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    await write(DeadLetters(path), failed(1, Broken()), failed(2, OSError("\ud800")))
    assert payloads(path) == [1, 2]


async def test_a_line_is_on_disk_before_handle_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F6: `fsync` of the whole line; the first one also of the directory, which has a new name in it."""
    synced: list[tuple[bool, int]] = []

    def fsync(file: int) -> None:
        info = os.fstat(file)
        synced.append((stat.S_ISDIR(info.st_mode), 0 if stat.S_ISDIR(info.st_mode) else info.st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    letters = DeadLetters(path)
    await write(letters, failed())
    length = path.stat().st_size
    await write(letters, failed())
    assert synced == [(False, length), (True, 0), (False, 2 * length)]


async def test_writing_does_not_block_the_loop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F6: other tasks go on while a line is on its way to the disk."""
    letters = DeadLetters(path)
    loop = asyncio.get_running_loop()
    goes_on = asyncio.Event()

    def fsync(_: int) -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(60)
        loop.call_soon_threadsafe(goes_on.set)

    monkeypatch.setattr(os, "fsync", fsync)
    await write(letters, failed())
    assert goes_on.is_set()


async def test_several_at_once_keep_whole_lines(path: Path) -> None:
    """F6: failed events of several turns, and of several nexuses, do not mix."""
    letters = [DeadLetters(path), DeadLetters(path)]
    wanted = [f"{number} {'x' * 5000}" for number in range(100)]
    await asyncio.gather(*(letters[n % 2].handle(failed(text), None) for n, text in enumerate(wanted)))
    assert sorted(payloads(path)) == sorted(wanted)


@POSIX
async def test_several_processes_keep_whole_lines(path: Path) -> None:
    """F6: also while the file is rotated."""
    program = textwrap.dedent(
        """
        import asyncio, sys
        from datetime import UTC, datetime
        from async_nexus import Event
        from async_nexus.dead_letters import DeadLetters
        from async_nexus.failures import FailedEvent

        async def main():
            letters = DeadLetters(sys.argv[1], max_bytes=3000, backups=100)
            for n in range(40):
                event = Event(n, 99, 0, "x" * 100)
                await letters.handle(FailedEvent(event, OSError(), None, datetime.now(UTC), 1), None)

        asyncio.run(main())
        """
    )
    environment = os.environ | {"PYTHONPATH": str(Path(async_nexus.__file__).parents[1])}
    command = [sys.executable, "-c", program, str(path)]
    processes = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    assert payloads(path) == ["x" * 100] * 120


@POSIX
async def test_another_process_that_rotates_is_waited_for(path: Path) -> None:
    """F6: the file is locked, and the lock of one that was rotated away meanwhile is of no use."""
    import fcntl

    letters = DeadLetters(path)

    def lock() -> int:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    before = lock()
    writing = asyncio.create_task(letters.handle(failed(1), None))
    await asyncio.sleep(0.03)
    assert not writing.done()
    path.rename(path.with_name("rotated"))
    after = lock()
    os.close(before)
    await asyncio.sleep(0.03)
    assert not writing.done()
    os.close(after)
    await writing
    assert payloads(path) == [1]


@POSIX
async def test_only_the_owner_may_read(tmp_path: Path) -> None:
    """F6: payloads may be secret, also in files that rotation began; whoever wants other permissions says so."""
    before = os.umask(0)
    try:
        await write(DeadLetters(tmp_path / "a", max_bytes=1), failed(), failed())
        DeadLetters(tmp_path / "b", mode=0o640)
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {"a": 0o600, "a.1": 0o600, "b": 0o640}


# Rotation


async def test_a_full_file_is_rotated(path: Path) -> None:
    """F6: no file is longer than it may be, and reading begins with the oldest."""
    await write(DeadLetters(path), failed(0))
    letters = DeadLetters(path, max_bytes=2 * path.stat().st_size, backups=20)
    await write(letters, *map(failed, range(1, 10)))
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "failed.jsonl",
        *(f"failed.jsonl.{n}" for n in range(1, 5)),
    ]
    assert payloads(path) == list(range(10))


async def test_what_goes_beyond_the_backups_is_lost_and_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F6: disk space is bounded; nothing is lost in silence."""
    await write(DeadLetters(path, max_bytes=1, backups=2), *map(failed, range(4)))
    assert payloads(path) == [1, 2, 3]
    (record,) = logged(caplog)
    assert record.levelno == logging.WARNING
    assert "failed.jsonl.2" in record.getMessage()


async def test_a_line_longer_than_a_file_may_be_gets_its_own(path: Path) -> None:
    """F6: the bound is no reason to lose an event."""
    await write(DeadLetters(path, max_bytes=300), failed(1), failed("x" * 999), failed(2))
    assert payloads(path) == [1, "x" * 999, 2]


async def test_backups_are_read_by_number(path: Path) -> None:
    """F6: the tenth is older than the ninth, and files of other names are no backups."""
    for number in (2, 9, 10):
        await write(DeadLetters(path.with_name(f"{path.name}.{number}")), failed(number))
    path.with_name(f"{path.name}.old").write_text("no JSON")
    assert payloads(path) == [10, 9, 2]


async def test_a_file_that_was_moved_away_is_begun_anew(path: Path) -> None:
    """F6: what is to be replayed can be moved away while the program runs."""
    letters = DeadLetters(path)
    await write(letters, failed(1))
    path.rename(path.with_name("moved"))
    await write(letters, failed(2))
    assert payloads(path) == [2]


@pytest.mark.parametrize("settings", [{"max_bytes": 0}, {"backups": 0}])
def test_settings_that_make_no_sense_are_refused(path: Path, settings: dict[str, int]) -> None:
    """A mistake in the settings shows where they are made."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        DeadLetters(path, **settings)


def test_a_file_that_cannot_be_written_is_reported_at_once(tmp_path: Path) -> None:
    """F6: not when the first event has failed."""
    with pytest.raises(FileNotFoundError):
        DeadLetters(tmp_path / "missing" / "failed.jsonl")


# Broken files


async def test_a_line_that_a_crash_left_unfinished_is_reported_and_skipped(path: Path) -> None:
    """F6: at most the last line is lost."""
    letters = DeadLetters(path)
    await write(letters, failed(1))
    length = path.stat().st_size
    await write(letters, failed(2))
    os.truncate(path, length + 50)
    first, second = read(path)
    assert isinstance(first, DeadLetter)
    assert isinstance(second, LineFailure)
    assert str(second).startswith(f"{path}:2: the line is no JSON")


@pytest.mark.parametrize("cut", [1, 10])
async def test_appending_after_a_crash_begins_a_new_line(path: Path, cut: int) -> None:
    """F6: a broken line breaks no other; one that lacks only its end is whole."""
    letters = DeadLetters(path)
    await write(letters, failed(1), failed(2))
    os.truncate(path, path.stat().st_size - cut)
    await write(letters, failed(3))
    found = payloads(path)
    assert [found[0], found[2]] == [1, 3]
    assert found[1] == 2 if cut == 1 else isinstance(found[1], LineFailure)


@pytest.mark.parametrize(
    "line, reason",
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"\0\0\0", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"event": "top secret"}', "event: Input should be a valid dictionary"),
    ],
)
async def test_what_is_no_failed_event_is_reported(path: Path, line: bytes, reason: str) -> None:
    """F6: reading goes on after any line, and tells what is wrong without telling what is in it."""
    path.write_bytes(line + b"\n\n")
    await write(DeadLetters(path), failed(1))
    bad, good = read(path)
    assert isinstance(bad, LineFailure)
    assert reason in bad.reason
    assert "secret" not in bad.reason
    assert isinstance(good, DeadLetter)
    assert good.line == 3


async def test_lines_are_read_up_to_a_bound(path: Path) -> None:
    """F6: a damaged file does not fill the memory; a line of just that length is read."""
    letters = DeadLetters(path)
    await write(letters, failed("x"))
    bound = path.stat().st_size - 1
    await write(letters, failed("xx"), failed("x" * 200_000), failed("y"))
    first, *long, last = read(path, max_line=bound)
    assert isinstance(first, DeadLetter)
    assert isinstance(last, DeadLetter)
    assert long == [LineFailure(path, number, f"the line is longer than {bound} bytes") for number in (2, 3)]


def test_a_file_that_never_was_is_an_error(path: Path) -> None:
    """F6: a path that is mistyped does not look like good news."""
    with pytest.raises(FileNotFoundError):
        list(read(path))


# Replay


async def test_events_come_back_as_they_were(path: Path) -> None:
    """F6: the catalog reads payloads by pydantic's JSON rules, aliases included (V4)."""
    await write(DeadLetters(path), failed(event=TeapotEvent(id=7, priority=-3, payload=POT)))
    seen: list[Event[Any]] = []
    async with AsyncEventNexus() as nexus:
        nexus.on(TeapotEvent)(seen.append)
        nexus.start()
        assert await replay(path, nexus) == Replay(1, ())
    assert seen == [TeapotEvent(id=7, priority=-3, payload=POT)]
    assert type(seen[0]) is TeapotEvent


async def test_a_payload_of_a_subclass_is_written_whole(path: Path) -> None:
    """F6: the fields that its event's class does not know are kept."""
    glazed = Glazed(colour="blue", cost=Decimal(1), filled=WHEN, glaze="salt")
    await write(DeadLetters(path), failed(event=TeapotEvent(id=1, payload=glazed)))
    assert payloads(path)[0]["glaze"] == "salt"


async def test_a_secret_is_not_written(path: Path) -> None:
    """F6: what pydantic masks in JSON is masked, and a replayed event has the mask."""
    await write(DeadLetters(path), failed(SecretStr("xyzzy")))
    assert "xyzzy" not in path.read_text(encoding="utf-8")


async def test_a_replay_tells_what_failed_and_goes_on(path: Path) -> None:
    """F6: bad lines, unwritten payloads, payloads that do not fit and handlers that fail are told with their lines."""
    letters = DeadLetters(path)
    await write(letters, failed(1))
    with path.open("ab") as file:
        file.write(b"{\n")
    await write(letters, failed(object()), failed("two"), failed(3), failed(4))
    async with AsyncEventNexus() as nexus:

        @nexus.on(99)
        async def handler(event: Event[int]) -> None:
            if event.payload == 3:
                raise OSError("still no water")

        nexus.start()
        result = await replay(path, nexus)
    assert result.replayed == 2
    reasons = {failure.line: failure.reason for failure in result.failed}
    assert list(reasons) == [2, 3, 4, 5]
    assert "no JSON" in reasons[2]
    assert "payload could not be written" in reasons[3]
    assert "InvalidPayload" in reasons[4]
    assert reasons[5] == "OSError: still no water"
    assert {failure.file for failure in result.failed} == {path}


async def test_what_fails_again_into_the_same_file_is_not_replayed_twice(path: Path) -> None:
    """F6: a replay ends, also while the nexus appends to the file."""
    letters = DeadLetters(path)
    await write(letters, failed(1), failed(2))
    async with AsyncEventNexus() as nexus:

        @nexus.default
        async def again(event: Event) -> None:
            await letters.handle(failed(event.payload), None)

        nexus.start()
        result = await replay(path, nexus)
    assert result == Replay(2, ())
    assert payloads(path) == [1, 2, 1, 2]


async def test_a_cancelled_replay_stops(path: Path) -> None:
    """F5: a cancellation is no failed event."""
    await write(DeadLetters(path), failed(1), failed(2))
    seen: list[Any] = []
    async with AsyncEventNexus() as nexus:

        @nexus.default
        async def handler(event: Event) -> None:
            seen.append(event.payload)
            raise asyncio.CancelledError

        nexus.start()
        with pytest.raises(asyncio.CancelledError):
            await replay(path, nexus)
    assert seen == [1]


async def test_a_nexus_writes_what_fails_and_goes_on(path: Path) -> None:
    """F6: registered as an error handler, it deals with handlers' errors and with payloads that do not fit (F4)."""
    async with AsyncEventNexus() as nexus:

        @nexus.on(99)
        async def handler(event: Event[int]) -> None:
            raise OSError

        nexus.add_error_handler(Exception, DeadLetters(path))
        nexus.start()
        await nexus.emit(99, 1)
        await nexus.ingest(Event(2, 99, 0, "two"))
    letters = [each for each in read(path) if isinstance(each, DeadLetter)]
    assert [(each.event["payload"], each.error.type) for each in letters] == [
        (1, "OSError"),
        ("two", "async_nexus.errors.InvalidPayload"),
    ]
