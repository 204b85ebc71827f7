"""Who may go next: one turn at a time, by priority and arrival; nested in it whoever belongs to it."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, ClassVar

from .errors import LoopStopped
from .turns import Origin, Turn, get_innermost, outwards, set_innermost, task_of


class Called:
    """Holds the line for who has been called and has not begun yet."""

    __slots__ = ("label",)

    def __init__(self, label: object) -> None:
        self.label: object = label


def _skip_ended(inner: Turn | Origin | None) -> Turn | Origin | None:
    """Find what a new turn is inside of; a task that has outlived its turn no longer counts as a source's."""
    while isinstance(inner, Turn) and not inner.is_open:
        inner = None if isinstance(inner.outer, Origin) else inner.outer
    return inner


def _tell_nobody() -> None:
    """Do nothing: nobody wants to know."""


class Line:
    """Turns one at a time: the lowest priority first, then who came first.

    `holder` is the turn that is open, or who has been called to begin one; `is_awaited` says that somebody is to be
    told when it has been left.
    """

    is_serial: ClassVar[bool] = True
    """Whether nobody who is outside of a turn can begin one while there is a `holder`."""

    __slots__ = (
        "_arrivals",
        "_describe",
        "_gone",
        "_quiet",
        "_waiting",
        "holder",
        "is_awaited",
        "is_cut",
        "loop",
        "moved",
    )

    def __init__(self, describe: Callable[[Any], str] = str) -> None:
        """Make a line; `describe` says in messages what a turn is for, given its label."""
        self._describe = describe
        self.holder: Turn | Called | None = None
        self.is_awaited: bool = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[int, int, asyncio.Future[None], object]] = []
        self._arrivals = itertools.count().__next__
        self._gone: int = 0  # at most so many of the places that are kept are of those who have gone
        self.is_cut: bool = False
        self._quiet: asyncio.Future[None] | None = None
        self.moved: Callable[[], None] = _tell_nobody
        """Is called where somebody is gone who might have brought a turn: one whose turn ran beside others, say."""

    def describe(self, label: Any) -> str:
        """Say in messages what a turn is for, given its label."""
        return self._describe(label)

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
        return sum(not place[2].done() for place in tuple(self._waiting))

    @property
    def in_turn(self) -> int:
        """How many turns are open, nested ones included."""
        holder = self.holder  # asked once: whoever counts may be in another thread
        return sum(1 for _ in holder.everyone()) if isinstance(holder, Turn) else 0

    def holders(self, *, is_last: bool = False) -> tuple[Turn, ...]:
        """List the outermost turns if they take all the room there is, nothing if a turn more can begin.

        With `is_last` nobody more comes, so that none of them can, unless somebody has been called.
        """
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
        """Wait in line and begin a turn. Cancelled, it leaves the line (T5). Raises `LoopStopped`.

        To be called where `enter` returned nothing, or, in a line that `is_serial`, would do so.
        """
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
        """Leave cancelled places where they are, until they may outnumber the others."""
        self._gone += 1
        if 2 * self._gone > len(self._waiting):
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
        return any(turn.is_open for turn in outwards(get_innermost()))

    def context(self) -> Context:
        """Make the context in which the tasks of sources run: outside of any turn, at home on this line."""
        context = copy_context()
        context.run(set_innermost, Origin(self))
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
        return labels
