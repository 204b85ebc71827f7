"""W7: the memory of an event that waits, and of one that has been handled."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from async_nexus import AsyncEventNexus, Event, EventQueue
from benchmarks.contenders import Contender, Count, Send, Work
from benchmarks.events import KEY, Reading, raw_payload
from benchmarks.sending import counting


async def let_all_run() -> None:
    """Give every task the time to come to where it waits."""
    for _ in range(3):
        await asyncio.sleep(0)


@asynccontextmanager
async def floor(count: Count) -> AsyncIterator[Send]:
    """A task that waits for a future of its own, and an event that it holds."""

    async def wait_with(event: Event[Reading]) -> None:
        future = asyncio.get_running_loop().create_future()
        futures.append(future)
        await future
        count.handled += event.payload.temp > 0

    futures: list[asyncio.Future[None]] = []

    async def send(events: int) -> float:
        tracemalloc.start()
        tasks = [
            asyncio.create_task(wait_with(Event(number, KEY, 0, Reading(**raw_payload())))) for number in range(events)
        ]
        await let_all_run()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for future in futures:
            future.set_result(None)
        await asyncio.gather(*tasks)
        futures.clear()
        return held

    yield send


@asynccontextmanager
async def in_line(count: Count) -> AsyncIterator[Send]:
    """A task that waits in `ingest` for its turn."""
    gate = asyncio.Event()
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))

        @nexus.on("first")
        async def hold(event: Event) -> None:
            await gate.wait()

        nexus.start()

        async def send(events: int) -> float:
            gate.clear()
            first = asyncio.create_task(nexus.emit("first", None))
            await let_all_run()
            tracemalloc.start()
            tasks = [
                asyncio.create_task(nexus.ingest(Event(number, KEY, 0, Reading(**raw_payload()))))
                for number in range(events)
            ]
            await let_all_run()
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            gate.set()
            await asyncio.gather(first, *tasks)
            return held

        yield send


@asynccontextmanager
async def on_queue(count: Count) -> AsyncIterator[Send]:
    """A secondary event that waits in its turn."""
    held = 0.0
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))

        @nexus.on("first")
        async def put(event: Event[int], queue: EventQueue[Any]) -> None:
            nonlocal held
            tracemalloc.start()
            for number in range(event.payload):
                queue.put_nowait(Event(number, KEY, 0, Reading(**raw_payload())))
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()

        nexus.start()

        async def send(events: int) -> float:
            await nexus.emit("first", events)
            return held

        yield send


@asynccontextmanager
async def handled(count: Count) -> AsyncIterator[Send]:
    """What is kept of events that have been handled: nothing."""
    payload = raw_payload()
    async with AsyncEventNexus() as nexus:
        nexus.add_handler(KEY, counting(count))

        nexus.start()

        async def send(events: int) -> float:
            tracemalloc.start()
            # The first one fills caches that are there to stay.
            await nexus.emit(KEY, payload)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(events - 1):
                await nexus.emit(KEY, payload)
            gc.collect()
            held = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            return held

        yield send


WORK: Final = Work(
    "W7",
    "memory per event, payload included",
    (
        Contender("task and future", floor),
        Contender("waiting in line", in_line),
        Contender("waiting in its turn", on_queue),
        Contender("handled", handled),
    ),
    unit="bytes",
)
