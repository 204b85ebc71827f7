"""The golden matrix: each change of a contract gets its verdict, read backward and forward."""

from typing import Any

import pytest
from contract_changes import BREAKING, FINE, MATRIX, UNCLEAR, Program, locked

from async_nexus.schema import compare


def verdict(old: Program, new: Program, mode: Any) -> str:
    """The gravest verdict on a change."""
    verdicts = {finding.verdict.value for finding in compare(locked(old), locked(new), mode)}
    return BREAKING if BREAKING in verdicts else UNCLEAR if verdicts else FINE


@pytest.mark.parametrize("change", MATRIX)
def test_backward(change: str) -> None:
    """The new version reads what the old one wrote, or the change is reported."""
    old, new, expected, _ = MATRIX[change]
    assert verdict(old, new, "backward") == expected


@pytest.mark.parametrize("change", MATRIX)
def test_forward(change: str) -> None:
    """The old version reads what the new one writes, or the change is reported."""
    old, new, _, expected = MATRIX[change]
    assert verdict(old, new, "forward") == expected


@pytest.mark.parametrize("change", MATRIX)
def test_back_again(change: str) -> None:
    """Undoing a change, read backward, is the change read forward."""
    old, new, _, expected = MATRIX[change]
    assert verdict(new, old, "backward") == expected


@pytest.mark.parametrize("change", MATRIX)
def test_full_is_both(change: str) -> None:
    """The mode `full` is as grave as the graver of the two."""
    old, new, *expected = MATRIX[change]
    assert verdict(old, new, "full") == min(expected, key=[BREAKING, UNCLEAR, FINE].index)
