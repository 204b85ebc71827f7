"""The suite as adapters use it: a class and a fixture, under any pytest, and nothing is left out in silence."""

import pytest

pytest_plugins = ["pytester"]

ADAPTER = """
import pytest
from async_nexus.testing.conformance import Engine, TransportConformance

LACKING = {"processes": "it lives in one", "refusal": "no network", "room": "no bound", "server": "there is none"}

class TestMemory(TransportConformance, without=LACKING):
    patience = 1.0
    events = 100
    @pytest.fixture
    def engine(self):
        return Engine(factory="async_nexus.transports.memory:MemoryTransport", processes=False)
"""


def run_tests(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    """Run tests with no plugins but pytest's own and the one of the package."""
    pytester.makepyfile(tests)
    others = [word for name in ("randomly", "asyncio", "cacheprovider", "pytest_cov") for word in ("-p", f"no:{name}")]
    plugin = "async_nexus.testing.pytest_plugin"
    return pytester.runpytest_inprocess("-p", plugin, *others, "--strict-markers", "-W", "error", *options)


def test_an_adapter_inherits_every_claim(pytester: pytest.Pytester) -> None:
    """It needs no other plugin; of what it lacks the names of tests say why; nothing is skipped."""
    result = run_tests(pytester, ADAPTER, "-v")
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] > 30
    result.stdout.fnmatch_lines_random(
        ["*test_lacks?server: there is none?*", "*test_lacks?processes: it lives in one?*"]
    )
    result.stdout.no_fnmatch_line("*reconnects*")


def test_slow_claims_can_be_left_out(pytester: pytest.Pytester) -> None:
    """They are marked so."""
    result = run_tests(pytester, ADAPTER, "-m", "slow")
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])


def test_what_is_not_lacking_is_told(pytester: pytest.Pytester) -> None:
    """A claim is not left out for a reason that is not true."""
    tests = ADAPTER.replace("processes=False", "processes=True")
    result = run_tests(pytester, tests, "-k", "test_lacks")
    result.assert_outcomes(passed=3, failed=1, deselected=result.parseoutcomes()["deselected"])


def test_what_is_lacking_without_a_word_is_told(pytester: pytest.Pytester) -> None:
    """An engine has what claims need, or its test class says why not."""
    tests = ADAPTER.replace(', "server": "there is none"', "")
    result = run_tests(pytester, tests, "-k", "reconnects")
    result.assert_outcomes(failed=1, deselected=result.parseoutcomes()["deselected"])
    result.stdout.fnmatch_lines(["*the engine has no server: give it one, or say why in `without`*"])


def test_an_engine_that_lacks_nothing_has_nothing_to_say(pytester: pytest.Pytester) -> None:
    """There is no test of reasons without reasons."""
    result = run_tests(pytester, ADAPTER.replace(", without=LACKING", ""), "-k", "test_lacks")
    assert set(result.parseoutcomes()) == {"deselected"}


def test_the_fixture_has_to_be_there(pytester: pytest.Pytester) -> None:
    """A class without an engine says what is missing."""
    tests = "from async_nexus.testing.conformance import TransportConformance\nclass TestIt(TransportConformance): ..."
    result = run_tests(pytester, tests, "-k", "published_comes_once")
    result.stdout.fnmatch_lines(["*override the fixture `engine`*"])
