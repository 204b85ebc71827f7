"""Who changed what: reads a repository's history as events and prints two tables.

`python docs/examples/history.py [REPOSITORY]` reads what git says; `--input FILE` reads a record of that, which
this command makes:

    git log -z --numstat --format='<commit> %H%x00%aI%x00%aN'

A source cuts the output into records, validation turns each into a `Commit`, a handler answers it with a
`FileChanged` for each file, others count. A record that does not pass is reported, counted and left out. In this
directory, `async-nexus graph history:make_nexus` draws it.
"""

import argparse
import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, TypeAlias

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, NonNegativeInt, model_validator

from async_nexus import AsyncEventNexus, Catalog, Event, EventConverter, EventQueue, InvalidPayload, NamedEvent

MARK: Final = "<commit> "
"""Begins a record. Neither a name nor a date can hold it, for git allows no `<` in names."""

GIT_LOG: Final = (
    *("-c", "log.showSignature=false", "-c", "log.showRoot=true", "-c", "diff.relative=false"),
    *("log", "-z", "--numstat", "--no-color", "--no-ext-diff", "--find-renames"),
    *("--encoding=UTF-8", f"--format={MARK}%H%x00%aI%x00%aN"),
)
REPOSITORY: Final = Path(__file__).resolve().parents[2]
"""The one of this file."""

CHUNK: Final = 1 << 16
LONGEST_TOKEN: Final = 1 << 20

Read: TypeAlias = Callable[[int], Awaitable[bytes]]
"""Reads up to so many bytes; none at the end."""


class Unreadable(Exception):
    """There is no history to read; the text says why."""


# What the events carry. All checking is here: the parser below only cuts.


class FileChange(BaseModel):
    """One file in one commit; the counts of a binary file are not known."""

    added: Annotated[NonNegativeInt | None, BeforeValidator(lambda count: None if count == "-" else count)]
    deleted: Annotated[NonNegativeInt | None, BeforeValidator(lambda count: None if count == "-" else count)]
    path: str = Field(min_length=1)
    renamed_from: str | None = None

    @model_validator(mode="before")
    @classmethod
    def read_numstat(cls, given: Any) -> Any:
        """Read `added TAB deleted TAB path`; of a renamed file, the old and the new path come after it."""
        if not isinstance(given, list):
            return given
        counts, *paths = given
        match [*counts.split("\t", 2), *paths]:
            case [added, deleted, "", old, new]:
                return {"added": added, "deleted": deleted, "path": new, "renamed_from": old}
            case [added, deleted, path]:
                return {"added": added, "deleted": deleted, "path": path}
            case _:
                raise ValueError(f"not 'added TAB deleted TAB path': {counts[:80]!r}")


