"""Throws valid and invalid events at the handlers of a nexus, and tells which of them crashed it.

Sources are not started, so the events come from here alone, and time is virtual. What is drawn depends on the
seed, the number of examples and the catalog only: the same crash comes again, as far as the handlers are
deterministic.
"""

import asyncio
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.strategies import SearchStrategy

from ..boundaries import AsyncEventBoundary
from ..errors import BadCall, InvalidPayload, UnhandledEvent, text_of
from ..events import Event, EventType
from ..lifecycle import State
from ..nexus import AsyncEventNexus
from ..notes import Note, Step
from .recording import record
from .strategies import events_of, invalid_events_of, keys_of
from .virtual_time import Deadlock, VirtualTimeLoop

MOST_SECONDARY: Final = 1000
"""How many secondary events a turn may have before it counts as one that never ends."""


UNKNOWN_KEY: Final = "a key that nothing knows"
"""The key of the events that the default handler is fuzzed with, beside those that others leave to it."""

PATIENCE: Final = 10.0
"""How many real seconds a handler may wait for I/O or a thread before that counts as a deadlock."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A way in which handlers failed, with the smallest event that led there."""

    error: BaseException
    event: Event[Any]
    """What was ingested."""

    is_valid: bool
    """Whether the nexus should have taken the event, or refused it."""

    handler: str | None
    """The name of the handler or filter that failed, as far as one is known."""

    failed_event: Event[Any]
    """What the handler was given: the event, or a secondary one that followed from it."""

    file: str | None
    line: int | None
    """Where the error was raised."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of fuzzing: how many events were ingested, which keys no events could be drawn for, crashes."""

    events: int
    undrawn: tuple[tuple[EventType | range, str], ...]
    crashes: tuple[Crash, ...]
    was_ended: bool
    """Whether a handler called `cleanup`: then the event that it was given is the last."""


class Endless(BaseException):
    """A turn has so many secondary events that it does not seem to end: no handler's error, so that it ends at once."""


def fuzz(nexus: AsyncEventNexus[Any], *, seed: int, examples: int = 100) -> Outcome:
    """Ingest up to `examples` valid and as many invalid events of each key that the nexus knows.

    That nothing handles an event is no crash, unless a handler put it; nor is `InvalidPayload` for an invalid event.
    One crash is kept for each place that an error of one type came from. Handlers may `stop` the nexus: each event is
    ingested as if it came before that. The nexus is not fit for anything else afterwards. Raises `BadCall` for one that
    has been started.
    """
    if nexus.state is not State.READY:
        raise BadCall(f"a nexus is fuzzed before it is started, this one is {nexus.state}")
    fuzzer = _Fuzzer(nexus, seed, examples)
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(seed=seed, patience=PATIENCE)) as runner:
        fuzzer.run(runner)
    return Outcome(fuzzer.events, tuple(fuzzer.undrawn), tuple(fuzzer.crashes.values()), fuzzer.was_ended)


