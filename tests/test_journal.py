"""Events on disk before they are handled, and handled at the next start if the process ends before."""

# ruff: noqa: ASYNC110, ASYNC240 -- what is waited for has no event, and looking at files is what these tests are for

import asyncio
import logging
import os
import random
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from command_line import environment
from log_records import logged
from pydantic import BaseModel

from async_nexus import (
    AsyncEventNexus,
    Event,
    EventConverter,
    EventQueue,
    InvalidPayload,
    LoopStopped,
    NamedEvent,
    SqliteJournal,
    TransportError,
    TransportUnavailable,
    UnhandledEvent,
)
from async_nexus.journal import Entry, Replay, State, read, replay
from async_nexus.journaling import Outcome, Unfinished
from async_nexus.testing import run
from async_nexus.testing.fuzzing import fuzz

PATIENCE: Final = 30.0
"""Seconds that anything is waited for; only a broken program takes that long."""
ALL: Final = frozenset(State)
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows knows neither these permissions nor this signal")


class Teapot(BaseModel):
    temp: int


class Brew(NamedEvent[Teapot], type=99): ...


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.db"


def journal(path: Path, **options: Any) -> SqliteJournal:
    """Make a journal that is fast."""
    return SqliteJournal(path, durability="process", **options)


def nexus_with(path: Path, handler: Callable[..., Any] | None = None, **options: Any) -> AsyncEventNexus[Any]:
    """Make a nexus with a journal and a default handler."""
    nexus: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal(path), **options)
    nexus.default(handler or (lambda event: None))
    return nexus


def states(path: Path) -> list[State]:
    """The states of what is recorded, in the order of acceptance."""
    return [entry.state for entry in read(path, states=ALL)]


def events(path: Path) -> list[Any]:
    """What is recorded, in the order of acceptance."""
    nexus: AsyncEventNexus[Any] = AsyncEventNexus()
    return [nexus.catalog.parse_json(entry.event) for entry in read(path, states=ALL)]


def event(id: int, *, priority: int = 0, payload: Any = None) -> Event[Any]:
    """Make an event of a type of which nothing is known."""
    return Event(id, "tea", priority, payload)


async def leave_pending(path: Path, *given: Event[Any]) -> None:
    """Have a nexus cut off before it has handled events, which it has accepted in their order."""
    begun = asyncio.Event()

    async def hang(event: Event[Any]) -> None:
        begun.set()
        await asyncio.Event().wait()

    nexus = nexus_with(path, hang)
    running = nexus.start()
    ingests = [asyncio.create_task(nexus.ingest(each)) for each in given]
    await begun.wait()
    while len(states(path)) < len(given):
        await asyncio.sleep(0.001)
    nexus.stop(grace=0)
    await running
    outcomes = await asyncio.gather(*ingests, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LoopStopped] * len(given)


# Accepting


async def test_an_event_is_on_disk_before_it_is_handled(path: Path) -> None:
    """J1: others can read it in the file when its handler begins; when it has been handled, it is marked."""
    seen: list[State] = []
    async with nexus_with(path, lambda event: seen.extend(states(path))) as nexus:
        nexus.start()
        await nexus.ingest(event(1))
    assert seen == [State.PENDING]
    assert states(path) == [State.DONE]


async def test_every_way_in_is_recorded(path: Path) -> None:
    """J2: `ingest`, `ingest_json`, `emit`, `post` and sources."""

    class Source(EventConverter[Any]):
        async def event_generator(self) -> Any:
            yield event(5)

    async with nexus_with(path) as nexus:
        nexus.register(Source())
        await_post = nexus.post(event(4))
        done = nexus.start()
        await nexus.ingest(event(1))
        await nexus.ingest_json('{"id": 2, "type": "tea", "priority": 0, "payload": null}')
        await nexus.emit("tea", None, id=3)
        for _ in range(3):  # by a fast lane, if there were one
            await nexus.emit("tea", None)
        await asyncio.wrap_future(await_post)
        nexus.stop()
        await done
    assert sorted(each.id for each in events(path)) == [1, 1, 2, 2, 3, 3, 4, 5]
    assert set(states(path)) == {State.DONE}


