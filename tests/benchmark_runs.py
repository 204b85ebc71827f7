"""Runs Python where the benchmarks are, for the tests of these."""

import os
import subprocess
import sys
from pathlib import Path

import async_nexus

CHECKOUT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(async_nexus.__file__).parents[1])}

COUNT = """
import asyncio, json
from benchmarks.contenders import Count

async def count(contender):
    count = Count()
    async with contender.prepare(count) as send:
        await send(2)
        await send(1)
    return count.handled
"""
"""What a script needs that tells how many events a contender has handled, of three."""


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout, with the package that is tested, and more variables in its environment."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
