"""What JetStream answers, as far as it is read here: https://docs.nats.io/reference/reference-protocols/nats_api_reference."""

from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import TransportError
from .failures import Refusal, refused


class Answer(BaseModel):
    """Any answer."""

    error: Refusal | None = None


class StreamConfig(BaseModel):
    """What a stream keeps."""

    subjects: list[str] | None = None


class StreamState(BaseModel):
    """Where a stream begins and ends."""

    first_seq: int = 0
    last_seq: int = 0


class StreamInfo(Answer):
    """A stream."""

    config: StreamConfig = StreamConfig()
    state: StreamState = StreamState()


class ConsumerConfig(BaseModel):
    """The configuration of a consumer, of which what is not ours to say goes back as it came. Times in nanoseconds."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    ack_wait: int = 0
    max_ack_pending: int = 0
    deliver_subject: str = ""


class ConsumerInfo(Answer):
    """A consumer."""

    config: ConsumerConfig = ConsumerConfig()


class StoredMessage(BaseModel):
    """A message as a stream keeps it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(val_json_bytes="base64")

    seq: int
    hdrs: bytes = b""
    data: bytes = b""


class StoredAnswer(Answer):
    """A message that was asked for."""

    message: StoredMessage | None = None


A = TypeVar("A", bound=Answer)


def read_answer(model: type[A], text: bytes, what: str) -> A:
    """Read the answer to what was asked for. Raises `TransportError` if that was refused."""
    try:
        answer = model.model_validate_json(text)
    except ValidationError as error:
        # Without its input: that may be a message.
        reason = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise TransportError(f"NATS was asked to {what}, and its answer cannot be read: {reason}") from None
    if answer.error is not None:
        raise refused(what, answer.error)
    return answer
