"""The transport over a SQLite file: what the conformance suite claims of every engine, and what is its own."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from waiting import until

from async_nexus import BadCall, TransportError
from async_nexus.testing.conformance import Arguments, Engine, Room, TransportConformance
from async_nexus.testing.conformance.engines import Need
from async_nexus.transports import Delivery, Message, Subscription
from async_nexus.transports.sqlite import SqliteTransport

PATIENCE: Final = 60.0
"""Seconds that anything is waited for; only a broken program takes that long."""
SMALL_DISK: Final = "ASYNC_NEXUS_SMALL_DISK"
"""Names a directory on a small file system to the tests that run where there is one."""


class SmallDisk:
    """A disk that can be filled."""

    def __init__(self, directory: Path) -> None:
        self.arguments: Arguments = {"path": str(directory / "events.db")}
        self._ballast = directory / "ballast"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


@contextmanager
def small_disk() -> Generator[Room]:
    """Use the small file system that there is."""
    yield SmallDisk(Path(os.environ[SMALL_DISK]))


LACKING: Final[dict[Need, str]] = {"server": "it is a file", "refusal": "it connects to nothing"}
if SMALL_DISK not in os.environ:
    LACKING["room"] = "it is tried on a small disk, see below"


class TestConformance(TransportConformance, without=LACKING):
    patience = 30.0
    outage_patience = crash_patience = PATIENCE

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        return Engine(
            factory="async_nexus.transports.sqlite:SqliteTransport",
            arguments={"path": str(tmp_path / "events.db")},
            room=None if "room" in self.without else small_disk,
        )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a mount namespace")
def test_a_full_disk_refuses_and_keeps_what_it_confirmed() -> None:
    """The claim of the suite, on a file system of 8 MB in a mount namespace, for which no rights are needed."""
    disk = "mount -t tmpfs -o size=8m,mode=700 tmpfs /mnt"
    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    if subprocess.run((*unshare, disk), check=False, capture_output=True).returncode:
        pytest.skip("this system does not let its users mount")
    tests = f"exec '{sys.executable}' -m pytest -q -p no:cacheprovider -p no:cov '{__file__}' -k a_full_engine"
    done = subprocess.run(
        (*unshare, f"{disk} && {tests}"),
        check=False,
        env=os.environ | {SMALL_DISK: "/mnt", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for what can be deleted so often that no test has to wait for it."""
    monkeypatch.setattr("async_nexus.transports.sqlite.upkeep._BETWEEN_PORTIONS", 0.02)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "events.db"


async def publish(transport: SqliteTransport, *numbers: int, channel: str = "tea") -> None:
    """Publish messages of numbers, one after another."""
    for number in numbers:
        await transport.publish(channel, Message(str(number), b"%d" % number))


async def take(subscription: Subscription, count: int = 1) -> list[Delivery]:
    """Wait for so many deliveries."""
    async with asyncio.timeout(PATIENCE):
        return [await anext(aiter(subscription)) for _ in range(count)]


async def numbers(subscription: Subscription, count: int) -> list[int]:
    """Acknowledge so many messages, and return their numbers."""
    found: list[int] = []
    for _ in range(count):
        (delivery,) = await take(subscription)
        found.append(int(delivery.message.id))
        await delivery.ack()
    return found


def query(path: Path, statement: str) -> list[Any]:
    """Ask the file, as another process does."""
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(statement).fetchall()]


def stored(path: Path) -> list[int]:
    """Read the positions of the messages that the file has of its first channel."""
    return query(path, "SELECT position FROM messages_1")


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Have the file locked, as by another process that writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


# Who holds what, in several processes

HOLDER: Final = """
import asyncio, sys
from async_nexus.transports.sqlite import SqliteTransport

async def main():
    async with SqliteTransport(sys.argv[1]) as transport:
        subscription = await transport.subscribe("tea", "billing", in_flight=int(sys.argv[2]))
        async for delivery in subscription:
            print(delivery.message.id, flush=True)

asyncio.run(main())
"""


