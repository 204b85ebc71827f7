"""What watches are told: each step of each event, in order, and nothing that changes what happens."""

import asyncio
import threading

import pytest

from async_nexus import AsyncEventNexus, Event, EventQueue, InvalidPayload, LoopStopped
from async_nexus.failures import FailedEvent
from async_nexus.notes import Note
from async_nexus.testing import run


def steps(notes: list[Note]) -> list[tuple[str, int]]:
    """The steps, each with the id of its event."""
    return [(note.step, note.event.id) for note in notes]


def test_an_event_and_what_follows_from_it() -> None:
    """A secondary event is put before its cause counts as handled, and is handled after it."""
    notes: list[Note] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.add_handler(1, lambda event, queue: queue.put_nowait(Event(2, 2, 0, None)))
            nexus.add_handler(2, lambda event: None)
            nexus.watch(notes.append)
            nexus.start()
            await nexus.ingest(Event(1, 1, 0, None))

    run(main())
    assert steps(notes) == [("ingested", 1), ("put", 2), ("handled", 1), ("handled", 2)]
    assert notes[1].cause is notes[0].event


def test_a_failure_is_noted_with_its_handler_and_still_raised() -> None:
    """A handler's error reaches whoever ingested, as without a watch; what it had put is dropped (T3)."""
    notes: list[Note] = []
    error = KeyError("own")

    def fail(event: Event, queue: EventQueue) -> None:
        queue.put_nowait(Event(2, 1, 0, None))
        raise error

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.add_handler(1, fail)
            nexus.watch(notes.append)
            nexus.start()
            with pytest.raises(KeyError) as caught:
                await nexus.ingest(Event(1, 1, 0, None))
            assert caught.value is error

    run(main())
    assert steps(notes) == [("ingested", 1), ("failed", 1)]
    assert notes[1].failure is not None
    assert notes[1].failure.error is error
    assert (notes[1].failure.handler or "").endswith("fail")


def test_a_failure_that_was_dealt_with_is_noted_too() -> None:
    """What the error handler puts has the failed event for its cause (F2)."""
    notes: list[Note] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.on_error(ZeroDivisionError)
            def dealt(failed: FailedEvent, queue: EventQueue) -> None:
                queue.put_nowait(Event(2, 2, 0, None))

            @nexus.on(1)
            def fails(event: Event) -> None:
                raise ZeroDivisionError

            nexus.add_handler(2, lambda event: None)
            nexus.watch(notes.append)
            nexus.start()
            await nexus.ingest(Event(1, 1, 0, None))

    run(main())
    assert steps(notes) == [("ingested", 1), ("failed", 1), ("put", 2), ("handled", 2)]
    assert notes[2].cause is notes[0].event


def test_an_invalid_payload_is_a_failure_of_no_handler() -> None:
    """What is refused at ingest (V2) is noted once, as failed, and not as ingested."""
    notes: list[Note] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.declare(1, int)
            nexus.watch(notes.append)
            nexus.start()
            with pytest.raises(InvalidPayload):
                await nexus.emit(1, "x", id=5)

    run(main())
    assert steps(notes) == [("failed", 5)]
    assert notes[0].failure is not None
    assert notes[0].failure.handler is None


def test_cancelled_in_line_and_in_its_turn() -> None:
    """T5: both are interrupted, whether the handler had begun or not."""
    notes: list[Note] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.on(1)
            async def wait(event: Event) -> None:
                await asyncio.sleep(10)

            nexus.watch(notes.append)
            nexus.start()
            first, second = [asyncio.create_task(nexus.ingest(Event(number, 1, 0, None))) for number in (1, 2)]
            await asyncio.sleep(1)
            second.cancel()
            await asyncio.sleep(1)
            first.cancel()
            await asyncio.wait((first, second))

    run(main())
    assert steps(notes) == [("ingested", 1), ("ingested", 2), ("interrupted", 2), ("interrupted", 1)]


@pytest.mark.parametrize("cut_off", [True, False])
def test_what_a_turn_leaves_when_it_is_ended_is_interrupted(cut_off: bool) -> None:
    """W4, T3, L3: the secondary events that were put and not handled yet, in their order."""
    notes: list[Note] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.on(1)
            def put(event: Event, queue: EventQueue) -> None:
                for number, priority in ((2, -1), (3, 5), (4, 0)):
                    queue.put_nowait(Event(number, 2, priority, None))

            @nexus.on(2)
            async def wait(event: Event) -> None:
                try:
                    await asyncio.sleep(10)
                except asyncio.CancelledError:
                    if not cut_off:
                        raise

            nexus.watch(notes.append)
            nexus.start()
            task = asyncio.create_task(nexus.ingest(Event(1, 1, 0, None)))
            await asyncio.sleep(1)
            nexus.stop(0) if cut_off else task.cancel()
            await asyncio.wait((task,))
            assert type(task.exception()) is LoopStopped if cut_off else task.cancelled()

    run(main())
    ended = ("handled", 2) if cut_off else ("interrupted", 2)
    assert steps(notes)[5:] == [ended, ("interrupted", 4), ("interrupted", 3)]


def test_a_post_that_is_cancelled_when_its_turn_has_been_called_is_interrupted() -> None:
    """W4, P2: its turn comes, and it is not wanted any more."""
    notes: list[Note] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.add_handler(1, lambda event: asyncio.sleep(1))
            nexus.watch(notes.append)
            nexus.start()

            async def first() -> None:
                await nexus.ingest(Event(1, 1, 0, None))
                thread = threading.Thread(target=post.cancel)
                thread.start()
                thread.join()  # the event loop hears of it when the turn has begun

            task = asyncio.create_task(first())
            await asyncio.sleep(0)
            post = nexus.post(Event(2, 1, 0, None))
            await task

    run(main())
    assert steps(notes) == [("ingested", 1), ("ingested", 2), ("handled", 1), ("interrupted", 2)]


def test_an_invalid_event_that_is_cancelled_in_line_was_refused() -> None:
    """W4, F4: it was never ingested, and so is not interrupted."""
    notes: list[Note] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.declare(2, int)
            nexus.add_handler(1, lambda event: asyncio.sleep(5))
            nexus.add_error_handler(InvalidPayload, lambda failed: None)
            nexus.watch(notes.append)
            nexus.start()
            first = asyncio.create_task(nexus.ingest(Event(1, 1, 0, None)))
            invalid = asyncio.create_task(nexus.ingest(Event(2, 2, 0, "bad")))
            await asyncio.sleep(1)
            invalid.cancel()
            await first

    run(main())
    assert steps(notes) == [("ingested", 1), ("failed", 2), ("handled", 1)]


def test_watching_begins_and_ends_at_any_time() -> None:
    """Handlers that had been called directly are seen, and are called directly again; each watch ends for itself."""
    one: list[Note] = []
    both: list[Note] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.add_handler(1, lambda event: None)
            nexus.start()
            await nexus.emit(1, None, id=1)
            end_one, end_both = nexus.watch(one.append), nexus.watch(both.append)
            await nexus.emit(1, None, id=2)
            end_one()
            await nexus.emit(1, None, id=3)
            end_both()
            await nexus.emit(1, None, id=4)

    run(main())
    assert steps(one) == [("ingested", 2), ("handled", 2)]
    assert steps(both) == [("ingested", 2), ("handled", 2), ("ingested", 3), ("handled", 3)]
