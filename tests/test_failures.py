"""What error handlers are told."""

import dataclasses
from datetime import UTC, datetime

import pytest

from async_nexus import Event
from async_nexus.failures import FailedEvent

FAILED = FailedEvent(Event(1, 99, 0, None), ValueError("no water"), "brew", datetime(2026, 1, 2, tzinfo=UTC), 1)


def test_a_failed_event_says_what_where_when_and_at_which_attempt() -> None:
    """F1: an error handler learns event, error, handler, time and attempt, in that order."""
    names = [field.name for field in dataclasses.fields(FailedEvent)]
    assert names == ["event", "error", "handler", "when", "attempt"]


def test_a_failed_event_cannot_be_altered() -> None:
    """F1: an error handler cannot change what the next reader of a failure sees."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAILED.attempt = 2  # type: ignore[misc] # what is tried
    assert not hasattr(FAILED, "__dict__")
