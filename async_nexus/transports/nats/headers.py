"""What a message has in its headers on NATS, and how large they make it."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from ...errors import TransportError
from .. import Message

MESSAGE_ID: Final = "Nats-Msg-Id"
"""By it the server knows a message that is published again."""
_REASON: Final = "Async-Nexus-Reason"
_LONGEST_REASON: Final = 2000
_KEY: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE: Final = re.compile(r"(?:[^\s\0](?:[^\r\n\0]*[^\s\0])?)?")
_CUT_OFF: Final = re.compile(r"(?:%[0-9A-F]?| +)$")
_READABLE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def write_headers(message: Message) -> dict[str, str]:
    """Return what to send: the message's own, and its id. Raises `TransportError` for what does not fit in a header.

    `Nats-` begins what the server obeys: that is not for a message to say, which may come from elsewhere.
    """
    headers = {key: value for key, value in message.headers.items() if not _is_for_server(key)}
    headers[MESSAGE_ID] = message.id
    for key, value in headers.items():
        if not _fits(key, value):
            raise TransportError(
                f"a message on NATS cannot have the header {key[:100]!r} as it is given: its name has letters, digits "
                "and hyphens, its value is one line without blanks at the ends"
            )
    if not message.id:
        raise TransportError("a message needs an id, by which NATS knows it when it is published again")
    return headers


def read_message(body: bytes, headers: Mapping[str, str], otherwise: str) -> Message:
    """Return what came; one that was published without an id has that one."""
    own = {key: value for key, value in headers.items() if not _is_for_server(key)}
    given = headers.get(MESSAGE_ID, "")
    return Message(given if given and _LINE.fullmatch(given) else otherwise, body, own)


def add_reason(message: Message, reason: str, max_payload: int) -> Message:
    """Return a message to put aside, with as much of the reason as fits.

    That never fails: headers that others have sent, and that could not be sent from here, are left out; so are all
    headers, and what is too much of the body, where there is no room beside them for the id that a message gets here.
    """
    headers = {key: value for key, value in message.headers.items() if _fits(key, value)}
    whole = {**headers, MESSAGE_ID: message.id}
    room = max_payload - size({**whole, _REASON: ""}, message.body)
    if room >= 0:
        return Message(message.id, message.body, {**headers, _REASON: _write_reason(reason, room)})
    if size(whole, message.body) <= max_payload:
        return Message(message.id, message.body, headers)
    cut = f"cut off, of {len(message.headers)} headers and {len(message.body)} bytes: {reason}"
    room = max_payload - size({MESSAGE_ID: message.id, _REASON: ""}, b"")
    written = _write_reason(cut, room // 2)
    return Message(message.id, message.body[: max(room - len(written), 0)], {_REASON: written})


def _write_reason(reason: str, room: int) -> str:
    """Write a reason as the value of a header, with as much of it as fits."""
    shown = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
    written = quote(shown.strip(), safe=_READABLE, errors="backslashreplace")
    return written if len(written) <= room else _CUT_OFF.sub("", written[: max(room, 0)])


def take_reason(message: Message) -> tuple[Message, str]:
    """Return the message that was put aside, and why."""
    headers = dict(message.headers)
    reason = unquote(headers.pop(_REASON, ""))
    return Message(message.id, message.body, headers), reason


def size(headers: Mapping[str, str], body: bytes) -> int:
    """Count the bytes of both, as the server does for its limit `max_payload`."""
    lines = sum(len(key) + len(value.encode()) + 4 for key, value in headers.items())
    return len(b"NATS/1.0\r\n\r\n") + lines + len(body)


def parse_headers(block: bytes) -> dict[str, str]:
    """Read the headers of a stored message, which the server gives as they were sent."""
    lines = (line.partition(b":") for line in block.split(b"\r\n")[1:] if line)
    return {key.decode("ascii", "replace"): value.strip().decode("utf-8", "replace") for key, _, value in lines}


def _fits(key: str, value: str) -> bool:
    return _KEY.fullmatch(key) is not None and _LINE.fullmatch(value) is not None


def _is_for_server(key: str) -> bool:
    return key[:5].lower() == "nats-"
