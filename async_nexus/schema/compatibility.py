"""What a change of a nexus breaks: each version's readers against the other's writers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from math import lcm
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from ..events import parse_event_type
from .differences import Comparison, Difference, Schema, Verdict
from .finer import without
from .lock import check_lock
from .names import keys_text

Mode: TypeAlias = Literal["backward", "forward", "full"]
Direction: TypeAlias = Literal["backward", "forward"]

MOST_SAMPLES: Final = 100_000
"""How many keys are looked at between two ends of ranges; only steps without a common measure give as many."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A change that breaks something, or may.

    `event` is the event's class or, where it has none, its key; `field` a path such as `payload.temp`, empty
    where the event as a whole is meant; `direction` tells whether it is the new version that cannot read
    (`backward`) or the old one (`forward`).
    """

    event: str
    field: str
    rule: str
    verdict: Verdict
    direction: Direction
    message: str


class _Entry(NamedTuple):
    keys: int | str | range
    name: str
    content: Schema


class _Lock:
    """A lock's event types, to be found by key as a nexus finds them."""

    def __init__(self, document: Schema) -> None:
        self.definitions: Schema = document["$defs"]
        events = cast("Mapping[str, Schema]", document["events"])
        self.exact = {key: _Entry(key, each["name"], each) for key, each in _by_key(events)}
        self.ranges = [
            _Entry(range(each["first"], each["last"] + 1, each["step"]), each["name"], each)
            for each in document["ranges"]
        ]

    def find(self, key: int | str) -> _Entry | None:
        entry = self.exact.get(key)
        if entry is None and isinstance(key, int):
            return next((each for each in self.ranges if key in cast("range", each.keys)), None)
        return entry


def _by_key(events: Mapping[str, Schema]) -> Iterator[tuple[int | str, Schema]]:
    return ((parse_event_type(text), each) for text, each in events.items())


def compare(old_lock: Mapping[str, Any], new_lock: Mapping[str, Any], mode: Mode = "backward") -> list[Finding]:
    """List what a new version breaks.

    `backward`: it has to read all that the old one may have written. `forward`: the old one has to read all
    that it may write. `full`: both. What only its author can decide is reported as unclear. Raises `ValueError`
    for what is no lock, or no mode.
    """
    if mode not in ("backward", "forward", "full"):
        raise ValueError(f"a mode is backward, forward or full, not {mode!r}")
    check_lock(old_lock)
    check_lock(new_lock)
    old, new = _Lock(_in_words_of(new_lock, old_lock)), _Lock(_in_words_of(old_lock, new_lock))
    backward = _check(old, new, "backward") if mode != "forward" else iter(())
    forward = _check(new, old, "forward") if mode != "backward" else iter(())
    return list(dict.fromkeys(chain(backward, forward)))


def _in_words_of(other: Schema, document: Schema) -> Schema:
    """Leave out what the other lock, perhaps an older one, has no words for: it is no change."""
    unshared = {*document.get("words", ())} - {*other.get("words", ())}
    return without(document, unshared) if unshared else document


def _check(writer: _Lock, reader: _Lock, direction: Direction) -> Iterator[Finding]:
    for entry in chain(writer.exact.values(), writer.ranges):
        found = [*_readers(entry, writer, reader)]
        for other in found:
            if other is None:
                yield _lost(entry, reader, direction, is_partial=len(found) > 1)
            else:
                for difference in _differences(entry, writer, other, reader):
                    yield _finding(entry, difference, direction)


def _readers(entry: _Entry, writer: _Lock, reader: _Lock) -> Iterator[_Entry | None]:
    """List what reads the events of an entry, each once; `None` where nothing reads some of them."""
    if not isinstance(entry.keys, range):
        yield reader.find(entry.keys)
        return
    own = (key for key in _samples(entry.keys, writer, reader) if writer.find(key) is entry)
    found = {id(each): each for each in map(reader.find, own)}
    yield from found.values()


def _samples(keys: range, *locks: _Lock) -> Iterator[int]:
    """Pick keys of a range, at least one of those that the same entries of the locks hold.

    Between any two ends of ranges, what holds a key depends on what the steps of the ranges there leave of it.
    """
    singles = {key for lock in locks for key in lock.exact if isinstance(key, int)}
    ranges = [cast("range", each.keys) for lock in locks for each in lock.ranges]
    holders = [*ranges, *(range(key, key + 1) for key in singles)]
    ends = {end for each in holders for end in (each[0], each[-1] + 1)}
    borders = sorted({keys[0], keys[-1] + 1, *(end for end in ends if keys[0] < end <= keys[-1])})
    for begin, end in pairwise(borders):
        period = lcm(*(each.step for each in ranges if each[0] <= begin <= each[-1]))
        first = begin + (keys[0] - begin) % keys.step
        yield from range(first, min(end, first + period), keys.step)[:MOST_SAMPLES]


def _lost(entry: _Entry, reader: _Lock, direction: Direction, *, is_partial: bool) -> Finding:
    """Say that an event type is not known; one of the same class under another key was probably moved there."""
    here = f"event type {keys_text(entry.keys)}"
    moved = next((other for other in reader.exact.values() if other.name == entry.name), None)
    if moved is not None and not isinstance(entry.keys, range):
        rule, message = "key-changed", f"{here} is {keys_text(moved.keys)} {_OTHER[direction]}"
    elif direction == "backward":
        rule, message = "event-removed", f"{here} is not known any more"
    else:
        rule, message = "event-added", f"{here} is not known to the old version"
    if is_partial:
        message = message.replace(" is ", " is in part ", 1)
    return Finding(entry.name, "", rule, Verdict.BREAKING, direction, f"{entry.name}: {message}")


_OTHER: Final = {"backward": "in the new version", "forward": "in the old version"}


def _differences(entry: _Entry, writer: _Lock, other: _Entry, reader: _Lock) -> Iterator[Difference]:
    """List the differences, but for those that a version has with itself: nobody changed anything there.

    What is unclear is the same only if both schemas are: that is part of it.
    """
    written, read = entry.content["serialization"], other.content["validation"]
    own = Comparison(writer.definitions, writer.definitions).compare(
        _keyless(written), _keyless(entry.content["validation"]), ""
    )
    found = Comparison(writer.definitions, reader.definitions).compare(_keyless(written), _keyless(read), "")
    return (each for each in dict.fromkeys(found) if each not in own)


def _keyless(envelope: Schema) -> Schema:
    """Leave out the event's type, which is compared by keys."""
    properties = {name: schema for name, schema in envelope["properties"].items() if name != "type"}
    return {**envelope, "properties": properties, "required": [x for x in envelope["required"] if x != "type"]}


def _finding(entry: _Entry, difference: Difference, direction: Direction) -> Finding:
    writer, reader = ("old", "new") if direction == "backward" else ("new", "old")
    message = (
        f"{entry.name}, {difference.field or 'event'}: {difference.message} "
        f"(written by the {writer} version, read by the {reader})"
    )
    rule = difference.rule
    if rule == "field-added" and direction == "forward":  # what the new version does not write has been removed
        rule = "field-removed"
    return Finding(entry.name, difference.field, rule, difference.verdict, direction, message)
