"""What is claimed of a key's payload, and whether the next claim or annotation agrees (C1, C2)."""

import inspect
from itertools import permutations
from typing import Annotated, Any, Generic, List, TypeVar  # noqa: UP035 # as older code writes it

import pytest
from pydantic import BaseModel, Field

from async_nexus import (
    AsyncEventNexus,
    Event,
    EventConsumer,
    EventDiscarder,
    EventQueue,
    InvalidHandler,
    NamedEvent,
    SchemaConflict,
)
from async_nexus.claims import claim_class

T = TypeVar("T")


class Teapot(BaseModel):
    temp: int


class HotTeapot(Teapot):
    steam: bool = True


class Treacle(BaseModel):
    sticky: bool = True


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class LoudTeapotEvent(TeapotEvent, type=99):
    volume: int = 11


class HotTeapotEvent(NamedEvent[HotTeapot], type=99): ...


class TreacleEvent(NamedEvent[Treacle], type="treacle"): ...


class Boxed(NamedEvent[T], Generic[T], type="boxed"): ...


class Stamped(Event[Teapot]):
    at: float = 0.0


class Labelled(Event[Teapot]):
    label: str = ""


def handler(annotation: Any) -> Any:
    """Make a handler with an annotation."""

    async def brew(event: Any) -> None: ...

    brew.__annotations__["event"] = annotation
    return brew


def nexus() -> AsyncEventNexus:
    """Make a nexus whose keys may have several handlers, so that annotations can meet."""
    return AsyncEventNexus(multiple=True)


def claimed(nexus: AsyncEventNexus, key: int | str) -> tuple[Any, Any] | None:
    """Return what is claimed of a key: payload and event class."""
    spec = nexus.catalog.get(key)
    return None if spec is None else (spec.payload_type, spec.event_class)


def here() -> str:
    """Name the place that this is called from, as file:line."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return f"{frame.f_back.f_code.co_filename}:{frame.f_back.f_lineno}"


def hot(event: Event[Teapot]) -> bool:
    """Let no hot teapot pass."""
    return event.payload.temp > 90


# Who claims (C1)


def test_declaring_classes() -> None:
    """C1: `declare(TeapotEvent, …)` claims each class's key."""
    domain = nexus()
    domain.declare(TeapotEvent, TreacleEvent)
    assert claimed(domain, 99) == (Teapot, TeapotEvent)
    assert claimed(domain, "treacle") == (Treacle, TreacleEvent)


@pytest.mark.parametrize("how", ["on", "add_handler"])
def test_classes_used_as_keys(how: str) -> None:
    """C1: a named event class used as a key claims it."""
    domain = nexus()
    if how == "on":
        domain.on(TeapotEvent)(handler(Any))
    else:
        domain.add_handler(TeapotEvent, handler(Any))
    assert claimed(domain, 99) == (Teapot, TeapotEvent)


def test_declaring_a_payload() -> None:
    """C1: `declare(99, Teapot)` claims a key, its events are plain ones."""
    domain = nexus()
    domain.declare(98, dict[str, int])
    assert claimed(domain, 98) == (dict[str, int], None)


def test_annotations_claim_plain_keys() -> None:
    """C1: a plain key that has no claim yet is claimed by the annotation of its handler."""
    domain = nexus()
    domain.add_handler(98, handler(Event[Teapot]))
    assert claimed(domain, 98) == (Teapot, None)


def test_annotations_claim_ranges() -> None:
    """C1: so is a range, for the keys in it; the keys themselves have no claim."""
    domain = nexus()
    domain.add_handler((100, 199), handler(Event[Teapot]))
    assert [(spec.key, spec.payload_type) for spec in domain.catalog.ranges] == [(range(100, 200), Teapot)]
    assert len(domain.catalog) == 0


def test_one_annotation_claims_several_keys() -> None:
    """C1: in one call, keys and ranges are claimed alike."""
    domain = nexus()
    domain.on(1, "x", (5, 9))(handler(Event[Teapot]))
    assert claimed(domain, 1) == claimed(domain, "x") == (Teapot, None)
    assert domain.catalog.ranges[0].payload_type is Teapot


