"""The works that peers can do, each written once for all of them: an adapter connects handlers and sends payloads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from pydantic_core import from_json

from benchmarks.contenders import Contender, Count, Send
from benchmarks.events import Reading, raw_payload
from benchmarks.peers import PEERS, Adapter, Handle, Peer
from benchmarks.tasks import in_tasks

_validate: Final = Reading.__pydantic_validator__.validate_python
_validate_json: Final = Reading.__pydantic_validator__.validate_json


def handlers_of(count: Count, number: int) -> list[Handle]:
    """Make handlers that count."""

    def counting() -> Handle:
        async def handle(payload: Reading, queue: object = None, /) -> None:
            count.handled += 1

        return handle

    return [counting() for _ in range(number)]


@asynccontextmanager
async def from_dict(adapter: Adapter, count: Count, handlers: int = 1) -> AsyncIterator[Send]:
    """W1 and, with ten handlers, W4: a raw payload, validated."""
    payload = raw_payload()
    async with adapter.connect(handlers_of(count, handlers)) as send_payload:
        if adapter.VALIDATES:

            async def send(events: int) -> None:
                for _ in range(events):
                    await send_payload(payload)

        else:

            async def send(events: int) -> None:
                for _ in range(events):
                    await send_payload(_validate(payload))

        yield send


def to_ten(adapter: Adapter, count: Count) -> AbstractAsyncContextManager[Send]:
    """W4."""
    return from_dict(adapter, count, 10)


@asynccontextmanager
async def from_model(adapter: Adapter, count: Count) -> AsyncIterator[Send]:
    """W2: a payload that is a model already."""
    payload = Reading(**raw_payload())
    async with adapter.connect(handlers_of(count, 1)) as send_payload:

        async def send(events: int) -> None:
            for _ in range(events):
                await send_payload(payload)

        yield send


@asynccontextmanager
async def from_bytes(adapter: Adapter, count: Count) -> AsyncIterator[Send]:
    """W6: the payload in JSON; these have no envelope to read."""
    payload = Reading(**raw_payload()).model_dump_json().encode()
    read: Callable[[bytes], Any] = from_json if adapter.VALIDATES else _validate_json
    async with adapter.connect(handlers_of(count, 1)) as send_payload:

        async def send(events: int) -> None:
            for _ in range(events):
                await send_payload(read(payload))

        yield send


@asynccontextmanager
async def at_once(adapter: Adapter, count: Count) -> AsyncIterator[Send]:
    """W8: a thousand tasks."""
    payload = raw_payload()
    prepared: Callable[[Any], Any] = dict if adapter.VALIDATES else _validate

    async def handle(payload: Reading, queue: object = None, /) -> None:
        await asyncio.sleep(0)
        count.handled += 1

    async with adapter.connect([handle]) as send_payload:

        async def send_some(events: int) -> None:
            for _ in range(events):
                await send_payload(prepared(payload))

        yield in_tasks(send_some, 1000)


Prepare: TypeAlias = Callable[[Adapter, Count], AbstractAsyncContextManager[Send]]
PEER_WORKS: Final = MappingProxyType[str, Prepare](
    {"W1": from_dict, "W2": from_model, "W4": to_ten, "W6": from_bytes, "W8": at_once}
)


def does(work: str, peer: Peer) -> bool:
    """Whether a peer can do a work."""
    return work in PEER_WORKS and (work != "W4" or peer.fans_out)


def contender(work: str, peer: Peer) -> Contender:
    """Make the contender that a peer is."""
    adapter: Any = import_module(f"benchmarks.peers.{peer.module}")
    name = next(name for name, each in PEERS.items() if each == peer)
    return Contender(name, lambda count: PEER_WORKS[work](adapter, count))
