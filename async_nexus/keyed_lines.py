"""Several turns at a time, and one at a time of each key: the line of a nexus that was asked for it (K1 to K3).

As in `lines`, nothing here knows of events: a key is what a function makes of a turn's label.
"""

import asyncio
from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Any, TypeAlias

from .errors import LoopStopped
from .lines import Called, Line
from .turns import Turn


class _Key:
    """One key that is in use: whether a turn of it is open, or about to begin, and who waits for it."""

    __slots__ = ("is_open", "value", "waiting")

    def __init__(self, value: Hashable) -> None:
        self.value: Hashable = value
        self.is_open = False
        self.waiting: list[_Entry] = []


class _Place:
    """A place in line. One with a key waits among those of its key; it stands for them where it is a candidate."""

    __slots__ = ("is_candidate", "key", "label", "turned")

    def __init__(self, turned: asyncio.Future[None], label: object, key: _Key | None) -> None:
        self.turned: asyncio.Future[None] = turned
        self.label: object = label
        self.key: _Key | None = key
        self.is_candidate = False


_Entry: TypeAlias = tuple[int, int, _Place]
"""Priority, arrival, and the place that they are of."""


class ConcurrentLine(Line):
    """Turns side by side, as many as `capacity`, but only one of a key: chosen by priority, then arrival.

    Whoever waits for an open key is parked there and is nobody's burden; of a key that is not open, only the
    first is a candidate. So while there is room, nobody waits who could go.
    """

    is_serial = False

    __slots__ = (
        "_asked",
        "_begun",
        "_called_places",
        "_candidates",
        "_capacity",
        "_key_of",
        "_keys",
        "_live",
        "_places",
        "_room",
    )

    def __init__(
        self, describe: Callable[[Any], str], capacity: int, key_of: Callable[[Any], Hashable] | None = None
    ) -> None:
        """Make a line; `key_of` gives the key of a label, or `None` for one that has none.

        Raises `ValueError` for a capacity below 1, `TypeError` for what is no number.
        """
        super().__init__(describe)
        if isinstance(capacity, bool) or not isinstance(capacity, int):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise TypeError(f"concurrency is a number of turns, not {capacity!r}")
        if capacity < 1:
            raise ValueError(f"concurrency is a number of turns from 1, not {capacity}")
        # For good, so that `Line.enter` admits only who is inside of a turn, and each turn that is left is released.
        self.holder: Turn | Called | None = Called(None)
        self.is_awaited: bool = True
        self._capacity = capacity
        self._room = capacity
        self._key_of = key_of
        self._keys: dict[Hashable, _Key] = {}
        self._candidates: list[_Entry] = []
        self._begun: dict[Turn, _Key | None] = {}
        self._called_places: dict[_Place, None] = {}
        # Who waits in fact, and the places that are kept of them and of those who have gone.
        self._live = 0
        self._places = 0
        self._asked: tuple[object, Hashable] | None = None

    def enter(self, label: object) -> Turn | None:
        """Begin a turn if that can be at once: there is room and the key is free, or the task is inside of a turn.

        Raises what `key_of` raises, and `TypeError` for a key that cannot be hashed.
        """
        turn = super().enter(label)
        if turn is not None:
            return turn
        value = self._value_of(label)
        key = None if value is None else self._keys.get(value)
        if not self._room or (key is not None and key.is_open):
            self._asked = label, value
            return None
        if value is not None:
            key = self._keys[value] = _Key(value)
            key.is_open = True
        self._room -= 1
        return self._begin_outermost(label, key)

    @property
    def in_line(self) -> int:
        """How many wait for their turn."""
        return self._live

    @property
    def in_turn(self) -> int:
        """How many turns are open, nested ones included."""
        begun = tuple(self._begun)  # at one go: whoever counts may be in another thread
        return sum(1 for outermost in begun for _ in outermost.everyone())

    def holders(self, *, is_last: bool = False) -> tuple[Turn, ...]:
        """List the outermost turns if no turn more can begin, as `Line.holders` does."""
        return () if (self._room and not is_last) or self._called_places else tuple(self._begun)

    def _value_of(self, label: object) -> Hashable:
        return None if self._key_of is None else self._key_of(label)

    def _begin_outermost(self, label: object, key: _Key | None) -> Turn:
        turn = self._begin(label, self._surroundings())
        self._begun[turn] = key
        return turn

    async def wait(self, priority: int, label: object) -> Turn:
        """Wait in line, as `Line.wait` does. To be called at once where `enter` returned nothing."""
        asked, self._asked = self._asked, None
        value = asked[1] if asked is not None and asked[0] is label else self._value_of(label)
        place = self._line_up(priority, label, value)
        self._live += 1
        try:
            await place.turned
        except asyncio.CancelledError:
            self._live -= 1
            if place.turned.cancelled():
                self._forget_gone()
            elif place.turned.exception() is None:
                del self._called_places[place]
                self._give_back(place.key)
            raise
        except LoopStopped:
            self._live -= 1
            raise
        self._live -= 1
        del self._called_places[place]
        if self.is_cut:
            self._give_back(place.key)
            raise LoopStopped(f"the nexus stopped before it had handled {self.describe(label)}")
        return self._begin_outermost(label, place.key)

    def _line_up(self, priority: int, label: object, value: Hashable) -> _Place:
        key = None
        if value is not None:
            key = self._keys.get(value)
            if key is None:
                key = self._keys[value] = _Key(value)
        place = _Place(asyncio.get_running_loop().create_future(), label, key)
        entry = (priority, self._arrivals(), place)
        self._places += 1
        if key is None:
            heappush(self._candidates, entry)
        else:
            heappush(key.waiting, entry)
            if not key.is_open and key.waiting[0] is entry:
                self._nominate(entry)
        return place

    def _nominate(self, entry: _Entry) -> None:
        """Let the first of a key stand among the candidates, once."""
        if not entry[2].is_candidate:
            entry[2].is_candidate = True
            heappush(self._candidates, entry)

    def _nominate_first(self, key: _Key) -> None:
        """Nominate the first of a key that is not open, or forget the key where nobody waits for it."""
        while key.waiting and key.waiting[0][2].turned.done():
            heappop(key.waiting)
            self._places -= 1
        if key.waiting:
            self._nominate(key.waiting[0])
        else:
            self._keys.pop(key.value, None)

    def _forget_gone(self) -> None:
        """Leave cancelled places where they are, until those outnumber the others."""
        if max(self._places, len(self._candidates)) <= 2 * self._live:
            return
        for entry in self._candidates:
            entry[2].is_candidate = False
        self._candidates = [each for each in self._candidates if each[2].key is None and not each[2].turned.done()]
        heapify(self._candidates)
        self._places = len(self._candidates)
        for key in tuple(self._keys.values()):
            key.waiting = [each for each in key.waiting if not each[2].turned.done()]
            heapify(key.waiting)
            self._places += len(key.waiting)
            if not key.is_open:
                self._nominate_first(key)

    def release(self, turn: Turn | None = None) -> None:
        """End a turn and hand its room over to who is next; nobody can slip in between."""
        if turn is not None:
            self._give_back(self._begun.pop(turn))

    def _give_back(self, key: _Key | None) -> None:
        self._room += 1
        if key is not None:
            key.is_open = False
            self._nominate_first(key)
        self._call_next()
        self.moved()
        if self._room == self._capacity and self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)

    def _call_next(self) -> None:
        """Call who is first among the candidates, as long as there is room."""
        while self._room and self._candidates:
            entry = heappop(self._candidates)
            place, key = entry[2], entry[2].key
            place.is_candidate = False
            if key is not None:
                if key.is_open or not key.waiting or key.waiting[0] is not entry:
                    continue  # no longer the first of its key: that one is a candidate, or will be
                if place.turned.done():
                    self._nominate_first(key)
                    continue
                heappop(key.waiting)
                key.is_open = True
            self._places -= 1
            if not place.turned.done():
                self._room -= 1
                self._called_places[place] = None
                place.turned.set_result(None)

    async def quiet(self) -> None:
        """Wait until nobody has a turn or waits for one. Only one task may wait for that."""
        while self._room < self._capacity:
            self._quiet = asyncio.get_running_loop().create_future()
            await self._quiet

    def cut_off(self) -> list[str]:
        """Cancel all who have a turn and turn away who waits, as `Line.cut_off` does for one turn."""
        self.is_cut = True
        turns = [turn for outermost in self._begun for turn in outermost.everyone()]
        for turn in turns:
            turn.cut_off()
        for task in dict.fromkeys(turn.task for turn in turns if turn.task is not None):
            task.cancel()
        labels = [turn.label for turn in turns] + [place.label for place in self._called_places]
        waiting = [entry for entry in self._candidates if entry[2].key is None]
        for key in self._keys.values():
            waiting += key.waiting
        for _, _, place in sorted(waiting, key=lambda entry: entry[:2]):
            if not place.turned.done():
                error = LoopStopped(f"the nexus stopped before it had handled {self.describe(place.label)}")
                place.turned.set_exception(error)
                labels.append(place.label)
        return [self.describe(label) for label in labels]


def choose_line(describe: Callable[[Any], str], concurrency: int, key_of: Callable[[Any], Hashable] | None) -> Line:
    """Make the simplest line that takes so many turns at a time. Raises as `ConcurrentLine` does."""
    if concurrency.__class__ is int and concurrency == 1 and key_of is None:
        return Line(describe)
    return ConcurrentLine(describe, concurrency, key_of)