def test_consumers_claim() -> None:
    """C1: by the annotation of `EventConsumer.handle`."""

    class Brews(EventConsumer[Any]):
        async def handle(self, event: Event[Teapot], queue: EventQueue, /) -> None: ...

    domain = nexus()
    domain.add_handler(98, Brews())
    assert claimed(domain, 98) == (Teapot, None)


def test_a_union_claims_each_keys_member() -> None:
    """C1: a union of named events under several keys claims each key's member."""
    domain = nexus()
    domain.on(99, "treacle")(handler(TeapotEvent | TreacleEvent))
    assert claimed(domain, 99) == (Teapot, TeapotEvent)
    assert claimed(domain, "treacle") == (Treacle, TreacleEvent)


def test_a_union_of_plain_events_claims_the_union_of_payloads() -> None:
    """C1: a union of plain events claims that the payload is one of theirs."""
    domain = nexus()
    domain.add_handler(98, handler(Event[Teapot] | Event[str]))
    assert claimed(domain, 98) == (Teapot | str, None)


def test_a_union_of_a_named_event_and_plain_ones() -> None:
    """C1: under the named event's key it claims that class, under another key what is left."""
    domain = nexus()
    domain.on(99, 98)(handler(TeapotEvent | Event[str]))
    assert claimed(domain, 99) == (Teapot, TeapotEvent)
    assert claimed(domain, 98) == (str, None)


def test_an_event_class_without_a_key_can_be_claimed() -> None:
    """C1: a subclass of `Event` that adds fields says both payload and class."""
    domain = nexus()
    domain.add_handler(98, handler(Stamped))
    assert claimed(domain, 98) == (Teapot, Stamped)


@pytest.mark.parametrize(
    "annotation", [Event, Event[Any], Any, object, Event[Any] | TeapotEvent, NamedEvent, NamedEvent[Any]], ids=str
)
def test_open_annotations_claim_nothing(annotation: Any) -> None:
    """C1: `Event` and `Event[Any]` claim nothing, alone or in a union; `NamedEvent` has no key to claim."""
    domain = nexus()
    domain.add_handler(99, handler(annotation))
    assert claimed(domain, 99) is None


def test_filters_and_default_handlers_claim_nothing() -> None:
    """C1: whatever their annotations are, also where -1 names the default handler."""
    domain = nexus()
    domain.add_filter(hot)
    domain.default(handler(Event[Teapot]))
    domain.add_handler(-1, handler(Event[Treacle]))
    domain.add_handler(99, EventDiscarder())
    assert dict(domain.catalog) == {}


@pytest.mark.parametrize("key", [0, "", -1])
def test_odd_keys_are_claimed_like_others(key: Any) -> None:
    """E3: 0, the empty string and -1 are keys; each has its own claim."""
    odd: Any = type("Odd", (NamedEvent[Teapot],), {"__module__": __name__}, type=key)
    domain = nexus()
    for other in (0, "", -1):
        if other != key:
            domain.declare(other, str)
    domain.declare(odd)
    assert claimed(domain, key) == (Teapot, odd)


# A class claims, an annotation checks (C2)

STRONG = {
    "class": lambda domain: domain.declare(TeapotEvent),
    "declaration": lambda domain: domain.declare(99, Teapot),
    "key": lambda domain: domain.add_handler(TeapotEvent, handler(Any)),
}


@pytest.mark.parametrize("claim", STRONG.values(), ids=STRONG)
@pytest.mark.parametrize(
    "annotation",
    [Event[Teapot], Event[BaseModel], Event[Teapot | str], TeapotEvent, TeapotEvent | TreacleEvent, Event[Any]],
    ids=str,
)
def test_what_fits_a_claim_is_accepted(claim: Any, annotation: Any) -> None:
    """C2: an annotation that is equal or wider is accepted, and the payload stays what it was."""
    domain = nexus()
    claim(domain)
    domain.add_handler(99, handler(annotation))
    assert domain.catalog[99].payload_type is Teapot


