"""What channels and consumers are called on RabbitMQ, and the queues that a consumer needs."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aio_pika.exceptions import ChannelNotFoundEntity

from .link import Link

_LONGEST: Final = 255
"""Bytes of a name in AMQP."""
_LONGEST_DELAY: Final = 4_000_000
"""Seconds; the broker counts milliseconds in 32 bits."""
_STEPS: Final = (10, 15, 20, 30, 40, 60, 80, 100)

UNTIL_WRITTEN: Final = 0.7
"""Seconds. A broker that is killed forgets a quorum queue that it made in the last half second, with all that is in it,
and what comes for it later is never confirmed (RabbitMQ 3.10)."""
_RETURNS: Final = 100
"""How often a message comes back unsettled before the broker itself puts it aside: each time it may have been read, and
ended who read it."""
_NO_LIMIT: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, and what makes it."""

    name: str
    arguments: Mapping[str, str | int]


def exchange_name(channel: str) -> str:
    """Name the exchange of a channel. Raises `ValueError` for what no exchange can be named after."""
    return _checked(_escape(channel, "channel"), channel)


class ConsumerQueues:
    """The queues of one consumer of a channel. Raises `ValueError` for what no queue can be named after."""

    def __init__(self, channel: str, consumer: str) -> None:
        name = f"{_escape(channel, 'channel')}:{_escape(consumer, 'consumer')}"
        _checked(self._delay_name(name, _LONGEST_DELAY * 1000), channel, consumer)
        self.put_aside: Final = Queue(f"{name}:dead", {"x-queue-type": "quorum", "x-delivery-limit": _NO_LIMIT})
        """What the consumer has put aside. It may be read without limit."""
        self.own: Final = Queue(name, {"x-delivery-limit": _RETURNS, **_then_to(self.put_aside.name)})
        """What is for the consumer."""

    def delayed(self, seconds: float) -> Queue:
        """Return the queue in which a message waits so long, or up to a half longer, before it comes again.

        All that is in a queue waits for the same time, so nothing waits for what is before it. These queues stay:
        with `x-expires` a quorum queue ends with what is in it, however often it is published to (RabbitMQ 3.10).
        Raises `ValueError` for no time, or for too long a time.
        """
        if not 0 < seconds <= _LONGEST_DELAY:
            raise ValueError(f"RabbitMQ holds a message back for up to {_LONGEST_DELAY} seconds, not for {seconds!r}")
        milliseconds = _round_up(math.ceil(seconds * 1000))
        arguments = {"x-message-ttl": milliseconds, **_then_to(self.own.name)}
        return Queue(self._delay_name(self.own.name, milliseconds), arguments)

    @staticmethod
    def _delay_name(name: str, milliseconds: int) -> str:
        return f"{name}:retry:{milliseconds}"


async def make_queues(link: Link, *queues: Queue) -> None:
    """Make those of the queues that there are not, and wait until they will stay. Raises what aio-pika raises."""
    missing = [queue for queue in queues if not await _is_there(link, queue)]
    for queue in missing:
        async with await link.channel() as channel:
            await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
    if missing:
        await asyncio.sleep(UNTIL_WRITTEN)


async def _is_there(link: Link, queue: Queue) -> bool:
    # On a channel of its own, for it is closed if there is none.
    async with await link.channel() as channel:
        try:
            await channel.get_queue(queue.name)
        except ChannelNotFoundEntity:
            return False
        return True


def _then_to(queue: str) -> dict[str, str | int]:
    """What leaves a queue by its limits goes to another, and is not forgotten before it is there.

    https://www.rabbitmq.com/docs/quorum-queues#dead-lettering: at-least-once needs `reject-publish`.
    """
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue,
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
