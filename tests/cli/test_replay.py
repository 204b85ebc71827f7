"""`async-nexus replay`: the events of a journal, and today's handlers."""

import asyncio
import re
from pathlib import Path

import pytest
from command_line import Command, Program

from async_nexus import AsyncEventNexus, Event
from async_nexus.journal import SqliteJournal, read

HANDLER = """
@nexus.on(Brew)
def brew(event: Brew) -> None:
    if event.payload.temp < 0:
        raise ValueError("frozen")
    print("brew", event.payload.temp, flush=True)
"""


@pytest.fixture
def journal(here: Path) -> str:
    """A journal of two pots, a broken one, one too cold and one of another kind."""

    async def record() -> None:
        async with AsyncEventNexus(journal=SqliteJournal("journal.db")) as nexus:
            nexus.default(lambda event: None)
            nexus.start()
            for number, temp in enumerate([90, 95, "hot", -1], 1):
                await nexus.ingest(Event(number, 99, 0, {"temp": temp}))
            await nexus.ingest(Event(5, "scone", 0, 1))

    asyncio.run(record())
    return "journal.db"


def test_events_are_handled_by_the_handlers_of_today(program: Program, command: Command, journal: str) -> None:
    """J9: each is handled in the order of acceptance; what fails is reported with its position, the rest goes on."""
    done = command("replay", program(HANDLER), journal)
    assert (done.code, done.out) == (1, "brew 90\nbrew 95\n")
    *lines, summary = done.err.splitlines()
    assert lines[0].startswith("3: wrong payload: ")
    assert "temp" in lines[0]
    assert "hot" not in lines[0]
    assert lines[1] == "4: a handler raised ValueError: frozen"
    assert lines[2].startswith("5: unhandled: ")
    assert summary == "2 events replayed, 2 failed, 1 invalid"


def test_all_good_is_0(program: Program, command: Command, journal: str) -> None:
    """The exit code says that every event was handled."""
    done = command("replay", program(HANDLER), journal, "--to", "2")
    assert (done.code, done.out, done.err) == (0, "brew 90\nbrew 95\n", "2 events replayed, 0 failed, 0 invalid\n")


def test_both_ends_are_included(program: Program, command: Command, journal: str) -> None:
    """Positions and times may mix."""
    second = list(read(journal))[1].time
    for begin, end in [("2", "2"), (second.isoformat(), "2"), ("2", second.isoformat())]:
        done = command("replay", program(HANDLER), journal, "--from", begin, "--to", end)
        assert (done.code, done.out) == (0, "brew 95\n")


def test_a_time_without_a_zone_is_local(program: Program, command: Command, journal: str) -> None:
    """As a clock on the wall says it."""
    second = list(read(journal))[1].time.astimezone().replace(tzinfo=None)
    done = command("replay", program(HANDLER), journal, "--from", second.isoformat(), "--to", "2")
    assert (done.code, done.out) == (0, "brew 95\n")


def test_states_choose(program: Program, command: Command, journal: str) -> None:
    """`--state` leaves the others out."""
    done = command("replay", program(HANDLER), journal, "--state", "failed", "--state", "pending")
    assert (done.code, done.err) == (0, "0 events replayed, 0 failed, 0 invalid\n")


def test_a_dry_run_calls_nobody(program: Program, command: Command, journal: str) -> None:
    """It says on stdout who would take each event, and what is wrong with the others."""
    done = command("replay", program(HANDLER), journal, "--dry-run")
    assert done.code == 1
    lines = [re.sub(r"^(\d+) \S+ ", r"\1 ", line) for line in done.out.splitlines()]
    assert lines[:2] == ["1 event 1 of type 99: brew", "2 event 2 of type 99: brew"]
    assert lines[2].startswith("3 wrong payload: ")
    assert lines[3:] == ["4 event 4 of type 99: brew", "5 event 5 of type scone: unhandled"]
    assert done.err == "3 events would be handled, 1 unhandled, 1 invalid\n"


