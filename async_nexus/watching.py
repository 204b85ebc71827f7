"""Events as they come by: streams of them, and waiting for one. Neither consumes (W1, W2)."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextvars import Context
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Generic, Self, cast

from typing_extensions import TypeVar, override

from .companions import Companion, IsBringing
from .deadlocks import Wait, Waits
from .dispatch import Dispatch
from .errors import BadCall, LoopStopped
from .events import Event, EventType, check_event_type, format_event_type, own_key
from .lifecycle import Lifecycle
from .notes import Note, Step
from .routes import check_target, show_target

E_co = TypeVar("E_co", covariant=True, default=Event[Any])


class _Wanted:
    """Which events somebody watches for: those of classes or of keys, all where none is named."""

    def __init__(self, named: tuple[object, ...]) -> None:
        self._classes: tuple[type[Event[Any]], ...] = ()
        self._keys: frozenset[tuple[type, EventType]] = frozenset()
        self._ranges: tuple[range, ...] = ()
        self._is_all = not named
        self._text = ", ".join(map(self._add, named)) or "any event"

    def _add(self, each: object) -> str:
        if isinstance(each, type) and Event in each.__mro__:
            event_class: type[Any] = each
            if own_key(event_class) is not None:
                self._classes = (*self._classes, event_class)
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
            or isinstance(event, self._classes)
            or (isinstance(key, int) and any(key in each for each in self._ranges))
        )

    def __str__(self) -> str:
        return self._text


class Watching(Companion):
    """Who watches the events of one nexus; it is told of them only while somebody does."""

    def __init__(self, life: Lifecycle, dispatch: Dispatch) -> None:
        self.is_over: bool = False
        self.waits: Waits = Waits(dispatch.line, dispatch.handler_names)
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
    def wind_up(self, is_bringing: IsBringing) -> None:
        """Let no turn wait for what cannot come any more."""
        self.waits.wind_up(is_bringing)

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

    Any number of tasks may await it. It raises `TimeoutError`, `LoopStopped` when the nexus stops, `Deadlock` where
    nothing could bring the event (Z1), and what `where` raises.
    """

    def __init__(
        self,
        watching: Watching,
        wanted: tuple[object, ...],
        where: Callable[[Any], object] | None,
        timeout: float | None,
    ) -> None:
        if where is not None and (not callable(where) or iscoroutinefunction(where)):
            raise TypeError(f"`where` is a plain function of the event, not {where!r}")
        if timeout is not None and math.isnan(timeout):
            raise ValueError("`timeout` is a number of seconds, or `None` for no limit, not nan")
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
        awaited, waits = self._awaited, self._watching.waits
        if awaited.future.done():
            return cast("E_co", awaited.future.result())
        # Shielded: when this task is cancelled, others go on waiting, and it may do so again.
        waiter = asyncio.shield(awaited.future)
        turn = None if awaited.is_limited else waits.own_turn()
        if turn is not None:
            waits.begin(turn, Wait(awaited.future, waiter, awaited.wanted))
        try:
            return cast("E_co", (yield from waiter.__await__()))
        finally:
            if turn is not None:
                waits.end(turn)
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # a task that is cancelled does not want to know


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

    @property
    def is_limited(self) -> bool:
        """Whether it waits for some time only."""
        return self._timer is not None

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
