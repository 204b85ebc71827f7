"""Connections to a Redis server by redis-py, and the one place where its errors become ours."""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias, cast

from redis.asyncio import ConnectionPool, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from ...errors import TransportError, TransportUnavailable
from ..addresses import show_address

Argument: TypeAlias = bytes | str | int
Command: TypeAlias = tuple[Argument, ...]
Reply: TypeAlias = Any
"""What a server answers: bytes, an integer, `None`, a list of such, or a `TransportError` where it refused."""

_PASSING: Final = ReadOnlyError, ClusterDownError, TryAgainError
_PASSING_WORDS: Final = frozenset({"BUSY", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED"})
"""What a server refuses, and may do when it is asked again."""


_MANY: Final = 1 << 31
"""Connections that a pool may have: each subscription has one."""


class Refusal(TransportError):
    """A server refused a command; `code` is its word for the reason, such as `NOGROUP`."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


class _Connection(Protocol):
    """What is used of redis-py's connections, which says no types for it."""

    def pack_commands(self, commands: Iterable[Iterable[Argument]], /) -> list[bytes]: ...
    async def send_packed_command(self, command: list[bytes], /) -> None: ...
    async def read_response(self) -> object: ...
    async def disconnect(self, nowait: bool = False) -> None: ...


class _Pool(Protocol):
    """What is used of redis-py's connection pool."""

    def make_connection(self) -> object: ...
    async def get_connection(self) -> _Connection: ...
    async def release(self, connection: _Connection, /) -> None: ...
    async def aclose(self) -> None: ...


class Connections:
    """Connections to one server, as many as are in use at a time."""

    def __init__(self, url: str, timeout: float, tls: ssl.SSLContext | None) -> None:
        """Connect when the first command is sent. Raises `ValueError` for a URL that redis-py does not take."""
        self.address: Final = show_address(url)
        self._timeout = timeout
        self._pool = _make_pool(url, timeout, tls)

    async def exchange(
        self, commands: Sequence[Command], *, blocks: float = 0.0, note_first: Callable[[Reply], None] | None = None
    ) -> list[Reply]:
        """Send commands on one connection that nothing else uses meanwhile, and read the replies, as RESP 2 has them.

        They have the timeout, and `blocks` seconds more. The first reply is noted before the others are read. Raises
        `TransportError` where there is no telling what became of the commands.
        """
        try:
            async with asyncio.timeout(self._timeout + blocks):
                connection = await self._pool.get_connection()
                try:
                    await connection.send_packed_command(connection.pack_commands(commands))
                    replies = [await self._read_reply(connection)]
                    if note_first is not None:
                        note_first(replies[0])
                    replies += [await self._read_reply(connection) for _ in commands[1:]]
                    if any(isinstance(reply, TransportUnavailable) for reply in replies):
                        await connection.disconnect()  # after a fail-over, somebody else has the address
                except BaseException:
                    await connection.disconnect(nowait=True)  # or the next would read this one's replies
                    raise
                finally:
                    await self._pool.release(connection)
                return replies
        except (RedisError, OSError) as error:
            raise translate(error, self.address, self._timeout) from None

    async def _read_reply(self, connection: _Connection) -> Reply:
        try:
            return await connection.read_response()
        except ResponseError as error:
            return translate(error, self.address, self._timeout)

    async def close(self) -> None:
        """Let go of all of them."""
        with suppress(RedisError, OSError):
            await self._pool.aclose()


def translate(error: Exception, address: str, timeout: float) -> TransportError:
    """Make an engine's error ours, without the user's name, which Redis may say; it never says a password."""
    text = re.sub("^User .* has no", "the user has no", str(error)) or type(error).__name__
    word = text.partition(" ")[0]
    if isinstance(error, AuthenticationError):
        return Refusal(f"{address} refused the credentials, or wants some: {text}", word)
    if isinstance(error, MovedError):
        return Refusal(f"{address} is one node of a cluster, and the channel is on another: {text}", word)
    if isinstance(error, ResponseError) and not (isinstance(error, _PASSING) or word in _PASSING_WORDS):
        return Refusal(f"{address} refused: {text}", word)
    if type(error) is TimeoutError:
        text = f"no answer in {timeout} s"
    return TransportUnavailable(f"{address} cannot be used at present: {text}")


class _TlsConnection(SSLConnection):
    """A connection by a TLS context that was given."""

    def __init__(self, *, tls: ssl.SSLContext, **others: Any) -> None:
        super().__init__(**others)  # pyright: ignore[reportUnknownMemberType] # redis-py types some of it
        self.ssl_context.context = tls


def _make_pool(url: str, timeout: float, tls: ssl.SSLContext | None) -> _Pool:
    """Make a pool, and one connection that is never connected, to know by now that it can be made."""
    if tls is not None and not url.startswith("rediss://"):
        raise ValueError(f"tls is for an address rediss://, not for {show_address(url)}")
    try:
        options: dict[str, Any] = {**parse_url(url)}
        if tls is not None:
            options.update(connection_class=_TlsConnection, tls=tls)
        # Nothing is sent twice behind our backs, nothing is decoded, and time is measured by `asyncio.timeout`.
        options.setdefault("max_connections", _MANY)
        options.update(
            protocol=2,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=timeout,
        )
        pool = cast(_Pool, ConnectionPool(**options))
        pool.make_connection()
    except (TypeError, ValueError, RedisError):
        # What redis-py says of it may hold a part of the password.
        raise ValueError(
            f"{show_address(url)} cannot be used: an address is redis://, rediss:// or unix://, "
            "with the parameters that redis-py knows, and what is special in a password is written as %XX"
        ) from None
    return pool
