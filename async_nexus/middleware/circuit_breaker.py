"""Leaves alone for a while what keeps failing."""

import asyncio
from contextvars import ContextVar
from typing import Any, Final

from ..errors import AsyncNexusError
from ..events import Event, describe_event
from .chain import CallNext, Errors, Middleware, check_count, check_seconds, is_only

# The circuits that the running task is inside of, so that what a trial ingests belongs to the trial.
_inside: Final[ContextVar[frozenset[object]]] = ContextVar("async_nexus.circuits", default=frozenset())


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
    closes, else it stays open as long again. Outcomes of events that began before the circuit changed do not count.
    """
    return _Circuit(check_count("failures", failures), check_seconds("reset_after", reset_after), on)


class _Circuit:
    def __init__(self, failures: int, reset_after: float, on: Errors) -> None:
        self._allowed, self._reset_after, self._on = failures, reset_after, on
        self._failures = 0
        self._retry_at: float | None = None  # set while the circuit is open
        self._trying = False
        self._changes = 0

    async def __call__(self, event: Event[Any], call_next: CallNext) -> None:
        if self in _inside.get():
            return await call_next(event)
        self._admit(event)
        begun, trial = self._changes, self._trying
        token = _inside.set(_inside.get() | {self})
        try:
            await call_next(event)
        except Exception as error:
            self._note(begun, failed=is_only(error, self._on))
            raise
        else:
            self._note(begun, failed=False)
        finally:
            _inside.reset(token)
            if trial:  # also one that was cancelled, which tells nothing: the next event is the trial
                self._trying = False

    def _admit(self, event: Event[Any]) -> None:
        if self._retry_at is None:
            return
        wait = self._retry_at - asyncio.get_running_loop().time()
        if wait > 0 or self._trying:
            raise CircuitOpen(event, max(wait, 0.0))
        self._trying = True

    def _note(self, begun: int, *, failed: bool) -> None:
        if begun != self._changes:
            return
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= self._allowed or (failed and self._trying):
            self._change(asyncio.get_running_loop().time() + self._reset_after)
        elif self._retry_at is not None:
            self._change(None)

    def _change(self, retry_at: float | None) -> None:
        self._retry_at = retry_at
        self._failures = 0
        self._changes += 1
