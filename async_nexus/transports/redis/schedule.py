"""When a subscription looks for what comes again, and whether it may read what is new meanwhile."""

import asyncio
from typing import Final

from .member import Gathered

_BEAT: Final = 1.0
"""Seconds between signs of life, at most."""
_SHORT_BEAT: Final = 0.1
"""Seconds between looks at others who may be dead, while nothing new may be read before that is known."""
_SIGN_OF_LIFE: Final = 100
"""Milliseconds by which the server's readings of one moment stay below each other."""


class Schedule:
    """Times are the loop's. In order, nothing new is read before what came earlier and is to come again."""

    def __init__(self, claim_after: float, *, in_order: bool) -> None:
        """Plan for a group whose silent members are taken for dead after `claim_after` seconds."""
        self._beat, self._in_order = min(_BEAT, claim_after / 4), in_order
        self.look_at: float = 0.0
        """When to look for what comes again, if there is room for it."""
        self.beat_at: float = 0.0
        """When to give a sign of life, even if there is none."""
        self._is_more_delayed = False
        self._doubtful: dict[bytes, int] | None = None
        """Who may have died holding something, and when they gave a sign of life."""

    @property
    def is_clear(self) -> bool:
        """Whether what is new may be read."""
        return not self._in_order or not (self._is_more_delayed or self._doubtful)

    def expect(self, delay: float) -> None:
        """Look for what comes again in so many seconds."""
        self._is_more_delayed = True
        self.look_at = min(self.look_at, _now() + delay)

    def put_off(self) -> None:
        """Look later: the server could not be asked."""
        self.look_at = _now() + self._beat
        self.beat_at = self.look_at

    def note(self, gathered: Gathered, *, has_looked: bool) -> None:
        """Plan by what the server said; `has_looked`, if there was room for what comes again."""
        self._is_more_delayed = gathered.due_in is not None
        doubtful = gathered.others if self._doubtful is None else self._doubtful
        self._doubtful = {name: seen for name, seen in doubtful.items() if _is_silent(gathered.others.get(name), seen)}
        pause = self._beat if self.is_clear or not self._doubtful else min(self._beat, _SHORT_BEAT)
        look_at = _now() + (pause if gathered.due_in is None else min(pause, gathered.due_in))
        self.look_at = look_at if has_looked else min(look_at, self.look_at)
        # Who looks gives a sign of life, too: this is for the time when there is no room.
        self.beat_at = _now() + 1.5 * self._beat


def _is_silent(seen_now: int | None, seen: int) -> bool:
    """Whether a member holds something still, and has given no sign of life."""
    return seen_now is not None and seen_now - seen < _SIGN_OF_LIFE


def _now() -> float:
    return asyncio.get_running_loop().time()
