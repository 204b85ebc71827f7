"""The way of one key's events, compiled when the first of them comes: what is validated, and what is then called.

A program that has no middleware, and that nobody watches, needs no round around its handlers: they are called directly,
without a coroutine for each call. With error handlers, that is so of a handler that is alone.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from pydantic import ValidationError

from .errors import InvalidPayload, UnhandledEvent, raise_together
from .events import Event, EventType, assemble_fields, format_event_type
from .handlers import Handler, settle
from .specs import EventSpec, invalid_event, invalid_payload
from .turns import log_unraised

Run: TypeAlias = Callable[[Event[Any]], Awaitable[Any]]
"""Takes an event to its end, in a turn that has begun."""


class Lane:
    """The filters and handlers of one key, and how its events are made and handled.

    `alone` is a handler that may be called directly: there is no other, and no middleware around it. `run` handles
    an event that begins a turn. `validate` makes of a payload the valid one; where it is `None`, `build` makes of all
    fields a valid event. One that is not fast can do neither, and leaves that to the catalog.
    """

    __slots__ = ("_spec", "alone", "build", "filters", "handlers", "is_fast", "key", "run", "validate")

    def __init__(
        self,
        key: EventType,
        spec: EventSpec[Any] | None,
        filters: tuple[Handler, ...],
        handlers: tuple[Handler, ...],
        run: Run,
        *,
        is_bare: bool,
    ) -> None:
        self.key: EventType = key
        self.filters: tuple[Handler, ...] = filters
        self.handlers: tuple[Handler, ...] = handlers
        self.run: Run = run
        self.alone: Handler | None = handlers[0] if is_bare and len(handlers) == 1 and not filters else None
        self._spec = spec
        self.validate: Callable[[Any], Any] | None = None
        self.build: Callable[[dict[str, Any]], Event[Any]] = assemble_fields
        self.is_fast: bool = True
        if spec is not None and spec.event_class is None:
            self.validate = spec.validate_payload
        elif spec is not None:
            self.is_fast = spec.reads_whole
            self.build = spec.model.__pydantic_validator__.validate_python

    @property
    def event_class(self) -> type[Event[Any]] | None:
        """The class of the key's events, if it is a named one."""
        return None if self._spec is None else self._spec.event_class

    def invalid(self, event: Event[Any], error: ValidationError) -> InvalidPayload:
        """Turn what pydantic says of what it was given here into the error that names the event."""
        make = invalid_payload if self.event_class is None else invalid_event
        return make(event, format_event_type(self.key) if self._spec is None else self._spec.title, error)


def direct_way(filters: tuple[Handler, ...], handlers: tuple[Handler, ...]) -> Run | None:
    """Compile calls that need no round around them: of filters and handlers that put nothing on a queue."""
    if any(each.takes_queue for each in (*filters, *handlers)):
        return None
    functions = tuple(map(_awaited, handlers))
    if not filters and len(functions) == 1:
        return functions[0]
    run = _each_of(functions)
    return _filtered(tuple(map(_awaited, filters)), run) if filters else run


def _awaited(handler: Handler) -> Run:
    """Return what can always be awaited: an `async` function as it is."""
    function: Run = handler.function
    if handler.is_async:
        return function

    async def call(event: Event[Any]) -> Any:
        return await settle(function(event))

    return call


def _each_of(functions: tuple[Run, ...]) -> Run:
    """Call one function after another; what they raise is raised when all have been called (D5)."""
    if len(functions) == 1:
        return functions[0]

    async def call_all(event: Event[Any]) -> None:
        if not functions:
            raise UnhandledEvent(event)
        errors: list[Exception] = []
        try:
            for function in functions:
                try:
                    await function(event)
                except Exception as error:
                    errors.append(error)
        except BaseException:
            log_unraised(errors)
            raise
        if errors:
            raise_together(errors, "handlers failed in one turn")

    return call_all


def _filtered(filters: tuple[Run, ...], run: Run) -> Run:
    """Ask the filters first (D2)."""

    async def ask(event: Event[Any]) -> None:
        for passes in filters:
            if await passes(event) is True:
                return
        await run(event)

    return ask
