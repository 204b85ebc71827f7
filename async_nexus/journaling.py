"""What a nexus needs of a journal, which has events on disk before they are handled."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from .events import Event


class Outcome(StrEnum):
    """What became of an event that a journal has accepted, once that is known (J3)."""

    DONE = "done"
    """Its turn succeeded."""

    FAILED = "failed"
    """Its turn raised something, and whoever ingested it was told."""

    WITHDRAWN = "withdrawn"
    """It was taken back before its turn came: nothing has handled it."""


class Unfinished(NamedTuple):
    """An event that was accepted before the journal was started, and has no outcome."""

    position: int
    event: str
    """The JSON of the whole event, for `Catalog.parse_json`."""


class Journal(Protocol):
    """Keeps the events of one nexus, and what became of them; `SqliteJournal` does so in a file."""

    async def start(self) -> Sequence[Unfinished]:
        """Open the journal; return what is unfinished, in the order in which it was accepted.

        Raises `TransportError` where it cannot be opened, another process having it open, say.
        """
        ...

    async def accept(self, event: Event[Any]) -> int:
        """Put an event on disk, and return its position when it is there.

        Raises `TransportError` for an event that cannot be written. Cancelled, it takes the event back.
        """
        ...

    def finish(self, position: int, outcome: Outcome) -> None:
        """Have the outcome of an event written soon. Should the process end before, the event is still unfinished."""
        ...

    async def close(self) -> None:
        """Write what has to be written still, and let go of the journal."""
        ...
