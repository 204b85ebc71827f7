"""Reads files of failed events, and ingests those again."""

import asyncio
import json
import os
import re
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

from ..events import Event
from .letters import DeadLetter, LineFailure, decode, summarise

StrPath: TypeAlias = str | os.PathLike[str]

MAX_LINE: Final = 16 * 2**20
"""How many bytes of one line are read, unless told otherwise."""


def read(path: StrPath, *, max_line: int = MAX_LINE) -> Iterator[DeadLetter | LineFailure]:
    """Read what `DeadLetters(path)` has written so far, oldest first.

    Lines that hold no failed event, or more than `max_line` bytes, come as `LineFailure`. What is appended while it
    reads is not read. Raises `OSError`.
    """
    with ExitStack() as stack:
        files = [(file, stack.enter_context(file.open("rb"))) for file in _oldest_first(Path(path))]
        sized = [(path, file, os.fstat(file.fileno()).st_size) for path, file in files]
        for path, file, size in sized:
            for number, line in enumerate(_lines(file, size, max_line), 1):
                if line is None:
                    yield LineFailure(path, number, f"the line is longer than {max_line} bytes")
                elif line.strip():
                    yield decode(path, number, line)


def _oldest_first(path: Path) -> list[Path]:
    number = re.compile(re.escape(path.name) + r"\.([1-9]\d*)")
    rotated = {int(found[1]): each for each in path.parent.iterdir() if (found := number.fullmatch(each.name))}
    older = [rotated[n] for n in sorted(rotated, reverse=True)]
    # A file that was rotated away a moment ago is no error; one that never was there is.
    return [*older, path] if path.exists() or not older else older


def _lines(file: BinaryIO, size: int, max_line: int) -> Iterator[bytes | None]:
    """Split into lines the part of a file that was there at first; `None` stands for one that is too long."""
    while size > 0:
        line = file.readline(min(size, max_line + 1))
        size -= len(line)
        if len(line) <= max_line or line.endswith(b"\n"):
            yield line
            continue
        while size > 0 and not line.endswith(b"\n"):
            line = file.readline(min(size, 2**16))
            size -= len(line)
        yield None


@dataclass(frozen=True, slots=True)
class Replay:
    """How many events were ingested again, and what became of the other lines."""

    replayed: int
    failed: tuple[LineFailure, ...]


class Parser(Protocol):
    """A catalog, as a replay needs it."""

    def parse_json(self, data: str, /) -> Event[Any]:
        """Turn the JSON of an event into a validated event."""
        ...


class Receiver(Protocol):
    """A nexus, as a replay needs it."""

    @property
    def catalog(self) -> Parser:
        """What reads the events."""
        ...

    def ingest(self, event: Any, /) -> Coroutine[Any, Any, None]:
        """Take an event."""
        ...


async def replay(path: StrPath, nexus: Receiver, *, max_line: int = MAX_LINE) -> Replay:
    """Ingest failed events again, one after another, oldest first; the files stay as they are.

    An event counts as replayed when `ingest` returned, also if an error handler has dealt with it: one that has
    written it to the same file again is not replayed twice. No line ends the replay. Raises `OSError`.
    """
    replayed = 0
    failed: list[LineFailure] = []
    letters = read(path, max_line=max_line)
    while (letter := await asyncio.to_thread(next, letters, None)) is not None:
        if isinstance(letter, LineFailure):
            failed.append(letter)
            continue
        if letter.payload_error is not None:
            reason = f"its payload could not be written: {letter.payload_error}"
            failed.append(LineFailure(letter.file, letter.line, reason))
            continue
        try:
            await nexus.ingest(nexus.catalog.parse_json(json.dumps(letter.event)))
            replayed += 1
        except Exception as error:
            failed.append(LineFailure(letter.file, letter.line, summarise(error)))
    return Replay(replayed, tuple(failed))
