"""Many writes to one SQLite file, each confirmed, few commits."""

# ruff: noqa: ASYNC240 -- looking at files is what these tests are for, and nothing runs beside it

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from async_nexus import BadCall, TransportError, TransportUnavailable
from async_nexus.group_commit import Durability, GroupCommit, Insert, Layout

LAYOUT = Layout("notebook", 0x1234, (("CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT)",),))
PATIENCE = 30.0
"""Real seconds that a thread is waited for; only a broken program takes that long."""

insert = Insert("notes", "number", "text")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "notes.db"


@asynccontextmanager
async def opened(
    path: Path, layout: Layout = LAYOUT, durability: Durability = "process", busy_timeout: float = 5.0
) -> AsyncGenerator[GroupCommit]:
    """Have the file open."""
    commits = GroupCommit(path, layout, durability=durability, busy_timeout=busy_timeout)
    await commits.start()
    try:
        yield commits
    finally:
        await commits.close()


def note(connection: sqlite3.Connection, number: int, text: str = "") -> int:
    """Write a note."""
    connection.execute("INSERT INTO notes VALUES (?, ?)", (number, text))
    return number


def numbers(connection: sqlite3.Connection) -> list[int]:
    """Read the numbers of the notes."""
    return [number for (number,) in connection.execute("SELECT number FROM notes ORDER BY number")]


def numbers_on_disk(path: Path) -> list[int]:
    """Read them as another process does."""
    with closing(sqlite3.connect(path)) as connection:
        return numbers(connection)


@contextmanager
def held(commits: GroupCommit) -> Generator[None]:
    """Hold the thread: what is handed over meanwhile waits."""
    begun, released = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        begun.set()
        released.wait(PATIENCE)

    holding = commits.read(hold)
    assert begun.wait(PATIENCE)
    try:
        yield
    finally:
        released.set()
    assert not holding.cancelled()


async def trace(commits: GroupCommit) -> list[str]:
    """Have noted which statements are executed."""
    statements: list[str] = []
    await commits.submit(lambda connection: connection.set_trace_callback(statements.append))
    return statements


# What is done, and when


async def test_what_is_done_is_committed(path: Path) -> None:
    """When the future has its result, others can read what was written."""
    async with opened(path) as commits:
        assert await commits.submit(lambda connection: note(connection, 1)) == 1
        assert numbers_on_disk(path) == [1]


async def test_all_that_waits_is_one_transaction(path: Path) -> None:
    """Operations that came while the thread was busy are committed together."""
    async with opened(path) as commits:
        statements = await trace(commits)
        with held(commits):
            waiting = [commits.submit(lambda connection, n=n: note(connection, n)) for n in range(10)]  # type: ignore[misc] # mypy infers no default's type
        assert await asyncio.gather(*waiting) == list(range(10))
        assert statements.count("BEGIN IMMEDIATE") == 1
        assert numbers_on_disk(path) == list(range(10))