class _Fuzzer:
    def __init__(self, nexus: AsyncEventNexus[Any], seed: int, examples: int) -> None:
        self._nexus = nexus
        self._seed = seed
        self._examples = examples
        self._secondary = 0
        self.events = 0
        self.undrawn: list[tuple[EventType | range, str]] = []
        self.crashes: dict[tuple[object, ...], Crash] = {}

    @property
    def was_ended(self) -> bool:
        """Whether a handler has ended the nexus."""
        return self._nexus.state is State.STOPPED

    def run(self, runner: asyncio.Runner) -> None:
        nexus = self._nexus
        end = nexus.watch(self._count)
        try:
            # Starting would run the sources, which fuzzing is to leave alone: only the way to the handlers is opened.
            with nexus._life.lent():  # pyright: ignore[reportPrivateUsage] # as said
                for key in self._keys():
                    for is_valid, strategy in ((True, events_of(nexus, key)), (False, invalid_events_of(nexus, key))):
                        if not self._throw(runner, key, strategy, is_valid=is_valid):
                            return
        finally:
            end()

    def _keys(self) -> Iterator[EventType | range]:
        yield from keys_of(self._nexus)
        if any(target is None for target, _ in self._nexus.handlers):
            yield UNKNOWN_KEY

    def _throw(
        self, runner: asyncio.Runner, key: EventType | range, strategy: SearchStrategy[Event[Any]], *, is_valid: bool
    ) -> bool:
        """Ingest what is drawn; tell whether the nexus can take more."""
        stuck = False

        @seeded(self._seed)
        @settings(
            max_examples=self._examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(strategy)
        def throw(event: Event[Any]) -> None:
            nonlocal stuck
            if not stuck:
                stuck = not self._ingest(runner, event, is_valid=is_valid)

        try:
            if not strategy.is_empty:
                throw()
        except Exception as error:  # all that handlers raise has been caught: this is from drawing
            self.undrawn.append((key, text_of(error).partition("\n")[0] or type(error).__name__))
        return not stuck

    def _ingest(self, runner: asyncio.Runner, event: Event[Any], *, is_valid: bool) -> bool:
        self.events += 1
        self._secondary = 0
        with record(self._nexus) as recording:
            try:
                error = runner.run(self._outcome(event))
            except Deadlock as deadlock:  # raised by the loop, while the handler still waits
                self._note(deadlock, event, None, event, is_valid=is_valid)
                return False
            except asyncio.CancelledError as cancelled:
                error = cancelled
        expected = UnhandledEvent if is_valid else (UnhandledEvent, InvalidPayload)
        for each in _members(error):
            if isinstance(each, expected) and each.event == event:
                continue
            failed = next((failure for failure in recording.failures if failure.error is each), None)
            handler, given_event = (None, event) if failed is None else (failed.handler, failed.event)
            self._note(each, event, handler, given_event, is_valid=is_valid)
        return not self.was_ended

    async def _outcome(self, event: Event[Any]) -> BaseException | None:
        try:
            await self._nexus.ingest(event)
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise  # the runner tells whether it was Ctrl-C
        except BaseException as error:
            return error
        return None

    def _count(self, note: Note) -> None:
        if note.step is Step.HANDLED:
            _drain(self._nexus)
        elif note.step is Step.PUT:
            self._secondary += 1
            if self._secondary > MOST_SECONDARY:
                raise Endless(f"more than {MOST_SECONDARY} secondary events follow from one event")

    def _note(
        self, error: BaseException, event: Event[Any], handler: str | None, failed_event: Event[Any], *, is_valid: bool
    ) -> None:
        file, line = _place(error)
        kind = (type(error), handler, file, line)
        known = self.crashes.get(kind)
        if known is None or _size(event) < _size(known.event):
            error.__traceback__ = None  # or all that its frames hold would be kept
            self.crashes[kind] = Crash(error, event, is_valid, handler, failed_event, file, line)


def _members(error: BaseException | None) -> list[BaseException]:
    """List an error, or those of a group."""
    if isinstance(error, BaseExceptionGroup):
        return [
            each for member in cast("BaseExceptionGroup[BaseException]", error).exceptions for each in _members(member)
        ]
    return [] if error is None else [error]


def _place(error: BaseException) -> tuple[str, int | None] | tuple[None, None]:
    """Find where an error was raised: the last place in the user's own code, if there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    libraries = (str(Path(__file__).parents[1]), *sysconfig.get_paths().values(), "<")
    own = [frame for frame in frames if not frame.filename.startswith(libraries)]
    return (own[-1].filename, own[-1].lineno) if own else (None, None)


def _size(event: Event[Any]) -> int:
    with suppress(Exception):
        return len(event.model_dump_json())
    return len(repr(event))


def _drain(nexus: AsyncEventNexus[Any]) -> None:
    """Empty the boundaries among the handlers: the domains behind them do not run."""
    for _, handler in nexus.handlers:
        given_handler = handler.given
        if isinstance(given_handler, AsyncEventBoundary):
            boundary: AsyncEventBoundary[Any] = given_handler  # pyright: ignore[reportUnknownVariableType] # of any events
            while boundary._held:  # pyright: ignore[reportPrivateUsage] # no program needs to throw events away
                boundary._held.popleft()  # pyright: ignore[reportPrivateUsage] # as above
                boundary._room.release()  # pyright: ignore[reportPrivateUsage] # as above
