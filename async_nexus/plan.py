"""What the turns of a nexus have in common: its lanes, middleware and error handlers, and who watches."""

import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any, Final, TypeAlias

from .events import Event, EventType
from .failures import FailedEvent
from .handlers import Handler
from .lanes import Lane
from .notes import CLOSE, Call, Note, Step, Watch

logger: Final = logging.getLogger("async_nexus")

CallNext: TypeAlias = Callable[[Event[Any]], Awaitable[None]]
"""Runs what comes after a middleware: the next one, in the end filters and handlers."""

Middleware: TypeAlias = Callable[[Event[Any], CallNext], Coroutine[Any, Any, None]]
"""Wraps the handling of each event; one that returns without having called `call_next` has consumed it (M1, M2)."""


class Plan:
    """What all rounds of a nexus have in common: how lanes are found, middleware, error handlers, who watches."""

    def __init__(
        self,
        lanes: Mapping[EventType, Lane],
        lane_of: Callable[[EventType], Lane],
        validate: Callable[[Event[Any]], Event[Any]],
        changed: Callable[[], None],
    ) -> None:
        self.changed: Callable[[], None] = changed
        self.lanes: Mapping[EventType, Lane] = lanes
        self.lane_of: Callable[[EventType], Lane] = lane_of
        self.validate: Callable[[Event[Any]], Event[Any]] = validate
        self.arrivals: Iterator[int] = itertools.count()
        self.middleware: Middleware | None = None
        self.error_handlers: dict[type[BaseException], Handler] = {}
        self.watches: tuple[Watch, ...] = ()
        self.close_watches: tuple[Watch, ...] = ()

    @property
    def is_bare(self) -> bool:
        """Whether nothing stands around a handler that returns, so that it may be called directly."""
        return self.middleware is None and not self.watches

    def clear(self) -> None:
        """Forget middleware and error handlers."""
        self.middleware = None
        self.error_handlers.clear()

    def wrap(self, inner: Middleware) -> None:
        """Add a middleware inside of those before it (M1)."""
        outer = self.middleware
        self.middleware = inner if outer is None else _compose(outer, inner)

    def error_handler(self, error: BaseException) -> Handler | None:
        """Find the handler of the most specific class of an error (F3)."""
        return next((self.error_handlers[each] for each in type(error).__mro__ if each in self.error_handlers), None)

    def note(
        self,
        step: Step,
        event: Event[Any],
        *,
        cause: Event[Any] | None = None,
        failure: FailedEvent | None = None,
        call: Call | None = None,
    ) -> None:
        """Tell whoever watches of a step."""
        for watch in self.close_watches if step in CLOSE else self.watches:
            try:
                watch(Note(step, event, cause, failure, call))
            except Exception:
                logger.exception("what watched the nexus failed, and is told no more")
                self.unwatch(watch)

    def watch(self, watch: Watch, *, closely: bool) -> None:
        """Tell a watch of steps; of calls, too, if it is to watch closely."""
        self.watches = (*self.watches, watch)
        if closely:
            self.close_watches = (*self.close_watches, watch)
        self.changed()

    def unwatch(self, watch: Watch) -> None:
        """Tell a watch no more."""
        self.watches = tuple(each for each in self.watches if each is not watch)
        self.close_watches = tuple(each for each in self.close_watches if each is not watch)
        self.changed()


def check_event(given: Event[Any]) -> Event[Any]:
    """Return what `call_next` is called with. Raises `TypeError` for what is no event."""
    if not isinstance(given, Event):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
        raise TypeError(f"`call_next` is called with an Event, not {given!r}")
    return given


def _compose(outer: Middleware, inner: Middleware) -> Middleware:
    async def both(event: Event[Any], call_next: CallNext) -> None:
        await outer(event, lambda changed: inner(check_event(changed), call_next))

    return both
