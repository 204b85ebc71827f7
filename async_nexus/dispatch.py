"""Takes an event that has been validated to its end: finds its lane, waits for its turn, runs the round."""

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from typing import Any, Final

from .catalog import Catalog
from .errors import HandlerConflict, InvalidPayload
from .events import Event, EventType, describe_event
from .failures import FailedEvent
from .handlers import Handler, settle
from .keyed_lines import choose_line
from .notes import Step, Watch
from .queue import HandlerQueue
from .rounds import Lane, Middleware, Plan, Round
from .routes import Routes, Target
from .turns import Line, Turn

_LANES_KEPT: Final = 4096


def _describe(label: Event[Any] | InvalidPayload) -> str:
    """Say what a turn is for: an event, or the failure of one that does not validate."""
    return describe_event(label.event if isinstance(label, InvalidPayload) else label)


def _of_valid(key: Callable[[Any], Hashable]) -> Callable[[Event[Any] | InvalidPayload], Hashable]:
    """Make `key` one of turns: an event that does not validate has none, its payload not being what `key` expects."""
    if not callable(key) or iscoroutinefunction(key):
        raise TypeError(f"`key` is a plain function of the event, not {key!r}")
    return lambda label: None if isinstance(label, InvalidPayload) else key(label)


class Dispatch:
    """Filters, handlers and the line of one nexus: takes an event that has been validated to its end."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        multiple: bool,
        concurrency: int = 1,
        key: Callable[[Any], Hashable] | None = None,
    ) -> None:
        self.line: Line = choose_line(_describe, concurrency, None if key is None else _of_valid(key))
        self.lanes: dict[EventType, Lane] = {}
        self._catalog = catalog
        self._routes: Routes[Handler] = Routes(multiple=multiple)
        self._plan = Plan(self._lane_of, catalog.validate, self.forget_lanes)

    def check(self, targets: Sequence[Target]) -> None:
        """Raise `HandlerConflict` for a target that has a handler already."""
        self._routes.check(targets)

    def registered(self) -> tuple[tuple[Target, Handler], ...]:
        """List the handlers and what each is registered for."""
        return self._routes.registered()

    def handler_names(self, key: EventType) -> list[str]:
        """Name the handlers of a key."""
        return [handler.name for handler in self._routes.find(key)]

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

    def add_middleware(self, middleware: Middleware) -> None:
        """Wrap the handling of every event in one more middleware."""
        self._plan.wrap(middleware)
        self.lanes.clear()

    def add_error_handler(self, classes: Sequence[type[BaseException]], handler: Handler) -> None:
        """Register an error handler. Raises `HandlerConflict` for a class that has one, and registers nothing."""
        for each in classes:
            if each in self._plan.error_handlers:
                raise HandlerConflict(f"{each.__name__} has an error handler already")
        self._plan.error_handlers.update(dict.fromkeys(classes, handler))
        self.lanes.clear()

    def watch(self, watch: Watch, *, closely: bool = False) -> Callable[[], None]:
        """Tell a watch of each event's steps, calls too if `closely`; return what ends that."""
        self._plan.watch(watch, closely=closely)
        return lambda: self._plan.unwatch(watch)

    def forget_lanes(self) -> None:
        """Compile lanes anew: what a key's payload is has changed."""
        self.lanes.clear()

    def clear(self) -> None:
        """Forget all handlers and filters, error handlers and middleware."""
        self._routes.clear()
        self._plan.clear()
        self.lanes.clear()

    def _lane_of(self, key: EventType) -> Lane:
        return self.lanes.get(key) or self._compile(key)

    def _compile(self, key: EventType) -> Lane:
        """Find a key's lane and keep it. Keys come from outside: those kept are bounded in number."""
        filters, handlers = tuple(self._routes.filters), self._routes.find(key)
        lane = Lane(key, self._catalog.find(key), filters, handlers, is_plain=self._plan.is_plain)
        if len(self.lanes) >= max(_LANES_KEPT, 2 * self._routes.key_count):
            self.lanes.clear()
        self.lanes[key] = lane
        return lane

    def direct(self, event: Event[Any], turn: Turn) -> Callable[[Event[Any]], Awaitable[Any]]:
        """Find what takes an event that has waited for its turn: meanwhile, what is registered may have changed."""
        return self._lane_of(event.type).solo or Round(self._plan, turn).run

    async def handle(
        self, event: Event[Any], failure: Exception | None = None, begun: Callable[[], None] | None = None
    ) -> None:
        """Wait for the event's turn and handle it, or its `failure`, and all that follows from it.

        `begun` is called when the turn has come; what it raises ends the turn.
        """
        if self._plan.watches and failure is None:
            self._plan.note(Step.INGESTED, event)
        try:
            turn = self.line.enter(failure or event) or await self.line.wait(event.priority, failure or event)
        except BaseException:
            self._plan.note(Step.INTERRUPTED, event)
            raise
        try:
            if begun is not None:
                begun()
            handler = self._lane_of(event.type).alone
            if handler is None or failure is not None:
                await Round(self._plan, turn).run(event, failure)
            elif not handler.takes_queue:
                result = handler.function(event)
                await (result if handler.is_async else settle(result))
            else:
                await self._handle_with_queue(handler, event, turn)
        except BaseException as error:
            if turn.inside or turn.is_cut:
                await turn.finish(error)
            raise
        else:
            if turn.inside or turn.is_cut:
                await turn.finish(None)
        finally:
            turn.leave()

    async def _handle_with_queue(self, handler: Handler, event: Event[Any], turn: Turn) -> None:
        """Call the one handler there is; what it has put makes a round."""
        queue = HandlerQueue(self._plan.validate, self._plan.arrivals)
        try:
            result = handler.function(event, queue)
            await (result if handler.is_async else settle(result))
        finally:
            queue.close()
        if queue.entries:
            await Round(self._plan, turn).run_secondary(queue.entries)

    def handle_invalid(
        self, error: InvalidPayload, begun: Callable[[], None] | None = None
    ) -> Coroutine[Any, Any, None]:
        """Have an error handler see to an event whose payload does not validate, in a turn of its own (F4).

        Raises the error, at once, where it has none.
        """
        if self._plan.error_handler(error) is None:
            failed = FailedEvent(error.event, error, None, datetime.now(UTC), 1)
            self._plan.note(Step.FAILED, error.event, failure=failed)
            raise error
        return self.handle(error.event, error, begun)
