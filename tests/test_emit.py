"""The short way of `emit`, from a payload to a lone handler: what holds on the long way holds on it too."""

import asyncio
import gc
import json
import traceback
import weakref
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, ValidationError

from async_nexus import (
    AsyncEventNexus,
    Event,
    EventQueue,
    FailedEvent,
    InvalidPayload,
    LoopStopped,
    NamedEvent,
    UnhandledEvent,
)
from async_nexus.testing import run


class Teapot(BaseModel):
    """A payload."""

    temp: float


class Boom(Exception):
    """What handlers of these tests raise."""


Handle = Callable[[Event[Teapot]], Awaitable[None]]


class TeapotEvent(NamedEvent[Teapot], type=7):
    """An event of a class that carries its key."""


def play(handle: Handle, use: Callable[[AsyncEventNexus[Any]], Awaitable[Any]], key: Any = 99) -> Any:
    """Run a nexus with one handler that has been called before, so that its lane is compiled."""

    async def main() -> Any:
        async with AsyncEventNexus[Any]() as nexus:
            warm = True

            @nexus.on(key)
            async def handler(event: Event[Teapot]) -> None:
                if not warm:
                    await handle(event)

            nexus.start()
            await nexus.emit(99, {"temp": 0})
            warm = False
            return await use(nexus)

    return run(main())


async def nothing(event: Event[Teapot]) -> None:
    """Handle an event by doing nothing."""


def as_json(temp: object) -> str:
    """Write the JSON of an event with a payload of such a temperature."""
    return f'{{"id": 1, "type": 99, "priority": 0, "payload": {{"temp": {json.dumps(temp)}}}}}'


Send = Callable[[AsyncEventNexus[Any], object], Awaitable[None]]
SHORT_WAYS: dict[str, Send] = {
    "emit": lambda nexus, temp: nexus.emit(99, {"temp": temp}),
    "ingest_json": lambda nexus, temp: nexus.ingest_json(as_json(temp)),
}
short_ways = pytest.mark.parametrize("send", SHORT_WAYS.values(), ids=SHORT_WAYS)


def test_the_payload_is_validated_and_the_id_counted() -> None:
    """T7: the handler gets a model, an id from the count, the priority that was given."""
    seen: list[Event[Teapot]] = []

    async def note(event: Event[Teapot]) -> None:
        seen.append(event)

    play(note, lambda nexus: nexus.emit(99, {"temp": 1.5}, priority=3))
    assert seen == [Event(2, 99, 3, Teapot(temp=1.5))]
    assert seen[0].model_dump() == {"id": 2, "type": 99, "priority": 3, "payload": {"temp": 1.5}}


@pytest.mark.parametrize("key", [99, (0, 100)])
def test_a_payload_that_does_not_fit_runs_nothing(key: Any) -> None:
    """V2: the error names the event, its schema and the field; the next event is handled."""
    seen: list[float] = []

    async def note(event: Event[Teapot]) -> None:
        seen.append(event.payload.temp)

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        with pytest.raises(InvalidPayload, match=r"event 2 of type 99: its payload is no Teapot: temp: ") as caught:
            await nexus.emit(99, {"temp": "hot"})
        assert caught.value.event == Event(2, 99, 0, {"temp": "hot"})
        assert [error["loc"] for error in caught.value.errors()] == [("temp",)]
        await nexus.emit(99, {"temp": 2})

    play(note, use, key)
    assert seen == [2.0]


@pytest.mark.parametrize("wrong", [{"priority": "high"}, {"priority": True}, {"id": "x"}])
def test_an_envelope_that_does_not_fit_is_a_validation_error(wrong: dict[str, Any]) -> None:
    """E1, T7: what is no payload is not called one."""

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        with pytest.raises(ValidationError):
            await nexus.emit(99, {"temp": 1}, **wrong)

    play(nothing, use)


def test_a_boolean_is_no_key() -> None:
    """E3: `True` does not find the handler of 1, although they are equal."""

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:
            nexus.declare(1, Teapot)
            nexus.on(1)(nothing)
            nexus.start()
            for _ in range(2):
                await nexus.emit(1, {"temp": 1})
                with pytest.raises(ValidationError):
                    await nexus.emit(True, {"temp": 1})

    run(main())


