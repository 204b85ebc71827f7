"""A member of a consumer group, as its server knows it: each method is a command or a script."""

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from ...errors import TransportError
from .. import Message
from . import scripts
from .connections import Argument, Refusal
from .layout import Names, read_message, write_dead_letter
from .server import Server


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as the member holds it: the id in the stream, and how often it has been delivered."""

    id: bytes
    message: Message
    attempt: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """What comes again, and what else is known of the group."""

    entries: list[Entry]
    due_in: float | None
    """Seconds until something more is due."""
    others: dict[bytes, int]
    """Members that hold something, and when they gave a sign of life, in milliseconds of the server's time."""
    gone: int
    """How many entries should have come again, and were not in the stream any more."""


class Member:
    """Reads, holds and settles entries under one name. Raises `Refusal` with `NOGROUP` where the group is gone."""

    def __init__(self, server: Server, names: Names, name: str, claim_after: float) -> None:
        """Make a member; one that gives no sign of life for `claim_after` seconds is taken for dead."""
        self.name: Final = name
        self.names: Final = names
        self._server, self._claim_after = server, claim_after
        self._reading_as: asyncio.Future[Any] | None = None
        """The client that reads now, as the server counts them."""

    async def make_group(self) -> None:
        """Have the group begin at the oldest message, unless it exists."""
        try:
            await self._server.send("XGROUP", "CREATE", self.names.log, self.names.group, "0", "MKSTREAM")
        except Refusal as refusal:
            if refusal.code != "BUSYGROUP":
                raise

    async def go_back(self, last_id: str) -> None:
        """Have the group get what comes after an id, and nothing else."""
        await self._run(scripts.GO_BACK, self.names.due, self.names.group, last_id)

    async def read(self, room: int, seconds: float) -> list[Entry]:
        """Read what is new, up to `room` entries, waiting for the first."""
        names, milliseconds = self.names, max(1, int(seconds * 1000))
        command = ("XREADGROUP", "GROUP", names.group, self.name, "COUNT", room, "BLOCK", milliseconds)
        client = self._reading_as = asyncio.get_running_loop().create_future()
        try:
            reply = await self._server.block(
                *(*command, "STREAMS", names.log, ">"), seconds=seconds, note_client=client.set_result
            )
        finally:
            self._reading_as = None
            client.cancel()
        entries: list[tuple[bytes, list[bytes]]] = reply[0][1] if reply else []
        return [Entry(each, read_message(each, fields), 1) for each, fields in entries]

    async def stop_reading(self) -> None:
        """Have a read that waits return now; where the server does not allow that, it returns in its time."""
        client = self._reading_as
        if client is not None:
            await asyncio.wait({client})
            if not client.cancelled() and isinstance(client.result(), int):
                with suppress(TransportError):
                    await self._server.send("CLIENT", "UNBLOCK", client.result())

    async def gather(self, room: int, held: list[bytes], *, recover: bool) -> Gathered:
        """Keep what is held, and take up to `room` entries that come again; what is one's own only to recover."""
        arguments = (self.names.group, self.name, room, int(self._claim_after * 1000), int(recover))
        reply = await self._run(scripts.GATHER, self.names.due, *arguments, *held)
        entries: list[tuple[bytes, list[bytes], int]] = reply[0]
        due_in: int = reply[1]
        others: list[Any] = reply[2]
        return Gathered(
            [Entry(each, read_message(each, fields), attempt) for each, fields, attempt in entries],
            None if due_in < 0 else due_in / 1000,
            dict(zip(others[::2], others[1::2], strict=True)),
            reply[3],
        )

    async def ack(self, entry: Entry) -> None:
        """Be done with an entry."""
        await self._server.insist("XACK", self.names.log, self.names.group, entry.id)

    async def put_back(self, entry: Entry, delay: float) -> None:
        """Have an entry come again in `delay` seconds."""
        arguments = (self.names.group, self.name, entry.id, math.ceil(delay * 1000), entry.attempt)
        await self._run(scripts.PUT_BACK, self.names.due, *arguments, insist=True)

    async def dead_letter(self, entry: Entry, reason: str) -> None:
        """Put an entry aside."""
        fields = write_dead_letter(entry.message, reason)
        await self._run(scripts.DEAD_LETTER, self.names.dead, self.names.group, entry.id, *fields, insist=True)

    async def release(self, in_flight: list[bytes], *, closing: bool) -> None:
        """Have what is held come again, but for what is in flight; closing, that too, and be no member any more."""
        await self._run(scripts.RELEASE, self.names.due, self.names.group, self.name, int(closing), *in_flight)

    async def forget(self, older_than: timedelta) -> None:
        """Have the stream forget what is older and all groups have settled."""
        milliseconds = older_than // timedelta(milliseconds=1)
        await self._server.send("EVAL", scripts.TRIM, 1, self.names.log, milliseconds)

    async def _run(self, script: str, other_key: str, *arguments: Argument, insist: bool = False) -> Any:
        # Sent whole each time: it is no part of the way of a message that succeeds, and so outlives any restart.
        send = self._server.insist if insist else self._server.send
        return await send("EVAL", script, 2, self.names.log, other_key, *arguments)
