"""What has been said of one key's payload, and whether the next thing said agrees (C1, C2).

A class or a declaration claims; an annotation claims only what nothing stronger has, and is checked
otherwise. All of it is pure: each rule returns a new `Claim` or raises.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple, TypeAlias, Union, cast

from .errors import InvalidHandler, SchemaConflict
from .events import Event, EventType, format_event_type, is_plain, overlap, own_key, payload_type
from .subtyping import Relation, compare, show_type

Keys: TypeAlias = EventType | range
EventClass: TypeAlias = type[Event[Any]]


class Reading(NamedTuple):
    """What a handler's annotation asks for: one of several event types."""

    parameter: str
    annotation: object
    members: tuple[EventClass, ...]

    def __str__(self) -> str:
        return f"parameter {self.parameter!r} is annotated {show_type(self.annotation)}"


Readings: TypeAlias = dict[tuple[str, object], Reading]
"""Readings by their parameters' names and annotations."""


class Asked(NamedTuple):
    """What was read of a handler's annotation, the name of the handler, and its place."""

    reading: Reading
    handler: str
    where: str

    def __str__(self) -> str:
        return f"{self.handler}: {self.reading} ({self.where})"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a key's payload is, which event class its events have, and who said so.

    `declared` and `classed` tell where a declaration and a named event class were given; where neither
    was, the claim is an annotation's and gives way to them. `asked` are all annotations so far.
    """

    key: Keys
    payload: Any
    event_class: EventClass | None = None
    declared: str | None = None
    classed: str | None = None
    asked: tuple[Asked, ...] = ()

    @property
    def is_strong(self) -> bool:
        """Whether annotations are only checked against the claim."""
        return self.declared is not None or self.classed is not None

    def __str__(self) -> str:
        schema = show_type(self.event_class if self.classed else self.payload)
        return f"{schema} ({self.classed or self.declared or self.asked[0].where})"


def show_keys(key: Keys) -> str:
    """Write a key or a range of keys as messages show it."""
    return f"event types {key[0]} to {key[-1]}" if isinstance(key, range) else f"event type {format_event_type(key)}"


def claim_class(claim: Claim | None, event_class: EventClass, where: str) -> Claim:
    """Let a named event class claim its key. Raises `SchemaConflict` or `InvalidHandler`."""
    key = own_key(event_class)
    if key is None:
        raise TypeError(f"{event_class.__name__} has no key: derive it from NamedEvent[Payload]")
    new = Claim(key, payload_type(event_class), event_class, classed=where)
    if claim is None:
        return new
    if claim.classed is not None and claim.event_class is not None:
        if issubclass(claim.event_class, event_class):
            return claim
        if not issubclass(event_class, claim.event_class):
            raise _conflict(claim, new)
    if claim.declared is not None:
        _check_class_fits(event_class, claim.payload, claim, new)
        new = replace(new, payload=claim.payload, declared=claim.declared)
    return _ask_again(new, claim.asked)


def declare(claim: Claim | None, key: EventType, payload: Any, where: str) -> Claim:
    """Let a declaration claim a key. Raises `SchemaConflict` or `InvalidHandler`."""
    new = Claim(key, payload, declared=where)
    if claim is None:
        return new
    if claim.declared is not None:
        if claim.payload != payload:
            raise _conflict(claim, new)
        return claim
    if claim.classed is not None and claim.event_class is not None:
        _check_class_fits(claim.event_class, payload, claim, new)
        new = replace(new, event_class=claim.event_class, classed=claim.classed)
    return _ask_again(new, claim.asked)


def _check_class_fits(event_class: EventClass, payload: Any, claim: Claim, new: Claim) -> None:
    if compare(payload_type(event_class), payload) in (Relation.NARROWER, Relation.DISJOINT):
        raise _conflict(claim, new)


def _conflict(claim: Claim, new: Claim) -> SchemaConflict:
    return SchemaConflict(
        f"{show_keys(claim.key)} is claimed as {claim} and as {new}: give them the same payload, or two keys"
    )


def _ask_again(claim: Claim, asked: tuple[Asked, ...]) -> Claim:
    return reduce(lambda current, each: annotate(current, current.key, each), asked, claim)


def annotate(claim: Claim | None, key: Keys, asked: Asked) -> Claim:
    """Check an annotation against a key's claim; where there is none stronger it may become the claim.

    Raises `InvalidHandler` where it asks for something else, `SchemaConflict` for another key's named event.
    """
    claimed = claim.event_class if claim is not None else None
    members = [
        member
        for member in asked.reading.members
        # Plain events have no key; to ask a model for what it has not is dear.
        if is_plain(member) or own_key(member) in (None, key) or (claimed is not None and issubclass(claimed, member))
    ]
    if not members:
        raise _not_its_key(claim, key, asked)
    classes = [member for member in members if not is_plain(member)]
    # Of a union that holds the key's own class, that one is claimed.
    chosen = next((each for each in classes if own_key(each) is not None), None)
    if chosen is None and classes == members and len(members) == 1:
        chosen = classes[0]
    payload = _union([payload_type(each) for each in ([chosen] if chosen else members)])
    wanted = Claim(key, payload, chosen, asked=(asked,))
    if claim is None:
        return wanted
    relation = _relation(claim, members, payload)
    if relation is Relation.DISJOINT or (relation is Relation.NARROWER and claim.is_strong):
        raise _refused(claim, asked)
    event_class = claim.event_class or chosen
    if relation is Relation.NARROWER:
        # What overlapped with the wider one in part may have nothing in common with this one.
        return _ask_again(replace(wanted, event_class=chosen or event_class), claim.asked)
    return replace(claim, event_class=event_class, asked=(*claim.asked, asked))


def _relation(claim: Claim, members: list[EventClass], payload: Any) -> Relation:
    """Tell how what an annotation asks for relates to what a claim says the handler gets."""
    if claim.event_class is None or any(is_plain(member) for member in members):
        return compare(payload, claim.payload)
    return compare(_union(members), claim.event_class)


def _union(types: Sequence[Any]) -> Any:
    return types[0] if len(types) == 1 else cast(Any, Union)[tuple(types)]


def _not_its_key(claim: Claim | None, key: Keys, asked: Asked) -> InvalidHandler | SchemaConflict:
    if claim is not None and claim.is_strong:
        return _refused(claim, asked)
    owners = ", ".join(
        f"{show_type(member)} of {show_keys(cast(EventType, own_key(member)))}" for member in asked.reading.members
    )
    return SchemaConflict(
        f"{asked}, but {show_keys(key)} is not the key of {owners}: register the handler for the class"
    )


def _refused(claim: Claim, asked: Asked) -> InvalidHandler:
    expected = show_type(claim.event_class or claim.payload)
    return InvalidHandler(f"{asked}, expected is {expected} or wider: {show_keys(claim.key)} is claimed as {claim}")


def check_range(claims: list[Claim], keys: range, asked: Asked) -> list[Claim]:
    """Add a range's annotation to those of the ranges before it, the narrower of two that overlap first.

    Raises `InvalidHandler` where it contradicts a range that shares a key, `SchemaConflict` for a named event.
    """
    new, place = annotate(None, keys, asked), len(claims)
    for index, claim in enumerate(claims):
        relation = _relation_of_ranges(new, claim)
        if relation is Relation.DISJOINT:
            raise _refused(claim, asked)
        if relation is Relation.NARROWER:
            place = min(place, index)
        elif relation is Relation.FITS and claim.key == keys:
            return claims
    # It stands before the first that is wider, and after all that are narrower, which may have stood behind that one.
    first: list[Claim] = [new]
    for claim in reversed(claims[place:]):
        if any(_relation_of_ranges(claim, each) is Relation.NARROWER for each in first):
            first.insert(0, claim)
    return [*claims[:place], *first, *(claim for claim in claims[place:] if claim not in first)]


def _relation_of_ranges(one: Claim, other: Claim) -> Relation:
    """Tell how one range's claim relates to another's; where they share no key, nothing can be told."""
    if not overlap(cast("range", one.key), cast("range", other.key)):
        return Relation.UNKNOWN
    if one.event_class is not None and other.event_class is not None:
        return compare(one.event_class, other.event_class)
    return compare(one.payload, other.payload)
