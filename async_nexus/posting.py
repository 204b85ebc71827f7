"""Takes events from synchronous code and other threads, a bounded number of them, and hands them to the nexus."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from typing import Any, Final, Literal, TypeAlias, get_args

from typing_extensions import override

from .catalog import Catalog
from .companions import Companion
from .dispatch import Dispatch, Withdrawn
from .errors import BadCall, Dropped, InvalidPayload, LoopStopped, NotStarted, Overflow
from .events import Event, describe_event
from .handover import pack
from .lifecycle import Lifecycle

OverflowPolicy: TypeAlias = Literal["block", "reject", "drop_oldest", "drop_newest", "coalesce"]
"""What happens to a post for which there is no room (P2)."""

_POLICIES: Final = get_args(OverflowPolicy)


class _Post:
    """An event that was posted, until its handling has ended."""

    __slots__ = ("carried", "event", "future", "has_begun", "task")

    def __init__(self, event: Event[Any], carried: AbstractContextManager[object] | None) -> None:
        self.event: Event[Any] = event
        self.carried: AbstractContextManager[object] = nullcontext() if carried is None else carried
        self.future: Future[None] = Future()
        self.task: asyncio.Task[None] | None = None
        self.has_begun = False

    def fail(self, error: BaseException) -> None:
        """End the future of a post that has not begun, unless somebody has cancelled it."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Posting(Companion):
    """The posts of one nexus: those that wait, in the order in which they came, and who handles them (P1 to P3).

    A post waits until its turn begins. Only `_waiting` says whether it does; every thread asks under the lock.
    """

    def __init__(
        self,
        life: Lifecycle,
        catalog: Catalog,
        dispatch: Dispatch,
        *,
        limit: int,
        overflow: OverflowPolicy,
        key: Callable[[Any], Hashable] | None,
    ) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise ValueError(f"`post_limit` is a number of posts from 1, not {limit!r}")
        if overflow not in _POLICIES:
            raise ValueError(f"`overflow` is one of {', '.join(_POLICIES)}, not {overflow!r}")
        self.posted: int = 0
        self.dropped: int = 0
        self._life = life
        self._catalog = catalog
        self._dispatch = dispatch
        self._limit = limit
        self._overflow: OverflowPolicy = overflow
        self._key = key
        self._changed = threading.Condition(threading.Lock())
        self._waiting: OrderedDict[_Post, None] = OrderedDict()
        self._fresh: OrderedDict[_Post, None] = OrderedDict()
        self._unstarted = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: Context | None = None
        self._over = False
        life.accompany(self)

    @property
    def waiting(self) -> int:
        """How many posts wait."""
        return len(self._waiting)

    # In any thread

    def post(self, event: Event[Any]) -> Future[None]:
        """Take an event; the future ends as `ingest` would. Raises `Overflow`, `LoopStopped`, `BadCall`."""
        if not isinstance(event, Event):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise TypeError(f"an Event is expected, not {event!r}")
        post = _Post(event, pack())
        dropped: _Post | None = None
        with self._changed:
            self._check_open()
            if len(self._waiting) >= self._limit:
                if self._overflow == "block":
                    self._wait_for_room()
                elif self._overflow == "drop_newest":
                    dropped = post
                else:
                    dropped = self._choose_dropped(post)
            self.posted += 1
            if dropped is not None:
                self.dropped += 1
                self._waiting.pop(dropped, None)
                self._fresh.pop(dropped, None)
            if dropped is not post:
                self._waiting[post] = None
                self._fresh[post] = None
        if dropped is not None:
            self._end_dropped(dropped, post)
        if dropped is not post:
            post.future.add_done_callback(lambda done: self._withdraw(post) if done.cancelled() else None)
            self._call(self._start_tasks)
        return post.future

    def _check_open(self) -> None:
        refusal = LoopStopped("the nexus has stopped: it takes no more posts") if self._over else self._life.refusal()
        if refusal is not None and not isinstance(refusal, NotStarted):
            raise refusal

    def _wait_for_room(self) -> None:
        """Wait, with the lock held, until fewer posts wait. Raises `BadCall` in a thread that runs an event loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise BadCall(
                f"{len(self._waiting)} posts wait, and the thread of an event loop cannot wait for room: "
                "`await` an ingest there, or choose another overflow policy"
            )
        while len(self._waiting) >= self._limit:
            self._changed.wait()
            self._check_open()

    def _choose_dropped(self, post: _Post) -> _Post:
        """Choose which post makes room for another. Raises `Overflow` where none does."""
        if self._overflow == "drop_oldest":
            return next(iter(self._waiting))
        if self._overflow == "coalesce":
            kind = self._kind(post.event)
            for each in self._waiting:
                if each.event.type == post.event.type and self._kind(each.event) == kind:
                    return each
        raise Overflow(f"{len(self._waiting)} posts wait: there is no room for {describe_event(post.event)}")

    def _kind(self, event: Event[Any]) -> tuple[Any, Hashable]:
        """Say which posts may stand for each other: those of an event type and, with a `key`, of one key (K2)."""
        try:
            key = None if self._key is None else self._key(self._catalog.validate(event))
            hash(key)
        except Exception:  # its ingest says so, to its own future; nothing stands for it
            return event.type, object()
        return event.type, key

    def _end_dropped(self, dropped: _Post, successor: _Post) -> None:
        if self._overflow == "coalesce":
            successor.future.add_done_callback(lambda done: _end_likewise(dropped.future, done))
        else:
            dropped.fail(Dropped(f"{describe_event(dropped.event)} was dropped: {self._limit} posts wait"))
        self._call(self._abandon, dropped)

    def _withdraw(self, post: _Post) -> None:
        """Take a post back whose future was cancelled."""
        if self._leave(post):
            self._call(self._abandon, post)

    def _call(self, function: Callable[..., None], *args: _Post) -> None:
        """Call a function in the thread of the loop: at once, if this is it."""
        loop = self._loop
        if loop is None or self._over:
            return
        try:
            here = asyncio.get_running_loop() is loop
        except RuntimeError:
            here = False
        if here:
            function(*args)
            return
        try:
            loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop has been closed: `end` has seen to the posts, or will
            return

    # In the thread of the loop

    @override
    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand over what was posted before the start, and from now on at once."""
        self._loop = loop
        self._context = self._life.context()  # whichever task takes a post, nothing of another's context is in it
        self._start_tasks()

    def _start_tasks(self) -> None:
        """Make a task for each post that has none: whichever runs first takes the post that came first."""
        if self._loop is None or self._context is None or self._over:
            return
        for _ in range(len(self._fresh) - self._unstarted):
            task = self._loop.create_task(self._take(), context=self._context.copy(), name="async_nexus post")
            self._unstarted += 1
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self) -> None:
        """Ingest one post, and give what comes of it to its future alone."""
        self._unstarted -= 1
        with self._changed:
            if not self._fresh:
                return
            post, _ = self._fresh.popitem(last=False)
            post.task = asyncio.current_task()
        try:
            with post.carried:
                await self._ingest(post)
        except BaseException as error:
            self._conclude(post, error)
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        else:
            self._conclude(post, None)

    async def _ingest(self, post: _Post) -> None:
        self._life.admit()
        try:
            valid = self._catalog.validate(post.event)
        except InvalidPayload as error:
            await self._dispatch.handle_invalid(error, lambda: self._begin(post))
        else:
            await self._dispatch.handle(valid, begun=lambda: self._begin(post))

    def _begin(self, post: _Post) -> None:
        """Take note that a post's turn has begun: it waits no more. Raises where it is no longer wanted."""
        if not self._leave(post) or not post.future.set_running_or_notify_cancel():
            raise Withdrawn
        post.has_begun = True

    def _leave(self, post: _Post) -> bool:
        """Make room; tell whether the post still waited."""
        with self._changed:
            self._fresh.pop(post, None)
            if post not in self._waiting:
                return False
            del self._waiting[post]
            self._changed.notify_all()
            return True

    def _conclude(self, post: _Post, error: BaseException | None) -> None:
        if not post.has_begun:
            if not self._leave(post):
                return  # dropped or cancelled: whoever did it sees to the future
            if not post.future.set_running_or_notify_cancel():
                return
        if error is None:
            post.future.set_result(None)
        else:
            post.future.set_exception(error)

    @staticmethod
    def _abandon(post: _Post) -> None:
        """Leave the line with a post that is no longer wanted."""
        if post.task is not None and not post.has_begun:
            post.task.cancel()

    @override
    def has_work(self) -> bool:
        """Whether posts wait or are being handled."""
        return bool(self._waiting or self._tasks)

    @override
    async def settle(self) -> None:
        """Wait until the posts that have come so far have been handled (P3)."""
        self._start_tasks()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    @override
    def end(self) -> None:
        """Turn away whoever waits, with `LoopStopped`."""
        with self._changed:
            self._over = True
            left = tuple(self._waiting)
            self._waiting.clear()
            self._fresh.clear()
            self._changed.notify_all()
        for post in left:
            post.fail(LoopStopped(f"the nexus stopped before it had handled {describe_event(post.event)}"))


def _end_likewise(future: Future[None], done: Future[None]) -> None:
    """End the future of a replaced post as that of its successor has ended."""
    if done.cancelled():
        future.cancel()
    if future.set_running_or_notify_cancel():
        error = done.exception()
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
