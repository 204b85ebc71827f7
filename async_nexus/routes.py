"""Which handlers take an event: a pure table from key to handlers, without a loop or a queue."""

from collections.abc import Iterable
from typing import Generic, TypeAlias, TypeVar, cast

from .errors import HandlerConflict
from .events import DEFAULT, EventType, check_event_type, format_event_type, overlap

H = TypeVar("H")

Target: TypeAlias = EventType | range | None
"""What a handler is registered for: a key, a range of keys, or (`None`) whatever nobody else takes."""


def check_target(value: object) -> Target:
    """Read what a handler is registered for: a key, a `(first, last)` pair, a `range`, or -1.

    Raises `TypeError` for what is no key, `ValueError` for a range that is empty, inverted or steps down.
    """
    if isinstance(value, tuple):
        return _check_pair(cast("tuple[object, ...]", value))
    if isinstance(value, range):
        if not value or value.step < 0:
            raise ValueError(f"a range of event types ascends and is not empty, {value} is not so")
        return value
    key = check_event_type(value)
    return None if key == DEFAULT else key


def _check_pair(pair: tuple[object, ...]) -> range:
    if len(pair) != 2:
        raise TypeError(f"a range of event types is (first, last), not {pair!r}")
    first, last = (check_event_type(end) for end in pair)
    if not isinstance(first, int) or not isinstance(last, int):
        raise TypeError(f"a range of event types is of two ints, not {pair!r}")
    if first > last:
        raise ValueError(f"a range of event types is (first, last) with first <= last, not {pair!r}")
    return range(first, last + 1)


def show_target(target: Target) -> str:
    """Write what a handler is registered for as messages show it."""
    if target is None:
        return "the default"
    if isinstance(target, range):
        step = f" by {target.step}" if target.step > 1 else ""
        return f"the range {target[0]} to {target[-1]}{step}"
    return f"event type {format_event_type(target)}"


class Routes(Generic[H]):
    """The table of filters and handlers; with `multiple`, several handlers may share a key."""

    def __init__(self, *, multiple: bool = False) -> None:
        self.multiple = multiple
        self.filters: list[H] = []
        self._exact: dict[EventType, tuple[H, ...]] = {}
        self._ranges: list[tuple[range, H]] = []
        self._default: tuple[H, ...] = ()

    @property
    def key_count(self) -> int:
        """How many keys have handlers of their own."""
        return len(self._exact)

    def registered(self) -> tuple[tuple[Target, H], ...]:
        """List what is registered for what: keys, then ranges, then the default."""
        exact = ((key, handler) for key, handlers in self._exact.items() for handler in handlers)
        default = ((None, handler) for handler in self._default)
        return (*exact, *self._ranges, *default)

    def find(self, key: EventType) -> tuple[H, ...]:
        """Return the handlers of a key (D1): its own, else of ranges that hold it, else the default ones."""
        handlers = self._exact.get(key)
        if handlers is None and isinstance(key, int) and self._ranges:
            handlers = tuple(handler for keys, handler in self._ranges if key in keys)
        return handlers or self._default

    def check(self, targets: Iterable[Target]) -> None:
        """Raise `HandlerConflict` if any of the targets, or two of them, have a handler already (D5)."""
        if self.multiple:
            return
        seen: set[Target] = set()
        for target in targets:
            if taken := self._taken(target, seen):
                raise HandlerConflict(
                    f"{taken} has a handler already: remove one, or let all run by `AsyncEventNexus(multiple=True)`"
                )
            seen.add(target)

    def _taken(self, target: Target, seen: set[Target]) -> str | None:
        """Say what of a target, or of those seen before it, has a handler."""
        if not isinstance(target, range):
            taken = target in seen or (bool(self._default) if target is None else target in self._exact)
            return show_target(target) if taken else None
        ranges = (*(keys for keys, _ in self._ranges), *(each for each in seen if isinstance(each, range)))
        for keys in ranges:
            if overlap(target, keys):
                shares = "" if keys == target else f" shares keys with {show_target(keys)}, which"
                return f"{show_target(target)}{shares}"
        return None

    def add(self, target: Target, handler: H) -> None:
        """Register a handler for a target that `check` let pass."""
        if target is None:
            self._default = (*self._default, handler)
        elif isinstance(target, range):
            self._ranges.append((target, handler))
        else:
            self._exact[target] = (*self._exact.get(target, ()), handler)

    def clear(self) -> None:
        """Forget all handlers and filters."""
        self.filters.clear()
        self._exact.clear()
        self._ranges.clear()
        self._default = ()
