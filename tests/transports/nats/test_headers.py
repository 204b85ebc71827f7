"""What messages have in their headers on NATS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_nexus.errors import TransportError
from async_nexus.transports import Message
from async_nexus.transports.nats.headers import (
    add_reason,
    parse_headers,
    read_message,
    size,
    take_reason,
    write_headers,
)

PLENTY = 1_000_000


def test_the_id_goes_where_the_server_looks_for_it() -> None:
    """`Nats-Msg-Id` is how it knows a message that is published again."""
    assert write_headers(Message("7", b"", {"ce-id": "7"})) == {"ce-id": "7", "Nats-Msg-Id": "7"}


def test_a_message_gives_the_server_no_orders() -> None:
    """What begins with `Nats-` is obeyed there: it is neither sent nor handed on."""
    orders = {"Nats-Rollup": "all", "nats-expected-last-sequence": "0", "NATS-Msg-Id": "8", "natsy": "yes"}
    assert write_headers(Message("7", b"", orders)) == {"natsy": "yes", "Nats-Msg-Id": "7"}
    assert read_message(b"", orders | {"Nats-Msg-Id": "7"}, "other") == Message("7", b"", {"natsy": "yes"})


@pytest.mark.parametrize(
    "message",
    [
        Message("", b""),
        Message("1\r\nNats-Rollup: all", b""),
        Message("1\n", b""),
        Message(" 1", b""),
        Message("1", b"", {"a": "b\r\n\r\nMSG"}),
        Message("1", b"", {"a": "b\0"}),
        Message("1", b"", {"a\r\nb": "c"}),
        Message("1", b"", {"a: b": "c"}),
        Message("1", b"", {"": "c"}),
        Message("1", b"", {"é": "c"}),
    ],
)
def test_what_would_not_arrive_as_it_is_is_refused(message: Message) -> None:
    """Lines, blanks at the ends, and names that are none: nothing is smuggled in, nothing silently changed."""
    with pytest.raises(TransportError, match="message"):
        write_headers(message)


@pytest.mark.parametrize("value", ["", "a", "two words", "é 茶 ☕", 'a: "b"; c=d', "x" * 5000])
def test_values_of_one_line_are_taken(value: str) -> None:
    """Of any letters and length."""
    assert write_headers(Message("1", b"", {"a": value}))["a"] == value


def test_one_that_came_without_an_id_gets_that_of_its_place() -> None:
    """Others need not give one."""
    assert read_message(b"x", {}, "orders:7") == Message("orders:7", b"x")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_a_reason_is_read_as_it_was_written(reason: str) -> None:
    """Of any characters, in one line of a header; but for blanks around it."""
    letter = add_reason(Message("1", b"body", {"a": "b"}), reason, PLENTY)
    write_headers(letter)
    assert take_reason(letter) == (Message("1", b"body", {"a": "b"}), reason.strip())


def test_a_long_reason_is_cut() -> None:
    """So that it does not fill the server; which is seen."""
    _, reason = take_reason(add_reason(Message("1", b""), "x" * 10_000, PLENTY))
    assert len(reason) == 2001
    assert reason.endswith("x…")


@pytest.mark.parametrize("body", range(900, 1000))
def test_a_reason_never_makes_a_message_too_large(body: int) -> None:
    """As much of it is kept as fits, at last none: what could be published can be put aside."""
    message = Message("1", b"x" * body, {"a": "b"})
    largest = 1000
    if size(write_headers(message), message.body) > largest:
        return
    letter = add_reason(message, "because of thiß", largest)
    assert size(write_headers(letter), letter.body) <= largest
    kept, reason = take_reason(letter)
    assert kept == message
    assert "because of thiß".startswith(reason.removesuffix("\ufffd"))


def test_what_others_have_sent_can_always_be_put_aside() -> None:
    """Also with headers and an id that could not be sent from here."""
    strange = read_message(b"", {"Nats-Msg-Id": "a\0", "x": "\0", "a,b": "c", "ok": "yes"}, "orders:7")
    assert strange == Message("orders:7", b"", {"x": "\0", "a,b": "c", "ok": "yes"})
    letter = add_reason(strange, "why", PLENTY)
    assert write_headers(letter).keys() == {"ok", "Nats-Msg-Id", "Async-Nexus-Reason"}


@pytest.mark.parametrize("body", range(950, 1001))
@pytest.mark.parametrize("headers", [{}, {"a": "b" * 20}])
def test_what_leaves_no_room_for_an_id_is_put_aside_all_the_same(body: int, headers: dict[str, str]) -> None:
    """Without its headers, and with as much of its body as fits, which its reason says."""
    message, largest = read_message(b"x" * body, headers, "orders:7"), 1000
    letter = add_reason(message, "because of thiß", largest)
    assert size(write_headers(letter), letter.body) <= largest
    kept, reason = take_reason(letter)
    if kept != message:
        assert message.body.startswith(kept.body)
        assert reason == f"cut off, of {len(headers)} headers and {body} bytes: because of thiß"


def test_a_header_that_is_refused_is_not_shown() -> None:
    """Its name is; its value may be a secret."""
    with pytest.raises(TransportError, match="authorization") as caught:
        write_headers(Message("1", b"", {"authorization": "hush\n"}))
    assert "hush" not in str(caught.value)


def test_headers_of_stored_messages() -> None:
    """As the server gives them: after a line with its version, each in a line."""
    block = "NATS/1.0\r\nNats-Msg-Id: 7\r\na:b:c\r\nempty:\r\né: é\r\n\r\n".encode()
    assert parse_headers(block) == {"Nats-Msg-Id": "7", "a": "b:c", "empty": "", "\ufffd\ufffd": "é"}
    assert parse_headers(b"") == {}
