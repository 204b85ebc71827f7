"""A kitchen: a countdown, a teapot and a dripping tap, until the shop closes.

Run it by `python docs/examples/kitchen.py`. It ends by itself after a second and a half. In this directory,
`async-nexus graph kitchen:nexus` draws it.
"""

import asyncio
from typing import Final

from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventQueue, NamedEvent, SimpleEventConverter, Timer

DRIP: Final = 50
COUNTDOWN: Final = 98


class Teapot(BaseModel):
    name: str
    temperature: float


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class Poured(NamedEvent[str]): ...


class Tap(SimpleEventConverter[Event[str]]):
    """Drips: the nexus asks for each drop when it has handled the one before."""

    def __init__(self) -> None:
        self.drops = 0

    async def obtain_event(self) -> Event[str]:
        await asyncio.sleep(0.2)
        self.drops += 1
        return Event(self.drops, DRIP, 0, "drip" if self.drops % 3 else "splash")


nexus = AsyncEventNexus()


@nexus.filter
def ignore_single_drops(event: Event) -> bool:
    """Consume what nobody needs to hear of: handlers see only what no filter consumed."""
    return event.type == DRIP and event.payload == "drip"


@nexus.on(COUNTDOWN)
def count_down(event: Event[int]) -> None:
    print(f"closing in {event.payload}")
    if event.payload == 0:
        nexus.stop()  # gracefully: what is being handled is handled to its end


@nexus.on(TeapotEvent)
async def pour(event: TeapotEvent, queue: EventQueue[Poured]) -> None:
    """Answer with a secondary event, which is handled before the next turn begins."""
    print(f"teapot {event.id}: {event.payload.name} at {event.payload.temperature:.0f} °C")
    await queue.put(Poured.create(event.payload.name, id=nexus.next_id()))


@nexus.default
def note(event: Event) -> None:
    print(f"also heard: {event.type} says {event.payload!r}")


nexus.register(Timer(0.3, type=Timer.COUNT_DOWN, count=5, event_type=COUNTDOWN, event_factory=nexus))
nexus.register(Tap())


async def boil() -> None:
    """The simplest source: a task that sends an event. The dictionary becomes a `Teapot` on the way in."""
    await asyncio.sleep(0.5)
    await nexus.ingest(Event(1001, 99, 0, {"name": "Brown Betty", "temperature": "98.5"}))


async def main() -> None:
    async with nexus:
        teapot = asyncio.create_task(boil())
        await nexus.loop_forever()
        await teapot
    print("closed")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
