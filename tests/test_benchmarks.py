"""The benchmarks run and count right; how fast anything is, no test says."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from benchmark_runs import CHECKOUT, COUNT, python

SHORT = ("--events", "20", "--rounds", "3")
WORKS = [
    "W1",
    "W2",
    "W3",
    "W3-register",
    "W3-memory",
    "W4",
    "W5",
    "W6",
    "W7",
    "W8",
    "W9",
    "W10",
    "W11",
    "W11-power",
    "import",
]


def say(program: str) -> str:
    """Return what a program prints that runs where the benchmarks are."""
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """A short run of two works, as JSON."""
    done = python("-m", "benchmarks", *SHORT, "--work", "W1", "W2", "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


COUNTING = (
    COUNT
    + """
from benchmarks.works import WORKS

print(json.dumps({
    work.name: {
        "calls": work.calls,
        # The same code with fewer types; ten thousand take long to register.
        "handled": {each.name: asyncio.run(count(each)) for each in work.contenders if "000 types" not in each.name},
    }
    for work in WORKS.values() if work.needs is None
}))
"""
)


def test_every_contender_has_each_event_handled() -> None:
    """Whatever its work is, a contender's handlers see each event as often as the work says: counts are asserted."""
    found = json.loads(say(COUNTING))
    assert list(found) == WORKS
    assert {name: work["calls"] for name, work in found.items() if work["calls"] > 1} == {"W4": 10, "W9": 10}
    for name, work in found.items():
        assert len(work["handled"]) >= 2, name
        assert set(work["handled"].values()) == {3 * work["calls"]}, name


def test_each_work_sets_its_contenders_beside_the_floor(report: dict[str, Any]) -> None:
    """The floor comes first and is what the ratios are to."""
    found = {work["work"]: [result["contender"] for result in work["results"]] for work in report["works"]}
    assert found["W2"] == ["floor", "emit", "ingest"]
    assert found["W1"][:3] == ["floor", "payload floor", "emit"]
    assert [work["results"][0]["ratio"] for work in report["works"]] == [1.0, 1.0]


def test_every_event_was_handled_once(report: dict[str, Any]) -> None:
    """Each contender's handler has seen each event of each round and of the warming up before them."""
    assert report["events"] == 20
    assert report["rounds"] == 3
    for work in report["works"]:
        for result in work["results"]:
            assert result["handled"] >= 3 * result["events"] > 0


def test_figures_are_positive_numbers(report: dict[str, Any]) -> None:
    """Each contender has a time and a ratio, and none has failed."""
    for work in report["works"]:
        for result in work["results"]:
            assert result["per_event"] > 0
            assert result["ratio"] > 0
            assert result["failure"] is None


def test_a_run_can_be_shown_again(report: dict[str, Any], tmp_path: Path) -> None:
    """`--from-json` measures nothing: it gives the table of an earlier run, with the goals that it can tell."""
    (tmp_path / "run.json").write_text(json.dumps(report), encoding="utf-8")
    shown = python("-m", "benchmarks", "--from-json", str(tmp_path / "run.json")).stdout
    rows = [line.split()[0] for line in shown.splitlines() if line.startswith("  ")]
    assert rows[:2] == ["floor", "payload"]
    assert "W1: emit to FE" in shown
    assert "W9" not in shown


def test_the_chart_has_a_bar_for_each_contender(report: dict[str, Any], tmp_path: Path) -> None:
    """`--chart` writes well-formed SVG."""
    (tmp_path / "run.json").write_text(json.dumps(report), encoding="utf-8")
    python("-m", "benchmarks", "--from-json", str(tmp_path / "run.json"), "--chart", str(tmp_path / "chart.svg"))
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()
    bars = root.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 1 + sum(len(work["results"]) for work in report["works"])  # one is the ground


def test_markdown_holds_every_figure(report: dict[str, Any], tmp_path: Path) -> None:
    """`--markdown` writes what the documentation shows."""
    (tmp_path / "run.json").write_text(json.dumps(report), encoding="utf-8")
    shown = python("-m", "benchmarks", "--from-json", str(tmp_path / "run.json"), "--markdown").stdout
    for work in report["works"]:
        for result in work["results"]:
            assert f"| {result['contender']} | {result['per_event']:,.0f} | {result['ratio']:.2f} |" in shown


LOSSY = """
import benchmarks.rounds as rounds
from benchmarks.contenders import Contender, Work
from benchmarks.worker import Answer

class Losing(rounds.Worker):
    total = 0

    def __init__(self, work, name, python=None):
        self.name = name

    def __exit__(self, *_):
        pass

    def wait_until_ready(self):
        pass

    def send(self, events):
        self.total += events - (self.name == "lossy")
        return Answer(took=1000.0, handled=self.total)

rounds.Worker = Losing
work = Work("W0", "loses one", (Contender("whole", None), Contender("lossy", None)))
for each in rounds.measure(work, (), {}, rounds.Limits(20, 2, 20)).results:
    print(each.contender, each.per_event, each.failure)
"""


def test_lost_events_are_no_result() -> None:
    """A contender that loses an event is not timed but said to have failed; the others are timed."""
    assert say(LOSSY).splitlines() == ["whole 50.0 None", "lossy None 0 of 1 events handled"]