async def test_what_belongs_to_a_turn_is_not_recorded(path: Path) -> None:
    """J2: nested ingests and secondary events come again with the event that they follow from."""
    handled: list[int] = []

    async def handle(given: Event[Any], queue: EventQueue[Any]) -> None:
        handled.append(given.id)
        if given.id == 1:
            await nexus.ingest(event(2))
            await asyncio.create_task(nexus.ingest(event(3)))
            await queue.put(event(4))

    async with nexus_with(path, handle) as nexus:
        nexus.start()
        await nexus.ingest(event(1))
    assert handled == [1, 2, 3, 4]
    assert [each.id for each in events(path)] == [1]


async def test_what_does_not_validate_is_not_recorded(path: Path) -> None:
    """J2: only valid events are; they come back as they were, with their class and id."""
    handled: list[Brew] = []
    nexus: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal(path))
    nexus.add_handler(Brew, handled.append)
    async with nexus:
        nexus.start()
        with pytest.raises(InvalidPayload):
            await nexus.emit(99, {"temp": "hot"})
        await nexus.ingest(Event(7, 99, 3, {"temp": 90}))
    (entry,) = read(path)
    assert nexus.catalog.parse_json(entry.event) == handled[0] == Brew(id=7, priority=3, payload=Teapot(temp=90))


@pytest.mark.parametrize(
    "payload, said",
    [
        (object(), "cannot be written as JSON"),
        ("\ud800", "JSON"),
        ("x" * 100, "bytes as JSON"),
        (float("nan"), "cannot be written as JSON: JSON has neither NaN"),
        ([10**5000], "cannot be written as JSON: .*cannot be read back"),
    ],
)
async def test_what_cannot_be_written_is_refused(payload: Any, said: str, path: Path) -> None:
    """J2: its ingest raises, no handler sees it, and the nexus goes on."""
    handled: list[Any] = []
    nexus: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal(path, max_bytes=100))
    nexus.default(handled.append)
    async with nexus:
        nexus.start()
        with pytest.raises(TransportError, match=rf"event 1 of type tea .*{said}"):
            await nexus.ingest(event(1, payload=payload))
        await nexus.ingest(event(2))
    assert [each.id for each in handled] == [2]
    assert [each.id for each in events(path)] == [2]


async def test_events_take_turns_in_the_order_in_which_they_came(path: Path) -> None:
    """T1: waiting for the disk changes nothing."""
    handled: list[int] = []
    async with nexus_with(path, lambda given: handled.append(given.id)) as nexus:
        nexus.start()
        await asyncio.gather(*(nexus.ingest(event(number)) for number in range(100)))
    assert handled == [each.id for each in events(path)] == list(range(100))


async def test_a_file_that_refuses_accepts_nothing(path: Path) -> None:
    """J1: an ingest whose event could not be written raises; outcomes that could not be are written later."""
    handled: list[int] = []
    nexus: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal(path, busy_timeout=0.05))
    nexus.default(lambda given: handled.append(given.id))
    async with nexus:
        nexus.start()
        await nexus.ingest(event(1))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TransportUnavailable):
                await nexus.ingest(event(2))
        await nexus.ingest(event(3))
    assert handled == [1, 3]
    assert [each.id for each in events(path)] == [1, 3]
    assert states(path) == [State.DONE, State.DONE]


# Outcomes


async def test_an_event_whose_turn_raised_has_failed(path: Path) -> None:
    """J3: whoever ingested it was told, so it does not come again."""
    handled: list[int] = []

    def fail(given: Event[Any]) -> None:
        handled.append(given.id)
        raise ValueError("cold")

    async with nexus_with(path, fail) as nexus:
        nexus.start()
        with pytest.raises(ValueError, match="cold"):
            await nexus.ingest(event(1))
    async with AsyncEventNexus(journal=journal(path)) as empty:
        empty.start()
        with pytest.raises(UnhandledEvent):
            await empty.ingest(event(2))
    assert handled == [1]
    assert states(path) == [State.FAILED, State.FAILED]


async def test_an_event_that_is_cancelled_in_its_turn_has_failed(path: Path) -> None:
    """J3: who cancels it knows that it was interrupted; one that still waits has been taken back (T5)."""
    begun = asyncio.Event()

    async def hang(given: Event[Any]) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with nexus_with(path, hang) as nexus:
        nexus.start()
        first, second = (asyncio.create_task(nexus.ingest(event(number))) for number in (1, 2))
        await begun.wait()
        while nexus.stats().in_line < 1:
            await asyncio.sleep(0)
        for each in (second, first):
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
    assert states(path) == [State.FAILED, State.WITHDRAWN]


