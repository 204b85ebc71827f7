"""The long claims: thousands of events, failing handlers, poison, and consumers and servers that die in the midst of it."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from ...transports import Transport
from .engines import Arguments, Server
from .outages import in_thread
from .processes import Assignment, Child
from .programs import CONSUMER, Job, consumer, noted, noting, produce
from .trial import Trial, claim

A_LOOK: float = 0.02


class CrashClaims:
    """Claims on what is lost, and what is doubled, when programs end as they should not."""

    events: ClassVar[int] = 3_000
    """How many are sent."""
    kills: ClassVar[int] = 3
    """How often the consuming program is killed."""
    in_flight: ClassVar[int] = 10
    """How many events are under way at a time, on either side."""
    poison: ClassVar[float] = 0.01
    """Share of events whose payload the receiving domain does not take."""
    failures: ClassVar[float] = 0.1
    """Share of handlings that fail."""
    seed: ClassVar[int] = 7
    crash_patience: ClassVar[float] = 120.0
    """Seconds in which all of it is handled."""

    @pytest.mark.slow
    @claim("processes")
    async def test_nothing_is_lost_when_processes_are_killed(self, trial: Trial) -> None:
        """Confirmed is handled, poison put aside, and little doubled, though consumers and the server are killed."""
        async with AsyncExitStack() as stack:
            private = trial.engine.server
            server = await stack.enter_async_context(in_thread(private())) if private else None
            arguments = server.arguments if server else trial.engine.arguments
            transport = await trial.open(arguments)
            await trial.announce(CONSUMER, on=transport)
            run = _Run(self._job(trial), trial, arguments)
            with ExitStack() as children:
                await asyncio.wait_for(run.to_the_end(children, self.kills, server), self.crash_patience)
            await self._judge(run.job, run.confirmed, run.handled, transport, self.kills, bool(server))

    @pytest.mark.slow
    @claim()
    async def test_nothing_is_lost_when_consumers_are_cancelled(self, trial: Trial) -> None:
        """The same within a process, in which the consuming task is cut off."""
        ...

    def _job(self, trial: Trial) -> Job:
        return Job(
            channel=trial.channel,
            notes=trial.directory / "notes",
            events=self.events,
            poison=self.poison,
            failures=self.failures,
            in_flight=self.in_flight,
            seed=self.seed,
        )
