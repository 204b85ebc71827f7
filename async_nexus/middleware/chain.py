"""What a middleware is, and what the settings of the ready ones have in common."""

import math
from typing import TypeAlias, cast

from ..plan import CallNext, Middleware

__all__ = ["CallNext", "Errors", "Middleware", "check_count", "check_seconds", "is_only"]

Errors: TypeAlias = type[Exception] | tuple[type[Exception], ...]
"""Exception classes, as `except` takes them."""


def check_seconds(name: str, value: float) -> float:
    """Return a time span. Raises `ValueError` for what is not positive and finite."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} is a positive number of seconds, not {value!r}")
    return value


def check_count(name: str, value: int) -> int:
    """Return a number of things. Raises `ValueError` for less than one."""
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value!r}")
    return value


def is_only(error: BaseException, classes: Errors) -> bool:
    """Whether an error is of the classes; a group is if it is named itself or if all of its members are (M2)."""
    if isinstance(error, classes):
        return True
    if not isinstance(error, BaseExceptionGroup):
        return False
    group = cast("BaseExceptionGroup[BaseException]", error)
    return group.split(classes)[1] is None
