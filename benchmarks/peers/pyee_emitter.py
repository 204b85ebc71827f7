"""pyee: an event emitter that makes a task of each call of an async handler."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pyee.asyncio import AsyncIOEventEmitter

from benchmarks.events import Reading
from benchmarks.peers import Handle, SendPayload

VALIDATES = False


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """One emitter; it can be waited for only as a whole, which is dear where many send at once (W8)."""
    emitter = AsyncIOEventEmitter()
    for each in handlers:
        emitter.add_listener("reading", each)

    async def send(payload: Reading) -> None:
        emitter.emit("reading", payload)
        await emitter.wait_for_complete()

    yield send
