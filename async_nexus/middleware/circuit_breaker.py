"""Leaves alone for a while what keeps failing."""

import asyncio
from contextvars import ContextVar
from typing import Any, Final

from ..errors import AsyncNexusError
from ..events import Event, describe_event
from .chain import CallNext, Errors, Middleware, check_count, check_seconds, is_only

# The trials that the running task is inside of, so that what a trial ingests belongs to it. A task keeps those that
# were open when it was born: whether they still are, their circuits know.
_inside: Final[ContextVar[frozenset[object]]] = ContextVar("async_nexus.trials", default=frozenset())


class CircuitOpen(AsyncNexusError):
    """An event was not handled because too many before it had failed.

    `event` is that event and `retry_after` the number of seconds until one is let through to try; 0.0 while one is
    being tried.
    """

    def __init__(self, event: Event[Any], retry_after: float) -> None:
        super().__init__(event, retry_after)
        self.event = event
        self.retry_after = retry_after

    def __str__(self) -> str:
        when = f"in {self.retry_after:.3g} s" if self.retry_after else "if the event that is being tried succeeds"
        return f"{describe_event(self.event)} was not handled: its circuit is open and may close {when}"


def circuit_breaker(*, failures: int = 5, reset_after: float = 30.0, on: Errors = Exception) -> Middleware:
    """Refuse events with `CircuitOpen` after `failures` events in a row have failed with errors `on` only.

    After `reset_after` seconds one event is let through: if it succeeds, or fails with another error, the circuit
    closes, else it stays open as long again; what is ingested inside of it is let through with it. Outcomes of events
    that began before the circuit changed do not count.
    """
    return _Circuit(check_count("failures", failures), check_seconds("reset_after", reset_after), on)


class _Circuit:
    def __init__(self, failures: int, reset_after: float, on: Errors) -> None:
        self._allowed, self._reset_after, self._on = failures, reset_after, on
        self._failures = 0
        self._retry_at: float | None = None  # set while the circuit is open
        self._trial: object | None = None  # set while one event is tried
        self._changes = 0

    async def __call__(self, event: Event[Any], call_next: CallNext) -> None:
        if self._trial in _inside.get():
            return await call_next(event)
        trial = self._admit(event)
        begun = self._changes
        token = None if trial is None else _inside.set(_inside.get() | {trial})
        try:
            await call_next(event)
        except Exception as error:
            self._note(begun, failed=is_only(error, self._on))
            raise
        else:
            self._note(begun, failed=False)
        finally:
            if token is not None:  # also one that was cancelled, which tells nothing: the next event is the trial
                _inside.reset(token)
                self._trial = None

    def _admit(self, event: Event[Any]) -> object | None:
        """Let an event pass, and tell what marks it if it is the trial. Raises `CircuitOpen`."""
        if self._retry_at is None:
            return None
        wait = self._retry_at - asyncio.get_running_loop().time()
        if wait > 0 or self._trial is not None:
            raise CircuitOpen(event, max(wait, 0.0))
        self._trial = object()
        return self._trial

    def _note(self, begun: int, *, failed: bool) -> None:
        if begun != self._changes:
            return
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= self._allowed or (failed and self._trial is not None):
            self._change(asyncio.get_running_loop().time() + self._reset_after)
        elif self._retry_at is not None:
            self._change(None)

    def _change(self, retry_at: float | None) -> None:
        self._retry_at = retry_at
        self._failures = 0
        self._changes += 1
