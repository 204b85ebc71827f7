"""Measures works, one after another, with the peers that can do them."""

import platform
from collections.abc import Sequence

import pydantic

from benchmarks import environments, rounds
from benchmarks.environments import NotInstalled
from benchmarks.peer_works import does
from benchmarks.peers import PEERS
from benchmarks.report import Report
from benchmarks.rounds import Limits, WorkResult
from benchmarks.works import WORKS


class WorkFailed(Exception):
    """A contender of our own has not come to its end; the text names it and what its process said last."""


def run(names: Sequence[str], peers: Sequence[str], limits: Limits) -> Report:
    """Measure works. Raises `WorkFailed`; a peer that fails, or cannot be installed, is reported."""
    pythons: dict[str, str | Exception] = {}
    for peer in peers if any(does(name, PEERS[peer]) for name in names for peer in peers) else ():
        try:
            pythons[peer] = environments.python_of(PEERS[peer])
        except NotInstalled as error:
            pythons[peer] = error
    return Report(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        pydantic=pydantic.VERSION,
        machine=f"{platform.system()} {platform.machine()}",
        events=limits.events,
        rounds=limits.rounds,
        works=[
            run_work(name, [peer for peer in pythons if does(name, PEERS[peer])], pythons, limits) for name in names
        ],
        missing={peer: str(python) for peer, python in pythons.items() if isinstance(python, Exception)},
    )


def run_work(name: str, peers: Sequence[str], pythons: dict[str, str | Exception], limits: Limits) -> WorkResult:
    """Measure one work. Raises `WorkFailed`."""
    result = rounds.measure(WORKS[name], peers, pythons, limits)
    for each in result.results:
        if each.failure is not None and each.contender not in pythons:
            raise WorkFailed(f"{name} {each.contender}: {each.failure}")
    return result
