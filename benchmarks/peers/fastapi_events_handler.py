"""fastapi-events: events of a request, handled when it has ended."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi_events.dispatcher import dispatch
from fastapi_events.handlers.local import LocalHandler
from fastapi_events.middleware import EventHandlerASGIMiddleware

from benchmarks.events import Reading
from benchmarks.peers import Handle, SendPayload

VALIDATES = False


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """Its middleware around an application that does nothing but dispatch: one request, one event."""
    local = LocalHandler()

    def taking_events(handle: Handle) -> Any:
        async def take(event: Any) -> None:
            await handle(event[1])

        return take

    for each in handlers:
        local.register(taking_events(each), event_name="reading")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        dispatch("reading", payload=scope["payload"])

    middleware: Any = EventHandlerASGIMiddleware(application, handlers=[local])

    async def send(payload: Reading) -> None:
        await middleware({"type": "http", "payload": payload}, None, None)

    yield send
