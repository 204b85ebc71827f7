"""Transports that each break one promise, for the suite to catch them, and one that is in trouble."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from typing_extensions import override

from async_nexus.errors import BadCall, TransportError, TransportUnavailable
from async_nexus.testing.conformance import SECRET, Arguments
from async_nexus.transports import Abilities, Delivery, Message, Subscription
from async_nexus.transports.memory import MemoryEngine, MemoryTransport


async def for_ever() -> None:
    """Wait without a timer, so that virtual time does not jump to its end while a thread works."""
    await asyncio.Event().wait()


class Handed:
    """A delivery that does what another one does."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery

    @property
    def message(self) -> Message:
        return self.delivery.message

    @property
    def attempt(self) -> int:
        return self.delivery.attempt

    @property
    def position(self) -> int | None:
        return self.delivery.position

    async def ack(self) -> None:
        await self.delivery.ack()

    async def retry(self, delay: float) -> None:
        await self.delivery.retry(delay)

    async def dead_letter(self, reason: str) -> None:
        await self.delivery.dead_letter(reason)


class Yielding:
    """A subscription that does what another one does, and hands its deliveries on."""

    def __init__(self, subscription: Subscription, hand: Callable[[Delivery], Delivery]) -> None:
        self.subscription = subscription
        self.hand = hand

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self

    async def __anext__(self) -> Delivery:
        return self.hand(await anext(aiter(self.subscription)))

    async def drain(self) -> None:
        await self.subscription.drain()

    async def close(self) -> None:
        await self.subscription.close()


class Handing(MemoryTransport):
    """Hands out deliveries and subscriptions of other classes."""

    delivery: ClassVar[type[Handed]] = Handed
    subscription: ClassVar[type[Yielding]] = Yielding

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        inner = await super().subscribe(channel, consumer, in_flight=in_flight, since=since)
        return self.subscription(inner, self.delivery)


# Publishing and who gets what


class LosesSome(MemoryTransport):
    @override
    async def publish(self, channel: str, message: Message) -> None:
        if not message.id.endswith("3"):
            await super().publish(channel, message)


class PublishesTwice(MemoryTransport):
    @override
    async def publish(self, channel: str, message: Message) -> None:
        await super().publish(channel, message)
        await super().publish(channel, message)


class ForgetsHeaders(MemoryTransport):
    @override
    async def publish(self, channel: str, message: Message) -> None:
        await super().publish(channel, Message(message.id, message.body))


class TakesBodiesForText(MemoryTransport):
    @override
    async def publish(self, channel: str, message: Message) -> None:
        text = message.body.decode(errors="replace")
        await super().publish(channel, Message(message.id, text.encode(), message.headers))


class StartsOnce(MemoryTransport):
    is_started = False

    @override
    async def start(self) -> None:
        if self.is_started:
            raise BadCall("it is started already")
        self.is_started = True

    @override
    async def publish(self, channel: str, message: Message) -> None:
        await self.start()
        await super().publish(channel, message)


class HasToBeStarted(StartsOnce):
    @override
    async def publish(self, channel: str, message: Message) -> None:
        if not self.is_started:
            raise BadCall("it is not started")

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        if not self.is_started:
            raise BadCall("it is not started")
        return await super().subscribe(channel, consumer, in_flight=in_flight, since=since)


class PublishesOneAtATime(MemoryTransport):
    """Lets those who publish side by side write over each other."""

    slot: Message

    @override
    async def publish(self, channel: str, message: Message) -> None:
        self.slot = message
        await asyncio.sleep(0)
        await super().publish(channel, self.slot)


class RenamesConsumers(MemoryTransport):
    """Looks after consumers under other names than theirs."""

    def rename(self, consumer: str) -> str:
        return "the only one"

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        return await super().subscribe(channel, self.rename(consumer), in_flight=in_flight, since=since)


class SharesNothing(RenamesConsumers):
    """Gives each subscription all there is."""

    count = 0

    @override
    def rename(self, consumer: str) -> str:
        self.count += 1
        return f"{consumer} {self.count}"


class MixesConsumersUp(RenamesConsumers):
    @override
    def rename(self, consumer: str) -> str:
        return consumer.replace(".", "_")


class MixesChannelsUp(MemoryTransport):
    @override
    async def publish(self, channel: str, message: Message) -> None:
        await super().publish(channel.lower(), message)

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        return await super().subscribe(channel.lower(), consumer, in_flight=in_flight, since=since)


class BeginsAtTheEnd(MemoryTransport):
    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        return await super().subscribe(channel, consumer, in_flight=in_flight, since=since or sys.maxsize)


class SharesInSecret(MemoryTransport):
    """Says that consumers cannot be shared, and lets them."""

    abilities = Abilities()


class ChokesOnNames(MemoryTransport):
    @override
    async def publish(self, channel: str, message: Message) -> None:
        if channel.endswith("*"):
            raise KeyError(channel)
        await super().publish(channel, message)


