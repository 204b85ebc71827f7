"""Posting from synchronous code and from other threads: P1 to P3."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from contextvars import ContextVar
from typing import Any

import pytest
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, BadCall, Dropped, Event, InvalidPayload, LoopStopped, Overflow
from async_nexus.companions import Companion
from async_nexus.failures import FailedEvent
from async_nexus.posting import OverflowPolicy
from async_nexus.testing import run

PATIENCE = 30.0
"""Real seconds that a thread is waited for; only a broken program takes that long."""


class Teapot(BaseModel):
    """A payload."""

    temp: int


class Boom(Exception):
    """What handlers of these tests raise."""


def event(id: int, key: int = 1, payload: Any = None, priority: int = 0) -> Event[Any]:
    """Make an event."""
    return Event(id, key, priority, payload)


def payload_of(event: Event[Any]) -> Any:
    """Make a key of the payload."""
    return event.payload


class Busy:
    """A nexus whose first turn is held until `done` is set; what comes after it has to wait."""

    def __init__(self, overflow: OverflowPolicy = "reject", limit: int = 2, **options: Any) -> None:
        self.nexus: AsyncEventNexus = AsyncEventNexus(post_limit=limit, overflow=overflow, **options)
        self.handled: list[int] = []
        self.done = asyncio.Event()
        self.begun = asyncio.Event()
        self.nexus.default(self.handle)

    async def handle(self, event: Event) -> None:
        """Note the event; hold the turn of the event 0."""
        self.handled.append(event.id)
        self.begun.set()
        if event.id == 0:
            await self.done.wait()

    async def begin(self) -> Future[None]:
        """Start, with a turn that is open."""
        self.nexus.start()
        first = self.nexus.post(event(0))
        await self.begun.wait()
        assert self.handled == [0]
        return first


def test_a_post_is_handled_and_its_future_ends() -> None:
    """P1: a post from synchronous code is ingested; the future ends with it."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            handled = list[Any]()
            nexus.add_handler(1, lambda event: handled.append(event.payload))
            nexus.start()
            future = nexus.post(event(1, payload="tea"))
            assert isinstance(future, Future)
            assert not future.done()
            await asyncio.wrap_future(future)
            assert handled == ["tea"]

    run(main())


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_posts_are_ingested_in_the_order_in_which_they_came(seed: int | None) -> None:
    """P1: also where the event loop runs tasks in another order."""

    async def main() -> list[int]:
        busy = Busy(limit=100)
        async with busy.nexus:
            for number in range(1, 20):
                busy.nexus.post(event(number))
            busy.nexus.start()
            for number in range(20, 40):
                busy.nexus.post(event(number))
            busy.nexus.stop()
        return busy.handled

    assert run(main(), seed=seed) == list(range(1, 40))


def test_what_a_post_raises_goes_to_the_future_alone() -> None:
    """P1: a handler's error, an invalid payload; the nexus goes on."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.on(1)
            def handle(event: Event) -> None:
                raise Boom

            nexus.declare(2, Teapot)
            nexus.start()
            with pytest.raises(Boom):
                await asyncio.wrap_future(nexus.post(event(1)))
            with pytest.raises(InvalidPayload):
                await asyncio.wrap_future(nexus.post(event(1, 2, {"temp": "hot"})))
            assert nexus.stats().posted == 2

    run(main())


def test_an_invalid_post_reaches_its_error_handler() -> None:
    """P1, F4: as `ingest` would, in a turn of its own."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            failures = list[FailedEvent]()
            nexus.declare(2, Teapot)
            nexus.add_error_handler(InvalidPayload, failures.append)
            nexus.start()
            await asyncio.wrap_future(nexus.post(event(1, 2, {"temp": "hot"})))
            assert [failed.event.id for failed in failures] == [1]

    run(main())


def test_a_post_in_a_handler_takes_a_turn_of_its_own() -> None:
    """P1: the task of a post is born in no turn, so a post is nested in none."""

    async def main() -> list[str]:
        order = list[str]()
        async with AsyncEventNexus() as nexus:

            @nexus.on(1)
            async def outer(event: Event) -> None:
                nexus.post(Event(2, 2, 0, None))
                await asyncio.sleep(1)
                order.append("outer")

            nexus.add_handler(2, lambda event: order.append("posted"))
            nexus.start()
            await nexus.ingest(event(1))
        return order

    assert run(main()) == ["outer", "posted"]


def test_what_is_no_event_is_refused() -> None:
    """P1: in the thread that posts, where the mistake is."""
    with pytest.raises(TypeError, match="an Event is expected"):
        AsyncEventNexus().post("tea")  # type: ignore[arg-type] # the mistake