async def test_the_loop_is_told_once_for_each_transaction(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait for it, a transaction wakes the event loop once."""
    calls: list[object] = []
    loop = asyncio.get_running_loop()
    tell = loop.call_soon_threadsafe

    def count(*call: Any) -> asyncio.Handle:
        calls.append(call)
        return tell(*call)

    async with opened(path) as commits:
        with monkeypatch.context() as patch:
            patch.setattr(loop, "call_soon_threadsafe", count)
            with held(commits):
                waiting = [commits.add(insert, (number, "")) for number in range(10)]
            await asyncio.gather(*waiting)
            assert len(calls) == 2  # the read that held it, and those


async def test_operations_keep_their_order(path: Path) -> None:
    """Each sees what those before it have written, whatever their kind."""
    async with opened(path) as commits:
        with held(commits):
            results = asyncio.gather(
                commits.read(numbers),
                commits.submit(lambda connection: note(connection, 1)),
                commits.read(numbers),
                commits.add(insert, (2, "")),
                commits.add(insert, (3, "")),
                commits.read(numbers),
            )
        assert list(await results) == [[], 1, [1], None, None, [1, 2, 3]]


async def test_neighbouring_rows_are_written_by_one_call(path: Path) -> None:
    """Rows of one kind reach their `write` together, in order, as far as nothing else stands between them."""
    calls: list[list[int]] = []

    def write(_: sqlite3.Connection, rows: Sequence[int]) -> None:
        calls.append(list(rows))

    async with opened(path) as commits:
        with held(commits):
            waiting: list[asyncio.Future[None]] = [commits.add(write, number) for number in range(4)]
            waiting.append(commits.submit(lambda _: None))
            waiting.append(commits.add(write, 4))
        await asyncio.gather(*waiting)
    assert calls == [[0, 1, 2, 3], [4]]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 63, 64, 150])
async def test_any_number_of_rows_is_inserted_in_order(path: Path, count: int) -> None:
    """`Insert` splits rows into statements of few sizes, and loses none."""
    insert_text = Insert("notes", "text")
    async with opened(path) as commits:
        await commits.submit(lambda connection: insert_text(connection, [(str(number),) for number in range(count)]))
        found = await commits.read(lambda connection: connection.execute("SELECT number, text FROM notes").fetchall())
    assert found == [(number + 1, str(number)) for number in range(count)]


# Failures


async def test_what_fails_is_rolled_back_alone(path: Path) -> None:
    """Those beside it are committed, and its error goes to its own caller, as itself."""

    def fail(connection: sqlite3.Connection) -> None:
        note(connection, 99)
        raise LookupError("no such page")

    async with opened(path) as commits:
        with held(commits):
            first = commits.submit(lambda connection: note(connection, 1))
            failing = commits.submit(fail)
            last = commits.submit(lambda connection: note(connection, 2))
        assert list(await asyncio.gather(first, last)) == [1, 2]
        with pytest.raises(LookupError, match="no such page"):
            await failing
    assert numbers_on_disk(path) == [1, 2]


async def test_a_row_that_fails_is_left_out_alone(path: Path) -> None:
    """Its neighbours, written by the same call, are in the file."""
    async with opened(path) as commits:
        await commits.add(insert, (2, "taken"))
        with held(commits):
            waiting = [commits.add(insert, (number, "")) for number in (1, 2, 3)]
        first, second, third = await asyncio.gather(*waiting, return_exceptions=True)
        assert (first, third) == (None, None)
        assert isinstance(second, TransportError)
        assert "UNIQUE" in str(second)
    assert numbers_on_disk(path) == [1, 2, 3]


@pytest.mark.parametrize("error", [StopIteration("over"), SystemExit(3), KeyboardInterrupt()])
async def test_no_error_ends_the_thread(path: Path, error: BaseException) -> None:
    """What only loops and interpreters take seriously is an error of its operation like any other."""

    def fail(_: sqlite3.Connection) -> None:
        raise error

    async with opened(path) as commits:
        outcome = (await asyncio.wait({commits.submit(fail)}))[0].pop().exception()
        assert outcome is error or "StopIteration('over')" in str(outcome)
        assert await commits.submit(lambda connection: note(connection, 1)) == 1


async def test_who_is_cancelled_withdraws_nothing(path: Path) -> None:
    """The operation of a caller that does not wait any more is done, and so are those beside it."""
    async with opened(path) as commits:
        with held(commits):
            given_up = commits.submit(lambda connection: note(connection, 1))
            other = commits.submit(lambda connection: note(connection, 2))
            given_up.cancel()
        assert await other == 2
    assert numbers_on_disk(path) == [1, 2]


async def test_a_full_file_refuses_and_goes_on_when_there_is_room(path: Path) -> None:
    """What there is no room for raises `TransportError`, all that was confirmed stays, and small things still fit."""
    async with opened(path) as commits:
        (pages,) = await commits.read(lambda connection: connection.execute("PRAGMA page_count").fetchone())
        await commits.submit(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages + 3}").fetchall())
        with held(commits):
            small, large = commits.add(insert, (1, "")), commits.add(insert, (2, "x" * 100_000))
        await small
        with pytest.raises(TransportError, match=r"notes\.db: there is no room.*make room") as caught:
            await large
        assert not isinstance(caught.value, TransportUnavailable)
        await commits.submit(lambda connection: connection.execute("PRAGMA max_page_count = 1000").fetchall())
        await commits.add(insert, (3, "x" * 100_000))
    assert numbers_on_disk(path) == [1, 3]


async def test_a_file_that_another_holds_is_unavailable(path: Path) -> None:
    """A write waits for `busy_timeout` seconds, then it raises `TransportUnavailable`; a read waits for nobody."""
    async with opened(path, busy_timeout=0.01) as commits:
        await commits.submit(lambda connection: note(connection, 1))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TransportUnavailable, match="another process holds it"):
                await commits.submit(lambda connection: note(connection, 2))
            assert await commits.read(numbers) == [1]
            other.execute("ROLLBACK")
        assert await commits.submit(lambda connection: note(connection, 3)) == 3


async def test_a_write_waits_for_others(path: Path) -> None:
    """A file that is let go of in time is written, as if nothing had been."""
    async with opened(path) as commits:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = commits.submit(lambda connection: note(connection, 1))
            await asyncio.wait({writing}, timeout=0.02)
            assert not writing.done()
            other.execute("ROLLBACK")
        assert await writing == 1


async def test_a_file_that_may_only_be_read_says_so(path: Path) -> None:
    """SQLite's read-only error tells what to do."""
    async with opened(path) as commits:
        await commits.read(lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())
        with pytest.raises(TransportError, match="only be read; give this user the right"):
            await commits.submit(lambda connection: note(connection, 1))


async def test_a_damaged_file_says_so(path: Path) -> None:
    """What cannot be read is `TransportError`, not a wrong answer."""
    async with opened(path) as commits:
        await commits.add(insert, (1, "x" * 100_000))
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    async with opened(path) as commits:
        with pytest.raises(TransportError, match="damaged"):
            await commits.read(numbers)


# The life of it


async def test_closing_finishes_what_waits(path: Path) -> None:
    """What was handed over before is committed; afterwards nothing is taken."""
    commits = GroupCommit(path, LAYOUT)
    await commits.start()
    with held(commits):
        waiting = [commits.add(insert, (number, "")) for number in range(5)]
        closing_it = asyncio.ensure_future(commits.close())
        await asyncio.sleep(0)
        with pytest.raises(BadCall, match="not open"):
            commits.submit(numbers)
        with pytest.raises(BadCall, match="not open"):
            commits.add(insert, (9, ""))
    await closing_it
    assert [future.done() for future in waiting] == [True] * 5
    assert numbers_on_disk(path) == list(range(5))
    await commits.close()


async def test_it_can_be_opened_again(path: Path) -> None:
    """Open is open once; closed, it may be opened again."""
    commits = GroupCommit(path, LAYOUT)
    for number in (1, 2):
        await commits.start()
        with pytest.raises(BadCall, match="open already"):
            await commits.start()
        await commits.add(insert, (number, ""))
        await commits.close()
    assert numbers_on_disk(path) == [1, 2]


async def test_a_start_that_is_cancelled_leaves_nothing_open(path: Path) -> None:
    """The thread ends, and the file can be opened anew."""
    commits = GroupCommit(path, LAYOUT)
    starting = asyncio.create_task(commits.start())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait({starting})
    async with opened(path):
        pass
    await commits.start()
    await commits.close()
    for thread in threading.enumerate():
        if thread.name == f"writes {path}":
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_a_loop_that_is_closed_ends_the_thread(path: Path) -> None:
    """A program that ends without closing the file is not held up, and nothing fails in the thread."""
    released = threading.Event()

    async def leave() -> None:
        commits = GroupCommit(path, LAYOUT)
        await commits.start()
        commits.submit(lambda connection: (note(connection, 1), released.wait(PATIENCE)))

    asyncio.run(leave())
    (thread,) = [thread for thread in threading.enumerate() if thread.name == f"writes {path}"]
    assert thread.daemon
    released.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert numbers_on_disk(path) == [1]


# The file


async def test_a_new_file_is_for_its_user_alone(path: Path) -> None:
    """The file and those that SQLite puts beside it can be read by nobody else."""
    async with opened(path) as commits:
        await commits.submit(lambda connection: note(connection, 1))
        found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert found == {"notes.db": 0o600, "notes.db-wal": 0o600, "notes.db-shm": 0o600}


async def test_a_file_that_is_there_keeps_its_rights(path: Path) -> None:
    """Who has given others the right to read has meant it."""
    async with opened(path):
        pass
    path.chmod(0o640)
    async with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("durability, level", [("process", 1), ("power", 2)])
async def test_durability_is_how_far_sqlite_waits(path: Path, durability: Durability, level: int) -> None:
    """In WAL mode NORMAL (1) survives the process, FULL (2) the machine: https://sqlite.org/pragma.html#pragma_synchronous."""
    async with opened(path, durability=durability) as commits:

        def look(connection: sqlite3.Connection) -> list[object]:
            return [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "auto_vacuum", "application_id", "user_version")
            ]

        assert await commits.read(look) == ["wal", level, 2, 0x1234, 1]


