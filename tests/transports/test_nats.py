"""NATS JetStream carries messages as every transport does, and what is its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from async_nexus.testing.conformance import SECRET, Arguments, Engine, Room, TransportConformance, free_port
from nats_servers import any_server, forget, private_server, set_limit

FACTORY = "async_nexus.transports.nats:NatsTransport"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with any_server() as address:
        yield address


class Limited:
    """A server whose streams are small, until they are made larger."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments

    def fill(self) -> None:
        """Their limit does it."""

    def free(self) -> None:
        asyncio.run(set_limit(str(self.arguments["url"]), -1))


@contextmanager
def limited() -> Iterator[Room]:
    with private_server(max_bytes=4_000_000) as server:
        yield Limited(server.arguments)


class TestNats(TransportConformance):
    """Every claim that is made of transports."""

    @pytest.fixture
    def engine(self, url: str) -> Engine:
        """The server that is there; private ones to be killed and filled."""
        return Engine(
            factory=FACTORY,
            arguments={"url": url},
            refused={"url": f"nats://user:{SECRET}@127.0.0.1:{free_port()}"},
            server=lambda: private_server(timeout=3.0, ack_wait=2.0),
            room=limited,
            forget=lambda channel: forget(url, channel),
        )
