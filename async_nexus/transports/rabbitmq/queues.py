"""What channels and consumers are called on RabbitMQ, and the queues that a consumer needs."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import count
from typing import Final
from urllib.parse import quote

from aio_pika import ExchangeType
from aio_pika.exceptions import ChannelNotFoundEntity

from ...errors import TransportError
from .link import Link

_LONGEST: Final = 255
"""Bytes of a name in AMQP."""
_LONGEST_DELAY: Final = 4_000_000
"""Seconds; the broker counts milliseconds in 32 bits."""
_STEPS: Final = (10, 15, 20, 30, 40, 60, 80, 100)

UNTIL_WRITTEN: Final = 1.5
"""Seconds. A broker that is killed forgets a quorum queue that it made in the last second, with all that is in it, and
what comes for it later is never confirmed (RabbitMQ 3.10)."""
UNTIL_MADE: Final = 3.0
"""Seconds after which another that was making a queue does so no more."""
_LOOK: Final = 0.1
_RETURNS: Final = 100
"""How often a message comes back unsettled before the broker itself puts it aside: each time it may have been read, and
ended who read it."""
_NO_LIMIT: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, and what makes it."""

    name: str
    arguments: Mapping[str, str | int]
    has_spares: bool = False
    """Whether others may take its place."""

    def spare(self, number: int) -> "Queue":
        """Return one, numbered from 1, that takes its place if those before it cannot be used."""
        return replace(self, name=f"{self.name}:{number}")


def exchange_name(channel: str) -> str:
    """Name the exchange of a channel. Raises `ValueError` for what no exchange can be named after."""
    return _checked(_escape(channel, "channel"), channel)


class ConsumerQueues:
    """The queues of one consumer of a channel. Raises `ValueError` for what no queue can be named after."""

    def __init__(self, channel: str, consumer: str) -> None:
        name = f"{_escape(channel, 'channel')}:{_escape(consumer, 'consumer')}"
        _checked(f"{self._delay_name(name, _LONGEST_DELAY * 1000)}:99", channel, consumer)
        self.put_aside: Final = Queue(f"{name}:dead", {"x-queue-type": "quorum", "x-delivery-limit": _NO_LIMIT})
        """What the consumer has put aside. It may be read without limit."""
        self.own: Final = Queue(name, {"x-delivery-limit": _RETURNS, **_handing_on_to(self.put_aside)})
        """What is for the consumer."""

    def delayed(self, seconds: float) -> Queue:
        """Return the queue in which a message waits so long, or up to a half longer, before it comes again.

        All that is in a queue waits for the same time, so nothing waits for what is before it. The queue stays for
        ever: a quorum queue that is to end by itself ends with what is in it, however often it is declared, and a
        classic queue loses what it hands on while the consumer's own is not up yet, as at each start of the broker
        (RabbitMQ 3.10). Raises `ValueError` for no time, or for too long a time.
        """
        if not 0 < seconds <= _LONGEST_DELAY:
            raise ValueError(f"RabbitMQ holds a message back for up to {_LONGEST_DELAY} seconds, not for {seconds!r}")
        milliseconds = _round_up(math.ceil(seconds * 1000))
        arguments = {"x-message-ttl": milliseconds, **_handing_on_to(self.own)}
        return Queue(self._delay_name(self.own.name, milliseconds), arguments, has_spares=True)

    @staticmethod
    def _delay_name(name: str, milliseconds: int) -> str:
        return f"{name}:delay:{milliseconds}"


class _State(Enum):
    """What is seen of a queue. That it will stay is shown by an exchange of its name, which ends with it."""

    MISSING = auto()
    NEW = auto()
    """Another is making it, or was killed meanwhile; or the broker was, and may have forgotten what belongs to it."""
    STAYS = auto()


async def make_queues(link: Link, *queues: Queue) -> None:
    """Make those of the queues that there are not, and wait until they will stay. Raises `TransportError`."""
    async with link.access.asked_to(f"make the queue {queues[-1].name!r}"):
        unsure = [queue for queue in queues if await _look_at(link, queue) is not _State.STAYS]
    if unsure:
        await _make(link, *unsure)


async def make_queue(link: Link, queue: Queue) -> Queue:
    """Make a queue, unless it is there, and return it, or the spare that has taken its place. Raises `TransportError`.

    A queue that stays new is left alone: nobody can tell whether it works, and to delete it would be to delete what
    another may have made of that name by then.
    """
    if not queue.has_spares:
        await make_queues(link, queue)
        return queue
    loop = asyncio.get_running_loop()
    deadline = loop.time() + UNTIL_MADE
    while True:
        async with link.access.asked_to(f"make the queue {queue.name!r}"):
            found, state = await _find(link, queue)
        if state is _State.MISSING and (found == queue or loop.time() >= deadline):
            await _make(link, found)
            return found
        if state is _State.STAYS:
            return found
        await asyncio.sleep(_LOOK)


async def _find(link: Link, queue: Queue) -> tuple[Queue, _State]:
    """Return the first of a queue and its spares that is not new."""
    spares = count(1)
    found, state = queue, await _look_at(link, queue)
    while state is _State.NEW:
        found = queue.spare(next(spares))
        state = await _look_at(link, found)
    return found, state


async def _look_at(link: Link, queue: Queue) -> _State:
    # On a channel of its own, for it is closed if there is none.
    async with await link.channel() as channel:
        state = _State.MISSING
        try:
            await channel.get_queue(queue.name)
            state = _State.NEW
            await channel.get_exchange(queue.name)
        except ChannelNotFoundEntity:
            return state
        return _State.STAYS


async def _make(link: Link, *queues: Queue) -> None:
    """Make queues, and show that they will stay, if the broker has not ended by then: on one channel, or not at all."""
    what = f"make the queue {queues[-1].name!r}"
    async with link.access.asked_to(what):
        channel = await link.channel()
    try:
        async with link.access.asked_to(what):
            made = [
                await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
                for queue in queues
            ]
        await asyncio.sleep(UNTIL_WRITTEN)
        async with link.access.asked_to(what):
            for queue in made:
                mark = await channel.declare_exchange(
                    queue.name, ExchangeType.FANOUT, durable=True, auto_delete=True, internal=True
                )
                await queue.bind(mark, "")
    finally:
        with suppress(TransportError):  # then it is closed already
            async with link.access.asked_to(what):
                await channel.close()


def _handing_on_to(queue: Queue) -> Mapping[str, str | int]:
    """Say that what a queue is done with goes to another, and leaves it once that one has it."""
    # https://www.rabbitmq.com/docs/quorum-queues#dead-lettering: at-least-once needs `reject-publish`.
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue.name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def _round_up(milliseconds: int) -> int:
    """Round to one of seven steps for each power of ten, so that there are few queues whatever the delays are."""
    power: int = 10 ** (len(str(milliseconds)) - 1)
    return next(step * power // 10 for step in _STEPS if step * power >= milliseconds * 10)


def _escape(name: str, what: str) -> str:
    """Write a name in the characters that pamqp takes; different names stay different, and none holds a colon."""
    if not name:
        raise ValueError(f"a {what} has a name, not {name!r}")
    escaped = quote(name, safe="").replace("~", "%7E").replace("%", "@")
    # What begins so is the broker's own.
    return f"amq@2E{escaped[4:]}" if escaped.startswith("amq.") else escaped


def _checked(name: str, *given: str) -> str:
    if len(name) > _LONGEST:
        shown = " of ".join(repr(each[:100]) for each in reversed(given))
        raise ValueError(f"{shown} is too long a name for RabbitMQ: it makes {len(name)} bytes, {_LONGEST} at most")
    return name
