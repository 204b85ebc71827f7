"""What is refused since nobody could read it back from JSON, and what is not."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from async_nexus import Event
from async_nexus.events import event_json
from async_nexus.lossless import check_written

LOST = "JSON has neither NaN nor infinity"


class Reading(BaseModel):
    """Has a float, and what may be nothing."""

    temp: float | None = None
    more: object = None


class InWords(Reading, ser_json_inf_nan="strings"):
    """Writes NaN as a string."""


class InConstants(Reading, ser_json_inf_nan="constants"):
    """Writes NaN as Python does."""


@dataclass
class Plain:
    """No model."""

    temp: float


class Measured(Event[Any]):
    """Adds a field to events."""

    weight: float = 0.0


def check(event: Event[Any]) -> None:
    """Write it, and look at that."""
    check_written(event, event_json(event).encode())


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "make",
    [
        lambda number: number,
        lambda number: [number],
        lambda number: {"a": {"b": (1, number)}},
        lambda number: deque([None, number]),
        lambda number: {number},
        Plain,
        lambda number: Reading(temp=number),
        lambda number: Reading(temp=1.0, more=[{"a": Reading(temp=number)}]),
    ],
    ids=["itself", "list", "nested", "deque", "set", "dataclass", "model", "model in a model"],
)
def test_a_float_that_is_no_number_is_refused(make: Callable[[float], object], number: float) -> None:
    """Wherever it is: it would come back as null."""
    with pytest.raises(PydanticSerializationError, match=LOST):
        check(Event(1, 99, 0, make(number)))


def test_a_float_that_is_no_number_is_refused_in_what_an_event_class_adds() -> None:
    """Its fields are written, too."""
    check(Measured(id=1, type=99, priority=0, payload=None, weight=1.5))
    with pytest.raises(PydanticSerializationError, match=LOST):
        check(Measured(id=1, type=99, priority=0, payload=None, weight=math.nan))


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [None, 1.5],
        "null",
        Reading(),
        Reading(temp=1.5),
        InWords(temp=math.nan),
        InConstants(temp=math.inf, more=None),
        "7" * 10_000,
        [10**4299],
        {"a": ["x" * 10_000, 7]},
    ],
)
def test_what_can_be_read_back_is_taken(payload: object) -> None:
    """What is nothing, and what a model has its own way to write; long texts of digits."""
    check(Event(1, 99, 0, payload))


@pytest.mark.parametrize("digits", [4301, 5000, 20_000])
@pytest.mark.parametrize("before", ["", "x" * 1000, "x" * 2149])
def test_an_integer_without_an_end_is_refused(digits: int, before: str) -> None:
    """Pydantic writes it, and does not read it."""
    with pytest.raises(PydanticSerializationError, match="cannot be read back: number out of range"):
        check(Event(1, 99, 0, [before, -(10 ** (digits - 1))]))
