"""Notes what a nexus did with its events, in order, without consuming or changing any of them."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, overload

from ..events import Event, EventType
from ..failures import FailedEvent
from ..nexus import AsyncEventNexus
from ..notes import Note, Step

E = TypeVar("E", bound=Event[Any])
D_co = TypeVar("D_co", bound=Event[Any], covariant=True)


class Recording(Generic[D_co]):
    """What happened so far; it grows until the block of `record` is left, and stays as it is then.

    `notes` has every step; the properties select from it, each in the order in which it happened.
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []

    @property
    def events(self) -> tuple[D_co, ...]:
        """The valid events that were ingested or put, as handlers get them."""
        return self._events(Step.INGESTED, Step.PUT)

    @property
    def ingested(self) -> tuple[D_co, ...]:
        """The valid events that came from outside."""
        return self._events(Step.INGESTED)

    @property
    def put(self) -> tuple[D_co, ...]:
        """The secondary events of handlers that succeeded."""
        return self._events(Step.PUT)

    @property
    def handled(self) -> tuple[D_co, ...]:
        """The events that filters and handlers took without failing; consumed ones too."""
        return self._events(Step.HANDLED)

    @property
    def interrupted(self) -> tuple[D_co, ...]:
        """The events whose turn was cancelled or cut off, or never came."""
        return self._events(Step.INTERRUPTED)

    @property
    def failures(self) -> tuple[FailedEvent, ...]:
        """What went wrong, dealt with or not; also events whose payload is invalid, which are in no other list."""
        return tuple(note.failure for note in self.notes if note.failure is not None)

    @overload
    def of(self, event_class: type[E], /) -> tuple[E, ...]: ...
    @overload
    def of(self, event_type: EventType, /) -> tuple[D_co, ...]: ...
    def of(self, key: Any, /) -> tuple[Any, ...]:
        """Select from `events` those of a class or of a key."""
        if isinstance(key, type):
            return tuple(event for event in self.events if isinstance(event, key))
        return tuple(event for event in self.events if event.type == key)

    def caused_by(self, event: Event[Any]) -> tuple[D_co, ...]:
        """List the secondary events that an event's handlers put."""
        return tuple(note.event for note in self.notes if note.cause is event)  # type: ignore[misc] # of this domain

    def _events(self, *steps: Step) -> tuple[D_co, ...]:
        return tuple(note.event for note in self.notes if note.step in steps)  # type: ignore[misc] # of this domain


@contextmanager
def record(nexus: AsyncEventNexus[E]) -> Generator[Recording[E]]:
    """Record what a nexus does with its events inside of the `with` block."""
    recording = Recording[E]()
    end = nexus.watch(recording.notes.append)
    try:
        yield recording
    finally:
        end()