async def test_an_event_that_is_cancelled_while_it_is_written_is_withdrawn(path: Path) -> None:
    """J3: it may be on disk, but nothing handles it, now or later."""
    handled: list[int] = []
    async with nexus_with(path, lambda given: handled.append(given.id)) as nexus:
        nexus.start()
        await nexus.ingest(event(1))
        ingest = asyncio.create_task(nexus.ingest(event(2)))
        await asyncio.sleep(0)
        ingest.cancel()
        with suppress(asyncio.CancelledError):
            await ingest
    assert handled == [1]
    assert states(path) == [State.DONE, State.WITHDRAWN]


async def test_a_post_that_is_dropped_is_withdrawn(path: Path) -> None:
    """J3: what made room for another post is not handled."""
    begun, over = asyncio.Event(), asyncio.Event()
    handled: list[int] = []

    async def hang(given: Event[Any]) -> None:
        handled.append(given.id)
        begun.set()
        await over.wait()

    async with nexus_with(path, hang, post_limit=1, overflow="drop_oldest") as nexus:
        nexus.start()
        first = asyncio.create_task(nexus.ingest(event(1)))
        await begun.wait()
        dropped = nexus.post(event(2))
        while nexus.stats().in_line < 1:
            await asyncio.sleep(0)
        nexus.post(event(3))
        over.set()
        await first
    assert dropped.exception() is not None
    assert handled == [1, 3]
    assert states(path) == [State.DONE, State.WITHDRAWN, State.DONE]


async def test_stopping_waits_for_what_is_being_written(path: Path) -> None:
    """L3: an ingest that was under way when the nexus was told to stop is handled."""
    handled: list[int] = []
    nexus = nexus_with(path, lambda given: handled.append(given.id))
    running = nexus.start()
    ingest = asyncio.create_task(nexus.ingest(event(1)))
    await asyncio.sleep(0)
    nexus.stop()
    await asyncio.gather(running, ingest)
    assert handled == [1]
    assert states(path) == [State.DONE]


# The next start


async def test_what_was_cut_off_is_handled_at_the_next_start(path: Path) -> None:
    """J4, J5: by priority, then in the order of acceptance, with their ids; then what is new."""
    await leave_pending(path, event(1), event(2, priority=1), event(3), event(4, priority=-1))
    assert states(path) == [State.PENDING] * 4
    handled: list[int] = []

    class Source(EventConverter[Any]):
        async def event_generator(self) -> Any:
            yield event(6, priority=1)

    async def handle(given: Event[Any]) -> None:
        handled.append(given.id)
        await asyncio.sleep(0)

    nexus = nexus_with(path, handle)
    nexus.register(Source())
    async with nexus:
        nexus.start()
        await nexus.ingest(event(5, priority=1))
    assert handled == [4, 1, 3, 2, 5, 6]
    assert [each.id for each in events(path)][:4] == [1, 2, 3, 4]
    assert states(path) == [State.DONE] * 6


async def test_run_until_complete_handles_what_is_unfinished(path: Path) -> None:
    """J5: also where there is no source at all."""
    await leave_pending(path, event(1), event(2))
    handled: list[int] = []
    await nexus_with(path, lambda given: handled.append(given.id)).run_until_complete()
    assert handled == [1, 2]
    assert states(path) == [State.DONE] * 2


async def test_what_fails_when_it_is_handled_again_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """J6: it has failed, and does not stop the nexus."""
    await leave_pending(path, event(1), event(2))

    def fail_once(given: Event[Any]) -> None:
        if given.id == 1:
            raise ValueError("cold")

    await nexus_with(path, fail_once).run_until_complete()
    assert states(path) == [State.FAILED, State.DONE]
    (record,) = [each for each in logged(caplog) if each.levelno == logging.ERROR]
    assert "event 1 of type tea" in record.getMessage()
    assert record.exc_info is not None


async def test_what_does_not_validate_any_more_has_failed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """J6: the log says why, but not what its payload was; the others are handled."""
    await leave_pending(path, event(1, payload={"temp": "secret"}), event(2, payload={"temp": 90}))
    handled: list[Any] = []
    nexus: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal(path))
    nexus.declare("tea", Teapot)
    nexus.on("tea")(lambda given: handled.append(given.payload))
    await nexus.run_until_complete()
    assert handled == [Teapot(temp=90)]
    assert states(path) == [State.FAILED, State.DONE]
    assert "temp" in caplog.text
    assert "secret" not in caplog.text


