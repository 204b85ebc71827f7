"""Events from lines of JSON: what is handled, what is reported, and how."""

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventQueue
from async_nexus.cli.lines import MAX_LINE
from async_nexus.cli.stdin import EventLines, Report, read_chunks
from async_nexus.testing import run


class Teapot(BaseModel):
    temp: int


class Terminal(io.StringIO):
    """A stream that says that somebody watches."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def make_nexus() -> tuple[AsyncEventNexus[Any], list[Any]]:
    """A nexus, and the list of the payloads that it has handled."""
    nexus, handled = AsyncEventNexus(), list[Any]()

    @nexus.on(99)
    async def brew(event: Event[Teapot]) -> None:
        await asyncio.sleep(1)
        handled.append(event.payload)

    @nexus.on("fail")
    def fail(event: Event) -> None:
        handled.append(event.payload)
        raise ValueError("two\nlines")

    @nexus.on("cancel")
    def cancel(event: Event) -> None:
        raise asyncio.CancelledError

    @nexus.on("put")
    async def put(event: Event, queue: EventQueue[Any]) -> None:
        await queue.put(Event(2, 99, 0, {"temp": "hot"}))

    @nexus.on("group")
    async def group(event: Event, queue: EventQueue[Any]) -> None:
        await queue.put(Event(2, "fail", 0, 1))
        await queue.put(Event(3, "nobody", 0, 1))

    @nexus.on("stop")
    def stop(event: Event) -> None:
        nexus.stop()

    return nexus, handled


def feed(
    nexus: AsyncEventNexus[Any], *lines: bytes, end: bytes = b"\n", stream: io.StringIO | None = None
) -> tuple[list[str], int]:
    """Run a nexus on lines; return what was reported, and how many lines were bad."""
    errors = io.StringIO() if stream is None else stream

    async def chunks() -> AsyncIterator[bytes]:
        text = end.join(lines)
        for start in range(0, len(text), 1 << 16):
            yield text[start : start + (1 << 16)]

    async def main() -> int:
        source = EventLines(chunks(), nexus.catalog, Report(errors), nexus.stop)
        nexus.register(source)
        await nexus.loop_forever()
        return source.bad

    bad = run(main())
    return errors.getvalue().splitlines(), bad


def line(type: Any, payload: Any, **fields: Any) -> bytes:
    """The JSON of a whole event."""
    return json.dumps({"id": 1, "type": type, "priority": 0, "payload": payload, **fields}).encode()


def test_lines_are_handled_in_order_and_end_the_program() -> None:
    """T1: each line is handled to its end before the next; the end of the stream stops the nexus."""
    nexus, handled = make_nexus()
    report = feed(nexus, *(line(99, {"temp": number}, priority=-number) for number in range(5)))
    assert report == ([], 0)
    assert handled == [Teapot(temp=number) for number in range(5)]


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"\xff\xfe", "not UTF-8: byte 0xff at 1"),
        (b'{"id": "\xe4"}', "not UTF-8: byte 0xe4 at 9"),
        (b"{", "not JSON: EOF while parsing an object at line 1 column 1"),
        (b"tea", "not JSON: expected ident at line 1 column 2"),
        (b"[1]", "no event: "),
        (b"{}", "no event: id: Field required; type: Field required"),
        (line(True, 1), "no event: type"),
        (line(99, {"temp": 1}, id="x"), "no event: id: Input should be a valid integer"),
        (line(99, {"temp": "hot"}), "wrong payload: event 1 of type 99"),
        (line(99, {}), "wrong payload: event 1 of type 99: its payload is no Teapot: temp: Field required"),
        (line("nobody", 1), "unhandled: no filter, handler or default handler consumed event 1 of type 'nobody'"),
        (line("fail", 1), "a handler raised ValueError: two lines"),
        (line("cancel", 1), "a handler was cancelled"),
        (line("put", 1), "a handler raised InvalidPayload: event 2 of type 99"),
        (line("group", 1), "a handler raised ValueError: two lines; UnhandledEvent: "),
    ],
)
def test_a_bad_line_is_reported_and_the_rest_goes_on(content: bytes, reason: str) -> None:
    """Each bad line is one line of the report, with its number and reason."""
    nexus, handled = make_nexus()
    reported, bad = feed(nexus, line(99, {"temp": 1}), content, line(99, {"temp": 3}))
    assert bad == 1
    assert len(reported) == 1
    assert reported[0].startswith(f"line 2: {reason}")
    assert [each for each in handled if isinstance(each, Teapot)] == [Teapot(temp=1), Teapot(temp=3)]


def test_blank_lines_are_skipped_but_counted() -> None:
    """Empty lines and those of whitespace are no errors, and have their numbers."""
    nexus, _ = make_nexus()
    reported, bad = feed(nexus, b"", b" \t\r", line("nobody", 1), b"", b"x")
    assert [text.partition(":")[0] for text in reported] == ["line 3", "line 5"]
    assert bad == 2


def test_lines_may_end_as_on_windows() -> None:
    """A carriage return before the line feed is whitespace."""
    nexus, handled = make_nexus()
    assert feed(nexus, line(99, {"temp": 1}), line(99, {"temp": 2}), end=b"\r\n") == ([], 0)
    assert len(handled) == 2


@pytest.mark.parametrize("size", [1 << 16, (1 << 16) + 1, 1 << 20])
def test_long_lines_work(size: int) -> None:
    """A line of more than 64 KiB is a line like others."""
    nexus, handled = make_nexus()
    nexus.on("long")(lambda event: handled.append(len(event.payload)))
    assert feed(nexus, line("long", "x" * size), line("long", "")) == ([], 0)
    assert handled == [size, 0]


def test_a_line_beyond_the_bound_is_bad() -> None:
    """What is longer than the documented bound is reported without having been held."""
    nexus, handled = make_nexus()
    reported, bad = feed(nexus, b"x" * (MAX_LINE + 1), line(99, {"temp": 1}))
    assert (reported, bad) == ([f"line 1: longer than {MAX_LINE} bytes"], 1)
    assert handled == [Teapot(temp=1)]


def test_an_error_without_a_text_is_named_by_its_type() -> None:
    """What cannot say what it is, since its `__str__` raises, is a failure like any other: the rest goes on."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    nexus, handled = make_nexus()

    @nexus.on("mute")
    def mute(event: Event) -> None:
        raise Mute

    reported = feed(nexus, line("mute", 1), line(99, {"temp": 1}))
    assert reported == (["line 1: a handler raised Mute"], 1)
    assert handled == [Teapot(temp=1)]