@pytest.mark.parametrize("claim", STRONG.values(), ids=STRONG)
def test_what_cannot_be_told_is_accepted(claim: Any) -> None:
    """C2: an annotation that overlaps in part is accepted, and claims nothing."""
    domain = nexus()
    claim(domain)
    domain.add_handler(99, handler(Event[HotTeapot | str]))
    assert domain.catalog[99].payload_type is Teapot


@pytest.mark.parametrize("claim", STRONG.values(), ids=STRONG)
@pytest.mark.parametrize("annotation", [Event[HotTeapot], Event[Treacle]], ids=str)
def test_narrower_and_disjoint_annotations_are_refused(claim: Any, annotation: Any) -> None:
    """C2: under a class or a declaration both are `InvalidHandler`, naming parameter, expected and given."""
    domain = nexus()
    claim(domain)
    with pytest.raises(InvalidHandler) as caught:
        domain.add_handler(99, handler(annotation))
    text = str(caught.value)
    assert f"brew: parameter 'event' is annotated {annotation.__name__} ({__file__}:" in text
    assert "expected is Teapot" in text
    assert "or wider: event type 99 is claimed as Teapot" in text


def test_a_subclass_is_narrower_than_the_keys_class() -> None:
    """C2: under a class, a handler of its subclass asks for more than it gets."""
    domain = nexus()
    domain.declare(TeapotEvent)
    with pytest.raises(InvalidHandler, match=r"annotated LoudTeapotEvent .* expected is TeapotEvent or wider"):
        domain.add_handler(99, handler(LoudTeapotEvent))


def test_another_class_of_the_key_is_disjoint() -> None:
    """C2: under a class, a handler of a class beside it never gets one, though the payload would fit."""
    domain = nexus()
    domain.declare(LoudTeapotEvent)
    with pytest.raises(InvalidHandler, match="annotated Stamped"):
        domain.add_handler(99, handler(Stamped))


def test_the_class_behind_a_class_fits() -> None:
    """C2: a handler of the base class takes what its subclass claims."""
    domain = nexus()
    domain.declare(LoudTeapotEvent)
    domain.add_handler(99, handler(TeapotEvent))
    assert claimed(domain, 99) == (Teapot, LoudTeapotEvent)


@pytest.mark.parametrize("annotation", [Boxed, Boxed[Any], Boxed[object], Boxed[int], Event[int]], ids=str)
def test_generic_named_events(annotation: Any) -> None:
    """C2: a generic event class is compared by its argument, `Any` fits."""
    domain = nexus()
    domain.declare(Boxed[int])
    domain.add_handler("boxed", handler(annotation))
    assert claimed(domain, "boxed") == (int, Boxed[int])
    with pytest.raises(InvalidHandler):
        domain.add_handler("boxed", handler(Boxed[str]))


def test_the_narrower_of_two_annotations_becomes_the_claim() -> None:
    """C2: under a plain key that only annotations claimed."""
    domain = nexus()
    for annotation in (Event[BaseModel], Event[HotTeapot], Event[Teapot]):
        domain.add_handler(98, handler(annotation))
    assert claimed(domain, 98) == (HotTeapot, None)


def test_a_named_event_is_narrower_than_a_plain_one() -> None:
    """C2: a handler that asks for the key's own event class gets it, in whichever order they come."""
    for annotations in ([Event[Teapot], TeapotEvent], [TeapotEvent, Event[Teapot]], [Event[BaseModel], TeapotEvent]):
        domain = nexus()
        for annotation in annotations:
            domain.add_handler(99, handler(annotation))
        assert claimed(domain, 99) == (Teapot, TeapotEvent)


def test_a_narrower_payload_keeps_the_class() -> None:
    """C2: a plain annotation that narrows the payload leaves the event class to the other handler."""
    domain = nexus()
    domain.add_handler(99, handler(TeapotEvent))
    domain.add_handler(99, handler(Event[HotTeapot]))
    assert claimed(domain, 99) == (HotTeapot, TeapotEvent)