async def test_what_is_cut_off_twice_comes_again(path: Path) -> None:
    """J4: a start that is cut off as well leaves it for the next one."""
    await leave_pending(path, event(1), event(2))
    begun = asyncio.Event()

    async def hang(given: Event[Any]) -> None:
        begun.set()
        await asyncio.Event().wait()

    nexus = nexus_with(path, hang)
    running = nexus.start()
    await begun.wait()
    nexus.stop(grace=0)
    await running
    assert states(path) == [State.PENDING] * 2


async def test_side_by_side_events_come_back_side_by_side(path: Path) -> None:
    """J5: events that wait for each other do so again, as they did before."""
    await leave_pending(path, event(1), event(2))
    met = asyncio.Barrier(2)

    async def meet(given: Event[Any]) -> None:
        await met.wait()

    await asyncio.wait_for(nexus_with(path, meet, concurrency=2).run_until_complete(), PATIENCE)
    assert states(path) == [State.DONE] * 2


# One at a time


async def test_a_journal_belongs_to_one_nexus_at_a_time(path: Path) -> None:
    """J7: the second one does not start, and accepts nothing; when the first has stopped, another can."""
    async with nexus_with(path) as first:
        first.start()
        await first.ingest(event(1))
        second = nexus_with(path)
        running = second.start()
        with pytest.raises(LoopStopped, match="event 2 of type tea was not accepted"):
            await second.ingest(event(2))
        with pytest.raises(TransportError, match=r"journal\.db is the journal of another nexus that runs"):
            await running
        await first.ingest(event(3))
    async with nexus_with(path) as third:
        third.start()
        await third.ingest(event(4))
    assert [each.id for each in events(path)] == [1, 3, 4]


