"""What a program does with a nexus from outside of its handlers: post to it, watch it, ask what it did."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeAlias, overload

from typing_extensions import TypeVar

from .catalog import Catalog
from .dispatch import Dispatch
from .events import Event, EventType
from .lifecycle import Lifecycle
from .notes import Watch
from .observing import Explanation, Observing, Stats
from .posting import OverflowPolicy, Posting
from .signatures import DeclaredClass
from .stalls import StallWatch
from .watching import EventStream, Expectation, Watching

E_contra = TypeVar("E_contra", bound=Event[Any], contravariant=True, default=Event[Any])
E1 = TypeVar("E1")
E2 = TypeVar("E2")
E3 = TypeVar("E3")
E4 = TypeVar("E4")

Keys: TypeAlias = EventType | tuple[int, int] | range
"""What handlers are registered for and events are watched by: a key, `(first, last)` with both ends, or a `range`."""


class Outside(Generic[E_contra]):
    """The part of a nexus that those use who neither register handlers nor ingest."""

    _dispatch: Dispatch

    def _open(
        self,
        life: Lifecycle,
        catalog: Catalog,
        *,
        key: Callable[[Any], Hashable] | None,
        post_limit: int,
        overflow: OverflowPolicy,
        stats: bool,
        stall_after: float | None,
    ) -> None:
        """Make the parts that live with the nexus."""
        self._posting = Posting(life, catalog, self._dispatch, limit=post_limit, overflow=overflow, key=key)
        self._watching = Watching(life, self._dispatch)
        self._observing = Observing(catalog, self._dispatch, stats=stats)
        if stall_after is not None:
            StallWatch(life, self._dispatch, stall_after)

    def post(self, event: E_contra) -> Future[None]:
        """Hand an event over from synchronous code or another thread; the future ends as `ingest` would (P1).

        Raises `LoopStopped` after the end. Where `post_limit` posts wait, the overflow policy decides (P2): `Overflow`
        may be raised, or `BadCall` where "block" would block the thread of an event loop. In a coroutine,
        `await asyncio.wrap_future(nexus.post(event))` waits for it.
        """
        return self._posting.post(event)

    @overload
    def stream(self, *, maxsize: int = ...) -> EventStream[Event[Any]]: ...
    @overload
    def stream(self, a: DeclaredClass[E1, E_contra], /, *, maxsize: int = ...) -> EventStream[E1]: ...
    @overload
    def stream(
        self, a: DeclaredClass[E1, E_contra], b: DeclaredClass[E2, E_contra], /, *, maxsize: int = ...
    ) -> EventStream[E1 | E2]: ...
    @overload
    def stream(
        self,
        a: DeclaredClass[E1, E_contra],
        b: DeclaredClass[E2, E_contra],
        c: DeclaredClass[E3, E_contra],
        /,
        *,
        maxsize: int = ...,
    ) -> EventStream[E1 | E2 | E3]: ...
    @overload
    def stream(
        self,
        a: DeclaredClass[E1, E_contra],
        b: DeclaredClass[E2, E_contra],
        c: DeclaredClass[E3, E_contra],
        d: DeclaredClass[E4, E_contra],
        /,
        *,
        maxsize: int = ...,
    ) -> EventStream[E1 | E2 | E3 | E4]: ...
    @overload
    def stream(self, event_type: Keys, /, *more: Keys, maxsize: int = ...) -> EventStream[Event[Any]]: ...
    def stream(self, *event_types: Any, maxsize: int = 1000) -> EventStream[Any]:
        """Watch the events of classes or keys, all where none is named: `async with nexus.stream(…) as events` (W1).

        Of a class come the instances: its key is to be declared, or registered with it. Raises `TypeError` for what is
        no key, `ValueError` for a `maxsize` below 1, and, when it is entered after the end, `LoopStopped`.
        """
        return EventStream(self._watching, event_types, maxsize)

    @overload
    def expect(
        self, *, where: Callable[[Event[Any]], object] | None = ..., timeout: float | None = ...
    ) -> Expectation[Event[Any]]: ...
    @overload
    def expect(
        self,
        a: DeclaredClass[E1, E_contra],
        /,
        *,
        where: Callable[[E1], object] | None = ...,
        timeout: float | None = ...,
    ) -> Expectation[E1]: ...
    @overload
    def expect(
        self,
        a: DeclaredClass[E1, E_contra],
        b: DeclaredClass[E2, E_contra],
        /,
        *,
        where: Callable[[E1 | E2], object] | None = ...,
        timeout: float | None = ...,
    ) -> Expectation[E1 | E2]: ...
    @overload
    def expect(
        self,
        a: DeclaredClass[E1, E_contra],
        b: DeclaredClass[E2, E_contra],
        c: DeclaredClass[E3, E_contra],
        /,
        *,
        where: Callable[[E1 | E2 | E3], object] | None = ...,
        timeout: float | None = ...,
    ) -> Expectation[E1 | E2 | E3]: ...
    @overload
    def expect(
        self,
        a: DeclaredClass[E1, E_contra],
        b: DeclaredClass[E2, E_contra],
        c: DeclaredClass[E3, E_contra],
        d: DeclaredClass[E4, E_contra],
        /,
        *,
        where: Callable[[E1 | E2 | E3 | E4], object] | None = ...,
        timeout: float | None = ...,
    ) -> Expectation[E1 | E2 | E3 | E4]: ...
    @overload
    def expect(
        self,
        event_type: Keys,
        /,
        *more: Keys,
        where: Callable[[Event[Any]], object] | None = ...,
        timeout: float | None = ...,
    ) -> Expectation[Event[Any]]: ...
    def expect(
        self, *event_types: Any, where: Callable[[Any], object] | None = None, timeout: float | None = None
    ) -> Expectation[Any]:
        """Wait for the next event of classes or keys: `await nexus.expect(…)`; the waiting begins at once (W2).

        Awaited, it raises `TimeoutError` after `timeout` seconds, `LoopStopped` when the nexus stops, `Deadlock` in a
        handler that would wait for ever (Z1), and what `where` raises.
        Raises `TypeError` for what is no key and for a `where` that is no plain function, `ValueError` for a `timeout`
        of nan.
        """
        return Expectation(self._watching, event_types, where, timeout)

    def explain(self, *, limit: int = 1000) -> AbstractContextManager[Explanation]:
        """Record what is decided about each event: `with nexus.explain() as record`; the last `limit` are kept (W3)."""
        return self._observing.explain(limit)

    def stats(self) -> Stats:
        """Tell how many events were posted and dropped, wait, and have their turn (W4).

        The other numbers are counted only with `AsyncEventNexus(stats=True)`, and are `None` without.
        """
        return self._observing.stats(self._posting.posted, self._posting.dropped)

    def watch(self, watch: Watch) -> Callable[[], None]:
        """Tell `watch` of each step of each event, from now on, without changing anything; return what ends that."""
        return self._dispatch.watch(watch)
