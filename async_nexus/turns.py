"""Who may go next: one turn at a time, by priority and arrival; nested in it whoever belongs to it.

Nothing here knows of events. A `Line` hands out turns; a `Turn` lasts from `enter` (or `wait`) to `leave`, in
the task that called. Which turns a task is inside of is kept in a context variable, which the tasks born in
a handler inherit: that is how their ingests are known to be nested (T4).
"""

import asyncio
import heapq
import itertools
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, Never

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


class Origin:
    """Where the tasks of a source come from: nested in no turn, but at home on the line of their nexus."""

    __slots__ = ("line",)

    label = ""
    outer = None
    is_open = False

    def __init__(self, line: "Line") -> None:
        self.line: Line = line


class Called:
    """Holds the line for who has been called and has not begun yet."""

    __slots__ = ("label",)

    def __init__(self, label: object) -> None:
        self.label: object = label


class Turn:
    """A stay in the line, open until it has been left, by itself and by all turns nested in it."""

    # Defaults of the class: most turns need none of these set, nor look at them.
    outer: "Turn | Origin | None" = None
    parent: "Turn | None" = None
    inside: "set[Turn] | None" = None
    _ended: bool = False
    is_cut: bool = False
    _idle: asyncio.Future[None] | None = None

    line: "Line"
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
        if self.parent is None:
            self.line.release(self)
        else:
            self.parent.has_left(self)

    def has_left(self, nested: "Turn") -> None:
        """Take note that a nested turn has been left: the last one lets whoever waits for it go on."""
        inside = self.inside or {nested}
        inside.discard(nested)
        if inside:
            return
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        if self.ended:
            self._close()

    def cut_off(self) -> None:
        """Take note that what still runs in the turn is to end at once."""
        self.is_cut = True
        self.is_simple = False

    def everyone(self) -> "Iterator[Turn]":
        """List this turn and all that are nested in it."""
        yield self
        for nested in self.inside or ():
            yield from nested.everyone()

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
    return _outwards(context.get(_innermost))


def _outwards(inner: Turn | Origin | None) -> Iterator[Turn]:
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


def _skip_ended(inner: Turn | Origin | None) -> Turn | Origin | None:
    """Find what a new turn is inside of; a task that has outlived its turn no longer counts as a source's."""
    while isinstance(inner, Turn) and not inner.is_open:
        inner = None if isinstance(inner.outer, Origin) else inner.outer
    return inner


