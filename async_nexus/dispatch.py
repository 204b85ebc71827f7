"""Takes an event that has been validated to its end: finds its lane, waits for its turn, runs the round."""

from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from typing import Any, Final

from pydantic import ValidationError

from .catalog import Catalog
from .errors import HandlerConflict, InvalidPayload
from .events import Event, EventType, assemble_fields, describe_event
from .failures import FailedEvent
from .handler_queue import open_queue
from .handlers import Handler, settle
from .keyed_lines import choose_line
from .lanes import Lane, Run, direct_way
from .lines import Line
from .notes import Step, Watch
from .ownership import ALONE, count_references
from .plan import Middleware, Plan
from .rounds import handle_all, handle_failure
from .routes import Routes, Target
from .turns import current_turn

_LANES_KEPT: Final = 4096


def _describe(label: Event[Any] | InvalidPayload) -> str:
    """Say what a turn is for: an event, or the failure of one that does not validate."""
    return describe_event(label.event if isinstance(label, InvalidPayload) else label)


def _of_valid(key: Callable[[Any], Hashable]) -> Callable[[Event[Any] | InvalidPayload], Hashable]:
    """Make `key` one of turns: an event that does not validate has none, its payload not being what `key` expects."""
    if not callable(key) or iscoroutinefunction(key):
        raise TypeError(f"`key` is a plain function of the event, not {key!r}")
    return lambda label: None if isinstance(label, InvalidPayload) else key(label)