class CommitRecord(BaseModel):
    """One commit with the files that it changed; a merge commit has none."""

    commit: str = Field(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")
    authored: AwareDatetime
    author: str = Field(pattern=r"^[^\n]*$")
    files: list[FileChange]


class Rejection(BaseModel):
    """A record that did not pass, and why."""

    commit: str
    reason: str


class Commit(NamedEvent[CommitRecord]): ...


class FileChanged(NamedEvent[FileChange]): ...


class Rejected(NamedEvent[Rejection]): ...


HistoryNexus: TypeAlias = AsyncEventNexus[Commit | FileChanged | Rejected]


# The source.


class LogParser:
    """Cuts the output of git log, as it comes in, into records: lists of what stood between NULs."""

    def __init__(self) -> None:
        self._rest = b""
        self._record: list[str] = []
        self._paths_due = 0

    def feed(self, chunk: bytes) -> Iterator[list[str]]:
        """Take in bytes; yields the records that they complete."""
        *tokens, self._rest = (self._rest + chunk).split(b"\0")
        if len(self._rest) > LONGEST_TOKEN:
            raise Unreadable("this is no output of git log -z: it holds no NUL where one is due")
        for token in tokens:
            yield from self._take(token.decode(errors="backslashreplace"))

    def finish(self) -> Iterator[list[str]]:
        """Yield the record that nothing comes after."""
        if self._rest.strip():
            yield from self._take(self._rest.decode(errors="backslashreplace"))
        if self._record:
            yield self._record

    def _take(self, token: str) -> Iterator[list[str]]:
        if self._paths_due:
            self._paths_due -= 1
        elif token.startswith(MARK):
            if self._record:
                yield self._record
            self._record = []
        elif len(self._record) >= 3 and is_rename(token):
            self._paths_due = 2
        self._record.append(token)


def is_rename(token: str) -> bool:
    """Whether a token of numstat is followed by two paths, the old one and the new."""
    return token.count("\t") == 2 and token.endswith("\t")


def name_parts(record: list[str]) -> dict[str, Any]:
    """Say which part of a record is what; whether it can be is for validation to find."""
    parts: dict[str, Any] = dict(zip(("commit", "authored", "author"), record, strict=False))
    parts["commit"] = parts["commit"].removeprefix(MARK)
    tokens = iter(token.removeprefix("\n") for token in record[3:])
    parts["files"] = [[token, next(tokens, ""), next(tokens, "")] if is_rename(token) else [token] for token in tokens]
    return parts


class GitHistory(EventConverter[Commit | Rejected]):
    """Yields a `Commit` for each record that is valid and a `Rejected` for each that is not."""

    def __init__(self, catalog: Catalog, open_log: Callable[[], AbstractAsyncContextManager[Read]]) -> None:
        self._catalog = catalog
        self._open_log = open_log
        self.records = 0
        self.is_complete = False

    async def event_generator(self) -> AsyncIterator[Commit | Rejected]:
        parser = LogParser()
        async with self._open_log() as read:
            while chunk := await read(CHUNK):
                for record in parser.feed(chunk):
                    yield self._validate(record)
        for record in parser.finish():
            yield self._validate(record)
        self.is_complete = True

    def _validate(self, record: list[str]) -> Commit | Rejected:
        self.records += 1
        parts = name_parts(record)
        try:
            event = self._catalog.validate(Event(self.records, Commit.event_type, 0, parts))
        except InvalidPayload as error:
            return Rejected.create(Rejection(commit=parts["commit"][:12], reason=str(error)), id=self.records)
        assert isinstance(event, Commit)  # the class that the catalog has for this key
        return event


@asynccontextmanager
async def log_of_repository(repository: Path) -> AsyncIterator[Read]:
    """Let git write its log; it ends with us, whichever way we end."""
    with tempfile.TemporaryFile() as complaints:
        git = await asyncio.create_subprocess_exec(
            *("git", "-C", repository, *GIT_LOG),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,  # Ctrl-C is for us to hear, and git is then told by us
        )
        assert git.stdout is not None  # it was asked for
        try:
            yield git.stdout.read
            if await git.wait() != 0:
                complaints.seek(0)
                raise Unreadable(first_line(complaints.read()))
        finally:
            with suppress(ProcessLookupError):
                git.kill()
            await git.communicate()


@asynccontextmanager
async def log_of_file(file: BinaryIO) -> AsyncIterator[Read]:
    """Read a record of git's log, without keeping Ctrl-C waiting for a pipe that says nothing."""
    mode = os.fstat(file.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or file.isatty()):

        async def read(size: int) -> bytes:
            return file.read(size)

        yield read
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    blocking = os.get_blocking(file.fileno())
    with os.fdopen(os.dup(file.fileno()), "rb", buffering=0) as own:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), own)
        try:
            yield reader.read
        finally:
            transport.close()
            os.set_blocking(file.fileno(), blocking)  # a terminal shares this with whoever else uses it


def environment() -> dict[str, str]:
    """What git runs in: our environment, but English, and without what would point to another repository."""
    pointers = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"}
    kept = {name: value for name, value in os.environ.items() if name not in pointers}
    return kept | {"LC_ALL": "C"}