async def test_an_older_file_is_brought_up_to_date(path: Path) -> None:
    """Versions that came later are applied to what is there, and once."""
    newer = Layout("notebook", 0x1234, (*LAYOUT.versions, ("ALTER TABLE notes ADD COLUMN colour TEXT",)))
    async with opened(path) as commits:
        await commits.submit(lambda connection: note(connection, 1))
    for _ in range(2):
        async with opened(path, newer) as commits:
            rows = await commits.read(lambda connection: connection.execute("SELECT * FROM notes").fetchall())
            assert rows == [(1, "", None)]
    with pytest.raises(TransportError, match=r"notebook has version 2, and this program knows 1 to 1"):
        await GroupCommit(path, LAYOUT).start()


async def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path) -> None:
    """A text, another program's database and another layout each give a clear error, and not a byte changes."""
    other = path.with_name("other.db")
    async with opened(other, Layout("kitchen", 0x77, (("CREATE TABLE pots (colour TEXT)",),))):
        pass
    foreign = path.with_name("foreign.db")
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    text = path.with_name("text.db")
    text.write_text("dear diary\n" * 1000)
    for file, complaint in (
        (other, "no notebook: its application_id is 119, not 4660"),
        (foreign, "no notebook: its application_id is 0"),
        (text, "no SQLite database"),
    ):
        before = file.read_bytes()
        commits = GroupCommit(file, LAYOUT)
        with pytest.raises(TransportError, match=complaint):
            await commits.start()
        assert file.read_bytes() == before
        file.unlink()
        await commits.start()  # there is none now, so it is made
        await commits.close()


