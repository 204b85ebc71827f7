"""The transport in memory holds what every transport has to hold."""

import pytest

from async_nexus.testing.conformance import Engine, TransportConformance


class TestMemory(
    TransportConformance,
    without={
        "processes": "it lives in one",
        "refusal": "there is nothing to connect to",
        "room": "it is bounded by the machine alone",
        "server": "it has none",
    },
):
    """Every claim that can be made of it."""

    @pytest.fixture
    def engine(self) -> Engine:
        """Channels of its own for each claim."""
        return Engine(factory="async_nexus.transports.memory:MemoryTransport", processes=False)
