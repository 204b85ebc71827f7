"""The way of events through a journal: on disk before they wait for their turn, marked after it, back at a start."""

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from typing_extensions import override

from .catalog import Catalog
from .companions import Companion
from .dispatch import Dispatch, Withdrawn
from .errors import InvalidPayload, LoopStopped
from .events import Event, describe_event
from .journaling import Journal, Outcome, Unfinished
from .lifecycle import Lifecycle
from .turns import Turn, current_turn

logger: Final = logging.getLogger("async_nexus")


class JournaledDispatch(Dispatch):
    """A dispatch whose events are accepted by a journal first.

    Those of turns that are open already are part of these, and are not recorded (J2).
    """

    def __init__(
        self,
        catalog: Catalog,
        journal: Journal,
        *,
        multiple: bool,
        concurrency: int = 1,
        key: Callable[[Any], Hashable] | None = None,
    ) -> None:
        super().__init__(catalog, multiple=multiple, concurrency=concurrency, key=key)
        if not callable(getattr(journal, "accept", None)):
            raise TypeError(f"`journal` is a journal, such as SqliteJournal(path), not {journal!r}")
        self.journal: Journal = journal
        self._opened: asyncio.Event | None = None
        self._refusal: BaseException | None = None
        self.accepting: int = 0
        """How many events are being accepted."""
        self._settled: asyncio.Future[None] | None = None

    def keep_journal(self) -> None:
        """Record events from now on; they wait until the journal is `open`."""
        self._opened = asyncio.Event()

    def open(self, refusal: BaseException | None = None) -> None:
        """Accept the events that wait, and all that come, or none of them where there is a reason not to."""
        if self._opened is not None and not self._opened.is_set():
            self._refusal = refusal
            self._opened.set()

    @override
    def accept(self, accepts: bool) -> None:
        """Let no fast lane be taken: on it there is no journal."""

    @override
    async def handle(
        self, event: Event[Any], failure: Exception | None = None, begun: Callable[[], None] | None = None
    ) -> None:
        """Accept an event, then do as `Dispatch.handle` does, and mark what came of it."""
        if failure is not None or self._opened is None or self.line.innermost() is not None:
            await super().handle(event, failure, begun)
            return
        await self.handle_accepted(await self._accept(event, self._opened), event, begun)

    async def _accept(self, event: Event[Any], opened: asyncio.Event) -> int:
        """Have the journal accept an event, as soon as it is open."""
        self.accepting += 1
        try:
            await opened.wait()
            if self._refusal is not None:
                raise LoopStopped(f"{describe_event(event)} was not accepted: there is no journal") from self._refusal
            if self.line.is_cut:
                raise LoopStopped(f"the nexus stopped before it had accepted {describe_event(event)}")
            return await self.journal.accept(event)
        finally:
            self.accepting -= 1
            self.line.moved()
            if not self.accepting and self._settled is not None and not self._settled.done():
                self._settled.set_result(None)

    async def settle(self) -> None:
        """Wait until no event is being accepted."""
        while self.accepting:
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    async def handle_accepted(self, position: int, event: Event[Any], begun: Callable[[], None] | None = None) -> None:
        """Wait for the turn of an event that the journal has, handle it, and mark what came of it."""
        turn: Turn | None = None

        def begin() -> None:
            nonlocal turn
            if begun is not None:
                begun()
            turn = current_turn()

        try:
            if self.line.is_cut:
                raise LoopStopped(f"the nexus stopped before it had handled {describe_event(event)}")
            await super().handle(event, None, begin)
        except BaseException as error:
            outcome = self._outcome(error, turn)
            if outcome is not None:
                self.journal.finish(position, outcome)
            raise
        self.journal.finish(position, Outcome.DONE)

    def _outcome(self, error: BaseException, turn: Turn | None) -> Outcome | None:
        """Tell what an error makes of an event: nothing where it is for the next start to handle it (J4)."""
        is_cut = self.line.is_cut if turn is None else turn.is_cut
        if is_cut or not isinstance(error, Exception | asyncio.CancelledError):
            return None
        is_withdrawn = turn is None and isinstance(error, Withdrawn | asyncio.CancelledError)
        return Outcome.WITHDRAWN if is_withdrawn else Outcome.FAILED


class Recovery(Companion):
    """Opens the journal when the nexus starts, has handled what is unfinished in it, and closes it in the end."""

    def __init__(self, life: Lifecycle, catalog: Catalog, dispatch: JournaledDispatch) -> None:
        self._life = life
        self._catalog = catalog
        self._dispatch = dispatch
        self._journal = dispatch.journal
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_open = False
        self._closing: asyncio.Task[None] | None = None
        life.accompany(self)

    @override
    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have new events wait until the journal is open."""
        self._loop = loop
        if not self._life.is_isolated:
            self._dispatch.keep_journal()

    @override
    async def prepare(self) -> None:
        """Open the journal and put in line what it has unfinished, before anything new. Raises as `start` does."""
        if self._life.is_isolated:
            return
        self._is_open = True
        try:
            self._put_in_line(await self._journal.start())
        except BaseException as error:
            self._dispatch.open(error)
            raise
        self._dispatch.open()  # whoever waits for that comes after those that have just been put in line

    def _put_in_line(self, unfinished: Sequence[Unfinished]) -> None:
        """Have events handled side by side, as they were: the line gives each its turn."""
        if unfinished:
            logger.info("%d events are handled that the journal has unfinished", len(unfinished))
        events = [(each.position, event) for each in unfinished if (event := self._read(each)) is not None]
        for position, event in sorted(events, key=lambda known: known[1].priority):
            name = f"async_nexus recovery of {describe_event(event)}"
            task = asyncio.create_task(self._recover(position, event), context=self._life.context(), name=name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _read(self, unfinished: Unfinished) -> Event[Any] | None:
        try:
            return self._catalog.parse_json(unfinished.event)
        except Exception as error:  # validators raise whatever they like
            reason = str(error) if isinstance(error, InvalidPayload) else type(error).__name__
            logger.error("what the journal has at %d does not validate any more: %s", unfinished.position, reason)
            self._journal.finish(unfinished.position, Outcome.FAILED)
            return None

    async def _recover(self, position: int, event: Event[Any]) -> None:
        """Handle one event again; nobody waits for it, so what is raised is logged."""
        try:
            await self._dispatch.handle_accepted(position, event)
        except (Exception, asyncio.CancelledError) as error:
            if not self._dispatch.line.is_cut:  # else the next start handles it
                logger.error("%s, which the journal had unfinished, failed", describe_event(event), exc_info=error)
            if isinstance(error, asyncio.CancelledError):
                raise

    @override
    def is_bringing(self) -> bool:
        """Whether events are being accepted."""
        return bool(self._dispatch.accepting)

    @override
    def has_work(self) -> bool:
        """Whether events are being accepted, or handled again."""
        return bool(self._tasks or self._dispatch.accepting)

    @override
    async def settle(self) -> None:
        """Wait until what is being accepted is in line, and what is handled again has been."""
        await self._dispatch.settle()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    @override
    async def close(self) -> None:
        """Close the journal. Raises as it does."""
        if self._is_open:
            self._is_open = False
            await self._journal.close()

    @override
    def end(self) -> None:
        """Let go of who still waits, and of a journal that could not be closed in good order."""
        self._dispatch.open(LoopStopped("the nexus stopped before its journal was open"))
        for task in self._tasks:
            task.cancel()
        if self._is_open and self._loop is not None and self._loop.is_running():  # else it ends with the process
            self._closing = self._loop.create_task(self.close())
