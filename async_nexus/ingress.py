"""The way in: an event, or a payload that becomes one, is validated, waits for its turn and is handled.

`emit` and `ingest_json` are written out: what the catalog, the line and the dispatch do for most events is done here
without their calls, for these are most of what is left of the cost. Whatever is out of the ordinary goes to them.
"""

from collections.abc import Coroutine
from typing import Any, Final, Generic, overload

from pydantic import ValidationError
from typing_extensions import TypeVar

from .catalog import Catalog
from .dispatch import Dispatch
from .errors import InvalidPayload
from .events import (
    AutoId,
    Emits,
    Event,
    EventClass,
    EventFactory,
    EventType,
    Given,
    assemble_event,
    new_object,
    set_values,
)
from .lifecycle import Lifecycle
from .turns import Turn, get_innermost, set_innermost, task_of

E_contra = TypeVar("E_contra", bound=Event[Any], contravariant=True, default=Event[Any])
P = TypeVar("P")
AUTO: Final = AutoId.AUTO
ZERO: Final = 0
"""Most priorities are this object: they need no look at their type."""


class Ingress(EventFactory, Generic[E_contra]):
    """The part of a nexus that takes events."""

    _life: Lifecycle
    _catalog: Catalog
    _dispatch: Dispatch

    async def ingest(self, event: E_contra) -> None:
        """Validate an event, wait for its turn, handle it and the secondary events that follow from it.

        Raises `InvalidPayload` before anything has run, `UnhandledEvent`, what handlers raised (several as
        one `ExceptionGroup`), `NotStarted` and `LoopStopped` (T1 to T5).
        """
        if not self._life.accepts:
            self._life.admit()
        try:
            valid = self._dispatch.validate(event)
        except InvalidPayload as error:
            await self._dispatch.handle_invalid(error)
        else:
            await self._dispatch.handle(valid)

    async def ingest_json(self, data: str | bytes | bytearray) -> None:
        """Parse the JSON of a whole event, which validates it, and ingest it without validating it again.

        Raises what `Catalog.parse_json` and `ingest` do.
        """
        dispatch = self._dispatch
        try:
            read = self._catalog.parser.read
            found = read(data)
        except (KeyError, ValidationError):
            found = None  # what is raised below shall not have this as its context, which may quote the payload
        if isinstance(found, dict):  # `assemble_fields`
            event: Event[Any] = new_object(Event)
            set_values(event, found)
            key = found["type"]
        elif found is not None:
            event = found
            key = found.type
        else:
            await self._ingest_json(data)
            return
        try:
            lane = dispatch.fast_lanes[key]
        except KeyError:
            lane = None
        line, outer = dispatch.line, get_innermost()
        if (
            lane is None
            or line.holder is not None
            or (loop := line.loop) is None
            or not (outer is None or outer.label is None)
        ):
            if not self._life.accepts:
                self._life.admit()
            await dispatch.handle(event)
            return
        # `Line.enter` and `Turn.leave`, where nobody has a turn and the task is inside of none.
        run = lane.run
        line.holder = turn = Turn()
        turn.line = line
        turn.label = event
        turn.is_simple = True
        turn.task = task_of(loop)
        set_innermost(turn)
        try:
            await run(event)
        except BaseException as error:
            await turn.end(error)
            raise
        if turn.is_simple and not line.is_awaited:
            turn.task = turn.label = line.holder = None
        else:
            await turn.end()

    def _ingest_json(self, data: str | bytes | bytearray) -> Coroutine[Any, Any, None]:
        """Read an event, at once, and return what handles it: a producer can tell what each of the two raises."""
        if not self._life.accepts:
            self._life.admit()
        try:
            valid = self._catalog.parse_json(data)
        except InvalidPayload as error:
            return self._dispatch.handle_invalid(error)
        return self._dispatch.handle(valid)

    @overload
    async def emit(
        self, event_type: EventType, payload: Any, *, id: int | AutoId = EventFactory.AUTO, priority: int = 0
    ) -> None: ...
    @overload
    async def emit(self, event_type: Emits[Given, E_contra], *payload: Given.args, **options: Given.kwargs) -> None: ...
    @overload  # by keyword
    async def emit(
        self,
        event_type: EventClass[P, E_contra],
        payload: P,
        *,
        id: int | AutoId = EventFactory.AUTO,
        priority: int = 0,
    ) -> None: ...
    async def emit(  # type: ignore[misc] # pyright: ignore[reportInconsistentOverload] # what is `Given` holds a payload
        self,
        event_type: Any,
        payload: Any,
        id: int | AutoId = EventFactory.AUTO,
        priority: int = 0,
    ) -> None:
        """Make an event of a payload, which is validated, and ingest it. Raises as `ingest` does."""
        dispatch = self._dispatch
        try:
            lane = dispatch.fast_lanes[event_type]
        except (KeyError, TypeError):  # unknown, or not even hashable: `create` says what a key is
            lane = None
        if (
            lane is None
            or id is not AUTO
            or (priority is not ZERO and type(priority) is not int)
            or event_type is True  # which a dict takes for 1, as it does `False` for 0
            or event_type is False
        ):
            await self._emit_any(event_type, payload, id, priority)
            return
        number, validate, run = next(self._ids), lane.validate, lane.run
        try:
            if validate is not None:  # `assemble_event`
                event: Event[Any] = new_object(Event)
                set_values(event, {"id": number, "type": lane.key, "priority": priority, "payload": validate(payload)})
            else:
                event = lane.build({"id": number, "type": lane.key, "priority": priority, "payload": payload})
        except ValidationError as error:
            invalid = lane.invalid(assemble_event(number, lane.key, priority, payload), error)
        else:
            line, outer = dispatch.line, get_innermost()
            if line.holder is not None or (loop := line.loop) is None or not (outer is None or outer.label is None):
                # `Dispatch.handle`: where many wait, one more coroutine around each is an eighth of the cost.
                must_wait = line.is_serial and line.holder is not None and (outer is None or outer.label is None)
                turn = (None if must_wait else line.enter(event)) or await line.wait(priority, event)
                try:
                    await dispatch.lane_of(lane.key).run(event)  # what is registered may have changed meanwhile
                except BaseException as error:
                    await turn.end(error)
                    raise
                if turn.is_simple:
                    turn.leave()
                else:
                    await turn.end()
                return
            # `Line.enter` and `Turn.leave`, where nobody has a turn and the task is inside of none.
            line.holder = turn = Turn()
            turn.line = line
            turn.label = event
            turn.is_simple = True
            turn.task = task_of(loop)
            set_innermost(turn)
            try:
                await run(event)
            except BaseException as error:
                await turn.end(error)
                raise
            if turn.is_simple and not line.is_awaited:
                turn.task = turn.label = line.holder = None
            else:
                await turn.end()
            return
        await dispatch.handle_invalid(invalid)  # here: what it raises shall not have pydantic's error as its context

    async def _emit_any(self, event_type: Any, payload: Any, id: int | AutoId, priority: int) -> None:
        """Emit whatever is out of the ordinary: the first event of its key, an id that was given."""
        if not self._life.accepts:
            self._life.admit()
        try:
            event = self._catalog.create(event_type, payload, self.choose_id(id), priority)
        except InvalidPayload as error:
            await self._dispatch.handle_invalid(error)
        else:
            await self._dispatch.handle(event)
