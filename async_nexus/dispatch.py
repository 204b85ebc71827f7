"""The call loop: takes one event through filters to its handlers, and then what they put on the queue.

Order between events is the business of `turns`, the choice of handlers that of `routes`; here they are called.
"""

import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, Final

from .catalog import Catalog, EventSpec
from .errors import UnhandledEvent, raise_together
from .events import Event, EventType, describe_event
from .handlers import Handler, settle
from .queue import Entry, HandlerQueue
from .routes import Routes, Target
from .turns import Line, Turn

logger: Final = logging.getLogger("async_nexus")

_LANES_KEPT: Final = 4096


class Lane:
    """What happens to the events of one key, looked up once: its filters and handlers.

    `solo` is the function of an `async` handler that is alone, takes no queue and has no filter before it;
    `spec` is there where no event class is to be made, only the payload to be validated.
    """

    __slots__ = ("filters", "handlers", "key", "solo", "spec")

    def __init__(
        self,
        key: EventType,
        spec: EventSpec[Any] | None,
        filters: tuple[Handler, ...],
        handlers: tuple[Handler, ...],
    ) -> None:
        self.key: EventType = key
        self.spec: EventSpec[Any] | None = None if spec is None or spec.event_class is not None else spec
        self.filters: tuple[Handler, ...] = filters
        self.handlers: tuple[Handler, ...] = handlers
        alone = len(handlers) == 1 and not filters and handlers[0].is_async and not handlers[0].takes_queue
        self.solo: Callable[[Event[Any]], Awaitable[Any]] | None = handlers[0].function if alone else None


class Round:
    """The events of one turn: the ingested one, then the secondary ones by priority and arrival."""

    __slots__ = ("_arrivals", "_entries", "_errors", "_lane_of", "_validate")

    def __init__(self, lane_of: Callable[[EventType], Lane], validate: Callable[[Event[Any]], Event[Any]]) -> None:
        self._lane_of = lane_of
        self._validate = validate
        self._arrivals = itertools.count().__next__
        self._entries: list[Entry] = []
        self._errors: list[Exception] = []

    async def run(self, event: Event[Any], lane: Lane, turn: Turn) -> None:
        """Handle an event and all that follow from it.

        Raises what handlers raised once all is done, several as one `ExceptionGroup` (T3).
        """
        entries = self._entries
        try:
            await self._take(event, lane)
            while entries and not turn.is_cut:
                event = heappop(entries)[2]
                await self._take(event, self._lane_of(event.type))
            await turn.settle()
        except BaseException:
            for error in self._errors:
                logger.error("a handler failed in a turn that was then ended", exc_info=error)
            raise
        raise_together(self._errors, "handlers failed in one turn")

    async def _take(self, event: Event[Any], lane: Lane) -> None:
        try:
            for each in lane.filters:
                if await self._call(each, event) is True:
                    return
            if not lane.handlers:
                raise UnhandledEvent(event)
        except Exception as error:
            self._errors.append(error)
            return
        for handler in lane.handlers:
            try:
                await self._call(handler, event)
            except Exception as error:
                self._errors.append(error)

    async def _call(self, handler: Handler, event: Event[Any]) -> Any:
        if not handler.takes_queue:
            result = handler.function(event)
            return await result if handler.is_async else await settle(result)
        queue = HandlerQueue(self._validate, self._arrivals)
        put = queue.entries
        try:
            result = handler.function(event, queue)
            result = await result if handler.is_async else await settle(result)
        finally:
            queue.close()
        for entry in put:
            heappush(self._entries, entry)
        return result


class Dispatch:
    """Filters, handlers and the line of one nexus: takes an event that has been validated to its end."""

    def __init__(self, catalog: Catalog, *, multiple: bool) -> None:
        self.line: Line = Line(describe_event)
        self.lanes: dict[EventType, Lane] = {}
        self._catalog = catalog
        self._routes: Routes[Handler] = Routes(multiple=multiple)

    def check(self, targets: Sequence[Target]) -> None:
        """Raise `HandlerConflict` for a target that has a handler already."""
        self._routes.check(targets)

    def registered(self) -> tuple[tuple[Target, Handler], ...]:
        """List the handlers and what each is registered for."""
        return self._routes.registered()

    def filters(self) -> tuple[Handler, ...]:
        """List the filters in their order."""
        return tuple(self._routes.filters)

    def add_handler(self, targets: Iterable[Target], handler: Handler) -> None:
        """Register a handler for targets that `check` let pass."""
        for target in targets:
            self._routes.add(target, handler)
        self.lanes.clear()

    def add_filter(self, filter: Handler) -> None:
        """Register one more filter."""
        self._routes.filters.append(filter)
        self.lanes.clear()

    def forget_lanes(self) -> None:
        """Compile lanes anew: what a key's payload is has changed."""
        self.lanes.clear()

    def clear(self) -> None:
        """Forget all handlers and filters."""
        self._routes.clear()
        self.lanes.clear()

    def _lane_of(self, key: EventType) -> Lane:
        return self.lanes.get(key) or self._compile(key)

    def _compile(self, key: EventType) -> Lane:
        """Find a key's lane and keep it. Keys come from outside: those kept are bounded in number."""
        lane = Lane(key, self._catalog.find(key), tuple(self._routes.filters), self._routes.find(key))
        if len(self.lanes) >= max(_LANES_KEPT, 2 * self._routes.key_count):
            self.lanes.clear()
        self.lanes[key] = lane
        return lane

    async def handle(self, event: Event[Any]) -> None:
        """Wait for the event's turn and handle it and all that follows from it."""
        turn = self.line.enter(event) or await self.line.wait(event.priority, event)
        try:
            lane = self._lane_of(event.type)
            if lane.solo is None:
                await Round(self._lane_of, self._catalog.validate).run(event, lane, turn)
            else:
                await lane.solo(event)
        except BaseException as error:
            if turn.inside or turn.is_cut:
                await turn.finish(error)
            raise
        else:
            if turn.inside or turn.is_cut:
                await turn.finish(None)
        finally:
            turn.leave()
