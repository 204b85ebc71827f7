"""What a transport with subscriptions does beside them: sees what other processes wrote, takes over, tidies up."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Final

from ...errors import TransportError
from ...group_commit import GroupCommit
from .owners import Owner, bury, find_dead
from .retention import Retention, delete_portion
from .tables import now

logger: Final = logging.getLogger("async_nexus")

SHORTEST_PAUSE: Final = 0.002
_GROWTH: Final = 1.5
_PAUSE_AFTER_ERROR: Final = 1.0
_BETWEEN_BURIALS: Final = 0.2
_BETWEEN_PORTIONS: Final = 1.0


class Upkeep:
    """Looks after a file again and again; `wake` is called when there may be new messages."""

    def __init__(
        self, commits: GroupCommit, owner: Owner, retention: Retention, poll: float, wake: Callable[[], None]
    ) -> None:
        self._commits = commits
        self._owner = owner
        self._retention = retention
        self._longest_pause = poll
        self._wake = wake
        self._version: int | None = None

    async def run(self) -> None:
        """Go on until cancelled. The pauses grow while no other process writes."""
        time = asyncio.get_running_loop().time
        burial = portion = 0.0
        pause = SHORTEST_PAUSE
        while True:
            try:
                has_more = False
                if time() >= burial:
                    await self._bury_dead()
                    burial = time() + _BETWEEN_BURIALS
                if time() >= portion:
                    has_more = await self._delete_portion()
                    portion = time() + (0.0 if has_more else _BETWEEN_PORTIONS)
                is_busy = await self._see_others() or has_more
                pause = SHORTEST_PAUSE if is_busy else min(pause * _GROWTH, self._longest_pause)
            except TransportError as error:
                logger.warning("looking after the transport's file failed: %s", error)
                self._wake()  # should it last, those who wait for messages hear of it
                pause = _PAUSE_AFTER_ERROR
            await asyncio.sleep(pause)

    async def _see_others(self) -> bool:
        """Whether another connection has written since the last time."""
        before, self._version = self._version, await self._commits.read(_read_version)
        if before == self._version:
            return False
        self._wake()
        return True

    async def _bury_dead(self) -> None:
        path = self._commits.path
        dead = await self._commits.read(partial(find_dead, path=path, own=self._owner.id))
        if dead:
            await self._commits.submit(partial(bury, path=path, dead=dead))
            logger.info("%s: %d owners of messages have ended; what they held comes again", path, len(dead))
            self._wake()

    async def _delete_portion(self) -> bool:
        return await self._commits.submit(partial(delete_portion, retention=self._retention, now=now()))


def _read_version(connection: sqlite3.Connection) -> int:
    """Return what changes when another connection has written: https://sqlite.org/pragma.html#pragma_data_version."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)
