"""The benchmark of RabbitMQ runs and counts right, and says what it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rabbit_servers import any_broker

import async_nexus
from async_nexus.testing.conformance import free_port

CHECKOUT = Path(__file__).parents[1]
COUNTING = """
import asyncio, json
from benchmarks.contenders import Count
from benchmarks.works.w12_rabbitmq import CONSUMING, PUBLISHING

async def count(contender):
    count = Count()
    async with contender.prepare(count) as send:
        await send(2)
        await send(1)
    return count.handled

async def main():
    contenders = [each for work in (PUBLISHING, CONSUMING) for each in work.contenders]
    return await asyncio.gather(*map(count, contenders))

print(json.dumps(asyncio.run(main())))
"""


def python(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout, where the benchmarks are."""
    environment = {**os.environ, "PYTHONPATH": str(Path(async_nexus.__file__).parents[1]), "AMQP_URL": url}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_every_contender_has_each_event_handled() -> None:
    """A contender sees each event once, however many are in flight."""
    with any_broker() as url:
        done = python("-c", COUNTING, url=url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [3] * 12


def test_without_a_broker_it_says_what_it_needs() -> None:
    """It fails, with what has to be started and where it was looked for, but for the credentials."""
    port = free_port()
    worker = ("-m", "benchmarks.worker", "W12-rabbitmq-publish", "aio-pika, 1 in flight")
    done = python(*worker, url=f"amqp://me:secret@127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"no answer at amqp://127.0.0.1:{port}; this work needs a RabbitMQ broker" in done.stderr
    assert "secret" not in done.stdout + done.stderr
