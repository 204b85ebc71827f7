"""How channels and consumers are called on NATS."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_nexus.transports.nats.names import consumer_name, dead_letter_name, stream_name

NAMES = st.text(min_size=1, max_size=9)


@pytest.mark.parametrize(
    "channel, stream",
    [("orders", "orders"), ("Orders_eu-1", "Orders_eu-1"), ("orders.eu", "orders=2Eeu"), ("é", "=C3=A9"), ("=", "=3D")],
)
def test_plain_names_stay_as_they_are(channel: str, stream: str) -> None:
    """Letters, digits, hyphens and underscores do; all else is escaped, byte by byte."""
    assert stream_name(channel) == stream
    assert consumer_name(channel) == stream


@given(NAMES, NAMES)
def test_different_names_stay_different(one: str, other: str) -> None:
    """No two channels share a stream."""
    assert (stream_name(one) == stream_name(other)) == (one == other)


@given(NAMES)
def test_a_name_holds_nothing_that_nats_reads_otherwise(name: str) -> None:
    """No dots, blanks, wildcards or slashes; nor percent signs, at which the server's own formatting breaks."""
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", stream_name(name))


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES), NAMES)
def test_dead_letters_have_names_of_their_own(one: tuple[str, str], other: tuple[str, str], channel: str) -> None:
    """Each consumer of each channel has its own, and no channel has one of them."""
    assert (dead_letter_name(*one) == dead_letter_name(*other)) == (one == other)
    assert dead_letter_name(*one) != stream_name(channel)


@pytest.mark.parametrize(
    "name, complaint", [("", "no name"), ("x" * 256, "256 characters"), ("é" * 43, "258 characters")]
)
def test_what_cannot_be_a_name_is_refused(name: str, complaint: str) -> None:
    """The server takes 255 characters, and at least one."""
    with pytest.raises(ValueError, match=complaint):
        stream_name(name)


def test_names_that_are_too_long_together_are_refused() -> None:
    """Also of the dead letters."""
    with pytest.raises(ValueError, match="306 characters"):
        dead_letter_name("x" * 150, "y" * 150)
