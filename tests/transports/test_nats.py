"""NATS JetStream carries messages as every transport does."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from nats_servers import any_server, forget, private_server, set_limit

from async_nexus.testing.conformance import SECRET, Arguments, Engine, Room, TransportConformance, free_port


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
    """Run a server whose streams are small."""
    with private_server(max_bytes=4_000_000) as server:
        yield Limited(server.arguments)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The server that is there, or one for this module."""
    with any_server() as address:
        yield address


class TestNats(TransportConformance):
    """Every claim that is made of transports."""

    patience = 30.0
    outage_patience = crash_patience = 60.0

    # The server writes down ten times a second what was acknowledged, also where one waits for its answer. A boundary
    # that lives knows what comes again; here one may be killed in between. A machine that is busy writes later.
    forgets = 0.2

    @pytest.fixture
    def engine(self, url: str) -> Engine:
        """The server that is there; private ones to be killed and filled."""
        return Engine(
            factory="async_nexus.transports.nats:NatsTransport",
            arguments={"url": url, "ack_wait": 2.0},
            refused={"url": f"nats://user:{SECRET}@127.0.0.1:{free_port()}"},
            server=lambda: private_server(timeout=4.0, ack_wait=2.0),
            room=limited,
            forget=lambda channel: forget(url, channel),
        )