async def test_a_file_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """The error names the file and what the system says."""
    with pytest.raises(TransportError, match=r"nowhere.notes\.db: the file cannot be made: No such file or directory"):
        await GroupCommit(tmp_path / "nowhere" / "notes.db", LAYOUT).start()
    with pytest.raises(TransportError, match="cannot be opened"):
        await GroupCommit(tmp_path, LAYOUT).start()


async def test_several_may_make_the_file_at_once(path: Path) -> None:
    """Whoever comes second waits, and finds it made."""
    several = [GroupCommit(path, LAYOUT, busy_timeout=PATIENCE) for _ in range(8)]
    await asyncio.gather(*(each.start() for each in several))
    await asyncio.gather(*(each.add(insert, (number, "")) for number, each in enumerate(several)))
    await asyncio.gather(*(each.close() for each in several))
    assert numbers_on_disk(path) == list(range(8))


@pytest.mark.parametrize(
    "durability, busy_timeout", [("disk", 1.0), ("process", -1.0), ("process", float("nan")), ("power", float("inf"))]
)
def test_options_that_mean_nothing_are_refused(path: Path, durability: Durability, busy_timeout: float) -> None:
    """`ValueError` names what was given."""
    with pytest.raises(ValueError, match=rf"`(durability|busy_timeout)` is .*not '?({durability}|{busy_timeout})"):
        GroupCommit(path, LAYOUT, durability=durability, busy_timeout=busy_timeout)


KILLED = """
import asyncio
from test_group_commit import LAYOUT, GroupCommit, insert

async def main():
    commits = GroupCommit({path!r}, LAYOUT)
    await commits.start()

    async def write(first):
        for number in range(first, 1_000_000, 16):
            await commits.add(insert, (number, ""))
            print(number, flush=True)

    await asyncio.gather(*map(write, range(16)))

asyncio.run(main())
"""


def test_confirmed_survives_a_kill(path: Path) -> None:
    """What a process was told is done is there after its `kill -9`, and what comes after it can be written."""
    with subprocess.Popen(
        (sys.executable, "-P", "-c", KILLED.format(path=str(path))),
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *filter(None, sys.path)))},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        confirmed = [int(process.stdout.readline()) for _ in range(500)]
        process.kill()
        confirmed += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    assert set(confirmed) <= set(numbers_on_disk(path))
    assert len(confirmed) >= 500