def test_a_narrower_class_becomes_the_claim() -> None:
    """C2: of two annotated event classes the subclass is claimed."""
    domain = nexus()
    domain.add_handler(99, handler(TeapotEvent))
    domain.add_handler(99, handler(LoudTeapotEvent))
    assert claimed(domain, 99) == (Teapot, LoudTeapotEvent)


def test_annotations_that_overlap_in_part() -> None:
    """C2: the first of two that overlap in part stays the claim."""
    domain = nexus()
    domain.add_handler(98, handler(Event[int | str]))
    domain.add_handler(98, handler(Event[str | bytes]))
    assert claimed(domain, 98) == (int | str, None)


@pytest.mark.parametrize("order", ["ABC", "ACB", "BAC", "CAB"])
@pytest.mark.parametrize("key", [98, (90, 99)])
def test_an_annotation_that_has_nothing_in_common_with_a_narrower_one(key: Any, order: str) -> None:
    """C2: that is refused in whichever order they come."""
    annotations = {"A": Event[int | str], "B": Event[str | bytes], "C": Event[int]}
    domain = AsyncEventNexus(multiple=True)
    for each in order[:2]:
        domain.add_handler(key, handler(annotations[each]))
    with pytest.raises(InvalidHandler):
        domain.add_handler(key, handler(annotations[order[2]]))


def test_disjoint_annotations_are_refused() -> None:
    """C2: the message names both handlers and their places."""
    domain = nexus()
    first = here()
    domain.add_handler(98, handler(Event[int]))
    with pytest.raises(InvalidHandler, match=r"annotated Event\[str\] .*claimed as int") as caught:
        domain.add_handler(98, handler(Event[str]))
    assert f"int ({__file__}:{int(first.rpartition(':')[2]) + 1})" in str(caught.value)


def test_a_named_event_under_another_key() -> None:
    """C2: that is a `SchemaConflict`, which says what to do."""
    with pytest.raises(SchemaConflict, match="event type 98 is not the key of TeapotEvent of event type 99: register"):
        nexus().add_handler(98, handler(TeapotEvent))


def test_a_named_event_under_another_key_that_is_claimed() -> None:
    """C2: where a class or a declaration has claimed that key, its annotation is refused as disjoint."""
    domain = nexus()
    domain.declare(TreacleEvent)
    with pytest.raises(InvalidHandler, match="expected is TreacleEvent or wider"):
        domain.add_handler("treacle", handler(TeapotEvent))


@pytest.mark.parametrize("keys", [(99, 99), range(90, 100)])
def test_a_named_event_under_a_range(keys: Any) -> None:
    """C2: a range is never a named event's own key, even if it holds that key."""
    with pytest.raises(SchemaConflict, match=r"event types 9. to 99 is not the key of TeapotEvent"):
        nexus().add_handler(keys, handler(TeapotEvent))


# Later claims (C2)


@pytest.mark.parametrize("claim", STRONG.values(), ids=STRONG)
def test_later_claims_take_over(claim: Any) -> None:
    """C2: a class or declaration that comes after an annotation takes the claim over."""
    domain = nexus()
    domain.add_handler(99, handler(Event[BaseModel]))
    claim(domain)
    assert domain.catalog[99].payload_type is Teapot


@pytest.mark.parametrize("claim", STRONG.values(), ids=STRONG)
@pytest.mark.parametrize("annotation", [Event[HotTeapot], Event[Treacle]], ids=str)
def test_annotations_are_checked_against_later_claims(claim: Any, annotation: Any) -> None:
    """C2: an annotation already there that a later claim contradicts is named; the claim stays as it was."""
    domain = nexus()
    domain.add_handler(99, handler(annotation))
    before = claimed(domain, 99)
    with pytest.raises(InvalidHandler, match="brew: parameter 'event' is annotated"):
        claim(domain)
    assert claimed(domain, 99) == before


