"""What is published comes: once, whole, to each consumer, also to one that was away."""

import asyncio

import pytest

from ...errors import BadCall, TransportError
from ...transports import Delivery, Message
from .trial import Trial, claim, ids_of, messages


class DeliveryClaims:
    """Claims on publishing and on who gets what."""

    @claim()
    async def test_published_comes_once(self, trial: Trial) -> None:
        """A message that is published and acknowledged comes once, at its first attempt."""
        taker = await trial.subscribe()
        first, last = messages(2)
        await trial.publish(first)
        delivery = await taker.one()
        assert (delivery.message.id, delivery.attempt) == (first.id, 1)
        await delivery.ack()
        await trial.publish(last)
        assert ids_of(await taker.handle(1)) == [last.id]
        await taker.nothing_comes()

    @claim()
    async def test_message_is_carried_whole(self, trial: Trial) -> None:
        """Body, id and headers come as they were given: no byte, none, many."""
        headers = {
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "X-Reason": "two words; a=b",
        }
        given = [
            Message(id="urn:a:b#1", body=bytes(range(256)), headers=headers),
            Message(id="0", body=b""),
            Message(id="x" * 200, body=b"\x00\xff" * 50_000, headers={"ce-type": "99"}),
        ]
        taker = await trial.subscribe()
        await trial.publish(*given)
        for expected, message in zip(given, await taker.handle(len(given)), strict=True):
            assert message.id == expected.id
            assert message.body == expected.body
            assert expected.headers.items() <= message.headers.items()

    @claim()
    async def test_connects_when_it_is_needed(self, trial: Trial) -> None:
        """Subscribing and publishing connect by themselves; to start what is started does nothing."""
        transport = trial.make()
        taker = await trial.subscribe(on=transport)
        await transport.start()
        await trial.publish(*messages(1), on=transport)
        assert ids_of(await taker.handle(1)) == ["m0"]

    @claim()
    async def test_many_may_publish_at_once(self, trial: Trial) -> None:
        """What tasks publish side by side comes, each once."""
        taker = await trial.subscribe()
        given, (last,) = messages(100), messages(1, "last")
        await asyncio.gather(*(trial.publish(message) for message in given))
        assert sorted(ids_of(await taker.handle(100))) == sorted(ids_of(given))
        await trial.publish(last)
        assert ids_of(await taker.handle(1)) == [last.id]

    @claim()
    async def test_each_consumer_gets_all(self, trial: Trial) -> None:
        """Two consumers get every message each."""
        first, second = await trial.subscribe("first"), await trial.subscribe("second")
        given = messages(5)
        await trial.publish(*given)
        assert sorted(ids_of(await first.handle(5))) == sorted(ids_of(await second.handle(5))) == ids_of(given)

    @claim()
    async def test_a_consumer_that_was_away_gets_what_came(self, trial: Trial) -> None:
        """What is published while a consumer has no subscription waits for it, and so does what it had left."""
        taker = await trial.subscribe()
        before, meanwhile = messages(3, "before"), messages(3, "meanwhile")
        await trial.publish(*before)
        assert len(await taker.handle(1)) == 1
        await taker.close()
        await trial.publish(*meanwhile)
        came = ids_of(await (await trial.subscribe()).handle(5))
        assert len(set(came)) == 5
        assert set(ids_of(meanwhile)) < set(came) < set(ids_of(before + meanwhile))

    @claim()
    async def test_shared_consumer_splits(self, trial: Trial) -> None:
        """Subscriptions of one consumer share its messages, none comes twice; unable engines raise `BadCall`."""
        takers = [await trial.subscribe(in_flight=2)]
        if not (await trial.transport()).abilities.shared_consumers:
            with pytest.raises(BadCall):
                await trial.subscribe()
            return
        takers.append(await trial.subscribe(in_flight=2))
        given = messages(40)
        # Both hold what they may, so that each must have had its part.
        await trial.publish(*given)
        held = [*await takers[0].take(2), *await takers[1].take(2)]
        came = [delivery.message.id for delivery in held]
        for delivery in held:
            await delivery.ack()

        all_came = asyncio.Event()

        async def handle(delivery: Delivery) -> None:
            came.append(delivery.message.id)
            await delivery.ack()
            if len(came) == len(given):
                all_came.set()

        async with asyncio.TaskGroup() as group:
            for taker in takers:
                group.create_task(taker.run(handle))
            await trial.within(all_came.wait(), "the messages did not come")
            for taker in takers:
                await taker.drain()
        assert sorted(came) == sorted(ids_of(given))

    @claim()
    async def test_channels_are_kept_apart(self, trial: Trial) -> None:
        """Names that differ by a dot, a dash, an underscore or by case are different channels; so for consumers."""
        suffixes = ("", ".eu", "_eu", "-eu", ".EU")
        channels = {trial.another_channel(suffix): suffix or "none" for suffix in suffixes}
        consumers = ("a.b", "a_b", "a-b", "A.b")
        for channel in channels:
            await trial.announce(*consumers, channel=channel)
        for channel, suffix in channels.items():
            await trial.publish(Message(id=suffix, body=suffix.encode()), channel=channel)
        # Backwards, since of two channels that are one the first message is the right one for the first channel.
        for channel, suffix in reversed(channels.items()):
            for consumer in consumers:
                taker = await trial.subscribe(consumer, channel=channel)
                assert ids_of(await taker.handle(1)) == [suffix]
                await taker.close()

    @claim()
    async def test_an_awkward_name_is_carried_or_refused(self, trial: Trial) -> None:
        """A channel of any name carries messages, or is refused by `ValueError` or `TransportError`."""
        for suffix in ("", " b", "*", ".>", "/b", "\n", "\0", "é", "x" * 300):
            channel = trial.another_channel(suffix) if suffix else ""
            try:
                taker = await trial.subscribe(channel=channel)
                await trial.publish(*messages(1), channel=channel)
            except (ValueError, TransportError):
                continue
            assert ids_of(await taker.handle(1)) == ["m0"]

    @claim()
    async def test_a_large_message_is_carried_or_refused(self, trial: Trial) -> None:
        """What is too large for the engine raises `TransportError`, and what is sent after it is carried."""
        taker = await trial.subscribe()
        large, small = Message(id="large", body=b"x" * 3_000_000), Message(id="small", body=b"x")
        expected = [large.id, small.id]
        try:
            await trial.publish(large)
        except TransportError:
            expected.remove(large.id)
        await trial.publish(small)
        assert ids_of(await taker.handle(len(expected))) == expected

    @claim("processes")
    async def test_another_transport_gets_it(self, trial: Trial) -> None:
        """What one transport publishes comes to the subscriptions of another."""
        other = await trial.open()
        taker = await trial.subscribe(on=other)
        given = messages(3)
        await trial.publish(*given)
        assert sorted(ids_of(await taker.handle(3))) == ids_of(given)

    @claim("processes")
    async def test_confirmed_outlives_its_transport(self, trial: Trial) -> None:
        """What was confirmed comes also if the transport was closed at once."""
        await trial.announce("first")
        given = messages(3)
        publisher = await trial.open()
        await trial.publish(*given, on=publisher)
        await publisher.close()
        assert sorted(ids_of(await (await trial.subscribe()).handle(3))) == ids_of(given)
