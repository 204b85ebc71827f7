"""How channels and consumers are called on NATS."""

import re
from typing import Final

# By the server, for streams and consumers.
_LONGEST: Final = 255
_ESCAPED: Final = re.compile(rb"[^A-Za-z0-9_-]")


def stream_name(channel: str) -> str:
    """Name the stream of a channel, and its subject: the channel's name, and `=2E` for a dot; no two get the same.

    Not with a percent sign as in URLs: up to 2.9 at least, the server reads one in a name as a place to fill in.
    Raises `ValueError` for a name that is empty or too long.
    """
    return _escape("channel", channel)


def consumer_name(consumer: str) -> str:
    """Name a durable consumer likewise. Raises `ValueError`."""
    return _escape("consumer", consumer)


def dead_letter_name(channel: str, consumer: str) -> str:
    """Name the stream of what a consumer puts aside: no channel's has a plus sign. Raises `ValueError`."""
    name = f"{stream_name(channel)}+dead+{consumer_name(consumer)}"
    return _check_length(name, "names of the channel and the consumer are", f"{channel!r} and {consumer!r}")


def _escape(what: str, name: str) -> str:
    if not name:
        raise ValueError(f"the {what} has no name: give it at least one character")
    escaped = _ESCAPED.sub(lambda found: b"=%02X" % found[0][0], name.encode()).decode()
    return _check_length(escaped, f"name of the {what} is", repr(name))


def _check_length(name: str, whose: str, given: str) -> str:
    if len(name) > _LONGEST:
        raise ValueError(f"the {whose} too long for NATS, {len(name)} characters where {_LONGEST} fit: {given:.100}")
    return name
