"""mediatr: a mediator, which has one handler a request class."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

from mediatr import Mediator

from benchmarks.events import Reading
from benchmarks.peers import Handle, SendPayload

VALIDATES = False


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """The payload is the request."""
    (handle,) = handlers

    # It insists on a parameter with an annotation, and on no other parameter.
    def take(request: Reading) -> Awaitable[None]:
        return handle(request)

    Mediator.register_handler(take)
    yield Mediator().send_async
