"""Connects two domains in different processes: a handler here is a producer there, and an engine stands between."""

import asyncio
import logging
from collections.abc import Awaitable
from random import Random
from typing import Any, Final, Generic, cast

from pydantic import ValidationError
from typing_extensions import TypeVar, override

from ..errors import BadCall, InvalidPayload, LoopStopped, NotStarted, TransportError
from ..events import Event, describe_event
from ..handover import traceparent
from ..queue import EventQueue
from ..sources import EventProducer, Receiver
from . import Delivery, Subscription, Transport
from .duplicates import Handled
from .envelope import MAX_BODY, Received, decode, encode
from .identity import Identity
from .reasons import describe_failure, one_line

E = TypeVar("E", bound=Event[Any], default=Event[Any])

logger: Final = logging.getLogger("async_nexus")


class TransportBoundary(EventProducer[E], Generic[E]):
    """Carries events by a channel of a transport: `a.add_handler(99, boundary)`, elsewhere `b.add_producer(boundary)`.

    What is sent is on the engine when `handle` returns. What comes is acknowledged when its turn has succeeded in every
    receiving nexus, each of which validates it against its own catalog, so each event is handled at least once.
    A message that cannot be read, or whose payload a nexus refuses, is put aside with the reason, at once; one whose
    handling fails comes again, later each time, and is put aside after so many tries.

    The transport is not the boundary's: open it with `async with transport:` around the nexuses.
    """

    def __init__(
        self,
        transport: Transport,
        name: str,
        *,
        consumer: str = "async_nexus",
        domain: str | None = None,
        in_flight: int = 1,
        tries: int = 5,
        delay: float = 1.0,
        max_delay: float = 60.0,
        window: int = 10_000,
        max_body: int = MAX_BODY,
        dataschema: str | None = None,
        random: Random | None = None,
    ) -> None:
        """Make a boundary over the channel `name`.

        Domains that each are to get every event take them as a `consumer` of their own; processes of one name share
        them. `domain` names what sends, the channel's name if nothing else. Up to `in_flight` events are handled at a
        time: with one, in order. An event that fails, or with which the process dies, is tried `tries` times; after a
        failure in about `delay` seconds, then twice that and so on up to `max_delay`; `random` draws how much sooner.
        Of the last `window` events that were handled, none is handled again. No message has more than `max_body`
        bytes. `dataschema` is the URI of the schema of what is sent. Raises `ValueError` for numbers that are not
        positive, and for an empty name.
        """
        super().__init__()
        numbers = {"in_flight": in_flight, "tries": tries, "window": window, "max_body": max_body}
        seconds = {"delay": delay, "max_delay": max_delay}
        for what, number in (*numbers.items(), *seconds.items()):
            if not 0 < number < float("inf"):
                raise ValueError(f"{what} is a positive number, not {number}")
        if not name or not consumer:
            raise ValueError(f"a channel and its consumer have names, not {name!r} and {consumer!r}")
        self.name: Final[str] = name
        self.consumer: Final[str] = consumer
        self._transport = transport
        self._identity = Identity(name if domain is None else domain, window)
        self._handled = Handled(window)
        self._in_flight, self._tries, self._max_body = in_flight, tries, max_body
        self._delay, self._max_delay = delay, max_delay
        self._dataschema = dataschema
        self._random = Random() if random is None else random
        self._subscription: Subscription | None = None
        self._at_work: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    # Sending

    async def handle(self, event: E, queue: EventQueue[Any], /) -> None:
        """Send an event, and return when the engine has confirmed it.

        Raises `BadCall` when the boundary is closed, `TransportError` for what cannot be sent.
        """
        if self._closing.is_set():
            raise BadCall(f"the boundary is closed: it does not take {describe_event(event)}")
        message = encode(
            event,
            self._identity.source_of(event),
            dataschema=self._dataschema,
            traceparent=traceparent.get(),
            max_body=self._max_body,
        )
        await self._transport.publish(self.name, message)

    # Receiving

    @override
    async def start(self) -> None:
        """Distribute what comes until the boundary is closed. Raises `MisconfiguredEventProducer` without a receiver.

        Raises `TransportError` where the engine cannot be subscribed to.
        """
        await super().start()
        subscription = await self._transport.subscribe(self.name, self.consumer, in_flight=self._in_flight)
        if self._closing.is_set():
            await self._let_go(subscription)
            return
        self._subscription = subscription
        self._note(_current_task())
        async for delivery in subscription:
            if self._in_flight == 1:
                await self._take(delivery)
            else:
                self._note(self.spawn(self._take(delivery)))
        if not self._closing.is_set():
            logger.warning("channel %r: no more comes, for its transport was drained or closed", self.name)

    def _note(self, task: asyncio.Task[Any]) -> None:
        """Have `close` wait for a task."""
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    @override
    async def close(self) -> None:
        """Take nothing more; finish and settle what is in flight, then let go of the subscription."""
        self._closing.set()
        async with self._one_at_a_time:
            subscription, self._subscription = self._subscription, None
            if subscription is None:
                return
            try:
                await self._drain(subscription)
            finally:
                await self._let_go(subscription)

    async def _drain(self, subscription: Subscription) -> None:
        try:
            await subscription.drain()
        except TransportError as error:
            logger.warning("channel %r: what is in flight comes again: %s", self.name, error)
        else:
            while self._at_work:
                await asyncio.wait(self._at_work)

    async def _let_go(self, subscription: Subscription) -> None:
        try:
            await subscription.close()
        except TransportError as error:
            logger.warning("channel %r: the subscription was not closed in good order: %s", self.name, error)

    async def _take(self, delivery: Delivery) -> None:
        """Do with a delivery whatever is to be done. What is cut off is not settled, so that it comes again."""
        try:
            received = decode(delivery.message, max_body=self._max_body)
        except TransportError as error:
            await self._put_aside(delivery, f"message {one_line(delivery.message.id)}", error)
            return
        await self._handled.begin(received.key)
        try:
            if received.key in self._handled:
                await self._settle(delivery.ack(), received)
            elif delivery.attempt > self._tries:
                never = (
                    f"it was delivered {self._tries} times and never settled: whoever handled it may have died of it"
                )
                await self._put_aside(delivery, received, TransportError(never))
            elif await self._is_ready():
                await self._distribute_received(delivery, received)
        finally:
            self._handled.end(received.key)

    async def _is_ready(self) -> bool:
        """Wait until every receiving nexus has been started; tell whether that is so."""
        while any(isinstance(receiver.refusal(), NotStarted) for receiver in self.receivers):
            if await self._closes_within(self._delay):
                return False
        return True

    async def _distribute_received(self, delivery: Delivery, received: Received) -> None:
        refusals: list[Exception] = []

        async def send(receiver: Receiver) -> None:
            try:
                turn = receiver.ingest_json(received.event)
            except (InvalidPayload, ValidationError) as error:
                refusals.append(error)
            else:
                await turn

        traceparent.set(received.traceparent)
        try:
            await self._distribute(send)
        except Exception as error:
            if self.is_received or not isinstance(error, LoopStopped):
                await self._fail(delivery, received, error)
        except asyncio.CancelledError as error:
            if _current_task().cancelling():
                raise
            await self._fail(delivery, received, error)  # a handler let out what was meant for another task
        else:
            if refusals:
                await self._put_aside(delivery, received, _together(refusals))
            else:
                self._handled.add(received.key)
                await self._settle(delivery.ack(), received)

    # Settling

    async def _fail(self, delivery: Delivery, received: Received, error: BaseException) -> None:
        """Have an event whose handling failed come again, later each time, or put it aside after the last try."""
        if delivery.attempt >= self._tries:
            await self._put_aside(delivery, received, error)
            return
        delay = self._choose_delay(delivery.attempt)
        logger.warning(
            "channel %r: %s failed in attempt %d of %d and comes again in %.3g s: %s",
            *(self.name, received, delivery.attempt, self._tries, delay, describe_failure(error)),
        )
        await self._settle(self._retry(delivery, delay), received)

    async def _retry(self, delivery: Delivery, delay: float) -> None:
        if not self._transport.abilities.delayed_retry:
            await self._closes_within(delay)
        await delivery.retry(delay)

    def _choose_delay(self, attempt: int) -> float:
        """Double the delay with each attempt; draw up to a half off, so that what failed together comes apart."""
        longest = min(self._max_delay, self._delay * 2.0 ** min(attempt - 1, 64))
        return longest * self._random.uniform(0.5, 1.0)

    async def _put_aside(self, delivery: Delivery, what: object, error: BaseException) -> None:
        """Put a message that is not tried again among the dead letters."""
        reason = describe_failure(error)
        fate = "goes to the dead letters" if self._transport.abilities.dead_letters else "is dropped"
        logger.error("channel %r: %s %s after attempt %d: %s", self.name, what, fate, delivery.attempt, reason)
        try:
            await delivery.dead_letter(reason)
        except TransportError as refusal:
            delay = self._choose_delay(delivery.attempt)
            logger.error(
                "channel %r: %s could not be put aside and comes again in %.3g s: %s", self.name, what, delay, refusal
            )
            await self._put_off(delivery, delay)

    async def _put_off(self, delivery: Delivery, delay: float) -> None:
        """Let go of what could not be put aside, and not have it come again at once: it may be refused each time."""
        try:
            await self._retry(delivery, delay)
        except (BadCall, TransportError):  # it comes again already
            await self._closes_within(delay)

    async def _settle(self, settling: Awaitable[None], what: object) -> None:
        try:
            await settling
        except TransportError as error:
            logger.warning("channel %r: %s could not be settled and comes again: %s", self.name, what, error)

    async def _closes_within(self, seconds: float) -> bool:
        """Wait, and tell whether the boundary was closed meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True


def _current_task() -> asyncio.Task[Any]:
    return cast("asyncio.Task[Any]", asyncio.current_task())


def _together(errors: list[Exception]) -> Exception:
    return errors[0] if len(errors) == 1 else ExceptionGroup("several nexuses refuse it", errors)
