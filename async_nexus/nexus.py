"""The nexus: registration, ingest and life cycle of one event domain, composed of the parts below it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from types import TracebackType
from typing import Any, Generic, Never, Self, TypeAlias, overload

from typing_extensions import TypeVar

from .admission import admit_filter
from .around import Around
from .blocking import Over, run_blocking
from .catalog import Catalog
from .dispatch import Dispatch
from .events import (
    DEFAULT,
    Event,
    EventType,
    check_event_type,
)
from .handlers import Consumer, Handler
from .ingress import Ingress
from .journaled import JournaledDispatch, Recovery
from .journaling import Journal
from .lifecycle import Lifecycle, State
from .outside import Keys, Outside
from .plan import Middleware
from .posting import OverflowPolicy
from .queue import EventQueue
from .registration import check_named, prepare
from .routes import Target, check_target
from .signatures import A, DeclaredClass, OnEvent, Q, R, Takes1, Takes2
from .sources import EventProducer, EventSource, SimpleEventConverter

E_contra = TypeVar("E_contra", bound=Event[Any], contravariant=True, default=Event[Any])
E1 = TypeVar("E1")
E2 = TypeVar("E2")
E3 = TypeVar("E3")
E4 = TypeVar("E4")
P = TypeVar("P")
M = TypeVar("M", bound=Middleware)
B = TypeVar("B", bound=Awaitable[bool] | bool)

Handled: TypeAlias = Awaitable[None] | None


class AsyncEventNexus(Ingress[E_contra], Around[E_contra], Outside[E_contra], Generic[E_contra]):
    """Validates events and takes them through filters to their handlers, one turn at a time.

    `AsyncEventNexus[TeapotEvent | Treacle]` is a domain that accepts those events only, as far as a checker
    sees. With `multiple`, all handlers of a key run, in the order of registration. Up to `concurrency` events
    are handled at a time; those of which `key` makes the same (but `None`) in order, one at a time (K1, K2).
    At most `post_limit` posts wait, else `overflow` decides (P2). `stats` counts events (W4), and `stall_after`
    seconds in a handler are reported (Z2). What a `journal` has accepted is handled at the next start if the process
    ends before (J1).
    """

    def __init__(
        self,
        *,
        multiple: bool = False,
        concurrency: int = 1,
        key: Callable[[E_contra], Hashable] | None = None,
        post_limit: int = 1000,
        overflow: OverflowPolicy = "block",
        stats: bool = False,
        stall_after: float | None = None,
        journal: Journal | None = None,
    ) -> None:
        super().__init__()
        self._catalog = catalog = Catalog()
        if journal is None:
            self._dispatch = Dispatch(catalog, multiple=multiple, concurrency=concurrency, key=key)
        else:
            self._dispatch = JournaledDispatch(catalog, journal, multiple=multiple, concurrency=concurrency, key=key)
        self._life = Lifecycle(self._dispatch.line, self.ingest, self._ingest_json, self._dispatch.accept)
        if isinstance(self._dispatch, JournaledDispatch):
            Recovery(self._life, catalog, self._dispatch)
        self._open(
            self._life,
            self._catalog,
            key=key,
            post_limit=post_limit,
            overflow=overflow,
            stats=stats,
            stall_after=stall_after,
        )

    @property
    def catalog(self) -> Catalog:
        """What is known of each key's payload."""
        return self._catalog

    @property
    def state(self) -> State:
        """Where the nexus is in its life: READY, STARTING, LOOPING or STOPPED."""
        return self._life.state

    @property
    def handlers(self) -> tuple[tuple[Target, Handler], ...]:
        """What is registered: the key or range (`None`: the default) and the handler, as `adapt` read it."""
        return self._dispatch.registered()

    @property
    def filters(self) -> tuple[Handler, ...]:
        """The filters in the order in which they run."""
        return self._dispatch.filters()

    @property
    def sources(self) -> tuple[EventSource[Any], ...]:
        """The sources that this nexus runs, then those that it receives from while another nexus runs them."""
        return (*self._life.sources, *self._life.shared)

    # Registration

    @overload
    def declare(self, event_class: DeclaredClass[Any, E_contra], /, *more: DeclaredClass[Any, E_contra]) -> None: ...
    @overload
    def declare(self, event_type: EventType, payload: Any, /) -> None: ...
    def declare(self, *claims: Any) -> None:
        """Say what the payload of keys is: `declare(TeapotEvent, …)` or `declare(99, Teapot)` (C1).

        Raises `SchemaConflict` where another class or declaration says otherwise, `InvalidHandler` where a
        handler that is registered takes something else.
        """
        self._life.check_registrable()
        draft = self._catalog.draft()
        if not claims or isinstance(claims[0], int | str):
            if len(claims) != 2:
                raise TypeError("declare a key with its payload, `declare(99, Teapot)`, or event classes")
            key, payload = claims
            draft.declare(check_event_type(key), payload)
        else:
            for event_class in claims:
                draft.claim_class(check_named(event_class))
        draft.commit()
        self._dispatch.forget_lanes()

    @overload
    def on(self, a: DeclaredClass[E1, E_contra], /) -> OnEvent[E1, E_contra]: ...
    @overload
    def on(self, a: DeclaredClass[E1, E_contra], b: DeclaredClass[E2, E_contra], /) -> OnEvent[E1 | E2, E_contra]: ...
    @overload
    def on(
        self,
        a: DeclaredClass[E1, E_contra],
        b: DeclaredClass[E2, E_contra],
        c: DeclaredClass[E3, E_contra],
        /,
    ) -> OnEvent[E1 | E2 | E3, E_contra]: ...
    @overload
    def on(
        self,
        a: DeclaredClass[E1, E_contra],
        b: DeclaredClass[E2, E_contra],
        c: DeclaredClass[E3, E_contra],
        d: DeclaredClass[E4, E_contra],
        /,
    ) -> OnEvent[E1 | E2 | E3 | E4, E_contra]: ...
    @overload
    def on(self, event_type: Keys, /, *more: Keys) -> OnEvent[Never, E_contra]: ...
    def on(self, *event_types: Any) -> OnEvent[Any, Any]:
        """Register the decorated handler for keys, ranges of keys, or named event classes (D4).

        -1 is the default handler. Raises `HandlerConflict` for what has a handler already, `InvalidHandler`
        for a function that cannot be called with such an event, `SchemaConflict` for claims that disagree,
        `TypeError` for what is no key and `ValueError` for an empty or inverted range.
        """
        if not event_types:
            raise TypeError("`on` takes at least one event type: `@nexus.on(99)`")
        if len({isinstance(each, type) for each in event_types}) > 1:
            raise TypeError("event classes and plain keys do not mix in one `on`: use two")
        for each in event_types:
            check_named(each) if isinstance(each, type) else check_target(each)
        return OnEvent(lambda handler: self._register(event_types, handler))

    @overload
    def add_handler(
        self,
        type: DeclaredClass[E1, E_contra],
        handler: Callable[[E1, EventQueue[E_contra]], Handled],
    ) -> None: ...
    @overload
    def add_handler(self, type: DeclaredClass[E1, E_contra], handler: Callable[[E1], Handled]) -> None: ...
    @overload
    def add_handler(self, type: DeclaredClass[E1, E_contra], handler: Consumer[E1, EventQueue[E_contra]]) -> None: ...
    @overload
    def add_handler(self, type: Keys, handler: Callable[[Any, EventQueue[E_contra]], Handled]) -> None: ...
    @overload
    def add_handler(self, type: Keys, handler: Callable[[Any], Handled]) -> None: ...
    @overload
    def add_handler(self, type: Keys, handler: Consumer[Any, EventQueue[E_contra]]) -> None: ...
    def add_handler(self, type: Any, handler: Any) -> None:
        """Register a handler for a key, a range or a named event class, as `on` does."""
        self._register((type,), handler)

    @overload
    def default(
        self, handler: Takes2[[E_contra, EventQueue[E_contra]], A, Q, R], /
    ) -> Callable[[A | E_contra, Q | EventQueue[E_contra]], R]: ...
    @overload
    def default(self, handler: Takes1[[E_contra], A, R], /) -> Callable[[A | E_contra], R]: ...
    def default(self, handler: Any, /) -> Any:
        """Register the decorated handler for events that nothing else handles. Raises as `on` does."""
        self._register((DEFAULT,), handler)
        return handler

    @overload
    def filter(
        self, filter: Takes2[[E_contra, EventQueue[E_contra]], A, Q, B], /
    ) -> Callable[[A | E_contra, Q | EventQueue[E_contra]], B]: ...
    @overload
    def filter(self, filter: Takes1[[E_contra], A, B], /) -> Callable[[A | E_contra], B]: ...
    def filter(self, filter: Any, /) -> Any:
        """Register the decorated filter: one that returns `True` has consumed the event (D2)."""
        self.add_filter(filter)
        return filter

    @overload
    def add_filter(self, filter: Callable[[E_contra, EventQueue[E_contra]], Awaitable[bool] | bool]) -> None: ...
    @overload
    def add_filter(self, filter: Callable[[E_contra], Awaitable[bool] | bool]) -> None: ...
    def add_filter(self, filter: Any) -> None:
        """Register a filter; they run in the order of registration. Raises `InvalidHandler`."""
        self._life.check_registrable()
        self._dispatch.add_filter(admit_filter(filter))

    def _register(self, event_types: tuple[Any, ...], given: object) -> None:
        """Register one handler for several keys, wholly or not at all."""
        self._life.check_registrable()
        handler, targets, claims = prepare(self._catalog, event_types, given)
        self._dispatch.check(targets)
        claims.commit()
        self._dispatch.add_handler(targets, handler)

    # Sources

    def add_converter(self, converter: SimpleEventConverter[E_contra]) -> None:
        """Ask a converter for events for as long as the nexus runs."""
        if not isinstance(converter, SimpleEventConverter):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise TypeError(f"a converter is a SimpleEventConverter, not {type(converter).__qualname__}")
        self._life.check_registrable()
        self._life.add(converter)

    def add_producer(self, producer: EventProducer[E_contra]) -> None:
        """Receive a producer's events; the nexus that it is added to first also runs it."""
        if not isinstance(producer, EventProducer):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise TypeError(f"a producer is an EventProducer, not {type(producer).__qualname__}")
        self._life.check_registrable()
        if producer.attach(self._life):
            self._life.add(producer)
        else:
            self._life.share(producer)

    def register(self, source: EventSource[E_contra]) -> None:
        """Add a converter or a producer. Raises `TypeError` for anything else."""
        if isinstance(source, EventProducer):
            self.add_producer(source)
        elif isinstance(source, SimpleEventConverter):
            self.add_converter(source)
        else:
            raise TypeError(f"a source is a converter or a producer, not {type(source).__qualname__}")

    # Life cycle

    def start(self) -> asyncio.Task[None]:
        """Start in the background: events are taken at once.

        The task ends when the nexus has stopped and raises what went wrong in a source. Raises
        `LoopAlreadyStarted`, or `LoopStopped` after the end.
        """
        return self._life.start()

    def stop(self, grace: float | None = None) -> None:
        """Stop in good order: sources finish what they hold, turns in line are taken (L3).

        What still runs after `grace` seconds is cut off. Before the start it just leads to the end.
        """
        self._life.stop(grace)

    def loop_forever(self) -> Awaitable[None]:
        """Run until stopped: blocks where no event loop runs, else returns what can be awaited (L2)."""
        return self._run(until_complete=False)

    def run_until_complete(self) -> Awaitable[None]:
        """Run until every source is exhausted and every event handled; blocks as `loop_forever` does."""
        return self._run(until_complete=True)

    def _run(self, *, until_complete: bool) -> Awaitable[None]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass  # blocks below, for what goes wrong there has nothing to do with this error
        else:
            return self._life.start(until_complete=until_complete)
        run_blocking(lambda: self._life.start(until_complete=until_complete), self.stop)
        return Over()

    def cleanup(self) -> None:
        """Cancel a loop that still runs, close the sources and forget handlers and filters (L5).

        Raises what closing raised, when each source has been tried.
        """
        try:
            self._life.cleanup()
        finally:
            self._dispatch.clear()

    def __enter__(self) -> Self:
        self._life.check_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cleanup()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._life.finish()
        finally:
            self.cleanup()