def test_without_room_reject_raises() -> None:
    """P2: what holds a turn does not wait any more; two wait, the third is refused."""

    async def main() -> None:
        busy = Busy("reject")
        async with busy.nexus as nexus:
            await busy.begin()
            nexus.post(event(1))
            nexus.post(event(2))
            with pytest.raises(Overflow, match="2 posts wait: there is no room for event 3"):
                nexus.post(event(3))
            assert (nexus.stats().posted, nexus.stats().dropped) == (3, 0)
            busy.done.set()
        assert busy.handled == [0, 1, 2]

    run(main())


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("overflow, handled, dropped", [("drop_oldest", [0, 2, 3], 0), ("drop_newest", [0, 1, 2], 2)])
def test_without_room_one_is_dropped(overflow: Any, handled: list[int], dropped: int, settled: bool) -> None:
    """P2, P3: its future raises `Dropped`, it is not handled, and it is counted; in line already or not."""

    async def main() -> None:
        busy = Busy(overflow)
        async with busy.nexus as nexus:
            await busy.begin()
            futures = [nexus.post(event(1)), nexus.post(event(2))]
            if settled:
                await asyncio.sleep(1)
            futures.append(nexus.post(event(3)))
            with pytest.raises(Dropped):
                futures[dropped].result(0)
            assert nexus.stats().dropped == 1
            await asyncio.sleep(1)
            assert nexus.stats().in_line == 2
            busy.done.set()
        assert busy.handled == handled
        assert all(future.done() for future in futures)

    run(main())


def test_without_room_a_post_replaces_one_of_its_kind() -> None:
    """P2: the future of the replaced post ends as its successor's does."""

    async def main() -> None:
        busy = Busy("coalesce")
        async with busy.nexus as nexus:

            @nexus.on(7)
            async def fail(event: Event) -> None:
                busy.handled.append(event.id)
                raise Boom

            await busy.begin()
            nexus.post(event(1, 6))
            replaced = nexus.post(event(2, 7))
            successor = nexus.post(event(3, 7))
            with pytest.raises(Overflow):
                nexus.post(event(4, 8))
            assert not replaced.done()
            busy.done.set()
            with pytest.raises(Boom):
                await asyncio.wrap_future(successor)
            with pytest.raises(Boom):
                replaced.result(0)
            assert nexus.stats().dropped == 1
        assert busy.handled == [0, 1, 3]

    run(main())


def test_all_that_were_replaced_end_with_the_last_successor() -> None:
    """P2: however many there are."""

    async def main() -> None:
        busy = Busy("coalesce", limit=1)
        async with busy.nexus as nexus:
            futures = [nexus.post(event(number)) for number in range(1, 1001)]
            nexus.start()
            await asyncio.wrap_future(futures[-1])
            assert all(future.result(0) is None for future in futures)
        assert busy.handled == [1000]

    run(main())


def test_a_replaced_post_that_is_cancelled_leaves_the_others_alone() -> None:
    """P2: neither those that it had replaced nor its successor end with it."""

    async def main() -> None:
        busy = Busy("coalesce", limit=1)
        async with busy.nexus as nexus:
            oldest, replaced, last = [nexus.post(event(number)) for number in (1, 2, 3)]
            assert replaced.cancel()
            nexus.start()
            await asyncio.wrap_future(last)
            assert replaced.cancelled()
            assert oldest.result(0) is None

    run(main())


@pytest.mark.parametrize("in_line", [True, False])
def test_those_that_a_cancelled_post_had_replaced_are_cancelled(in_line: bool) -> None:
    """P2: they end as their successor does, and whoever waits for them is told."""

    async def main() -> None:
        busy = Busy("coalesce", limit=1)
        async with busy.nexus as nexus:
            if in_line:
                await busy.begin()
            replaced, last = nexus.post(event(1)), nexus.post(event(2))
            await asyncio.sleep(1)
            assert last.cancel()
            assert wait((replaced, last), 0).done == {replaced, last}
            assert replaced.cancelled()
            nexus.start() if not in_line else busy.done.set()
        assert 2 not in busy.handled

    run(main())


def test_a_key_is_made_once_of_each_post_and_may_post_itself() -> None:
    """P2, K2: `key` is called before anything is locked, however many posts wait."""
    made = list[int]()

    def key(event: Event[Any]) -> None:
        made.append(event.id)
        if event.id == 2:
            with pytest.raises(Overflow):
                nexus.post(Event(9, 9, 0, None))

    nexus: AsyncEventNexus = AsyncEventNexus(post_limit=1, overflow="coalesce", key=key)
    for number in (1, 2, 3):
        nexus.post(event(number))
    assert made == [1, 2, 9, 3]