async def test_a_file_of_another_kind_is_left_alone(path: Path) -> None:
    """J7: a database that is no journal is refused, and the nexus stops."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (text)")
    before = path.read_bytes()
    with pytest.raises(TransportError, match="no journal of async_nexus"):
        await nexus_with(path).start()
    assert path.read_bytes() == before


async def test_a_nexus_that_is_cancelled_before_it_begins_accepts_nothing(path: Path) -> None:
    """L3: who waits for the journal to be opened is told."""
    nexus = nexus_with(path)
    running = nexus.start()
    ingest = asyncio.create_task(nexus.ingest(event(1)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(LoopStopped):
        await asyncio.wait_for(ingest, PATIENCE)


@POSIX
async def test_the_files_are_for_their_user_alone(path: Path) -> None:
    """Payloads may be secret."""
    async with nexus_with(path) as nexus:
        nexus.start()
        await nexus.ingest(event(1))
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == dict.fromkeys(modes, 0o600)
    assert {"journal.db", "journal.db-wal", "journal.db-lock"} <= modes.keys()


@POSIX
async def test_a_journal_has_one_lock_whatever_it_is_called(path: Path) -> None:
    """J7: a link to it is the same journal."""
    link = path.with_name("link.db")
    async with nexus_with(path) as first:
        first.start()
        await first.ingest(event(1))
        link.symlink_to(path)
        with pytest.raises(TransportError, match="another nexus that runs"):
            await nexus_with(link).start()


def test_a_path_is_no_journal(path: Path) -> None:
    """It is said when the nexus is made, not when the first event comes."""
    wrong: Any = path
    with pytest.raises(TypeError, match="`journal` is a journal"):
        AsyncEventNexus(journal=wrong)


class MemoryJournal:
    """A journal for a test: it takes some time, and is lost with the program."""

    def __init__(self, *unfinished: Unfinished) -> None:
        self.unfinished = unfinished
        self.outcomes: dict[int, Outcome | None] = {each.position: None for each in unfinished}
        self.is_open = False

    async def start(self) -> Sequence[Unfinished]:
        """Open at last."""
        await asyncio.sleep(5)
        self.is_open = True
        return self.unfinished

    async def accept(self, event: Event[Any]) -> int:
        """Count."""
        assert self.is_open
        await asyncio.sleep(1)
        position = len(self.outcomes) + 1
        self.outcomes[position] = None
        return position

    def finish(self, position: int, outcome: Outcome) -> None:
        """Note an outcome."""
        assert self.is_open
        self.outcomes[position] = outcome

    async def close(self) -> None:
        """Close."""
        assert self.is_open
        self.is_open = False


@pytest.mark.parametrize("seed", range(5))
def test_any_journal_will_do(seed: int) -> None:
    """J1, J5: events wait for the journal, and what is unfinished comes first, whatever runs when."""
    journal = MemoryJournal(
        Unfinished(1, '{"id": 1, "type": "tea", "priority": 0, "payload": 1}'), Unfinished(2, "no JSON")
    )
    handled: list[tuple[int, float]] = []

    async def handle(given: Event[Any]) -> None:
        handled.append((given.id, asyncio.get_running_loop().time()))
        await asyncio.sleep(10)

    async def main() -> None:
        nexus: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal)
        nexus.default(handle)
        async with nexus:
            nexus.start()
            await nexus.ingest(event(3))

    run(main(), seed=seed)
    assert handled == [(1, 5.0), (3, 15.0)]
    assert journal.outcomes == {1: Outcome.DONE, 2: Outcome.FAILED, 3: Outcome.DONE}
    assert not journal.is_open


# What is kept


async def test_what_is_old_is_removed(path: Path) -> None:
    """J8: by number, but what is pending and the newest event stay, and positions go on."""
    await leave_pending(path, event(1))
    async with nexus_with(path) as nexus:
        nexus.start()
        for number in range(2, 8):
            await nexus.ingest(event(number))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE entries SET state = 2 WHERE position = 2")

    async def hang(given: Event[Any]) -> None:
        await asyncio.Event().wait()

    async def restart(**options: Any) -> list[int]:
        kept: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal(path, **options))
        kept.default(hang)
        running = kept.start()
        while kept.stats().in_turn < 1:
            await asyncio.sleep(0)
        kept.stop(grace=0)
        await running
        return [entry.position for entry in read(path)]

    assert await restart(retain_events=3) == [2, 5, 6, 7]
    assert await restart(retain=3600.0, retain_events=None) == [2, 5, 6, 7]
    assert await restart(retain=None, retain_events=None) == [2, 5, 6, 7]
    assert await restart(retain=0.0) == [2, 7]
    async with nexus_with(path) as nexus:
        nexus.start()
        await nexus.ingest(event(9))
    assert [entry.position for entry in read(path)][-1] == 8


async def test_what_becomes_old_is_removed_while_the_nexus_runs(path: Path) -> None:
    """J8: a look at each thousand events."""
    nexus: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal(path, retain_events=10))
    nexus.default(lambda given: None)
    async with nexus:
        nexus.start()
        for _ in range(4):
            await asyncio.gather(*(nexus.ingest(event(number)) for number in range(600)))
    assert len(states(path)) < 1500


@pytest.mark.parametrize("options", [{"retain": -1}, {"retain_events": -1}, {"max_bytes": 0}, {"durability": "hope"}])
def test_options_are_checked(options: dict[str, Any], path: Path) -> None:
    """What makes no sense is refused where it is said."""
    with pytest.raises(ValueError, match=next(iter(options))):
        SqliteJournal(path, **options)


# Reading and replaying


async def recorded(path: Path) -> list[Entry]:
    """Record three events."""
    async with nexus_with(path) as nexus:
        nexus.start()
        for number in (1, 2, 3):
            await nexus.ingest(event(number))
    return list(read(path))


async def test_both_ends_are_included(path: Path) -> None:
    """A journal is read by position or time; times have a zone."""
    first, second, third = await recorded(path)
    assert (first.position, second.position, third.position) == (1, 2, 3)
    assert first.time < second.time < third.time
    assert datetime.now(UTC) - first.time < timedelta(minutes=1)
    assert list(read(path, since=2, until=2)) == [second]
    assert list(read(path, since=second.time, until=second.time)) == [second]
    assert list(read(path, since=third.time + timedelta(microseconds=1))) == []
    assert list(read(path, until=first.time - timedelta(microseconds=1))) == []
    assert list(read(path, since=2**70)) == list(read(path, until=-(2**70))) == []
    assert list(read(path, since=-(2**70), until=2**70)) == [first, second, third]
    with pytest.raises(ValueError, match="has a zone"):
        read(path, since=datetime(2026, 1, 1))


async def test_what_is_recorded_while_it_is_read_is_not_read(path: Path) -> None:
    """A program may replay into a nexus that writes the journal that is read."""
    await recorded(path)
    entries = read(path)
    assert next(entries).position == 1
    await recorded(path)
    assert [each.position for each in entries] == [2, 3]


async def test_a_journal_that_is_not_there_is_not_made(path: Path) -> None:
    """Reading says so."""
    with pytest.raises(TransportError, match="cannot be opened"):
        list(read(path))
    assert not path.exists()


async def test_replay_handles_again_and_tells_what_failed(path: Path) -> None:
    """J9: one after another; no event ends it, and the journal stays as it is."""
    entries = await recorded(path)
    handled: list[int] = []

    def fail_at_two(given: Event[Any]) -> None:
        if given.id == 2:
            raise ValueError("cold")
        handled.append(given.id)

    nexus: AsyncEventNexus[Any] = AsyncEventNexus()
    nexus.default(fail_at_two)
    async with nexus:
        nexus.start()
        done = await replay(path, nexus)
    assert isinstance(done, Replay)
    assert (done.replayed, handled) == (2, [1, 3])
    (failed,) = done.failed
    assert (failed.entry, failed.is_valid, str(failed.error)) == (entries[1], True, "cold")
    assert list(read(path)) == entries


async def test_replay_tells_what_is_invalid_today(path: Path) -> None:
    """J9: nothing handles what the catalog does not accept."""
    await recorded(path)
    nexus: AsyncEventNexus[Any] = AsyncEventNexus()
    nexus.declare("tea", Teapot)
    async with nexus:
        nexus.start()
        done = await replay(path, nexus, since=3)
    assert [(each.entry.position, each.is_valid) for each in done.failed] == [(3, False)]
    assert isinstance(done.failed[0].error, InvalidPayload)


def test_fuzzing_records_nothing(path: Path) -> None:
    """A nexus that has not been started keeps no journal."""
    nexus: AsyncEventNexus[Any] = AsyncEventNexus(journal=journal(path))
    nexus.add_handler(Brew, lambda given: None)
    assert fuzz(nexus, seed=1, examples=5).events > 0
    assert not path.exists()


# Killing

CHILD = """
import asyncio, itertools, os, sys
from async_nexus import AsyncEventNexus, Event, SqliteJournal