def test_all_annotations_are_checked_against_later_claims() -> None:
    """C2: also those that had become no claim."""
    domain = nexus()
    domain.add_handler(98, handler(Event[Teapot]))
    domain.add_handler(98, handler(Event[Teapot | str]))
    with pytest.raises(InvalidHandler):
        domain.declare(98, str)


def test_a_declaration_keeps_the_class_that_an_annotation_asked_for() -> None:
    """C2: an annotated named event adds its class to a declaration that its payload fits, before or after it."""
    for registrations in (["declare", "annotate"], ["annotate", "declare"]):
        domain = nexus()
        for each in registrations:
            if each == "declare":
                domain.declare(99, Teapot)
            else:
                domain.add_handler(99, handler(TeapotEvent))
        assert claimed(domain, 99) == (Teapot, TeapotEvent)


# Conflicts (C2)


def test_declarations_of_one_key_must_be_equal() -> None:
    """C2: a second declaration that says the same is welcome."""
    domain = nexus()
    domain.declare(98, Teapot | None)
    domain.declare(98, None | Teapot)
    assert claimed(domain, 98) == (Teapot | None, None)


@pytest.mark.parametrize(
    "one, other",
    [
        (Annotated[int, Field(gt=3)], Annotated[int, Field(gt=3)]),
        (list[int], List[int]),  # noqa: UP006 # as older code writes it
        (None, type(None)),
    ],
    ids=repr,
)
def test_declarations_that_pydantic_reads_alike_are_equal(one: Any, other: Any) -> None:
    """C2: however they are written; constraints that differ conflict."""
    domain = nexus()
    domain.declare(98, one)
    domain.declare(98, other)
    with pytest.raises(SchemaConflict):
        domain.declare(98, Annotated[int, Field(gt=4)])


@pytest.mark.parametrize("payload", [HotTeapot, BaseModel, Treacle, Any])
def test_declarations_that_differ_conflict(payload: Any) -> None:
    """C2: a conflict names both claims and where each was made."""
    domain = nexus()
    first = here()
    domain.declare(98, Teapot)
    with pytest.raises(SchemaConflict) as caught:
        domain.declare(98, payload)
    line = int(first.rpartition(":")[2])
    text = str(caught.value)
    assert f"event type 98 is claimed as Teapot ({__file__}:{line + 1}) and as " in text
    assert f"({__file__}:{line + 3}): give them the same payload, or two keys" in text
    assert claimed(domain, 98) == (Teapot, None)


def test_two_classes_of_one_key_conflict() -> None:
    """C2: unless one is a subclass of the other."""
    domain = nexus()
    domain.declare(TeapotEvent)
    with pytest.raises(SchemaConflict, match=r"event type 99 is claimed as TeapotEvent \(.*\) and as HotTeapotEvent"):
        domain.on(HotTeapotEvent)(handler(Any))
    assert claimed(domain, 99) == (Teapot, TeapotEvent)


@pytest.mark.parametrize("classes", [(TeapotEvent, LoudTeapotEvent), (LoudTeapotEvent, TeapotEvent)], ids=str)
def test_the_subclass_is_the_keys_class(classes: Any) -> None:
    """C2: in whichever order they come."""
    domain = nexus()
    for each in classes:
        domain.declare(each)
    assert claimed(domain, 99) == (Teapot, LoudTeapotEvent)


def test_declaring_a_class_twice() -> None:
    """C2: a class agrees with itself."""
    domain = nexus()
    domain.declare(TeapotEvent, TeapotEvent)
    domain.add_handler(TeapotEvent, handler(TeapotEvent))
    assert claimed(domain, 99) == (Teapot, TeapotEvent)


@pytest.mark.parametrize("order", ["class first", "declaration first"])
def test_a_class_adds_itself_to_a_declaration_that_it_fits(order: str) -> None:
    """C2: the payload is as declared, and the events are of the class."""
    domain = nexus()
    if order == "class first":
        domain.declare(TeapotEvent)
        domain.declare(99, HotTeapot)
    else:
        domain.declare(99, HotTeapot)
        domain.declare(TeapotEvent)
    assert claimed(domain, 99) == (HotTeapot, TeapotEvent)