class ChokesOnSize(MemoryTransport):
    @override
    async def publish(self, channel: str, message: Message) -> None:
        if len(message.body) > 2_000_000:
            raise OverflowError(len(message.body))
        await super().publish(channel, message)


ENGINES: dict[str, MemoryEngine] = {}


def shared(name: str) -> MemoryTransport:
    """Make a transport to the engine of a name, as there are servers behind addresses."""
    return MemoryTransport(ENGINES.setdefault(name, MemoryEngine()))


class ConfirmsEarly(MemoryTransport):
    """Has what it confirmed on the engine when the next message comes."""

    def __init__(self, name: str) -> None:
        super().__init__(ENGINES.setdefault(name, MemoryEngine()))
        self.late: list[tuple[str, Message]] = []

    @override
    async def publish(self, channel: str, message: Message) -> None:
        for each in self.late:
            await super().publish(*each)
        self.late = [(channel, message)]


# Going back


class BeginsAfter(MemoryTransport):
    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        after = since + 1 if isinstance(since, int) else since
        return await super().subscribe(channel, consumer, in_flight=in_flight, since=after)


class TakesAnyTimeForTheFirst(MemoryTransport):
    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        first = 0 if isinstance(since, datetime) else since
        return await super().subscribe(channel, consumer, in_flight=in_flight, since=first)


# Settling


class NeverSettled(Handed):
    @override
    async def ack(self) -> None:
        await self.delivery.retry(0)


class FirstAttempt(Handed):
    attempt = 1


class RetriedIsSettled(Handed):
    @override
    async def retry(self, delay: float) -> None:
        await self.delivery.ack()


class RetriedAtOnce(Handed):
    @override
    async def retry(self, delay: float) -> None:
        await self.delivery.retry(0)


class DeadIsSettled(Handed):
    @override
    async def dead_letter(self, reason: str) -> None:
        await self.delivery.ack()


class DeadWithoutReason(Handed):
    @override
    async def dead_letter(self, reason: str) -> None:
        await self.delivery.dead_letter(reason.splitlines()[0])


class SettledTwice(Handed):
    @override
    async def ack(self) -> None:
        with suppress(BadCall):
            await self.delivery.ack()


class SettledLate(Handed):
    @override
    async def ack(self) -> None:
        with suppress(TransportError):
            await self.delivery.ack()


class SettlesNothing(Handing):
    delivery = NeverSettled


class CountsNoAttempts(Handing):
    delivery = FirstAttempt


class SettlesRetries(Handing):
    delivery = RetriedIsSettled


class RetriesAtOnce(Handing):
    delivery = RetriedAtOnce


class SwallowsDeadLetters(Handing):
    delivery = DeadIsSettled


class CutsReasons(Handing):
    delivery = DeadWithoutReason


class SettlesTwice(Handing):
    delivery = SettledTwice


class SettlesLate(Handing):
    delivery = SettledLate


class SettlesEarly(MemoryTransport):
    """Acknowledges what it delivers."""

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        return Early(await super().subscribe(channel, consumer, in_flight=in_flight, since=since), Handed)


class Early(Yielding):
    @override
    async def __anext__(self) -> Delivery:
        delivery = await super().__anext__()
        await delivery.ack()
        return Settled(delivery)


class Settled(Handed):
    @override
    async def ack(self) -> None: ...

    @override
    async def retry(self, delay: float) -> None: ...

    @override
    async def dead_letter(self, reason: str) -> None: ...


class NewestFirst(MemoryTransport):
    @override
    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        for letter in [letter async for letter in super().dead_letters(channel, consumer)][::-1]:
            yield letter


class ReadsOnFromTheLast(MemoryTransport):
    """Goes on where a reading was left."""

    count = 0

    @override
    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        for letter in [letter async for letter in super().dead_letters(channel, consumer)][self.count :]:
            self.count += 1
            yield letter
        self.count = 0


class OneDeadLetterOffice(MemoryTransport):
    @override
    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        async for letter in super().dead_letters(channel, "first"):
            yield letter


class EmptyDeadLetters(MemoryTransport):
    @override
    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        async for message, reason in super().dead_letters(channel, consumer):
            yield Message(message.id, b""), reason


# The flow


class TakesOneMore(MemoryTransport):
    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        return await super().subscribe(channel, consumer, in_flight=in_flight + 1, since=since)


class TakesOneLess(MemoryTransport):
    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        return await super().subscribe(channel, consumer, in_flight=max(1, in_flight - 1), since=since)


class SwapsNeighbours(MemoryTransport):
    """Holds every second message back until the one after it has been published."""

    held: Message | None = None
    count = 0

    @override
    async def publish(self, channel: str, message: Message) -> None:
        self.count += 1
        if self.count % 2:
            self.held = message
            return
        await super().publish(channel, message)
        if self.held is not None:
            await super().publish(channel, self.held)