@asynccontextmanager
async def holder(path: Path, in_flight: int) -> AsyncGenerator[tuple[asyncio.subprocess.Process, list[int]]]:
    """Run a process that takes so many messages and settles none; give it and their numbers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", HOLDER, str(path), str(in_flight)),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            held = [int(await process.stdout.readline()) for _ in range(in_flight)]
        yield process, held
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_what_a_killed_process_held_comes_to_others(path: Path) -> None:
    """Others of its consumer take over what it had in flight, at its next attempt, and none of the rest is doubled."""
    async with SqliteTransport(path) as transport:
        await publish(transport, *range(10))
        async with holder(path, 3) as (process, held):
            subscription = await transport.subscribe("tea", "billing", in_flight=20)
            rest = await take(subscription, 7)
            process.kill()
            again = await take(subscription, 3)
        assert held == [0, 1, 2]
        assert [(each.message.id, each.attempt) for each in rest] == [(str(number), 1) for number in range(3, 10)]
        assert [(each.message.id, each.attempt) for each in again] == [("0", 2), ("1", 2), ("2", 2)]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("in_flight", [1, 20])
async def test_whoever_follows_a_killed_process_begins_with_what_it_held(path: Path, in_flight: int) -> None:
    """A process that is started anew after a crash gets all messages in their order, that of the crash included."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1, 2, 3)
        async with holder(path, 1) as (process, _):
            process.kill()
            await process.wait()
            subscription = await transport.subscribe("tea", "billing", in_flight=in_flight)
            assert await numbers(subscription, 3) == [1, 2, 3]


async def test_whoever_shares_with_a_killed_process_goes_on_with_what_it_held(path: Path) -> None:
    """With one in flight nothing new is taken before it, be it at once after the crash."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1, 2, 3)
        async with holder(path, 1) as (process, _):
            subscription = await transport.subscribe("tea", "billing")
            (second,) = await take(subscription)
            process.kill()
            await process.wait()
            await second.ack()
            assert await numbers(subscription, 2) == [1, 3]


@pytest.mark.skipif(os.name == "nt", reason="Windows stops no processes")
async def test_a_process_that_stands_still_keeps_what_it_holds(path: Path) -> None:
    """Nothing is taken from a process that lives, however long it does nothing: no message is doubled."""
    async with SqliteTransport(path) as transport:
        await publish(transport, *range(4))
        async with holder(path, 2) as (stopped, _), holder(path, 1) as (killed, held):
            stopped.send_signal(signal.SIGSTOP)
            subscription = await transport.subscribe("tea", "billing", in_flight=20)
            await take(subscription)
            killed.kill()
            (again,) = await take(subscription)  # by now the one that stands still has been looked at, too
            assert [int(again.message.id)] == held
            assert query(path, "SELECT position FROM pending WHERE subscription IS NULL") == []


async def test_what_an_ended_transport_held_comes_to_another_in_its_process(path: Path) -> None:
    """Two transports of one process are two owners; one that is closed has given back what it held."""
    async with SqliteTransport(path) as transport:
        subscription = await transport.subscribe("tea", "billing")
        async with SqliteTransport(path) as other:
            await publish(transport, 1)
            await take(await other.subscribe("tea", "billing"))
        (delivery,) = await take(subscription)
        assert delivery.attempt == 2


async def test_an_owner_whose_file_was_deleted_is_told(path: Path) -> None:
    """Others take over from it, so it must not go on: its iteration raises `TransportError`."""
    async with SqliteTransport(path) as transport, SqliteTransport(path) as other:
        await publish(transport, 1)
        subscription = await transport.subscribe("tea", "billing")
        (lost,) = await take(subscription)
        (file,) = [each for each in path.parent.iterdir() if "-owner-" in each.name]
        file.unlink()
        assert await numbers(await other.subscribe("tea", "billing"), 1) == [1]
        with pytest.raises(TransportError, match="message 1 cannot be settled here any more"):
            await lost.ack()
        with pytest.raises(TransportError, match="the subscription is over"):
            await take(subscription)
    assert query(path, "SELECT count(*) FROM pending") == [0]


# Learning of messages


async def test_a_publish_is_seen_at_once_in_the_same_transport(path: Path) -> None:
    """A subscription that waits is told; it does not have to look."""
    async with SqliteTransport(path, poll=60) as transport:
        subscription = await transport.subscribe("tea", "billing")
        taking = asyncio.create_task(take(subscription))
        await until(lambda: subscription._is_exhausted)  # it has looked, and found nothing
        await publish(transport, 1)
        assert [each.message.id for each in await taking] == ["1"]


async def test_a_publish_whose_caller_was_cancelled_is_seen(path: Path) -> None:
    """The message is in the file, so it comes, though nobody waited for its confirmation."""
    async with SqliteTransport(path, poll=60) as transport:
        subscription = await transport.subscribe("tea", "billing")
        await publish(transport, 1)
        assert await numbers(subscription, 1) == [1]
        taking = asyncio.create_task(take(subscription))
        await until(lambda: subscription._is_exhausted)  # as above
        publishing = asyncio.create_task(publish(transport, 2))
        await asyncio.sleep(0)
        publishing.cancel()
        assert [each.message.id for each in await taking] == ["2"]


async def test_what_another_process_publishes_is_seen_within_the_poll(path: Path) -> None:
    """Looks grow apart up to `poll` seconds, and come close again when something is found."""
    async with SqliteTransport(path, poll=0.05) as transport, SqliteTransport(path) as other:
        subscription = await transport.subscribe("tea", "billing")
        for number in range(3):
            taking = asyncio.create_task(take(subscription))
            await until(lambda: subscription._is_exhausted)  # as above
            await publish(other, number)
            (delivery,) = await taking
            await delivery.ack()
            assert delivery.message.id == str(number)


# Trouble


async def test_a_locked_file_delays_a_subscription(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be claimed is claimed later, by itself, and a log record says so."""
    async with SqliteTransport(path, busy_timeout=0.01) as transport:
        await publish(transport, 1)
        subscription = await transport.subscribe("tea", "billing")
        with locked(path):
            taking = asyncio.create_task(numbers(subscription, 1))
            await until(lambda: "claimed again" in caplog.text)
        assert await taking == [1]


