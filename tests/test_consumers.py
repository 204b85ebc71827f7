"""Ready-made handlers: the base class of consumers, the fan-out, the discarder (S3)."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from async_nexus import (
    AsyncEventNexus,
    Event,
    EventConsumer,
    EventDiscarder,
    EventFanout,
    EventQueue,
    InvalidHandler,
    MisconfiguredEventConsumer,
    NamedEvent,
    UnhandledEvent,
)
from async_nexus.testing import run


class Teapot(BaseModel):
    temp: int
    lumps: list[int] = []


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class Uncopyable:
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("cannot be copied")


class Collects(EventConsumer[Any]):
    def __init__(self) -> None:
        self.events: list[Event] = []

    async def handle(self, event: Event, queue: EventQueue, /) -> None:
        self.events.append(event)


def a_pot() -> TeapotEvent:
    """Make an event."""
    return TeapotEvent(id=1, payload=Teapot(temp=90))


def handle(consumer: EventConsumer[Any], event: Event) -> None:
    """Let a consumer handle an event."""
    run(consumer.handle(event, EventQueue()))


def test_a_consumer_overrides_handle() -> None:
    """S3: a consumer without `handle` cannot be made."""
    with pytest.raises(TypeError, match="handle"):
        EventConsumer()  # type: ignore[abstract] # the mistake


def test_a_consumer_is_a_handler() -> None:
    """S3: it gets the events that it is registered for."""

    async def main() -> list[Event]:
        nexus, consumer = AsyncEventNexus(), Collects()
        nexus.add_handler(TeapotEvent, consumer)
        async with nexus:
            nexus.start()
            await nexus.ingest(a_pot())
        return consumer.events

    assert run(main()) == [a_pot()]


def test_a_fanout_hands_all_the_same_event() -> None:
    """S3: every registered handler, in order; the event is frozen, so it is shared."""
    fanout, log = EventFanout[Any](), list[Any]()
    fanout.register(lambda event: log.append(("first", event)))
    fanout.register(lambda event, queue: log.append(("second", event)))
    event = a_pot()
    handle(fanout, event)
    assert [name for name, _ in log] == ["first", "second"]
    assert all(each is event for _, each in log)


def test_a_fanout_takes_all_kinds_of_handlers() -> None:
    """D3, S3: functions, plain or async, of the event or of both, and consumers."""
    fanout, log, consumer = EventFanout[Any](), list[Any](), Collects()

    async def of_event(event: Event) -> None:
        await asyncio.sleep(1)
        log.append("of event")

    async def of_both(event: Event, queue: EventQueue) -> None:
        await queue.put(Event(2, "x", 0, None))
        log.append("of both")

    fanout.register(of_event)
    fanout.register(of_both)
    fanout.register(consumer)
    fanout.register(log.append)
    queue, event = EventQueue(), a_pot()
    run(fanout.handle(event, queue))
    assert log == ["of event", "of both", event]
    assert consumer.events == [event]
    assert queue.get_nowait().id == 2
    assert len(fanout.handlers) == 4


def test_a_copying_fanout_gives_each_its_own() -> None:
    """S3: `EventFanout(copy=True)` gives each a deep copy with a payload of its own."""
    fanout, seen = EventFanout[TeapotEvent](copy=True), list[TeapotEvent]()

    def spoil(event: TeapotEvent) -> None:
        event.payload.lumps.append(1)
        seen.append(event)

    fanout.register(spoil)
    fanout.register(lambda event: spoil(event))
    event = a_pot()
    handle(fanout, event)
    assert event.payload.lumps == []
    assert [each.payload.lumps for each in seen] == [[1], [1]]
    assert {type(each) for each in seen} == {TeapotEvent}
    assert len({id(each) for each in (event, *seen)}) == 3
    assert (seen[0].id, seen[0].priority) == (event.id, event.priority)


def test_all_get_the_event_before_failures_are_raised() -> None:
    """S3: one handler that fails keeps no other from it; failures are raised together."""
    fanout, log = EventFanout[Any](), list[str]()

    def fail(name: str) -> None:
        log.append(name)
        raise KeyError(name)

    fanout.register(lambda event: fail("a"))
    fanout.register(lambda event: log.append("b"))
    fanout.register(lambda event: fail("c"))
    with pytest.raises(ExceptionGroup, match="2 handlers of a fan-out failed") as caught:
        handle(fanout, a_pot())
    assert log == ["a", "b", "c"]
    assert [repr(error) for error in caught.value.exceptions] == ["KeyError('a')", "KeyError('c')"]


def test_a_single_failure_is_raised_as_itself() -> None:
    """S3, D6: a handler's `KeyError` comes out of the fan-out as that `KeyError`."""
    fanout, error = EventFanout[Any](), KeyError("x")

    async def fail(event: Event) -> None:
        raise error

    fanout.register(fail)
    fanout.register(lambda event: None)
    with pytest.raises(KeyError) as caught:
        handle(fanout, a_pot())
    assert caught.value is error