UNINSTALLABLE = """
import benchmarks.environments, benchmarks.runner as runner
from benchmarks.rounds import Limits

def python_of(peer):
    raise benchmarks.environments.NotInstalled("no such version")

benchmarks.environments.python_of = python_of
report = runner.run(["W2"], ["blinker 1.9.0"], Limits(20, 1, 1))
print(report.missing)
print([each.failure for each in report.works[0].results])
"""


def test_a_peer_that_cannot_be_installed_is_reported() -> None:
    """It has a line in the table, which says why there is no figure."""
    missing, failures = say(UNINSTALLABLE).splitlines()
    assert missing == "{'blinker 1.9.0': 'no such version'}"
    assert failures == "[None, None, None, 'not installed: no such version']"


def test_every_peer_is_pinned_and_has_an_adapter() -> None:
    """The ten that the library is compared with; their versions stand in constraints without registry addresses."""
    peers = say("from benchmarks.peers import PEERS\nfor name, peer in PEERS.items(): print(name, peer.module)")
    found = {line.split()[0]: line.split()[2] for line in peers.splitlines()}
    assert set(found) == {
        *("abxbus", "async-nexus", "blinker", "bubus", "fastapi-events", "faststream"),
        *("llama-index-workflows", "mediatr", "pyee", "pymitter"),
    }
    for module in found.values():
        assert (CHECKOUT / "benchmarks" / "peers" / f"{module}.py").is_file()
    pins = (CHECKOUT / "benchmarks" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9a-z.]+", line) for line in pins if not line.startswith("#"))


PEER_WORKS = """
import asyncio, sys, types
from contextlib import asynccontextmanager
from benchmarks.contenders import Count
from benchmarks.peer_works import PEER_WORKS
from benchmarks.events import Reading

@asynccontextmanager
async def connect(handlers):
    async def send(payload):
        assert isinstance(payload, Reading) or adapter.VALIDATES
        for handle in handlers:
            await handle(payload)
    yield send

async def count(prepare, adapter):
    count = Count()
    async with prepare(adapter, count) as send:
        await send(3)
    return count.handled

for validates in (False, True):
    adapter = types.SimpleNamespace(VALIDATES=validates, connect=connect)
    print({name: asyncio.run(count(prepare, adapter)) for name, prepare in PEER_WORKS.items()})
"""


def test_the_works_of_peers_count_as_their_works_do() -> None:
    """Ten calls an event in W4; a peer that does not validate is given a model."""
    assert say(PEER_WORKS).splitlines() == ["{'W1': 3, 'W2': 3, 'W4': 30, 'W6': 3, 'W8': 3}"] * 2


GUARDING = """
import benchmarks.guard as guard
ratios = iter(%s)
guard.ratio = lambda limits: next(ratios)
print(guard.is_kept())
"""


@pytest.mark.parametrize(
    "ratios, outcome",
    [
        ("[1.3]", "(True, 1.3)"),
        ("[1.7, 1.9, 1.5]", "(True, 1.5)"),
        ("[1.8, 1.61, 1.7, 1.9, 1.8, 1.7]", "(False, 1.61)"),
    ],
)
def test_the_guard_fails_when_no_attempt_keeps_within_the_limit(ratios: str, outcome: str) -> None:
    """One busy moment of the machine is forgiven, a slow emit is not."""
    assert say(GUARDING % ratios).strip() == outcome


def test_goals_name_contenders_that_there_are() -> None:
    """Each figure of a goal belongs to a contender of its work, or to a peer that does it."""
    program = """
from benchmarks.goals import GOALS
from benchmarks.peer_works import does
from benchmarks.peers import PEERS
from benchmarks.works import WORKS

peers = {name.rpartition(" ")[0]: peer for name, peer in PEERS.items()}
for goal in GOALS:
    for work, name in goal.above + goal.below:
        if name in peers:
            assert does(work, peers[name]), (work, name)
        else:
            WORKS[work].contender(name)
"""
    assert say(program) == ""


def test_steps_are_timed_one_on_top_of_the_other() -> None:
    """Each rung of the ladder has a line; every contender of it can be run between two marks."""
    program = """
from benchmarks import steps
steps.instructions = lambda events: None
print("\\n".join(steps.lines(5, 1, 5)))
import asyncio
asyncio.run(steps.run_between_marks(5))
"""
    shown = say(program)
    assert "await the handler" in shown
    assert "enter and leave a turn" in shown
    assert "ingest of an event that fits" in shown


@pytest.mark.parametrize("arguments", [("--events", "0"), ("--rounds", "x"), ("--work", "W0"), ("--peers", "nobody")])
def test_impossible_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    """The command line names the argument that it does not take."""
    done = python("-m", "benchmarks", *arguments)
    assert done.returncode == 2
    assert f"argument {arguments[0]}: invalid" in done.stderr


FAILING = """
import dataclasses, types
import benchmarks.runner as runner
from benchmarks.contenders import Contender
from benchmarks.rounds import Limits
from benchmarks.works import WORKS
whole = WORKS["W1"]
unknown = dataclasses.replace(whole, contenders=(*whole.contenders[:1], Contender("nobody", None)))
runner.WORKS = {"W1": unknown}
try:
    runner.run_work("W1", (), {}, Limits(20, 1, 1))
except runner.WorkFailed as error:
    print(error)
"""


def test_a_contender_that_fails_is_one_line() -> None:
    """What goes wrong in a contender's process is named with work and contender."""
    assert say(FAILING) == "W1 nobody: KeyError: 'nobody'\n"