def test_a_recorded_key_cannot_forge_a_line(program: Program, command: Command, here: Path) -> None:
    """Keys come from whoever sent the events: with line breaks in them each event is one line all the same."""

    async def record() -> None:
        async with AsyncEventNexus(journal=SqliteJournal("forged.db")) as nexus:
            nexus.default(lambda event: None)
            nexus.start()
            await nexus.ingest(Event(1, "x\n2 event 2 of type 99\x1b[2J", 0, None))

    asyncio.run(record())
    (line,) = command("replay", program(HANDLER), "forged.db", "--dry-run").out.splitlines()
    assert line.endswith(" event 1 of type x 2 event 2 of type 99 [2J: unhandled")


def test_a_dry_run_names_filters(program: Program, command: Command, journal: str) -> None:
    """A filter comes first, and might consume the event."""
    filtered = HANDLER + "@nexus.filter\ndef look(event: Event) -> bool:\n    return False\n"
    done = command("replay", program(filtered), journal, "--dry-run", "--to", "1")
    assert done.out.endswith(": look, then brew\n")


def test_neither_sources_nor_the_journal_of_the_nexus_are_touched(
    program: Program, command: Command, journal: str, here: Path
) -> None:
    """J9: the nexus runs without them, and what was recorded stays as it is."""
    own = """
    nexus = AsyncEventNexus(journal=SqliteJournal("journal.db"))

    @nexus.on(99)
    def brew(event: Event) -> None:
        print("brew", event.id, flush=True)

    class Loud(EventProducer):
        async def start(self) -> None:
            print("started")
        def close(self) -> None:
            print("closed")

    nexus.register(Loud())
    """
    before = list(read(journal))
    done = command("replay", program(own), journal, "--to", "2")
    assert (done.code, done.out) == (0, "brew 1\nbrew 2\n")
    assert list(read(journal)) == before


def test_handlers_may_post_and_emit(program: Program, command: Command, journal: str) -> None:
    """The nexus runs as any other: what handlers do with it works."""
    posting = """
    @nexus.on(Brew)
    async def brew(event: Brew) -> None:
        nexus.post(Pour(id=1, payload="posted"))
        await nexus.emit(Pour, "emitted")

    @nexus.on(Pour)
    def pour(event: Pour) -> None:
        print(event.payload, flush=True)
    """
    done = command("replay", program(posting), journal, "--to", "1")
    assert (done.code, done.out) == (0, "emitted\nposted\n")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["none.db"], "none.db"),
        (["other.txt"], "no SQLite database"),
        (["journal.db", "--from", "soon"], "'soon' is neither a position"),
        (["journal.db", "--state", "lost"], "lost"),
    ],
)
def test_wrong_use_is_2(
    arguments: list[str], said: str, program: Program, command: Command, journal: str, here: Path
) -> None:
    """A journal that is not there, another file, an end or a state that is none: one line."""
    (here / "other.txt").write_text("no journal " * 100, encoding="utf-8")
    done = command("replay", program(HANDLER), *arguments)
    assert done.code == 2
    assert done.err.startswith("async-nexus: error: ")
    assert said in done.err
    assert not (here / "none.db").exists()


def test_a_nexus_that_stops_ends_the_replay(program: Program, command: Command, journal: str) -> None:
    """L3: the event that is being handled is finished; one more may be under way, but not all."""
    stopping = """
    @nexus.default
    async def stop(event: Event) -> None:
        nexus.stop()
        print("stopped at", event.id, flush=True)
    """
    done = command("replay", program(stopping), journal)
    assert done.code == 0
    assert done.out.startswith("stopped at 1\n")
    assert "stopped at 5" not in done.out


def test_a_domain_behind_a_boundary_is_not_run(program: Program, command: Command, journal: str) -> None:
    """What is put into a boundary that nobody empties would be held up for ever."""
    bounded = """
    boundary = AsyncEventBoundary()
    AsyncEventNexus().add_producer(boundary)
    nexus.add_handler(-1, boundary)
    """
    done = command("replay", program(bounded), journal)
    assert (done.code, done.out) == (2, "")
    assert "leads to another domain" in done.err
    assert command("replay", program(bounded), journal, "--dry-run", "--to", "1").code == 0
