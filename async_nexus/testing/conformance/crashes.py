"""The long claims: thousands of events, handlers that fail, poison, programs and servers that die meanwhile."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from ...transports import Transport
from .engines import Server
from .ordeal import Letters, Ordeal, Outcome
from .programs import CONSUMER, Job, Role, noted
from .running import Assignment, InProcess, InTask, Running
from .trial import Trial, as_claimed, claim, ids_of, messages


class CrashClaims:
    """Claims on what is lost and what is doubled when programs do not end as they should."""

    events: ClassVar[int] = 3_000
    """How many are sent."""
    kills: ClassVar[int] = 3
    """How often what consumes them is killed."""
    in_flight: ClassVar[int] = 10
    """How many are under way at a time, on either side."""
    poison: ClassVar[float] = 0.01
    """Share of events whose payload the receiving domain does not take."""
    failures: ClassVar[float] = 0.1
    """Share of handlings that fail."""
    seed: ClassVar[int] = 7
    """What draws the failures."""
    forgets: ClassVar[float] = 0.0
    """Seconds of acknowledgements that a server which is killed may forget, beyond those that are under way."""
    crash_patience: ClassVar[float] = 20.0
    """Seconds without any progress, while the server is there, after which what is not handled counts as lost."""

    @pytest.mark.slow
    @claim("processes", patiences=None)
    async def test_killed_processes_lose_nothing(self, trial: Trial) -> None:
        """Confirmed is handled, poison put aside; no more is doubled than was in flight when something was killed."""
        server = trial.begin(trial.engine.server) if trial.engine.server else None
        arguments = trial.engine.arguments if server is None else server.arguments
        transport, job = await trial.open(arguments), self._job(trial)

        def start(role: Role, notes: Path) -> Running:
            assignment = Assignment(
                role=role, factory=trial.engine.factory, arguments=dict(arguments), job=job, notes=notes
            )
            return InProcess(assignment, trial.directory / "log")

        outcome = await self._go_through(trial, transport, job, start, server)
        # A server that dies takes along what was being confirmed, and what was being acknowledged.
        kills = self.kills + (2 if server else 0)
        outcome.check(doubled=kills * self.in_flight)

    @pytest.mark.slow
    @claim(patiences=None)
    async def test_cancelled_consumers_lose_nothing(self, trial: Trial) -> None:
        """The same within one process, where what consumes is cancelled: a deployment's day in a second."""
        transport, job = await trial.transport(), self._job(trial)
        outcome = await self._go_through(
            trial, transport, job, lambda role, notes: InTask(role, job, transport, notes), None
        )
        outcome.check(doubled=self.kills * self.in_flight)

    @claim("processes", patiences=None)
    async def test_order_outlives_a_killed_process(self, trial: Trial) -> None:
        """Who follows at once when a process is killed with the first gets all in order, where the engine says so."""
        transport, notes = await trial.transport(), trial.directory / "held"
        await trial.announce(CONSUMER)
        given = messages(3)
        await trial.publish(*given)
        holding = InProcess(
            Assignment(
                role="hold",
                factory=trial.engine.factory,
                arguments=dict(trial.engine.arguments),
                job=self._job(trial),
                notes=notes,
            ),
            trial.directory / "log",
        )
        try:
            async with asyncio.timeout(self.crash_patience):
                while not noted(notes):
                    holding.check()
                    await asyncio.sleep(0.01)
        finally:
            await holding.kill()
        came = ids_of(await (await trial.subscribe(CONSUMER)).handle(3, self.crash_patience))
        ordered = transport.abilities.ordered
        assert as_claimed(came, ordered=ordered) == as_claimed(ids_of(given), ordered=ordered)

    def _job(self, trial: Trial) -> Job:
        return Job(
            channel=trial.channel,
            events=self.events,
            poison=self.poison,
            failures=self.failures,
            in_flight=self.in_flight,
            seed=self.seed,
        )

    async def _go_through(
        self,
        trial: Trial,
        transport: Transport,
        job: Job,
        start: Callable[[Role, Path], Running],
        server: Server | None,
    ) -> Outcome:
        async def read_letters() -> Letters:
            return [(message.body, reason) async for message, reason in transport.dead_letters(job.channel, CONSUMER)]

        await trial.announce(CONSUMER, on=transport)
        return await Ordeal(
            job=job,
            start=start,
            read_letters=read_letters,
            directory=trial.directory,
            kills=self.kills,
            server=server,
            patience=self.crash_patience,
            forgets=self.forgets,
        ).run()
