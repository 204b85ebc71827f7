"""Tries again what failed, ever later."""

from typing import Any

from ..events import Event
from .chain import CallNext, Errors, Middleware, check_count, is_only


def retry(
    on: Errors,
    *,
    attempts: int = 3,
    wait_initial: float = 0.1,
    wait_max: float = 5.0,
    wait_jitter: float = 1.0,
) -> Middleware:
    """Handle an event up to `attempts` times, for as long as it fails with errors `on` only.

    The n-th wait is `wait_initial * 2 ** (n - 1)` seconds and up to `wait_jitter` more, never above `wait_max`; it
    holds the event's turn. What the last attempt raised is raised. `stamina` does it, so `stamina.set_active`,
    `stamina.set_testing` and its instrumentation apply. Several errors at once, which come as one group, are tried
    again if all of them are of the classes. Raises `ModuleNotFoundError` without the extra `async-nexus[retry]`.
    """
    from stamina import AsyncRetryingCaller

    check_count("attempts", attempts)
    for name, wait in (("wait_initial", wait_initial), ("wait_max", wait_max), ("wait_jitter", wait_jitter)):
        if not wait >= 0:
            raise ValueError(f"{name} is a number of seconds, not {wait!r}")
    # Without stamina's own timeout, which would read another clock than the event loop's.
    caller = AsyncRetryingCaller(
        attempts=attempts, timeout=None, wait_initial=wait_initial, wait_max=wait_max, wait_jitter=wait_jitter
    ).on(lambda error: is_only(error, on))

    async def again(event: Event[Any], call_next: CallNext) -> None:
        await caller(call_next, event)

    return again
