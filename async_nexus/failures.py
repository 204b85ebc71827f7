"""What an error handler is told of an event whose handling failed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .events import Event


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """An event and what went wrong with it (F1)."""

    event: Event[Any]
    """The event, as it was given where its payload did not validate."""

    error: Exception
    """What was raised; a group that a handler raised is one error."""

    handler: str | None
    """The name of the handler or filter that raised it; `None` where none was running."""

    when: datetime
    """When it failed: aware, in UTC."""

    attempt: int
    """At which attempt it failed, from 1."""
