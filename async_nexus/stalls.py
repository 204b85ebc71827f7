"""Tells of handlers that hold their turn for too long (Z2): one timer for all of them."""

import asyncio
import logging
import math
import traceback
from collections.abc import Callable
from contextvars import Context
from types import FrameType
from typing import Any, Final

from typing_extensions import override

from .companions import Companion
from .dispatch import Dispatch
from .events import Event, describe_event
from .lifecycle import Lifecycle
from .notes import Call, Note, Step

logger: Final = logging.getLogger("async_nexus")


class StallWatch(Companion):
    """Logs, once for each call, that a filter or handler has been running for more than so many seconds."""

    def __init__(self, life: Lifecycle, dispatch: Dispatch, after: float) -> None:
        if not (after > 0 and math.isfinite(after)):
            raise ValueError(f"`stall_after` is a positive, finite number of seconds, not {after!r}")
        self._after = after
        self._running: dict[Call, tuple[Event[Any], asyncio.Task[Any] | None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._unwatch: Callable[[], None] = dispatch.watch(self._note, closely=True)
        life.accompany(self)

    def _note(self, note: Note) -> None:
        if note.call is None:
            return
        if note.step is Step.CALLING:
            self._running[note.call] = note.event, asyncio.current_task()
            if self._timer is None:
                self._wait_for(note.call)
        elif self._running.pop(note.call, None) is not None and (note.call.took or 0.0) > self._after:
            # It kept the event loop from running, so that no timer could fire.
            logger.warning(
                "%s blocked the event loop with %s for %.3g s",
                note.call.handler,
                describe_event(note.event),
                note.call.took,
            )

    def _wait_for(self, call: Call) -> None:
        loop = asyncio.get_running_loop()
        # In an empty context: the timer belongs to no turn.
        self._timer = loop.call_at(call.began + self._after, self._look, context=Context())

    def _look(self) -> None:
        """Report the calls that are overdue, and wait for the next that may be."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        for call, (event, task) in tuple(self._running.items()):  # in the order in which they began
            if call.began + self._after > now:
                self._wait_for(call)
                return
            del self._running[call]
            logger.warning(
                "%s has held its turn with %s for more than %.3g s; it is at\n%s",
                call.handler,
                describe_event(event),
                self._after,
                "".join(traceback.format_list(_stack(task))).rstrip() if task is not None else "an unknown place",
            )

    @override
    def end(self) -> None:
        """Look no more."""
        self._unwatch()
        self._running.clear()
        if self._timer is not None:
            self._timer.cancel()


def _stack(task: asyncio.Task[Any]) -> traceback.StackSummary:
    """Follow a task's awaits from its coroutine inwards: `Task.get_stack` gives the outermost frame only."""
    frames: list[tuple[FrameType, int]] = []
    at: object = task.get_coro()
    kinds = (("cr_frame", "cr_await"), ("ag_frame", "ag_await"), ("gi_frame", "gi_yieldfrom"))
    while kind := next((names for names in kinds if getattr(at, names[0], None)), None):
        frame: FrameType = getattr(at, kind[0])
        frames.append((frame, frame.f_lineno))
        at = getattr(at, kind[1])
    return traceback.StackSummary.extract(iter(frames))
