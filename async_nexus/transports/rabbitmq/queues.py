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
_STEPS: Final = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
_IDLE: Final = 600_000
"""Milliseconds after which a queue ends that nothing waits in."""

UNTIL_WRITTEN: Final = 1.5
"""Seconds. A broker that is killed forgets a quorum queue that it made in the last second, with all that is in it, and
what comes for it later is never confirmed (RabbitMQ 3.10)."""
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
        # https://www.rabbitmq.com/docs/quorum-queues#dead-lettering: at-least-once needs `reject-publish`.
        self.own: Final = Queue(
            name,
            {
                "x-queue-type": "quorum",
                "x-delivery-limit": _RETURNS,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self.put_aside.name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        """What is for the consumer."""

    def delayed(self, seconds: float) -> Queue:
        """Return the queue in which a message waits so long, or up to a third longer, before it comes again.

        All that is in a queue waits for the same time, so nothing waits for what is before it. It is a classic queue:
        that ends by itself if it is not declared for long, where a quorum queue ends with what is in it, however often
        it is declared (RabbitMQ 3.10). Raises `ValueError` for no time, or for too long a time.
        """
        if not 0 < seconds <= _LONGEST_DELAY:
            raise ValueError(f"RabbitMQ holds a message back for up to {_LONGEST_DELAY} seconds, not for {seconds!r}")
        milliseconds = _round_up(math.ceil(seconds * 1000))
        arguments: dict[str, str | int] = {
            "x-message-ttl": milliseconds,
            "x-expires": milliseconds + _IDLE,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.own.name,
        }
        return Queue(self._delay_name(self.own.name, milliseconds), arguments)

    @staticmethod
    def _delay_name(name: str, milliseconds: int) -> str:
        return f"{name}:retry:{milliseconds}"


async def make_queues(link: Link, *queues: Queue) -> None:
    """Make those of the queues that there are not, and wait until they will stay. Raises `TransportError`."""
    has_made = False
    async with link.access.asked_to(f"make the queue {queues[-1].name!r}"):
        for queue in queues:
            is_quorum = queue.arguments.get("x-queue-type") == "quorum"
            if not is_quorum or not await _is_there(link, queue):
                async with await link.channel() as channel:
                    await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
                has_made = has_made or is_quorum
    if has_made:
        await asyncio.sleep(UNTIL_WRITTEN)


async def _is_there(link: Link, queue: Queue) -> bool:
    # On a channel of its own, for it is closed if there is none.
    async with await link.channel() as channel:
        try:
            await channel.get_queue(queue.name)
        except ChannelNotFoundEntity:
            return False
        return True


def _round_up(milliseconds: int) -> int:
    """Round to one of ten steps for each power of ten, so that there are few queues whatever the delays are."""
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
