"""Runs an event loop until a program has stopped, with the signals that end programs stopping it gracefully."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def run_blocking(start: Callable[[], asyncio.Task[None]], stop: Callable[[float | None], None]) -> None:
    """Start in a new event loop and block until the task that `start` returned has ended.

    The first SIGINT or SIGTERM calls `stop(None)`, a second one `stop(0.0)`; other threads than the main one
    get no signals.
    """

    async def main() -> None:
        with _stopping_on_signals(stop):
            await start()

    with asyncio.Runner() as runner:
        runner.run(main())


def is_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether an event loop runs in this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


@contextmanager
def _stopping_on_signals(stop: Callable[[float | None], None]) -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    graces = iter((None,))
    loop = asyncio.get_running_loop()

    def on_signal(*_: object) -> None:
        stop(next(graces, 0.0))

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows
            signal.signal(number, partial(loop.call_soon_threadsafe, on_signal))
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class Over:
    """Awaits nothing: what a call that blocked returns where another one would return an awaitable."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield
