"""Settling: acknowledged, to be tried again, put aside; or not settled at all."""

import asyncio

import pytest

from ...errors import BadCall, TransportError
from ...transports import Delivery
from .trial import A_MOMENT, Trial, claim, ids_of, messages


class SettlingClaims:
    """Claims on `ack`, `retry`, `dead_letter`, and on leaving it."""

    @claim()
    async def test_acknowledged_is_settled(self, trial: Trial) -> None:
        """What was acknowledged is not delivered again, also not to a new subscription."""
        first, second, last = messages(3)
        taker = await trial.subscribe()
        await trial.publish(first, second)
        await taker.handle(2)
        await taker.close()
        again = await trial.subscribe()
        await trial.publish(last)
        assert ids_of(await again.handle(1)) == [last.id]

    @claim()
    async def test_unsettled_comes_again(self, trial: Trial) -> None:
        """What was in flight when a subscription was closed is delivered again, which its attempt tells."""
        taker = await trial.subscribe(in_flight=3)
        given = messages(3)
        await trial.publish(*given)
        held = await taker.take(3)
        await held[1].ack()
        await taker.close()
        again = await (await trial.subscribe(in_flight=3)).take(2)
        assert sorted(delivery.message.id for delivery in again) == [given[0].id, given[2].id]
        assert min(delivery.attempt for delivery in again) > 1

    @claim()
    async def test_retried_comes_again(self, trial: Trial) -> None:
        """What is to be tried again is delivered again, each time at the next attempt, until it is acknowledged."""
        (message, last) = messages(2)
        taker = await trial.subscribe()
        await trial.publish(message)
        for attempt in (1, 2, 3):
            delivery = await taker.one()
            assert (delivery.message.id, delivery.message.body) == (message.id, message.body)
            assert delivery.attempt == attempt
            await (delivery.retry(0.01) if attempt < 3 else delivery.ack())
        await trial.publish(last)
        assert ids_of(await taker.handle(1)) == [last.id]

    @claim()
    async def test_retry_waits(self, trial: Trial) -> None:
        """It comes no sooner than in `delay` seconds, or at once where the engine cannot delay."""
        able = (await trial.transport()).abilities.delayed_retry
        delay = 0.4 if able else 60.0
        taker = await trial.subscribe()
        await trial.publish(*messages(1))
        await (await taker.one()).retry(delay)
        began = asyncio.get_running_loop().time()
        delivery = await taker.one()
        waited = asyncio.get_running_loop().time() - began
        await delivery.ack()
        # Engines may count in milliseconds, and their clock is not the loop's.
        assert waited > delay - A_MOMENT if able else waited < trial.patience

    @claim()
    async def test_dead_letters_are_kept(self, trial: Trial) -> None:
        """What was put aside is read with its reasons, oldest first, as often as one likes; it does not come again."""
        able = (await trial.transport()).abilities.dead_letters
        given = messages(4)
        reasons = ["no tea: payload.temp is missing", 'é, "quotes",\nand a line', "third"]
        taker = await trial.subscribe()
        await trial.publish(*given[:3])
        for reason in reasons:
            await (await taker.one()).dead_letter(reason)
        expected = list(zip(ids_of(given), reasons, strict=False)) if able else []
        assert await trial.dead_letters() == expected
        await taker.close()
        again = await trial.subscribe()
        await trial.publish(given[3])
        assert ids_of(await again.handle(1)) == [given[3].id]
        assert await trial.dead_letters() == expected

    @claim()
    async def test_dead_letters_stay_however_they_are_read(self, trial: Trial) -> None:
        """Each reading finds them all, in their order, at once after another one, also after one that was left."""
        transport = await trial.transport()
        given = messages(20)
        taker = await trial.subscribe(in_flight=20)
        await trial.publish(*given)
        for delivery in await taker.take(20):
            await delivery.dead_letter("no tea")
        expected = await trial.dead_letters()
        assert len(expected) == 20 * transport.abilities.dead_letters
        for _again in range(5):
            async for _ in transport.dead_letters(trial.channel, "first"):
                break
            assert await trial.dead_letters() == expected

    @claim()
    async def test_dead_letters_belong_to_their_consumer(self, trial: Trial) -> None:
        """One consumer's dead letter is another's message still."""
        first, second = await trial.subscribe("first"), await trial.subscribe("second")
        await trial.publish(*messages(1))
        await (await first.one()).dead_letter("not for me")
        assert await trial.dead_letters("second") == []
        assert ids_of(await second.handle(1)) == ["m0"]

    @claim()
    async def test_a_dead_letter_is_whole(self, trial: Trial) -> None:
        """The message that was put aside has the id and the body that were published."""
        transport = await trial.transport()
        taker = await trial.subscribe()
        (message,) = messages(1)
        await trial.publish(message)
        await (await taker.one()).dead_letter("why not")
        async for letter, _ in transport.dead_letters(trial.channel, "first"):
            assert (letter.id, letter.body) == (message.id, message.body)

    @claim()
    async def test_settling_twice_is_refused(self, trial: Trial) -> None:
        """A delivery is settled once: settling it again raises `BadCall`, and changes nothing."""
        taker = await trial.subscribe()
        given = messages(4)
        await trial.publish(*given)
        for first in ("ack", "dead_letter", "retry"):
            delivery = await taker.one()
            await settle_by(delivery, first)
            for second in ("ack", "retry", "dead_letter"):
                with pytest.raises(BadCall):
                    await settle_by(delivery, second)
        rest = ids_of(await taker.handle(2))
        assert sorted(rest) == [given[2].id, given[3].id]
        await taker.nothing_comes()

    @claim()
    async def test_settling_after_the_end_is_refused(self, trial: Trial) -> None:
        """What comes again since its subscription was closed raises `TransportError`, however it is settled."""
        taker = await trial.subscribe(in_flight=3)
        given = messages(3)
        await trial.publish(*given)
        held = await taker.take(3)
        await taker.close()
        for delivery, way in zip(held, ("ack", "retry", "dead_letter"), strict=True):
            with pytest.raises(TransportError):
                await settle_by(delivery, way)
        again = await trial.subscribe()
        assert sorted(ids_of(await again.handle(3))) == ids_of(given)


async def settle_by(delivery: Delivery, way: str) -> None:
    """Settle a delivery in one of the three ways."""
    match way:
        case "ack":
            await delivery.ack()
        case "retry":
            await delivery.retry(0)
        case _:
            await delivery.dead_letter("put aside")
