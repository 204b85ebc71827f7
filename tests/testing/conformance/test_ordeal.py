"""The verdict on what became of thousands of events: everything that may have gone wrong is seen, and told."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from async_nexus.testing.conformance.ordeal import Outcome
from async_nexus.testing.conformance.programs import Job, noted, noting

JOB = Job(channel="orders", events=100, poison=0.02, failures=0.1, in_flight=4, seed=1)
REASON = "number: Input should be a valid integer"


def letters(numbers: Iterable[int], reason: str = REASON) -> list[tuple[bytes, str]]:
    """What was put aside."""
    return [(json.dumps({"data": {"number": f"poison {number}"}}).encode(), reason) for number in numbers]


def outcome(
    *,
    confirmed: Iterable[int] = range(100),
    handled: Iterable[int] = (),
    unhandled: Iterable[int] = (),
    aside: list[tuple[bytes, str]] | None = None,
    forgotten: int = 0,
) -> Outcome:
    """All that went well, but for what is given: handled again, not handled, put aside."""
    good = set(range(100)) - JOB.poisoned() - set(unhandled)
    put_aside = letters(JOB.poisoned()) if aside is None else aside
    return Outcome(JOB, list(confirmed), [*good, *handled], put_aside, forgotten)


def test_poison_is_spread_evenly() -> None:
    """As many events as the share says are poison."""
    assert JOB.poisoned() == {49, 99}
    assert len(JOB.model_copy(update={"events": 3_000, "poison": 0.01}).poisoned()) == 30


def test_what_went_well_passes() -> None:
    """All handled, all poison put aside, as many doubled as may be."""
    outcome(handled=[1, 2, 3]).check(doubled=3)
    outcome(handled=[1, 2, 3, 4], forgotten=1).check(doubled=3)


@pytest.mark.parametrize(
    "wrong, complaint",
    [
        (outcome(unhandled=[7, 8]), r"not handled: 2 events, the first of them \[7, 8\]"),
        (outcome(aside=letters([49])), r"not among the dead letters: 1 events, the first of them \[99\]"),
        (outcome(aside=letters([5, 49, 99], "number: bad luck")), r"no poison: 1 events.*\[5\]: number: bad luck"),
        (outcome(aside=letters([49, 99], "no idea")), "does not name the field: 2 events.*'no idea'"),
        (outcome(handled=[49]), "poison was handled"),
        (outcome(confirmed=range(99)), "has not sent all"),
        (
            outcome(handled=[1, 2, 3, 3]),
            "4 events were handled again, where 3 could have been in flight, and 0 be forgotten",
        ),
        (outcome(handled=[1, 2, 3, 3, 4], forgotten=1), "5 events .* 3 could have been in flight, and 1 be forgotten"),
    ],
)
def test_what_went_wrong_is_told(wrong: Outcome, complaint: str) -> None:
    """Lost, buried alive, handled though poison, doubled too often: each has its complaint."""
    with pytest.raises(AssertionError, match=complaint):
        wrong.check(doubled=3)


def test_what_was_not_confirmed_may_be_lost() -> None:
    """Of an event that was sent in vain nothing is claimed, but that the producer is to go on until it is confirmed."""
    with pytest.raises(AssertionError, match="has not sent all"):
        outcome(confirmed=range(1, 100), unhandled=[0]).check(doubled=3)


def test_what_was_noted_since_a_time_can_be_told(tmp_path: Path) -> None:
    """Of a server that forgets its last moment it is known what that was; a file that is not there yet has nothing."""
    path = tmp_path / "notes"
    assert noted(path) == []
    with noting(path) as note:
        note(1)
        since = time.monotonic_ns()
        note(2)
        note(1)
    assert (noted(path), noted(path, since)) == ([1, 2, 1], [2, 1])
