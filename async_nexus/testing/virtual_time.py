"""An asyncio event loop on virtual time: timers cost nothing, and races replay from a seed.

- Time starts at 0.0 and stands still while anything is ready. When nothing is, it jumps to the next timer.
- Real I/O works, but takes no virtual time. While a timer is set, sockets, subprocesses and threads are only
  polled before each jump, so `wait_for(to_thread(work), 5)` times out at once; with none set the loop waits.
- When nothing is ready, no timer is set and nothing outside can wake the loop, it raises `Deadlock`. Outside
  are open sockets and pipes, signal handlers added to the loop, and other live threads, idle ones too: for
  these it waits as long as its patience. What `signal.signal` set and `threading` does not know is not seen.
- With a seed, the tasks that are ready in one iteration take their steps, one each, in an order drawn from
  it. Other callbacks keep their order: transports and futures rely on it. What depends on real I/O, threads
  or the order of a set of anything but tasks does not replay.

The clock is the selector, a documented argument of `SelectorEventLoop`; no private part of asyncio is used.
"""

import asyncio
import heapq
import itertools
import math
import random
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_RESOLUTION = time.get_clock_info("monotonic").resolution
"""Seconds that asyncio adds to the time before it asks which timers are due."""


class Deadlock(RuntimeError):
    """Nothing is ready, no timer is set, nothing outside woke the loop; its text names who waits where."""


class _Clock(selectors.DefaultSelector):
    """A selector whose time jumps to the next timer where another would wait."""

    def __init__(self, begin: Callable[[], None], idle: Callable[[], float | None], report: Callable[[], str]) -> None:
        super().__init__()
        self.now = 0.0
        self._begin, self._idle, self._report = begin, idle, report
        self._order = itertools.count()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._room = 64

    def add(self, when: float, timer: asyncio.TimerHandle) -> None:
        if len(self._timers) >= self._room:  # or cancelled timers would pile up behind one that is far away
            self._timers = [t for t in self._timers if t[0] > self.now and not t[2].cancelled()]
            heapq.heapify(self._timers)
            self._room = 64 + 2 * len(self._timers)
        heapq.heappush(self._timers, (when, next(self._order), timer))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._begin()
        if timeout is not None and timeout <= 0:
            return super().select(0)
        while self._timers and (self._timers[0][0] <= self.now or self._timers[0][2].cancelled()):
            heapq.heappop(self._timers)
        if self._timers:
            events = super().select(0)
            if not events:
                self.now = self._timers[0][0]
            return events
        events = super().select(self._idle())
        if not events:
            raise Deadlock(self._report())
        return events


class _Task(asyncio.Task[Any]):
    """A task whose hash replays: TaskGroup cancels the members of a set, in the order of their hashes."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self.number = number  # first, for Task.__init__ may put the task into a set
        super().__init__(coro, **options)

    def set_name(self, value: object) -> None:
        if value is not None:  # Python 3.13.0 passes on a name that was not given
            super().set_name(value)

    def __hash__(self) -> int:
        return self.number


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()`, in seconds from 0.0, jumps to the next timer when nothing is ready.

    `seed` draws the order of ready tasks; without one they go as in any loop. `patience` is how many real
    seconds threads, signals and I/O may take while no timer is set, before `Deadlock` is raised; above a day
    is for ever.
    """

    def __init__(self, *, seed: int | None = None, patience: float = 60.0) -> None:
        self._seed, self._patience = seed, patience
        self._random = None if seed is None else random.Random(seed)
        self._woken: list[Callable[[], object]] = []  # steps of tasks; each has a call of _take_step to run in
        self._batch: list[Callable[[], object]] = []  # those of this iteration, shuffled
        self._signals: set[int] = set()
        self._task_numbers = itertools.count(1)
        self._clock = _Clock(self._begin, self._idle, self._report)
        super().__init__(self._clock)
        self._own_files = len(self._clock.get_map())
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._clock.now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Like asyncio's; `when` is in virtual seconds, and infinity is never."""
        # After three months a float cannot hold the resolution; asyncio would never see `when` as past.
        lost = when + _RESOLUTION == when and math.isfinite(when)
        timer = super().call_at(math.nextafter(when, -math.inf) if lost else when, callback, *args, context=context)
        if math.isfinite(when):
            self._clock.add(when, timer)
        return timer

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Like asyncio's; with a seed, the steps of tasks are taken in an order drawn from it."""
        if self._random is None or not isinstance(getattr(callback, "__self__", None), asyncio.Task):
            return super().call_soon(callback, *args, context=context)
        self._woken.append(partial((copy_context() if context is None else context).run, callback, *args))
        return super().call_soon(self._take_step)

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Like asyncio's; the loop waits for signals before it calls a deadlock."""
        super().add_signal_handler(sig, callback, *args)
        self._signals.add(sig)

    def remove_signal_handler(self, sig: int) -> bool:
        """Like asyncio's."""
        self._signals.discard(sig)
        return super().remove_signal_handler(sig)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait for the executor's threads; `timeout`, over at once in virtual time, is ignored."""
        await super().shutdown_default_executor()

    def _make_task(self, _: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return _Task(coro, loop=self, number=next(self._task_numbers), **options)

    def _begin(self) -> None:
        if self._random is not None:
            self._batch += self._woken
            self._woken.clear()
            self._random.shuffle(self._batch)

    def _take_step(self) -> None:
        self._batch.pop()()

    def _idle(self) -> float | None:
        """Real seconds to poll for, asked first: the poll then sees what a thread left that has ended."""
        files = len(self._clock.get_map()) > self._own_files
        if not (files or self._signals or threading.active_count() > 1):
            return 0
        return None if self._patience > 86400 else self._patience

    def _report(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=hash)
        seeded = "" if self._seed is None else f", seed {self._seed}"
        head = f"at {self.time()} s of virtual time{seeded}: no timer is set and nothing outside wakes the loop"
        return "\n  ".join([head, *(f"{task.get_name()} waits in {_where(task)}" for task in tasks)])


def _where(task: asyncio.Task[Any]) -> str:
    """The functions that a task is in, outermost first, as far as awaits can be followed."""
    places: list[str] = []
    at: object = task.get_coro()
    kinds = (("cr_frame", "cr_await"), ("ag_frame", "ag_await"), ("gi_frame", "gi_yieldfrom"))
    while kind := next((names for names in kinds if getattr(at, names[0], None)), None):
        frame = getattr(at, kind[0])
        places.append(f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})")
        at = getattr(at, kind[1])
    return " > ".join(places) or "an unknown place"


def run(main: Coroutine[Any, Any, T], *, seed: int | None = None, patience: float = 60.0) -> T:
    """Run `main` on a `VirtualTimeLoop` as `asyncio.run` would and return its result, or raise `Deadlock`."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(seed=seed, patience=patience)) as runner:
        return runner.run(main)
