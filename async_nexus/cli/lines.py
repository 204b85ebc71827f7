"""Cuts a stream of bytes into numbered lines of bounded length."""

from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_LINE: Final = 16 * 1024 * 1024
"""The most bytes that a line may have."""


class Line(NamedTuple):
    """A line without its end; `content` is `None` where it is longer than is read."""

    number: int
    content: bytes | None


class LineSplitter:
    """Takes chunks and gives lines; of one that is too long it holds no more than the bound."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max = max_line
        self._number = 0
        self._held = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Yield the lines that end in this chunk."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._hold(end)
            yield self._take()
        self._hold(rest)

    def finish(self) -> Iterator[Line]:
        """Yield the last line, if it has no end."""
        if self._held or self._too_long:
            yield self._take()

    def _hold(self, part: bytes) -> None:
        if self._too_long or len(self._held) + len(part) > self._max:
            self._too_long = True
            self._held.clear()
        else:
            self._held += part

    def _take(self) -> Line:
        self._number += 1
        line = Line(self._number, None if self._too_long else bytes(self._held))
        self._held.clear()
        self._too_long = False
        return line
