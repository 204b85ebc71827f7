"""What people use instead: one adapter each, which connects handlers of one payload and says how to send.

An adapter has `connect(handlers)`, an async context manager that gives a function: it sends one payload, and returns
when all handlers are done, with as few calls of its own as can be. `VALIDATES` says that it takes a dict and validates
it; others are given a model.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from benchmarks.events import Reading

CONSTRAINTS: Final = Path(__file__).resolve().parents[1] / "constraints.txt"

SendPayload: TypeAlias = Callable[[Any], Awaitable[Any]]


class Handle(Protocol):
    """A handler; it looks at nothing, so that peers may call it as they call handlers, without a wrapper to pay for."""

    def __call__(self, payload: Reading, queue: object = None, /) -> Awaitable[None]:
        """Handle what a peer hands over."""
        ...


class Adapter(Protocol):
    """What the module of a peer has."""

    VALIDATES: bool

    def connect(self, handlers: Sequence[Handle]) -> AbstractAsyncContextManager[SendPayload]:
        """Connect handlers and give what sends a payload to all of them."""
        ...


@dataclass(frozen=True)
class Peer:
    """A peer: the module of its adapter here, what to install, and whether it hands an event to several handlers."""

    module: str
    requirement: str
    fans_out: bool = True


def _pinned(requirement: str) -> str:
    """Name a peer with its version: `blinker 1.9.0`."""
    name = requirement.partition("[")[0]
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        pinned, _, version = line.partition("==")
        if pinned == name:
            return f"{name} {version}"
    raise LookupError(f"{CONSTRAINTS.name} has no version of {name}")


PEERS: Final = MappingProxyType(
    {
        _pinned(peer.requirement): peer
        for peer in (
            Peer("async_nexus_1", "async-nexus"),
            Peer("blinker_signal", "blinker"),
            Peer("mediatr_mediator", "mediatr", fans_out=False),
            Peer("pymitter_emitter", "pymitter"),
            Peer("pyee_emitter", "pyee"),
            Peer("fastapi_events_handler", "fastapi-events"),
            Peer("faststream_broker", "faststream[nats]"),
            Peer("llama_index_workflow", "llama-index-workflows", fans_out=False),
            Peer("abxbus_bus", "abxbus"),
            Peer("bubus_bus", "bubus"),
        )
    }
)
