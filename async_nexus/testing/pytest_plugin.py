"""Fixtures for pytest, which finds this plugin by itself: tests on virtual time, under many seeds, and recordings.

It imports nothing of the package before a fixture is used, so that coverage sees all of it.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from ..nexus import AsyncEventNexus
    from .recording import Recording

T = TypeVar("T")

_MARKERS: Final = (
    "seeds(count): run the test under that many orders of ready tasks; it uses the fixture `virtual_time`",
    "slow: takes more than a second or two; so do the long claims of the conformance suite of transports",
)


class RunOnVirtualTime(Protocol):
    """Runs a coroutine to its end on virtual time, under the test's seed, and returns its result."""

    def __call__(self, main: Coroutine[Any, Any, T], /) -> T:
        """Run `main`."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--virtual-time-seed`."""
    parser.getgroup("async_nexus").addoption(
        "--virtual-time-seed",
        type=int,
        metavar="N",
        help="seed of the fixture `virtual_time`: replays the order of tasks that a test failed with",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that is marked with `seeds` once under each seed, which its id names."""
    marker = metafunc.definition.get_closest_marker("seeds")
    if marker is None:
        return
    if "virtual_time" not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} is marked with `seeds`, but does not use `virtual_time`")
    seed: int | None = metafunc.config.getoption("--virtual-time-seed")
    count = _count(marker, metafunc.definition.nodeid)
    seeds = range(count) if seed is None else (seed,)
    metafunc.parametrize("virtual_time", seeds, indirect=True, ids=lambda each: f"seed{each}")


def _count(marker: pytest.Mark, test: str) -> int:
    """Read how many seeds a mark asks for. Raises `UsageError`."""
    given = [*marker.args, *marker.kwargs.values()]
    if len(given) != 1 or not set(marker.kwargs) <= {"count"} or type(given[0]) is not int or given[0] < 1:
        arguments = ", ".join(
            [*map(repr, marker.args), *(f"{name}={value!r}" for name, value in marker.kwargs.items())]
        )
        raise pytest.UsageError(
            f"{test} is marked with `seeds({arguments})`: one number of seeds from 1 is expected, such as `seeds(20)`"
        )
    return given[0]


@pytest.fixture
def virtual_time(request: pytest.FixtureRequest) -> RunOnVirtualTime:
    """Run a coroutine on virtual time: `virtual_time(main())`; under `@pytest.mark.seeds(20)` with 20 seeds in turn."""
    from .virtual_time import run

    seed: int | None = getattr(request, "param", request.config.getoption("--virtual-time-seed"))

    def run_seeded(main: Coroutine[Any, Any, T], /) -> T:
        return run(main, seed=seed)

    return run_seeded


@pytest.fixture
def recorded() -> "Iterator[Callable[[AsyncEventNexus[Any]], Recording[Any]]]":
    """Record what a nexus does with its events until the test ends; called with the nexus, returns the recording."""
    from .recording import record

    with ExitStack() as stack:
        yield lambda nexus: stack.enter_context(record(nexus))