path, first, begun_with = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def say(what: str, event: Event) -> None:
    os.write(1, f"{what} {event.id}\\n".encode())

nexus = AsyncEventNexus(journal=SqliteJournal(path, durability="process", retain=None), concurrency=3)

@nexus.default
async def handle(event: Event) -> None:
    await asyncio.sleep(0.001)
    say("handled", event)

async def feed(ids) -> None:
    for id in ids:
        event = Event(id, "tea", id % 3, id)
        await nexus.ingest(event)
        say("done", event)

async def main() -> None:
    if begun_with == "nothing":
        await nexus.run_until_complete()
        return
    async with nexus:
        nexus.start()
        ids = itertools.count(first)
        await asyncio.gather(*(feed(ids) for _ in range(8)))

asyncio.run(main())
"""


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_accepted_is_handled_although_its_process_is_killed(seed: int, path: Path) -> None:
    """J1, J5: `kill -9` at any moment; all that was accepted is handled, and nothing that was not.

    What the machine keeps when the power fails cannot be tried here.
    """
    chance = random.Random(seed)
    script = path.with_name("child.py")
    script.write_text(CHILD, encoding="utf-8")
    handled: Counter[int] = Counter()
    done: set[int] = set()
    kills = 5

    def run_child(first: int, mode: str, lines: int | None) -> None:
        """Run the program, and kill it after some lines of output."""
        with subprocess.Popen(
            [sys.executable, str(script), str(path), str(first), mode], env=environment(), stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            for count, line in enumerate(child.stdout, 1):
                what, number = line.split()
                if what == b"handled":
                    handled[int(number)] += 1
                else:
                    done.add(int(number))
                if count == lines:
                    child.kill()
        assert child.returncode == (0 if lines is None else -9)

    left = 0
    for kill in range(kills):
        run_child(1 + kill * 100_000, "events", chance.randrange(1, 300))
        pending = len(list(read(path, states={State.PENDING})))
        # Those in flight, and outcomes not written yet; of what was left before, all may wait for what is more urgent.
        assert pending <= left + 8 * 2
        left = pending
    run_child(0, "nothing", None)
    accepted = {each.id for each in events(path)}
    assert set(states(path)) == {State.DONE}
    assert accepted == set(handled)
    assert done <= accepted
    assert sum(handled.values()) - len(handled) <= kills * 8 * 2
