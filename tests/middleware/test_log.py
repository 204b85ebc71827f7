"""One record for each event."""

import asyncio
import logging

import pytest
from log_records import logged

from async_nexus import Event
from async_nexus.middleware import log
from async_nexus.testing import run

EVENT = Event(7, "brew", 0, "secret")


async def two_seconds(_: Event) -> None:
    """Take two seconds."""
    await asyncio.sleep(2)


async def fail(event: Event) -> None:
    """Raise an error whose text quotes the payload."""
    raise ValueError(f"bad payload {event.payload}")


def test_a_success_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    """M1: id, type, how long and outcome, at the level for what goes well."""
    with caplog.at_level(logging.INFO):
        run(log()(EVENT, two_seconds))
    (record,) = logged(caplog)
    assert (record.levelname, record.getMessage()) == ("INFO", "event 7 of type brew: handled after 2.000000 s")


def test_a_failure_is_one_record_and_raised() -> None:
    """M2: the log changes nothing of what happens."""
    with pytest.raises(ValueError, match="bad payload"):
        run(log()(EVENT, fail))


def test_payloads_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Of an error only the class is named, for its text may quote the payload."""
    with pytest.raises(ValueError, match="secret"):
        run(log()(EVENT, fail))
    (record,) = logged(caplog)
    assert (record.levelname, record.getMessage()) == (
        "WARNING",
        "event 7 of type brew: failed with ValueError after 0.000000 s",
    )
    assert "secret" not in repr(vars(record))


def test_a_cancellation_is_logged_as_such(caplog: pytest.LogCaptureFixture) -> None:
    """F5: a handler that was cut off is not reported as one that failed."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(log()(EVENT, two_seconds), 1)

    run(main())
    assert [each.getMessage() for each in logged(caplog)] == ["event 7 of type brew: cancelled after 1.000000 s"]


def test_structured_logs_find_attributes(caplog: pytest.LogCaptureFixture) -> None:
    """The record carries the values that its text is made of, on the logger and at the level that were asked for."""
    with caplog.at_level(logging.DEBUG, "kitchen"):
        run(log(logging.getLogger("kitchen"), level=logging.DEBUG)(EVENT, two_seconds))
    (record,) = logged(caplog, "kitchen")
    values = vars(record)
    found = [values[name] for name in ("event_id", "event_type", "outcome", "seconds", "error_type")]
    assert found == [7, "brew", "handled", 2.0, None]
    assert (record.name, record.levelno) == ("kitchen", logging.DEBUG)
