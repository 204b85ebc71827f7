"""Keeps events in a SQLite file before they are handled, so that the next start handles what a crash cut short (J1).

`SqliteJournal` is what a nexus is given; `read` shows what was recorded, and `replay` has it handled again.
"""

from .reading import Entry, State, read
from .replaying import Replay, Replayed, replay, replay_each
from .sqlite import SqliteJournal

__all__ = ["Entry", "Replay", "Replayed", "SqliteJournal", "State", "read", "replay", "replay_each"]
