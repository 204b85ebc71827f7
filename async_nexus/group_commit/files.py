"""Opens a SQLite file as this library uses it, and says in our words what SQLite refuses."""

import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from ..errors import TransportError, TransportUnavailable

Durability: TypeAlias = Literal["process", "power"]
"""What a commit survives: "process" the end of the process, be it `kill -9`; "power" that of the machine, too."""

_SYNCHRONOUS: Final[Mapping[Durability, str]] = {"process": "NORMAL", "power": "FULL"}
_PAUSE: Final = 0.02
"""Seconds between two attempts to open a file that another process is just making."""

_LARGEST_LOG: Final = 64 * 2**20
"""Bytes that SQLite's log keeps on disk after a burst of writes."""

_UNAVAILABLE: Final = {
    sqlite3.SQLITE_BUSY: "another process holds it; try again",
    sqlite3.SQLITE_LOCKED: "it is locked; try again",
    sqlite3.SQLITE_IOERR: "reading or writing failed, and what was written last may be there or not; look at the disk",
}
_REFUSED: Final = {
    sqlite3.SQLITE_FULL: "there is no room for more, nothing of it was written; make room and try again",
    sqlite3.SQLITE_READONLY: "it may only be read; give this user the right to write the file and its directory",
    sqlite3.SQLITE_PERM: "it may not be used; give this user the right to read and write it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; the directory has to be there, and to be writable",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put a copy of it in its place, or begin a new one",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; name another file",
    sqlite3.SQLITE_TOOBIG: "a value is larger than SQLite takes",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of a file: `versions` has the statements that lead from each version to the next, from an empty file.

    A file names its layout by SQLite's `application_id`, a number of 32 bits, and its version by `user_version`.
    """

    name: str
    application_id: int
    versions: tuple[tuple[str, ...], ...]


def as_transport_error(error: sqlite3.Error, path: Path) -> TransportError:
    """Say what SQLite refused, and what to do about it.

    The codes are those of https://sqlite.org/rescode.html.
    """
    code = _code_of(error)
    if code in _UNAVAILABLE:
        return TransportUnavailable(f"{path}: {_UNAVAILABLE[code]} ({error})")
    return TransportError(f"{path}: {_REFUSED[code]} ({error})" if code in _REFUSED else f"{path}: {error}")


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process has the file locked."""
    return _code_of(error) == sqlite3.SQLITE_BUSY


def _code_of(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF  # the rest is detail


def open_file(path: Path, layout: Layout, durability: Durability, busy_timeout: float) -> sqlite3.Connection:
    """Open a file of a layout, made where there is none, brought to the newest version.

    The connection waits for no lock, its user does. Raises `TransportError`.
    """
    deadline = time.monotonic() + busy_timeout
    _make(path)
    while True:
        try:
            return _open(path, layout, durability)
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise as_transport_error(error, path) from error
        time.sleep(_PAUSE)


def open_to_read(path: Path, layout: Layout) -> sqlite3.Connection:
    """Open a file of a layout that is there, to read it in any thread while others write. Raises `TransportError`."""
    try:
        # Not `mode=ro`: what a killed process left in the log has to be put into the file first.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            if _find_version(connection, path, layout) == 0:
                raise TransportError(f"{path}: this is no {layout.name}, but an empty file; name another file")
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise as_transport_error(error, path) from error
    return connection


def check_options(durability: Durability, busy_timeout: float) -> None:
    """Refuse what `open_file` would not understand. Raises `ValueError`."""
    if durability not in get_args(Durability):
        raise ValueError(f"`durability` is one of {', '.join(get_args(Durability))}, not {durability!r}")
    if not 0 <= busy_timeout < 1e6:
        raise ValueError(f"`busy_timeout` is a number of seconds, not {busy_timeout!r}")


def _make(path: Path) -> None:
    """Make the file, if it is not there, for nobody else to read; SQLite gives the files beside it the same rights.

    A file that is there is left alone: closing it here would drop the locks that SQLite has on it in this process.
    """
    with suppress(FileExistsError):
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise
        except OSError as error:
            raise TransportError(f"{path}: the file cannot be made: {error.strerror}") from error


def _open(path: Path, layout: Layout, durability: Durability) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, cached_statements=512)
    try:
        # A foreign file is left as it is, so it is looked at first; all at once, for others may be making it.
        connection.execute("BEGIN")
        version = _find_version(connection, path, layout)
        connection.execute("COMMIT")
        if version == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise TransportError(f"{path}: its file system does not do for SQLite's write-ahead log")
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA fullfsync = ON")  # macOS puts on disk only what it is asked for twice
        connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG:d}")
        connection.execute("PRAGMA trusted_schema = OFF")
        if version < len(layout.versions):
            _bring_up_to_date(connection, path, layout)
    except BaseException:
        connection.close()
        raise
    return connection


def _find_version(connection: sqlite3.Connection, path: Path, layout: Layout) -> int:
    """Return the version of the file, 0 for an empty one. Raises `TransportError` for one of another kind."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, tables) == (0, 0, 0):
        return 0
    if application != layout.application_id:
        raise TransportError(
            f"{path}: this is no {layout.name}: its application_id is {application}, not {layout.application_id}; "
            "name another file"
        )
    if not 0 < version <= len(layout.versions):
        raise TransportError(
            f"{path}: this {layout.name} has version {version}, and this program knows 1 to {len(layout.versions)}; "
            "use the async_nexus that wrote it, or a newer one"
        )
    return int(version)


def _bring_up_to_date(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    connection.execute("BEGIN IMMEDIATE")
    # It is looked at again: another process may have done this, but none can do it now.
    for statements in layout.versions[_find_version(connection, path, layout) :]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {layout.application_id:d}")
    connection.execute(f"PRAGMA user_version = {len(layout.versions):d}")
    connection.execute("COMMIT")