@pytest.mark.parametrize(
    "settle",
    [lambda it: it.ack(), lambda it: it.retry(0), lambda it: it.dead_letter("no tea")],
    ids=["ack", "retry", "dead_letter"],
)
async def test_what_cannot_be_settled_comes_again(path: Path, settle: Callable[[Delivery], Awaitable[None]]) -> None:
    """Whoever settles is told; the message is delivered again, before later ones, and no place in flight is lost."""
    async with SqliteTransport(path, busy_timeout=0.01) as transport:
        await publish(transport, 1, 2)
        subscription = await transport.subscribe("tea", "billing")
        (delivery,) = await take(subscription)
        with locked(path), pytest.raises(TransportError, match="another process holds it"):
            await settle(delivery)
        with pytest.raises(TransportError, match="comes again"):
            await settle(delivery)
        (again,) = await take(subscription)
        assert (again.message.id, again.attempt) == ("1", 2)
        await again.ack()
        assert await numbers(subscription, 1) == [2]


async def test_a_message_that_cannot_be_settled_holds_up_those_behind_it(path: Path) -> None:
    """What was claimed in place of it is not yielded before it, and not while it still is in flight."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1, 2)
        subscription = await transport.subscribe("tea", "billing")
        (delivery,) = await take(subscription)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER keep BEFORE DELETE ON pending WHEN old.position = 1 "
                "BEGIN SELECT RAISE (ABORT, 'this one stays'); END"
            )
        with pytest.raises(TransportError, match="this one stays"):
            await delivery.ack()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TRIGGER keep")
        assert await numbers(subscription, 2) == [1, 2]


async def test_a_retry_is_not_missed_by_a_claim_under_way(path: Path) -> None:
    """The claim came before it and finds nothing; another follows."""
    async with SqliteTransport(path, poll=60) as transport:
        await publish(transport, 1)
        subscription = await transport.subscribe("tea", "billing", in_flight=2)
        (delivery,) = await take(subscription)
        await asyncio.sleep(0.03)  # now the upkeep has looked for the first time, and does not wake it
        with locked(path):
            subscription.wake()
            taking = asyncio.create_task(take(subscription))
            await asyncio.sleep(0)
            retrying = asyncio.ensure_future(delivery.retry(0))
            await asyncio.sleep(0)
        await retrying
        (again,) = await taking
        assert again.attempt == 2


async def test_draining_gives_back_what_is_being_claimed(path: Path) -> None:
    """A claim under way is waited for: nothing stays with a subscription that yields no more."""
    async with SqliteTransport(path) as transport:
        subscription = await transport.subscribe("tea", "billing")
        await publish(transport, 1)
        with locked(path):
            taking = asyncio.ensure_future(anext(aiter(subscription), None))
            await asyncio.sleep(0)
            draining = asyncio.ensure_future(subscription.drain())
            await asyncio.sleep(0)
        await draining
        assert await taking is None
        (delivery,) = await take(await transport.subscribe("tea", "billing"))
        assert delivery.attempt == 1


async def test_settling_goes_on_where_its_caller_is_cancelled(path: Path) -> None:
    """The message is settled, and the next one comes."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1, 2)
        subscription = await transport.subscribe("tea", "billing")
        (delivery,) = await take(subscription)
        acking = asyncio.ensure_future(delivery.ack())
        await asyncio.sleep(0)
        acking.cancel()
        await asyncio.wait({acking})
        assert acking.cancelled()
        assert await numbers(subscription, 1) == [2]
    assert query(path, "SELECT count(*) FROM pending") == [0]


