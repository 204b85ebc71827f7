"""What aio-pika and the broker say, as errors of this package: nowhere else are theirs turned into ours."""

import asyncio
from types import TracebackType
from typing import Final

from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelPreconditionFailed,
    DeliveryError,
    IncompatibleProtocolError,
    ProbableAuthenticationError,
    PublishError,
)
from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed

from ...errors import TransportError, TransportUnavailable

_REFUSALS: Final = (
    AuthenticationError,
    ProbableAuthenticationError,
    IncompatibleProtocolError,
    ChannelAccessRefused,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
)


class Request:
    """What the broker is asked for in an `async with`, and has so many seconds to do. Raises `TransportError`."""

    __slots__ = ("_timeout", "_what")

    def __init__(self, what: str, timeout: float) -> None:
        self._what = what
        self._timeout = asyncio.timeout(timeout)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            error = late
        if error is not None and (ours := _translate(error, self._what)) is not None:
            # From none where it may show a connection, which shows its user.
            raise ours from (None if isinstance(error, RuntimeError) else error)


def _translate(error: BaseException, what: str) -> TransportError | None:
    """Return our error for one of the client; none for what is not the client's."""
    match error:
        case asyncio.CancelledError():
            # The client cancels, too, what waits on a connection that it gives up.
            task = asyncio.current_task()
            is_ours = task is None or task.cancelling() > 0
            return None if is_ours else TransportUnavailable(f"{what}: the connection was given up")
        case TransportError():
            return None
        case PublishError():
            return TransportError(
                f"{what}: no consumer has subscribed to it yet, so there is no queue that would keep the message"
            )
        case DeliveryError():
            return TransportUnavailable(f"{what}: the broker could not keep the message; a queue may be full")
        case TimeoutError():
            return TransportUnavailable(
                f"{what}: no answer in time; it may be away, or let nobody publish for want of memory or disk"
            )
        case _ if isinstance(error, _REFUSALS):
            return TransportError(f"{what}: it refuses: {error}")
        case AMQPError() | OSError():
            return TransportUnavailable(f"{what}: {error or type(error).__name__}")
        case RuntimeError():
            return TransportUnavailable(f"{what}: the connection is closed")
        case _:
            return None
