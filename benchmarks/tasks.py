"""Many tasks that send at once, a share each; this is used with peers, too, where no nexus can be imported."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

Sends: TypeAlias = Callable[[int], Coroutine[Any, Any, None]]
"""Sends so many events, one after another."""


def in_tasks(sends: Sends, tasks: int) -> Sends:
    """Have so many tasks send a share each, all at once."""

    async def send(events: int) -> None:
        async with asyncio.TaskGroup() as group:
            for share in shares(events, tasks):
                group.create_task(sends(share))

    return send


def shares(events: int, tasks: int) -> list[int]:
    """Share out events between so many tasks, or between as many as there are events."""
    tasks = min(tasks, events)
    return [events // tasks + (number < events % tasks) for number in range(tasks)]
