"""So many calls of one handler at a time."""

import asyncio
import inspect

import pytest

from async_nexus import AsyncEventNexus, BadCall, Event, EventQueue, InvalidHandler, NamedEvent
from async_nexus.middleware import limit
from async_nexus.testing import run

EVENT = Event(1, 99, 0, None)


class TeapotEvent(NamedEvent[str], type=99): ...


def test_at_most_so_many_calls_run_at_a_time() -> None:
    """K4: further calls wait until one has ended, first come first served."""
    running, most = 0, 0
    order: list[int] = []

    @limit(2)
    async def handler(event: Event) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        order.append(event.id)
        await asyncio.sleep(1)
        running -= 1

    async def main() -> float:
        await asyncio.gather(*(handler(Event(i, 99, 0, None)) for i in range(5)))
        return asyncio.get_running_loop().time()

    assert run(main()) == 3
    assert most == 2
    assert order == [0, 1, 2, 3, 4]


def test_a_call_that_fails_frees_its_place() -> None:
    """K4: errors come through, and the next call goes on."""

    @limit(1)
    async def handler(event: Event) -> None:
        raise OSError(event.id)

    async def main() -> list[BaseException | None]:
        return list(await asyncio.gather(handler(EVENT), handler(EVENT), return_exceptions=True))

    assert [type(each) for each in run(main())] == [OSError, OSError]


