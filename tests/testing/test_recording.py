"""`record(nexus)`: what it notes, in order and typed, and that nothing is different for being recorded."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, assert_type

import pytest
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventQueue, InvalidPayload, NamedEvent
from async_nexus.failures import FailedEvent
from async_nexus.testing import Recording, record, run


class Teapot(BaseModel):
    temp: int


class Brew(NamedEvent[Teapot], type=99): ...


class Pour(NamedEvent[str]): ...


def teahouse() -> AsyncEventNexus[Brew | Pour]:
    """A nexus whose brewing is followed by pouring, which fails where nobody has asked for tea."""
    nexus = AsyncEventNexus[Brew | Pour]()

    @nexus.on(Brew)
    def brew(event: Brew, queue: EventQueue[Pour]) -> None:
        queue.put_nowait(Pour(id=event.id + 10, payload="green" if event.payload.temp < 90 else ""))

    @nexus.on(Pour)
    def pour(event: Pour) -> None:
        if not event.payload:
            raise LookupError("no tea")

    return nexus


async def serve(nexus: AsyncEventNexus[Any], *temps: int) -> None:
    """Brew with some temperatures; failures are not raised."""
    for number, temp in enumerate(temps, 1):
        try:
            await nexus.emit(99, {"temp": temp}, id=number)
        except LookupError:
            continue


def recorded(*temps: int, nexus: AsyncEventNexus[Any] | None = None) -> Recording[Any]:
    """Record a whole life of a teahouse."""

    async def main() -> Recording[Any]:
        async with nexus or teahouse() as house:
            house.start()
            with record(house) as recording:
                await serve(house, *temps)
        return recording

    return run(main())


def ids(events: tuple[Event, ...]) -> list[int]:
    """What tells the events apart."""
    return [event.id for event in events]


def test_everything_is_noted_in_order() -> None:
    """The notes are the whole story of each event."""
    notes = [(note.step.value, note.event.id) for note in recorded(80, 95).notes]
    assert notes == [
        ("ingested", 1),
        ("put", 11),
        ("handled", 1),
        ("handled", 11),
        ("ingested", 2),
        ("put", 12),
        ("handled", 2),
        ("failed", 12),
    ]


def test_events_by_what_became_of_them() -> None:
    """Each property selects from the notes, in their order."""
    recording = recorded(80, 95)
    assert ids(recording.events) == [1, 11, 2, 12]
    assert ids(recording.ingested) == [1, 2]
    assert ids(recording.put) == [11, 12]
    assert ids(recording.handled) == [1, 11, 2]
    assert recording.interrupted == ()


def test_failures_name_event_error_and_handler() -> None:
    """A failure is what an error handler would be told."""
    (failed,) = recorded(80, 95).failures
    assert_type(failed, FailedEvent)
    assert (failed.event.id, str(failed.error)) == (12, "no tea")
    assert (failed.handler or "").endswith("pour")


def test_of_a_class_is_typed() -> None:
    """`of` takes an event class, whose events it returns as such, or a key."""
    recording = recorded(80)
    assert_type(recording.of(Brew), tuple[Brew, ...])
    assert recording.of(Brew)[0].payload.temp == 80
    assert recording.of(99) == recording.of(Brew)
    assert ids(recording.of(Event)) == [1, 11]
    assert recording.of("nothing") == ()


def test_of_the_domain_without_a_key() -> None:
    """`events` are of the nexus's domain, as far as a checker sees."""
    with record(teahouse()) as recording:
        assert_type(recording.events, tuple[Brew | Pour, ...])
    assert recording.events == ()


def test_causes_are_known() -> None:
    """Secondary events are found by the event that they follow from."""
    recording = recorded(80, 85)
    assert [ids(recording.caused_by(event)) for event in recording.ingested] == [[11], [12]]


def test_an_invalid_event_is_only_a_failure() -> None:
    """V2: what was refused is in no list of events."""

    async def main() -> Recording[Any]:
        async with teahouse() as nexus:
            nexus.start()
            with record(nexus) as recording, pytest.raises(InvalidPayload):
                await nexus.ingest(Event(1, 99, 0, {}))  # type: ignore[arg-type] # wrong on purpose
        return recording

    recording = run(main())
    assert recording.events == ()
    assert [type(failed.error) for failed in recording.failures] == [InvalidPayload]


def test_recording_ends_with_its_block() -> None:
    """What happens after the block is not noted, also where the block raised."""

    async def main() -> Recording[Any]:
        async with teahouse() as nexus:
            nexus.start()
            with suppress(KeyError), record(nexus) as recording:
                await serve(nexus, 80)
                raise KeyError
            await serve(nexus, 80)
        return recording

    assert len(run(main()).ingested) == 1


@pytest.mark.parametrize("around", [lambda nexus: None, record], ids=["alone", "recorded"])
def test_nothing_is_different_for_being_recorded(around: Callable[[AsyncEventNexus[Any]], Any]) -> None:
    """Several handlers' errors are one flat group in the order of the handlers, recorded or not (D5, T3)."""

    def fail(number: int) -> Callable[[Event], None]:
        def handler(event: Event) -> None:
            raise LookupError(number)

        return handler

    async def main() -> list[object]:
        async with AsyncEventNexus(multiple=True) as nexus:
            nexus.add_handler(1, fail(1))
            nexus.add_handler(1, lambda event, queue: queue.put_nowait(Event(2, 2, 0, None)))
            nexus.add_handler(1, fail(2))
            nexus.add_handler(2, fail(3))
            nexus.start()
            context = around(nexus)
            if context is not None:
                context.__enter__()
            with pytest.raises(ExceptionGroup) as caught:
                await nexus.emit(1, None)
            if context is not None:
                context.__exit__(None, None, None)
            return [error.args[0] for error in caught.value.exceptions]

    assert run(main()) == [1, 2, 3]
