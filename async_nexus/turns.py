"""Turns: how long one lasts, what is nested in it, and which turns a task is inside of.

Nothing here knows of events. A `Line` hands out turns, each to the task that calls. Which turns a task is inside of is
kept in a context variable, which the tasks born in a handler inherit: that is how their ingests are known to be
nested (T4).
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, ContextVar
from typing import Any, Final, Never, Protocol

from .errors import LoopStopped

logger: Final = logging.getLogger("async_nexus")

_innermost: Final[ContextVar["Turn | Origin | None"]] = ContextVar("async_nexus.turn", default=None)
get_innermost: Final = _innermost.get
"""Returns what the running task is innermost inside of: a turn, open or not, or the sources of a nexus."""
set_innermost: Final = _innermost.set

# On 3.11 `current_task` is written in Python; its table is asked directly there.
task_of: Final[Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None]] = (
    asyncio.current_task if sys.version_info >= (3, 12) else getattr(asyncio.tasks, "_current_tasks").get  # noqa: B009 # no stub has it
)


class LineOfTurns(Protocol):
    """The line that a turn is of, as the turn sees it."""

    holder: Any
    """The turn that is open, if one is."""
    is_awaited: bool
    """Whether somebody is to be told when the turn has been left."""

    def describe(self, label: Any) -> str:
        """Say in messages what a turn is for, given its label."""
        ...

    def release(self, turn: "Turn") -> None:
        """Move on: the turn is over, and so are all that were nested in it."""
        ...


class Origin:
    """Where the tasks of a source come from: nested in no turn, but at home on the line of their nexus."""

    __slots__ = ("line",)

    label = ""
    outer = None
    is_open = False

    def __init__(self, line: LineOfTurns) -> None:
        self.line: LineOfTurns = line


class Turn:
    """A stay in the line, open until it has been left, by itself and by all turns nested in it."""

    # Defaults of the class: most turns need none of these set, nor look at them.
    outer: "Turn | Origin | None" = None
    parent: "Turn | None" = None
    inside: "set[Turn] | None" = None
    wrapped: int = 0
    """How many events have gone through middleware in it; what is nested in it counts for itself."""
    _ended: bool = False
    is_cut: bool = False
    _idle: asyncio.Future[None] | None = None

    line: LineOfTurns
    label: object
    """What it is for. A simple turn has let go of it when it has been left: it is `None` if that was in nothing."""
    handling: object
    """The event that is being handled, `None` after the last; before the first secondary one it may be missing."""
    task: asyncio.Task[Any] | None
    is_simple: bool
    """Whether it is nested in no turn, and nothing was nested in it, nor was it cut off: then leaving it is enough."""

    @property
    def ended(self) -> bool:
        """Whether it has been left; turns nested in it may go on."""
        return self._ended or self.label is None

    @property
    def is_open(self) -> bool:
        """Whether a task that was born in the turn is still nested in it."""
        return not self.ended or bool(self.inside)

    async def settle(self) -> None:
        """Wait until every turn nested in this one has been left."""
        while self.inside:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    async def finish(self, error: BaseException | None) -> None:
        """Wait for nested turns, unless the turn has to end at once; raise `LoopStopped` if it was cut off.

        `error` is what the turn ended with. Needed only where the turn is not simple.
        """
        try:
            if error is None or isinstance(error, Exception):
                await self.settle()
        except asyncio.CancelledError as cancelled:
            log_unraised([] if error is None else [error])
            if self.is_cut:
                self.raise_cut_off(cancelled)
            raise
        if self.is_cut:
            self.raise_cut_off(error)

    async def end(self, error: BaseException | None = None) -> None:
        """Finish the turn and leave it; raises what `finish` does.

        `error` is what the turn ended with: the caller goes on raising that. Raised here, it would be part of a cycle
        with this call, and all that its traceback holds would be kept until garbage is collected.
        """
        try:
            if not self.is_simple:
                await self.finish(error)
        finally:
            self.leave()

    def leave(self) -> None:
        """End the turn. The line moves on at once, or when the last turn nested in it is left.

        A context that was in no turn before keeps this one, ended: to put nothing in its place costs as much as a turn.
        """
        outer, line = self.outer, self.line
        # Tasks that outlive the turn hold it; through these it would hold the turn before it, and what it was for.
        self.task = None
        if not self.is_simple:
            self._ended = True
            set_innermost(outer)
            if not self.inside:
                self._close()
            return
        if outer is None:
            self.label = None
        else:  # tasks that were born in this turn may still be inside of what it was in
            self._ended, self.label = True, ""
            set_innermost(outer)
        if line.is_awaited:
            line.release(self)
        else:
            line.holder = None

    def _close(self) -> None:
        """End all that this turn was the last of: turns may be nested deeper than calls can be."""
        turn = self
        while turn.parent is not None:
            if not turn.parent._has_left(turn):
                return
            turn = turn.parent
        turn.line.release(turn)

    def _has_left(self, nested: "Turn") -> bool:
        """Take note that a nested turn is over; after the last one, who waits for it goes on. Tell if this is over."""
        inside = self.inside or {nested}
        inside.discard(nested)
        if inside:
            return False
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        return self.ended

    def cut_off(self) -> None:
        """Take note that what still runs in the turn is to end at once."""
        self.is_cut = True
        self.is_simple = False

    def everyone(self) -> "Iterator[Turn]":
        """List this turn and all that are nested in it."""
        turns: list[Turn] = [self]
        while turns:
            turn = turns.pop()
            yield turn
            turns += turn.inside or ()

    def raise_cut_off(self, cause: BaseException | None) -> Never:
        """Leave a turn that was cut off: `LoopStopped` where the turn's task entered the line.

        A turn nested in the same task lets the cancellation through, so that its handler ends as well.
        """
        nested_in_task = self.parent is not None and self.parent.task is self.task
        if nested_in_task and isinstance(cause, asyncio.CancelledError):
            raise cause
        if not nested_in_task and self.task is not None and self.task.uncancel() > 0:
            raise cause or asyncio.CancelledError
        raise LoopStopped(f"the nexus stopped before it had handled {self.line.describe(self.label)}") from cause


def log_unraised(errors: Iterable[BaseException]) -> None:
    """Tell of errors that a turn which ends at once cannot raise."""
    for error in errors:
        logger.error("a handler failed in a turn that was then ended", exc_info=error)


def turns_of(context: Context) -> Iterator[Turn]:
    """List the turns that a context is inside of, innermost first, open or not."""
    return outwards(context.get(_innermost))


def outwards(inner: Turn | Origin | None) -> Iterator[Turn]:
    """List a turn and those that it is inside of."""
    while inner is not None:
        if isinstance(inner, Turn):
            yield inner
        inner = inner.outer


def innermost_turn() -> Turn | None:
    """Return the innermost turn that the running task is inside of, whichever line it is of."""
    inner = get_innermost()
    return inner if isinstance(inner, Turn) else None


def current_turn() -> Turn:
    """Return the turn that the running task has begun and not left. Raises `RuntimeError` where there is none."""
    inner = get_innermost()
    if not isinstance(inner, Turn):
        raise RuntimeError("this is called in a turn only")
    return inner
