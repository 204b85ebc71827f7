"""Inserts many rows by few statements: each costs the thread a turn at Python's lock, and more time than its row."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

Row: TypeAlias = tuple[Any, ...]
"""A value for each column: `None`, a number, text or bytes."""

_SIZES: Final = (64, 16, 4, 1)
"""Rows of one statement; few sizes, so that SQLite's statements are compiled once."""


class Insert:
    """Inserts rows into a table: what `GroupCommit.add` takes, or called inside of an operation."""

    def __init__(self, table: str, *columns: str) -> None:
        """Name the table and the columns, which stand in the statement as they are given."""
        row = f"({', '.join('?' * len(columns))})"
        head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
        self._statements = [(size, head + ", ".join([row] * size)) for size in _SIZES]

    def __call__(self, connection: sqlite3.Connection, rows: Sequence[Row], /) -> None:
        """Insert the rows in their order. Raises `sqlite3.Error`."""
        begin = 0
        for size, statement in self._statements:
            while len(rows) - begin >= size:
                connection.execute(statement, [value for row in rows[begin : begin + size] for value in row])
                begin += size
