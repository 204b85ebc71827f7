"""The call loop: one event through middleware and filters to its handlers, then what they put on the queue.

Order between turns is the business of `lines`, the choice of handlers that of `routes`; here they are called, and
what they raise is collected or given to an error handler.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any

from .attempts import Attempt, Attempts
from .errors import BadCall, UnhandledEvent, raise_together
from .events import Event, describe_event
from .failures import FailedEvent
from .handler_queue import HandlerQueue, open_queue
from .handlers import Handler, settle
from .lanes import Lane
from .notes import Call, Step
from .ownership import ALONE, count_references
from .plan import Middleware, Plan, check_event
from .queue import Entry
from .turns import Turn, log_unraised


async def handle_all(
    plan: Plan,
    turn: Turn,
    first: Event[Any] | None,
    more: Sequence[Event[Any]] = (),
    *,
    rest: "Round | None" = None,
    queue: HandlerQueue | None = None,
) -> None:
    """Handle events of a turn, and all that follows from them, by priority and arrival (T1).

    A handler that is alone is called here; `rest` does the rest, a round that is made when something needs it. A
    `queue` that nobody keeps serves the next handler; of one that is given, the caller has a variable as well.
    Raises what handlers raised once all is done, several as one `ExceptionGroup` (T3).
    """
    entries: list[Entry] = [] if rest is None else rest.entries
    lanes, arrivals = plan.lanes, plan.arrivals
    held = ALONE + 1  # how often the queue that is given is held; where counts say nothing, none is given
    try:
        while turn.is_simple or not turn.is_cut:
            if entries or more or first is None:
                for each in more if first is None else (first, *more):
                    heappush(entries, (each.priority, next(arrivals), each))
                if not entries:
                    break
                event, more = heappop(entries)[2], ()
            else:
                event = first  # the only one needs no rank
            first = None
            turn.handling = event
            try:
                alone = lanes[event.type].alone
            except KeyError:
                alone = plan.lane_of(event.type).alone
            if alone is None:
                rest = rest or Round(plan, turn, entries)
                await rest.take(event)
                continue
            function = alone.function
            try:
                if not alone.takes_queue:
                    result = function(event)
                    await (result if alone.is_async else settle(result))
                    continue
                if queue is None:
                    queue, held = open_queue(lanes, plan.validate), ALONE
                try:
                    result = function(event, queue)
                    await (result if alone.is_async else settle(result))
                except BaseException:
                    queue.close()  # what was put is dropped with the handler (T3)
                    queue = None
                    raise
                if queue.more is None and count_references(queue) == held:
                    first, queue.first = queue.first, None
                else:
                    more, queue = queue.close(), None
            except Exception as error:
                rest = rest or Round(plan, turn, entries)
                await rest.fail(event, error, alone)
    except BaseException:
        if rest is not None:
            log_unraised(rest.errors)
        raise
    finally:
        turn.handling = None  # the context of the task keeps the turn, and would keep the event
        if plan.watches:
            for each in (*((first,) if first else ()), *more, *(entry[2] for entry in sorted(entries))):
                plan.note(Step.INTERRUPTED, each)
    if rest is not None and rest.errors:
        raise_together(rest.errors, "handlers failed in one turn")


async def handle_failure(plan: Plan, turn: Turn, event: Event[Any], error: Exception, handler: Handler | None) -> None:
    """Handle what went wrong with an event, and all that follows from that. Raises what `handle_all` does.

    `handler` is the one that it went wrong in, `None` if that was in none.
    """
    rest = Round(plan, turn, [])
    try:
        await rest.fail(event, error, handler)
    except BaseException:
        log_unraised(rest.errors)
        raise
    del error  # raised below, it would be part of a cycle with this call
    await handle_all(plan, turn, None, rest=rest)


class Round:
    """What is more than to call a lone handler: filters, several handlers, middleware, error handlers, who watches.

    It lasts as long as the turn. What is put goes to `entries`; `errors` are raised when the turn ends.
    """

    __slots__ = ("_attempts", "_failures", "_has_passed", "_plan", "_put", "_taken", "_turn", "entries", "errors")

    def __init__(self, plan: Plan, turn: Turn, entries: list[Entry]) -> None:
        self._plan = plan
        self._turn = turn
        self._put: list[Event[Any]] = []
        self._attempts = 1
        self._failures = 0
        self._has_passed = False
        self._taken: Event[Any] | None = None
        self.entries: list[Entry] = entries
        self.errors: list[Exception] = []

    async def take(self, event: Event[Any]) -> None:
        """Take an event through filters and handlers, and what stands around them."""
        if not self._plan.watches:
            await self._take(event)
            return
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
        self._has_passed = False
        if self._plan.middleware is None:
            await self._call_lane(event, lane)
        else:
            await self._take_wrapped(event, lane, self._plan.middleware)
        self._flush(event)

    def _flush(self, cause: Event[Any]) -> None:
        """Let what was put count."""
        for event in self._put:
            heappush(self.entries, (event.priority, next(self._plan.arrivals), event))
            if self._plan.watches:
                self._plan.note(Step.PUT, event, cause=cause)
        self._put.clear()

    async def _take_wrapped(self, event: Event[Any], lane: Lane, middleware: Middleware) -> None:
        """Call the lane through middleware, which may do so several times, or not at all (M2, M3)."""
        attempts = Attempts(event, self._plan.validate)
        self._turn.wrapped += 1

        async def attempt(given: Event[Any]) -> None:
            current = attempts.begin()
            self._attempts = attempts.count
            await self._call_lane(self._changed(event, given), lane, current)
            current.finish()

        try:
            await middleware(event, attempt)
            self._put += attempts.put
        except Exception as error:
            await self._fail_each(event, attempts.end(error))
        finally:
            attempts.end()

    async def _fail_each(self, event: Event[Any], failures: list[tuple[Exception, Handler | None]]) -> None:
        for error, handler in failures:
            await self.fail(event, error, handler)

    def _changed(self, event: Event[Any], given: Event[Any]) -> Event[Any]:
        """Check the event that a middleware passes on (M4)."""
        if given is event:
            return event
        if check_event(given).type != event.type:
            raise BadCall(f"a middleware cannot turn {describe_event(event)} into {describe_event(given)}: put that")
        return self._plan.validate(given)

    async def _call_lane(self, event: Event[Any], lane: Lane, attempt: Attempt | None = None) -> None:
        """Call filters and handlers in their order (D1, D2), in an attempt if middleware is around them (M1)."""
        running: Handler | None = None
        fail = self.fail if attempt is None else attempt.fail
        call = self._call_watched if self._plan.close_watches else self._call
        try:
            for each in lane.filters:
                running = each
                if await call(each, event, attempt) is True:
                    return
            if self._plan.close_watches and not self._has_passed:
                self._has_passed = True
                self._plan.note(Step.PASSED, event)
            if not lane.handlers:
                running = None
                raise UnhandledEvent(event)
        except Exception as error:
            await fail(event, error, running)
            return
        for handler in lane.handlers:
            try:
                await call(handler, event, attempt)
            except Exception as error:
                await fail(event, error, handler)

    async def _call_watched(self, handler: Handler, event: Event[Any], attempt: Attempt | None) -> Any:
        """Call a filter or handler and note that, of the event as it was before middleware changed it."""
        clock, noted = asyncio.get_running_loop().time, self._taken or event
        is_filter = handler in self._plan.lane_of(event.type).filters
        call = Call(handler.name, is_filter, clock())
        self._plan.note(Step.CALLING, noted, call=call)
        try:
            result = await self._call(handler, event, attempt)
            call.consumed = is_filter and result is True
        except BaseException as error:
            call.error = error
            raise
        finally:
            call.took = clock() - call.began
            self._plan.note(Step.CALLED, noted, call=call)
            del call  # it holds the error, whose traceback holds this call: a cycle
        return result

    async def _call(self, handler: Handler, event: Any, attempt: Attempt | None = None) -> Any:
        if not handler.takes_queue:
            result = handler.function(event)
            return await result if handler.is_async else await settle(result)
        queue = open_queue(self._plan.lanes, self._plan.validate) if attempt is None else attempt.open_queue()
        try:
            result = handler.function(event, queue)
            result = await result if handler.is_async else await settle(result)
        finally:
            put = queue.close()
        into = self._put if attempt is None else attempt.put
        into += put
        return result

    async def fail(self, event: Event[Any], error: Exception, handler: Handler | None) -> None:
        """Give an error to its error handler, if there is one; else, and if that raises, to whoever ingested."""
        self._failures += 1
        error_handler = self._plan.error_handler(error)
        if error_handler is None and not self._plan.watches:
            self.errors.append(error)
            return
        failed = FailedEvent(event, error, None if handler is None else handler.name, datetime.now(UTC), self._attempts)
        self._plan.note(Step.FAILED, event, failure=failed)
        if error_handler is None:
            self.errors.append(error)
            return
        try:
            await self._call(error_handler, failed)
        except Exception as raised:
            self.errors.append(raised)
        self._flush(event)
