"""Events as they come by: streams of them, and waiting for one. Neither consumes (W1, W2)."""

import asyncio
import gc
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextvars import Context
from types import TracebackType
from typing import Any, Generic, Self, cast

from typing_extensions import TypeVar, override

from .companions import Companion
from .dispatch import Dispatch
from .errors import BadCall, Deadlock, LoopStopped
from .events import Event, EventType, check_event_type, format_event_type, own_key
from .lifecycle import Lifecycle
from .lines import Line
from .notes import Note, Step
from .routes import check_target, show_target
from .turns import Turn, turns_of

E_co = TypeVar("E_co", covariant=True, default=Event[Any])


class _Wanted:
    """Which events somebody watches for: those of classes or of keys, all where none is named."""

    def __init__(self, named: tuple[object, ...]) -> None:
        self._classes: tuple[tuple[EventType, type[Event[Any]]], ...] = ()
        self._keys: frozenset[tuple[type, EventType]] = frozenset()
        self._ranges: tuple[range, ...] = ()
        self._is_all = not named
        self._text = ", ".join(map(self._add, named)) or "any event"

    def _add(self, each: object) -> str:
        if isinstance(each, type) and Event in each.__mro__:
            event_class: type[Any] = each
            own = own_key(event_class)
            if own is not None:
                self._classes = (*self._classes, (own, event_class))
                return event_class.__name__
        if isinstance(each, tuple | range):
            keys = check_target(cast("object", each))
            self._ranges = (*self._ranges, cast("range", keys))
            return show_target(keys)
        if isinstance(each, type):
            raise TypeError(f"a named event class is expected (a subclass of NamedEvent[Payload]), not {each!r}")
        key = check_event_type(each)
        self._keys |= {(key.__class__, key)}
        return f"event type {format_event_type(key)}"

    def has(self, event: Event[Any]) -> bool:
        """Whether an event is among them."""
        key = event.type
        return (
            self._is_all
            or (int if isinstance(key, int) else str, key) in self._keys
            or any(key == own and isinstance(event, each) for own, each in self._classes)
            or (isinstance(key, int) and any(key in each for each in self._ranges))
        )

    def __str__(self) -> str:
        return self._text


class Watching(Companion):
    """Who watches the events of one nexus; it is told of them only while somebody does."""

    def __init__(self, life: Lifecycle, dispatch: Dispatch) -> None:
        self.is_over: bool = False
        self.line: Line = dispatch.line
        self.names_of: Callable[[EventType], list[str]] = dispatch.handler_names
        self.stuck: dict[Turn, str] = {}
        self._dispatch = dispatch
        self._watchers: dict[_Watcher, None] = {}
        self._unwatch: Callable[[], None] | None = None
        life.accompany(self)

    def add(self, watcher: "_Watcher") -> None:
        """Tell a watcher of what it wants, from now on."""
        self._watchers[watcher] = None
        if self._unwatch is None:
            self._unwatch = self._dispatch.watch(self._note, closely=True)

    def remove(self, watcher: "_Watcher") -> None:
        """Tell a watcher no more."""
        self._watchers.pop(watcher, None)
        if not self._watchers and self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _note(self, note: Note) -> None:
        if note.step is Step.PASSED:
            for watcher in tuple(self._watchers):
                if watcher.wanted.has(note.event):
                    watcher.see(note.event)

    @override
    def end(self) -> None:
        """End with the nexus."""
        self.is_over = True
        for watcher in tuple(self._watchers):
            watcher.end()


class _Watcher:
    """What sees the events that it wants."""

    def __init__(self, wanted: _Wanted) -> None:
        self.wanted: _Wanted = wanted

    def see(self, event: Event[Any]) -> None:
        """Take note of an event."""
        raise NotImplementedError

    def end(self) -> None:
        """Take note that there will be no more."""
        raise NotImplementedError


class EventStream(AsyncIterator[E_co], Generic[E_co]):
    """The events that come by inside of its `async with` block, as handlers get them; it does not consume (W1).

    It holds at most `maxsize` of them, dropping the oldest, and ends when it is left, or when the nexus has stopped
    and it has given what it holds.
    """

    def __init__(self, watching: Watching, wanted: tuple[object, ...], maxsize: int) -> None:
        if isinstance(maxsize, bool) or not isinstance(maxsize, int) or maxsize < 1:  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise ValueError(f"a stream holds at least one event, not {maxsize!r}")
        self._watching = watching
        self._held = _Held(_Wanted(wanted), maxsize)
        self._was_entered = False

    @property
    def dropped(self) -> int:
        """How many events were dropped, since nobody took them in time."""
        return self._held.dropped

    async def __aenter__(self) -> Self:
        if self._watching.is_over:
            raise LoopStopped("the nexus has stopped: there are no more events to watch")
        self._was_entered = True
        self._watching.add(self._held)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watching.remove(self._held)
        self._held.events.clear()
        self._held.end()

    @override
    async def __anext__(self) -> E_co:
        held = self._held
        while not held.events:
            if not self._was_entered:
                raise BadCall("a stream has events only within its block: `async with nexus.stream(...) as events:`")
            if held.is_over:
                raise StopAsyncIteration
            held.more.clear()
            await held.more.wait()
        return cast("E_co", held.events.popleft())