async def test_a_retry_whose_caller_is_cancelled_is_one_retry(path: Path) -> None:
    """The message comes once, and whoever has it then can settle it."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1)
        subscription = await transport.subscribe("tea", "billing", in_flight=2)
        (delivery,) = await take(subscription)
        retrying = asyncio.ensure_future(delivery.retry(0))
        await asyncio.sleep(0)
        retrying.cancel()
        await asyncio.wait({retrying})
        (again,) = await take(subscription)
        await again.dead_letter("cold")
        assert [reason async for _, reason in transport.dead_letters("tea", "billing")] == ["cold"]
    assert query(path, "SELECT count(*) FROM pending") == [0]


async def test_settling_that_fails_where_its_caller_is_cancelled_has_the_message_come_again(path: Path) -> None:
    """As if the caller had waited for it: before later ones, in the same subscription."""
    async with SqliteTransport(path, busy_timeout=0.01) as transport:
        await publish(transport, 1, 2)
        subscription = await transport.subscribe("tea", "billing")
        (delivery,) = await take(subscription)
        with locked(path):
            acking = asyncio.ensure_future(delivery.ack())
            await asyncio.sleep(0)
            acking.cancel()
            with pytest.raises(TransportError):
                await publish(transport, 3)  # which is tried after it
        assert await numbers(subscription, 2) == [1, 2]


async def test_settling_that_fails_where_its_caller_is_cancelled_leaves_the_message(path: Path) -> None:
    """It is not settled, so it comes again to a later subscription."""
    async with SqliteTransport(path, busy_timeout=0.01) as transport:
        await publish(transport, 1)
        subscription = await transport.subscribe("tea", "billing")
        (delivery,) = await take(subscription)
        with locked(path):
            acking = asyncio.ensure_future(delivery.ack())
            await asyncio.sleep(0)
            acking.cancel()
            with pytest.raises(TransportError):
                await publish(transport, 2)  # which is tried after it
        assert acking.cancelled()
        await subscription.close()
        assert await numbers(await transport.subscribe("tea", "billing"), 1) == [1]


async def test_an_error_in_the_upkeep_is_raised_where_messages_are_awaited(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody expected is not lost in a task that nobody awaits."""

    def fail(connection: sqlite3.Connection, **_: object) -> bool:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("async_nexus.transports.sqlite.upkeep.delete_portion", fail)
    async with SqliteTransport(path) as transport:
        with pytest.raises(ZeroDivisionError, match="surprise"):
            await take(await transport.subscribe("tea", "billing"))


