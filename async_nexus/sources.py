"""Where events come from: converters, which the nexus asks, and producers, which call the nexus."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol

from typing_extensions import TypeVar, override

from .errors import (
    BadCall,
    LoopStopped,
    MisconfiguredEventProducer,
    NoMoreEvents,
    raise_together,
)
from .events import Event, EventFactory

E_co = TypeVar("E_co", bound=Event[Any], covariant=True, default=Event[Any])


class Receiver(Protocol):
    """A nexus, as producers see it."""

    def refusal(self) -> BadCall | None:
        """Return what `ingest` would raise for who calls, or nothing if it takes events."""
        ...

    def ingest(self, event: Any, /) -> Coroutine[Any, Any, None]:
        """Take an event."""
        ...

    def ingest_json(self, data: bytes, /) -> Coroutine[Any, Any, None]:
        """Read the JSON of a whole event, at once, and return what takes the event.

        Raises what is wrong with it as `Catalog.parse_json` does, unless an error handler sees to that.
        """
        ...

    def is_nested(self) -> bool:
        """Tell whether the running task was born in a turn, of whichever nexus."""
        ...

    def look_again(self) -> None:
        """See whether there is still a source that events may come from: one has begun, or is exhausted."""
        ...

    def spawn(self, source: "EventProducer[Any]", work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Run a coroutine in a task that is supervised on behalf of a source."""
        ...


class EventSource(ABC, Generic[E_co]):
    """What a nexus gets events from; derive from one of its subclasses."""

    def close(self) -> Awaitable[None] | None:
        """Let go of resources; what is returned is awaited if it can be. The nexus calls it once."""


class SimpleEventConverter(EventSource[E_co]):
    """A source that the nexus asks for one event after another: override `obtain_event`."""

    @abstractmethod
    async def obtain_event(self) -> E_co:
        """Wait for the next event and return it. Raise `NoMoreEvents` when there is none any more."""


class EventConverter(SimpleEventConverter[E_co]):
    """A source that is written as an async generator: override `event_generator`."""

    _generator: AsyncIterator[E_co] | None = None

    @abstractmethod
    def event_generator(self) -> AsyncIterator[E_co]:
        """Yield events; the source has ended when the generator has."""

    @override
    async def obtain_event(self) -> E_co:
        """Return what the generator yields next. Raises `NoMoreEvents` when it has ended."""
        if self._generator is None:
            self._generator = self.event_generator()
        try:
            return await anext(self._generator)
        except StopAsyncIteration:
            raise NoMoreEvents(f"the generator of {type(self).__qualname__} has ended") from None

    @override
    async def close(self) -> None:
        """Close the generator, so that its `finally` blocks run now."""
        aclose = getattr(self._generator, "aclose", None)
        if aclose is not None:
            await aclose()


class EventProducer(EventSource[E_co]):
    """A source that calls the nexus: override `start`, and `close` where there is something to let go of.

    The nexus that it was added to first starts, supervises and closes it; all that it was added to get its
    events. Begin making events no sooner than in `start`.
    """

    _factory: EventFactory | None = None
    _receivers: tuple[Receiver, ...] = ()
    _under_way: int = 0
    _delivered: asyncio.Future[None] | None = None
    _gate: asyncio.Event | None = None
    _is_exhausted: bool = False

    def __init__(self, event_factory: EventFactory | None = None) -> None:
        self._factory = event_factory

    @property
    def event_factory(self) -> EventFactory:
        """What makes this producer's events. Raises `MisconfiguredEventProducer` where none was given."""
        if self._factory is None:
            raise MisconfiguredEventProducer(
                f"{type(self).__qualname__} has no event factory: give it one, "
                "`event_factory=nexus`, and call `super().__init__(event_factory)`"
            )
        return self._factory

    async def start(self) -> None:
        """Begin making events; it runs in a task of its own and may go on as long as the producer does.

        Raises `MisconfiguredEventProducer` where the producer was added to no nexus.
        """
        self._supervisor()

    def spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Run a coroutine beside `start`: what it raises stops the nexus, as what `start` raises does.

        Raises `BadCall` when the nexus does not run.
        """
        try:
            return self._supervisor().spawn(self, work)
        except BadCall:
            work.close()
            raise

    async def distribute_event(self, event: E_co) -> None:  # type: ignore[misc] # pyright: ignore[reportGeneralTypeIssues] # covariant: a producer is known by what it yields
        """Send an event to every nexus that the producer was added to, and wait until all have handled it.

        Those that have ended get nothing. Raises what their `ingest` raised, when all have been tried;
        `NotStarted` if one has not started; `LoopStopped` if none is left.
        """
        await self._distribute(lambda receiver: receiver.ingest(event))

    async def _distribute(self, send: Callable[[Receiver], Awaitable[None]]) -> None:
        """Do as `distribute_event` does, with an event that is sent to each nexus in a way of its own."""
        supervisor = self._supervisor()
        if self._gate is not None and not supervisor.is_nested():
            await self._gate.wait()
        self._under_way += 1
        try:
            await self._deliver(send)
        finally:
            self._under_way -= 1
            if not self._under_way and self._delivered is not None and not self._delivered.done():
                self._delivered.set_result(None)

    @property
    def is_received(self) -> bool:
        """Whether any nexus still takes events from the running task."""
        return any(not isinstance(receiver.refusal(), LoopStopped) for receiver in self._receivers)

    async def _deliver(self, send: Callable[[Receiver], Awaitable[None]]) -> None:
        errors: list[Exception] = []
        received = False
        for receiver in self._receivers:
            if isinstance(receiver.refusal(), LoopStopped):
                continue
            received = True
            try:
                await send(receiver)
            except Exception as error:
                # One that stopped meanwhile is as one that had stopped before: it has told of the event itself.
                if len(self._receivers) == 1 or not isinstance(receiver.refusal(), LoopStopped):
                    errors.append(error)
        if not received:
            raise LoopStopped(f"every nexus that {type(self).__qualname__} was added to has stopped")
        raise_together(errors, "nexuses failed to handle an event of a producer")

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """What the producer was added to, in that order: the first supervises it."""
        return self._receivers

    def attach(self, receiver: Receiver) -> bool:
        """Send events to one more nexus; tells whether it is the first, which supervises. Called by the nexus."""
        if any(each is receiver for each in self._receivers):
            raise BadCall(f"this {type(self).__qualname__} has been added to the nexus already")
        self._receivers = (*self._receivers, receiver)
        return len(self._receivers) == 1

    @property
    def is_exhausted(self) -> bool:
        """Whether its `start` and its tasks have ended, or the nexus that runs it has."""
        return self._is_exhausted

    @is_exhausted.setter
    def is_exhausted(self, is_exhausted: bool) -> None:
        """Say so; set by the nexus that runs it, for the others that get its events."""
        self._is_exhausted = is_exhausted
        for receiver in self._receivers[1:]:
            receiver.look_again()

    @asynccontextmanager
    async def delivered(self) -> AsyncGenerator[None]:
        """Wait until no `distribute_event` is under way, and hold back new ones inside of the block.

        Used by the nexus that supervises, to cancel the producer's tasks.
        """
        gate = self._gate = asyncio.Event()
        try:
            while self._under_way:
                self._delivered = asyncio.get_running_loop().create_future()
                await self._delivered
            yield
        finally:
            self._gate = None
            gate.set()

    def _supervisor(self) -> Receiver:
        if not self._receivers:
            raise MisconfiguredEventProducer(
                f"{type(self).__qualname__} has no nexus to send to: add it by `nexus.add_producer(…)`"
            )
        return self._receivers[0]