class Line:
    """Turns one at a time: the lowest priority first, then who came first.

    `holder` is the turn that is open, or who has been called to begin one; `is_awaited` says that somebody is to be
    told when it has been left.
    """

    __slots__ = ("_arrivals", "_gone", "_quiet", "_waiting", "describe", "holder", "is_awaited", "is_cut", "loop")

    def __init__(self, describe: Callable[[Any], str] = str) -> None:
        """Make a line; `describe` says in messages what a turn is for, given its label."""
        self.describe: Callable[[Any], str] = describe
        self.holder: Turn | Called | None = None
        self.is_awaited: bool = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[int, int, asyncio.Future[None], object]] = []
        self._arrivals = itertools.count().__next__
        self._gone = 0
        self.is_cut: bool = False
        self._quiet: asyncio.Future[None] | None = None

    def enter(self, label: object) -> Turn | None:
        """Begin a turn if that can be at once: nobody is there, or the task is inside of a turn."""
        outer, loop = get_innermost(), self.loop
        if self.holder is None and loop is not None and (outer is None or outer.label is None):
            # The way of most turns: `_begin`, without its call.
            self.holder = turn = Turn()
            turn.line = self
            turn.label = label
            turn.is_simple = True
            turn.task = task_of(loop)
            set_innermost(turn)
            return turn
        if outer is not None:
            parent = self._enclosing(outer)
            if parent is not None:
                return self._enter_nested(outer, parent, label)
            outer = _skip_ended(outer)
        if self.holder is not None:
            return None
        self.holder = turn = self._begin(label, outer)
        return turn

    def _begin(self, label: object, outer: Turn | Origin | None) -> Turn:
        """Make a turn of the running task and mark its context."""
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        turn = Turn()
        turn.line = self
        turn.outer = outer
        turn.label = label
        turn.is_simple = True
        turn.task = task_of(self.loop)
        set_innermost(turn)
        return turn

    @staticmethod
    def _surroundings() -> Turn | Origin | None:
        """Find what a turn that the running task began now would be inside of."""
        return _skip_ended(get_innermost())

    def _enclosing(self, inner: Turn | Origin | None) -> Turn | None:
        """Find the innermost open turn of this line that the running task is inside of."""
        while inner is not None:
            if inner.line is self and isinstance(inner, Turn) and inner.is_open:
                return inner
            inner = inner.outer
        return None

    def innermost(self) -> Turn | None:
        """Return the innermost open turn of this line that the running task is inside of."""
        return self._enclosing(get_innermost())

    @property
    def in_line(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting) - self._gone

    @property
    def in_turn(self) -> int:
        """How many turns are open, nested ones included."""
        return sum(1 for _ in self.holder.everyone()) if isinstance(self.holder, Turn) else 0

    def holders(self) -> tuple[Turn, ...]:
        """List the outermost turns if they take all the room there is, nothing if a turn more can begin."""
        return (self.holder,) if isinstance(self.holder, Turn) else ()

    def _enter_nested(self, outer: Turn | Origin, parent: Turn, label: object) -> Turn:
        if parent.is_cut:
            raise LoopStopped(f"the nexus has stopped: it does not handle {self.describe(label)}")
        turn = self._begin(label, outer)
        turn.parent = parent
        turn.is_simple = parent.is_simple = False
        if parent.inside is None:
            parent.inside = set()
        parent.inside.add(turn)
        return turn

    async def wait(self, priority: int, label: object) -> Turn:
        """Wait in line and begin a turn. Cancelled, it leaves the line (T5). Raises `LoopStopped`."""
        turned = asyncio.get_running_loop().create_future()
        self.is_awaited = True
        heapq.heappush(self._waiting, (priority, self._arrivals(), turned, label))
        try:
            await turned
        except asyncio.CancelledError:
            if turned.cancelled():
                self._forget_one()
            elif turned.exception() is None:
                self.release()
            raise
        if self.is_cut:
            self.release()
            raise LoopStopped(f"the nexus stopped before it had handled {self.describe(label)}")
        self.holder = turn = self._begin(label, self._surroundings())
        return turn

    def _forget_one(self) -> None:
        """Leave a cancelled place where it is, until those outnumber the others."""
        self._gone += 1
        if self._gone * 2 > len(self._waiting):
            self._waiting = [place for place in self._waiting if not place[2].done()]
            heapq.heapify(self._waiting)
            self._gone = 0

    def release(self, turn: Turn | None = None) -> None:
        """Hand the line over from the turn that ends to who is next; nobody can slip in between."""
        while self._waiting:
            _, _, turned, label = heapq.heappop(self._waiting)
            if not turned.done():
                self.holder = Called(label)
                turned.set_result(None)
                return
            self._gone -= 1
        self.holder = None
        self.is_awaited = False
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    async def quiet(self) -> None:
        """Wait until nobody has a turn or waits for one. Only one task may wait for that."""
        while self.holder is not None:
            self.is_awaited = True
            self._quiet = asyncio.get_running_loop().create_future()
            await self._quiet

    def is_at_home(self) -> bool:
        """Whether the running task is inside of an open turn of this line, or belongs to its sources."""
        inner, outlived = get_innermost(), False
        while inner is not None:
            if inner.line is self:
                if inner.is_open:
                    return True
                if isinstance(inner, Origin):
                    return not outlived
                outlived = True
            inner = inner.outer
        return False

    @staticmethod
    def is_nested() -> bool:
        """Whether the running task is inside of an open turn, of whichever line."""
        return any(turn.is_open for turn in _outwards(get_innermost()))

    def context(self) -> Context:
        """Make the context in which the tasks of sources run: outside of any turn, at home on this line."""
        context = copy_context()
        context.run(_innermost.set, Origin(self))
        return context

    def cut_off(self) -> list[str]:
        """Cancel whoever has a turn and turn away who waits; both raise `LoopStopped`.

        Returns what the turns were for, as `describe` says it.
        """
        self.is_cut = True
        labels: list[str] = []
        if isinstance(self.holder, Turn):
            turns = list(self.holder.everyone())
            for turn in turns:
                turn.cut_off()
                labels.append(self.describe(turn.label))
            for task in {turn.task for turn in turns if turn.task is not None}:
                task.cancel()
        elif self.holder is not None:
            labels.append(self.describe(self.holder.label))
        for _, _, turned, label in sorted(self._waiting, key=lambda place: place[:2]):
            if not turned.done():
                turned.set_exception(LoopStopped(f"the nexus stopped before it had handled {self.describe(label)}"))
                labels.append(self.describe(label))
        self._waiting.clear()
        self._gone = 0
        return labels
