"""What is asked of JetStream: to keep messages, and to have streams and durable consumers.

In the words of its protocol: nats-py's own interface to it has no types that a checker could follow.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ...errors import TransportError
from .. import Message
from .answers import A, Answer, ConsumerConfig, ConsumerInfo, StoredAnswer, StoredMessage, StreamInfo, read_answer
from .failures import (
    CONSUMER_NOT_FOUND,
    CONSUMER_RACES,
    MESSAGE_NOT_FOUND,
    STREAM_NOT_FOUND,
    STREAM_RACES,
    NoResponders,
    Refused,
)
from .headers import size, write_headers
from .link import Link

_DUPLICATES_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.1
_RACES: Final = 10
_PENDING: Final = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a new stream keeps: for how many seconds, how many bytes, and in how many copies."""

    max_age: float | None
    max_bytes: int | None
    replicas: int


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable consumer of a stream, and how it is to be used; `ack_wait` in seconds."""

    stream: str
    name: str
    in_flight: int
    ack_wait: float


class JetStream:
    """Asks over a link. All of this raises `TransportError`."""

    def __init__(self, link: Link, limits: Limits) -> None:
        self._link = link
        self._limits = limits
        self._ready: set[str] = set()

    async def publish(self, stream: str, message: Message, *, is_kept: bool = False) -> None:
        """Have a stream keep a message, and make the stream if there is none."""
        headers = write_headers(message)
        if (whole := size(headers, message.body)) > self._link.max_payload:
            raise TransportError(
                f"a message of {whole} bytes, with its headers, is too large for NATS at {self._link.access}, which "
                f"takes {self._link.max_payload}: make it smaller, or raise max_payload there"
            )
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._link.timeout
        while True:
            if stream not in self._ready:
                await self._prepare(stream, is_kept)
            try:
                answer = await self._link.request(stream, message.body, headers)
            except NoResponders:
                # The stream is gone, or has no leader for now.
                self._ready.discard(stream)
                if clock() + _PAUSE_SECONDS >= deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                read_answer(Answer, answer.data, f"keep a message in the stream {stream}")
                return

    async def find_stream(self, stream: str) -> StreamInfo | None:
        """Return what there is of a stream."""
        try:
            return await self._call(StreamInfo, f"STREAM.INFO.{stream}", f"tell of the stream {stream}")
        except Refused as refusal:
            if refusal.number == STREAM_NOT_FOUND:
                return None
            raise

    async def make_stream(self, stream: str, *, is_kept: bool = False) -> StreamInfo:
        """Return a stream, as it is if there is one, else as the limits say; with `is_kept` nothing gets too old."""
        if found := await self.find_stream(stream):
            return found
        max_age = (not is_kept and self._limits.max_age) or 0.0
        config = {
            "name": stream,
            "subjects": [stream],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_age": _nanoseconds(max_age),
            "max_bytes": self._limits.max_bytes or -1,
            "num_replicas": self._limits.replicas,
            "duplicate_window": _nanoseconds(min(max_age or _DUPLICATES_SECONDS, _DUPLICATES_SECONDS)),
        }
        try:
            return await self._call(StreamInfo, f"STREAM.CREATE.{stream}", f"make the stream {stream}", config)
        except Refused as refusal:
            # Somebody else was faster, perhaps with other limits: it may not even be there yet.
            for _ in range(_RACES if refusal.number in STREAM_RACES else 0):
                if found := await self.find_stream(stream):
                    return found
                await asyncio.sleep(_PAUSE_SECONDS)
            raise

    async def make_consumer(self, consumer: Consumer, since: datetime | int | None = None) -> bool:
        """Have a durable consumer that goes on, or begins at a time or position. Return whether it is new."""
        races = 0
        while True:
            try:
                return await (self._continue(consumer) if since is None else self._restart(consumer, since))
            except Refused as refusal:
                # Another subscription of the same consumer may have made it meanwhile.
                races += 1
                if refusal.number not in CONSUMER_RACES or races == _RACES:
                    raise
                await asyncio.sleep(random.uniform(0.0, _PAUSE_SECONDS))

    async def _continue(self, consumer: Consumer) -> bool:
        wished = _wished(consumer)
        config = await self._find_consumer(consumer)
        if config is None:
            await self._create(consumer, {**wished, "deliver_policy": "all"})
        elif config.deliver_subject:
            raise TransportError(
                f"the consumer {consumer.name} of the stream {consumer.stream} is there, but is pushed its messages: "
                "only one that asks for them can be subscribed to"
            )
        elif wished != {"ack_wait": config.ack_wait, "max_ack_pending": config.max_ack_pending}:
            await self._create(consumer, {**config.model_dump(exclude_unset=True), **wished})
        return config is None

    async def _restart(self, consumer: Consumer, since: datetime | int) -> bool:
        """Make it anew, for where one begins cannot be changed."""
        await self._delete_consumer(consumer)
        await self._create(consumer, {**_wished(consumer), **_start(since)})
        return True

    async def read_stored(self, stream: str, position: int) -> StoredMessage | None:
        """Return the message at a position or, if that is gone, the next."""
        try:
            answer = await self._call(
                StoredAnswer,
                f"STREAM.MSG.GET.{stream}",
                f"read the stream {stream}",
                {"seq": position, "next_by_subj": stream},
            )
        except Refused as refusal:
            if refusal.number in (MESSAGE_NOT_FOUND, STREAM_NOT_FOUND):
                return None
            raise
        return answer.message

    async def _prepare(self, stream: str, is_kept: bool) -> None:
        subjects = (await self.make_stream(stream, is_kept=is_kept)).config.subjects or []
        if not {stream, "*", ">"}.intersection(subjects):
            raise TransportError(
                f"the stream {stream} is there, but keeps {', '.join(subjects) or 'nothing'}: nothing can be published "
                f"to it from here until it keeps the subject {stream}, too"
            )
        self._ready.add(stream)

    async def _find_consumer(self, consumer: Consumer) -> ConsumerConfig | None:
        try:
            name = f"CONSUMER.INFO.{consumer.stream}.{consumer.name}"
            return (await self._call(ConsumerInfo, name, f"tell of the consumer {consumer.name}")).config
        except Refused as refusal:
            if refusal.number == CONSUMER_NOT_FOUND:
                return None
            raise

    async def _create(self, consumer: Consumer, config: Mapping[str, object]) -> None:
        whole = {**config, "durable_name": consumer.name, "ack_policy": "explicit"}
        name = f"CONSUMER.DURABLE.CREATE.{consumer.stream}.{consumer.name}"
        request = {"stream_name": consumer.stream, "config": whole}
        await self._call(ConsumerInfo, name, f"make the consumer {consumer.name}", request)

    async def _delete_consumer(self, consumer: Consumer) -> None:
        name = f"CONSUMER.DELETE.{consumer.stream}.{consumer.name}"
        try:
            await self._call(Answer, name, f"begin anew with the consumer {consumer.name}")
        except Refused as refusal:
            if refusal.number != CONSUMER_NOT_FOUND:
                raise

    async def _call(self, model: type[A], name: str, what: str, request: Mapping[str, object] | None = None) -> A:
        body = b"" if request is None else json.dumps(request).encode()
        try:
            answer = await self._link.request(f"$JS.API.{name}", body)
        except NoResponders:
            raise TransportError(
                f"NATS at {self._link.access} cannot {what}: it has no JetStream; start it with -js, or allow the "
                "account to use it"
            ) from None
        return read_answer(model, answer.data, what)


def _wished(consumer: Consumer) -> dict[str, int]:
    # Where order is to be kept, what waits to be retried has to hold up what comes after it. Elsewhere it must not, and
    # each subscription asks for no more than it may have.
    pending = 1 if consumer.in_flight == 1 else max(_PENDING, 2 * consumer.in_flight)
    return {"ack_wait": _nanoseconds(consumer.ack_wait), "max_ack_pending": pending}


def _start(since: datetime | int) -> dict[str, object]:
    if isinstance(since, datetime):
        return {"deliver_policy": "by_start_time", "opt_start_time": since.astimezone(UTC).isoformat()}
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": max(since, 1)}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)
