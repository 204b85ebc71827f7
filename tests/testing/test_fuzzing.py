"""`fuzz(nexus)`: what the command line does not show."""

import asyncio

import pytest

from async_nexus import AsyncEventNexus, BadCall, Event
from async_nexus.testing import run
from async_nexus.testing.fuzzing import fuzz


def test_handlers_that_fail_together_are_told_apart() -> None:
    """The members of a group are crashes of their own, each with its handler."""
    nexus = AsyncEventNexus(multiple=True)

    @nexus.on(99)
    def one(event: Event[int]) -> None:
        raise KeyError

    @nexus.on(99)
    def two(event: Event[int]) -> None:
        raise IndexError

    crashes = fuzz(nexus, seed=1, examples=5).crashes
    found = {(type(crash.error), (crash.handler or "").rpartition(".")[2]) for crash in crashes}
    assert found == {(KeyError, "one"), (IndexError, "two")}


def test_the_smallest_event_is_kept() -> None:
    """Of all events that led to one crash the report has one that is easily read."""
    nexus = AsyncEventNexus()

    @nexus.on(99)
    def fail(event: Event[list[int]]) -> None:
        if event.payload:
            raise LookupError

    (crash,) = fuzz(nexus, seed=1, examples=200).crashes
    assert len(crash.event.payload) == 1


def test_an_event_without_json() -> None:
    """Payloads that only Python knows are measured as Python writes them."""

    class Opaque:
        def __repr__(self) -> str:
            return "Opaque()"

    nexus = AsyncEventNexus()

    @nexus.on(99)
    def fail(event: Event[Opaque]) -> None:
        raise LookupError

    assert len(fuzz(nexus, seed=1, examples=5).crashes) == 1


def test_the_same_seed_ingests_the_same_events() -> None:
    """What is drawn depends on nothing but the seed, the examples and the catalog."""

    def ingested(seed: int) -> list[Event]:
        events: list[Event] = []
        nexus = AsyncEventNexus()
        nexus.declare(99, dict[str, list[int]])

        @nexus.filter
        def note(event: Event) -> bool:
            events.append(event)
            return False

        fuzz(nexus, seed=seed, examples=20)
        return events

    assert ingested(1) == ingested(1) != ingested(2)


def test_a_nexus_that_runs_is_not_fuzzed() -> None:
    """A nexus that has been started belongs to another loop; it is refused, and none is left open."""
    nexus = AsyncEventNexus()
    nexus.add_handler(99, lambda event: None)

    async def main() -> None:
        async with nexus:
            nexus.start()
            await asyncio.sleep(0)

    run(main())
    with pytest.raises(BadCall, match="before it is started"):
        fuzz(nexus, seed=1)


def test_nothing_is_taken_afterwards() -> None:
    """The way to the handlers is closed again: a nexus that was not started refuses what comes (L1)."""
    nexus = AsyncEventNexus()
    nexus.add_handler(99, lambda event: None)
    assert fuzz(nexus, seed=1, examples=3).events > 0
    with pytest.raises(BadCall):
        run(nexus.ingest(Event(1, 99, 0, None)))
