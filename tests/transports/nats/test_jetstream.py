"""Streams and durable consumers: how they are made, and what is done with those that are there."""

import asyncio
from collections.abc import Callable

import pytest
from nats.js.api import AckPolicy, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats_servers import jetstream, private_server

from async_nexus.errors import TransportError, TransportUnavailable
from async_nexus.transports import Message
from async_nexus.transports.nats import NatsTransport
from async_nexus.transports.nats.answers import Answer, StreamInfo, read_answer
from async_nexus.transports.nats.jetstream import JetStream
from async_nexus.transports.nats.names import consumer_name, dead_letter_name, stream_name

Open = Callable[..., NatsTransport]


async def test_a_stream_keeps_in_files_and_refuses_when_full(url: str, channel: str, opened: Open) -> None:
    """Nothing that was confirmed is dropped; its limits are those that were given."""
    transport = opened(url, max_age=90.0, max_bytes=1_000_000, replicas=1)
    await transport.publish(channel, Message("1", b""))
    async with jetstream(url) as context:
        config = (await context.stream_info(stream_name(channel))).config
    assert (config.storage, config.discard) == (StorageType.FILE, DiscardPolicy.NEW)
    assert config.retention == RetentionPolicy.LIMITS
    assert (config.max_age, config.max_bytes, config.num_replicas) == (90.0, 1_000_000, 1)
    assert (config.subjects, config.duplicate_window) == ([stream_name(channel)], 90.0)


async def test_a_stream_without_limits_keeps_all(url: str, channel: str, transport: NatsTransport) -> None:
    """That is what is meant by none."""
    await transport.publish(channel, Message("1", b""))
    async with jetstream(url) as context:
        config = (await context.stream_info(stream_name(channel))).config
    assert (config.max_age, config.max_bytes, config.max_msgs, config.duplicate_window) == (0.0, -1, -1, 120.0)


async def test_dead_letters_do_not_get_too_old(url: str, channel: str, opened: Open) -> None:
    """They are as many bytes as other messages, but stay until somebody has seen to them."""
    transport = opened(url, max_age=60.0, max_bytes=1_000_000)
    await transport.publish(channel, Message("1", b""))
    await (await anext(aiter(await transport.subscribe(channel, "billing")))).dead_letter("why")
    async with jetstream(url) as context:
        config = (await context.stream_info(dead_letter_name(channel, "billing"))).config
    assert (config.max_age, config.max_bytes) == (0.0, 1_000_000)


async def test_a_stream_that_is_there_stays_as_it_is(url: str, channel: str, opened: Open) -> None:
    """Whoever runs the server has decided."""
    name = stream_name(channel)
    async with jetstream(url) as context:
        await context.add_stream(StreamConfig(name, subjects=[name, f"{name}.*"], max_msgs=5))
        await opened(url, max_bytes=1000).publish(channel, Message("1", b""))
        config = (await context.stream_info(name)).config
    assert (config.max_msgs, config.max_bytes, config.subjects) == (5, -1, [name, f"{name}.*"])


async def test_a_stream_of_other_subjects_is_read_but_not_written(url: str, channel: str, opened: Open) -> None:
    """What is published to them comes; what is published here says what is wrong."""
    name = stream_name(channel)
    transport = opened(url)
    async with jetstream(url) as context:
        await context.add_stream(StreamConfig(name, subjects=[f"{name}.>"]))
        await context.publish(f"{name}.a.b", b"x")
    delivery = await anext(aiter(await transport.subscribe(channel, "billing")))
    assert delivery.message.body == b"x"
    with pytest.raises(TransportError, match=f"keeps {name}.>: nothing can be published"):
        await transport.publish(channel, Message("1", b""))


async def test_a_subject_that_another_stream_keeps_is_told(url: str, channel: str, opened: Open) -> None:
    """By the server's own words."""
    name = stream_name(channel)
    async with jetstream(url) as context:
        await context.add_stream(StreamConfig(f"{name}+dead+other", subjects=[name]))
    with pytest.raises(TransportError, match="overlap with an existing stream"):
        await opened(url).publish(channel, Message("1", b""))


async def test_two_that_make_a_stream_at_once_have_one(url: str, channel: str, opened: Open) -> None:
    """Also with different limits: those of the first hold."""
    transports = [opened(url, max_bytes=10_000_000 + number) for number in range(5)]
    await asyncio.gather(*(each.start() for each in transports))
    await asyncio.gather(*(each.publish(channel, Message(str(n), b"")) for n, each in enumerate(transports)))
    async with jetstream(url) as context:
        assert (await context.stream_info(stream_name(channel))).state.messages == 5


