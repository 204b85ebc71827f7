"""Everything that async_nexus raises on its own account.

::

    AsyncNexusError
    ├─ UnhandledEvent            nothing consumed the event                     .event
    ├─ InvalidPayload            a payload does not fit its schema  (ValueError) .event .errors()
    ├─ InvalidHandler            a handler does not fit             (TypeError)
    ├─ SchemaConflict            two claims on one key disagree     (TypeError)
    ├─ HandlerConflict           the key has a handler already      (LookupError)
    ├─ NoMoreEvents              a source has ended
    ├─ MultipleStart             it runs already
    ├─ Overflow                  there is no room for another post
    ├─ Dropped                   a post made room for another
    ├─ TransportError            an engine refused, or what it gave cannot be read
    │  └─ TransportUnavailable   it could not be reached, or did not answer in time
    └─ BadCall                   the call does not fit the state
       ├─ MisconfiguredEventProducer
       ├─ MisconfiguredEventConsumer
       ├─ NotStarted
       ├─ LoopAlreadyStarted
       ├─ LoopStopped
       └─ Deadlock                a wait that nothing can end

Errors of user code are never turned into one of these.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic_core import ErrorDetails

X = TypeVar("X", bound=BaseException)


class AsyncNexusError(Exception):
    """The one base to catch for every error of this package."""


class UnhandledEvent(AsyncNexusError):
    """An event was ingested and neither filter, handler nor default handler consumed it.

    `event` is that `Event`; it is typed `Any` because the errors stand below the events.
    """

    def __init__(self, event: Any) -> None:
        super().__init__(event)
        self.event: Any = event

    def __str__(self) -> str:
        return (
            f"no filter, handler or default handler consumed event {self.event.id} of type "
            f"{self.event.type!r}: register one with `nexus.on({self.event.type!r})` or `nexus.default`"
        )


class InvalidPayload(AsyncNexusError, ValueError):
    """A payload does not fit the schema of its event's key; nothing has run.

    `event` is the event as it was given (typed `Any` because the errors stand below the events) and
    `schema` the name of what was expected. The text leaves out the values, which may be secret.
    """

    def __init__(self, event: Any, schema: str, details: Iterable[ErrorDetails]) -> None:
        self._details = list(details)
        super().__init__(event, schema, self._details)
        self.event: Any = event
        self.schema = schema

    def errors(self) -> list[ErrorDetails]:
        """What is wrong with each field, as pydantic says it; `loc` is relative to the payload."""
        return list(self._details)

    def __str__(self) -> str:
        fields = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'payload'}: {detail['msg']} "
            f"(given {type(detail['input']).__name__})"
            for detail in self._details
        )
        return f"event {self.event.id} of type {self.event.type!r}: its payload is no {self.schema}: {fields}"


class InvalidHandler(AsyncNexusError, TypeError):
    """A handler or filter cannot be called with an event, or its annotation contradicts its key's schema."""


class SchemaConflict(AsyncNexusError, TypeError):
    """Two claims say different things of what one key's payload is."""


class HandlerConflict(AsyncNexusError, LookupError):
    """A key, a range or the default has its handler already."""


class NoMoreEvents(AsyncNexusError):
    """A source has ended: raised by `obtain_event` when there is nothing more to obtain."""


class MultipleStart(AsyncNexusError):
    """What was started is running already."""


class Overflow(AsyncNexusError):
    """There is no room for another post, and the overflow policy is to say so."""


class Dropped(AsyncNexusError):
    """A post was dropped, as the overflow policy has it: its event is not handled."""


class TransportError(AsyncNexusError):
    """An engine that carries events refused, or gave what cannot be read; what it had not confirmed may be lost."""


class TransportUnavailable(TransportError):
    """An engine could not be reached, or did not answer in time: it may have done what it was asked for, or not."""


class BadCall(AsyncNexusError):
    """The call does not fit the state that its object is in."""


class MisconfiguredEventProducer(BadCall):
    """A producer lacks what it needs: a nexus to send to, or an event factory."""


class MisconfiguredEventConsumer(BadCall):
    """A consumer lacks what it needs: a fan-out without handlers."""


class NotStarted(BadCall):
    """The nexus takes no events yet: it has not been started."""


class LoopAlreadyStarted(BadCall):
    """A nexus can be started only once, and it is running."""


class LoopStopped(BadCall):
    """The nexus takes no more events: it is stopping or has stopped."""


class Deadlock(BadCall):
    """A handler waits for what could come only after it: no event can be handled before it returns."""


def text_of(error: BaseException) -> str:
    """Return an error's text; none where its `__str__`, which may be anybody's, raises."""
    try:
        return str(error)
    except Exception:
        return ""


def raise_together(errors: list[X], what: str) -> None:
    """Raise one error as itself, several as one flat `ExceptionGroup`, none not at all; take them out of the list.

    `what` completes "3 …" in the group's message. Their tracebacks hold the calls they went through: errors that those
    still listed would be part of a cycle, and kept with all that belongs to it until garbage is collected.
    """
    if len(errors) == 1:
        raise errors.pop()
    if errors:
        raise BaseExceptionGroup(f"{len(errors)} {what}", _take(errors))


def _take(errors: list[X]) -> list[X]:
    taken = errors.copy()
    errors.clear()
    return taken