async def test_trouble_with_the_file_does_not_end_the_upkeep(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and looked after again later."""
    async with SqliteTransport(path, busy_timeout=0.01) as transport:
        subscription = await transport.subscribe("tea", "billing")
        with locked(path):
            await until(lambda: "looking after" in caplog.text)
        async with SqliteTransport(path) as other:
            await publish(other, 1)
        assert await numbers(subscription, 1) == [1]


async def test_a_database_of_something_else_is_refused(path: Path) -> None:
    """`start` raises `TransportError`, and so does whatever would start it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    for transport in (SqliteTransport(path), SqliteTransport(path)):
        with pytest.raises(TransportError, match="this is no transport of async_nexus"):
            await publish(transport, 1)
        with pytest.raises(TransportError, match="this is no transport of async_nexus"):
            await transport.start()
        await transport.close()


# Settling, and what is kept


async def test_what_was_claimed_and_not_yielded_counts_no_attempt(path: Path) -> None:
    """Draining gives it back to others as if it had never been claimed."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1, 2, 3)
        subscription = await transport.subscribe("tea", "billing", in_flight=3)
        (held,) = await take(subscription)
        await subscription.drain()
        again = await take(await transport.subscribe("tea", "billing", in_flight=3), 2)
        assert [(each.message.id, each.attempt) for each in again] == [("2", 1), ("3", 1)]
        await held.ack()


async def test_only_the_retried_message_waits_with_several_in_flight(path: Path) -> None:
    """Later ones go on; with one in flight they would wait."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1, 2, 3)
        subscription = await transport.subscribe("tea", "billing", in_flight=2)
        (first, second) = await take(subscription, 2)
        await first.retry(3600)
        await second.ack()
        assert await numbers(subscription, 1) == [3]
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE pending SET due = 0")  # as if the hour were over
        assert await numbers(subscription, 1) == [1]


@pytest.mark.parametrize("delay", [-1.0, float("nan"), float("inf")])
async def test_a_delay_that_means_nothing_is_refused(path: Path, delay: float) -> None:
    """`ValueError`, and the delivery can still be settled."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1)
        (delivery,) = await take(await transport.subscribe("tea", "billing"))
        with pytest.raises(ValueError, match="a delay is a number of seconds"):
            await delivery.retry(delay)
        await delivery.ack()


async def test_dead_letters_are_read_in_portions(path: Path) -> None:
    """However many there are, each is read once, up to those that there were at first."""
    async with SqliteTransport(path) as transport:
        await publish(transport, *range(251))
        subscription = await transport.subscribe("tea", "billing", in_flight=251)
        *deliveries, last = await take(subscription, 251)
        await asyncio.gather(*(delivery.dead_letter("cold") for delivery in deliveries))
        found: list[int] = []
        async for message, reason in transport.dead_letters("tea", "billing"):
            assert reason == "cold"
            found.append(int(message.id))
            if not last.is_settled:  # type: ignore[attr-defined] # of this transport's deliveries
                await last.dead_letter("too late for this reading")
        assert sorted(found) == list(range(250))
        assert [each async for each in transport.dead_letters("tea", "nobody")] == []


async def test_a_reason_is_bounded_and_written_whatever_it_holds(path: Path) -> None:
    """A reason may come from outside: half a character of it, or a million, do no harm."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1)
        (delivery,) = await take(await transport.subscribe("tea", "billing"))
        await delivery.dead_letter("\ud800" + "x" * 1_000_000)
        ((_, reason),) = [each async for each in transport.dead_letters("tea", "billing")]
        assert reason.startswith("\\ud800xxx")
        assert len(reason) < 11_000


async def test_headers_are_those_of_the_message(path: Path) -> None:
    """Those of the message before are not taken for it."""
    given: list[dict[str, str]] = [{"a": "1"}, {"a": "1"}, {}, {"b": "\ud83d"}, {"a": "1"}]
    async with SqliteTransport(path) as transport:
        for headers in given[:3] + given[4:]:
            await transport.publish("tea", Message("1", b"", headers))
        subscription = await transport.subscribe("tea", "billing", in_flight=4)
        assert [each.message.headers for each in await take(subscription, 4)] == given[:3] + given[4:]


# Going back


async def test_going_back_forgets_what_others_hold(path: Path) -> None:
    """What was delivered before is delivered again at its first attempt; the old delivery cannot be settled."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1, 2, 3)
        old = await take(await transport.subscribe("tea", "billing", in_flight=3), 3)
        subscription = await transport.subscribe("tea", "billing", in_flight=3, since=2)
        new = await take(subscription, 2)
        assert [(each.position, each.attempt) for each in new] == [(2, 1), (3, 1)]
        for delivery in old:
            with pytest.raises(TransportError, match=f"message {delivery.position} cannot be settled here any more"):
                await delivery.dead_letter("stale")
        assert [each async for each in transport.dead_letters("tea", "billing")] == []
        assert query(path, "SELECT position FROM pending") == [2, 3]


async def test_going_back_to_a_time_finds_the_first_message_not_older(path: Path) -> None:
    """The search holds for every place, gaps between positions included."""
    async with SqliteTransport(path) as transport:
        await publish(transport, *range(1, 21))
        await transport.subscribe("tea", "billing")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE messages_1 SET time = position * 1000000")
        connection.execute("DELETE FROM messages_1 WHERE position IN (1, 2, 7, 8, 9, 15)")
        left = [position for (position,) in connection.execute("SELECT position FROM messages_1")]
    async with SqliteTransport(path) as transport:
        for second in range(22):
            since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
            subscription = await transport.subscribe("tea", "billing", since=since)
            (taken,) = query(path, "SELECT taken FROM consumers")
            assert [each for each in left if each > taken] == [each for each in left if each >= second]
            await subscription.close()


async def test_going_back_further_than_messages_are_kept_begins_at_the_oldest(path: Path) -> None:
    """So does a position below 1, and one that has not come yet waits for it."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1, 2, 3)
        for since, expected in ((-5, 1), (0, 1), (3, 3)):
            subscription = await transport.subscribe("tea", "billing", since=since)
            assert await numbers(subscription, 1) == [expected]
            await subscription.close()
        subscription = await transport.subscribe("tea", "billing", since=5)
        await publish(transport, 4, 5)
        assert await numbers(subscription, 1) == [5]


# Deleting


@asynccontextmanager
async def settled(path: Path, count: int, **options: Any) -> AsyncGenerator[SqliteTransport]:
    """Have so many messages published, and settled by one consumer."""
    async with SqliteTransport(path, **options) as transport:
        await publish(transport, *range(1, count + 1))
        await settle_all(transport, count)
        yield transport


async def settle_all(transport: SqliteTransport, count: int, channel: str = "tea") -> None:
    """Have one consumer settle so many messages."""
    subscription = await transport.subscribe(channel, "billing", in_flight=count)
    await asyncio.gather(*(each.ack() for each in await take(subscription, count)))


async def test_what_all_have_settled_is_deleted(path: Path) -> None:
    """But for the newest message, from which positions are counted."""
    async with settled(path, 5, retain=0) as transport:
        await until(lambda: stored(path) == [5])
        await publish(transport, 6)
        assert stored(path) == [5, 6]


@pytest.mark.parametrize("options", [{}, {"retain": 3600}, {"retain_messages": 5}])
async def test_what_is_to_be_kept_is_kept(path: Path, options: dict[str, Any]) -> None:
    """Young messages, among the newest, can be replayed."""
    async with settled(path, 5, **options) as transport:
        await transport.subscribe("coffee", "billing")
        async with settled(path.with_name("other.db"), 5, retain=0):  # one that deletes, at the same time
            await until(lambda: stored(path.with_name("other.db")) == [5])
        assert await numbers(await transport.subscribe("tea", "billing", since=1), 5) == [1, 2, 3, 4, 5]


async def test_only_the_newest_are_kept_of_more_than_are_to_be(path: Path) -> None:
    """`retain_messages` bounds how much young ones take."""
    async with settled(path, 8, retain_messages=3):
        await until(lambda: stored(path) == [6, 7, 8])


@pytest.mark.parametrize("pending", [False, True])
async def test_what_one_consumer_has_not_settled_is_kept(path: Path, pending: bool) -> None:
    """Until it has, or is forgotten."""
    async with SqliteTransport(path, retain=0) as transport:
        await publish(transport, 1, 2, 3, 4)
        slow = await transport.subscribe("tea", "slow", in_flight=4)
        if pending:
            held = await take(slow, 4)
            await held[1].ack()
        await settle_all(transport, 4)
        await publish(transport, 1, 2, channel="coffee")
        await settle_all(transport, 2, channel="coffee")
        # Both channels are looked at together: what could go of this one would be gone by then.
        await until(lambda: query(path, "SELECT position FROM messages_2") == [2])
        assert stored(path) == [1, 2, 3, 4]
        await transport.forget("tea", "slow")
        await until(lambda: stored(path) == [4])
        with pytest.raises(TransportError, match="its consumer"):
            await take(slow)


async def test_without_a_consumer_nothing_is_deleted(path: Path) -> None:
    """One may come, and is to find it."""
    async with SqliteTransport(path, retain=0) as transport:
        await publish(transport, 1, 2, 3)
        async with settled(path.with_name("other.db"), 3, retain=0):
            await until(lambda: stored(path.with_name("other.db")) == [3])
        assert await numbers(await transport.subscribe("tea", "billing"), 3) == [1, 2, 3]


async def test_the_file_shrinks_when_a_backlog_is_gone(path: Path) -> None:
    """Room that nobody needs is given back to the disk."""
    async with SqliteTransport(path, retain=0) as transport:
        subscription = await transport.subscribe("tea", "billing", in_flight=40)
        large = Message("large", bytes(200_000))
        await asyncio.gather(*(transport.publish("tea", large) for _ in range(40)))
        (most,) = query(path, "PRAGMA page_count")
        await asyncio.gather(*(each.ack() for each in await take(subscription, 40)))
        await until(lambda: query(path, "PRAGMA page_count")[0] < most / 4)


async def test_forgetting_a_consumer_forgets_its_dead_letters(path: Path) -> None:
    """A consumer of its name begins anew, at the oldest message."""
    async with SqliteTransport(path) as transport:
        await transport.forget("tea", "nobody")
        await publish(transport, 1)
        subscription = await transport.subscribe("tea", "billing")
        await (await take(subscription))[0].dead_letter("cold")
        await subscription.close()
        await transport.forget("tea", "billing")
        assert [each async for each in transport.dead_letters("tea", "billing")] == []
        assert await numbers(await transport.subscribe("tea", "billing"), 1) == [1]


# Bounds, and the life of a transport


@pytest.mark.parametrize(
    "options",
    [
        *({"retain": -1}, {"retain": float("nan")}, {"retain_messages": -1}, {"max_bytes": 0}),
        *({"poll": 0}, {"poll": 61}, {"durability": "none"}, {"busy_timeout": -1}),
    ],
)
def test_options_that_mean_nothing_are_refused(path: Path, options: dict[str, Any]) -> None:
    """`ValueError` names the option."""
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        SqliteTransport(path, **options)


async def test_what_means_nothing_is_refused(path: Path) -> None:
    """Names without characters or with too many, none in flight, a time without a zone."""
    async with SqliteTransport(path) as transport:
        for name in ("", "x" * 1001):
            with pytest.raises(ValueError, match="a name of 1 to 1000 characters"):
                await publish(transport, 1, channel=name)
            with pytest.raises(ValueError, match="a name of 1 to 1000 characters"):
                await transport.subscribe("tea", name)
        with pytest.raises(ValueError, match="at least one"):
            await transport.subscribe("tea", "billing", in_flight=0)
        with pytest.raises(ValueError, match="has a zone"):
            await transport.subscribe("tea", "billing", since=datetime(2026, 1, 1))


async def test_a_message_that_is_too_large_is_refused(path: Path) -> None:
    """`max_bytes` is the largest body."""
    async with SqliteTransport(path, max_bytes=10) as transport:
        await transport.publish("tea", Message("1", bytes(10)))
        with pytest.raises(TransportError, match="has 11 bytes, and `max_bytes` is 10"):
            await transport.publish("tea", Message("2", bytes(11)))


@pytest.mark.parametrize("message", [Message("1\ud800", b""), Message("1", b"", {"a": "hush\ud800"})])
async def test_what_has_no_utf_8_is_refused(path: Path, message: Message) -> None:
    """Half a character in an id or a header, each time; what it says is not shown."""
    async with SqliteTransport(path) as transport:
        for _ in range(2):
            with pytest.raises(TransportError, match=r"message '1.* has an id or headers without UTF-8") as caught:
                await transport.publish("tea", message)
            assert "hush" not in str(caught.value)
        await publish(transport, 2)
        assert await numbers(await transport.subscribe("tea", "billing"), 1) == [2]


@pytest.mark.parametrize("since", [2**63, 2**70])
async def test_going_to_a_position_beyond_all_is_waiting_for_ever(path: Path, since: int) -> None:
    """However great it is; going back again has the messages come."""
    async with SqliteTransport(path) as transport:
        await publish(transport, 1)
        await (await transport.subscribe("tea", "billing", since=since)).close()
        assert query(path, "SELECT taken FROM consumers") == [2**63 - 2]
        assert await numbers(await transport.subscribe("tea", "billing", since=-since), 1) == [1]


async def test_it_opens_by_itself_once(path: Path) -> None:
    """Whatever comes first opens the file, also several at once; closed, it is opened by `start` alone."""
    transport = SqliteTransport(path)
    await asyncio.gather(publish(transport, 1), publish(transport, 2), transport.start())
    await transport.close()
    for use in (publish(transport, 3), transport.subscribe("tea", "billing"), transport.forget("tea", "billing")):
        with pytest.raises(BadCall, match="is closed"):
            await use
    with pytest.raises(BadCall, match="is closed"):
        await anext(transport.dead_letters("tea", "billing"))
    await transport.start()
    assert sorted(await numbers(await transport.subscribe("tea", "billing"), 2)) == [1, 2]
    await transport.close()
    reader = SqliteTransport(path)
    assert [each async for each in reader.dead_letters("tea", "billing")] == []
    await reader.close()


async def test_closing_waits_for_subscriptions_that_are_being_closed(path: Path) -> None:
    """A transport that is closed at the same time lets go of the file only when they have left it."""
    async with SqliteTransport(path) as transport:
        subscription = await transport.subscribe("tea", "billing")
        taking = asyncio.ensure_future(anext(aiter(subscription), None))
        await asyncio.sleep(0)
        closing_it = asyncio.ensure_future(subscription.close())
        await asyncio.sleep(0)
        await transport.close()
        await closing_it
        assert await taking is None


async def test_what_cannot_be_given_back_on_closing_is_given_back_by_others(path: Path) -> None:
    """Closing says so; the file of the owner is gone, so whoever comes next takes over."""
    transport = SqliteTransport(path, busy_timeout=0.01)
    await publish(transport, 1)
    await take(await transport.subscribe("tea", "billing"))
    with locked(path), pytest.raises(TransportError, match="another process holds it"):
        await transport.close()
    assert [each.name for each in path.parent.iterdir() if "-owner-" in each.name] == []
    async with SqliteTransport(path) as other:
        (delivery,) = await take(await other.subscribe("tea", "billing"))
        assert delivery.attempt == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has another call for this")
async def test_a_file_system_without_locks_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody could tell that an owner lives, nobody may become one; publishing goes on."""

    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    async with SqliteTransport(path) as transport:
        monkeypatch.setattr("fcntl.flock", refuse)
        with pytest.raises(TransportError, match="cannot lock files"):
            await transport.subscribe("tea", "billing")
        await publish(transport, 1)
        assert [each.name for each in path.parent.iterdir() if "-owner-" in each.name] == []


async def test_closing_leaves_nothing_behind(path: Path) -> None:
    """Neither files of owners nor tasks, and the file knows no subscription any more."""
    async with SqliteTransport(path) as transport:
        for name in ("billing", "shipping"):
            await transport.subscribe("tea", name)
        drained = await transport.subscribe("tea", "drained")
        await transport.drain()
        await drained.close()
        await drained.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert query(path, "SELECT id FROM subscriptions UNION SELECT id FROM owners") == []
    await until(lambda: len(asyncio.all_tasks()) == 1)
    await transport.drain()
