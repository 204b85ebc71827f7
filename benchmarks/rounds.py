"""Times the contenders of one work against each other, in interleaved rounds, each in a process of its own."""

import os
import re
import selectors
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel

from benchmarks.contenders import Unit, Work
from benchmarks.worker import Answer

CHECKOUT: Final = Path(__file__).resolve().parents[1]
PATIENCE: Final = 120.0
"""Seconds after which a worker that says nothing counts as hung."""
PARTING: Final = 5.0
"""Seconds that a worker has to end in good order."""

_NAMES_AN_ERROR: Final = re.compile(r"[\w.]+(Error|Exception|Failed)\b")
# Memory hardly differs from round to round, and takes long to trace.
_ROUNDS_WEIGHED: Final = 3
_EVENTS_WEIGHED: Final = 5_000


class Result(BaseModel):
    """What one contender costs: medians over all rounds, `ratio` to its floor in the same round.

    `failure` says why there is no figure.
    """

    contender: str
    per_event: float | None = None
    ratio: float | None = None
    events: int = 0
    handled: int = 0
    failure: str | None = None


class WorkResult(BaseModel):
    """The contenders of one work, the floor first."""

    work: str
    title: str
    unit: Unit
    calls: int
    results: list[Result]


class CaseFailed(Exception):
    """A contender's process has ended, hangs, or lost events; the text says what."""


@dataclass(frozen=True)
class Limits:
    """How long to measure: so many rounds, each of so many events at most, and of about so many milliseconds."""

    events: int = 20_000
    rounds: int = 15
    millis: float = 20.0


class Worker:
    """The process of one contender, as a context manager; `python` is the interpreter that has the contender."""

    def __init__(self, work: str, name: str, python: str | None = None) -> None:
        self.name = name
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        isolation: tuple[str, ...] = ()
        if python is not None:
            # The checkout's own async_nexus must not hide a peer of that name.
            environment.pop("PYTHONPATH", None)
            isolation = ("-P",)
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 # closed on exit
        self._process = subprocess.Popen(
            (python or sys.executable, *isolation, "-m", "benchmarks.worker", work, name),
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it; its contender may have something to clear up, such as what it has on a server."""
        try:
            self._process.communicate(timeout=PARTING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._stderr.close()

    def wait_until_ready(self) -> None:
        """Wait until the contender is set up. Raises `CaseFailed`."""
        self._readline()

    def send(self, events: int) -> Answer:
        """Have a number of events sent. Raises `CaseFailed`."""
        assert self._process.stdin is not None
        try:
            print(events, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise CaseFailed(self._last_words()) from None
        return Answer.model_validate_json(self._readline())

    def _readline(self) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                raise CaseFailed(f"no answer in {PATIENCE:.0f} seconds")
        line = self._process.stdout.readline()
        if not line:
            raise CaseFailed(self._last_words())
        return line

    def _last_words(self) -> str:
        status = self._process.wait()
        self._stderr.seek(0)
        said = [line.strip(" |") for line in self._stderr.read().strip().splitlines()]
        named = [line for line in said if _NAMES_AN_ERROR.match(line)]
        return (named or said or [f"exit status {status}"])[-1]


@dataclass
class _Case:
    """A contender under measurement."""

    name: str
    floor: str
    worker: Worker
    events: int = 0
    sent: int = 0
    handled: int = 0
    took: list[float] = field(default_factory=list)
    failure: str | None = None

    def send(self, work: Work, events: int) -> float:
        """Send and return what that took per event. Raises `CaseFailed` where not each event was handled once."""
        answer = self.worker.send(events)
        self.sent += events
        self.handled = answer.handled
        if answer.handled != self.sent * work.calls:
            raise CaseFailed(f"{answer.handled} of {self.sent * work.calls} events handled")
        return answer.took / events

    def calibrate(self, work: Work, limits: Limits) -> None:
        """Choose how many events fill a round; what is slow sends fewer. It also warms up."""
        self.worker.wait_until_ready()
        self.events = min(work.batch, limits.events)
        if work.unit == "bytes":
            self.events = min(limits.events, _EVENTS_WEIGHED)
        self.send(work, self.events)
        while work.unit == "ns" and self.events < limits.events:
            # The better of two: one stall of the machine must not leave all rounds with a few events.
            per_event = min(self.send(work, self.events), self.send(work, self.events))
            fitting = int(limits.millis * 1e6 / max(per_event, 1.0))
            wanted = max(work.batch, min(limits.events, fitting, self.events * 20))
            if wanted <= self.events:
                break
            self.events = wanted


def measure(work: Work, peers: Sequence[str], pythons: Mapping[str, str | Exception], limits: Limits) -> WorkResult:
    """Run the rounds of one work. A contender that fails has a result that says so, and the others go on.

    `pythons` gives the interpreter of each peer, or why it has none.
    """
    with ExitStack() as stack:
        cases: list[_Case] = []
        absent: list[Result] = []
        floor = work.contenders[0].name
        for each in work.contenders:
            worker = stack.enter_context(Worker(work.name, each.name))
            cases.append(_Case(each.name, each.floor or floor, worker))
        for peer in peers:
            python = pythons[peer]
            if isinstance(python, Exception):
                absent.append(Result(contender=peer, failure=f"not installed: {python}"))
            else:
                cases.append(_Case(peer, floor, stack.enter_context(Worker(work.name, peer, python))))
        for case in cases:
            _try(case, lambda case=case: case.calibrate(work, limits))  # type: ignore[misc] # mypy infers no default's type
        for number in range(limits.rounds if work.unit == "ns" else min(limits.rounds, _ROUNDS_WEIGHED)):
            for case in cases if number % 2 else reversed(cases):
                _try(case, lambda case=case: case.took.append(case.send(work, case.events)))  # type: ignore[misc] # as above
        by_name = {case.name: case for case in cases}
        results = [_result(case, by_name[case.floor]) for case in cases]
    return WorkResult(work=work.name, title=work.title, unit=work.unit, calls=work.calls, results=[*results, *absent])


def _try(case: _Case, step: Callable[[], None]) -> None:
    if case.failure is None:
        try:
            step()
        except CaseFailed as error:
            case.failure = str(error)


def _result(case: _Case, floor: _Case) -> Result:
    if case.failure is not None:
        return Result(contender=case.name, handled=case.handled, failure=case.failure)
    ratios = [own / least for own, least in zip(case.took, floor.took, strict=False) if least]
    return Result(
        contender=case.name,
        per_event=statistics.median(case.took),
        ratio=statistics.median(ratios) if ratios and floor.failure is None else None,
        events=case.events,
        handled=case.handled,
    )
