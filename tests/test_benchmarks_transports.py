"""The benchmarks of the engines that are servers run and count right, and say what they need."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import nats_servers
import pytest
import rabbit_servers
import redis_servers
from benchmark_runs import COUNT, python

from async_nexus.testing.conformance import free_port

COUNTING = (
    COUNT
    + """
import sys
from importlib import import_module

async def main():
    works = import_module(f"benchmarks.works.w12_{sys.argv[1]}")
    contenders = [each for work in (works.PUBLISHING, works.CONSUMING) for each in work.contenders]
    return await asyncio.gather(*map(count, contenders))

print(json.dumps(asyncio.run(main())))
"""
)


@dataclass(frozen=True)
class Engine:
    """A server, the variable that says where it is, and what the benchmarks call it and its client."""

    name: str
    client: str
    server: str
    serve: Callable[[], AbstractContextManager[str]]
    variable: str
    scheme: str
    contenders: int

    def __str__(self) -> str:
        return self.name


ENGINES = [
    Engine("nats", "nats-py", "NATS server", nats_servers.any_server, "NATS_URL", "nats", 12),
    Engine("redis", "redis-py", "Redis server", redis_servers.any_server, "REDIS_URL", "redis", 16),
    pytest.param(
        Engine("rabbitmq", "aio-pika", "RabbitMQ broker", rabbit_servers.any_broker, "AMQP_URL", "amqp", 12),
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_every_contender_has_each_event_handled(engine: Engine) -> None:
    """A contender sees each event once, however many are in flight."""
    with engine.serve() as url:
        done = python("-c", COUNTING, engine.name, **{engine.variable: url})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [3] * engine.contenders


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_without_a_server_it_says_what_it_needs(engine: Engine) -> None:
    """It fails, with what has to be started and where it was looked for, but for the credentials."""
    port = free_port()
    worker = ("-m", "benchmarks.worker", f"W12-{engine.name}-publish", f"{engine.client}, 1 in flight")
    done = python(*worker, **{engine.variable: f"{engine.scheme}://me:secret@127.0.0.1:{port}"})
    assert done.returncode == 1
    assert f"no answer at {engine.scheme}://127.0.0.1:{port}; this work needs a {engine.server}" in done.stderr
    assert "secret" not in done.stdout + done.stderr
