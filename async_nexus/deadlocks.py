"""Deadlocks: turns that wait for events which could come only after them (Z1)."""

import asyncio
import gc
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from typing import Any

from .companions import IsBringing
from .errors import BadCall, Deadlock, LoopStopped
from .events import Event, EventType
from .lines import Line
from .turns import Turn, turns_of


class Wait:
    """A turn waits, in its own task and without a time limit, for an event to come."""

    def __init__(self, expected: asyncio.Future[Any], waiter: asyncio.Future[Any], what: object) -> None:
        self.what: object = what
        self.who: str = _caller()
        self._expected = expected
        self._waiter = waiter

    @property
    def is_over(self) -> bool:
        """Whether the task is about to go on: the event has come, or the task was cancelled."""
        return self._expected.done() or self._waiter.done()

    def fail(self, error: Exception) -> None:
        """Raise an error where the turn waits."""
        self._waiter.set_exception(error)


class Waits:
    """The turns of a line that wait for events, in the order in which they began to.

    Where none of these could come any more, the last turn is told; what then becomes of it decides on the others. That
    is looked at whenever a turn begins to wait, and again when a task has ended that could have brought an event.
    """

    def __init__(self, line: Line, names_of: Callable[[EventType], list[str]]) -> None:
        self._line = line
        self._names_of = names_of
        self._waits: dict[Turn, Wait] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_bringing: IsBringing = lambda waiting: True

    def own_turn(self) -> Turn | None:
        """Return the innermost turn on the line that the running task itself has entered and not left."""
        turn = self._line.innermost()
        return turn if turn is not None and turn.task is asyncio.current_task() else None

    def begin(self, turn: Turn, wait: Wait) -> None:
        """Take note that a turn waits."""
        self._waits[turn] = wait
        self._look_soon()

    def end(self, turn: Turn) -> None:
        """Take note that a turn waits no more."""
        self._waits.pop(turn, None)

    def wind_up(self, is_bringing: IsBringing) -> None:
        """Take note that nobody comes to the line any more but those whom `is_bringing` tells of."""
        self._is_bringing = is_bringing
        self._line.moved = self._look_soon
        self._look_soon()

    def _look_soon(self, ended: asyncio.Task[Any] | None = None) -> None:
        if ended is not None:
            self._tasks.discard(ended)
        if self._waits:
            # Not now: whoever was cancelled, or is about to go on, is known then. It belongs to no turn.
            asyncio.get_running_loop().call_soon(self._look, context=Context())

    def _look(self) -> None:
        """Tell the last turn if all room is taken by turns that wait for what could come only after them."""
        waits = {turn: wait for turn, wait in self._waits.items() if not wait.is_over}
        waiting = {turn.task for turn in waits}
        is_full = bool(outermost := self._line.holders())
        if not is_full and waits and not self._is_bringing(waiting):
            outermost = self._line.holders(is_last=True)
        turns = [turn for each in outermost for turn in each.everyone()]
        if not turns or not waits:
            return
        others = {turn.task for turn in turns if turn.task is not None} - waiting or _born_in(turns) - waiting
        for task in others - self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._look_soon, context=Context())
        if not others:
            waits[next(reversed(waits))].fail(self._error(waits, is_full=is_full))

    def _error(self, waits: dict[Turn, Wait], *, is_full: bool) -> BadCall:
        paths = "; ".join(" > ".join(self._path(turn, wait)) for turn, wait in waits.items())
        if is_full:
            return Deadlock(f"no event can be handled before one of these returns: {paths}")
        return LoopStopped(f"the nexus is stopping, and no event comes any more: {paths}")

    def _path(self, leaf: Turn, wait: Wait) -> Iterator[str]:
        """Name what is called in a turn and those around it, outermost first, and what is waited for."""
        chain: list[Turn] = []
        turn: Turn | None = leaf
        while turn is not None:
            chain.append(turn)
            turn = turn.parent
        for each in reversed(chain):
            handling = getattr(each, "handling", None)
            event = each.label if handling is None else handling
            names = " and ".join(self._names_of(event.type)) if isinstance(event, Event) else ""
            who = (wait.who if each is leaf else "") or names
            yield f"{who} with {self._line.describe(event)}" if who else self._line.describe(event)
        yield f"expects {wait.what}"


def _caller() -> str:
    """Name the function that this package has called and the running code is in: a handler, say, or a filter."""
    name, frame = "", inspect.currentframe()
    while frame is not None and _is_own(frame.f_globals):
        frame = frame.f_back
    while frame is not None and not _is_own(frame.f_globals):
        name, frame = frame.f_code.co_qualname, frame.f_back
    return name


def _is_own(module: dict[str, Any]) -> bool:
    return str(module.get("__name__")).partition(".")[0] == __package__


def _born_in(turns: Iterable[Turn]) -> set[asyncio.Task[Any]]:
    """Find the tasks that may have been born in turns: they could ingest what is awaited (T4)."""
    inside = set(turns)
    return {task for task in asyncio.all_tasks() if _may_be_inside(task, inside)}


def _may_be_inside(task: asyncio.Task[Any], turns: set[Turn]) -> bool:
    contexts = _contexts_of(task)
    return not contexts or any(not turns.isdisjoint(turns_of(context)) for context in contexts)


def _contexts_of(task: asyncio.Task[Any]) -> list[Context]:
    """List what may be the context of a task, nothing if it does not tell."""
    if sys.version_info >= (3, 12):
        return [task.get_context()]
    # A task of 3.11 tells its garbage collector alone; with it come the contexts of who waits for the task.
    told: object = getattr(task, "_context", None)
    return [each for each in (told, *gc.get_referents(task)) if isinstance(each, Context)]
