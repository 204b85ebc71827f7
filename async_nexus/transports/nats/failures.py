"""What nats-py and the server say, as errors of this package: nowhere else are theirs turned into ours."""

import re
import ssl
from typing import Final

import nats.errors
from pydantic import BaseModel

from ...errors import TransportError, TransportUnavailable
from .access import Access

# The numbers of JetStream's errors: https://github.com/nats-io/nats-server/blob/main/server/errors.json
CONSUMER_NOT_FOUND: Final = 10014
MESSAGE_NOT_FOUND: Final = 10037
STREAM_NOT_FOUND: Final = 10059
STREAM_RACES: Final = frozenset({10058, 10065})
"""What comes of making a stream that others make, too: it is there with other limits, or its subject is taken."""
CONSUMER_RACES: Final = frozenset({10012, 10013, 10051, 10105, 10148})
"""What may come of making and deleting a consumer that others make and delete at the same time."""
_NO_JETSTREAM: Final = frozenset({10039, 10076})
_NO_ROOM: Final = frozenset({10002, 10023, 10028, 10047, 10077})
_UNAVAILABLE: Final = 503


class Refusal(BaseModel):
    """What JetStream answers instead of doing what it was asked for."""

    code: int = 0
    err_code: int = 0
    description: str = "it gave no reason"


class Refused(TransportError):
    """JetStream refused, for the reason that the number stands for."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.number = number


class NoResponders(TransportUnavailable):
    """Nobody takes what was sent: there is no such stream, or it has no leader for now, or there is no JetStream."""


def unconnected(access: Access, error: Exception) -> TransportError:
    """Say why there is no connection; it may help to try again, unless we are not let in."""
    text = str(error) or f"it did not answer in time ({type(error).__name__})"
    if isinstance(error, nats.errors.SecureConnWantedError):
        return TransportError(f"NATS at {access} offers no TLS, and is not spoken to without")
    if isinstance(error, ssl.SSLError):
        return TransportError(f"NATS at {access} cannot be spoken to with TLS: {text}")
    if re.search("authori[sz]ation|authentication", text, re.IGNORECASE):
        return TransportError(f"NATS at {access} does not let us in, check the credentials: {text}")
    return TransportUnavailable(f"NATS at {access} cannot be reached: {text}")


def refused(what: str, refusal: Refusal) -> TransportError:
    """Say what JetStream refused to do and why, and what can be done about it."""
    text = f"NATS refused to {what}: {refusal.description} (error {refusal.err_code})"
    if refusal.err_code in _NO_JETSTREAM:
        return Refused(f"{text}; start the server with JetStream, and let the account use it", refusal.err_code)
    if refusal.err_code in _NO_ROOM:
        return Refused(f"{text}; raise the limit, or make room", refusal.err_code)
    if refusal.code == _UNAVAILABLE:
        return TransportUnavailable(text)
    return Refused(text, refusal.err_code)