async def test_a_stream_that_another_is_still_making_is_waited_for(
    url: str, channel: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may refuse to make it some time before it tells of it."""
    await opened(url, max_bytes=10_000_000).publish(channel, Message("1", b""))
    find, looks = JetStream.find_stream, 0

    async def find_late(self: JetStream, stream: str) -> StreamInfo | None:
        nonlocal looks
        looks += 1
        return await find(self, stream) if looks > 5 else None

    monkeypatch.setattr(JetStream, "find_stream", find_late)
    stream = stream_name(channel)
    found = await (await opened(url)._started()).make_stream(stream)
    assert (found.config.subjects, looks) == ([stream], 6)


async def test_what_is_published_again_is_kept_once(url: str, channel: str, transport: NatsTransport) -> None:
    """As its id tells; it is confirmed both times."""
    for _ in range(2):
        await transport.publish(channel, Message("1", b""))
    async with jetstream(url) as context:
        assert (await context.stream_info(stream_name(channel))).state.messages == 1


async def test_a_stream_that_is_gone_is_made_again(url: str, channel: str, transport: NatsTransport) -> None:
    """By who publishes to it."""
    await transport.publish(channel, Message("1", b""))
    async with jetstream(url) as context:
        await context.delete_stream(stream_name(channel))
        await transport.publish(channel, Message("2", b""))
        assert (await context.stream_info(stream_name(channel))).state.messages == 1


async def test_who_publishes_to_a_stream_that_cannot_be_made_is_told_in_time() -> None:
    """It is gone, and the server takes no other."""
    limit = "accounts { A { jetstream { max_streams: 1 }, users: [{ user: u, password: p }] } }"
    with private_server(limit) as server:
        async with NatsTransport(f"nats://u:p@{server.host}") as transport:
            await transport.publish("first", Message("1", b""))
            with pytest.raises(TransportError, match="maximum number of streams reached") as caught:
                await transport.publish("second", Message("1", b""))
    assert not isinstance(caught.value, TransportUnavailable)


async def test_the_size_of_a_message_is_bounded_by_the_server(channel: str) -> None:
    """With its headers; one byte less is taken, and the connection has not been lost over it."""
    with private_server("max_payload: 10000") as server:
        async with NatsTransport(server.url) as transport:
            headers = len(b"NATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n")
            with pytest.raises(TransportError, match=r"10001 bytes.* takes 10000: .*max_payload") as caught:
                await transport.publish(channel, Message("1", b"x" * (10_001 - headers)))
            assert not isinstance(caught.value, TransportUnavailable)
            await transport.publish(channel, Message("1", b"x" * (10_000 - headers)))
            subscription = await transport.subscribe(channel, "billing")
            delivery = await anext(aiter(subscription))
            await delivery.dead_letter("it does not fit any more")
            letters = [
                (len(letter.body), reason) async for letter, reason in transport.dead_letters(channel, "billing")
            ]
            assert letters == [(10_000 - headers, "")]
        assert server.log().count("CONNECT {") == 1


async def test_a_full_stream_refuses_and_says_so(url: str, channel: str, opened: Open) -> None:
    """What was kept stays."""
    transport = opened(url, max_bytes=2000)
    await transport.publish(channel, Message("1", b"x" * 1000))
    with pytest.raises(TransportError, match=r"maximum bytes exceeded.*raise the limit, or make room") as caught:
        await transport.publish(channel, Message("2", b"x" * 1000))
    assert not isinstance(caught.value, TransportUnavailable)
    assert (await anext(aiter(await transport.subscribe(channel, "billing")))).message.id == "1"


async def test_a_consumer_waits_for_each_acknowledgement(url: str, channel: str, opened: Open) -> None:
    """With one in flight no more is out; with several, what waits is not in the way. It follows who subscribes."""
    transport = opened(url, ack_wait=7.0)
    durable = consumer_name("billing")
    for in_flight, pending in ((1, 1), (10, 1000), (800, 1600), (1, 1)):
        await (await transport.subscribe(channel, "billing", in_flight=in_flight)).close()
        async with jetstream(url) as context:
            config = (await context.consumer_info(stream_name(channel), durable)).config
        assert (config.max_ack_pending, config.ack_wait) == (pending, 7.0)
        assert (config.ack_policy, config.deliver_policy) == (AckPolicy.EXPLICIT, DeliverPolicy.ALL)
        assert config.max_deliver == -1


async def test_a_consumer_that_was_replayed_can_be_subscribed_to(url: str, channel: str, opened: Open) -> None:
    """Where it began stays; only what may change is changed."""
    transport = opened(url)
    for number in range(3):
        await transport.publish(channel, Message(str(number), b""))
    replayed = await transport.subscribe(channel, "billing", since=2)
    await (await anext(aiter(replayed))).ack()
    await replayed.close()
    again = await transport.subscribe(channel, "billing", in_flight=5)
    assert (await anext(aiter(again))).message.id == "2"


async def test_those_who_begin_anew_at_once_all_begin(url: str, channel: str, opened: Open) -> None:
    """One makes the consumer while another does; none is refused."""
    transports = [opened(url) for _ in range(8)]
    await transports[0].publish(channel, Message("1", b""))
    beginning = (each.subscribe(channel, "billing", since=1, in_flight=n + 2) for n, each in enumerate(transports))
    async with asyncio.timeout(60):
        await asyncio.gather(*beginning)


async def test_a_consumer_that_is_pushed_its_messages_is_told(url: str, channel: str, opened: Open) -> None:
    """Somebody else made it, for another use."""
    transport = opened(url)
    await transport.publish(channel, Message("1", b""))
    async with jetstream(url) as context:
        await context.subscribe(stream_name(channel), durable="billing")
    with pytest.raises(TransportError, match="is pushed its messages"):
        await transport.subscribe(channel, "billing")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"error": 7}', b'{"error": {"code": "secret"}}'])
def test_an_answer_that_cannot_be_read_is_no_confirmation(text: bytes) -> None:
    """It is an error that does not show what came."""
    with pytest.raises(TransportError, match="cannot be read") as caught:
        read_answer(Answer, text, "keep a message")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "number, code, is_unavailable, advice",
    [
        (10008, 503, True, "temporarily"),
        (10039, 503, False, "let the account use it"),
        (10077, 503, False, "make room"),
        (10058, 400, False, "temporarily"),
    ],
)
def test_what_may_succeed_later_is_unavailable(number: int, code: int, is_unavailable: bool, advice: str) -> None:
    """A cluster without a leader for now; but not what stays as it is."""
    text = b'{"error": {"code": %d, "err_code": %d, "description": "temporarily"}}' % (code, number)
    with pytest.raises(TransportError, match=advice) as caught:
        read_answer(Answer, text, "do it")
    assert isinstance(caught.value, TransportUnavailable) is is_unavailable