class _Held(_Watcher):
    """The events that a stream holds."""

    def __init__(self, wanted: _Wanted, maxsize: int) -> None:
        super().__init__(wanted)
        self.events: deque[Event[Any]] = deque(maxlen=maxsize)
        self.more = asyncio.Event()
        self.is_over = False
        self.dropped = 0

    @override
    def see(self, event: Event[Any]) -> None:
        self.dropped += len(self.events) == self.events.maxlen
        self.events.append(event)
        self.more.set()

    @override
    def end(self) -> None:
        self.is_over = True
        self.more.set()


class Expectation(Awaitable[E_co], Generic[E_co]):
    """The next event of a kind: waiting for it has begun when this was made; `await` gives it (W2).

    It raises `TimeoutError`, `LoopStopped` when the nexus stops, `Deadlock` where nothing could bring the event
    (Z1), and what `where` raises.
    """

    def __init__(
        self,
        watching: Watching,
        wanted: tuple[object, ...],
        where: Callable[[Any], object] | None,
        timeout: float | None,
    ) -> None:
        if watching.is_over:
            raise LoopStopped("the nexus has stopped: there are no more events to expect")
        self._watching = watching
        self._awaited = _Awaited(watching, _Wanted(wanted), where)
        if timeout is not None:
            self._awaited.limit(timeout)

    def __del__(self) -> None:
        # Nobody can await it any more.
        awaited = getattr(self, "_awaited", None)
        if awaited is not None and not awaited.future.get_loop().is_closed():
            awaited.future.cancel()

    @override
    def __await__(self) -> Generator[Any, Any, E_co]:
        awaited, watching = self._awaited, self._watching
        if awaited.future.done():
            return cast("E_co", awaited.future.result())
        turn = _own_turn(watching.line)
        if turn is None:
            return cast("E_co", (yield from awaited.future.__await__()))
        watching.stuck[turn] = str(awaited.wanted)
        try:
            _check_deadlock(watching)
            return cast("E_co", (yield from awaited.future.__await__()))
        finally:
            watching.stuck.pop(turn, None)


class _Awaited(_Watcher):
    """What an expectation waits for, and the future that brings it."""

    def __init__(self, watching: Watching, wanted: _Wanted, where: Callable[[Any], object] | None) -> None:
        super().__init__(wanted)
        self.future: asyncio.Future[Event[Any]] = asyncio.get_running_loop().create_future()
        self._where = where
        self._timer: asyncio.TimerHandle | None = None
        self._watching = watching
        self.future.add_done_callback(self._done)
        watching.add(self)

    def limit(self, timeout: float) -> None:
        """Wait no longer than so many seconds."""
        loop, error = self.future.get_loop(), TimeoutError(f"no {self.wanted} came within {timeout} s")
        # In an empty context: what belongs to whoever expects does not live on in the timer.
        self._timer = loop.call_later(timeout, self._fail, error, context=Context())

    @override
    def see(self, event: Event[Any]) -> None:
        if self.future.done():
            return
        try:
            if self._where is None or self._where(event):
                self.future.set_result(event)
                self._watching.remove(self)
        except Exception as error:
            self._fail(error)

    @override
    def end(self) -> None:
        self._fail(LoopStopped(f"the nexus stopped before {self.wanted} came"))

    def _fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # whoever does not await it does not want to know

    def _done(self, _: asyncio.Future[Event[Any]]) -> None:
        self._watching.remove(self)
        if self._timer is not None:
            self._timer.cancel()


# Deadlock


def _own_turn(line: Line) -> Turn | None:
    """Return the innermost turn on a line that the running task itself has entered and not left."""
    turn = line.innermost()
    return turn if turn is not None and turn.task is asyncio.current_task() else None


def _check_deadlock(watching: Watching) -> None:
    """Raise `Deadlock` if all room is taken by turns that wait for what could come only after them (Z1)."""
    outermost = watching.line.holders()
    turns = [turn for each in outermost for turn in each.everyone()]
    leaves = [turn for turn in turns if not turn.inside]
    if not leaves or any(leaf not in watching.stuck for leaf in leaves):
        return
    if any(turn.parent is not None and turn.parent.task is not turn.task for turn in turns) or _has_other_tasks(turns):
        return
    paths = [" > ".join(map(str, _path(watching, leaf))) for leaf in leaves]
    raise Deadlock(f"no event can be handled before one of these returns: {'; '.join(paths)}")


def _path(watching: Watching, leaf: Turn) -> Iterator[str]:
    """Name the handlers that a turn is in, outermost first, and what it waits for."""
    chain: list[Turn] = []
    turn: Turn | None = leaf
    while turn is not None:
        chain.append(turn)
        turn = turn.parent
    for each in reversed(chain):
        handling = getattr(each, "handling", None)
        event = each.label if handling is None else handling
        names = " and ".join(watching.names_of(event.type)) if isinstance(event, Event) else ""
        yield f"{names or 'an error handler'} with {watching.line.describe(event)}"
    yield f"expects {watching.stuck[leaf]}"


def _has_other_tasks(turns: list[Turn]) -> bool:
    """Whether tasks that may have been born in the turns go on beside them: those could ingest what is awaited (T4)."""
    own, inside = {turn.task for turn in turns}, set(turns)
    return any(_may_be_inside(task, inside) for task in asyncio.all_tasks() if task not in own)


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
