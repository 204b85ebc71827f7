"""Handlers of a declared domain: of other events, of other queues, of other results."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar

from async_nexus import AsyncEventNexus, Event, EventConsumer, EventFanout, EventQueue, NamedEvent


class Teapot(NamedEvent[int], type=99): ...


class Treacle(NamedEvent[str]): ...


class Foreign(NamedEvent[str]): ...


Kitchen = Teapot | Treacle
E = TypeVar("E", bound=Event[Any])
P = ParamSpec("P")


def retried(handler: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    return handler


nexus = AsyncEventNexus[Kitchen](multiple=True)


@nexus.on(99)
async def brew(event: Teapot, queue: EventQueue[Treacle]) -> None:
    await queue.put(Treacle(id=1, payload="sweet"))


@nexus.on(99, "Treacle")
@retried
async def both(event: Kitchen) -> None: ...


@nexus.on((90, 100))
def ranged(event: Event[int]) -> None: ...


@nexus.on(-1)
def rest(event: Teapot | Treacle) -> None: ...


@nexus.on(99)
@nexus.on("Treacle")
def stacked(event: Event[int | str]) -> None: ...


@nexus.on(99)
def generic(event: E) -> None: ...


@nexus.on(99)  # type: ignore[untyped-decorator, unused-ignore] # the function is untyped on purpose
def untyped(event, queue):  # type: ignore[no-untyped-def] # as above
    event.anything(queue)


audit = AsyncEventNexus[Kitchen]()


@audit.on(99)
@nexus.on(99)
async def of_two_nexuses(event: Teapot) -> None: ...


@audit.on(Treacle)
def positional_only(event: Treacle, queue: EventQueue[Kitchen], /) -> None: ...


@nexus.on(99)  # E: nexus-handler
async def other_event(event: Treacle) -> None: ...


@nexus.on(Teapot)  # E: nexus-handler
async def other_event_of_class(event: Treacle) -> None: ...


@nexus.on(99)  # E: nexus-handler
async def other_payload(event: Event[str]) -> None: ...


@nexus.on("Treacle", 99)  # E: nexus-handler
async def one_of_two(event: Treacle) -> None: ...


@nexus.on((90, 100))  # E: nexus-handler
async def other_in_range(event: Treacle) -> None: ...


@nexus.on(-1)  # E: nexus-handler
async def not_all(event: Treacle) -> None: ...


@nexus.on("Treacle")  # E: nexus-handler
@nexus.on(99)
async def stacked_wrong(event: Teapot) -> None: ...


@nexus.on(99)  # E: nexus-handler
@retried
async def wrapped_wrong(event: Treacle) -> None: ...


@nexus.on(99)  # E: nexus-handler
async def other_queue(event: Teapot, queue: EventQueue[Foreign]) -> None: ...


@nexus.on(99)  # E: nexus-handler
async def result(event: Teapot) -> int:
    return 1


@nexus.on(99)  # E: nexus-handler
async def too_many(event: Teapot, queue: EventQueue[Treacle], more: int) -> None: ...


# What a rejected handler is decorated to stays usable.
async def after() -> None:
    await other_event(Treacle(id=1, payload=""))
    await other_event(1)  # E: arg-type


class Consumer(EventConsumer[Teapot]):
    async def handle(self, event: Teapot, queue: EventQueue[Kitchen], /) -> None: ...

    async def method(self, event: Treacle) -> None: ...

    def __call__(self, event: Event) -> None: ...


class Log(EventConsumer[E], Generic[E]):
    async def handle(self, event: E, queue: EventQueue[Any], /) -> None: ...


class Callable2:
    def __call__(self, event: Treacle) -> None: ...


def configured(event: Treacle, strength: int) -> None: ...


nexus.add_handler(99, brew)
nexus.add_handler(99, Consumer())
nexus.add_handler(99, Consumer)  # E: nexus-handler
nexus.add_handler("Treacle", Consumer())
nexus.add_handler("Treacle", Consumer().method)
nexus.add_handler("Treacle", Callable2())
nexus.add_handler(99, Callable2())  # E: nexus-handler
nexus.add_handler(99, Consumer().method)  # E: nexus-handler
nexus.add_handler(99, other_event)  # E: nexus-handler
nexus.add_handler(Teapot, other_event)  # E: nexus-handler
nexus.add_handler(handler=other_event, type=99)  # E: nexus-handler
nexus.add_handler((90, 100), other_event)  # E: nexus-handler
nexus.add_handler("Treacle", functools.partial(configured, strength=1))
nexus.add_handler(99, EventFanout[Teapot]())
nexus.add_handler(99, EventFanout[Treacle]())  # E: nexus-handler
nexus.add_handler(99, EventFanout())
nexus.add_handler(99, Log())
nexus.add_handler(Teapot, Log())
nexus.add_handler((90, 100), Log())
nexus.add_handler(-1, Log())
nexus.add_handler(99, Log[Treacle]())  # E: nexus-handler
nexus.add_handler(-1, Log[Treacle]())  # E: nexus-handler
nexus.add_handler(99, retried(other_event))  # E: nexus-handler
nexus.add_handler("Treacle", retried(other_event))

# Lambdas get their types from the key.
nexus.add_handler(99, lambda event: print(event.payload + 1))
nexus.add_handler("Treacle", lambda event, queue: queue.put(Teapot(id=1, payload=len(event.payload))))
nexus.add_handler("Treacle", lambda event: print(event.payload + 1))  # E: operator
nexus.add_handler(99, lambda event: print(event.paylod))  # E: attr-defined
nexus.add_handler(99, lambda event, queue: queue.put(Foreign(id=1, payload="")))  # E: arg-type


class Old(NamedEvent[int], type=1): ...


class New(NamedEvent[str], type=2): ...


# A range is the key of no event class, whatever its handler can take: only a registration for the classes claims them.
ranges = AsyncEventNexus[Old | New](multiple=True)


@ranges.on((1, 2))  # E: nexus-handler
async def of_a_pair(event: Old | New) -> None: ...


@ranges.on(1, range(2, 3))  # E: nexus-handler
@ranges.on(2)
async def of_key_and_range(event: Old | New, queue: EventQueue[Old], /) -> None: ...


@ranges.on(1, 2)
@ranges.on(Old, New)
async def of_keys(event: Old | New) -> None: ...


@ranges.on((1, 2))
async def of_payloads(event: Event[int | str]) -> None: ...


@ranges.on((1, 2))
async def of_named_or_plain(event: Old | Event[str]) -> None: ...


@ranges.on((1, 2))
async def of_any_named(event: NamedEvent[Any]) -> None: ...


@ranges.on((1, 2))
async def of_variable(event: E) -> None: ...


class Both:
    async def handle(self, event: Old | New, queue: EventQueue[Any], /) -> None: ...

    def method(self, event: Old | New) -> None: ...


def register(unknown: Callable[[Old | New], None]) -> None:
    # What is not written here may have no annotation.
    ranges.on((1, 2))(unknown)
    ranges.add_handler((1, 2), unknown)
    ranges.on((1, 2))(Both().method)  # E: nexus-handler
    ranges.add_handler((1, 2), Both().method)  # E: nexus-handler
    ranges.add_handler((1, 2), Both())  # E: nexus-handler
    ranges.add_handler((1, 2), Log[Old | New]())
    ranges.add_handler((1, 2), lambda event: print(event.payload))
