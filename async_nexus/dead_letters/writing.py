"""Appends failed events to a file that is rotated by size."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..failures import FailedEvent
from .letters import encode

if sys.platform != "win32":
    import fcntl

logger: Final = logging.getLogger("async_nexus")


class DeadLetters:
    """An error handler that appends each failed event to a file; it is on disk when `handle` returns.

    Several nexuses may share one, and on POSIX several processes may write to one file.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = 10 * 2**20, backups: int = 5, mode: int = 0o600
    ) -> None:
        """Open the file, to know by now that this can be done; `mode` is for files that are created.

        A line that would make the file longer than `max_bytes` begins a new one. Of the full ones `backups` are kept;
        that an older one is lost is logged. Raises `OSError`, and `ValueError` for less than one byte or backup.
        """
        if max_bytes < 1 or backups < 1:
            raise ValueError(f"max_bytes and backups are at least 1, not {max_bytes} and {backups}")
        self.path: Final = Path(path)
        self._max_bytes, self._backups, self._mode = max_bytes, backups, mode
        self._one_at_a_time = threading.Lock()
        os.close(self._open())

    async def handle(self, failed: FailedEvent, queue: object, /) -> None:
        """Append a failed event. Raises `OSError` where that cannot be done: the event has not been dealt with."""
        await asyncio.to_thread(self._append, encode(failed))

    def _append(self, line: bytes) -> None:
        with self._one_at_a_time, self._locked():
            size = self._size()
            if size and size + len(line) > self._max_bytes:
                self._rotate()
                size = 0
            file = self._open()
            try:
                _write(file, line)
            finally:
                os.close(file)
            if size == 0:
                _sync_directory(self.path.parent)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), self._mode)

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Keep other processes out, as far as they lock the file too."""
        if sys.platform == "win32":
            yield
            return
        while True:
            file = self._open()
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_newest(file):
                    yield
                    return
            finally:
                os.close(file)

    def _is_newest(self, file: int) -> bool:
        """Whether the file was not rotated or moved away by another process meanwhile."""
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        oldest = _numbered(self.path, self._backups)
        if oldest.exists():
            logger.warning("failed events are lost: %s makes room for newer ones", oldest)
        for number in range(self._backups, 0, -1):
            source = _numbered(self.path, number - 1)
            if source.exists():
                source.replace(_numbered(self.path, number))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _write(file: int, line: bytes) -> None:
    """Append a line and wait until it is on disk; what a crash left unfinished before it stays a line of its own."""
    size = os.lseek(file, 0, os.SEEK_END)
    if size:
        os.lseek(file, size - 1, os.SEEK_SET)
        if os.read(file, 1) != b"\n":
            line = b"\n" + line
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)


def _sync_directory(directory: Path) -> None:
    """Put on disk that a file was created or renamed; where directories cannot be opened, the system does it."""
    if sys.platform != "win32":
        file = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
