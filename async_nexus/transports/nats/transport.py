"""The transport over NATS JetStream."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from ...errors import raise_together
from .. import Abilities, Message
from .access import find_access
from .headers import add_reason, parse_headers, read_message, take_reason
from .jetstream import Consumer, JetStream, Limits
from .link import Link
from .names import consumer_name, dead_letter_name, stream_name
from .subscription import NatsSubscription

_ABILITIES: Final = Abilities(ordered=True, delayed_retry=True, dead_letters=True, shared_consumers=True, replay=True)
_LONGEST_TIMEOUT: Final = 120.0


class NatsTransport:
    """Carries messages over NATS JetStream.

    `url` is an address, `nats://host:port` or `tls://host:port`, or several, with commas between or in a sequence. By
    default it is what the environment variable `NATS_URL` says, else `nats://127.0.0.1:4222`. Credentials are a file,
    `user_credentials`, or in the address (`nats://name:password@host`, `nats://token@host`), or in the environment:
    `NATS_CREDS` names a file, `NATS_USER` and `NATS_PASSWORD`, or `NATS_TOKEN`. With `tls`, or an address `tls://`,
    nothing is sent without encryption.

    `timeout` is how many seconds to wait for the server's confirmation, through lost connections, 120 at most: so long
    the server knows what was published before. A delivery whose consumer is not heard of for `ack_wait` seconds comes
    again; as long as the event loop runs, it is heard of. `max_age` in seconds, `max_bytes` and `replicas` are for
    streams that are made here; one that is there stays as it is. A full stream refuses.

    Raises `ValueError` for what cannot be used of these.
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        user_credentials: str | Path | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        ack_wait: float = 10.0,
        max_age: float | None = None,
        max_bytes: int | None = None,
        replicas: int = 1,
    ) -> None:
        if not 0 < timeout <= _LONGEST_TIMEOUT:
            raise ValueError(f"timeout is a number of seconds up to {_LONGEST_TIMEOUT:g}, not {timeout!r}")
        for name, value in (
            ("ack_wait", ack_wait),
            ("max_age", max_age),
            ("max_bytes", max_bytes),
            ("replicas", replicas),
        ):
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} is more than 0, not {value!r}")
        self._access = find_access(url, user_credentials, tls)
        self._timeout, self._ack_wait = timeout, ack_wait
        self._limits = Limits(max_age, max_bytes, replicas)
        self._jetstream: JetStream | None = None
        self._link: Link | None = None
        self._starting = asyncio.Lock()
        self._subscriptions: list[NatsSubscription] = []
        self._unconfirmed = 0
        self._all_confirmed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<NatsTransport at {self._access}>"

    @property
    def abilities(self) -> Abilities:
        """All of them; order is kept where one may be in flight."""
        return _ABILITIES

    async def start(self) -> None:
        """Connect, if that has not been done. Raises `TransportUnavailable`; if we are not let in, `TransportError`."""
        await self._started()

    async def publish(self, channel: str, message: Message) -> None:
        """Hand a message over, and return when the server has confirmed it.

        A message of an id that was published in the last two minutes is confirmed, and kept once. Raises
        `TransportUnavailable` if there is no confirmation in time, `TransportError` if the server refuses, and
        `ValueError` for a name that cannot be used.
        """
        stream = stream_name(channel)
        jetstream = self._jetstream or await self._started()
        self._unconfirmed += 1
        try:
            await jetstream.publish(stream, message)
        finally:
            self._unconfirmed -= 1
            if not self._unconfirmed:
                self._all_confirmed.set()

    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> NatsSubscription:
        """Go on where the consumer left off, a new one at the oldest message kept, or go back to a time or position.

        The message of that time or position, or the first after it, is the next one. With one in flight a consumer has
        one message out at a time, whatever subscriptions share it; with more, each subscription has that many.
        Raises `TransportError`, and `ValueError` for what cannot be used.
        """
        if in_flight < 1:
            raise ValueError(f"in_flight is a number from 1, not {in_flight!r}")
        if isinstance(since, datetime) and since.tzinfo is None:
            raise ValueError(f"the time to go back to has a zone, not {since!r}")
        durable = Consumer(stream_name(channel), consumer_name(consumer), in_flight, self._ack_wait)
        dead_letters = dead_letter_name(channel, consumer)
        jetstream, link = await self._started(), self._link
        assert link is not None

        async def put_aside(message: Message, reason: str) -> None:
            await jetstream.publish(dead_letters, add_reason(message, reason, link.max_payload), is_kept=True)

        subscription = NatsSubscription(link, jetstream, durable, put_aside)
        await subscription.start(since)
        self._subscriptions = [each for each in self._subscriptions if not each.is_closed]
        self._subscriptions.append(subscription)
        return subscription

    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        """Read what was put aside so far, oldest first, with the reasons; it stays there. Raises `TransportError`."""
        stream = dead_letter_name(channel, consumer)
        jetstream = await self._started()
        info = await jetstream.find_stream(stream)
        position, last = (info.state.first_seq, info.state.last_seq) if info else (1, 0)
        while position <= last and (stored := await jetstream.read_stored(stream, position)):
            message = read_message(stored.data, parse_headers(stored.hdrs), f"{stream}:{stored.seq}")
            yield take_reason(message)
            position = stored.seq + 1

    async def drain(self) -> None:
        """Drain the subscriptions, and wait until what was published is confirmed or refused."""
        await _all(subscription.drain() for subscription in self._subscriptions)
        while self._unconfirmed:
            self._all_confirmed.clear()
            await self._all_confirmed.wait()

    async def close(self) -> None:
        """Give back what is in flight, and let go of the connection. What is not confirmed then may be kept, or not."""
        subscriptions, self._subscriptions = self._subscriptions, []
        link, self._link, self._jetstream = self._link, None, None
        try:
            await _all(subscription.close() for subscription in subscriptions)
        finally:
            if link is not None:
                await link.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _started(self) -> JetStream:
        async with self._starting:
            if self._jetstream is None:
                link = Link(self._access, self._timeout)
                await link.open()
                self._link, self._jetstream = link, JetStream(link, self._limits)
            return self._jetstream


async def _all(work: Iterable[Coroutine[None, None, None]]) -> None:
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    raise_together([each for each in outcomes if each is not None], "subscriptions failed to end")