@pytest.mark.parametrize("payload", [BaseModel, Treacle])
@pytest.mark.parametrize("order", ["class first", "declaration first"])
def test_a_class_conflicts_with_a_declaration_that_it_does_not_fit(order: str, payload: Any) -> None:
    """C2: a class whose payload is narrower than declared, or disjoint, is a `SchemaConflict`."""
    domain = nexus()
    if order == "class first":
        domain.declare(TeapotEvent)
        with pytest.raises(SchemaConflict, match=r"claimed as TeapotEvent .* and as"):
            domain.declare(99, payload)
    else:
        domain.declare(99, payload)
        with pytest.raises(SchemaConflict, match=r"claimed as .* and as TeapotEvent"):
            domain.declare(TeapotEvent)


def test_a_subclass_takes_over_a_declared_class() -> None:
    """C2: the declaration still holds for the subclass."""
    domain = nexus()
    domain.declare(99, HotTeapot)
    domain.declare(TeapotEvent, LoudTeapotEvent)
    assert claimed(domain, 99) == (HotTeapot, LoudTeapotEvent)
    with pytest.raises(SchemaConflict):
        domain.declare(99, Teapot)


# Ranges (C2)


def test_overlapping_ranges_are_checked() -> None:
    """C2: a range's annotation is checked against the ranges that share a key with it."""
    domain = nexus()
    domain.add_handler((100, 199), handler(Event[int]))
    domain.add_handler((200, 299), handler(Event[str]))
    with pytest.raises(InvalidHandler, match=r"expected is int or wider: event types 100 to 199 is claimed as int"):
        domain.add_handler(range(150, 152), handler(Event[str]))


def test_ranges_are_checked_against_ranges_only() -> None:
    """C2: what a key in it is claimed as does not matter to a range."""
    domain = nexus()
    domain.declare(150, str)
    domain.add_handler((100, 199), handler(Event[int]))
    assert claimed(domain, 150) == (str, None)


def test_each_overlapping_range_is_checked() -> None:
    """C2: a range that is claimed already is still checked against the others."""
    domain = nexus()
    domain.add_handler((0, 9), handler(Event[int | str]))
    domain.add_handler((5, 20), handler(Event[int | None]))
    with pytest.raises(InvalidHandler):
        domain.add_handler((0, 9), handler(Event[str | bytes]))


def test_the_narrower_of_two_ranges_is_asked_first() -> None:
    """C2: for the keys that ranges share, the narrowest annotation is the claim."""
    domain = nexus()
    ranges = [
        ((0, 99), Event[BaseModel]),
        ((50, 149), Event[HotTeapot]),
        ((60, 69), Event[Teapot]),
        ((200, 299), Event[str]),
    ]
    for keys, annotation in ranges:
        domain.add_handler(keys, handler(annotation))
    assert [domain.catalog.find(key).payload_type for key in (0, 65, 55, 200)] == [BaseModel, HotTeapot, HotTeapot, str]  # type: ignore[union-attr] # each is in a range


def test_the_narrower_range_is_asked_first_in_whichever_order_they_come() -> None:
    """C2: also where one range is narrower than the first of two and wider than the second."""
    ranges = {(1, 10): Event[BaseModel], (20, 30): Event[HotTeapot], (5, 25): Event[Teapot]}
    for order in permutations(ranges):
        domain = nexus()
        for keys in order:
            domain.add_handler(keys, handler(ranges[keys]))
        found = [domain.catalog.find(key) for key in (3, 7, 15, 22, 28)]
        assert [each and each.payload_type for each in found] == [BaseModel, Teapot, Teapot, HotTeapot, HotTeapot]


