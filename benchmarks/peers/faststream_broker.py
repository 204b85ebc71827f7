"""FastStream: the in-memory broker of its test client, here that for NATS. It validates the decoded message."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from faststream.nats import NatsBroker, TestNatsBroker

from benchmarks.events import Reading
from benchmarks.peers import Handle, SendPayload

VALIDATES = True


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """One subject, a subscriber for each handler."""
    broker = NatsBroker(logger=None)

    def taking_messages(handle: Handle) -> Any:
        async def take(message: Reading) -> None:
            await handle(message)

        return take

    for each in handlers:
        broker.subscriber("reading")(taking_messages(each))
    async with TestNatsBroker(broker) as connected:

        async def send(payload: Any) -> None:
            await connected.publish(payload, "reading")

        yield send
