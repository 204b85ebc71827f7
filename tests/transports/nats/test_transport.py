"""What the transport promises that is no matter of its parts."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from async_nexus.transports import Message
from async_nexus.transports.nats import NatsTransport


@pytest.mark.parametrize("in_flight", [0, -1])
async def test_less_than_one_in_flight_is_refused(in_flight: int) -> None:
    """Before anything is asked of the server."""
    with pytest.raises(ValueError, match="in_flight"):
        await NatsTransport("nats://127.0.0.1:1").subscribe("orders", "billing", in_flight=in_flight)


async def test_a_time_without_a_zone_is_refused() -> None:
    """It would be another one elsewhere."""
    with pytest.raises(ValueError, match="zone"):
        await NatsTransport("nats://127.0.0.1:1").subscribe(
            "orders", "billing", since=datetime(2026, 1, 1)
        )  # that is it


@pytest.mark.parametrize("since", [-5, 0, 1, datetime(1970, 1, 1, tzinfo=UTC)])
async def test_going_back_before_the_beginning_is_going_to_it(
    channel: str, transport: NatsTransport, since: int | datetime
) -> None:
    """Positions begin at 1."""
    await transport.publish(channel, Message("1", b""))
    subscription = await transport.subscribe(channel, "billing", since=since)
    assert (await anext(aiter(subscription))).position == 1


async def test_what_was_closed_is_forgotten(channel: str, transport: NatsTransport) -> None:
    """Who subscribes again and again does not gather what is of no use any more."""
    for _ in range(5):
        await (await transport.subscribe(channel, "billing")).close()
    assert len(transport._subscriptions) <= 1


async def test_nothing_was_put_aside_yet(channel: str, transport: NatsTransport) -> None:
    """There is no stream for it, either."""
    assert [letter async for letter in transport.dead_letters(channel, "billing")] == []


def test_the_package_does_not_import_the_client() -> None:
    """Only this module does."""
    program = "import sys, async_nexus, async_nexus.transports; sys.exit('nats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
