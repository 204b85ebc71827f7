"""blinker: a signal."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from blinker import Signal

from benchmarks.peers import Handle, SendPayload

VALIDATES = False


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """One signal; the payload is its sender, which is what a receiver is given."""
    signal = Signal()
    for each in handlers:
        signal.connect(each)
    yield signal.send_async