def has_commits(repository: Path) -> bool:
    """Whether there is anything to read. Raises `Unreadable` for what is no repository."""
    if not repository.is_dir():
        raise Unreadable(f"there is no directory {repository}")
    command = ("git", "-C", repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    found = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if found.returncode > 1:
        raise Unreadable(first_line(found.stderr))
    return found.returncode == 0


def first_line(complaint: bytes) -> str:
    """What git complains of, in one line."""
    lines = complaint.decode(errors="backslashreplace").splitlines() or ["git failed and does not say why"]
    return lines[0].removeprefix("fatal: ")


# The handlers.


class Summary:
    """What has been counted."""

    def __init__(self) -> None:
        self.commits: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.added: Counter[str] = Counter()
        self.deleted: Counter[str] = Counter()
        self.rejected = 0


def add_handlers(nexus: HistoryNexus, summary: Summary) -> None:
    """Register what answers and what counts; the nexus lets several handlers share a key."""

    @nexus.on(Commit)
    async def list_files(event: Commit, queue: EventQueue[FileChanged]) -> None:
        for change in event.payload.files:
            await queue.put(FileChanged.create(change, id=nexus.next_id()))

    @nexus.on(Commit)
    def count_author(event: Commit) -> None:
        summary.commits[event.payload.author or "(no name)"] += 1

    @nexus.on(FileChanged)
    def count_file(event: FileChanged) -> None:
        change = event.payload
        summary.changes[change.path] += 1
        summary.added[change.path] += change.added or 0
        summary.deleted[change.path] += change.deleted or 0

    @nexus.on(Rejected)
    def report(event: Rejected) -> None:
        summary.rejected += 1
        say(f"rejected record {event.id} ({event.payload.commit or 'no commit'}): {event.payload.reason}")


def wire(
    open_log: Callable[[], AbstractAsyncContextManager[Read]], summary: Summary
) -> tuple[HistoryNexus, GitHistory]:
    """Put source and handlers together."""
    nexus: HistoryNexus = AsyncEventNexus(multiple=True)
    add_handlers(nexus, summary)
    history = GitHistory(nexus.catalog, open_log)
    nexus.register(history)
    return nexus, history


def make_nexus() -> HistoryNexus:
    """For the command line, which asks for a nexus: that of this repository."""
    return wire(partial(log_of_repository, REPOSITORY), Summary())[0]


# The program.


def shown(text: str) -> str:
    """Write what may come from anywhere such that it cannot move the cursor or add a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def say(text: str) -> None:
    """Tell the user about something, in one line."""
    print(f"history: {shown(text)}", file=sys.stderr)


def print_tables(summary: Summary, top: int) -> None:
    """Print commits by author and the most changed files, each the most first."""
    print(f"{summary.commits.total()} commits read, {summary.rejected} records rejected")
    if summary.commits:
        print("\ncommits  author")
    for author, count in ranked(summary.commits)[:top]:
        print(f"{count:7}  {shown(author)}")
    if summary.changes:
        print("\nchanges  added  deleted  file")
    for path, count in ranked(summary.changes)[:top]:
        print(f"{count:7}  {summary.added[path]:5}  {summary.deleted[path]:7}  {shown(path)}")


def ranked(counter: Counter[str]) -> list[tuple[str, int]]:
    """The most first, and those that are equal by name."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def read_history(open_log: Callable[[], AbstractAsyncContextManager[Read]], summary: Summary) -> bool:
    """Take the whole log through a nexus. Tells whether it came to the end: Ctrl-C stops it gracefully."""
    nexus, history = wire(open_log, summary)
    with nexus:
        nexus.run_until_complete()
    return history.is_complete


def positive(text: str) -> int:
    """Read a positive number. Raises `ValueError`, which argparse turns into its message."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="history.py",
        description="Print commits by author and the most changed files of a git repository.",
        epilog="Exit status: 0 when the history was read to its end, records that were rejected included; "
        "1 when it cannot be read; 130 when interrupted; 141 when nobody reads the output.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("repository", nargs="?", type=Path, default=REPOSITORY, help="default: the one of this file")
    what.add_argument("--input", metavar="FILE", help="read a record of git log instead; - is the standard input")
    rows = "how many rows a table has at most (default: 10)"
    parser.add_argument("--top", metavar="ROWS", type=positive, default=10, help=rows)
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> int:
    summary = Summary()
    if arguments.input is None:
        if not has_commits(arguments.repository):
            say("the current branch has no commits yet")
            return 0
        complete = read_history(partial(log_of_repository, arguments.repository), summary)
    elif arguments.input == "-":
        complete = read_history(partial(log_of_file, sys.stdin.buffer), summary)
    else:
        with open(arguments.input, "rb") as file:
            complete = read_history(partial(log_of_file, file), summary)
    if not complete:
        raise KeyboardInterrupt
    print_tables(summary, arguments.top)
    sys.stdout.flush()
    return 0


def main() -> int:
    """Run and turn what can go wrong into one line and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(read_arguments())
    except KeyboardInterrupt:
        say("interrupted before the end of the history")
        return 130
    except BrokenPipeError:
        # What is still in the buffer must not fail once more when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        say("nobody reads the output any more")
        return 141
    except Unreadable as error:
        say(str(error))
    except OSError as error:
        say(f"{error.filename or 'cannot go on'}: {error.strerror}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
