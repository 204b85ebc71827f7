"""What carries events between processes: one protocol, on this screen, and one engine a file behind it.

A *channel* is a named log of messages on an engine. Each *consumer*, by its name, gets every message of a channel at
least once, also while it is away; subscriptions under one name share its messages. Engines' own errors never leave
an adapter: they become `TransportError`, or `TransportUnavailable` where trying again may help.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from .boundary import TransportBoundary as TransportBoundary


@dataclass(frozen=True, slots=True)
class Message:
    """What is carried: `id` is the same when it is published again, `headers` are the engine's own, if it has any."""

    id: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an engine can do; each is a promise that the conformance suite holds its adapter to."""

    ordered: bool = False
    """With one delivery in flight, messages come as they were published, one that is retried before later ones."""
    delayed_retry: bool = False
    """`retry` holds the message back on the engine; elsewhere its delay is ignored, and it comes again at once."""
    dead_letters: bool = False
    """`dead_letter` puts the message where `dead_letters` reads it; elsewhere it only acknowledges it."""
    shared_consumers: bool = False
    """Several subscriptions, also of several processes, may share the messages of one consumer."""
    replay: bool = False
    """Messages are kept: `since` may go back to a time, or to a `position`."""


class Delivery(Protocol):
    """A message that its consumer holds until it settles it, once, by one of the three methods.

    Settling it again raises `BadCall`. Once it is to come again, since its subscription was closed or its connection
    lost, settling it raises `TransportError`.
    """

    @property
    def message(self) -> Message:
        """What was published."""
        ...

    @property
    def attempt(self) -> int:
        """How often the message has been delivered, as far as the engine knows: from 1."""
        ...

    @property
    def position(self) -> int | None:
        """Where in the channel it stands, on engines that replay; it grows."""
        ...

    async def ack(self) -> None:
        """Settle it: the consumer is done with it."""
        ...

    async def retry(self, delay: float) -> None:
        """Have it delivered again, in `delay` seconds. Raises `ValueError` for less than 0, and for no number."""
        ...

    async def dead_letter(self, reason: str) -> None:
        """Put it aside, with the reason."""
        ...


class Subscription(Protocol):
    """Yields deliveries to one task, never more at a time than may be in flight; reconnects by itself."""

    def __aiter__(self) -> AsyncIterator[Delivery]: ...

    async def drain(self) -> None:
        """Yield no more: the iteration ends, also for who waits. What is in flight can still be settled."""
        ...

    async def close(self) -> None:
        """Let go, and end the iteration: what is in flight comes again, elsewhere or later."""
        ...


class Transport(Protocol):
    """An engine; `async with` starts and closes it."""

    @property
    def abilities(self) -> Abilities:
        """What the engine can do."""
        ...

    async def start(self) -> None:
        """Connect, if that has not been done; `publish` and `subscribe` do so, too."""
        ...

    async def publish(self, channel: str, message: Message) -> None:
        """Hand a message over, and return when the engine has confirmed it."""
        ...

    async def subscribe(
        self, channel: str, consumer: str, *, in_flight: int = 1, since: datetime | int | None = None
    ) -> Subscription:
        """Go on where the consumer left off, a new one at the oldest message kept, or go back to a time or position.

        What was published at that time, or stands at that position, is the first to come. Raises `BadCall` for `since`,
        and for a second subscription of a consumer, where the engine is not able.
        """
        ...

    def dead_letters(self, channel: str, consumer: str) -> AsyncIterator[tuple[Message, str]]:
        """Read what was put aside so far, oldest first, with the reasons; it stays there."""
        ...

    async def drain(self) -> None:
        """Drain subscriptions, and wait until what was published is confirmed or refused."""
        ...

    async def close(self) -> None:
        """Let go of the connection; what is in flight comes again."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import the boundary when it is asked for: it stands on this protocol."""
        if name != "TransportBoundary":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .boundary import TransportBoundary

        return TransportBoundary
