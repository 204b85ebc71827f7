"""The attempts of middleware at one event: what they put and raise, none of which counts once it has ended."""

from collections.abc import Callable
from typing import Any, NoReturn, cast

from .errors import BadCall, raise_together
from .events import Event, describe_event
from .handler_queue import HandlerQueue, open_queue
from .handlers import Handler


class Attempts:
    """The attempts at one event, until its middleware has ended (M3)."""

    __slots__ = ("_event", "_handlers", "_raised", "_validate", "count", "has_ended", "put")

    def __init__(self, event: Event[Any], validate: Callable[[Event[Any]], Event[Any]]) -> None:
        self.count: int = 0
        self.has_ended: bool = False
        self.put: list[Event[Any]] = []
        """What was put in attempts that succeeded."""
        self._event = event
        self._validate = validate
        # What the last attempt that failed has raised, and which handlers: of a group, each of its members.
        self._raised: Exception | None = None
        self._handlers: list[Handler | None] = []

    def begin(self) -> "Attempt":
        """Begin the next attempt. Raises `BadCall` when the middleware has ended."""
        if self.has_ended:
            raise BadCall(
                f"`call_next` was called after the middleware around {describe_event(self._event)} had ended: "
                "await it inside of the middleware"
            )
        self.count += 1
        return Attempt(self)

    def remember(self, raised: Exception, handlers: list[Handler | None]) -> None:
        """Take note of what an attempt raises."""
        if not self.has_ended:
            self._raised, self._handlers = raised, handlers

    def end(self, raised: Exception | None = None) -> list[tuple[Exception, Handler | None]]:
        """End with the middleware, and tell which errors are in what it raised, each with its handler (F1).

        Only what an attempt has raised is a handler's, and only the very group that it made is several errors. Nothing
        is remembered then: it would be part of a cycle with the calls in its traceback.
        """
        ours, handlers = self._raised, self._handlers
        self.has_ended, self._raised, self._handlers = True, None, []
        if raised is None:
            return []
        if raised is not ours:
            return [(raised, None)]
        if len(handlers) == 1:
            return [(raised, handlers[0])]
        group = cast("ExceptionGroup[Exception]", raised)
        return list(zip(group.exceptions, handlers, strict=True))

    def validate(self, event: Event[Any]) -> Event[Any]:
        """Validate what a handler puts. Raises `BadCall` when the middleware has ended."""
        if self.has_ended:
            self.refuse(event)
        return self._validate(event)

    def refuse(self, event: Event[Any]) -> NoReturn:
        """Raise `BadCall` for an event that was put in an attempt which goes on after the middleware."""
        raise BadCall(
            f"{describe_event(event)} was put in an attempt at {describe_event(self._event)} that outlived its "
            "middleware: have that await `call_next`, or ingest the event"
        )


class Attempt:
    """One call of filters and handlers through middleware: what they put counts if none of them fails (M3)."""

    __slots__ = ("_attempts", "_errors", "_handlers", "put")

    def __init__(self, attempts: Attempts) -> None:
        self.put: list[Event[Any]] = []
        self._attempts = attempts
        self._errors: list[Exception] = []
        self._handlers: list[Handler | None] = []

    def open_queue(self) -> HandlerQueue:
        """Open the queue of a handler, all of which is asked whether the middleware has ended."""
        return open_queue({}, self._attempts.validate)

    async def fail(self, _: Event[Any], error: Exception, handler: Handler | None) -> None:
        """Take note of what a filter or handler raised."""
        self._errors.append(error)
        self._handlers.append(handler)

    def finish(self) -> None:
        """Let what was put count, or raise what was raised, several errors as one group (M2)."""
        try:
            raise_together(self._errors, "handlers failed")
        except Exception as error:
            self._attempts.remember(error, self._handlers)
            raise
        if self._attempts.has_ended and self.put:
            self._attempts.refuse(self.put[0])
        self._attempts.put += self.put