class Withdrawn(Exception):
    """Raised by `begun` where the turn of an event has come that is no longer wanted: nothing handles it."""


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
        self.fast_lanes: dict[EventType | type[Event[Any]], Lane] = {}
        """What anybody may send events by, without being asked: empty while the nexus does not accept them all."""
        self._is_open = False
        self._catalog = catalog
        self._routes: Routes[Handler] = Routes(multiple=multiple)
        self._plan = Plan(self.lanes, self.lane_of, self.validate, self.forget_lanes)

    def check(self, targets: Sequence[Target]) -> None:
        """Raise `HandlerConflict` for a target that has a handler already."""
        self._routes.check(targets)

    def registered(self) -> tuple[tuple[Target, Handler], ...]:
        """List the handlers and what each is registered for."""
        return self._routes.registered()

    def registered_for_errors(self) -> tuple[tuple[type[BaseException], Handler], ...]:
        """List the error handlers and what each is registered for."""
        return tuple(self._plan.error_handlers.items())

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
        self.forget_lanes()

    def add_filter(self, filter: Handler) -> None:
        """Register one more filter."""
        self._routes.filters.append(filter)
        self.forget_lanes()

    def add_middleware(self, middleware: Middleware) -> None:
        """Wrap the handling of every event in one more middleware."""
        self._plan.wrap(middleware)
        self.forget_lanes()

    def add_error_handler(self, classes: Sequence[type[BaseException]], handler: Handler) -> None:
        """Register an error handler. Raises `HandlerConflict` for a class that has one, and registers nothing."""
        for each in classes:
            if each in self._plan.error_handlers:
                raise HandlerConflict(f"{each.__name__} has an error handler already")
        self._plan.error_handlers.update(dict.fromkeys(classes, handler))
        self.forget_lanes()

    def watch(self, watch: Watch, *, closely: bool = False) -> Callable[[], None]:
        """Tell a watch of each event's steps, calls too if `closely`; return what ends that."""
        self._plan.watch(watch, closely=closely)
        return lambda: self._plan.unwatch(watch)

    def forget_lanes(self) -> None:
        """Compile lanes anew: something that they were compiled of has changed."""
        self.lanes.clear()
        self.fast_lanes.clear()

    def accept(self, accepts: bool) -> None:
        """Let fast lanes be taken from now on, or no more."""
        self._is_open = accepts
        self.forget_lanes()

    def clear(self) -> None:
        """Forget all handlers and filters, error handlers and middleware."""
        self._routes.clear()
        self._plan.clear()
        self.forget_lanes()

    def validate(self, event: Event[Any]) -> Event[Any]:
        """Validate an event's payload as the catalog does: without looking for what is known, where a lane has it."""
        if type(event) is Event:
            values = event.__dict__
            lane = self.lanes.get(values["type"])
            if lane is not None and (validate := lane.validate) is not None:
                given = values["payload"]
                try:
                    valid = validate(given)
                except ValidationError as error:
                    raise lane.invalid(event, error) from None
                if valid is given:
                    return event
                fields = values.copy()
                fields["payload"] = valid
                return assemble_fields(fields)
        return self._catalog.validate(event)

    def lane_of(self, key: EventType) -> Lane:
        """Find a key's lane, or compile it."""
        return self.lanes.get(key) or self._compile(key)

    def _compile(self, key: EventType) -> Lane:
        """Compile a key's lane and keep it. Keys come from outside: those kept are bounded in number."""
        filters, handlers = tuple(self._routes.filters), self._routes.find(key)
        is_bare = self._plan.is_bare
        run = self._way(filters, handlers) if is_bare else self._in_turn
        lane = Lane(key, self._catalog.find(key), filters, handlers, run, is_bare=is_bare)
        if len(self.lanes) >= max(_LANES_KEPT, 2 * self._routes.key_count):
            self.forget_lanes()
        self.lanes[key] = lane
        # Who watches is told of what comes in: that is on the long way.
        if lane.is_fast and self._is_open and not self._plan.watches:
            self.fast_lanes[lane.key] = lane
            if lane.event_class is not None:
                self.fast_lanes[lane.event_class] = lane
        return lane

    def _way(self, filters: tuple[Handler, ...], handlers: tuple[Handler, ...]) -> Run:
        """Choose the shortest way through filters and handlers around which nothing stands but error handlers."""
        if not filters and len(handlers) == 1:
            if handlers[0].takes_queue:
                return self._with_queue(handlers[0])
            if self._plan.error_handlers:
                return self._guarded(handlers[0])
        way = None if self._plan.error_handlers else direct_way(filters, handlers)
        return way or self._in_turn

    def _in_turn(self, event: Event[Any]) -> Coroutine[Any, Any, None]:
        """Handle an event, and what follows from it, in the turn that has begun."""
        return handle_all(self._plan, current_turn(), event)

    def _with_queue(self, handler: Handler) -> Run:
        """Call the one handler there is; what it puts, or raises, is handled after it."""
        function, is_async, plan = handler.function, handler.is_async, self._plan

        async def run(event: Event[Any]) -> None:
            queue = open_queue(plan.lanes, plan.validate)
            try:
                result = function(event, queue)
                await (result if is_async else settle(result))
            except BaseException as error:
                queue.close()
                if not isinstance(error, Exception) or not plan.error_handlers:
                    raise
                await handle_failure(plan, current_turn(), event, error, handler)
                return
            if queue.more is not None or count_references(queue) != ALONE:
                first, *more = queue.close() or (None,)
                await handle_all(plan, current_turn(), first, more)
            elif queue.first is not None:
                first, queue.first = queue.first, None
                await handle_all(plan, current_turn(), first, queue=queue)

        return run

    def _guarded(self, handler: Handler) -> Run:
        """Call the one handler there is; only what it raises makes a round, which gives it to the error handlers."""
        function, is_async, plan = handler.function, handler.is_async, self._plan

        async def run(event: Event[Any]) -> None:
            try:
                result = function(event)
                await (result if is_async else settle(result))
            except Exception as error:
                await handle_failure(plan, current_turn(), event, error, handler)

        return run

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
            self._note_unbegun(event, failure)
            raise
        try:
            if begun is not None:
                begun()
            if failure is None:
                await self.lane_of(event.type).run(event)
            else:
                await handle_failure(self._plan, turn, event, failure, None)
        except BaseException as error:
            if isinstance(error, Withdrawn):
                self._note_unbegun(event, failure)
            await turn.end(error)
            raise
        if turn.is_simple:
            turn.leave()
        else:
            await turn.end()

    def handle_invalid(
        self, error: InvalidPayload, begun: Callable[[], None] | None = None
    ) -> Coroutine[Any, Any, None]:
        """Have an error handler see to an event whose payload does not validate, in a turn of its own (F4).

        Raises the error, at once, where it has none.
        """
        if self._plan.error_handler(error) is None:
            self._note_unbegun(error.event, error)
            raise error from None  # pydantic's own error, on the way to this one, quotes values
        return self.handle(error.event, error, begun)

    def _note_unbegun(self, event: Event[Any], failure: Exception | None) -> None:
        """Note what becomes of an event that is not handled in a turn: one that does not validate was refused."""
        if failure is None:
            self._plan.note(Step.INTERRUPTED, event)
        else:
            failed = FailedEvent(event, failure, None, datetime.now(UTC), 1)
            self._plan.note(Step.FAILED, event, failure=failed)
