"""Logs how the handling of each event went."""

import asyncio
import logging
from typing import Any, Final

from ..events import Event, describe_event
from .chain import CallNext, Middleware

logger: Final = logging.getLogger("async_nexus")


def log(
    logger: logging.Logger = logger, *, level: int = logging.INFO, failure_level: int = logging.WARNING
) -> Middleware:
    """Log one record for each event: id, type, how long, and whether it was handled, failed or was cancelled.

    Of an error only the class is named: payloads, and texts that may quote them, are never logged. The record's
    attributes `event_id`, `event_type`, `outcome`, `seconds` and `error_type` are for structured logs.
    """

    async def logged(event: Event[Any], call_next: CallNext) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        outcome, error_type = "handled", None
        try:
            await call_next(event)
        except BaseException as error:
            outcome = "failed" if isinstance(error, Exception) else "cancelled"
            error_type = type(error).__qualname__
            raise
        finally:
            seconds = clock() - begun
            logger.log(
                level if error_type is None else failure_level,
                "%s: %s%s after %.6f s",
                describe_event(event),
                outcome,
                f" with {error_type}" if outcome == "failed" else "",
                seconds,
                extra={
                    "event_id": event.id,
                    "event_type": event.type,
                    "outcome": outcome,
                    "seconds": seconds,
                    "error_type": error_type,
                },
            )

    return logged
