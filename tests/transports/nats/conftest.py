"""What the tests of the NATS transport have in common."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from nats_servers import any_server, forget

from async_nexus.transports.nats import NatsTransport


@pytest.fixture(scope="package")
def url() -> Iterator[str]:
    """The server that is there, or one for these tests."""
    with any_server() as address:
        yield address


@pytest.fixture
async def channel(url: str) -> AsyncIterator[str]:
    """A channel that nobody else has, and that is gone afterwards."""
    name = f"test.{uuid4().hex[:12]}"
    yield name
    await forget(url, name)


Open = Callable[..., "NatsTransport"]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Make transports that are closed afterwards."""
    async with AsyncExitStack() as stack:

        def make(*arguments: object, **options: object) -> NatsTransport:
            transport = NatsTransport(*arguments, **options)  # type: ignore[arg-type] # as the test gives them
            stack.push_async_callback(transport.close)
            return transport

        yield make


@pytest.fixture
async def transport(url: str, channel: str) -> AsyncIterator[NatsTransport]:
    """A transport that is connected; `channel` is forgotten after it is closed."""
    async with NatsTransport(url) as transport:
        yield transport