def test_a_payload_that_cannot_be_copied() -> None:
    """S3: that is a failure like others, for each handler that should have had a copy."""
    fanout = EventFanout[Any](copy=True)
    fanout.register(lambda event: None)
    with pytest.raises(RuntimeError, match="cannot be copied"):
        handle(fanout, Event(1, 99, 0, Uncopyable()))


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt()], ids=repr)
async def test_what_ends_the_turn_ends_the_fanout(error: BaseException) -> None:
    """T3: `CancelledError` and other `BaseException`s are raised at once; who comes after gets nothing."""
    fanout, log = EventFanout[Any](), list[Any]()

    def end(event: Event) -> None:
        raise error

    fanout.register(end)
    fanout.register(log.append)
    with pytest.raises(type(error)):
        await fanout.handle(a_pot(), EventQueue())
    assert log == []


def test_a_fanout_without_handlers() -> None:
    """S3: it raises `MisconfiguredEventConsumer`, which says what to do."""
    with pytest.raises(MisconfiguredEventConsumer, match="the fan-out has no handler: give it one by `register`"):
        handle(EventFanout(), a_pot())


@pytest.mark.parametrize("given", [None, 99, lambda: None, Collects, [1]], ids=repr)
def test_what_cannot_be_registered(given: Any) -> None:
    """D3, S3: `InvalidHandler` when it is registered, and nothing is."""
    fanout = EventFanout[Any]()
    with pytest.raises(InvalidHandler):
        fanout.register(given)
    assert fanout.handlers == ()


def test_deregistering() -> None:
    """S3: what was deregistered gets no more events; a bound method is known again, a consumer too."""
    fanout, log, consumer = EventFanout[Any](), list[Any](), Collects()
    for each in (consumer, consumer.events.append, log.append):
        fanout.register(each)
    fanout.deregister(consumer)
    fanout.deregister(consumer.events.append)
    handle(fanout, a_pot())
    assert (consumer.events, len(log)) == ([], 1)


def test_deregistering_what_was_registered_twice() -> None:
    """S3: each registration is one, the first goes first."""
    fanout, log = EventFanout[Any](), list[Any]()
    for each in (log.append, print, log.append):
        fanout.register(each)
    fanout.deregister(log.append)
    assert [each.given for each in fanout.handlers] == [print, log.append]


def test_deregistering_what_was_not_registered() -> None:
    """S3: a `LookupError` that names it."""
    fanout = EventFanout[Any]()
    fanout.register(print)
    with pytest.raises(LookupError, match="Collects is not registered with this fan-out"):
        fanout.deregister(Collects())
    assert len(fanout.handlers) == 1


def test_handlers_may_change_the_fanout_that_calls_them() -> None:
    """S3: who is deregistered while an event is handed round still gets that one."""
    fanout, log = EventFanout[Any](), list[Any]()

    def once(event: Event) -> None:
        fanout.deregister(once)
        fanout.deregister(log.append)

    fanout.register(once)
    fanout.register(log.append)
    handle(fanout, a_pot())
    assert len(log) == 1
    assert fanout.handlers == ()


def test_a_fanout_in_a_nexus() -> None:
    """S3: it is a handler, and claims nothing of its key's payload."""

    async def main() -> list[Any]:
        nexus, fanout, log = AsyncEventNexus(), EventFanout[Any](), list[Any]()
        fanout.register(log.append)
        fanout.register(lambda event, queue: queue.put(Event(2, "second", 0, None)))
        nexus.on(99, "second")(fanout)  # type: ignore[call-overload] # decorators take functions
        assert dict(nexus.catalog) == {}
        async with nexus:
            nexus.start()
            fanout.deregister(log.append)
            fanout.register(lambda event: log.append(event.type))
            with pytest.raises(UnhandledEvent):
                await nexus.emit("other", None)
        return log

    assert run(main()) == []


def test_discarding() -> None:
    """S3: `EventDiscarder` consumes silently."""

    async def main() -> None:
        nexus = AsyncEventNexus()
        nexus.add_handler(-1, EventDiscarder())
        async with nexus:
            nexus.start()
            await nexus.emit(99, None)
            await nexus.ingest(a_pot())

    run(main())
