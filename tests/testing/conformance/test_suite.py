"""The suite as adapters use it: a class and a fixture, under any pytest, and nothing is left out in silence."""

from typing import Protocol

import pytest

from async_nexus.testing.conformance import TransportConformance
from async_nexus.testing.conformance.trial import needs_of

pytest_plugins = ["pytester"]


class RunTests(Protocol):
    """Runs the tests of a module."""

    def __call__(self, tests: str, *options: str) -> pytest.RunResult: ...


ADAPTER = """
import pytest
from async_nexus.testing.conformance import Engine, TransportConformance

LACKING = {"processes": "it lives in one", "refusal": "no network", "room": "no bound", "server": "there is none"}

class TestMemory(TransportConformance, without=LACKING):
    events = 100
    @pytest.fixture
    def engine(self):
        return Engine(factory="async_nexus.transports.memory:MemoryTransport", processes=False)
"""


@pytest.fixture
def run_tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunTests:
    """Run tests with no plugins but pytest's own."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(tests: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(tests)
        strictly = ("--strict-markers", "-o", "markers=slow", "-W", "error", "-p", "no:cacheprovider")
        return pytester.runpytest_inprocess(*strictly, *options)

    return run


def test_an_adapter_inherits_every_claim(run_tests: RunTests) -> None:
    """It needs no other plugin; of what it lacks the names of tests say why; nothing is skipped."""
    result = run_tests(ADAPTER, "-v")
    claims = [getattr(TransportConformance, name) for name in dir(TransportConformance) if name.startswith("test_")]
    apply = sum(not needs_of(claim) for claim in claims if claim.__name__ != "test_lacks")
    result.assert_outcomes(passed=apply + len(("processes", "refusal", "room", "server")))
    result.stdout.fnmatch_lines_random(
        ["*test_lacks?server: there is none?*", "*test_lacks?processes: it lives in one?*"]
    )
    result.stdout.no_fnmatch_line("*reconnects*")


def test_slow_claims_can_be_left_out(run_tests: RunTests) -> None:
    """They are marked so."""
    result = run_tests(ADAPTER, "-m", "slow")
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])


def test_what_is_not_lacking_is_told(run_tests: RunTests) -> None:
    """A claim is not left out for a reason that is not true."""
    tests = ADAPTER.replace("processes=False", "processes=True")
    result = run_tests(tests, "-k", "test_lacks")
    result.assert_outcomes(passed=3, failed=1, deselected=result.parseoutcomes()["deselected"])


def test_what_is_lacking_without_a_word_is_told(run_tests: RunTests) -> None:
    """An engine has what claims need, or its test class says why not."""
    tests = ADAPTER.replace(', "server": "there is none"', "")
    result = run_tests(tests, "-k", "reconnects")
    result.assert_outcomes(failed=1, deselected=result.parseoutcomes()["deselected"])
    result.stdout.fnmatch_lines(["*the engine has no server: give it one, or say why in `without`*"])


def test_an_engine_that_lacks_nothing_has_nothing_to_say(run_tests: RunTests) -> None:
    """There is no test of reasons without reasons."""
    result = run_tests(ADAPTER.replace(", without=LACKING", ""), "-k", "test_lacks")
    assert set(result.parseoutcomes()) == {"deselected"}


def test_what_is_lacking_may_stand_in_the_class(run_tests: RunTests) -> None:
    """As an attribute, which every checker reads by its type."""
    tests = ADAPTER.replace(", without=LACKING", "").replace("events = 100", "events = 100\n    without = LACKING")
    result = run_tests(tests, "-k", "test_lacks or reconnects")
    result.assert_outcomes(passed=4, deselected=result.parseoutcomes()["deselected"])


def test_the_fixture_has_to_be_there(run_tests: RunTests) -> None:
    """A class without an engine says what is missing."""
    tests = "from async_nexus.testing.conformance import TransportConformance\nclass TestIt(TransportConformance): ..."
    result = run_tests(tests, "-k", "published_comes_once")
    result.stdout.fnmatch_lines(["*override the fixture `engine`*"])