@pytest.mark.parametrize("error", [None, Boom])
def test_a_post_is_forgotten_with_its_future(error: type[Exception] | None) -> None:
    """P1: it is part of no cycle, so that its payload is not kept until garbage is collected."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            @nexus.on(1)
            def handle(event: Event) -> None:
                if error is not None:
                    raise error

            nexus.start()
            payload = Boom()
            gone = weakref.ref(payload)
            gc.collect()
            gc.disable()
            try:
                nexus.post(event(1, payload=payload))
                del payload
                await asyncio.sleep(1)
                assert gone() is None
            finally:
                gc.enable()

    run(main())


def test_posts_of_different_keys_do_not_replace_each_other() -> None:
    """P2, K2: with a `key`, a kind is an event type and a key."""

    async def main() -> None:
        busy = Busy("coalesce", limit=2, key=payload_of)
        async with busy.nexus as nexus:
            await busy.begin()
            nexus.post(event(10, payload=None))
            await asyncio.sleep(1)
            assert busy.handled == [0]
            nexus.post(event(1, payload="a"))
            with pytest.raises(Overflow):
                nexus.post(event(2, payload="b"))
            nexus.post(event(3, payload="a"))
            busy.done.set()
        assert busy.handled == [0, 10, 3]

    run(main())


def test_kinds_are_told_by_validated_events() -> None:
    """P2, K2, V1: `key` is given what handlers get; what does not validate replaces nothing."""

    async def main() -> None:
        def temperature(event: Event[Any]) -> int | None:
            return event.payload.temp if event.type == 2 else None

        busy = Busy("coalesce", limit=1, key=temperature)
        async with busy.nexus as nexus:
            nexus.declare(2, Teapot)
            await busy.begin()
            replaced = nexus.post(event(1, 2, {"temp": 80}))
            with pytest.raises(Overflow):
                nexus.post(event(2, 2, {"temp": "hot"}))
            nexus.post(event(3, 2, Teapot(temp=80)))
            busy.done.set()
            await asyncio.wrap_future(replaced)
        assert busy.handled == [0, 3]

    run(main())


@pytest.mark.parametrize("keyless, error", [(0, ZeroDivisionError), ([1], TypeError)])
def test_a_post_that_has_no_key_fails_alone(keyless: object, error: type[Exception]) -> None:
    """P1, P2, K2: what `key` raises, and an unhashable key, reaches the future of that post, not who posts next."""

    def key(event: Event[Any]) -> Any:
        return event.payload if event.payload == [1] else 1 / event.payload

    async def main() -> None:
        busy = Busy("coalesce", limit=2, key=key)
        async with busy.nexus as nexus:
            failing = nexus.post(event(1, payload=keyless))
            replaced = nexus.post(event(2, payload=5))
            nexus.post(event(3, payload=5))
            with pytest.raises(Overflow):
                nexus.post(event(4, payload=keyless))
            nexus.start()
            await asyncio.wrap_future(replaced)
            with pytest.raises(error):
                await asyncio.wrap_future(failing)
        assert busy.handled == [3]

    run(main())


def test_block_never_waits_in_the_thread_of_an_event_loop() -> None:
    """P2: that would wait for itself; it is a `BadCall`."""

    async def main() -> None:
        busy = Busy("block", limit=1)
        async with busy.nexus as nexus:
            await busy.begin()
            nexus.post(event(1))
            with pytest.raises(BadCall, match="cannot wait for room"):
                nexus.post(event(2))
            busy.done.set()
        assert busy.handled == [0, 1]

    run(main())


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run something in a thread, which is started; what it returns or raises is in the list when that has ended."""
    outcome = list[Any]()

    def body() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread, outcome


async def test_block_waits_for_room_in_the_thread_that_posts() -> None:
    """P2: and goes on as soon as a turn has begun."""
    busy = Busy("block", limit=1)
    about_to_post = threading.Event()
    async with busy.nexus as nexus:
        nexus.start()
        nexus.post(event(0))
        await busy.begun.wait()
        nexus.post(event(1))

        def post() -> Future[None]:
            about_to_post.set()
            return nexus.post(event(2))

        thread, outcome = in_thread(post)
        await asyncio.to_thread(about_to_post.wait, PATIENCE)
        assert outcome == []
        busy.done.set()
        await asyncio.to_thread(thread.join, PATIENCE)
        (future,) = outcome
        await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE)
    assert busy.handled == [0, 1, 2]


async def test_who_blocks_is_told_of_the_end() -> None:
    """P2, P3: a thread that waits for room does not wait for ever."""
    busy = Busy("block", limit=1)
    async with busy.nexus as nexus:
        nexus.start()
        nexus.post(event(0))
        await busy.begun.wait()
        waiting = nexus.post(event(1))
        thread, outcome = in_thread(lambda: nexus.post(event(2)))
        nexus.stop(0)
    await asyncio.to_thread(thread.join, PATIENCE)
    assert isinstance(outcome[0], LoopStopped)
    assert isinstance(waiting.exception(0), LoopStopped)