def test_a_reason_cannot_steer_a_terminal() -> None:
    """What a handler raises is shown without characters that would clear or forge what is there."""
    stream = io.StringIO()
    Report(stream).bad(1, "a\x1b[2Jb\u2028c")
    assert stream.getvalue() == "line 1: a [2Jb c\n"


def test_a_handler_may_stop_the_program() -> None:
    """L3: when the nexus stops, no further line is fed, and none is called bad for it."""
    nexus, handled = make_nexus()
    assert feed(nexus, line(99, {"temp": 1}), line("stop", 0), *[line(99, {"temp": 2})] * 3) == ([], 0)
    assert len(handled) <= 2


def test_the_progress_line_is_for_terminals() -> None:
    """Somebody who watches sees how far the reading is; what is reported is not mixed up with that."""
    screen = Terminal()
    times = iter(range(1000))
    report = Report(screen, lambda: next(times))
    report.progress(1200, 3)
    report.bad(1201, "no\nevent")
    report.clear()
    assert screen.getvalue() == "\r\x1b[2K1,200 lines, 3 bad\r\x1b[2Kline 1201: no event\n"


def test_the_progress_line_is_not_shown_too_often() -> None:
    """Between two updates there is time for work."""
    screen = Terminal()
    report = Report(screen, lambda: 7.0)
    for number in range(100):
        report.progress(number, 0)
    assert screen.getvalue() == "\r\x1b[2K0 lines, 0 bad"


def test_a_pipe_is_read_to_its_end() -> None:
    """What is written comes in order; the end of the pipe ends the reading."""

    async def main() -> bytes:
        reader, writer = os.pipe()
        os.write(writer, b"one\ntwo")
        os.close(writer)
        try:
            return b"".join([chunk async for chunk in read_chunks(reader)])
        finally:
            os.close(reader)

    assert asyncio.run(main()) == b"one\ntwo"


def test_what_cannot_be_read_raises() -> None:
    """A descriptor that is not open is an error of the source, not a silent end."""

    async def main() -> None:
        reader, writer = os.pipe()
        os.close(reader)
        os.close(writer)
        with pytest.raises(OSError, match="Bad file descriptor"):
            [chunk async for chunk in read_chunks(reader)]

    asyncio.run(main())
