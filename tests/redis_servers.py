"""Redis servers for tests: the one of `REDIS_URL`, or on the standard port of loopback, and private ones."""

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import pytest
from redis import Redis
from redis.exceptions import RedisError

from async_nexus.testing.conformance import Arguments, Server, free_port, serve
from async_nexus.transports.redis.layout import name_log

STANDARD: Final = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379"
MISSING: Final = "redis-server is not installed, so NOTHING of Redis was tested: on Debian, `apt install redis-server`"
TIMEOUT: Final = 2.0
"""Seconds that transports give a private server."""
CLAIM_AFTER: Final = 3.0
"""Seconds after which members are taken for dead, where a test does not say so itself."""


class PrivateRedis:
    """A server that can be killed, restarted and filled."""

    def __init__(self, server: Server, port: int, password: str) -> None:
        self.arguments: Final[Arguments] = server.arguments
        self.kill, self.restart = server.kill, server.restart
        self.port: Final = port
        self._password = password

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.arguments["url"])

    @cached_property
    def client(self) -> "Redis":
        """Speaks with it directly."""
        return Redis(port=self.port, password=self._password or None)

    def allow(self, user: str, password: str, *rules: str) -> None:
        """Let a user in, who may do what the rules say."""
        self.client.acl_setuser(user, enabled=True, passwords=[f"+{password}"], commands=[], keys=[])
        execute: Any = self.client.execute_command
        execute("ACL", "SETUSER", user, *rules)

    def fill(self) -> None:
        """Allow it little more memory than it has in use."""
        used: Any = self.client.info("memory")
        self.client.config_set("maxmemory", used["used_memory"] + 3_000_000)

    def free(self) -> None:
        """Allow it all memory there is."""
        self.client.config_set("maxmemory", 0)


def redis_server() -> str:
    """Return the path of the program; where there is none, the test says so, and in CI it fails."""
    path = shutil.which("redis-server")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return path


@contextmanager
def private_server(*options: str, password: str = "", **arguments: Any) -> Generator[PrivateRedis]:
    """Run a server on a port of its own, for which confirmed means on disk, until the block ends."""
    program, port = redis_server(), free_port()
    url = f"redis://:{password}@127.0.0.1:{port}" if password else f"redis://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as directory:
        durable = ("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", directory)
        whole = {"url": url, "claim_after": CLAIM_AFTER, "timeout": TIMEOUT, **arguments}
        command = [program, "--bind", "127.0.0.1", "--port", str(port), *durable, *options]
        if password:
            command += ["--requirepass", password]

        def is_loaded() -> bool:
            try:
                return bool(Redis(port=port, password=password or None).ping())
            except RedisError:
                return False

        with serve(command, whole, port=port, answers=is_loaded) as server:
            private = PrivateRedis(server, port, password)
            try:
                yield private
            finally:
                private.client.close()


@contextmanager
def any_server() -> Generator[str]:
    """Give the address of the server that there is, or run one."""
    try:
        with Redis.from_url(STANDARD) as client:
            client.ping()
    except RedisError:
        with private_server() as server:
            yield server.url
    else:
        yield STANDARD


def forget(url: str, channel: str) -> None:
    """Have all keys of a channel deleted in a minute: a subscription that is still open would make them anew now."""
    log = name_log("async-nexus", channel)
    with Redis.from_url(url) as client:
        for key in (log, *client.scan_iter(f"{log}:*")):
            client.expire(key, 60)
