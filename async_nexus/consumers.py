"""Ready-made handlers: the base class of consumers, a fan-out, a discarder."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Generic, final, overload

from typing_extensions import TypeVar, override

from .admission import admit_handler
from .errors import MisconfiguredEventConsumer, raise_together
from .events import Event
from .handlers import Consumer, Handler, name_of, settle
from .queue import EventQueue

E_contra = TypeVar("E_contra", bound=Event[Any], contravariant=True, default=Event[Any])


class EventConsumer(ABC, Generic[E_contra]):
    """A handler that is an object: override `handle`."""

    @abstractmethod
    async def handle(self, event: E_contra, queue: EventQueue[Any], /) -> None:
        """Consume an event; put secondary events on the queue."""


class EventFanout(EventConsumer[E_contra]):
    """Hands every event to several handlers, one after another, in the order of registration.

    Events are immutable, so all are handed the same one; with `copy` each gets a deep copy instead, with
    a payload of its own.
    """

    def __init__(self, *, copy: bool = False) -> None:
        self._copy = copy
        self._handlers: tuple[Handler, ...] = ()

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """What is registered, in order."""
        return self._handlers

    @overload
    def register(self, handler: Callable[[E_contra, EventQueue[Any]], Awaitable[None] | None], /) -> None: ...
    @overload
    def register(self, handler: Callable[[E_contra], Awaitable[None] | None], /) -> None: ...
    @overload
    def register(self, handler: Consumer[E_contra, EventQueue[Any]], /) -> None: ...
    def register(self, handler: object, /) -> None:
        """Add a handler. Raises `InvalidHandler` for what cannot be one."""
        self._handlers = (*self._handlers, admit_handler(handler))

    def deregister(self, handler: object, /) -> None:
        """Remove a handler. Raises `LookupError` for one that is not registered."""
        for index, each in enumerate(self._handlers):
            if each.given == handler:
                self._handlers = (*self._handlers[:index], *self._handlers[index + 1 :])
                return
        raise LookupError(f"{name_of(handler)} is not registered with this fan-out")

    @override
    async def handle(self, event: E_contra, queue: EventQueue[Any], /) -> None:
        """Hand the event to all handlers, then raise what they raised, several as one `ExceptionGroup`.

        Raises `MisconfiguredEventConsumer` where none is registered.
        """
        if not self._handlers:
            raise MisconfiguredEventConsumer("the fan-out has no handler: give it one by `register`")
        errors: list[Exception] = []
        given = event
        for each in self._handlers:
            if self._copy:
                given = event.model_copy(deep=True)
            try:  # what `call` does, without its call
                result = each.function(given, queue) if each.takes_queue else each.function(given)
                await (result if each.is_async else settle(result))
            except Exception as error:
                errors.append(error)
        if errors:
            raise_together(errors, "handlers of a fan-out failed")


@final
class EventDiscarder(EventConsumer):
    """Consumes events and does nothing with them."""

    @override
    async def handle(self, event: Event[Any], queue: EventQueue[Any], /) -> None:
        """Do nothing."""
