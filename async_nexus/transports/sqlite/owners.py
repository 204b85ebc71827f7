"""Tells whether the process that holds messages still lives: it keeps a file locked, which the system ends with it.

Unlike a lease, this needs no clock: a process that sleeps or is stopped keeps what it holds, and what one has held that
was killed can be had at once.
"""

import os
import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...errors import TransportError
from ...group_commit import lock_file
from .claims import leave_seat
from .tables import Seat


class Owner:
    """Whoever holds messages: a transport, until it is closed or its process has ended."""

    def __init__(self, path: Path) -> None:
        """Make and lock a file beside the transport's. Raises `TransportError`."""
        self.id: Final = secrets.randbits(63)
        self._path = _file_of(path, self.id)
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise TransportError(f"{self._path}: the file cannot be made: {error.strerror}") from error
        try:
            lock_file(self._file, shared=False)
        except OSError as error:
            self.end()
            raise TransportError(f"{self._path}: its file system cannot lock files: {error.strerror}") from error

    def end(self) -> None:
        """Hold nothing any more."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)


def _file_of(path: Path, owner: int) -> Path:
    return path.with_name(f"{path.name}-owner-{owner:016x}")


def find_dead(connection: sqlite3.Connection, path: Path, own: int) -> list[int]:
    """Return the owners whose processes have ended."""
    others = connection.execute("SELECT id FROM owners WHERE id <> ?", (own,)).fetchall()
    return [owner for (owner,) in others if _is_dead(_file_of(path, owner))]


def take_over(connection: sqlite3.Connection, path: Path, seat: Seat) -> None:
    """Have come again what a consumer's subscriptions held whose processes have ended.

    Their owners are left for the upkeep to bury: it wakes all who wait for what they held of other consumers.
    """
    others = connection.execute(
        "SELECT id, owner FROM subscriptions WHERE consumer = ? AND owner <> ?", (seat.consumer, seat.owner)
    ).fetchall()
    for subscription, owner in others:
        if _is_dead(_file_of(path, owner)):
            leave_seat(connection, seat.consumer, subscription)


def _is_dead(file: Path) -> bool:
    """Whether nobody has the file locked. It was locked before the owner was known, so it will not be again."""
    try:
        opened = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError:  # it is another user's, say
        return False
    try:
        lock_file(opened, shared=True)
    except OSError:
        return False
    finally:
        os.close(opened)
    return True


def bury(connection: sqlite3.Connection, path: Path, dead: list[int]) -> None:
    """Have come again what owners held that have ended."""
    for owner in dead:
        seats = connection.execute("SELECT consumer, id FROM subscriptions WHERE owner = ?", (owner,)).fetchall()
        for consumer, subscription in seats:
            leave_seat(connection, consumer, subscription)
        connection.execute("DELETE FROM owners WHERE id = ?", (owner,))
        # Should this transaction fail, an owner without a file is dead, too.
        with suppress(OSError):
            _file_of(path, owner).unlink()
