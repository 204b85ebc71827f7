"""What aio-pika and the broker say, as errors of this package: nowhere else are theirs turned into ours."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
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


@contextmanager
def broker_errors(what: str) -> Generator[None]:
    """Turn errors of the client into ours, which begin with what was being done."""
    try:
        yield
    except asyncio.CancelledError as error:
        # The client cancels what waits on a connection that it gives up.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise TransportUnavailable(f"{what}: the connection was given up") from error
    except PublishError as error:
        raise TransportError(
            f"{what}: no consumer has subscribed to it yet, so there is no queue that would keep the message"
        ) from error
    except DeliveryError as error:
        raise TransportUnavailable(f"{what}: the broker could not keep the message") from error
    except TimeoutError as error:
        raise TransportUnavailable(
            f"{what}: no answer in time; the broker may be away, or it lets nobody publish for want of memory or disk"
        ) from error
    except _REFUSALS as error:
        raise TransportError(f"{what}: the broker refuses: {error}") from error
    except (AMQPError, OSError) as error:
        raise TransportUnavailable(f"{what}: {error or type(error).__name__}") from error
    except RuntimeError:
        # From none: where these show a connection, they show its user.
        raise TransportUnavailable(f"{what}: the connection is closed") from None