async def test_threads_post_side_by_side() -> None:
    """P1: nothing is lost, and each thread's posts keep their order."""
    handled = list[tuple[int, int]]()
    async with AsyncEventNexus(post_limit=5) as nexus:
        nexus.add_handler(1, lambda event: handled.append(event.payload))
        nexus.start()

        def post(name: int) -> None:
            for number in range(100):
                nexus.post(event(1, payload=(name, number)))

        await asyncio.wait_for(asyncio.gather(*(asyncio.to_thread(post, name) for name in range(4))), PATIENCE)
    assert sorted(handled) == [(name, number) for name in range(4) for number in range(100)]
    for name in range(4):
        assert [number for each, number in handled if each == name] == list(range(100))


def test_before_the_start_posts_wait() -> None:
    """P3: without an event loop, too; they are handled from the start on."""
    nexus = AsyncEventNexus()
    handled = list[int]()
    nexus.add_handler(-1, lambda event: handled.append(event.id))
    future = nexus.post(event(1))
    assert not future.done()

    async def main() -> None:
        async with nexus:
            nexus.start()
            await asyncio.wrap_future(future)

    run(main())
    assert handled == [1]


def test_stop_takes_the_posts_that_wait() -> None:
    """P3: as turns in line; what comes after it is refused as ingests are (L3)."""

    async def main() -> None:
        busy = Busy()
        async with busy.nexus as nexus:
            await busy.begin()
            last = nexus.post(event(1))
            nexus.stop()
            with pytest.raises(LoopStopped):
                nexus.post(event(2))
            busy.done.set()
            await asyncio.wrap_future(last)
        assert busy.handled == [0, 1]

    run(main())


def test_the_end_waits_for_companions() -> None:
    """P3: as long as one has work, and for the turns that come of it."""
    told = list[str]()

    class Slow(Companion):
        def has_work(self) -> bool:
            return "settled" not in told

        async def settle(self) -> None:
            await asyncio.sleep(5)
            told.append("settled")

        def end(self) -> None:
            told.append("ended")

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            life = nexus._life  # pyright: ignore[reportPrivateUsage] # programs have no use for it
            life.accompany(Slow())
            nexus.start()

    run(main())
    assert told[:2] == ["settled", "ended"]


def test_after_the_end_post_raises() -> None:
    """P3: `LoopStopped`, also of a nexus that never started, whose posts end so."""
    nexus = AsyncEventNexus()
    waiting = nexus.post(event(1))
    nexus.stop()
    with pytest.raises(LoopStopped):
        waiting.result(0)
    with pytest.raises(LoopStopped):
        nexus.post(event(2))


def test_a_post_whose_future_is_cancelled_is_not_handled() -> None:
    """P1: before its turn it leaves the line and makes room; in its turn it cannot be cancelled."""

    async def main() -> None:
        busy = Busy(limit=1)
        async with busy.nexus as nexus:
            first = await busy.begin()
            second = nexus.post(event(1))
            await asyncio.sleep(1)
            assert not first.cancel()
            assert second.cancel()
            third = nexus.post(event(2))
            busy.done.set()
            await asyncio.wrap_future(third)
            with pytest.raises(CancelledError):
                second.result(0)
        assert busy.handled == [0, 2]

    run(main())


def test_posts_go_by_priority_when_they_are_in_line() -> None:
    """P1, T1: a post is ingested in its order, and its turn comes by priority."""

    async def main() -> list[int]:
        busy = Busy()
        async with busy.nexus as nexus:
            await busy.begin()
            nexus.post(event(1, priority=5))
            nexus.post(event(2, priority=1))
            await asyncio.sleep(1)
            busy.done.set()
        return busy.handled

    assert run(main()) == [0, 2, 1]


def test_a_post_is_not_part_of_the_context_in_which_it_was_made() -> None:
    """P1: its task is the nexus's own, with the context of the start."""
    request = ContextVar[str]("request", default="none")

    async def main() -> list[str]:
        seen = list[str]()
        async with AsyncEventNexus() as nexus:
            nexus.add_handler(1, lambda event: seen.append(request.get()))
            nexus.start()
            request.set("changed after the start")
            await asyncio.wrap_future(nexus.post(event(1)))
        return seen

    assert run(main()) == ["none"]


@pytest.mark.parametrize("options", [{"post_limit": 0}, {"post_limit": True}, {"overflow": "explode"}])
def test_settings_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    """P2: when the nexus is made."""
    with pytest.raises(ValueError, match=r"post_limit|overflow"):
        AsyncEventNexus(**options)
