"""Connections that are lost come back, and what was under way goes on."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from nats_servers import PrivateServer, jetstream, private_server
from waiting import until

from async_nexus.errors import TransportError, TransportUnavailable
from async_nexus.testing.conformance import free_port
from async_nexus.transports import Message
from async_nexus.transports.nats import NatsTransport
from async_nexus.transports.nats.access import Access, find_access
from async_nexus.transports.nats.link import Link
from async_nexus.transports.nats.session import Session

Open = Callable[..., NatsTransport]

PATIENCE = 20.0
"""Seconds that anything may last; only a broken program takes that long."""
LONGER = 4 * PATIENCE + 10
"""Seconds of which a transport waits a fourth for each answer: what waits for that is too late."""


async def restart(server: PrivateServer) -> None:
    """Kill a server, and start it again."""
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.restart)


async def test_what_was_being_published_is_confirmed_when_the_server_is_back(opened: Open) -> None:
    """Each once, also with more under way than goes through a socket at once."""
    with private_server() as server:
        transport = opened(server.url, timeout=LONGER)
        await transport.publish("orders", Message("first", b""))
        body = b"x" * 100_000
        publishing = [asyncio.create_task(transport.publish("orders", Message(str(n), body))) for n in range(100)]
        await asyncio.sleep(0)
        await restart(server)
        await asyncio.gather(*publishing)
        async with jetstream(server.url) as context:
            assert (await context.stream_info("orders")).state.messages == 101


async def test_a_lost_connection_is_noticed_at_once_with_something_to_send(opened: Open) -> None:
    """nats-py's own end, when it cannot send what it has, does not keep that from us: nobody waits to ask again."""
    with private_server() as server:
        transport = opened(server.url, timeout=LONGER)
        await transport.publish("orders", Message("0", b""))
        server.stop()
        publishing: list[asyncio.Task[None]] = []
        # The first fill the socket and what is before it, the second have to wait.
        for number in range(40):
            message = Message(str(number), b"x" * 500_000)
            publishing.append(asyncio.create_task(transport.publish("orders", message)))
            await asyncio.sleep(0.001)
        async with asyncio.timeout(PATIENCE):
            await restart(server)
            await asyncio.gather(*publishing)


async def test_a_server_that_hangs_is_unavailable_and_keeps_each_message_once(opened: Open) -> None:
    """It was asked several times; when it goes on, it takes what it was given for one message."""
    with private_server() as server:
        transport = opened(server.url, timeout=2.0)
        await transport.publish("orders", Message("1", b""))
        server.stop()
        try:
            with pytest.raises(TransportUnavailable, match="did not answer in time"):
                await transport.publish("orders", Message("2", b""))
        finally:
            server.go_on()
        await transport.publish("orders", Message("3", b""))
        async with jetstream(server.url) as context:
            assert (await context.stream_info("orders")).state.messages == 3
        assert server.log().count("Nats-Msg-Id: 2") > 1


async def test_a_connection_that_was_never_there_is_refused_at_once() -> None:
    """Without waiting for `timeout`, and by each way to make one."""
    transport = NatsTransport(f"nats://127.0.0.1:{free_port()}", timeout=LONGER)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(TransportUnavailable, match=r"cannot be reached: .*111"):
            await transport.start()
        with pytest.raises(TransportUnavailable):
            await transport.publish("orders", Message("1", b""))
        with pytest.raises(TransportUnavailable):
            await transport.subscribe("orders", "billing")
        with pytest.raises(TransportUnavailable):
            await anext(transport.dead_letters("orders", "billing"))
        await transport.close()


async def test_without_a_connection_it_is_said_why(opened: Open) -> None:
    """For how long there has been none, and what came of trying."""
    with private_server() as server:
        transport = opened(server.url, timeout=2.0)
        await transport.publish("orders", Message("1", b""))
        await asyncio.to_thread(server.kill)
        with pytest.raises(TransportUnavailable, match=r"no connection .* for 2 s: .*cannot be reached"):
            await transport.publish("orders", Message("2", b""))


