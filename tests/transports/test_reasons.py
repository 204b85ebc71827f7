"""Why a message was put aside, in one line without its payload."""

import pytest
from pydantic import BaseModel, ValidationError

from async_nexus import InvalidPayload
from async_nexus.events import Event
from async_nexus.transports.reasons import describe_failure, one_line

SECRET = "n0t-t0-be-sh0wn"  # it opens nothing


class Teapot(BaseModel):
    temp: float
    lid: bool


def invalid() -> ValidationError:
    """What pydantic raises, values and all."""
    with pytest.raises(ValidationError) as caught:
        Teapot.model_validate({"temp": SECRET})
    assert SECRET in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "error, reason",
    [
        (OSError("no water"), "OSError: no water"),
        (ValueError(), "ValueError: "),
        (OSError("no\nwater\x00\x1b[0m"), "OSError: no water  [0m"),
        (
            ExceptionGroup("x", [OSError("a"), ExceptionGroup("y", [ValueError("b")])]),
            "ExceptionGroup: x (2 sub-exceptions) | OSError: a | ExceptionGroup: y (1 sub-exception) | ValueError: b",
        ),
    ],
)
def test_a_reason_names_class_and_text(error: Exception, reason: str) -> None:
    """Of a group those of its members, too; nothing breaks the line."""
    assert describe_failure(error) == reason


def test_the_values_that_pydantic_shows_are_left_out() -> None:
    """They are of the payload."""
    assert describe_failure(invalid()) == (
        "pydantic.ValidationError: Teapot: temp: Input should be a valid number, unable to parse string as a number; "
        "lid: Field required"
    )
    group = ExceptionGroup("a", [invalid()])
    assert SECRET not in describe_failure(group)


def test_an_invalid_payload_is_described_by_its_fields() -> None:
    """V2: its own text leaves out the values already."""
    error = InvalidPayload(Event(7, 99, 0, SECRET), "Teapot", invalid().errors())
    reason = describe_failure(error)
    assert reason.startswith("async_nexus.errors.InvalidPayload: event 7 of type 99: its payload is no Teapot: temp: ")
    assert SECRET not in reason


def test_a_reason_is_short() -> None:
    """Engines carry it in headers."""
    reason = describe_failure(OSError("x" * 10_000))
    assert len(reason) == 1000
    assert reason.endswith("x…")


@pytest.mark.parametrize("text, line", [("abc", "abc"), ("abcd", "ab…"), ("a\tb", "a b"), ("", "")])
def test_a_line_holds_what_can_be_printed(text: str, line: str) -> None:
    """As much of it as there is room for."""
    assert one_line(text, 3) == line
