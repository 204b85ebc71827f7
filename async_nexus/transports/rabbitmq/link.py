"""A connection to the broker that is there whenever it is needed."""

import asyncio
import ssl
from contextlib import suppress
from typing import Final

from aio_pika import Connection
from aio_pika.abc import AbstractChannel
from aio_pika.connection import make_url
from yarl import URL

from ...errors import TransportError
from ..addresses import find_address, show_address
from .failures import Request

_DEFAULT: Final = "amqp://guest:guest@127.0.0.1/"


class Access:
    """Where the broker is, and how it is spoken to; shows no credentials. Raises `ValueError`, which shows none too."""

    def __init__(self, url: str | None, tls: ssl.SSLContext | None, timeout: float) -> None:
        given = find_address(url, "AMQP_URL", _DEFAULT)
        self.url: Final = _read_url(given)
        if tls is not None and self.url.scheme != "amqps":
            raise ValueError(f"tls is for an address amqps://, not for {show_address(given)}")
        if not 0 < timeout < float("inf"):
            raise ValueError(f"timeout is a number of seconds, not {timeout!r}")
        self.tls: Final = tls
        self._timeout = timeout
        self._shown = show_address(given)

    def __str__(self) -> str:
        return self._shown

    def asked_to(self, what: str) -> Request:
        """Give the broker its time to do something."""
        return Request(f"RabbitMQ at {self._shown}, asked to {what}", self._timeout)


def _read_url(text: str) -> URL:
    try:
        url = make_url(text)
        if url.scheme in ("amqp", "amqps") and url.host and url.port != 0:
            return url
    except ValueError:
        pass
    # From none, and without the address: both may show a part of a password.
    raise ValueError(
        "The address of RabbitMQ cannot be read: expected amqp://user:password@host:port/vhost, or amqps://…; what is "
        "no letter or digit in user, password and vhost is percent-encoded"
    ) from None


class Link:
    """One connection, opened when it is needed, and again when it was lost."""

    def __init__(self, access: Access) -> None:
        self.access: Final = access
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    async def channel(self) -> AbstractChannel:
        """Open a channel of the connection, on which each message is confirmed. Raises what aio-pika raises."""
        async with self._opening:
            if self._connection is None or not _lives(self._connection):
                await self._let_go()
                self._connection = await self._connect()
            connection = self._connection
        return await connection.channel(on_return_raises=True)

    async def close(self) -> None:
        """Let go of the connection; what it holds is given up."""
        async with self._opening:
            await self._let_go()

    async def _connect(self) -> Connection:
        connection = Connection(self.access.url, ssl_context=self.access.tls)
        try:
            await connection.connect()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # What cannot be said good-bye to is gone.
            with suppress(TransportError):
                async with self.access.asked_to("close the connection"):
                    await connection.close()


def _lives(connection: Connection) -> bool:
    return connection.transport is not None and connection.transport.connection.is_opened
