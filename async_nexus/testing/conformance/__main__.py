"""A process of the suite: it runs the program that the first line of standard input names."""

import asyncio
import os
import signal
import sys
import threading

from ...errors import TransportUnavailable
from ...transports import Transport
from .engines import make_transport
from .running import Assignment, run


def main() -> None:
    """Run the program until it ends, or SIGTERM ends it, or the process that started this one is gone."""
    assignment = Assignment.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_run(assignment))


def _end_with_parent() -> None:
    """End at once when the other end of standard input is closed."""
    # A buffered read would hold a lock that Python wants when it ends.
    while os.read(0, 1024):
        pass
    os._exit(1)


async def _run(assignment: Assignment) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    transport = make_transport(assignment.factory, assignment.arguments)
    await _connect(transport)
    async with transport:
        await run(assignment.role, assignment.job, transport, assignment.notes, stopping)


async def _connect(transport: Transport) -> None:
    """Try until the server is there: it may have been killed just now."""
    while True:
        try:
            await transport.start()
        except TransportUnavailable:
            await asyncio.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    main()
