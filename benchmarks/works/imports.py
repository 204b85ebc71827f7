"""Import time: what a program pays before its first event."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from benchmarks.contenders import Contender, Count, Send, Work


def importing(statement: str) -> Callable[[Count], AbstractAsyncContextManager[Send]]:
    """A fresh interpreter runs a statement; its own start is not part of the figure."""
    program = f"import time; begin = time.perf_counter_ns(); {statement}; print(time.perf_counter_ns() - begin)"

    @asynccontextmanager
    async def prepare(count: Count) -> AsyncIterator[Send]:
        async def send(events: int) -> float:
            total = 0.0
            for _ in range(events):
                done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)  # noqa: ASYNC221 # nothing else runs here
                total += float(done.stdout)
                count.handled += 1
            return total

        yield send

    return prepare


WORK: Final = Work(
    "import",
    "importing the package",
    (
        Contender("import pydantic", importing("import pydantic; pydantic.BaseModel")),
        Contender("import async_nexus", importing("import async_nexus")),
        Contender("AsyncEventNexus, Event", importing("from async_nexus import AsyncEventNexus, Event")),
    ),
)
