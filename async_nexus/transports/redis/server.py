"""A Redis server, and commands that are sent to it together."""

import asyncio
import random
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ...errors import BadCall, TransportError, TransportUnavailable
from .connections import Argument, Command, Connections, Refusal, Reply

_COMMANDS_AT_ONCE: Final = 256
_BYTES_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """A command, and who waits for its reply."""

    command: Command
    is_publish: bool
    reply: asyncio.Future[Reply]

    @property
    def size(self) -> int:
        return sum(len(argument) for argument in self.command if isinstance(argument, bytes))

    def fail(self, error: TransportError) -> None:
        """Raise a copy of an error: one that is raised in several tasks would collect their tracebacks."""
        if not self.reply.done():
            arguments = (str(error), error.code) if isinstance(error, Refusal) else error.args
            self.reply.set_exception(type(error)(*arguments))

    def answer(self, reply: Reply) -> None:
        if isinstance(reply, TransportError):
            self.fail(reply)
        elif not self.reply.done():
            self.reply.set_result(reply)


class Server:
    """Sends commands to one server. All that it raises is a `TransportError`, or `BadCall` once it is closed."""

    def __init__(self, url: str, *, timeout: float, replicas: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Connect when the first command is sent. Raises `ValueError` for a URL that cannot be used."""
        self._connections = Connections(url, timeout, tls)
        self.address: Final = self._connections.address
        self._timeout, self._replicas = timeout, replicas
        self._is_closed = False
        self._line = asyncio.Lock()
        self._waiting: list[_Request] = []
        self._sending: asyncio.Task[None] | None = None

    async def call(self, *command: Argument) -> Reply:
        """Send a command on a connection of its own."""
        self._check_open()
        (reply,) = await self._connections.exchange([command])
        return _checked(reply)

    async def block(self, *command: Argument, seconds: float, note_client: Callable[[Reply], None]) -> Reply:
        """Send a command that may block so long, and say before which client `CLIENT UNBLOCK` would name."""
        self._check_open()
        commands = [("CLIENT", "ID"), command]
        _, reply = await self._connections.exchange(commands, blocks=seconds, note_first=note_client)
        return _checked(reply)

    async def send(self, *command: Argument, is_publish: bool = False) -> Reply:
        """Send a command, at once or, where another is under way, together with all that come meanwhile.

        What is published is confirmed by as many replicas as were asked for.
        """
        self._check_open()
        if self._sending is None and not self._line.locked() and not (is_publish and self._replicas):
            async with self._line:  # as one alone it needs no task
                (reply,) = await self._connections.exchange([command])
            return _checked(reply)
        request = _Request(command, is_publish, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await request.reply

    async def insist(self, *command: Argument) -> Reply:
        """Send a command that may be done twice as often as it takes, for as long as the timeout says."""
        loop = asyncio.get_running_loop()
        deadline, pauses = loop.time() + self._timeout, growing_pauses()
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
        while self._sending is not None or self._line.locked():
            if self._sending is not None:
                await asyncio.wait({self._sending})
            else:
                async with self._line:
                    pass

    async def close(self) -> None:
        """Let go of all connections; what has had no answer yet fails."""
        self._is_closed = True
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})
        await self._connections.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise BadCall(f"the transport to {self.address} is closed")

    async def _send_all(self) -> None:
        try:
            async with self._line:
                while self._waiting:
                    if requests := self._take_some():
                        await self._send_together(requests)
        finally:
            self._sending = None
            self._cut_off(self._waiting)
            self._waiting.clear()

    def _take_some(self) -> list[_Request]:
        """Take of those who wait, and have not gone, what is not too much for one round trip."""
        count, size = 0, 0
        while count < min(len(self._waiting), _COMMANDS_AT_ONCE) and size < _BYTES_AT_ONCE:
            size += self._waiting[count].size
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return [request for request in taken if not request.reply.done()]

    async def _send_together(self, requests: list[_Request]) -> None:
        commands = [request.command for request in requests]
        waits = self._replicas > 0 and any(request.is_publish for request in requests)
        if waits:
            commands.append(("WAIT", self._replicas, int(self._timeout * 1000)))
        try:
            replies = await self._connections.exchange(commands, blocks=self._timeout if waits else 0.0)
        except TransportError as error:
            for request in requests:
                request.fail(error)
            return
        except BaseException:
            self._cut_off(requests)
            raise
        missing = self._missing(replies.pop()) if waits else None
        for request, reply in zip(requests, replies, strict=True):
            is_in_doubt = missing is not None and request.is_publish and not isinstance(reply, TransportError)
            request.answer(missing if is_in_doubt else reply)

    def _missing(self, confirmed: Reply) -> TransportError | None:
        """Say that too few replicas have confirmed, if that is so."""
        if isinstance(confirmed, TransportError):
            return confirmed
        if confirmed >= self._replicas:
            return None
        return TransportUnavailable(
            f"{self.address} has it, but {confirmed} of {self._replicas} replicas confirmed it in {self._timeout} s"
        )

    def _cut_off(self, requests: list[_Request]) -> None:
        error = TransportUnavailable(f"the transport to {self.address} was closed before the answer came")
        for request in requests:
            request.fail(error)


def _checked(reply: Reply) -> Reply:
    if isinstance(reply, TransportError):
        raise reply
    return reply


def growing_pauses(first: float = 0.05, longest: float = 2.0) -> Iterator[float]:
    """Yield pauses for trying again, ever longer, at random so that many do not try together."""
    while True:
        yield first * random.uniform(0.5, 1.0)
        first = min(2 * first, longest)
