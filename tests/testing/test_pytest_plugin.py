"""The pytest plugin: virtual time under seeds, replays, and recordings."""

import pytest

pytest_plugins = ["pytester"]

PLUGIN = "async_nexus.testing.pytest_plugin"
RACE = """
import asyncio
import pytest
from async_nexus.testing.pytest_plugin import RunOnVirtualTime

async def race() -> str:
    order = []
    async def step(name):
        await asyncio.sleep(3600)
        order.append(name)
    await asyncio.gather(*map(step, "abc"))
    return "".join(order)
"""


def run_tests(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run tests with the plugin and without those of this test suite."""
    pytester.makepyfile(RACE + tests)
    others = [word for name in ("randomly", "asyncio", "cacheprovider", "pytest_cov") for word in ("-p", f"no:{name}")]
    return pytester.runpytest_inprocess("-p", PLUGIN, *others, "--strict-markers", *options)


def test_virtual_time_runs_a_coroutine(pytester: pytest.Pytester) -> None:
    """An hour of sleep takes no time; without a seed tasks go as in any loop."""
    tests = "def test_hour(virtual_time: RunOnVirtualTime) -> None:\n    assert virtual_time(race()) == 'abc'\n"
    run_tests(pytester, tests).assert_outcomes(passed=1)


def test_seeds_run_a_test_under_many_orders(pytester: pytest.Pytester) -> None:
    """A race shows under some of the seeds, and the test's id tells under which."""
    tests = "@pytest.mark.seeds(20)\ndef test_race(virtual_time):\n    assert virtual_time(race()) == 'abc'\n"
    result = run_tests(pytester, tests)
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] + outcomes["failed"] == 20
    assert 0 < outcomes["passed"] < 20
    result.stdout.re_match_lines([r"FAILED .*::test_race\[seed\d+\].*"])


def test_a_seed_is_replayed(pytester: pytest.Pytester) -> None:
    """`--virtual-time-seed` runs each test under that seed alone, marked or not, always the same."""
    tests = """
seen = []
@pytest.mark.seeds(20)
def test_marked(virtual_time):
    seen.append(virtual_time(race()))
def test_unmarked(virtual_time):
    seen.append(virtual_time(race()))
def test_same():
    assert seen[0] == seen[1] != "abc"
"""
    run_tests(pytester, tests, "--virtual-time-seed=3").assert_outcomes(passed=3)


def test_the_number_of_seeds_may_be_named(pytester: pytest.Pytester) -> None:
    """As any argument may."""
    run_tests(pytester, "@pytest.mark.seeds(count=3)\ndef test(virtual_time): ...\n").assert_outcomes(passed=3)


@pytest.mark.parametrize("given", ["", "0", "'3'", "True", "1, 2", "seeds=3", "3, count=3"])
def test_seeds_say_what_they_expect(pytester: pytest.Pytester, given: str) -> None:
    """Where the mark has no number of seeds, or none that runs the test at all."""
    result = run_tests(pytester, f"@pytest.mark.seeds({given})\ndef test(virtual_time): ...\n")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*is marked with `seeds({given})`: one number of seeds from 1 is expected*"])


def test_seeds_need_virtual_time(pytester: pytest.Pytester) -> None:
    """A mark that could do nothing is a mistake."""
    result = run_tests(pytester, "@pytest.mark.seeds(2)\ndef test_nothing(): ...\n")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*is marked with `seeds`, but does not use `virtual_time`*"])


def test_markers_of_the_package_are_known(pytester: pytest.Pytester) -> None:
    """The conformance suite marks its long claims, also where markers are strict."""
    run_tests(pytester, "@pytest.mark.slow\ndef test_nothing(): ...\n").assert_outcomes(passed=1)


def test_recorded_records_until_the_test_ends(pytester: pytest.Pytester) -> None:
    """The fixture records what a nexus does, without a block; after the test the nexus is not watched any more."""
    tests = """
from async_nexus import AsyncEventNexus
nexus = AsyncEventNexus()
nexus.add_handler(1, lambda event: None)
recordings = []
async def main():
    nexus.start()
    await nexus.emit(1, None)
def test_recording(virtual_time, recorded):
    recordings.append(recorded(nexus))
    virtual_time(main())
    assert [event.type for event in recordings[0].handled] == [1]
def test_end():
    assert len(recordings[0].notes) == 2
    assert not nexus._dispatch._plan.watches
"""
    run_tests(pytester, tests).assert_outcomes(passed=2)
