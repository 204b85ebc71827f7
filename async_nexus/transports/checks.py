"""What several engines refuse alike. All raise `ValueError`."""

from typing import Final

_LONGEST_NAME: Final = 1000
_LONGEST_DELAY: Final = 1e9


def check_name(name: str) -> None:
    """Refuse a name of a channel or consumer that has no characters, or too many."""
    if not 0 < len(name) <= _LONGEST_NAME:
        raise ValueError(f"a channel and a consumer have a name of 1 to {_LONGEST_NAME} characters, not {len(name)}")


def check_delay(delay: float) -> None:
    """Refuse a delay that is negative, no number, or longer than thirty years."""
    if not 0 <= delay < _LONGEST_DELAY:
        raise ValueError(f"a delay is a number of seconds from 0, below {_LONGEST_DELAY:g}, not {delay!r}")
