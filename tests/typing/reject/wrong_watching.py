"""A nexus misused from outside of its handlers."""

from teahouse import Stray, Tea, TeapotEvent, Tick, Treacle

from async_nexus import AsyncEventNexus


def options() -> None:
    AsyncEventNexus(post_limit="10")  # E
    AsyncEventNexus(overflow="explode")  # E
    AsyncEventNexus(stats=1)  # E
    AsyncEventNexus(stall_after="30")  # E


def posts(nexus: AsyncEventNexus[Tea]) -> None:
    nexus.post(Stray(id=1, payload=b""))  # E
    nexus.post("tea")  # E


async def streams(nexus: AsyncEventNexus[Tea]) -> None:
    nexus.stream(Stray)  # E
    nexus.stream(TeapotEvent, Stray)  # E
    nexus.stream(TeapotEvent, 99)  # E
    nexus.stream(1.5)  # E
    nexus.stream(TeapotEvent, maxsize="3")  # E
    async with nexus.stream(TeapotEvent) as events:
        (await anext(events)).payload.nme  # E
    for _ in nexus.stream(Tick):  # E
        pass


def is_sweet(event: Treacle) -> bool:
    return event.payload == "sweet"


async def expectations(nexus: AsyncEventNexus[Tea]) -> None:
    (await nexus.expect(Tick)).payload.name  # E
    await nexus.expect(Stray)  # E
    await nexus.expect(TeapotEvent, where=is_sweet)  # E
    await nexus.expect(TeapotEvent, timeout="5")  # E
    nexus.expect(Tick).payload  # E


def numbers(nexus: AsyncEventNexus[Tea]) -> None:
    nexus.stats().handled + 1  # E
    nexus.stats().posted = 3  # E
