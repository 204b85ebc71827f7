"""The benchmarks run and count right; how fast anything is, no test says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import async_nexus

CHECKOUT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(async_nexus.__file__).parents[1])}
SHORT = ("--events", "20", "--rounds", "3")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout, where the benchmarks are."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """A short run of all works, as JSON."""
    done = python("-m", "benchmarks", *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_each_work_sets_its_contenders_beside_the_floor(report: dict[str, Any]) -> None:
    """W1 emits a dict, W2 ingests a model; the floor comes first and is what the ratios are to."""
    found = {work["work"]: [result["contender"] for result in work["results"]] for work in report["works"]}
    assert found == {"W1": ["floor", "emit"], "W2": ["floor", "ingest"]}
    assert [work["results"][0]["ratio"] for work in report["works"]] == [1.0, 1.0]


def test_every_event_was_handled_once(report: dict[str, Any]) -> None:
    """Each contender's handler has seen each event of each round and of the one before them."""
    assert report["events"] == 20
    assert report["rounds"] == 3
    assert {result["handled"] for work in report["works"] for result in work["results"]} == {20 * 4}


def test_figures_are_positive_numbers(report: dict[str, Any]) -> None:
    """Each contender has a time and a ratio."""
    for work in report["works"]:
        for result in work["results"]:
            assert result["ns_per_event"] > 0
            assert result["ratio"] > 0


def test_table_has_a_line_for_each_contender() -> None:
    """Without `--json` a reader gets a table, of the works that were asked for."""
    done = python("-m", "benchmarks", *SHORT, "--work", "W2")
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [row[0] for row in rows] == ["floor", "ingest"]
    assert "W1" not in done.stdout


MISCOUNTING = """
import asyncio
from contextlib import asynccontextmanager
from benchmarks.contenders import Contender, Work
from benchmarks.rounds import Miscounted, measure

@asynccontextmanager
async def lossy(count):
    async def send(events):
        count.handled += events - 1
    yield send

try:
    asyncio.run(measure(Work("W0", "loses one", (Contender("lossy", lossy),)), 20, 1))
except Miscounted as error:
    print(error)
"""


def test_lost_events_are_no_result() -> None:
    """A contender that loses an event is not timed but refused."""
    assert python("-c", MISCOUNTING).stdout == "W0 lossy: 19 of 20 events handled\n"


@pytest.mark.parametrize("arguments", [("--events", "0"), ("--rounds", "x"), ("--work", "W0")])
def test_impossible_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    """The command line names the argument that it does not take."""
    done = python("-m", "benchmarks", *arguments)
    assert done.returncode == 2
    assert f"argument {arguments[0]}: invalid" in done.stderr


def test_a_work_that_fails_is_one_line() -> None:
    """What goes wrong in a work's process is named with the work."""
    done = python("-c", "from benchmarks.runner import run_work\nrun_work('W0', 1, 1)")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "benchmarks.runner.WorkFailed: W0: KeyError: 'W0'"