@pytest.mark.parametrize("key", [[99], {}, None, 1.5])
def test_what_is_no_key_is_a_validation_error(key: Any) -> None:
    """E1, E3: the envelope is refused alike whether the key can be hashed or not."""

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        with pytest.raises(ValidationError, match=r"type\.int"):
            await nexus.emit(key, {"temp": 1})

    play(nothing, use)


def test_what_the_handler_raises_is_raised_and_the_line_is_free() -> None:
    """D6, T3: as itself; the next turn is taken."""

    async def fail(event: Event[Teapot]) -> None:
        raise Boom

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        for _ in range(2):
            with pytest.raises(Boom):
                await nexus.emit(99, {"temp": 1})

    play(fail, use)


@pytest.mark.parametrize("fails", [False, True])
def test_the_turn_ends_when_what_is_nested_in_it_has(fails: bool) -> None:
    """T4: a task born in the handler is waited for, also if the handler raises."""
    order: list[str] = []

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        tasks: list[asyncio.Task[None]] = []

        @nexus.on("nested")
        async def nested(event: Event[Any]) -> None:
            await asyncio.sleep(1)
            order.append("nested")

        async def begin(event: Event[Teapot]) -> None:
            tasks.append(asyncio.create_task(nexus.emit("nested", None)))
            await asyncio.sleep(0.5)
            order.append("handler")
            if fails:
                raise Boom

        nexus.add_handler("begin", begin)
        nexus.declare("begin", Teapot)
        for _ in range(2):
            try:
                await nexus.emit("begin", {"temp": 1})
            except Boom:
                order.append("raised")
            order.append("after")

    play(nothing, use)
    assert order == ["handler", "nested", *(["raised"] if fails else []), "after"] * 2


