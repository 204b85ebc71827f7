"""The sources of a nexus: their tasks are supervised, what fails in them is kept, each is closed once."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeAlias

from .begun import Begun
from .errors import AsyncNexusError, BadCall, NoMoreEvents, raise_together
from .lines import Line
from .sources import EventProducer, SimpleEventConverter

Source: TypeAlias = EventProducer[Any] | SimpleEventConverter[Any]

logger: Final = logging.getLogger("async_nexus")

_EVENTS_AT_A_TIME: Final = 32
"""After so many events a converter lets others run, signals among them, though neither it nor a handler ever waits."""


class Supervision:
    """Runs sources, each in tasks of its own, from `begin` to `end`.

    `failures` has what went wrong. `changed` is set whenever there is something new to look at.
    """

    def __init__(
        self, line: Line, ingest: Callable[[Any], Coroutine[Any, Any, None]], is_looping: Callable[[], bool]
    ) -> None:
        """Supervise sources of the nexus whose `line` and `ingest` these are, while `is_looping` says that it runs."""
        self.sources: list[Source] = []
        self.shared: list[EventProducer[Any]] = []
        """Producers that another nexus runs, which send their events here as well."""
        self.failures: list[BaseException] = []
        self.changed: asyncio.Event = asyncio.Event()
        self.is_winding_up: bool = False
        self.is_cut: bool = False
        self._line = line
        self._ingest = ingest
        self._is_looping = is_looping
        self._tasks: dict[asyncio.Task[Any], Source] = {}
        self._closed: set[int] = set()
        self._being_closed: list[Source] = []
        self._over: set[int] = set()
        self._holding: set[int] = set()
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether all tasks of all sources have ended, wherever these run."""
        return not self._tasks and all(producer.is_exhausted for producer in self.shared)

    def add(self, source: Source) -> None:
        """Take a source in: it begins with the others, or at once where they have begun already."""
        if any(each is source for each in self.sources):
            raise BadCall(f"this {type(source).__qualname__} has been added to the nexus already")
        self.sources.append(source)
        if self._is_looping() and not self.is_winding_up:
            self._begin(source)

    def begin(self) -> None:
        """Begin all sources, side by side."""
        for source in tuple(self.sources):
            self._begin(source)

    def wind_up(self) -> None:
        """Ask no converter for another event, and begin no source any more."""
        self.is_winding_up = True
        self.changed.set()

    def spawn(self, source: Source, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a source's coroutine in a supervised task. Raises `BadCall` when the nexus does not run."""
        if not self._is_looping() or self.is_cut or id(source) in self._over:
            raise BadCall(f"{type(source).__qualname__} can run tasks only while its nexus runs it")
        task = asyncio.get_running_loop().create_task(work, context=self._line.context())
        self._tasks[task] = source
        task.add_done_callback(self._task_ended)
        self._say_exhausted(source, False)
        return task

    @staticmethod
    def _say_exhausted(source: Source, is_exhausted: bool) -> None:
        if isinstance(source, EventProducer) and source.is_exhausted is not is_exhausted:
            source.is_exhausted = is_exhausted

    def _begin(self, source: Source) -> None:
        if isinstance(source, EventProducer):
            self.spawn(source, self._start(source))
        else:
            self.spawn(source, self._pump(source))

    @staticmethod
    async def _start(producer: EventProducer[Any]) -> None:
        """Start a producer: also a `start` that is not `async` raises in its own task."""
        await producer.start()

    async def _pump(self, source: SimpleEventConverter[Any]) -> None:
        """Ask a converter for one event after another, each when the one before has been handled."""
        for number in itertools.count(1):
            if self.is_winding_up:
                return
            if not number % _EVENTS_AT_A_TIME:
                await asyncio.sleep(0)
            try:
                event = await source.obtain_event()
            except NoMoreEvents:
                return
            self._holding.add(id(source))
            try:
                await self._ingest(event)
            finally:
                self._holding.discard(id(source))

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        source = self._tasks.pop(task)
        self.changed.set()
        self._line.moved()
        if not self._tasks_of(source):
            self._say_exhausted(source, True)
        error = _ended_by(task, source)
        if error is None:
            return
        if self.is_cut:
            logger.info("a task of %s was cut off", type(source).__qualname__, exc_info=error)
        else:
            self.failures.append(error)

    async def end(self) -> None:
        """End the sources side by side: each finishes what it holds, and is closed (L3)."""
        await asyncio.gather(*map(self._end_source, self.sources))

    def is_bringing(self, waiting: set[asyncio.Task[Any] | None]) -> bool:
        """Whether a source that has not ended may bring events: one all of whose tasks are `waiting` cannot."""
        return any(
            not (tasks := self._tasks_of(source)) or not waiting >= set(tasks)
            for source in self.sources
            if id(source) not in self._over
        )

    async def _end_source(self, source: Source) -> None:
        if isinstance(source, EventProducer):
            await self._close(source)
            async with source.delivered():
                await self._cancel_tasks(source)
        else:
            if id(source) in self._holding:
                await asyncio.wait(self._tasks_of(source))
            await self._cancel_tasks(source)
            await self._close(source)

    def _tasks_of(self, source: Source) -> list[asyncio.Task[Any]]:
        return [task for task, each in self._tasks.items() if each is source]

    async def _cancel_tasks(self, source: Source) -> None:
        while tasks := self._tasks_of(source):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        self._over.add(id(source))
        self._line.moved()

    async def _close(self, source: Source) -> None:
        self._being_closed.append(source)
        try:
            closing = self._call_close(source)
            if closing is not None:
                await closing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Else it came from a task that `close` had cancelled and then awaited: that one has ended.
        except BaseException as error:  # whatever it is, it is raised when the others have been closed
            self.failures.append(error)
        finally:
            self._being_closed.remove(source)

    def _call_close(self, source: Source) -> Awaitable[None] | None:
        """Call a source's `close`, once in its life."""
        if id(source) in self._closed:
            return None
        self._closed.add(id(source))
        return source.close()

    def cut_off(self) -> None:
        """Cancel all tasks; what they raise now is logged only."""
        self.is_cut = True
        for task in tuple(self._tasks):
            task.cancel()

    def left_behind(self) -> list[str]:
        """Name the sources that have tasks which run, or that are being closed."""
        return sorted({type(source).__qualname__ for source in (*self._tasks.values(), *self._being_closed)})

    def say_ended(self) -> None:
        """Tell the other nexuses that get a producer's events: no more of them come."""
        for source in self.sources:
            self._say_exhausted(source, True)

    def log_failures(self, *_: object) -> None:
        """Tell of failures that cannot be raised."""
        for failure in self.failures:
            logger.error("a source failed while the nexus was cancelled", exc_info=failure)

    async def close_all(self) -> None:
        """Close one source after the other, each of them tried."""
        for source in self.sources:
            await self._close(source)

    def close_now(self) -> None:
        """Close all sources, each of them tried, and raise failures together.

        What closing waits for is waited for, in a running loop by a task, which logs failures.
        """
        errors: list[BaseException] = []
        closings: list[Awaitable[None]] = []
        for source in self.sources:
            try:
                closing = self._call_close(source)
            except BaseException as error:
                errors.append(error)
            else:
                closings += [] if closing is None else [closing]
        if closings:
            self._await_closings(closings, errors)
        raise_together(errors, "sources failed to close")

    def _await_closings(self, closings: list[Awaitable[None]], errors: list[BaseException]) -> None:
        async def each_tried() -> None:
            cancelled: asyncio.CancelledError | None = None
            for closing in closings:
                try:
                    await closing
                except asyncio.CancelledError as error:
                    cancelled = error
                except BaseException as error:
                    errors.append(error)
            if cancelled is not None:
                raise cancelled

        async def logged() -> None:
            try:
                await each_tried()
            finally:
                for error in errors:
                    logger.error("a source failed to close", exc_info=error)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            pass  # closes below, for what goes wrong there has nothing to do with this error
        else:
            self._closing = loop.create_task(Begun(logged()))  # the loop holds tasks weakly
            return
        asyncio.run(each_tried())


def _ended_by(task: asyncio.Task[Any], source: Source) -> BaseException | None:
    """Return what went wrong in a source's task: also a cancellation that ended it, and was not meant for it."""
    try:
        return task.exception()
    except asyncio.CancelledError as cancelled:
        if task.cancelling():
            return None
        error = AsyncNexusError(
            f"a task of {type(source).__qualname__} was ended by a cancellation that nobody had asked of it: what it "
            "awaited, perhaps in a handler, had been cancelled; catch `CancelledError` there"
        )
        error.__cause__ = cancelled
        return error
