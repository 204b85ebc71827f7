"""The usage guide's fragments, in words of our own: each does what the guide says."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import async_nexus
from async_nexus.testing import run


def test_a_nexus_without_sources_just_waits() -> None:
    """Usage: it does nothing by itself, until it is stopped."""

    async def main() -> None:
        nexus = async_nexus.AsyncEventNexus()
        nexus_task = nexus.start()
        await asyncio.sleep(3600)
        assert not nexus_task.done()
        nexus.stop()
        await nexus_task

    run(main())


def test_the_timer_of_the_guide(capsys: pytest.CaptureFixture[str]) -> None:
    """Usage: a countdown that makes its events through the nexus: payloads count, ids are generated."""

    async def main() -> None:
        nexus = async_nexus.AsyncEventNexus()
        timer = async_nexus.Timer(
            interval=1.5, type=async_nexus.Timer.COUNT_DOWN, count=5, event_type=98, event_factory=nexus
        )
        nexus.add_producer(timer)
        nexus.add_handler(-1, lambda e, q: print(e.id, e.type, e.payload))
        await nexus.run_until_complete()
        assert asyncio.get_running_loop().time() == 7.5

    run(main())
    assert capsys.readouterr().out.splitlines() == [f"{5 - n} 98 {n}" for n in (4, 3, 2, 1, 0)]


def test_the_teapot_of_the_guide(capsys: pytest.CaptureFixture[str]) -> None:
    """Usage: a plain task is a source; a handler takes the event and a bare `asyncio.Queue`."""

    async def teapot(nexus: async_nexus.AsyncEventNexus) -> None:
        await asyncio.sleep(3)
        event = async_nexus.Event(1001, 99, 0, "TEAPOT!")
        await nexus.ingest(event)

    async def teapot_handler(event: async_nexus.Event, queue: asyncio.Queue) -> None:  # type: ignore[type-arg] # as in the guide
        print("teapot ID: ", event.id)

    async def main() -> None:
        nexus = async_nexus.AsyncEventNexus()
        nexus.add_handler(99, teapot_handler)
        nexus.add_handler(-1, lambda e, q: print(e))
        nexus_task = nexus.start()
        teapot_task = asyncio.create_task(teapot(nexus))
        await teapot_task
        await nexus.ingest(async_nexus.Event(1, 5, 0, "other"))
        nexus.stop()
        await nexus_task

    run(main())
    assert capsys.readouterr().out == "teapot ID:  1001\nid=1 type=5 priority=0 payload='other'\n"


class MyEventConverter(async_nexus.SimpleEventConverter):
    """A source in pull mode that tracks its state in attributes."""

    id = 1000

    async def obtain_event(self) -> async_nexus.Event:
        await asyncio.sleep(0.2)
        self.id += 1
        return async_nexus.Event(self.id, 50, 0, "hi")


def test_the_converter_of_the_guide() -> None:
    """Usage: registered, it is asked for events for as long as the nexus runs."""

    async def main() -> None:
        ids = list[int]()
        nexus = async_nexus.AsyncEventNexus()
        nexus.register(MyEventConverter())
        nexus.add_handler(50, lambda e, q: ids.append(e.id))
        asyncio.get_running_loop().call_later(1.1, nexus.stop)
        await nexus.loop_forever()
        assert ids == [1001, 1002, 1003, 1004, 1005]

    run(main())


def test_the_generator_of_the_guide() -> None:
    """Usage: a converter may be a generator that takes its ids from the nexus."""

    class Demo(async_nexus.EventConverter):
        def __init__(self, nexus: async_nexus.AsyncEventNexus) -> None:
            self._nexus = nexus

        async def event_generator(self) -> AsyncIterator[async_nexus.Event]:
            for word in ("a", "b"):
                yield async_nexus.Event(self._nexus.next_id(), 51, 0, word)

    seen = list[tuple[int, object]]()
    nexus = async_nexus.AsyncEventNexus()
    nexus.register(Demo(nexus))
    nexus.add_handler(51, lambda e, q: seen.append((e.id, e.payload)))
    nexus.run_until_complete()
    assert seen == [(1, "a"), (2, "b")]


def test_the_producer_of_the_guide() -> None:
    """Usage: in push mode, with `start` and `close` overridden and events made by the factory it was given."""

    class MyEventProducer(async_nexus.EventProducer):
        closed = False

        async def start(self) -> None:
            event = self.event_factory.create_event("pushed", event_type=52)
            await self.distribute_event(event)

        def close(self) -> None:
            self.closed = True

    seen = list[object]()
    nexus = async_nexus.AsyncEventNexus()
    producer = MyEventProducer(event_factory=nexus)
    nexus.add_producer(producer)
    nexus.add_handler(52, lambda e, q: seen.append(e.payload))
    nexus.run_until_complete()
    assert (seen, producer.closed) == (["pushed"], True)


async def test_an_event_that_nobody_consumes() -> None:
    """Usage: it is a logic error: `errors.UnhandledEvent`."""
    nexus = async_nexus.AsyncEventNexus()
    nexus.start()
    with pytest.raises(async_nexus.errors.UnhandledEvent):
        await nexus.ingest(async_nexus.Event(1, 99, 0, None))


async def test_consumption_in_the_order_of_the_guide() -> None:
    """Usage: filters in their order, then the handler of the type, then the default; a discarder is a handler."""
    order = list[str]()

    def invalid(event: async_nexus.Event, queue: asyncio.Queue[Any]) -> bool:
        order.append("filter 1")
        return event.payload is None

    async def other(event: async_nexus.Event, queue: asyncio.Queue[Any]) -> bool:
        order.append("filter 2")
        return False

    class Consumer(async_nexus.EventConsumer):
        async def handle(self, event: async_nexus.Event, queue: asyncio.Queue[Any], /) -> None:
            order.append("consumer")

    nexus = async_nexus.AsyncEventNexus()
    nexus.add_filter(invalid)
    nexus.add_filter(other)
    nexus.add_handler(1, Consumer())
    nexus.add_handler(2, async_nexus.EventDiscarder())
    nexus.add_handler(-1, lambda e, q: order.append("default"))
    nexus.add_handler((100, 199), lambda e, q: order.append("range"))
    nexus.start()
    filters = ["filter 1", "filter 2"]
    for key, payload, expected in (
        (1, None, ["filter 1"]),
        (1, "x", [*filters, "consumer"]),
        (2, "x", filters),
        (3, "x", [*filters, "default"]),
        (199, "x", [*filters, "range"]),
    ):
        order.clear()
        await nexus.ingest(async_nexus.Event(1, key, 0, payload))
        assert order == expected


@pytest.mark.parametrize("way_out", ["stop", "exception"])
def test_the_context_manager_of_the_guide(way_out: str) -> None:
    """Usage: `cleanup` is called when `stop` ends the loop, and when an exception does."""

    class Closing(MyEventConverter):
        closed = False

        def close(self) -> None:
            self.closed = True

    def handle(event: async_nexus.Event) -> None:
        if way_out == "exception":
            raise KeyError
        nexus.stop()

    converter = Closing()
    converter.obtain_event = immediately  # type: ignore[method-assign] # this test runs in real time
    expected = pytest.raises(KeyError) if way_out == "exception" else nullcontext()
    with expected, async_nexus.AsyncEventNexus() as nexus:
        nexus.register(converter)
        nexus.add_handler(50, handle)
        nexus.loop_forever()
    assert converter.closed
    assert nexus.state == "STOPPED"


async def immediately() -> async_nexus.Event:
    """Obtain an event without waiting."""
    await asyncio.sleep(0)
    return async_nexus.Event(1, 50, 0, "hi")


def test_one_producer_for_several_nexuses() -> None:
    """Usage: publish and subscribe by a producer that is registered with more than one nexus."""

    class Publisher(async_nexus.EventProducer):
        async def start(self) -> None:
            await self.distribute_event(async_nexus.Event(1, 60, 0, "news"))

    async def main() -> None:
        seen = list[str]()
        publisher = Publisher()
        nexuses = {name: async_nexus.AsyncEventNexus() for name in ("one", "two")}
        for nexus in nexuses.values():
            nexus.register(publisher)
        nexuses["one"].add_handler(60, lambda e, q: seen.append("one"))
        nexuses["two"].add_handler(60, lambda e, q: seen.append("two"))
        nexuses["two"].start()
        await nexuses["one"].run_until_complete()
        nexuses["two"].stop()
        assert seen == ["one", "two"]

    run(main())


async def test_the_fanout_of_the_guide() -> None:
    """Usage: one handler that sends what it receives to several, one after another."""
    seen = list[str]()
    fanout = async_nexus.EventFanout[async_nexus.Event]()
    fanout.register(lambda e, q: seen.append("first"))
    fanout.register(lambda e, q: seen.append("second"))
    nexus = async_nexus.AsyncEventNexus()
    nexus.add_handler(61, fanout)
    nexus.start()
    await nexus.ingest(async_nexus.Event(1, 61, 0, None))
    assert seen == ["first", "second"]


def test_the_boundary_of_the_guide() -> None:
    """Usage: a logging component keeps its nexus to itself and exposes a boundary as a handler."""

    class Logging:
        def __init__(self) -> None:
            self.lines = list[object]()
            self.boundary = async_nexus.AsyncEventBoundary[async_nexus.Event]()
            self._nexus = async_nexus.AsyncEventNexus()
            self._nexus.add_producer(self.boundary)
            self._nexus.add_handler("log", lambda e: self.lines.append(e.payload))

        def run(self) -> Awaitable[None]:
            return self._nexus.run_until_complete()

    async def main() -> None:
        component = Logging()
        nexus = async_nexus.AsyncEventNexus()
        nexus.add_handler("log", component.boundary)
        nexus.add_handler("private", lambda e: None)
        over = component.run()
        nexus.start()
        await nexus.emit("private", "not to be seen there")
        await nexus.emit("log", "a line")
        await component.boundary.close()
        await over
        assert component.lines == ["a line"]

    run(main())


def test_a_blocking_program(tmp_path: Path) -> None:
    """Usage: a script that ends with `loop_forever()` blocks until the nexus is stopped, and ends well."""
    script = tmp_path / "program.py"
    script.write_text(
        "import async_nexus\n"
        "nexus = async_nexus.AsyncEventNexus()\n"
        "nexus.add_producer(async_nexus.Timer(interval=0.01, event_type=98, event_factory=nexus))\n"
        "nexus.add_handler(98, lambda e, q: (print(e.payload), nexus.stop())[1])\n"
        "nexus.loop_forever()\n"
        "print('over')\n"
    )
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=True)
    assert (result.stdout, result.stderr) == ("1\nover\n", "")
