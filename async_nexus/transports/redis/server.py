"""The way to a Redis server: its address, connections, commands that go together, and its errors made ours."""

import asyncio
import random
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
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

from ...errors import BadCall, TransportError, TransportUnavailable
from ..addresses import show_address

Argument: TypeAlias = bytes | str | int
Command: TypeAlias = tuple[Argument, ...]

_COMMANDS_AT_ONCE: Final = 256
_BYTES_AT_ONCE: Final = 1 << 20

_PASSING: Final = ReadOnlyError, ClusterDownError, TryAgainError
_PASSING_WORDS: Final = frozenset({"BUSY", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED"})
"""What a server refuses, and may do when it is asked again."""


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


class Server:
    """Sends commands to one server. Its errors are `TransportError`s, which show no credentials."""

    def __init__(self, url: str, *, timeout: float, replicas: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Connect when the first command is sent. Raises `ValueError` for a URL that redis-py does not take."""
        self.address: Final = show_address(url)
        self.timeout: Final = timeout
        self.is_closed = False
        self._replicas = replicas
        self._pool = _make_pool(url, timeout, tls)
        self._waiting: list[tuple[Command, bool, asyncio.Future[Any]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def call(self, *command: Argument) -> Any:
        """Send a command on a connection that nothing else uses meanwhile.

        Replies are as RESP 2 has them, with no further meaning read into them.
        """
        self._check_open()
        (reply,) = await self._exchange([command], self.timeout)
        return self._checked(reply)

    async def wait(self, *command: Argument, seconds: float, note_client: Callable[[Any], None]) -> Any:
        """Send a command that may block so many seconds, and tell before which client `CLIENT UNBLOCK` would name."""
        self._check_open()
        _, reply = await self._exchange([("CLIENT", "ID"), command], seconds + self.timeout, note_client)
        return self._checked(reply)

    async def send(self, *command: Argument, is_publish: bool = False) -> Any:
        """Send a command, together with those that others send at the time: they are one round trip.

        What is published is confirmed by as many replicas as were asked for.
        """
        self._check_open()
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, is_publish, reply))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await reply

    async def insist(self, *command: Argument) -> Any:
        """Send a command that may be done twice as often as it takes, for as long as the timeout says."""
        loop = asyncio.get_running_loop()
        deadline, pauses = loop.time() + self.timeout, growing_pauses()
        while True:
            try:
                return await self.send(*command)
            except TransportUnavailable:
                pause = next(pauses)
                if loop.time() + pause > deadline:
                    raise
                await asyncio.sleep(pause)

    async def drain(self) -> None:
        """Wait until what was sent is confirmed or refused."""
        while self._sending is not None:
            await asyncio.wait({self._sending})

    async def close(self) -> None:
        """Let go of all connections; what has had no answer yet fails."""
        self.is_closed = True
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})
        with suppress(RedisError, OSError):
            await self._pool.aclose()

    def _check_open(self) -> None:
        if self.is_closed:
            raise BadCall(f"the transport to {self.address} is closed")

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                if some := self._take_some():
                    await self._send_some(some)
        finally:
            self._sending = None
            for _, _, reply in self._waiting:
                _fail(reply, self._cut_off())
            self._waiting.clear()

    def _take_some(self) -> list[tuple[Command, bool, asyncio.Future[Any]]]:
        """Take from those who wait, who have not gone, what is not too much for one round trip."""
        count, size = 0, 0
        while count < min(len(self._waiting), _COMMANDS_AT_ONCE) and size < _BYTES_AT_ONCE:
            size += sum(len(each) for each in self._waiting[count][0] if isinstance(each, bytes))
            count += 1
        some, self._waiting = self._waiting[:count], self._waiting[count:]
        return [each for each in some if not each[2].done()]

    async def _send_some(self, some: list[tuple[Command, bool, asyncio.Future[Any]]]) -> None:
        commands = [command for command, _, _ in some]
        patience, waits = self.timeout, self._replicas > 0 and any(is_publish for _, is_publish, _ in some)
        if waits:
            commands.append(("WAIT", self._replicas, int(self.timeout * 1000)))
            patience += self.timeout
        try:
            replies = await self._exchange(commands, patience)
        except TransportError as error:
            for _, _, reply in some:
                _fail(reply, _copy(error))
            return
        except BaseException:
            for _, _, reply in some:
                _fail(reply, self._cut_off())
            raise
        missing = self._missing(replies.pop()) if waits else None
        for (_, is_publish, future), reply in zip(some, replies, strict=True):
            failed = isinstance(reply, Exception)
            self._answer(future, missing if missing and is_publish and not failed else reply)

    def _missing(self, confirmed: Any) -> Exception | None:
        """Say that too few replicas have confirmed, if that is so."""
        if isinstance(confirmed, Exception):
            return confirmed
        if confirmed >= self._replicas:
            return None
        return TransportUnavailable(
            f"{self.address} has it, but {confirmed} of {self._replicas} replicas confirmed it in {self.timeout} s"
        )

    def _answer(self, future: asyncio.Future[Any], reply: Any) -> None:
        if isinstance(reply, Exception):
            _fail(future, self._translate(reply))
        elif not future.done():
            future.set_result(reply)

    def _checked(self, reply: Any) -> Any:
        if isinstance(reply, Exception):
            raise self._translate(reply) from None
        return reply

    async def _exchange(
        self, commands: Sequence[Command], patience: float, note_first: Callable[[Any], None] | None = None
    ) -> list[Any]:
        """Send commands and read the replies, among which are the errors of single commands."""
        try:
            async with asyncio.timeout(patience):
                connection = await self._pool.get_connection()
                try:
                    await connection.send_packed_command(connection.pack_commands(commands))
                    replies = [await _read_reply(connection)]
                    if note_first is not None:
                        note_first(replies[0])
                    replies += [await _read_reply(connection) for _ in commands[1:]]
                    if any(isinstance(reply, ReadOnlyError) for reply in replies):
                        await connection.disconnect()  # who has the address now, after a fail-over, is asked anew
                    return replies
                except BaseException:
                    await connection.disconnect(nowait=True)  # or the next would read this one's replies
                    raise
                finally:
                    await self._pool.release(connection)
        except (RedisError, OSError) as error:
            raise self._translate(error) from None

    def _cut_off(self) -> TransportError:
        return TransportUnavailable(f"the transport to {self.address} was closed before the answer came")

    def _translate(self, error: Exception) -> TransportError:
        return translate(error, self.address, self.timeout)


def translate(error: Exception, address: str, timeout: float) -> TransportError:
    """Make an engine's error ours, without the user's name, which Redis may say; it never says a password."""
    if isinstance(error, TransportError):
        return error
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


async def _read_reply(connection: _Connection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _fail(reply: asyncio.Future[Any], error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)


def _copy(error: TransportError) -> TransportError:
    """Make an error for each who waits: one that is raised in several tasks would collect their tracebacks."""
    return Refusal(str(error), error.code) if isinstance(error, Refusal) else type(error)(*error.args)


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


def growing_pauses(first: float = 0.05, longest: float = 2.0) -> Iterator[float]:
    """Yield pauses for trying again, ever longer, at random so that many do not try together."""
    while True:
        yield first * random.uniform(0.5, 1.0)
        first = min(2 * first, longest)
