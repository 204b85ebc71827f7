"""Where messages come that a durable consumer is asked for, as long as a session lasts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from nats.aio.msg import Msg

from ...errors import TransportError, TransportUnavailable
from .jetstream import Consumer
from .session import ENDING_SECONDS, Interest, Session

logger: Final = logging.getLogger("async_nexus")

_EXPIRY_SECONDS: Final = 10.0
"""How long the server holds a request; then it says that the time is over."""
_SILENCE_SECONDS: Final = 15.0
_OVER: Final = frozenset({"404", "408"})
_IDLE: Final = "100"


class Inbox:
    """Asks for messages, and knows how many may still come: it asks again only when none may.

    It is `stale` once nothing comes to it any more: another must be made then.
    """

    def __init__(self, session: Session, consumer: Consumer, take: Callable[[Msg | None], Awaitable[None]]) -> None:
        self._session = session
        self._consumer = consumer.name
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}"
        self._info = f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}"
        self._subject = session.new_inbox()
        self._take = take
        self._interest: Interest | None = None
        self._asked_at = 0.0
        self._clock = asyncio.get_running_loop().time
        self.wanted: int = 0
        self.is_drained: bool = False
        self.stale: Final = asyncio.Event()

    async def open(self) -> None:
        """Listen. Raises `TransportUnavailable`."""
        self._session.lost.add_done_callback(self._lose)
        self._interest = await self._session.subscribe(self._subject, self._receive)

    async def ask(self, count: int) -> None:
        """Ask for so many messages; `wanted` of them are still to come."""
        self.wanted, self._asked_at = count, self._clock()
        request = b'{"batch":%d,"expires":%d}' % (count, round(_EXPIRY_SECONDS * 1e9))
        with suppress(TransportUnavailable):  # then it is stale
            await self._session.publish(self._next, request, self._subject)

    def listen_for_silence(self) -> None:
        """Be stale if the server has not even said that the time is over: it knows of no request."""
        if self.wanted and self._clock() - self._asked_at > _SILENCE_SECONDS:
            logger.warning("NATS says nothing of the consumer %s: asking anew", self._consumer)
            self.stale.set()

    async def drain(self) -> None:
        """Return when nothing can come any more, and the server has forgotten what was asked for.

        It forgets when it looks through its requests, to tell of the consumer. While it has one whose inbox is gone, a
        message that is due again may stay away until `ack_wait` is over: so it is with 2.9.10.
        """
        self.is_drained = True
        self._session.lost.remove_done_callback(self._lose)
        if self._interest is not None:
            # The end of the interest is sent first, and the question at once after it.
            draining = asyncio.create_task(self._interest.drain())
            await asyncio.gather(self._session.let_go(draining), self._be_forgotten())

    async def _be_forgotten(self) -> None:
        with suppress(TransportError):
            await self._session.request(self._info, b"", None, ENDING_SECONDS)

    def _lose(self, _: object) -> None:
        self.stale.set()

    async def _receive(self, message: Msg) -> None:
        if message.reply:
            self.wanted = max(self.wanted - 1, 0)
            await self._take(message)
            return
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status in _OVER:
            self.wanted = 0
            await self._take(None)
        elif status != _IDLE:
            reason = headers.get("Description", status)
            logger.warning("NATS gives no more messages of the consumer %s: %s", self._consumer, reason)
            self.stale.set()
