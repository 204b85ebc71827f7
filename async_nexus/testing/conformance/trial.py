"""A trial: the transports and the channel of one claim, and waits that end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack, suppress
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

from ...transports import Delivery, Message, Subscription, Transport
from .engines import Arguments, Engine, Need

Claims = TypeVar("Claims")
T = TypeVar("T")
M = TypeVar("M")

A_MOMENT: Final = 0.05
"""Seconds in which nothing may come where nothing is due."""


class Trial:
    """What a claim is tried with: transports that are closed, and channels that are forgotten, when it is over."""

    def __init__(self, engine: Engine, directory: Path, patience: float) -> None:
        """Try a claim on an engine; no wait is longer than `patience` seconds. Files go into a directory."""
        self.engine = engine
        self.directory = directory
        self.patience = patience
        self.channel: str = f"conformance-{uuid4().hex[:12]}"
        self._own: Transport | None = None
        self._stack = AsyncExitStack()

    async def run(self, work: Coroutine[Any, Any, None], limit: float | None) -> None:
        """Run a claim, for up to so many seconds, and clear up."""
        async with self._stack, asyncio.timeout(limit):
            self._stack.push_async_callback(self._forget, self.channel)
            await work

    async def _forget(self, channel: str) -> None:
        if self.engine.forget is not None:
            await self.engine.forget(channel)

    def another_channel(self, suffix: str) -> str:
        """Name a channel like the trial's own."""
        channel = self.channel + suffix
        self._stack.push_async_callback(self._forget, channel)
        return channel

    def begin(self, start: Callable[[], AbstractContextManager[M]] | None) -> M:
        """Start something private, which ends after the transports that are opened to it."""
        assert start is not None
        return self._stack.enter_context(start())

    def make(self, arguments: Arguments | None = None) -> Transport:
        """Make one more transport, which is closed with the trial."""
        transport = self.engine.make(arguments)
        self._stack.push_async_callback(self._close, transport)
        return transport

    async def open(self, arguments: Arguments | None = None) -> Transport:
        """Make and start one more transport."""
        transport = self.make(arguments)
        await self.within(transport.start(), "connecting took too long")
        return transport

    async def _close(self, transport: Transport) -> None:
        await self.within(transport.close(), "closing took too long", 4 * self.patience)

    async def transport(self) -> Transport:
        """Return the trial's own transport, started."""
        if self._own is None:
            self._own = await self.open()
        return self._own

    async def publish(self, *messages: Message, on: Transport | None = None, channel: str | None = None) -> None:
        """Publish messages one after another, each confirmed, on the trial's own transport and channel or on others."""
        transport = on or await self.transport()
        for message in messages:
            await self.within(transport.publish(channel or self.channel, message), f"{message.id} was not confirmed")

    async def subscribe(
        self,
        consumer: str = "first",
        *,
        in_flight: int = 1,
        since: datetime | int | None = None,
        on: Transport | None = None,
        channel: str | None = None,
    ) -> "Taker":
        """Subscribe with the trial's own transport to its channel, or with others to others."""
        transport = on or await self.transport()
        subscribing = transport.subscribe(channel or self.channel, consumer, in_flight=in_flight, since=since)
        subscription = await self.within(subscribing, "subscribing took too long")
        taker = Taker(subscription, self)
        self._stack.push_async_callback(taker.abandon)
        return taker

    async def announce(self, *consumers: str, on: Transport | None = None, channel: str | None = None) -> None:
        """Have consumers known to the engine, and away."""
        for consumer in consumers:
            await (await self.subscribe(consumer, on=on, channel=channel)).close()

    async def dead_letters(self, consumer: str = "first") -> list[tuple[str, str]]:
        """Read ids and reasons of what a consumer put aside."""
        transport = await self.transport()

        async def read() -> list[tuple[str, str]]:
            return [(message.id, reason) async for message, reason in transport.dead_letters(self.channel, consumer)]

        return await self.within(read(), "reading the dead letters took too long")

    async def within(self, work: Coroutine[Any, Any, T], complaint: str, patience: float | None = None) -> T:
        """Await with the trial's patience, or another; fails with the complaint."""
        seconds = patience or self.patience
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
            assert done, f"{complaint}, within {seconds} s"
        finally:
            task.cancel()  # does nothing where it is done
        return task.result()


