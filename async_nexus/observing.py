"""What a nexus decided about its events: the record that `explain` keeps, and the numbers of `stats`.

Both are told through the one hook there is, `Dispatch.watch`; where nobody observes, nothing is noted.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, overload

from typing_extensions import override

from .catalog import Catalog
from .dispatch import Dispatch
from .errors import InvalidPayload
from .events import Event, describe_event
from .notes import Call, Note, Step
from .turns import Turn, innermost_turn


@dataclass(slots=True, eq=False)
class EventRecord:
    """What was decided about one event; it grows while the event is handled."""

    event: Event[Any]
    """The event, as it was given where its payload did not validate."""

    schema: str | None
    """The name of what its payload was validated against; `None` where nothing is known of its key."""

    cause: Event[Any] | None = None
    """The event whose handler put this one; `None` for one that was ingested."""

    calls: list[Call] = field(default_factory=list[Call])
    """The filters and handlers that were called with it, in order, those of all attempts."""

    errors: list[Exception] = field(default_factory=list[Exception])
    """What it failed with, whether an error handler dealt with that or not."""

    secondary: list[Event[Any]] = field(default_factory=list[Event[Any]])
    """The secondary events that count (T3)."""

    outcome: Step | None = None
    """HANDLED, FAILED or INTERRUPTED; `None` while it waits or is being handled."""

    @property
    def is_valid(self) -> bool:
        """Whether its payload fits its schema."""
        return not any(isinstance(error, InvalidPayload) and error.event is self.event for error in self.errors)

    @property
    def filtered_by(self) -> str | None:
        """The filter that consumed it."""
        return next((call.handler for call in self.calls if call.consumed), None)

    @property
    def handled_by(self) -> tuple[str, ...]:
        """The handlers that were called with it."""
        return tuple(call.handler for call in self.calls if not call.is_filter)

    @property
    def took(self) -> float:
        """How many seconds its filters and handlers took."""
        return sum(call.took or 0.0 for call in self.calls)

    @override
    def __str__(self) -> str:
        decided = [f"{describe_event(self.event)}: {self.outcome or 'under way'}"]
        if self.schema is not None:
            decided.append(f"{'valid' if self.is_valid else 'invalid'} as {self.schema}")
        decided += [f"consumed by {self.filtered_by}"] if self.filtered_by else []
        decided += [f"{call.handler} took {call.took or 0.0:.6f} s" for call in self.calls if not call.is_filter]
        decided += [f"failed with {error!r}" for error in self.errors]
        decided += [f"put {describe_event(each)}" for each in self.secondary]
        return ", ".join(decided)


def _is_refusal(note: Note) -> bool:
    """Whether it is noted that an event's own payload does not validate."""
    error = None if note.failure is None else note.failure.error
    return isinstance(error, InvalidPayload) and error.event is note.event


