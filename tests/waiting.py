"""How tests wait for what a server, or another process, does."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what comes about without telling; only a broken program takes the minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 # nobody could set an event
            await asyncio.sleep(0.01)