class RetriesLast(MemoryTransport):
    """Publishes what is to be tried again anew, behind all others."""

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        class Last(Handed):
            @override
            async def retry(_, delay: float) -> None:  # noqa: N805 # the transport is `self`
                await _.delivery.ack()
                await self.publish(channel, _.message)

        return Yielding(await super().subscribe(channel, consumer, in_flight=in_flight, since=since), Last)


class LosesWhatItHad(Yielding):
    """Has fetched all there is, and forgets it when it is drained."""

    @override
    async def drain(self) -> None:
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(0.01):
                    await (await anext(aiter(self.subscription))).ack()
        await super().drain()


class NeverEnds(Yielding):
    """Has whoever waits wait on."""

    @override
    async def __anext__(self) -> Delivery:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            await for_ever()
            raise


class ForgetsWaiters(Yielding):
    """Takes a delivery for one who has been cancelled."""

    @override
    async def __anext__(self) -> Delivery:
        return await asyncio.shield(asyncio.ensure_future(super().__anext__()))


class DrainLoses(Handing):
    subscription = LosesWhatItHad


class IterationNeverEnds(Handing):
    subscription = NeverEnds


class CancelledLoses(Handing):
    subscription = ForgetsWaiters


class DrainsAtOnce(MemoryTransport):
    """Takes its time to confirm, and does not wait for it."""

    @override
    async def publish(self, channel: str, message: Message) -> None:
        await asyncio.sleep(0.2)
        await super().publish(channel, message)


class DrainsNothing(MemoryTransport):
    @override
    async def drain(self) -> None: ...


# Trouble


class Refused(MemoryTransport):
    """Cannot be connected to, and raises the right error, or another one."""

    def __init__(self, how: str = "as it should", url: str = f"engine://user:{SECRET}@127.0.0.1:1") -> None:
        super().__init__()
        self.how = how
        self.url = url

    @override
    async def start(self) -> None:
        match self.how:
            case "as it should":
                raise TransportUnavailable("engine://127.0.0.1:1 refuses connections")
            case "shows":
                raise TransportUnavailable(f"{self.url} refuses connections")
            case "chains":
                raise TransportUnavailable("refused") from OSError(self.url)
            case "says nothing":
                raise TransportUnavailable
            case "logs":
                logging.getLogger("engine").warning("cannot reach %s", self.url)
                raise TransportUnavailable("refused")
            case "leaks":
                raise ConnectionRefusedError("refused")
            case "waits":
                await for_ever()
            case _:
                return

    @override
    async def publish(self, channel: str, message: Message) -> None:
        await self.start()

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        await self.start()
        return await super().subscribe(channel, consumer, in_flight=in_flight, since=since)


@dataclass
class Trouble:
    """A server, or a room, that is in trouble between two calls."""

    name: str
    how: str
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    now: bool = False
    before: bool = False

    @property
    def arguments(self) -> Arguments:
        return {"name": self.name}

    def kill(self) -> None:
        self.now = self.before = True

    def restart(self) -> None:
        self.now = False

    fill = kill
    free = restart


TROUBLES: dict[str, Trouble] = {}


def in_trouble(how: str) -> Trouble:
    """Make a server or a room, and let transports find it."""
    trouble = TROUBLES[how] = Trouble(how, how)
    return trouble


class Troubled(MemoryTransport):
    """Its engine is gone or full at times, which it deals with as it should, or otherwise."""

    def __init__(self, name: str) -> None:
        self.trouble = TROUBLES[name]
        super().__init__(self.trouble.engine)

    @override
    async def publish(self, channel: str, message: Message) -> None:
        trouble, how = self.trouble, self.trouble.how
        if trouble.now or (trouble.before and how == "never recovers"):
            if how == "leaks":
                raise ConnectionResetError("the peer is gone")
            if how == "waits":
                await for_ever()
            if how == "gives up":
                raise TransportError("the engine is gone")
            if how != "drops":
                raise TransportUnavailable("" if how == "says nothing" else "the engine is gone")
        elif how != "loses" or message.id != "before3":
            await super().publish(channel, message)

    @override
    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        trouble = self.trouble

        class Interrupted(Handed):
            @override
            async def ack(self) -> None:
                if trouble.now and trouble.how == "leaks when it settles":
                    raise ConnectionResetError("the peer is gone")
                if trouble.now:
                    raise TransportUnavailable("the engine is gone")
                await self.delivery.ack()

        class Ends(Yielding):
            @override
            async def __anext__(self) -> Delivery:
                delivery = await super().__anext__()
                if trouble.before:
                    raise StopAsyncIteration
                return delivery

        inner = await super().subscribe(channel, consumer, in_flight=in_flight, since=since)
        return (Ends if trouble.how == "ends" else Yielding)(inner, Interrupted)
