"""The transport: it hands messages over to Redis, and makes subscriptions."""

import os
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, Final, Self

from ...errors import BadCall
from .. import Abilities, Message, Subscription
from ..addresses import find_address
from .layout import id_before, name_keys, name_log, quote_name, read_dead_letter, write_fields
from .member import Member
from .server import Server
from .subscription import RedisSubscription

_ABILITIES: Final = Abilities(ordered=True, delayed_retry=True, dead_letters=True, shared_consumers=True, replay=True)
_LETTERS_AT_ONCE: Final = 100


class RedisTransport:
    """Carries messages by Redis Streams."""

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str = "async-nexus",
        member: str | None = None,
        claim_after: float = 15.0,
        retain: timedelta | None = None,
        replicas: int = 0,
        timeout: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Say where Redis is; it is connected to when it is needed.

        `url` is redis://, rediss:// or unix://, with the parameters that redis-py knows, and, where it is not given,
        the environment variable `REDIS_URL`, or else redis://127.0.0.1:6379. `tls` replaces what rediss:// would make
        of parameters. Keys begin with `prefix`.

        A subscription that gives no sign of life for `claim_after` seconds is taken for dead, and what it held comes
        again elsewhere. With a `member` name, which no other process has, what the last process of that name held
        comes again at once.

        Messages are kept for ever, or those that all consumers have settled for the time `retain`; never less.
        A message is confirmed when the server has it, and so many `replicas`, too. Connecting, and whatever the
        server is asked for, takes `timeout` seconds at most. Raises `ValueError` for an address or a number that
        cannot be used.
        """
        for name, value in (("claim_after", claim_after), ("timeout", timeout)):
            if not value > 0:
                raise ValueError(f"{name} is a number of seconds above 0, not {value!r}")
        if replicas < 0:
            raise ValueError(f"there are no fewer replicas than 0, not {replicas!r}")
        if retain is not None and retain < timedelta(0):
            raise ValueError(f"retain is no negative time, as {retain!r} is")
        address = find_address(url, "REDIS_URL", "redis://127.0.0.1:6379")
        self._server = Server(address, timeout=timeout, replicas=replicas, tls=tls)
        self._prefix, self._member, self._claim_after, self._retain = prefix, member, claim_after, retain
        self._subscriptions: list[RedisSubscription] = []

    def __repr__(self) -> str:
        return f"RedisTransport({self._server.address!r})"

    @property
    def abilities(self) -> Abilities:
        """All that there are."""
        return _ABILITIES

    async def start(self) -> None:
        """Connect. Raises `TransportUnavailable`, or `TransportError` where Redis refuses."""
        await self._server.call("PING")

    async def publish(self, channel: str, message: Message) -> None:
        """Append a message to the channel's stream; Redis has confirmed it on return.

        Raises `TransportUnavailable`, after which it may have been published or not, or `TransportError` where Redis
        refuses, as it does when its memory is full.
        """
        log, fields = name_log(self._prefix, channel), write_fields(message)
        await self._server.send("XADD", log, "*", *fields, is_publish=True)

    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        """Become a member of the consumer's group, which begins at the oldest message kept, or goes back to `since`.

        Going back is for all members of the group: what they had not settled before is given up. Raises `ValueError`
        for less than one in flight, and for a time without a zone; `BadCall` where this transport has a subscription
        of that consumer and a `member` name; `TransportError` as `publish` does.
        """
        if in_flight < 1:
            raise ValueError(f"at least one delivery is in flight, not {in_flight}")
        last_id = None if since is None else id_before(since)
        member = Member(
            self._server, name_keys(self._prefix, channel, consumer), self._member_name(), self._claim_after
        )
        self._subscriptions = [each for each in self._subscriptions if not each.is_closed]
        if any((each.member.names, each.member.name) == (member.names, member.name) for each in self._subscriptions):
            raise BadCall(f"member {self._member!r} has a subscription of consumer {consumer!r} already")
        subscription = RedisSubscription(member, in_flight, self._claim_after, self._retain)
        self._subscriptions.append(subscription)
        try:
            await member.make_group()
            if last_id is not None:
                await member.go_back(last_id)
            await subscription.start()
        except BaseException:
            self._subscriptions.remove(subscription)
            raise
        return subscription

    def _member_name(self) -> str:
        """Return the name that was given, or one that nobody else has and that tells where it runs."""
        return quote_name(self._member or f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}")

    async def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        """Read what was put aside so far, oldest first, with the reasons."""
        key = name_keys(self._prefix, channel, consumer).dead
        newest: list[tuple[bytes, Any]] = await self._server.send("XREVRANGE", key, "+", "-", "COUNT", 1)
        start = b"-"
        while newest:
            command = ("XRANGE", key, start, newest[0][0], "COUNT", _LETTERS_AT_ONCE)
            letters: list[tuple[bytes, list[bytes]]] = await self._server.send(*command)
            for entry_id, fields in letters:
                yield read_dead_letter(entry_id, fields)
            if len(letters) < _LETTERS_AT_ONCE:
                break
            start = b"(" + letters[-1][0]

    async def drain(self) -> None:
        """Drain the subscriptions, and wait until what was published is confirmed or refused."""
        for subscription in self._subscriptions:
            await subscription.drain()
        await self._server.drain()

    async def close(self) -> None:
        """Close the subscriptions and the connections."""
        for subscription in self._subscriptions:
            await subscription.close()
        self._subscriptions.clear()
        await self._server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
