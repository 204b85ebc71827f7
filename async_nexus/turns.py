"""Who may go next: one turn at a time, by priority and arrival; nested in it whoever belongs to it.

Nothing here knows of events. A `Line` hands out turns; a `Turn` lasts from `enter` (or `wait`) to `leave`, in
the task that called. Which turns a task is inside of is kept in a context variable, which the tasks born in
a handler inherit: that is how their ingests are known to be nested (T4).
"""

import asyncio
import heapq
import itertools
import sys
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, Never

from .errors import LoopStopped

_innermost: Final[ContextVar["Turn | Origin | None"]] = ContextVar("async_nexus.turn", default=None)
_set_innermost: Final = _innermost.set
_reset_innermost: Final = _innermost.reset

# On 3.11 `current_task` is written in Python; its table is asked directly there.
_current_task: Final[Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None]] = (
    asyncio.current_task if sys.version_info >= (3, 12) else getattr(asyncio.tasks, "_current_tasks").get  # noqa: B009 # no stub has it
)


class Origin:
    """Where the tasks of a source come from: nested in no turn, but at home on the line of their nexus."""

    __slots__ = ("line",)

    outer = None
    is_open = False

    def __init__(self, line: "Line") -> None:
        self.line: Line = line


class Turn:
    """A stay in the line, open until it has been left, by itself and by all turns nested in it."""

    # Defaults of the class: most turns need none of these set, nor look at them.
    outer: "Turn | Origin | None" = None
    parent: "Turn | None" = None
    inside: "set[Turn] | None" = None
    ended: bool = False
    is_cut: bool = False
    handling: object = None
    """The secondary event that is being handled, once it is one."""
    _idle: asyncio.Future[None] | None = None

    line: "Line"
    label: object
    task: asyncio.Task[Any] | None
    is_simple: bool
    """Whether it is nested in no turn, and nothing was nested in it, nor was it cut off: then leaving it is enough."""
    _token: Any

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
            if self.is_cut:
                self.raise_cut_off(cancelled)
            raise
        if self.is_cut:
            self.raise_cut_off(error)

    def leave(self) -> None:
        """End the turn. The line moves on at once, or when the last turn nested in it is left."""
        _reset_innermost(self._token)
        # Tasks that outlive the turn hold it; through these two it would hold the turn before it, and so on.
        self._token = self.task = None
        self.ended = True
        if self.is_simple:
            self.line.release(self)
        elif not self.inside:
            self._close()

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


def enclosing_turns(context: Context) -> Iterator[Turn]:
    """List the turns that a context is inside of, innermost first, open or not."""
    inner = context.get(_innermost)
    while inner is not None:
        if isinstance(inner, Turn):
            yield inner
        inner = inner.outer


def innermost_turn() -> Turn | None:
    """Return the innermost turn that the running task is inside of, whichever line it is of."""
    inner = _innermost.get()
    return inner if isinstance(inner, Turn) else None


def current_turn() -> Turn:
    """Return the turn that the running task has begun and not left. Raises `RuntimeError` where there is none."""
    inner = _innermost.get()
    if not isinstance(inner, Turn):
        raise RuntimeError("this is called in a turn only")
    return inner


def _skip_ended(inner: Turn | Origin | None) -> Turn | Origin | None:
    """Find what a new turn is inside of; a task that has outlived its turn no longer counts as a source's."""
    while isinstance(inner, Turn) and not inner.is_open:
        inner = None if isinstance(inner.outer, Origin) else inner.outer
    return inner