class Explanation(Sequence[EventRecord]):
    """The records of the events that came by, in the order in which they were ingested or put."""

    def __init__(self, catalog: Catalog, limit: int) -> None:
        self._catalog = catalog
        if limit < 1:
            raise ValueError(f"an explanation keeps at least one record, not {limit}")
        self._records: deque[EventRecord] = deque(maxlen=limit)
        # By the identity of their event, which they keep alive. The same event may come again before it has ended: from
        # another task, nested in its own turn, or put there. So there are the last of each, those whose turn has not
        # begun, one a task, and those of a turn: the one that is being handled, then what was put.
        self._last: dict[int, EventRecord] = {}
        self._entering: dict[tuple[int, asyncio.Task[Any] | None], EventRecord] = {}
        self._in_turn: dict[tuple[int, Turn | None], deque[EventRecord]] = {}

    def of(self, event: Event[Any]) -> EventRecord:
        """Return the last record of events of an id and type. Raises `LookupError`."""
        for record in reversed(self._records):
            if record.event.id == event.id and record.event.type == event.type:
                return record
        raise LookupError(f"nothing was recorded of {describe_event(event)}")

    def note(self, note: Note) -> None:
        """Take note of a step."""
        is_new = note.step in (Step.INGESTED, Step.PUT) or _is_refusal(note)
        record = None if is_new else self._find(note.event)
        if record is None:
            record = self._begin(note)  # it is new, or was ingested before anybody looked
        match note.step:
            case Step.CALLING if note.call is not None:
                record.calls.append(note.call)
            case Step.FAILED if note.failure is not None:
                record.errors.append(note.failure.error)
                record.outcome = Step.FAILED
            case Step.HANDLED | Step.INTERRUPTED:
                record.outcome = note.step
            case _:
                pass
        if note.step in (Step.HANDLED, Step.ENDED, Step.INTERRUPTED):
            self._end(note.event)

    def _current(self, event: Event[Any]) -> deque[EventRecord]:
        """List the records of an event in the turn that the running task is inside of."""
        turn, number = innermost_turn(), id(event)
        for task in {asyncio.current_task(), None if turn is None else turn.task}:
            entered = self._entering.pop((number, task), None)
            if entered is not None:
                self._in_turn.setdefault((number, turn), deque()).appendleft(entered)
        return self._in_turn.get((number, turn), deque())

    def _find(self, event: Event[Any]) -> EventRecord | None:
        records = self._current(event)
        return records[0] if records else self._last.get(id(event))

    def _begin(self, note: Note) -> EventRecord:
        cause = None if note.cause is None else self._find(note.cause)
        if cause is not None:
            cause.secondary.append(note.event)
        spec = self._catalog.find(note.event.type)
        record = EventRecord(note.event, None if spec is None else spec.title, note.cause)
        if len(self._records) == self._records.maxlen:
            oldest = self._records[0]
            if self._last.get(id(oldest.event)) is oldest:
                del self._last[id(oldest.event)]
        self._records.append(record)
        self._last[id(note.event)] = record
        if note.step is Step.INGESTED:
            self._entering[id(note.event), asyncio.current_task()] = record
        elif note.step is Step.PUT:
            self._in_turn.setdefault((id(note.event), innermost_turn()), deque()).append(record)
        return record

    def _end(self, event: Event[Any]) -> None:
        records = self._current(event)
        if records:
            records.popleft()
        if not records:
            self._in_turn.pop((id(event), innermost_turn()), None)

    @overload
    def __getitem__(self, index: int, /) -> EventRecord: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[EventRecord]: ...
    @override
    def __getitem__(self, index: int | slice, /) -> EventRecord | Sequence[EventRecord]:
        return tuple(self._records)[index]

    @override
    def __len__(self) -> int:
        return len(self._records)

    @override
    def __iter__(self) -> Iterator[EventRecord]:
        return iter(tuple(self._records))

    @override
    def __str__(self) -> str:
        return "\n".join(map(str, self))


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of one nexus (W4). Those that can be `None` are counted only with `AsyncEventNexus(stats=True)`."""

    posted: int
    """Events that `post` took, dropped ones included."""

    dropped: int
    """Posts that were dropped or replaced; what `reject` refuses is not among them."""

    in_line: int
    """Events that wait for their turn."""

    in_turn: int
    """Turns that are open, those nested in others included."""

    ingested: int | None = None
    """Valid events that came from outside."""

    put: int | None = None
    """Secondary events that counted."""

    handled: int | None = None
    """Events that were handled or consumed without failing, secondary ones included."""

    failed: int | None = None
    """Events that failed, whether an error handler dealt with that or not; without those refused."""

    refused: int | None = None
    """Events whose payload was invalid."""

    interrupted: int | None = None
    """Events that were cancelled or cut off, in their turn or before it."""


class Counter:
    """Counts the steps of events."""

    def __init__(self) -> None:
        self.ingested: int = 0
        self.put: int = 0
        self.handled: int = 0
        self.failed: int = 0
        self.refused: int = 0
        self.interrupted: int = 0

    def note(self, note: Note) -> None:
        """Count a step; an event that failed counts when it has ended, however many errors it had."""
        match note.step:
            case Step.INGESTED:
                self.ingested += 1
            case Step.PUT:
                self.put += 1
            case Step.HANDLED:
                self.handled += 1
            case Step.INTERRUPTED:
                self.interrupted += 1
            case Step.FAILED:
                self.refused += _is_refusal(note)
            case Step.ENDED:
                self.failed += 1
            case _:
                pass


class Observing:
    """Who observes one nexus: its counter, where it has one, and explanations."""

    def __init__(self, catalog: Catalog, dispatch: Dispatch, *, stats: bool) -> None:
        self._catalog = catalog
        self._dispatch = dispatch
        self._counter: Counter | None = None
        if stats:
            self._counter = Counter()
            dispatch.watch(self._counter.note, closely=True)

    @contextmanager
    def explain(self, limit: int) -> Generator[Explanation]:
        """Keep the last `limit` records of what is decided inside of the block."""
        explanation = Explanation(self._catalog, limit)
        end: Callable[[], None] = self._dispatch.watch(explanation.note, closely=True)
        try:
            yield explanation
        finally:
            end()

    def stats(self, posted: int, dropped: int) -> Stats:
        """Tell the numbers as they are."""
        line, counter = self._dispatch.line, self._counter
        always = (posted, dropped, line.in_line, line.in_turn)
        if counter is None:
            return Stats(*always)
        return Stats(
            *always,
            counter.ingested,
            counter.put,
            counter.handled,
            counter.failed,
            counter.refused,
            counter.interrupted,
        )