def test_a_call_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    """T5: who is no longer there does not keep others waiting."""

    @limit(1)
    async def handler(event: Event) -> None:
        await asyncio.sleep(1)

    async def main() -> float:
        tasks = [asyncio.create_task(handler(EVENT)) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await tasks[2]
        return asyncio.get_running_loop().time()

    assert run(main()) == 2


def test_a_call_that_is_cancelled_when_it_is_next_passes_its_place_on() -> None:
    """T5: also between its place having become free and its first step."""

    @limit(1)
    async def handler(event: Event) -> None:
        await asyncio.sleep(1)

    async def main() -> float:
        async def first() -> None:
            await handler(EVENT)
            tasks[1].cancel()

        tasks = [asyncio.create_task(first()), *(asyncio.create_task(handler(EVENT)) for _ in range(2))]
        await tasks[2]
        assert tasks[1].cancelled()
        return asyncio.get_running_loop().time()

    assert run(main()) == 2


def test_a_call_that_ends_as_the_next_one_is_cancelled_has_succeeded() -> None:
    """T5: a place goes to nobody who is about to leave, but to the next one."""

    @limit(1)
    async def handler(event: Event) -> None:
        await asyncio.sleep(1)

    async def main() -> float:
        tasks = [asyncio.create_task(handler(EVENT)) for _ in range(3)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(1, tasks[1].cancel)
        await asyncio.gather(tasks[0], tasks[2])
        assert tasks[1].cancelled()
        return asyncio.get_running_loop().time()

    assert run(main()) == 2


def test_the_signature_is_kept() -> None:
    """K4: checkers and the nexus see the handler as it was written."""

    @limit(2)
    async def handler(event: TeapotEvent, queue: EventQueue[TeapotEvent]) -> None:
        """Brew."""

    assert list(inspect.signature(handler).parameters) == ["event", "queue"]
    assert handler.__doc__ == "Brew."
    nexus = AsyncEventNexus()
    nexus.on(TeapotEvent)(handler)
    ((_, registered),) = nexus.handlers
    assert registered.takes_queue


def test_a_nexus_claims_by_a_limited_handlers_annotation() -> None:
    """C1: the annotation says what the payload is, as without the limit."""
    nexus = AsyncEventNexus()

    @nexus.on(99)
    @limit(1)
    async def handler(event: Event[int]) -> None:
        pass

    assert nexus.catalog[99].payload_type is int


def test_waiting_for_oneself_is_refused() -> None:
    """T4: a nested call that could never begin raises at once instead of waiting for ever."""

    @limit(1)
    async def handler(event: Event) -> None:
        await handler(event)

    with pytest.raises(BadCall, match=r"handler waits for itself: it is limited to 1 at a time"):
        run(handler(EVENT))


def test_a_task_that_the_handler_does_not_wait_for_may_call_it() -> None:
    """K4: it waits for its place like anyone else, nested in the turn or not; who awaits whom cannot be seen."""
    handled: list[object] = []

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.default
            @limit(1)
            async def handler(event: Event[int]) -> None:
                if event.payload:
                    tasks.append(asyncio.create_task(nexus.emit("again", event.payload - 1)))
                await asyncio.sleep(1)
                handled.append(event.payload)

            tasks: list[asyncio.Task[None]] = []
            nexus.start()
            await nexus.emit("again", 2)
            await asyncio.gather(*tasks)

    run(main())
    assert handled == [2, 1, 0]


def test_a_task_that_outlives_the_call_it_was_born_in_waits_like_anyone_else() -> None:
    """T4: it is inside of that call no more."""
    tasks: list[asyncio.Task[None]] = []

    @limit(1)
    async def handler(event: Event) -> None:
        if event.payload:
            tasks.append(asyncio.create_task(later()))
        else:
            await asyncio.sleep(2)

    async def later() -> None:
        await asyncio.sleep(1)
        await handler(EVENT)

    async def main() -> float:
        await handler(Event(1, 99, 0, "start"))
        await handler(EVENT)
        await tasks[0]
        return asyncio.get_running_loop().time()

    assert run(main()) == 4


def test_siblings_wait_for_each_other_inside_of_their_call() -> None:
    """K4: a call that fans out keeps one place, and those that it awaits share the others."""

    @limit(2)
    async def handler(event: Event) -> None:
        await asyncio.sleep(1)
        if event.payload:
            await asyncio.gather(*(handler(EVENT) for _ in range(3)))

    async def main() -> float:
        await handler(Event(1, 99, 0, "fan out"))
        return asyncio.get_running_loop().time()

    assert run(main()) == 4


def test_waiting_for_each_other_is_refused() -> None:
    """T4: the last of the calls that would wait for each other is refused, so that the others go on."""

    @limit(2)
    async def handler(event: Event) -> None:
        await asyncio.sleep(1)
        if event.payload:
            await handler(Event(1, 99, 0, event.payload - 1))

    async def main() -> list[BaseException | None]:
        return await asyncio.gather(*(handler(Event(1, 99, 0, 1)) for _ in range(2)), return_exceptions=True)

    assert sorted(type(each).__name__ for each in run(main())) == ["BadCall", "NoneType"]


def test_a_nested_call_waits_for_others_that_will_end() -> None:
    """K4: as long as one holder of a place goes on, waiting is right."""

    @limit(2)
    async def handler(event: Event) -> None:
        await asyncio.sleep(event.id)
        if event.payload:
            await handler(Event(1, 99, 0, None))

    async def main() -> float:
        await asyncio.gather(handler(Event(1, 99, 0, "nested")), handler(Event(5, 99, 0, None)))
        return asyncio.get_running_loop().time()

    assert run(main()) == 6


def test_who_waited_for_a_place_counts_as_its_holder() -> None:
    """K4: a nested call also waits for those that had to wait themselves."""

    @limit(2)
    async def handler(event: Event) -> None:
        await asyncio.sleep(event.id)
        if event.payload:
            await handler(Event(1, 99, 0, None))

    async def main() -> float:
        calls = (Event(1, 99, 0, None), Event(3, 99, 0, "nested"), Event(9, 99, 0, None))
        await asyncio.gather(*map(handler, calls))
        return asyncio.get_running_loop().time()

    assert run(main()) == 11


def test_each_event_loop_has_places_of_its_own() -> None:
    """A handler that was limited at import serves one loop after another."""

    @limit(1)
    async def handler(event: Event) -> None:
        await asyncio.sleep(1)

    async def main() -> None:
        await asyncio.gather(handler(EVENT), handler(EVENT))

    run(main())
    run(main())


def test_what_cannot_overlap_is_refused() -> None:
    """K4: a plain function runs once at a time anyway."""
    with pytest.raises(InvalidHandler, match="async def"):
        limit(1)(lambda event: None)  # type: ignore[type-var] # what is tried


def test_a_limit_below_one_is_refused() -> None:
    """A mistake in the settings shows where they are made."""
    with pytest.raises(ValueError, match="at least 1"):
        limit(0)