class Line:
    """Turns one at a time: the lowest priority first, then who came first."""

    __slots__ = (
        "_arrivals",
        "_called",
        "_current",
        "_gone",
        "_held",
        "_is_cut",
        "_loop",
        "_quiet",
        "_waiting",
        "describe",
    )

    def __init__(self, describe: Callable[[Any], str] = str) -> None:
        """Make a line; `describe` says in messages what a turn is for, given its label."""
        self.describe: Callable[[Any], str] = describe
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held = False
        self._current: Turn | None = None
        self._called: object = None
        self._waiting: list[tuple[int, int, asyncio.Future[None], object]] = []
        self._arrivals = itertools.count().__next__
        self._gone = 0
        self._is_cut = False
        self._quiet: asyncio.Future[None] | None = None

    def enter(self, label: object) -> Turn | None:
        """Begin a turn if that can be at once: nobody is there, or the task is inside of a turn."""
        outer = _innermost.get()
        if outer is None and not self._held and self._loop is not None:
            # The way of most turns: `_begin`, without its call.
            self._held = True
            self._current = turn = Turn()
            turn.line = self
            turn.label = label
            turn.is_simple = True
            turn.task = _current_task(self._loop)
            turn._token = _set_innermost(turn)  # pyright: ignore[reportPrivateUsage] # a line and its turns are one
            return turn
        if outer is not None:
            parent = self._enclosing(outer)
            if parent is not None:
                return self._enter_nested(outer, parent, label)
            outer = _skip_ended(outer)
        if self._held:
            return None
        self._held = True
        self._current = turn = self._begin(label, outer)
        return turn

    def _begin(self, label: object, outer: Turn | Origin | None) -> Turn:
        """Make a turn of the running task and mark its context."""
        loop = self._loop
        if loop is None:
            self._loop = loop = asyncio.get_running_loop()
        turn = Turn()
        turn.line = self
        turn.label = label
        turn.is_simple = True
        if outer is not None:
            turn.outer = outer
        turn.task = _current_task(loop)
        turn._token = _set_innermost(turn)  # pyright: ignore[reportPrivateUsage] # a line and its turns are one
        return turn

    @staticmethod
    def _surroundings() -> Turn | Origin | None:
        """Find what a turn that the running task began now would be inside of."""
        return _skip_ended(_innermost.get())

    def _enclosing(self, inner: Turn | Origin | None) -> Turn | None:
        """Find the innermost open turn of this line that the running task is inside of."""
        while inner is not None:
            if inner.line is self and isinstance(inner, Turn) and inner.is_open:
                return inner
            inner = inner.outer
        return None

    def innermost(self) -> Turn | None:
        """Return the innermost open turn of this line that the running task is inside of."""
        return self._enclosing(_innermost.get())

    @property
    def in_line(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting) - self._gone

    @property
    def in_turn(self) -> int:
        """How many turns are open, nested ones included."""
        return 0 if self._current is None else sum(1 for _ in self._current.everyone())

    def holders(self) -> tuple[Turn, ...]:
        """List the outermost turns if they take all the room there is, nothing if a turn more can begin."""
        return () if self._current is None else (self._current,)

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
        heapq.heappush(self._waiting, (priority, self._arrivals(), turned, label))
        try:
            await turned
        except asyncio.CancelledError:
            if turned.cancelled():
                self._forget_one()
            elif turned.exception() is None:
                self.release()
            raise
        if self._is_cut:
            self.release()
            raise LoopStopped(f"the nexus stopped before it had handled {self.describe(label)}")
        self._current = turn = self._begin(label, _skip_ended(_innermost.get()))
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
        self._current = None
        if not (self._waiting or self._quiet):
            self._held = False
            return
        while self._waiting:
            _, _, turned, label = heapq.heappop(self._waiting)
            if not turned.done():
                self._called = label
                turned.set_result(None)
                return
            self._gone -= 1
        self._held = False
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    async def quiet(self) -> None:
        """Wait until nobody has a turn or waits for one. Only one task may wait for that."""
        while self._held:
            self._quiet = asyncio.get_running_loop().create_future()
            await self._quiet

    def is_at_home(self) -> bool:
        """Whether the running task is inside of an open turn of this line, or belongs to its sources."""
        inner, outlived = _innermost.get(), False
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
        """Whether the running task was born in a turn, of whichever line."""
        return isinstance(_innermost.get(), Turn)

    def context(self) -> Context:
        """Make the context in which the tasks of sources run: outside of any turn, at home on this line."""
        context = copy_context()
        context.run(_innermost.set, Origin(self))
        return context

    def cut_off(self) -> list[str]:
        """Cancel whoever has a turn and turn away who waits; both raise `LoopStopped`.

        Returns what the turns were for, as `describe` says it.
        """
        self._is_cut = True
        labels: list[str] = []
        if self._current is not None:
            turns = list(self._current.everyone())
            for turn in turns:
                turn.cut_off()
                labels.append(self.describe(turn.label))
            for task in {turn.task for turn in turns if turn.task is not None}:
                task.cancel()
        elif self._held:
            labels.append(self.describe(self._called))
        for _, _, turned, label in sorted(self._waiting, key=lambda place: place[:2]):
            if not turned.done():
                turned.set_exception(LoopStopped(f"the nexus stopped before it had handled {self.describe(label)}"))
                labels.append(self.describe(label))
        self._waiting.clear()
        self._gone = 0
        return labels
