"""What the package has logged, for tests that count it."""

import logging

import pytest


def logged(caplog: pytest.LogCaptureFixture, logger: str = "async_nexus") -> list[logging.LogRecord]:
    """Return what a logger has logged: asyncio logs what garbage of another test holds, into the log of any test."""
    return [record for record in caplog.records if record.name == logger]
