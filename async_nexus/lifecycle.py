"""The life of a nexus: who may ingest when, how it starts and stops; its sources are left to `supervision`.

The loop task supervises and handles nothing itself: turns run in the tasks that ingest.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context
from enum import StrEnum
from typing import Any, Final

from .begun import Begun
from .blocking import is_here
from .companions import Companion, Companions
from .errors import BadCall, LoopAlreadyStarted, LoopStopped, NotStarted, raise_together
from .lines import Line
from .sources import EventProducer
from .supervision import Source, Supervision

logger: Final = logging.getLogger("async_nexus")

LAST_MOMENT: Final = 1.0
"""Seconds that what was cut off has to clean up before it is left behind."""


class State(StrEnum):
    """Where a nexus is in its life (L1)."""

    READY = "READY"
    STARTING = "STARTING"
    LOOPING = "LOOPING"
    STOPPED = "STOPPED"


class Lifecycle:
    """Runs the sources of one nexus from `start` to `stop`.

    `accepts` is true while everybody may ingest; `refusal` decides where it is not.
    """

    def __init__(
        self,
        line: Line,
        ingest: Callable[[Any], Coroutine[Any, Any, None]],
        ingest_json: Callable[[bytes], Coroutine[Any, Any, None]],
        tell: Callable[[bool], None] = lambda accepts: None,
    ) -> None:
        """Make the life of a nexus; `tell` is called with `accepts` whenever that changes."""
        self.state: State = State.READY
        self.accepts: bool = False
        self.is_isolated: bool = False
        self._is_lent = False
        self._tell = tell
        self._line = line
        self.ingest = ingest
        self.ingest_json = ingest_json
        self._supervision = Supervision(line, ingest, lambda: self.state is State.LOOPING)
        self._companions = Companions(self._supervision.failures.append)
        self._loop_task: asyncio.Task[None] | None = None
        self._until_complete = False
        self._cutter: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._is_given_up = False

    # What belongs to it

    def check_registrable(self) -> None:
        """Raise `BadCall` where nothing can be registered any more."""
        if self.state is State.STOPPED:
            raise BadCall("the nexus has stopped: register before that")

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that this nexus runs."""
        return tuple(self._supervision.sources)

    def check_ready(self) -> None:
        """Raise `BadCall` once the nexus has been started."""
        if self.state is not State.READY:
            raise BadCall(f"a nexus is entered before it is started, this one is {self.state}")

    def add(self, source: Source) -> None:
        """Take a source in: it is started with the others, or at once where they run already."""
        self._supervision.add(source)

    def share(self, producer: EventProducer[Any]) -> None:
        """Take in a producer that another nexus runs."""
        self._supervision.shared.append(producer)

    @property
    def shared(self) -> tuple[EventProducer[Any], ...]:
        """The producers that other nexuses run."""
        return tuple(self._supervision.shared)

    def look_again(self) -> None:
        """See whether every source is exhausted, for a producer that another nexus runs may be."""
        if self._loop_task is not None and not self._loop_task.get_loop().is_closed():
            self._supervision.changed.set()

    def spawn(self, source: Source, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a source's coroutine in a supervised task. Raises `BadCall` when the nexus does not run."""
        return self._supervision.spawn(source, work)

    def accompany(self, companion: Companion) -> None:
        """Tell a companion of start and end, from now on."""
        self._companions.add(companion)
        if self._loop_task is not None and self.state is not State.STOPPED:
            companion.begin(self._loop_task.get_loop())

    def isolate(self) -> None:
        """Leave out, before the start, all that events come from but `ingest`: sources, and what a journal holds."""
        self.is_isolated = True
        self._supervision.sources.clear()
        self._supervision.shared.clear()

    @contextmanager
    def lent(self) -> Generator[None]:
        """Accept events without a start; `stop` does nothing meanwhile, and only `cleanup` ends the nexus."""
        self._is_lent = self.accepts = True
        try:
            yield
        finally:
            self._is_lent = self.accepts = False

    def context(self) -> Context:
        """Make the context in which tasks may ingest until the end, in turns of their own."""
        return self._line.context()

    # Who may ingest

    def refusal(self) -> BadCall | None:
        """Return why the running task may not ingest now, or nothing if it may (L1, L3)."""
        if self.accepts:
            return None
        running = self.state in (State.STARTING, State.LOOPING) and not self._supervision.is_cut
        if running and self._line.is_at_home():
            return None
        if self.state is State.READY:
            return NotStarted("the nexus has not been started: call `start()` before events come")
        return LoopStopped("the nexus takes no more events: it is stopping or has stopped")

    def is_nested(self) -> bool:
        """Tell whether the running task was born in a turn, of whichever nexus."""
        return self._line.is_nested()

    def _accept(self, accepts: bool) -> None:
        self.accepts = accepts
        self._tell(accepts)

    def admit(self) -> None:
        """Raise what `refusal` returns."""
        refusal = self.refusal()
        if refusal is not None:
            raise refusal

    # Start and stop

    def start(self, *, until_complete: bool = False) -> asyncio.Task[None]:
        """Start; the task that is returned ends when the nexus has stopped, and raises what went wrong.

        Raises `LoopAlreadyStarted`, or `LoopStopped` after the end.
        """
        if self.state is State.STOPPED:
            raise LoopStopped("the nexus has stopped: make a new one")
        if self.state is not State.READY or self._is_lent:
            raise LoopAlreadyStarted("the nexus has been started already")
        loop = asyncio.get_running_loop()
        self._until_complete = until_complete
        self._loop_task = loop.create_task(Begun(self._run()), context=self._line.context(), name="async_nexus loop")
        self.state = State.STARTING
        self._accept(True)
        self._companions.begin(loop)
        return self._loop_task

    def stop(self, grace: float | None = None) -> None:
        """Stop in good order; after `grace` seconds, cut off what still runs (L3)."""
        if grace is not None and not grace >= 0:
            raise ValueError(f"grace is a number of seconds from 0, not {grace}")
        if self._loop_task is None and not self._is_lent:
            self._ended()
        if self.state is State.STOPPED or self._loop_task is None:
            return
        loop = self._loop_task.get_loop()
        if loop.is_running() and not is_here(loop):
            loop.call_soon_threadsafe(self.stop, grace)
            return
        self._supervision.wind_up()
        self._accept(False)
        if grace is not None:
            deadline = loop.time() + grace
            if self._cutter is None or deadline < self._cutter.when():
                if self._cutter is not None:
                    self._cutter.cancel()
                self._cutter = loop.call_at(deadline, self._cut_off)

    async def _run(self) -> None:
        """Supervise until there is a reason to stop, then stop: the body of the loop task."""
        cancelled: asyncio.CancelledError | None = None
        try:
            await self._supervise()
        except asyncio.CancelledError as error:
            cancelled = error
        try:
            self.stop(None if cancelled is None else 0.0)
            cancelled = await self._until_ended() or cancelled
        finally:
            self._ended()
        if cancelled is not None:
            self._supervision.log_failures()
            raise cancelled
        raise_together(self._supervision.failures.copy(), "sources failed")  # `finish` looks for further ones

    async def _supervise(self) -> None:
        await self._companions.prepare()
        if self.state is State.STARTING:
            self.state = State.LOOPING
        supervision = self._supervision
        if not (supervision.is_winding_up or supervision.failures):
            supervision.begin()
        while not (
            supervision.is_winding_up or supervision.failures or (self._until_complete and supervision.is_exhausted)
        ):
            supervision.changed.clear()
            await supervision.changed.wait()

    async def _until_ended(self) -> asyncio.CancelledError | None:
        """End, whatever cancels the loop task meanwhile: that cuts off what still runs, and is returned."""
        cancelled: asyncio.CancelledError | None = None
        while True:
            before = cancelled
            self._ending = asyncio.get_running_loop().create_task(self._end(), context=self._line.context())
            while not self._ending.done():
                try:
                    await asyncio.wait((self._ending,))
                except asyncio.CancelledError as error:
                    cancelled = error
                    self.stop(0.0)
            if self._is_given_up:
                return cancelled
            # If all tasks there are were cancelled, as `asyncio.run` does at its end, there is still something to end.
            if cancelled is before or not self._ending.cancelled():
                self._ending.result()
                return cancelled

    async def _end(self) -> None:
        """End the sources side by side, then wait for the turns that are in line."""
        self._companions.wind_up(self._supervision.is_bringing)
        await self._supervision.end()
        await self._companions.settle(self._line.quiet)
        await self._supervision.close_all()  # those that were added meanwhile, too
        await self._companions.close()

    def _cut_off(self) -> None:
        """Cancel what still runs, and name it; what does not end then is given up after a last moment."""
        if self._supervision.is_cut:
            return
        labels = self._line.cut_off()
        if labels:
            logger.warning("the nexus was stopped before it had handled %s", ", ".join(labels))
        self._supervision.cut_off()
        self._cutter = asyncio.get_running_loop().call_later(LAST_MOMENT, self._give_up)

    def _give_up(self) -> None:
        if self._ending is not None and not self._ending.done():
            names = self._supervision.left_behind() or "a handler"
            logger.error("the nexus stopped without waiting for what ignores cancellation: %s", names)
            self._is_given_up = True
            self._ending.cancel()

    def _ended(self) -> None:
        self.state = State.STOPPED
        self._accept(False)
        if self._cutter is not None:
            self._cutter.cancel()
        self._supervision.say_ended()
        self._companions.end()

    # The end

    async def finish(self) -> None:
        """Stop in good order and wait for it; raise what nobody has been told of yet."""
        self.stop()
        task = self._loop_task
        while task is not None and not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                task.cancel()
                await asyncio.wait((task,))
                raise
        known = len(self._supervision.failures)
        await self._supervision.close_all()
        # asyncio keeps no public record of whether a task's exception has been retrieved.
        if task is not None and not task.cancelled() and getattr(task, "_log_traceback", False):
            task.result()
        raise_together(self._supervision.failures[known:], "sources failed to close")

    def cleanup(self) -> None:
        """Cancel a loop that still runs, close the sources, each of them tried; raise failures together."""
        task = self._loop_task
        if task is not None and not task.done() and task.get_loop().is_running():
            self.stop(0.0)
            self.state = State.STOPPED
            task.cancel()
            return
        self._supervision.is_winding_up = True  # without waking a loop task: its loop may be closed
        self._ended()
        self._supervision.close_now()