class Taker:
    """Takes deliveries from a subscription, never waiting longer than the trial's patience.

    A wait that yielded nothing is not cancelled: the next one goes on with it.
    """

    def __init__(self, subscription: Subscription, trial: Trial) -> None:
        self.subscription = subscription
        self._trial = trial
        self._deliveries: AsyncIterator[Delivery] = aiter(subscription)
        self._waiting: asyncio.Task[Delivery | None] | None = None

    async def _next(self) -> Delivery | None:
        return await anext(self._deliveries, None)

    async def _arrival(self, patience: float) -> asyncio.Task[Delivery | None] | None:
        """Wait for the next delivery, or the end of the iteration; nothing if neither came in time."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._next())
        task = self._waiting
        done, _ = await asyncio.wait({task}, timeout=patience)
        if not done:
            return None
        self._waiting = None
        return task

    def begin(self) -> None:
        """Wait for a delivery in a task of its own; the next take goes on with it."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._next())

    async def take(self, count: int = 1, patience: float | None = None) -> list[Delivery]:
        """Take so many deliveries; fails when they do not come."""
        seconds = patience or self._trial.patience
        deadline = asyncio.get_running_loop().time() + seconds
        taken: list[Delivery] = []
        while len(taken) < count:
            arrival = await self._arrival(max(0, deadline - asyncio.get_running_loop().time()))
            so_far = f"{len(taken)} of {count} deliveries"
            assert arrival is not None, f"{so_far} came within {seconds} s"
            delivery = arrival.result()
            assert delivery is not None, f"the iteration ended after {so_far}"
            taken.append(delivery)
        return taken

    async def one(self) -> Delivery:
        """Take one delivery."""
        (delivery,) = await self.take()
        return delivery

    async def handle(self, count: int, patience: float | None = None) -> list[Message]:
        """Take so many deliveries and acknowledge each before the next."""
        handled: list[Message] = []
        for _ in range(count):
            (delivery,) = await self.take(1, patience)
            await delivery.ack()
            handled.append(delivery.message)
        return handled

    async def run(self, handle: Callable[[Delivery], Awaitable[None]]) -> None:
        """Have each delivery handled before the next is taken, until the iteration ends."""
        while (delivery := await self._next()) is not None:
            await handle(delivery)

    async def nothing_comes(self) -> None:
        """Fail if a delivery comes within a moment."""
        arrival = await self._arrival(A_MOMENT)
        if arrival is not None and (delivery := arrival.result()) is not None:
            raise AssertionError(f"{delivery.message.id} came (attempt {delivery.attempt}), where nothing was due")

    async def ended(self) -> None:
        """Fail if the iteration does not end, without another delivery."""
        arrival = await self._arrival(self._trial.patience)
        assert arrival is not None, f"the iteration did not end within {self._trial.patience} s"
        delivery = arrival.result()
        assert delivery is None, "a delivery came where the iteration was to end"

    async def drain(self) -> None:
        """Drain the subscription."""
        await self._trial.within(self.subscription.drain(), "draining took too long")

    async def close(self) -> None:
        """Close the subscription."""
        await self._trial.within(self.subscription.close(), "closing a subscription took too long")
        await self.abandon()

    async def abandon(self) -> None:
        """Leave no task behind."""
        task, self._waiting = self._waiting, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def in_thread(work: Callable[[], None]) -> None:
    """Do what takes its time while the loop goes on; it is over on return, also when that is by cancellation."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait({task})


def claim(
    *needs: Need, patiences: float | None = 10.0
) -> Callable[[Callable[[Claims, Trial], Coroutine[Any, Any, None]]], Callable[[Claims, Trial], None]]:
    """Make a test of a coroutine, which any pytest runs without further plugins, and say what it needs of an engine.

    The whole of it may last so many times the trial's patience.
    """

    def make(test: Callable[[Claims, Trial], Coroutine[Any, Any, None]]) -> Callable[[Claims, Trial], None]:
        @wraps(test)
        def run(self: Claims, trial: Trial) -> None:
            for need in needs:
                assert trial.engine.has(need), f"the engine has no {need}: give it one, or say why in `without`"
            asyncio.run(trial.run(test(self, trial), patiences and patiences * trial.patience))

        run.__dict__["needs"] = frozenset(needs)
        return run

    return make


def needs_of(test: object) -> frozenset[Need]:
    """Return what a claim needs of an engine."""
    needs: frozenset[Need] = getattr(test, "needs", frozenset())
    return needs


def messages(count: int, name: str = "m") -> list[Message]:
    """Make messages whose ids and bodies tell them apart."""
    return [Message(id=f"{name}{number}", body=f"{name} {number}".encode()) for number in range(count)]


def as_claimed(ids: list[str], *, ordered: bool) -> list[str]:
    """Return ids as they can be compared: in no order of their own, unless order is kept."""
    return ids if ordered else sorted(ids)


def ids_of(taken: list[Message]) -> list[str]:
    """Return the ids of messages."""
    return [message.id for message in taken]
