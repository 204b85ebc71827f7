"""A nexus used from outside of its handlers: posts, streams, expectations, records, numbers."""

import asyncio
from concurrent.futures import Future
from typing import Any, assert_type

from teahouse import SamovarEvent, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import AsyncEventNexus, Event
from async_nexus.observing import EventRecord, Stats


def options() -> None:
    """Everything that bounds and watches."""
    AsyncEventNexus[Tea](post_limit=10, overflow="drop_oldest", stats=True, stall_after=30)
    AsyncEventNexus(overflow="coalesce", stall_after=None)


def posts(nexus: AsyncEventNexus[Tea]) -> None:
    """A post of the domain gives a future of threads."""
    assert_type(nexus.post(TeapotEvent(id=1, payload=Teapot(name="Brown Betty"))), Future[None])
    nexus.post(Tick(id=2, payload=3)).result(timeout=1)


async def streams(nexus: AsyncEventNexus[Tea]) -> None:
    """A stream of classes gives their union, one of keys any event."""
    async with nexus.stream(TeapotEvent) as teapots:
        async for teapot in teapots:
            assert_type(teapot, TeapotEvent)
            print(teapot.payload.name)
        assert_type(teapots.dropped, int)
    async with nexus.stream(TeapotEvent, Treacle, maxsize=3) as both:
        assert_type(await anext(both), TeapotEvent | Treacle)
    async with nexus.stream(TeapotEvent, Treacle, Tick, SamovarEvent) as four:
        assert_type(await anext(four), TeapotEvent | Treacle | Tick | SamovarEvent)
    async with nexus.stream(99, "x", (1, 5), range(7, 9)) as keyed, nexus.stream() as everything:
        assert_type(await anext(keyed), Event[Any])
        assert_type(await anext(everything), Event[Any])


def is_hot(event: TeapotEvent) -> bool:
    """Look into the payload."""
    return event.payload.temperature > 70


async def expectations(nexus: AsyncEventNexus[Tea]) -> None:
    """What is expected is what `where` is asked about and what comes."""
    assert_type(await nexus.expect(TeapotEvent), TeapotEvent)
    assert_type(await nexus.expect(TeapotEvent, where=is_hot, timeout=5), TeapotEvent)
    assert_type(await nexus.expect(TeapotEvent, where=lambda event: event.payload.name == "Betty"), TeapotEvent)
    assert_type(await nexus.expect(TeapotEvent, Tick), TeapotEvent | Tick)
    assert_type(await nexus.expect(99, where=lambda event: event.priority < 0), Event[Any])
    assert_type(await asyncio.wait_for(nexus.expect(Tick), 5), Tick)


def records(nexus: AsyncEventNexus[Tea]) -> None:
    """Records are a sequence; the numbers that are not always counted may be missing."""
    with nexus.explain(limit=10) as record:
        pass
    for each in record:
        assert_type(each, EventRecord)
        print(each.handled_by, each.took, [call.error for call in each.calls])
    stats = nexus.stats()
    assert_type(stats, Stats)
    assert_type(stats.dropped, int)
    print((stats.handled or 0) + (stats.failed or 0))
