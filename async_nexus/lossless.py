"""Finds what pydantic writes as JSON and nobody can read back: floats without a number, integers without an end."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json

from .events import Event, is_plain

_MOST_DIGITS: Final = 4300
"""Of an integer in JSON that pydantic reads."""
_HALF: Final = _MOST_DIGITS // 2


def check_written(event: Event[Any], written: bytes) -> None:
    """Refuse JSON of an event that does not say what the event does. Raises `PydanticSerializationError`.

    NaN and the infinities are written as `null`, unless the payload's model says otherwise by `ser_json_inf_nan`.
    """
    if b"null" in written and _has_lost_numbers(event, written):
        raise PydanticSerializationError(
            "JSON has neither NaN nor infinity, and null is another value: send numbers, or None where the payload's "
            "class takes it, or give its model ser_json_inf_nan='strings'"
        )
    if len(written) > _MOST_DIGITS and _may_have_long_integer(written):
        _read(written)


def _has_lost_numbers(event: Event[Any], written: bytes) -> bool:
    """Whether there are more nulls in the JSON than there were in the event, which has floats without a number."""
    dumped = _dump(event)
    with_constants = to_json(dumped, inf_nan_mode="constants", bytes_mode="base64", serialize_unknown=True)
    if b"NaN" not in with_constants and b"Infinity" not in with_constants:  # this takes little time, what follows much
        return False
    given = list(_leaves(dumped))
    if not any(isinstance(each, float) and not math.isfinite(each) for each in given):
        return False
    return sum(each is None for each in _leaves(_read(written))) > sum(each is None for each in given)


def _dump(event: Event[Any]) -> list[object]:
    """Return what is written of an event: its payload as its own class has it, and what its class adds to `Event`."""
    payload: object = event.payload
    dumped: list[object]
    if isinstance(payload, BaseModel):
        dumped = [payload.__pydantic_serializer__.to_python(payload, round_trip=True, warnings=False)]
    else:
        dumped = [event.model_dump(include={"payload"}, round_trip=True, warnings=False)]
    if not is_plain(type(event)):
        dumped.append(event.model_dump(exclude={"payload"}, round_trip=True, warnings=False))
    return dumped


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        value = cast("Mapping[object, object]", value).values()
    elif not isinstance(value, list | tuple | set | frozenset | deque | Iterator):
        yield value
        return
    for each in cast("Iterable[object]", value):
        yield from _leaves(each)


def _may_have_long_integer(written: bytes) -> bool:
    """Whether there are so many digits in a row: then all of a half as many that are looked at together are."""
    return any(written[begin : begin + _HALF].isdigit() for begin in range(0, len(written), _HALF))


def _read(written: bytes) -> object:
    try:
        return cast("object", from_json(written))
    except ValueError as error:
        raise PydanticSerializationError(f"what it is as JSON cannot be read back: {error}") from error
