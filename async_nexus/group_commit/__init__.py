"""Writes to a SQLite file from asyncio: one thread with one connection puts all that waits into one transaction.

An operation is done when its transaction has been committed. One that fails is rolled back alone, and its error goes
to whoever gave it. What SQLite itself raises becomes `TransportError`, or `TransportUnavailable` where trying again may
help.
"""

from .files import Durability, Layout, as_transport_error, open_to_read
from .inserts import Insert
from .locks import lock_file
from .writer import GroupCommit

__all__ = ["Durability", "GroupCommit", "Insert", "Layout", "as_transport_error", "lock_file", "open_to_read"]
