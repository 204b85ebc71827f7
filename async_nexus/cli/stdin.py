"""Feeds a nexus the events that come as lines of JSON on a stream."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from queue import SimpleQueue
from typing import Any, Final, TextIO

from pydantic import ValidationError
from typing_extensions import override

from ..catalog import Catalog
from ..errors import InvalidPayload, UnhandledEvent
from ..events import Event
from ..sources import EventProducer
from .lines import MAX_LINE, Line, LineSplitter
from .wording import describe, describe_no_event, one_line

CHUNK: Final = 1 << 16


class EventLines(EventProducer[Any]):
    """A source of the events that lines of JSON hold, one after another, each when the one before was handled.

    A line that is bad, or whose event nobody handles or a handler fails on, is reported and counted in `bad`; the
    rest goes on. At the end of the stream `ended` is set and `at_end` called.
    """

    def __init__(
        self, chunks: AsyncIterator[bytes], catalog: Catalog, report: "Report", at_end: Callable[[], None]
    ) -> None:
        super().__init__()
        self._chunks = chunks
        self._catalog = catalog
        self._report = report
        self._at_end = at_end
        self._closed = False
        self.bad: int = 0
        self.ended: bool = False

    @override
    async def start(self) -> None:
        """Feed lines until the stream ends or the nexus stops."""
        await super().start()
        splitter = LineSplitter()
        async for chunk in self._chunks:
            for line in splitter.feed(chunk):
                await self._feed(line)
                if self._closed:
                    return
        for line in splitter.finish():
            await self._feed(line)
        self.ended = True
        self._at_end()

    @override
    def close(self) -> None:
        """Feed no more lines after the one that is being handled."""
        self._closed = True

    async def _feed(self, line: Line) -> None:
        if line.content is None or line.content.strip():
            reason = await self._reason(line.content)
            if reason is not None:
                self.bad += 1
                self._report.bad(line.number, reason)
        self._report.progress(line.number, self.bad)

    async def _reason(self, content: bytes | None) -> str | None:
        """Handle a line; return why that could not be done."""
        if content is None:
            return f"longer than {MAX_LINE} bytes"
        try:
            event = self._catalog.parse_json(content.decode())
        except UnicodeDecodeError as error:
            return f"not UTF-8: byte {error.object[error.start]:#04x} at {error.start + 1}"
        except InvalidPayload as error:
            return f"wrong payload: {error}"
        except ValidationError as error:
            return describe_no_event(error)
        return await self._handle(event)

    async def _handle(self, event: Event[Any]) -> str | None:
        task = asyncio.current_task()
        try:
            await self.distribute_event(event)
        except UnhandledEvent as error:
            return f"unhandled: {error}"
        except asyncio.CancelledError:
            if task is None or task.cancelling():
                raise
            return "a handler was cancelled"
        except Exception as error:
            return f"a handler raised {describe(error)}"
        return None


class Report:
    """Tells on a stream, stderr, which lines were bad and, on a terminal, how far the reading is."""

    INTERVAL: Final = 0.1
    """Seconds between two updates of the progress line."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._next = clock()
        self._shown = False

    def bad(self, number: int, reason: str) -> None:
        """Report a line on one line, whatever its reason holds."""
        self.clear()
        self._stream.write(f"line {number}: {one_line(reason)}\n")
        self._stream.flush()

    def progress(self, lines: int, bad: int) -> None:
        """Show how far the reading is, on a terminal and not too often."""
        if self._is_terminal and self._clock() >= self._next:
            self._next = self._clock() + self.INTERVAL
            self._stream.write(f"\r\x1b[2K{lines:,} lines, {bad:,} bad")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the progress line away."""
        if self._shown:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._shown = False


async def read_chunks(descriptor: int) -> AsyncIterator[bytes]:
    """Yield what can be read from a file, pipe or terminal, without ever blocking the loop or the program's end.

    A thread reads, one chunk when one is asked for. It is a daemon and holds no lock of the interpreter's
    streams, so a read that never returns does not outlive the program.
    """
    loop = asyncio.get_running_loop()
    requests: SimpleQueue[asyncio.Future[bytes] | None] = SimpleQueue()
    thread = threading.Thread(target=_serve, args=(descriptor, requests, loop), name="async_nexus stdin", daemon=True)
    thread.start()
    try:
        while True:
            request: asyncio.Future[bytes] = loop.create_future()
            requests.put(request)
            chunk = await request
            if not chunk:
                return
            yield chunk
    finally:
        requests.put(None)


def _serve(
    descriptor: int, requests: "SimpleQueue[asyncio.Future[bytes] | None]", loop: asyncio.AbstractEventLoop
) -> None:
    while (request := requests.get()) is not None:
        try:
            settle: Callable[..., None] = _set_result
            value: bytes | OSError = os.read(descriptor, CHUNK)
        except OSError as error:
            settle, value = _set_exception, error
        try:
            loop.call_soon_threadsafe(settle, request, value)
        except RuntimeError:
            return  # the loop has closed meanwhile


def _set_result(request: "asyncio.Future[bytes]", chunk: bytes) -> None:
    if not request.done():
        request.set_result(chunk)


def _set_exception(request: "asyncio.Future[bytes]", error: OSError) -> None:
    if not request.done():
        request.set_exception(error)