def test_event_classes_of_ranges_are_compared() -> None:
    """C2: two classes of which neither is the other are disjoint, whatever their payload."""
    domain = nexus()
    domain.add_handler((1, 5), handler(Stamped))
    with pytest.raises(InvalidHandler, match="expected is Stamped or wider"):
        domain.add_handler((1, 5), handler(Labelled))


def test_one_range_twice() -> None:
    """C2: a second annotation of the same range is a claim only if it is narrower."""
    domain = nexus()
    for annotation in (Event[Teapot], Event[BaseModel], Event[Teapot]):
        domain.add_handler((0, 9), handler(annotation))
    assert [spec.payload_type for spec in domain.catalog.ranges] == [Teapot]
    domain.add_handler((0, 9), handler(Event[HotTeapot]))
    assert [spec.payload_type for spec in domain.catalog.ranges] == [HotTeapot, Teapot]


# As a whole or not at all (D5)


def test_a_declaration_that_raises_has_claimed_nothing() -> None:
    """D5: of several classes none is claimed if one conflicts."""
    domain = nexus()
    domain.declare(99, Treacle)
    with pytest.raises(SchemaConflict):
        domain.declare(TreacleEvent, TeapotEvent)
    assert claimed(domain, "treacle") is None


def test_a_registration_that_raises_has_claimed_nothing() -> None:
    """D5: of several keys none is claimed, nor has a handler, if the annotation does not fit one of them."""
    domain = nexus()
    domain.declare(3, Treacle)
    with pytest.raises(InvalidHandler):
        domain.on(1, (10, 20), 3)(handler(Event[Teapot]))
    assert claimed(domain, 1) is None
    assert list(domain.catalog.ranges) == []
    assert domain.handlers == ()


def test_a_payload_that_pydantic_cannot_compile() -> None:
    """D5: a declaration that fails late, in pydantic, has claimed nothing either."""

    class Unfinished(NamedEvent["Nowhere"], type=98): ...  # type: ignore[name-defined] # cannot be found

    domain = nexus()
    with pytest.raises(Exception, match="Nowhere"):
        domain.declare(TreacleEvent, Unfinished)
    assert dict(domain.catalog) == {}
    domain.declare("treacle", Treacle)


# Bad input


@pytest.mark.parametrize("given", [Teapot, Event, Event[Teapot], NamedEvent, NamedEvent[Teapot], int, None, 1.5, ()])
@pytest.mark.parametrize("how", ["declare", "on", "add_handler"])
def test_what_is_no_event_class_or_key(how: str, given: Any) -> None:
    """C1: it is a `TypeError` that says what was given and what is expected."""
    domain = nexus()
    more = (handler(Any),) if how == "add_handler" else ()
    with pytest.raises(TypeError, match=r"is expected|an event type is|a range of event types is"):
        getattr(domain, how)(given, *more)
    assert domain.handlers == ()


@pytest.mark.parametrize("claims", [(99,), (99, Teapot, Treacle), ("x",)])
def test_a_declared_key_has_one_payload(claims: Any) -> None:
    """C1: `declare(99)` and `declare(99, A, B)` are `TypeError`s that show how it is meant."""
    with pytest.raises(TypeError, match=r"declare\(99, Teapot\)"):
        nexus().declare(*claims)


def test_booleans_are_no_keys() -> None:
    """E3: `declare(True, …)` and `on(True)` are refused."""
    for bad in (lambda: nexus().declare(True, Teapot), lambda: nexus().on(True)):
        with pytest.raises(TypeError, match="an event type is an int or a str, not True"):
            bad()


def test_none_is_a_payload() -> None:
    """C1: `declare("ping", None)` says that there is no payload."""
    domain = nexus()
    domain.declare("ping", None)
    domain.add_handler("ping", handler(Event[None]))
    assert domain.catalog["ping"].payload_type is None


def test_a_class_without_a_key_claims_nothing() -> None:
    """C1: only named events can claim; `claim_class` says how to derive one."""
    with pytest.raises(TypeError, match=r"Stamped has no key: derive it from NamedEvent\[Payload\]"):
        claim_class(None, Stamped, "here")
