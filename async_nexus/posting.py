"""Takes events from synchronous code and other threads, a bounded number of them, and hands them to the nexus."""

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextvars import Context
from typing import Any, Final, Literal, TypeAlias, get_args

from typing_extensions import override

from .blocking import is_here
from .catalog import Catalog
from .companions import Companion
from .dispatch import Dispatch, Withdrawn
from .errors import BadCall, Dropped, InvalidPayload, LoopStopped, NotStarted, Overflow
from .events import Event, describe_event
from .handover import pack
from .lifecycle import Lifecycle
from .posts import Post, WaitingRoom

OverflowPolicy: TypeAlias = Literal["block", "reject", "drop_oldest", "drop_newest", "coalesce"]
"""What happens to a post for which there is no room (P2)."""

_POLICIES: Final = get_args(OverflowPolicy)


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
        self._waiting = WaitingRoom()
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
        # Before the lock is held: `key` may do what it likes.
        post = Post(event, pack(), self._kind(event) if self._overflow == "coalesce" else None)
        (future,) = post.futures
        with self._changed:
            self._check_open()
            dropped = self._make_room(post)
            self.posted += 1
            if dropped is not None:
                self.dropped += 1
                self._waiting.remove(dropped)
            if dropped is not post:
                self._waiting.add(post)
        if dropped is not None:  # one that is replaced has no futures any more: they are the successor's
            dropped.end(Dropped(f"{describe_event(dropped.event)} was dropped: {self._limit} posts wait"))
            self._call(self._abandon, dropped)
        if dropped is not post:
            future.add_done_callback(lambda done: self._withdraw(post) if done.cancelled() else None)
            self._call(self._start_tasks)
        return future

    def _check_open(self) -> None:
        refusal = LoopStopped("the nexus has stopped: it takes no more posts") if self._over else self._life.refusal()
        if refusal is not None and not isinstance(refusal, NotStarted):
            raise refusal

    def _make_room(self, post: Post) -> Post | None:
        """Make room for a post; return the one that is dropped, if one is. Raises `Overflow` where there is none."""
        if len(self._waiting) < self._limit:
            return None
        match self._overflow:
            case "block":
                self._wait_for_room()
                return None
            case "drop_newest":
                return post
            case "drop_oldest":
                return self._waiting.oldest()
            case "coalesce" if (replaced := self._waiting.oldest_like(post)) is not None:
                post.replace(replaced)
                return replaced
            case _:
                raise Overflow(f"{len(self._waiting)} posts wait: there is no room for {describe_event(post.event)}")

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

    def _kind(self, event: Event[Any]) -> tuple[Any, Hashable]:
        """Say which posts may stand for each other: those of an event type and, with a `key`, of one key (K2)."""
        try:
            key = None if self._key is None else self._key(self._catalog.validate(event))
            hash(key)
        except Exception:  # its ingest says so, to its own future; nothing stands for it
            return event.type, object()
        return event.type, key

    def _withdraw(self, post: Post) -> None:
        """Take a post back whose future was cancelled."""
        if self._leave(post):
            post.cancel()
            self._call(self._abandon, post)

    def _call(self, function: Callable[..., None], *args: Post) -> None:
        """Call a function in the thread of the loop: at once, if this is it."""
        loop = self._loop
        if loop is None or self._over:
            return
        if is_here(loop):
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
        for _ in range(self._waiting.fresh - self._unstarted):
            task = self._loop.create_task(self._take(), context=self._context.copy(), name="async_nexus post")
            self._unstarted += 1
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self) -> None:
        """Ingest one post, and give what comes of it to its future alone."""
        self._unstarted -= 1
        with self._changed:
            post = self._waiting.take_fresh()
        if post is None:
            return
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

    async def _ingest(self, post: Post) -> None:
        self._life.admit()
        try:
            valid = self._catalog.validate(post.event)
        except InvalidPayload as error:
            await self._dispatch.handle_invalid(error, lambda: self._begin(post))
        else:
            await self._dispatch.handle(valid, begun=lambda: self._begin(post))

    def _begin(self, post: Post) -> None:
        """Take note that a post's turn has begun: it waits no more. Raises where it is no longer wanted."""
        if not self._leave(post) or not post.begin():
            raise Withdrawn

    def _leave(self, post: Post) -> bool:
        """Make room; tell whether the post still waited."""
        with self._changed:
            if not self._waiting.remove(post):
                return False
            self._changed.notify_all()
            return True

    def _conclude(self, post: Post, error: BaseException | None) -> None:
        if post.has_begun or self._leave(post):
            post.end(error)  # else it was dropped or cancelled: whoever did it sees to the future

    @staticmethod
    def _abandon(post: Post) -> None:
        """Leave the line with a post that is no longer wanted."""
        if post.task is not None and not post.has_begun:
            post.task.cancel()

    @override
    def is_bringing(self) -> bool:
        """Whether there are posts that no task has taken."""
        return bool(self._waiting.fresh)

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
            left = self._waiting.clear()
            self._changed.notify_all()
        for post in left:
            post.end(LoopStopped(f"the nexus stopped before it had handled {describe_event(post.event)}"))
