"""The call loop: one event through middleware and filters to its handlers, then what they put on the queue.

Order between turns is the business of `turns`, the choice of handlers that of `routes`; here they are called, and
what they raise is collected or given to an error handler.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeAlias

from .errors import BadCall, UnhandledEvent, raise_together
from .events import Event, EventType, describe_event
from .failures import FailedEvent
from .handlers import Handler, settle
from .lanes import Lane, log_unraised
from .notes import CLOSE, Call, Note, Step, Watch
from .queue import Entry, open_queue
from .turns import Turn

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


def _compose(outer: Middleware, inner: Middleware) -> Middleware:
    async def both(event: Event[Any], call_next: CallNext) -> None:
        await outer(event, lambda changed: inner(changed, call_next))

    return both


class Round:
    """The events of one turn: the ingested one, then the secondary ones by priority and arrival."""

    __slots__ = ("_attempts", "_entries", "_errors", "_failures", "_plan", "_put", "_taken", "_turn")

    def __init__(self, plan: Plan, turn: Turn) -> None:
        self._plan = plan
        self._turn = turn
        self._entries: list[Entry] = []
        self._put: list[Entry] = []
        self._errors: list[Exception] = []
        self._attempts = 1
        self._failures = 0
        self._taken: Event[Any] | None = None

    async def run(self, event: Event[Any], failure: Exception | None = None, handler: Handler | None = None) -> None:
        """Handle an event, or its failure before it was handled or in a handler, and all that follows from it.

        Raises what handlers raised once all is done, several as one `ExceptionGroup` (T3).
        """
        try:
            if failure is None:
                await (self._take_watched(event) if self._plan.watches else self._take(event))
            else:
                await self._fail(event, failure, handler)
        except BaseException:
            log_unraised(self._errors)
            raise
        await self.run_secondary(self._entries)

    async def run_secondary(self, entries: list[Entry]) -> None:
        """Handle what has been put, and all that follows from it. Raises as `run` does."""
        self._entries = entries
        if len(entries) > 1:
            heapify(entries)
        turn, plan, line = self._turn, self._plan, self._turn.line
        try:
            while entries and not line.is_cut:
                turn.handling = event = heappop(entries)[2]
                key = event.type
                alone = (plan.lanes.get(key) or plan.lane_of(key)).alone
                if alone is None:
                    await (self._take_watched(event) if plan.watches else self._take(event))
                    continue
                function = alone.function
                try:  # what `_call` does, without its call
                    if not alone.takes_queue:
                        result = function(event)
                        await (result if alone.is_async else settle(result))
                        continue
                    queue = open_queue(plan.validate, plan.arrivals)
                    try:
                        result = function(event, queue)
                        await (result if alone.is_async else settle(result))
                    finally:
                        queue.close()
                    for entry in queue.entries:
                        heappush(entries, entry)
                except Exception as error:
                    await self._fail(event, error, alone)
            if turn.inside:
                await turn.settle()
        except BaseException:
            log_unraised(self._errors)
            raise
        finally:
            turn.handling = None  # the context of the task keeps the turn, and would keep the event
        if self._errors:
            raise_together(self._errors, "handlers failed in one turn")

    async def _take_watched(self, event: Event[Any]) -> None:
        failures, self._taken = self._failures, event
        try:
            await self._take(event)
        except BaseException:
            self._plan.note(Step.INTERRUPTED, event)
            raise
        self._plan.note(Step.HANDLED if self._failures == failures else Step.ENDED, event)

    async def _take(self, event: Event[Any]) -> None:
        lane = self._plan.lane_of(event.type)
        self._attempts = 1
        if self._plan.middleware is None:
            await self._call_lane(event, lane, self._fail)
        else:
            await self._take_wrapped(event, lane, self._plan.middleware)
        self._flush(event)

    def _flush(self, cause: Event[Any]) -> None:
        """Let what was put count."""
        for entry in self._put:
            heappush(self._entries, entry)
            if self._plan.watches:
                self._plan.note(Step.PUT, entry[2], cause=cause)
        self._put.clear()

    async def _take_wrapped(self, event: Event[Any], lane: Lane, middleware: Middleware) -> None:
        """Call the lane through middleware, which may do so several times, or not at all (M2, M3)."""
        attempts = itertools.count(1)
        failed_in: Handler | None = None

        async def attempt(given: Event[Any]) -> None:
            mark, errors = len(self._put), list[Exception]()

            async def note(_: Event[Any], error: Exception, handler: Handler | None) -> None:
                nonlocal failed_in
                failed_in = handler
                errors.append(error)

            self._attempts = next(attempts)
            try:
                await self._call_lane(self._changed(event, given), lane, note)
                raise_together(errors, "handlers failed")
            except BaseException:
                del self._put[mark:]
                raise

        try:
            await middleware(event, attempt)
        except Exception as error:
            self._put.clear()
            await self._fail(event, error, failed_in)

    def _changed(self, event: Event[Any], given: Event[Any]) -> Event[Any]:
        """Check the event that a middleware passes on (M4)."""
        if self._turn.ended:
            raise BadCall(f"`call_next` was called after the turn of {describe_event(event)} had ended")
        if given is event:
            return event
        if given.type != event.type:
            raise BadCall(f"a middleware cannot turn {describe_event(event)} into {describe_event(given)}: put that")
        return self._plan.validate(given)

    async def _call_lane(
        self, event: Event[Any], lane: Lane, fail: Callable[[Event[Any], Exception, Handler | None], Awaitable[None]]
    ) -> None:
        """Call filters and handlers in their order (D1, D2); what they raise goes to `fail`."""
        running: Handler | None = None
        call = self._call_watched if self._plan.close_watches else self._call
        try:
            for each in lane.filters:
                running = each
                if await call(each, event) is True:
                    return
            if self._plan.close_watches and self._attempts == 1:
                self._plan.note(Step.PASSED, event)
            if not lane.handlers:
                running = None
                raise UnhandledEvent(event)
        except Exception as error:
            await fail(event, error, running)
            return
        for handler in lane.handlers:
            try:
                await call(handler, event)
            except Exception as error:
                await fail(event, error, handler)

    async def _call_watched(self, handler: Handler, event: Event[Any]) -> Any:
        """Call a filter or handler and note that, of the event as it was before middleware changed it."""
        clock, noted = asyncio.get_running_loop().time, self._taken or event
        is_filter = handler in self._plan.lane_of(event.type).filters
        call = Call(handler.name, is_filter, clock())
        self._plan.note(Step.CALLING, noted, call=call)
        try:
            result = await self._call(handler, event)
            call.consumed = is_filter and result is True
        except BaseException as error:
            call.error = error
            raise
        finally:
            call.took = clock() - call.began
            self._plan.note(Step.CALLED, noted, call=call)
        return result

    async def _call(self, handler: Handler, event: Any) -> Any:
        if not handler.takes_queue:
            result = handler.function(event)
            return await result if handler.is_async else await settle(result)
        queue = open_queue(self._plan.validate, self._plan.arrivals)
        try:
            result = handler.function(event, queue)
            result = await result if handler.is_async else await settle(result)
        finally:
            queue.close()
        self._put += queue.entries
        return result

    async def _fail(self, event: Event[Any], error: Exception, handler: Handler | None) -> None:
        """Give an error to its error handler, if there is one; else, and if that raises, to whoever ingested."""
        self._failures += 1
        error_handler = self._plan.error_handler(error)
        if error_handler is None and not self._plan.watches:
            self._errors.append(error)
            return
        failed = FailedEvent(event, error, None if handler is None else handler.name, datetime.now(UTC), self._attempts)
        self._plan.note(Step.FAILED, event, failure=failed)
        if error_handler is None:
            self._errors.append(error)
            return
        try:
            await self._call(error_handler, failed)
        except Exception as raised:
            self._errors.append(raised)
        self._flush(event)
