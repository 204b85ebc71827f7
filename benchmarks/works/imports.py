"""Import time: what a program pays before its first event, once its code has been compiled."""

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from benchmarks.contenders import Contender, Count, Send, Work

A_MODEL: Final = (
    "import asyncio; from pydantic import BaseModel; type('M', (BaseModel,), {'__annotations__': {'x': int}})"
)
"""What any program pays that has an event loop and a payload: pydantic imports most of itself for its first model."""


def importing(statement: str) -> Callable[[Count], AbstractAsyncContextManager[Send]]:
    """A fresh interpreter runs a statement, all of it compiled before; its own start is not part of the figure."""
    program = f"import time; begin = time.perf_counter_ns(); {statement}; print(time.perf_counter_ns() - begin)"

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        with tempfile.TemporaryDirectory() as compiled:
            environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
            # A package that is installed is compiled already. Where this is set, a checkout is compiled each time.
            environment.pop("PYTHONDONTWRITEBYTECODE", None)

            def run() -> float:
                command = (sys.executable, "-c", program)
                return float(
                    subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
                )

            async def send(events: int) -> float:
                total = 0.0
                for _ in range(events):
                    total += run()
                    count.handled += 1
                return total

            run()
            yield send

    return prepare


WORK: Final = Work(
    "import",
    "importing the package",
    (
        Contender("import pydantic", importing("import pydantic; pydantic.BaseModel")),
        Contender("asyncio and a model", importing(A_MODEL)),
        Contender("import async_nexus", importing("import async_nexus")),
        Contender("AsyncEventNexus, Event", importing("from async_nexus import AsyncEventNexus, Event")),
    ),
)
