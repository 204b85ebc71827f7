"""RabbitMQ carries messages as every transport does, and what is its own."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from rabbit_servers import TIMEOUT, Broker, private_broker

from async_nexus.testing.conformance import SECRET, Engine, TransportConformance, free_port
from async_nexus.transports.rabbitmq import queues

FACTORY = "async_nexus.transports.rabbitmq:RabbitTransport"


@pytest.fixture(scope="session")
def broker() -> Generator[Broker]:
    """One for all tests: it takes seconds to start."""
    with private_broker() as broker:
        yield broker


class TestRabbit(TransportConformance):
    """Every claim that is made of transports."""

    @pytest.fixture
    def engine(self, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Engine:
        """A broker that belongs to these tests, so nothing has to be deleted."""
        patient = queues.UNTIL_WRITTEN
        monkeypatch.setattr(queues, "UNTIL_WRITTEN", 0)

        @contextmanager
        def mortal() -> Generator[Broker]:
            monkeypatch.setattr(queues, "UNTIL_WRITTEN", patient)
            with broker.lent():
                yield broker

        return Engine(
            factory=FACTORY,
            arguments=broker.arguments,
            refused={"url": f"amqp://user:{SECRET}@127.0.0.1:{free_port()}", "timeout": TIMEOUT},
            server=mortal,
            room=broker.lent,
        )
