"""llama-index-workflows: a workflow of one step, run for each event; its events are pydantic models."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent

from benchmarks.events import Reading
from benchmarks.peers import Handle, SendPayload

VALIDATES = True


class Begun(StartEvent):
    payload: Reading


@asynccontextmanager
async def connect(handlers: Sequence[Handle]) -> AsyncIterator[SendPayload]:
    """The payload starts the workflow."""
    (handle,) = handlers

    class Handling(Workflow):
        @step
        async def take(self, begun: Begun) -> StopEvent:
            await handle(begun.payload)
            return StopEvent()

    workflow: Any = Handling()

    async def send(payload: Any) -> None:
        await workflow.run(start_event=Begun(payload=payload))

    yield send
