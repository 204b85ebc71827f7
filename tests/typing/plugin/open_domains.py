"""Domains that are not declared, in whole or in part: the plugin stays out of the way."""

from typing import Any, Generic, TypeVar

from async_nexus import AsyncEventNexus, Event, EventQueue, NamedEvent


class Teapot(NamedEvent[int], type=99): ...


class Treacle(NamedEvent[str]): ...


E = TypeVar("E", bound=Event[Any])
N = TypeVar("N", bound=NamedEvent[Any])


def handler(event: Treacle) -> None: ...


nexus = AsyncEventNexus()
anything = AsyncEventNexus[Any]()
events = AsyncEventNexus[Event[int]]()
partly = AsyncEventNexus[Teapot | Event[str]]()
named = AsyncEventNexus[NamedEvent[Any]]()


async def main(queue: EventQueue, keys: list[int]) -> None:
    for each in (nexus, anything, events, partly, named):
        each.on(98)
        each.on(True)
        each.on(98)(handler)
        each.on(98)(handler)
        each.add_handler(98, handler)
        each.add_handler("98", lambda event: print(event.anything))
        each.declare(98, str)
        each.create_event("x", event_type=98)
        await each.emit(98, "x")
        each.on(*keys)
    await nexus.ingest(Event(1, 98, 0, "x"))
    await anything.ingest(Event(1, 98, 0, "x"))
    await partly.ingest(Event(1, 98, 0, "x"))
    await queue.put(Event(1, 98, 0, "x"))


class Wrapper(Generic[N]):
    def __init__(self, nexus: AsyncEventNexus[N]) -> None:
        self.nexus = nexus
        self.nexus.on(98)(handler)

    async def emit(self) -> None:
        await self.nexus.emit(98, "x")


def generic(nexus: AsyncEventNexus[E]) -> None:
    nexus.add_handler(98, handler)
