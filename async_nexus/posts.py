"""Posts: events that were posted, until their handling has ended, and the room in which they wait for their turn."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .events import Event


class Post:
    """An event that was posted, until its handling has ended."""

    __slots__ = ("carried", "event", "futures", "has_begun", "kind", "task")

    def __init__(
        self, event: Event[Any], carried: AbstractContextManager[object] | None, kind: Hashable | None
    ) -> None:
        self.event: Event[Any] = event
        self.carried: AbstractContextManager[object] = nullcontext() if carried is None else carried
        self.kind: Hashable | None = kind
        """Those of one kind may stand for each other; `None` stands for nothing."""
        self.futures: list[Future[None]] = [Future()]
        """Its own, and those of the posts that it has replaced; none when they have ended, or another replaced it."""
        self.task: asyncio.Task[None] | None = None
        self.has_begun: bool = False

    def replace(self, other: "Post") -> None:
        """Stand for another post: its futures end with this one's."""
        self.futures += other.futures
        other.futures = []

    def begin(self) -> bool:
        """Take note that its turn has come; tell whether it is wanted still: its own future may have been cancelled."""
        self.has_begun = self.futures[0].set_running_or_notify_cancel()
        if not self.has_begun:
            del self.futures[0]
            self.cancel()
        return self.has_begun

    def cancel(self) -> None:
        """Let the posts that it has replaced end as it does: cancelled."""
        futures, self.futures = self.futures, []
        for future in futures:
            future.cancel()
            future.set_running_or_notify_cancel()

    def end(self, error: BaseException | None) -> None:
        """End all futures but those that somebody has cancelled.

        It lets go of them: an error holds the calls that it went through, and these hold the post.
        """
        futures, self.futures = self.futures, []
        for future in futures:
            if not (future.running() or future.set_running_or_notify_cancel()):
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)


class WaitingRoom:
    """The posts that wait, in the order in which they came, those of each kind, and those that no task has taken.

    Whoever uses it, but for its length, holds a lock.
    """

    def __init__(self) -> None:
        self._all: OrderedDict[Post, None] = OrderedDict()
        self._fresh: OrderedDict[Post, None] = OrderedDict()
        self._kinds: dict[Hashable, OrderedDict[Post, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    @property
    def fresh(self) -> int:
        """How many posts no task has taken."""
        return len(self._fresh)

    def add(self, post: Post) -> None:
        """Let one more post wait."""
        self._all[post] = self._fresh[post] = None
        if post.kind is not None:
            self._kinds.setdefault(post.kind, OrderedDict())[post] = None

    def remove(self, post: Post) -> bool:
        """Let a post wait no more; tell whether it did."""
        if post not in self._all:
            return False
        del self._all[post]
        self._fresh.pop(post, None)
        if post.kind is not None:
            alike = self._kinds[post.kind]
            del alike[post]
            if not alike:
                del self._kinds[post.kind]
        return True

    def oldest(self) -> Post:
        """Find the post that has waited longest."""
        return next(iter(self._all))

    def oldest_like(self, post: Post) -> Post | None:
        """Find the post of one's kind that has waited longest."""
        return next(iter(self._kinds.get(post.kind, ())), None)

    def take_fresh(self) -> Post | None:
        """Take the first post that no task has taken; it goes on waiting."""
        return self._fresh.popitem(last=False)[0] if self._fresh else None

    def clear(self) -> tuple[Post, ...]:
        """Send all away, and list them."""
        left = tuple(self._all)
        for kept in (self._all, self._fresh, self._kinds):
            kept.clear()
        return left
