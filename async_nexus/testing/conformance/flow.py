"""How much is in flight, in which order it comes, and how the flow ends."""

import asyncio
import random

from ...transports import Delivery
from .trial import A_MOMENT, Taker, Trial, as_claimed, claim, ids_of, messages


class FlowClaims:
    """Claims on the in-flight limit, on order, on draining and closing."""

    @claim()
    async def test_in_flight_limit_is_exact(self, trial: Trial) -> None:
        """As many deliveries come as may be in flight, not one more; each that is settled makes room for one."""
        limit = 4
        taker = await trial.subscribe(in_flight=limit)
        given = messages(12)
        await trial.publish(*given)
        held = await taker.take(limit)
        came = [delivery.message.id for delivery in held]
        for _ in given[limit:]:
            await taker.nothing_comes()
            await held.pop(0).ack()
            held.append(await taker.one())
            came.append(held[-1].message.id)
        assert sorted(came) == sorted(ids_of(given))

    @claim()
    async def test_in_flight_limit_holds_while_handlers_run(self, trial: Trial) -> None:
        """Handlers that settle in any order, some by a retry, never hold more than may be in flight."""
        limit, chance = 5, random.Random(5)
        taker = await trial.subscribe(in_flight=limit)
        given = messages(60)
        await trial.publish(*given)
        left = set(ids_of(given))
        most = held = 0

        async def handle(delivery: Delivery) -> None:
            nonlocal held
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            held -= 1
            if delivery.attempt == 1 and chance.random() < 0.2:
                await delivery.retry(0)
            else:
                await delivery.ack()
                left.discard(delivery.message.id)
            if not left:
                await taker.drain()

        async def begin(delivery: Delivery) -> None:
            nonlocal held, most
            held += 1
            most = max(most, held)
            group.create_task(handle(delivery))

        async with asyncio.TaskGroup() as group:
            await trial.within(taker.run(begin), "not all came")
        assert not left
        assert most <= limit

    @claim()
    async def test_order_is_kept(self, trial: Trial) -> None:
        """With one in flight messages come as published, where the engine says so; else each comes once."""
        ordered = (await trial.transport()).abilities.ordered
        taker = await trial.subscribe()
        given = messages(50)
        await trial.publish(*given)
        came = ids_of(await taker.handle(50))
        assert as_claimed(came, ordered=ordered) == as_claimed(ids_of(given), ordered=ordered)

    @claim()
    async def test_order_is_kept_under_retries(self, trial: Trial) -> None:
        """One that is retried comes before later ones, where the engine says so; else each comes at last."""
        ordered = (await trial.transport()).abilities.ordered
        chance = random.Random(7)
        taker = await trial.subscribe()
        given = messages(20)
        await trial.publish(*given)
        settled: list[str] = []
        while len(settled) < len(given):
            delivery = await taker.one()
            if chance.random() < 0.4 and delivery.attempt < 4:
                await delivery.retry(0.01)
            else:
                settled.append(delivery.message.id)
                await delivery.ack()
        assert as_claimed(settled, ordered=ordered) == as_claimed(ids_of(given), ordered=ordered)

    @claim()
    async def test_draining_loses_nothing(self, trial: Trial) -> None:
        """The iteration ends, what is in flight can be settled, and the rest comes to a new subscription, once."""
        taker = await trial.subscribe(in_flight=6)
        given, (last,) = messages(20), messages(1, "last")
        await trial.publish(*given)
        # The adapter may have fetched four more.
        held = await taker.take(2)
        await taker.drain()
        await taker.ended()
        for delivery in held:
            await delivery.ack()
        await taker.close()
        await trial.publish(last)
        rest = await (await trial.subscribe()).handle(19)
        came = [delivery.message.id for delivery in held] + ids_of(rest)
        assert sorted(came) == sorted(ids_of([*given, last]))

    @claim()
    async def test_draining_a_transport_waits_for_confirmations(self, trial: Trial) -> None:
        """What is being published when it begins is confirmed when it returns."""
        transport = await trial.open()
        await trial.announce("first")
        publishing = [asyncio.create_task(transport.publish(trial.channel, message)) for message in messages(10)]
        await asyncio.sleep(0)
        await trial.within(transport.drain(), "draining took too long")
        confirmed, _ = await asyncio.wait(publishing, timeout=A_MOMENT)
        assert len(confirmed) == len(publishing)
        await asyncio.gather(*publishing)

    @claim()
    async def test_draining_a_transport_ends_its_iterations(self, trial: Trial) -> None:
        """Its subscriptions yield no more; what is in flight can still be settled."""
        transport = await trial.open()
        taker = await trial.subscribe(on=transport, in_flight=2)
        await trial.publish(*messages(2), on=transport)
        held = await taker.take(2)
        taker.begin()
        await trial.within(transport.drain(), "draining took too long")
        await taker.ended()
        for delivery in held:
            await delivery.ack()

    @claim()
    async def test_closing_ends_the_iteration(self, trial: Trial) -> None:
        """Who waits for a delivery waits no longer when the subscription is closed."""
        taker = await trial.subscribe()
        taker.begin()
        await asyncio.sleep(0)
        await trial.within(taker.subscription.close(), "closing took too long")
        await taker.ended()

    @claim()
    async def test_closing_a_transport_ends_its_iterations(self, trial: Trial) -> None:
        """Who waits for a delivery waits no longer when the transport is closed; closing it again is harmless."""
        transport = await trial.open()
        taker = await trial.subscribe(on=transport)
        taker.begin()
        await asyncio.sleep(0)
        await trial.within(transport.close(), "closing took too long")
        await taker.ended()
        await trial.within(transport.close(), "closing took too long")

    @claim()
    async def test_a_cancelled_wait_loses_nothing(self, trial: Trial) -> None:
        """Whoever waits for a delivery may be cancelled, also when it is just coming: who waits then gets it."""
        subscription = (await trial.subscribe()).subscription
        for number, message in enumerate(messages(8)):
            waiting = asyncio.ensure_future(anext(aiter(subscription)))
            publishing = asyncio.create_task(trial.publish(message))
            await asyncio.sleep(number / 1000)
            waiting.cancel()
            await asyncio.wait({waiting, publishing})
            await asyncio.sleep(A_MOMENT / 5)
            delivery = await Taker(subscription, trial).one() if waiting.cancelled() else waiting.result()
            assert delivery.message.id == message.id
            await delivery.ack()
