"""What a consumer and a server go through while events are sent, and the verdict on what became of the events."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from .engines import Server
from .programs import Job, Role, noted
from .running import Running
from .trial import in_thread

A_LOOK: Final = 0.02
"""Seconds between two looks at how far the programs are."""

Letters: TypeAlias = Sequence[tuple[bytes, str]]
"""Bodies and reasons of what was put aside."""


@dataclass(kw_only=True)
class Ordeal:
    """A program that sends, and one that handles and is killed; the server is, too, if there is one."""

    job: Job
    start: Callable[[Role, Path], Running]
    read_letters: Callable[[], Awaitable[Letters]]
    directory: Path
    kills: int
    server: Server | None = None
    patience: float
    """Seconds without any progress, while the server is there, after which what is not handled counts as lost."""
    forgets: float = 0.0
    """Seconds: what was acknowledged so long before the server is killed may come again."""
    _forgotten: int = field(default=0, init=False)
    _is_down: bool = field(default=False, init=False)

    async def run(self) -> "Outcome":
        """Go through with it until there is nothing more to come."""
        async with AsyncExitStack() as stack:
            producer = self._start(stack, "produce")
            async with asyncio.TaskGroup() as group:
                group.create_task(producer.ended())
                group.create_task(self._kill_server(producer))
                consumer = await self._kill_consumers(stack)
            await self._reaches(self._count_handled, self._to_handle, consumer)
            await self._reaches(self._count_letters, len(self.job.poisoned()), consumer)
            consumer.stop()
            await consumer.ended()
        handled, confirmed = noted(self._notes("consume")), noted(self._notes("produce"))
        return Outcome(self.job, confirmed, handled, await self.read_letters(), self._forgotten)

    def _notes(self, role: Role) -> Path:
        return self.directory / f"{role}.notes"

    def _start(self, stack: AsyncExitStack, role: Role) -> Running:
        running = self.start(role, self._notes(role))
        stack.push_async_callback(running.kill)
        return running

    async def _kill_consumers(self, stack: AsyncExitStack) -> Running:
        """Kill consumers, each when it has done its part, and return one that lives."""
        for number in range(1, self.kills + 1):
            consumer = self._start(stack, "consume")
            part = self._to_handle * number // (self.kills + 1)
            assert await self._reaches(self._count_handled, part, consumer), await self._report()
            await consumer.kill()
        return self._start(stack, "consume")

    async def _kill_server(self, producer: Running) -> None:
        """Kill the server when half of the events are confirmed, and start it again."""
        if self.server is not None:
            assert await self._reaches(self._count_confirmed, self.job.events // 2, producer), await self._report()
            self._is_down, since = True, time.monotonic_ns() - round(self.forgets * 1e9)
            await in_thread(self.server.kill)
            if self.forgets:
                self._forgotten = len(noted(self._notes("consume"), since))
            await in_thread(self.server.restart)
            self._is_down = False

    async def _reaches(self, count: Callable[[], Awaitable[int]], goal: int, program: Running) -> bool:
        """Wait until a count reaches its goal, or has not grown for too long; raises what goes wrong in the program."""
        loop = asyncio.get_running_loop()
        highest, since = 0, loop.time()
        while (now := await count()) < goal:
            program.check()
            if now > highest or self._is_down:
                highest, since = now, loop.time()
            elif loop.time() - since > self.patience:
                return False
            await asyncio.sleep(A_LOOK)
        return True

    @property
    def _to_handle(self) -> int:
        return self.job.events - len(self.job.poisoned())

    async def _count_confirmed(self) -> int:
        return len(set(noted(self._notes("produce"))))

    async def _count_handled(self) -> int:
        return len(set(noted(self._notes("consume"))))

    async def _count_letters(self) -> int:
        return len({body for body, _ in await self.read_letters()})

    async def _report(self) -> str:
        confirmed, handled = await self._count_confirmed(), await self._count_handled()
        log = self.directory / "log"
        last = log.read_text(errors="replace")[-3000:] if log.exists() else ""
        return f"stuck for {self.patience} s with {confirmed} events confirmed and {handled} handled\n{last}"


@dataclass(frozen=True)
class Outcome:
    """What became of the events: numbers as they were noted, and what was put aside."""

    job: Job
    confirmed: Sequence[int]
    handled: Sequence[int]
    letters: Letters
    forgotten: int = 0
    """How many may have been forgotten by a server that was killed, although they were acknowledged."""

    def check(self, *, doubled: int) -> None:
        """Raise `AssertionError` for what is missing or put aside wrongly, or if more than so many are doubled.

        What a server has forgotten is not counted.
        """
        poisoned = self.job.poisoned()
        missing = set(self.confirmed) - poisoned - set(self.handled)
        assert not missing, f"confirmed, but not handled: {_some(missing)}"
        aside = {_number_in(body): reason for body, reason in self.letters}
        unburied = (set(self.confirmed) & poisoned) - aside.keys()
        assert not unburied, f"poison that is not among the dead letters: {_some(unburied)}"
        wrongly = aside.keys() - poisoned
        assert not wrongly, f"put aside, but no poison: {_some(wrongly)}: {aside[min(wrongly)]}"
        unclear = {number for number, reason in aside.items() if "number" not in reason}
        assert not unclear, f"the reason does not name the field: {_some(unclear)}: {aside[min(unclear)]!r}"
        assert not poisoned & set(self.handled), "poison was handled"
        assert set(self.confirmed) == set(range(self.job.events)), "the producer has not sent all"
        again = len(self.handled) - len(set(self.handled))
        assert again <= doubled + self.forgotten, (
            f"{again} events were handled again, where {doubled} could have been in flight, and {self.forgotten} be "
            "forgotten"
        )


def _number_in(body: bytes) -> int:
    """Read the number of a poisoned order."""
    envelope: dict[str, Any] = json.loads(body)
    return int(str(envelope["data"]["number"]).removeprefix("poison "))


def _some(numbers: Collection[int]) -> str:
    return f"{len(numbers)} events, the first of them {sorted(numbers)[:5]}"