def test_a_turn_that_is_cut_off_raises_loop_stopped() -> None:
    """L3: the handler is cancelled, its ingest raises `LoopStopped`."""
    ended: list[str] = []

    async def hang(event: Event[Teapot]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("handler")

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        task = asyncio.create_task(nexus.emit(99, {"temp": 1}))
        await asyncio.sleep(0.1)
        nexus.stop(grace=1.0)
        with pytest.raises(LoopStopped, match="event 2 of type 99"):
            await task

    play(hang, use)
    assert ended == ["handler"]


def test_a_handler_that_swallows_the_cut_off_is_cut_off_all_the_same() -> None:
    """L3: its ingest raises `LoopStopped` although it returned."""

    async def stubborn(event: Event[Teapot]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        task = asyncio.create_task(nexus.emit(99, {"temp": 1}))
        await asyncio.sleep(0.1)
        nexus.stop(grace=0.0)
        with pytest.raises(LoopStopped):
            await task

    play(stubborn, use)


def test_a_cancelled_turn_frees_the_line() -> None:
    """T3, T5: `CancelledError` as itself; who waits goes next, lower priority first."""
    order: list[float] = []

    async def hold(event: Event[Teapot]) -> None:
        order.append(event.payload.temp)
        if event.payload.temp == 1:
            await asyncio.Event().wait()

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        first = asyncio.create_task(nexus.emit(99, {"temp": 1}))
        await asyncio.sleep(0.1)
        later = [
            asyncio.create_task(nexus.emit(99, {"temp": temp}, priority=priority))
            for temp, priority in ((2, 5), (3, 1))
        ]
        await asyncio.sleep(0.1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.gather(*later)

    play(hold, use)
    assert order == [1, 3, 2]


def test_what_is_registered_later_counts() -> None:
    """D1: a filter, and `cleanup`, change the way of the next event."""
    seen: list[float] = []

    async def note(event: Event[Teapot]) -> None:
        seen.append(event.payload.temp)

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        await nexus.emit(99, {"temp": 1})
        nexus.add_filter(lambda event: event.payload.temp > 1)
        await nexus.emit(99, {"temp": 2})
        nexus.declare("late", Teapot)
        with pytest.raises(UnhandledEvent):
            await nexus.emit("late", {"temp": 0})
        nexus.stop()
        with pytest.raises(LoopStopped):
            await nexus.emit(99, {"temp": 3})

    play(note, use)
    assert seen == [1]


@pytest.mark.parametrize("by", [TeapotEvent, 7])
def test_an_event_of_a_class_is_made_in_one_pass(by: Any) -> None:
    """V1, T7: by its class or by its key the handler gets an instance of the class, the payload validated."""

    async def main() -> list[TeapotEvent]:
        seen: list[TeapotEvent] = []
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.on(TeapotEvent)
            async def note(event: TeapotEvent) -> None:
                seen.append(event)

            nexus.start()
            for temp in (1, 2):  # the first compiles the lane
                await nexus.emit(by, {"temp": temp}, priority=temp)
            with pytest.raises(
                InvalidPayload, match=r"event 3 of type 7: its payload is no TeapotEvent: temp: "
            ) as caught:
                await nexus.emit(by, {"temp": "hot"})
            assert [error["loc"] for error in caught.value.errors()] == [("temp",)]
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return seen

    first, second = run(main())
    assert second == TeapotEvent(id=2, payload=Teapot(temp=2), priority=2)
    assert type(first) is type(second) is TeapotEvent


def test_an_error_handler_sees_to_what_the_short_way_refuses() -> None:
    """F4: a payload that does not fit reaches the handler of its error, with the event as it was given."""

    async def main() -> list[FailedEvent]:
        failures: list[FailedEvent] = []
        async with AsyncEventNexus[Any]() as nexus:
            nexus.on(99)(nothing)
            nexus.add_error_handler(InvalidPayload, failures.append)
            nexus.start()
            for temp in (1, "hot"):
                await nexus.emit(99, {"temp": temp})
        return failures

    (failed,) = run(main())
    assert failed.event == Event(2, 99, 0, {"temp": "hot"})


def test_what_is_declared_later_counts_on_the_short_way() -> None:
    """C2: a lane that has been compiled is compiled anew."""

    async def main() -> Any:
        payloads: list[Any] = []
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.on(99)
            async def note(event: Event) -> None:
                payloads.append(event.payload)

            nexus.start()
            await nexus.emit(99, {"temp": 1})
            nexus.declare(99, Teapot)
            await nexus.emit(99, {"temp": 1})
        return payloads

    assert run(main()) == [{"temp": 1}, Teapot(temp=1)]


def test_json_is_parsed_validated_and_handled() -> None:
    """V4, T1: `ingest_json` takes the JSON of a whole event; what is wrong with it is raised before anything runs."""
    seen: list[Event[Teapot]] = []

    async def note(event: Event[Teapot]) -> None:
        seen.append(event)

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        await nexus.ingest_json(b'{"id": 5, "type": 99, "priority": 1, "payload": {"temp": 2}}')
        with pytest.raises(InvalidPayload, match="event 6 of type 99"):
            await nexus.ingest_json('{"id": 6, "type": 99, "priority": 1, "payload": {"temp": "hot"}}')
        with pytest.raises(ValidationError):
            await nexus.ingest_json(b'{"id": 7')
        with pytest.raises(UnhandledEvent):
            await nexus.ingest_json(b'{"id": 8, "type": 1, "priority": 1, "payload": 0}')
        nexus.stop()
        with pytest.raises(LoopStopped):
            await nexus.ingest_json(b"{}")

    play(note, use)
    assert seen == [Event(5, 99, 1, Teapot(temp=2))]


@short_ways
def test_what_a_handler_raised_is_forgotten_with_its_event(send: Send) -> None:
    """T3: the error is part of no cycle, so that its traceback keeps nothing until garbage is collected."""

    async def fail(event: Event[Teapot]) -> None:
        raise Boom

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        for _ in range(2):  # the first one's way is longer
            gc.collect()
            gc.disable()
            try:
                with pytest.raises(Boom) as caught:
                    await send(nexus, 1)
                gone = weakref.ref(caught.value)
                del caught
                assert gone() is None
            finally:
                gc.enable()

    play(fail, use)


@short_ways
def test_what_an_error_handler_raises_does_not_quote_the_payload(send: Send) -> None:
    """F4: pydantic's own error, which quotes it, is not the context of what is raised."""

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:
            nexus.declare(99, Teapot)
            nexus.on(99)(nothing)

            @nexus.on_error(InvalidPayload)
            async def refuse(failed: FailedEvent) -> None:
                raise Boom

            nexus.start()
            await send(nexus, 1)
            await send(nexus, 1)
            secret = "".join(("hot", "ter"))  # such that no line of code that a traceback shows has it
            with pytest.raises(Boom) as caught:
                await send(nexus, secret)
            assert secret not in "".join(traceback.format_exception(caught.value))
            assert caught.value.__context__ is None

    run(main())


def test_what_a_handler_raises_is_not_said_to_come_of_the_reading() -> None:
    """D6: the first JSON event of a key is not found among those that are known, which is no error."""

    async def fail(event: Event[Teapot]) -> None:
        raise Boom

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        nexus.on(98)(fail)
        for key in (99, 98):
            with pytest.raises(Boom) as caught:
                await nexus.ingest_json(f'{{"id": 1, "type": {key}, "priority": 0, "payload": {{"temp": 1}}}}')
            assert caught.value.__context__ is None

    play(fail, use)


def test_json_is_read_once_where_somebody_watches() -> None:
    """V4, W4: there the short way is not taken, but what has been read of an event counts."""
    runs: list[int] = []

    def note(value: int) -> int:
        runs.append(value)
        return value

    async def main() -> None:
        async with AsyncEventNexus[Any](stats=True) as nexus:
            nexus.declare(99, Annotated[int, AfterValidator(note)])
            nexus.on(99)(lambda event: None)
            nexus.start()
            await nexus.ingest_json('{"id": 1, "type": 99, "priority": 0, "payload": 1}')
            runs.clear()
            await nexus.ingest_json('{"id": 2, "type": 99, "priority": 0, "payload": 2}')
            assert runs == [2]
            assert nexus.stats().handled == 2

    run(main())


def test_json_of_a_known_key_is_refused_after_the_stop() -> None:
    """L1: also where it can be read at once."""

    async def use(nexus: AsyncEventNexus[Any]) -> None:
        await nexus.ingest_json(as_json(1))
        nexus.stop()
        with pytest.raises(LoopStopped):
            await nexus.ingest_json(as_json(1))

    play(nothing, use)


def test_a_secondary_event_is_forgotten_when_it_has_been_handled() -> None:
    """T1: the context of who emitted keeps the turn, but not its last event."""

    class Cup:
        """A payload."""

    cups = weakref.WeakSet[Cup]()

    async def main() -> None:
        async with AsyncEventNexus[Any]() as nexus:

            @nexus.on(1)
            async def pour(event: Event, queue: EventQueue) -> None:
                cup = Cup()
                cups.add(cup)
                await queue.put(Event(2, 2, 0, cup))

            @nexus.on(2)
            async def drink(event: Event) -> None: ...

            nexus.start()
            await nexus.emit(1, None)
            gc.collect()
            assert not cups

    run(main())


def test_a_task_is_still_inside_of_what_the_turn_it_outlived_was_in() -> None:
    """T4: born in a turn of b, in a turn of a, it can go back to a by way of c while the latter turn is open."""

    async def main() -> list[str]:
        seen: list[str] = []
        tasks: list[asyncio.Task[None]] = []
        async with AsyncEventNexus[Any]() as a, AsyncEventNexus[Any]() as b, AsyncEventNexus[Any]() as c:

            @a.on("begin")
            async def begin(event: Event) -> None:
                await b.emit("bear", None)
                await tasks[0]

            @b.on("bear")
            async def bear(event: Event) -> None:
                tasks.append(asyncio.create_task(outlive()))

            async def outlive() -> None:
                await asyncio.sleep(1)
                await c.emit("back", None)

            @c.on("back")
            async def back(event: Event) -> None:
                if event.id > 1:
                    await a.emit("nested", None)

            @a.on("nested")
            async def nested(event: Event) -> None:
                seen.append("nested")

            for nexus in (a, b, c):
                nexus.start()
            await c.emit("back", None)  # its line has been used, so that it is entered the short way
            async with asyncio.timeout(10):
                await a.emit("begin", None)
        return seen

    assert run(main()) == ["nested"]
