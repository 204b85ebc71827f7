"""Runs each work in a fresh process, so that none inherits another's heap, caches or modules."""

import platform
import subprocess
import sys
from collections.abc import Sequence

import pydantic

from benchmarks.rounds import WorkResult
from benchmarks.table import Report


class WorkFailed(Exception):
    """A work has not come to its end; its text is what the process said last."""


def run(names: Sequence[str], events: int, rounds: int) -> Report:
    """Measure works, one after another. Raises `WorkFailed`."""
    return Report(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        pydantic=pydantic.VERSION,
        machine=f"{platform.system()} {platform.machine()}",
        events=events,
        rounds=rounds,
        works=[run_work(name, events, rounds) for name in names],
    )


def run_work(name: str, events: int, rounds: int) -> WorkResult:
    """Measure one work in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.rounds", name, str(events), str(rounds))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WorkFailed(f"{name}: {(done.stderr.strip() or f'exit status {done.returncode}').splitlines()[-1]}")
    return WorkResult.model_validate_json(done.stdout)
