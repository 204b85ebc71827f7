"""Events drawn from the catalog: valid ones are accepted, invalid ones refused, of every kind of claim."""

import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, Json, conlist, field_validator

from async_nexus import AsyncEventNexus, Event, InvalidPayload, NamedEvent
from async_nexus.testing import events_of, invalid_events_of, payloads_of


class Colour(enum.Enum):
    GREEN = "green"
    BLACK = 2


class Leaf(BaseModel):
    model_config = ConfigDict(strict=True)

    colour: Colour
    picked: datetime
    price: Annotated[Decimal, Field(gt=0)]
    name: Annotated[str, Field(pattern="^[a-c]+$", max_length=5)]
    marks: frozenset[int] = frozenset()
    blended_from: "list[Leaf]" = []


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def is_even(cls, number: int) -> int:
        """A rule that no schema tells of."""
        if number % 2:
            raise ValueError("odd")
        return number


@dataclass
class Cup:
    size: int
    content: bytes


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, lt=10)]


class Dog(BaseModel):
    kind: Literal["dog"]
    weight: Annotated[float, Field(gt=0, le=99.5)]


class Opaque:
    """A class of which pydantic knows nothing."""


class Brew(NamedEvent[Leaf], type="brew"): ...


TYPES: tuple[Any, ...] = (
    *(int, str, bytes, float, bool, None, Leaf, Even, Cup, Opaque, Colour),
    *(list[int], set[int], tuple[int, str], tuple[int, ...], dict[int, str], uuid.UUID | None, Path, IPv4Address),
    *(date, time, timedelta, Literal["a", 1] | None, Json[int], conlist(int, min_length=2, max_length=3)),
    *(Annotated[Cat | Dog, Field(discriminator="kind")], Annotated[int, Field(multiple_of=7, gt=3, le=700)]),
    *(Annotated[dict[str, int], Field(min_length=2)], type[int]),
    *(Annotated[bytes, Field(min_length=2, max_length=4)], Annotated[str, Field(pattern=r"^\p{L}*$")], uuid.UUID),
    *(
        dict[Annotated[str, Field(pattern="^[ab]$")], int],
        Annotated[float, Field(multiple_of=0.5)],
        tuple[int, ...] | int,
    ),
)


def drawn(strategy: st.SearchStrategy[Any], number: int = 30) -> list[Any]:
    """Draw from a strategy, always the same."""
    found: list[Any] = []

    @seed(1)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(strategy)
    def note(each: Any) -> None:
        found.append(each)

    note()
    return found


def is_accepted(nexus: AsyncEventNexus[Any], event: Event[Any]) -> bool:
    """Whether the nexus would ingest the event."""
    try:
        nexus.catalog.validate(event)
    except InvalidPayload:
        return False
    return True


@pytest.mark.parametrize("payload", TYPES, ids=str)
def test_drawn_events_are_accepted(payload: Any) -> None:
    """Whatever the payload's type, strict or with rules of its own, the catalog accepts what is drawn."""
    nexus = AsyncEventNexus()
    nexus.declare(99, payload)
    events = drawn(events_of(nexus))
    assert events
    assert all(is_accepted(nexus, event) for event in events)


@pytest.mark.parametrize("payload", TYPES, ids=str)
def test_invalid_events_are_refused(payload: Any) -> None:
    """Nothing is drawn that the catalog accepts."""
    nexus = AsyncEventNexus()
    nexus.declare(99, payload)
    events = drawn(invalid_events_of(nexus))
    assert events
    assert not any(is_accepted(nexus, event) for event in events)


def test_flaws_are_small_too() -> None:
    """Invalid payloads come close to valid ones: whole objects with one wrong or missing field."""
    nexus = AsyncEventNexus()
    nexus.declare(99, Cat)
    payloads = [event.payload for event in drawn(invalid_events_of(nexus), 200)]
    assert any(isinstance(each, dict) and each.get("kind") == "cat" and "lives" not in each for each in payloads)
    assert any(isinstance(each, dict) and each.get("kind") == "cat" and "lives" in each for each in payloads)


def teahouse() -> AsyncEventNexus[Any]:
    """A nexus with a class, a declared key, a range with a key of its own, and handlers of what nobody claims."""
    nexus = AsyncEventNexus()
    nexus.declare(Brew)
    nexus.declare(101, str)

    @nexus.on((100, 102))
    def number(event: Event[int]) -> None: ...

    nexus.add_handler("anything", lambda event: None)
    nexus.add_handler((7, 8), lambda event: None)
    nexus.default(lambda event: None)
    return nexus


def test_all_that_the_nexus_knows_is_drawn() -> None:
    """Claimed keys, classes and ranges, what only has a handler; a range leaves out keys that have their own claim."""
    events = drawn(events_of(teahouse()), 300)
    assert {event.type for event in events} == {"brew", 100, 101, 102, "anything", 7, 8}
    assert {type(event.payload) for event in events if event.type in (100, 102)} == {int}
    assert {type(event) for event in events if event.type == "brew"} == {Brew}


def test_what_may_be_anything_is_never_invalid() -> None:
    """Keys without a claim, and with `Any` for one, are left out of the invalid events."""
    nexus = teahouse()
    nexus.declare("any", Any)
    assert {event.type for event in drawn(invalid_events_of(nexus), 300)} == {"brew", 100, 101, 102}
    assert invalid_events_of(nexus, "any", "anything").is_empty


@pytest.mark.parametrize("strategy", [events_of, invalid_events_of])
def test_keys_can_be_chosen(strategy: Callable[..., st.SearchStrategy[Any]]) -> None:
    """Keys, classes and ranges select."""
    events = drawn(strategy(teahouse(), Brew, 101, range(100, 103)), 100)
    assert {event.type for event in events} == {"brew", 100, 101, 102}


def test_payloads_of_a_key() -> None:
    """Payloads are as handlers get them; by key, by class, of a key without a claim."""
    nexus = teahouse()
    assert {type(each) for each in drawn(payloads_of(nexus, 101))} == {str}
    assert {type(each) for each in drawn(payloads_of(nexus, Brew))} == {Leaf}
    assert len({type(each) for each in drawn(payloads_of(nexus, "anything"))}) > 2


@pytest.mark.parametrize("name", [99, Opaque], ids=["key", "type"])
def test_payloads_can_be_given(name: Any) -> None:
    """What no schema tells is drawn as the caller says, by key or by type."""
    nexus = AsyncEventNexus()
    nexus.declare(99, Opaque)
    one = Opaque()
    assert all(event.payload is one for event in drawn(events_of(nexus, payloads={name: st.just(one)})))


def test_nothing_to_draw_from() -> None:
    """A nexus that knows no event type, and a class without a key, are mistakes that are said at once."""
    with pytest.raises(ValueError, match="knows no event type"):
        events_of(AsyncEventNexus())
    with pytest.raises(TypeError, match="has no key of its own"):
        events_of(teahouse(), Event)