async def test_losing_and_coming_back_are_logged(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """With the address."""
    caplog.set_level(logging.INFO, "async_nexus")
    with private_server() as server:
        transport = opened(server.url)
        await transport.start()
        await restart(server)
        await until(lambda: f"the connection to NATS at {server.url} is there again" in caplog.messages)
        assert f"the connection to NATS at {server.url} is lost, and is made again" in caplog.messages


async def test_closing_ends_what_is_being_published(opened: Open) -> None:
    """It may be kept, or not, and does not wait for `timeout`."""
    with private_server() as server:
        transport = opened(server.url, timeout=LONGER)
        await transport.publish("orders", Message("1", b""))
        server.stop()
        try:
            publishing = asyncio.create_task(transport.publish("orders", Message("2", b"")))
            await asyncio.sleep(0.01)
            async with asyncio.timeout(PATIENCE):
                await transport.close()
                with pytest.raises(TransportUnavailable):
                    await publishing
        finally:
            server.go_on()


async def test_draining_waits_for_what_is_being_published(opened: Open) -> None:
    """Until the server has confirmed it."""
    with private_server() as server:
        transport = opened(server.url)
        await transport.publish("orders", Message("1", b""))
        server.stop()
        try:
            publishing = asyncio.create_task(transport.publish("orders", Message("2", b"")))
            await asyncio.sleep(0)
            draining = asyncio.create_task(transport.drain())
            await asyncio.wait([draining], timeout=0.05)
            assert not draining.done()
        finally:
            server.go_on()
        await draining
        await asyncio.wait([publishing], timeout=0)
        assert publishing.done()
        await publishing


async def test_closing_while_it_comes_back_ends_that(opened: Open) -> None:
    """Nothing goes on behind one's back; who waits for the connection waits no longer."""
    with private_server() as server:
        transport = opened(server.url, timeout=LONGER)
        await transport.publish("orders", Message("1", b""))
        await asyncio.to_thread(server.kill)
        publishing = asyncio.create_task(transport.publish("orders", Message("2", b"")))
        await asyncio.sleep(0.05)
        tasks = asyncio.all_tasks()
        assert any("connection to NATS" in task.get_name() for task in tasks)
        async with asyncio.timeout(PATIENCE):
            await transport.close()
            with pytest.raises(TransportUnavailable, match="was closed here"):
                await publishing
        assert not any("connection to NATS" in task.get_name() for task in asyncio.all_tasks())


@pytest.mark.parametrize("comes_about", [False, True], ids=["refused", "connected"])
async def test_closing_ends_an_attempt_that_hides_its_cancellation(
    opened: Open, monkeypatch: pytest.MonkeyPatch, comes_about: bool
) -> None:
    """So does `wait_for` on 3.11, where a server has just answered: no connection is made after that, or kept."""
    connect, attempted, made = Session.connect, asyncio.Event(), list[Session]()

    async def hide_cancellation(access: Access) -> Session:
        attempted.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not comes_about:
                raise ConnectionRefusedError from None
        made.append(await connect(access))
        return made[0]

    with private_server() as server:
        transport = opened(server.url)
        await transport.publish("orders", Message("1", b""))
        monkeypatch.setattr(Session, "connect", hide_cancellation)
        await restart(server)
        async with asyncio.timeout(PATIENCE):
            await attempted.wait()
            await transport.close()
        assert len(made) == comes_about
        assert all(session.lost.done() for session in made)


@pytest.mark.slow
async def test_closing_does_not_wait_for_a_server_that_hangs(opened: Open) -> None:
    """What is in flight comes again after `ack_wait`, as if the process had been killed."""
    with private_server() as server:
        transport = opened(server.url)
        subscription = await transport.subscribe("orders", "billing", in_flight=2)
        await transport.publish("orders", Message("1", b""))
        await anext(aiter(subscription))
        server.stop()
        try:
            async with asyncio.timeout(PATIENCE):
                await transport.close()
        finally:
            server.go_on()


async def test_a_subscription_of_a_closed_connection_does_not_go_on(opened: Open) -> None:
    """It was made while the transport was being closed: it ends with the reason, and tries no more."""
    with private_server() as server:
        transport = opened(server.url)
        subscription = await transport.subscribe("orders", "billing")
        transport._subscriptions.clear()
        await transport.close()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(TransportUnavailable, match="was closed here"):
                await anext(aiter(subscription))


async def test_settling_waits_for_the_connection(opened: Open) -> None:
    """It does not fail because there is none just now; from the first moment on."""
    with private_server() as server:
        transport = opened(server.url, timeout=LONGER)
        subscription = await transport.subscribe("orders", "billing", in_flight=20)
        for number in range(20):
            await transport.publish("orders", Message(str(number), b""))
        held = [await anext(aiter(subscription)) for _ in range(20)]

        async def settle() -> None:
            for delivery in held:
                await delivery.ack()
                await asyncio.sleep(0.005)

        settling = asyncio.create_task(settle())
        await restart(server)
        await settling


async def test_a_closed_transport_can_be_used_again(url: str, channel: str, opened: Open) -> None:
    """It connects anew."""
    transport = opened(url)
    for number in range(2):
        await transport.publish(channel, Message(str(number), b""))
        await transport.close()
    async with jetstream(url) as context:
        assert (await context.stream_info("test=2E" + channel.removeprefix("test."))).state.messages == 2


async def test_it_tries_more_and_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to every five seconds, about; it never gives up, whatever goes wrong."""
    delays: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        delays.append(seconds)
        await sleep(0)

    async def fail(access: object) -> Session:
        raise OSError("no luck") if len(delays) == 3 else TransportError("no luck")

    link = Link(find_access("nats://127.0.0.1:1", None, None), 1.0)
    monkeypatch.setattr(Session, "connect", fail)
    monkeypatch.setattr(asyncio, "sleep", note)
    coming = asyncio.create_task(link._come_back(0.05))
    for _ in range(200):
        await sleep(0)
    assert not coming.done()
    coming.cancel()
    assert all(2.5 <= delay <= 5.0 for delay in delays[10:])
    for number, delay in enumerate(delays[:6]):
        assert 0.025 * 2**number <= delay <= 0.05 * 2**number
