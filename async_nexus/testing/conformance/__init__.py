"""The conformance suite of transports: what every engine has to hold, as tests that its adapter inherits.

Needs pytest, and nothing else. An adapter's test is a class and a fixture::

    from async_nexus.testing.conformance import Engine, TransportConformance

    class TestSqlite(TransportConformance, without={"server": "it is a file"}):
        @pytest.fixture
        def engine(self, tmp_path: Path) -> Engine:
            path = str(tmp_path / "events.db")
            return Engine(factory="async_nexus.transports.sqlite:SqliteTransport", arguments={"path": path}, …)

What is claimed follows from `transport.abilities`. Where an engine cannot do something, its claim says what happens
instead, as the protocol has it. What the suite itself needs of an engine, beyond a transport, is an attribute of
`Engine`; what cannot be had stands in `without` with the reason: those claims are no tests then, and a test that
is named for the reason holds that it is true.

Servers that are killed are private, and started when a claim needs one, by
`server=lambda: serve(["redis-server", …], {"url": …}, port=port)`.
"""

from typing import Final

import pytest

# Before they are imported, so that a claim that fails shows what it compared.
_CLAIMS: Final = ("crashes", "delivery", "flow", "ordeal", "outages", "replay", "running", "settling", "suite", "trial")
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _CLAIMS))

from .engines import SECRET, Arguments, Engine, Room, Server  # noqa: E402
from .servers import free_port, serve  # noqa: E402
from .suite import TransportConformance  # noqa: E402

__all__ = ["SECRET", "Arguments", "Engine", "Room", "Server", "TransportConformance", "free_port", "serve"]
