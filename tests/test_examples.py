"""The example programs, run as their users run them."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from nats_servers import any_server, forget

import async_nexus

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
COMMAND = (sys.executable, "-X", "dev", "-W", "error")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "PYTHONPATH": str(Path(async_nexus.__file__).parents[1]),
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DATE = "2024-02-29T12:00:00+01:00"


def run(
    example: str | Path, *arguments: str | Path, given: bytes = b"", env: Mapping[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess[str]:
    """Run an example, or a program that was made of one, to its end."""
    done = subprocess.run(
        [*COMMAND, EXAMPLES / example, *arguments], input=given, env=env, capture_output=True, timeout=200, check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), said(done.stderr))


def said(stderr: bytes) -> str:
    """What a program wrote to stderr, but for asyncio's remarks, in development mode, on how busy the machine is."""
    return re.sub(r"^Executing <.*\n", "", stderr.decode(), flags=re.MULTILINE)


def git(repository: Path, *arguments: str) -> None:
    """Run git as a made-up author."""
    author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", repository, *author, *arguments], check=True, capture_output=True, env=ENVIRONMENT)


def commit(repository: Path, files: Mapping[str, bytes], *options: str) -> None:
    """Write files and commit them."""
    for name, content in files.items():
        (repository / name).write_bytes(content)
    git(repository, "add", "--all")
    git(repository, "commit", "--allow-empty", "--message", "a change", *options)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository without commits."""
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "--initial-branch=main")
    return path


def record(*numstat: str, commit: str = COMMIT, date: str = DATE, author: str = "Ann") -> bytes:
    """What git log writes for one commit."""
    tokens = [f"<commit> {commit}", date, author, *numstat]
    if numstat:
        tokens[3] = "\n" + tokens[3]
    return "".join(token + "\0" for token in tokens).encode()


def row(output: str, name: str) -> list[str]:
    """The figures in the table's row that ends with a name."""
    [line] = [line for line in output.splitlines() if line.endswith(f"  {name}")]
    return line.removesuffix(name).split()


def test_kitchen_takes_every_way_to_a_handler() -> None:
    """The usage guide's program: a countdown, a teapot with its secondary event, a filter, a default, an end."""
    done = run("kitchen.py")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in lines if "closing in" in line] == [f"closing in {number}" for number in range(4, -1, -1)]
    teapot = lines.index("teapot 1001: Brown Betty at 98 °C")
    assert lines[teapot + 1] == "also heard: Poured says 'Brown Betty'"
    assert "also heard: 50 says 'splash'" in lines
    assert "drip" not in done.stdout
    assert lines[-1] == "closed"


@pytest.mark.parametrize(
    "target, drawn",
    [
        ("kitchen:nexus", {"Timer", "Tap", "ignore_single_drops", "pour", "Poured", "note", "98"}),
        ("history:make_nexus", {"GitHistory", "Commit", "FileChanged", "Rejected", "Commit, Rejected"}),
    ],
)
def test_examples_can_be_drawn_and_checked(target: str, drawn: set[str]) -> None:
    """Each is a target of the command line from its own directory, with its sources, and its wiring is right."""
    outputs: list[str] = []
    for command in ("graph", "check"):
        done = subprocess.run(
            [*COMMAND, "-m", "async_nexus", command, target],
            cwd=EXAMPLES,
            env={**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout)
    assert drawn <= set(re.findall('"([^"]*)"', outputs[0]))
    assert outputs[1] == "no findings\n"


INVOICED = """\
order 1: 1 of Assam
order 2: 2 of Darjeeling
order 3: 3 of Earl Grey
order 4: 4 of Assam
order 5: 5 of Assam
order 6: 6 of Darjeeling
order 7: 7 of Assam
order 8: 8 of Darjeeling
order 1 is invoiced: 3.50
order 2 is invoiced: 8.40
order 4 is invoiced: 14.00
order 5 is invoiced: 17.50
order 6 is invoiced: 25.20
billing ended with SIGKILL, and is started again
order 6 was invoiced again, which changes nothing
order 7 is invoiced: 24.50
order 8 is invoiced: 33.60
order 3 is a dead letter: async_nexus.errors.InvalidPayload: event 3 of type 'order-placed': its payload is no \
OrderToBill: tea: Input should be 'Assam' or 'Darjeeling' (given str)
8 orders: 7 invoiced, 1 put aside, 0 missing
"""


def test_orders_are_billed_in_another_process_through_a_crash(tmp_path: Path) -> None:
    """Over a file: none is missing, what came twice counts once, what cannot be billed is put aside with the reason."""
    done = run("orders_and_billing.py", env={**ENVIRONMENT, "TMPDIR": str(tmp_path)})
    assert (done.stdout, done.stderr, done.returncode) == (INVOICED, "", 0)
    assert not [*tmp_path.iterdir()]


def test_orders_are_billed_over_nats_when_one_line_is_changed(tmp_path: Path) -> None:
    """The same program, but for one line, says the same over NATS."""
    line = "\nopen_transport = over_sqlite"
    source = (EXAMPLES / "orders_and_billing.py").read_text()
    assert source.count(line) == 1
    changed = tmp_path / "orders_and_billing.py"
    changed.write_text(source.replace(line, line.replace("over_sqlite", "over_nats")))
    name = uuid4().hex
    with any_server() as url:
        try:
            done = run(changed, name, env={**ENVIRONMENT, "NATS_URL": url})
        finally:
            for channel in ("orders", "invoices"):
                asyncio.run(forget(url, f"{channel}-{name}"))
    assert (done.stdout, done.stderr, done.returncode) == (INVOICED, "", 0)


def test_history_counts_commits_and_files(repository: Path) -> None:
    """Commits are counted by author, changes, added and deleted lines by file."""
    commit(repository, {"a.txt": b"1\n2\n", "b.txt": b"1\n"})
    commit(repository, {"a.txt": b"1\n3\n"}, "--author=Bob <bob@example.org>")
    done = run("history.py", repository)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "2 commits read, 0 records rejected"
    assert row(done.stdout, "Ann") == row(done.stdout, "Bob") == ["1"]
    assert row(done.stdout, "a.txt") == ["2", "3", "1"]
    assert row(done.stdout, "b.txt") == ["1", "1", "0"]


@pytest.mark.parametrize(
    "name, shown",
    [("two\nlines", r"two\nlines"), ("tab\there", r"tab\there"), ("Käse 🫖", "Käse 🫖"), ("<commit> x",) * 2],
    ids=["newline", "tab", "wide", "mark"],
)
def test_history_reads_odd_names(repository: Path, name: str, shown: str) -> None:
    """What a file may be called is read right, also when it is renamed, and shown in one line."""
    commit(repository, {name: b"some\nlines\n"})
    git(repository, "mv", name, "renamed")
    git(repository, "commit", "--message", "there")
    git(repository, "mv", "renamed", name)
    git(repository, "commit", "--message", "and back")
    done = run("history.py", repository)
    assert done.stdout.splitlines()[0] == "3 commits read, 0 records rejected"
    assert row(done.stdout, shown) == ["2", "2", "0"]
    assert row(done.stdout, "renamed") == ["1", "0", "0"]


def test_history_reads_names_that_are_no_utf8(repository: Path) -> None:
    """A name of any bytes is a name."""
    with open(os.fsencode(repository) + b"/caf\xe9", "wb") as file:
        file.write(b"x\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--message", "latin")
    assert row(run("history.py", repository).stdout, r"caf\xe9") == ["1", "1", "0"]


def test_history_reads_merges_binaries_and_empty_commits(repository: Path) -> None:
    """A merge and an empty commit change no file, a binary file has no line counts."""
    commit(repository, {"picture": b"\0\1\2"})
    git(repository, "switch", "--create", "side")
    commit(repository, {"side": b"s\n"})
    git(repository, "switch", "main")
    commit(repository, {})
    git(repository, "merge", "--no-ff", "--no-edit", "side")
    done = run("history.py", repository)
    assert done.stdout.splitlines()[0] == "4 commits read, 0 records rejected"
    assert row(done.stdout, "picture") == ["1", "0", "0"]
    assert row(done.stdout, "side") == ["1", "1", "0"]


def test_history_is_not_led_astray_by_the_environment(repository: Path, tmp_path: Path) -> None:
    """In a hook of another repository, git's variables point to that one."""
    commit(repository, {"a": b""})
    env = {**ENVIRONMENT, "GIT_DIR": str(tmp_path / "elsewhere"), "GIT_WORK_TREE": str(tmp_path)}
    assert run("history.py", repository, env=env).stdout.startswith("1 commits read")


@pytest.mark.parametrize(
    "bad, complaint",
    [
        (record("no numstat at all"), "files.0: Value error, not 'added TAB deleted TAB path': 'no numstat at all'"),
        (record("1\t1\ta", "-3\t0\tb"), "files.1.added: Input should be greater than or equal to 0"),
        (record("1\tmany\ta"), "files.0.deleted: Input should be a valid integer"),
        (record("1\t1\t", "old", ""), "files.0.path: String should have at least 1 character"),
        (record(date="2023-02-29T12:00:00+01:00"), "authored: Input should be a valid datetime"),
        (record(date="2023-02-28T12:00:00"), "authored: Input should have timezone info"),
        (record(commit="HEAD"), "commit: String should match pattern"),
        (f"<commit> {COMMIT}\0{DATE}\0\n1\t1\ta\0".encode(), "author: String should match pattern"),
        (f"<commit> {COMMIT}\0".encode(), "authored: Field required"),
        (b"garbage\0", "commit: String should match pattern"),
    ],
    ids=[
        *("no numstat", "negative count", "count of letters", "rename to nothing", "impossible date"),
        *("no time zone", "no hash", "no author", "hash alone", "no record"),
    ],
)
def test_history_rejects_what_is_malformed_and_goes_on(bad: bytes, complaint: str) -> None:
    """V2: one line on stderr says which record and which field; the records around it count."""
    around = record("1\t0\ta.py")
    before = b"" if bad.startswith(b"garbage") else around
    done = run("history.py", "--input", "-", given=before + bad + around)
    [line] = done.stderr.splitlines()
    assert line.startswith(f"history: rejected record {2 if before else 1} (")
    assert "its payload is no Commit: " in line
    assert complaint in line
    assert done.stdout.startswith(f"{2 if before else 1} commits read, 1 records rejected\n")
    assert row(done.stdout, "a.py")[0] == str(2 if before else 1)
    assert done.returncode == 0


def test_history_reads_input_in_pieces(tmp_path: Path) -> None:
    """Records that are cut by the end of a chunk are put together again, from a file as from a pipe."""
    log = tmp_path / "log"
    log.write_bytes(b"".join(record("1\t0\ta.py", "0\t0\t", "old", "new" * 20) for _ in range(2000)))
    from_file = run("history.py", "--input", log)
    from_pipe = run("history.py", "--input", "-", given=log.read_bytes())
    assert from_file.stdout == from_pipe.stdout
    assert from_file.stdout.startswith("2000 commits read, 0 records rejected\n")
    assert row(from_file.stdout, "a.py") == ["2000", "2000", "0"]


def test_history_shows_no_control_characters() -> None:
    """What a record holds cannot drive the terminal."""
    done = run("history.py", "--input", "-", given=record("\x1b[2J", author="A\x1b[31mnn") + record(author="\x1b]0;x"))
    assert "\x1b" not in done.stdout + done.stderr
    assert r"\x1b]0;x" in done.stdout


@pytest.mark.parametrize("given", [b"", record()])
def test_history_of_no_file_changes_has_no_table_of_files(given: bytes) -> None:
    """An empty input is an empty history."""
    done = run("history.py", "--input", "-", given=given)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{len(given) and 1} commits read")
    assert "file" not in done.stdout


def test_history_refuses_input_that_is_no_log() -> None:
    """An endless token is not kept in memory."""
    done = run("history.py", "--input", "-", given=b"x" * (3 << 20))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "history: this is no output of git log -z: it holds no NUL where one is due\n"


def test_history_of_an_unborn_branch_is_empty(repository: Path) -> None:
    """Neither a new repository nor a branch without commits is an error."""
    expected = (0, "", "history: the current branch has no commits yet\n")
    done = run("history.py", repository)
    assert (done.returncode, done.stdout, done.stderr) == expected
    commit(repository, {"a": b""})
    git(repository, "switch", "--orphan", "other")
    done = run("history.py", repository)
    assert (done.returncode, done.stdout, done.stderr) == expected


def test_history_needs_a_repository(tmp_path: Path) -> None:
    """What is no repository, does not exist or cannot be opened is named in one line."""
    env = {**ENVIRONMENT, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    missing = tmp_path / "missing"
    for arguments, complaint in [
        ((tmp_path,), "not a git repository (or any of the parent directories): .git"),
        ((missing,), f"there is no directory {missing}"),
        (("--input", missing), f"{missing}: No such file or directory"),
    ]:
        done = run("history.py", *arguments, env=env)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"history: {complaint}\n")


def test_history_needs_git(repository: Path) -> None:
    """Without git there is a line that says so."""
    done = run("history.py", repository, env={**ENVIRONMENT, "PATH": ""})
    assert (done.returncode, done.stderr) == (1, "history: git: No such file or directory\n")


def test_history_tells_when_git_fails(repository: Path) -> None:
    """L4: what goes wrong in the source ends the program, with git's own reason."""
    commit(repository, {"a": b"1\n"})
    commit(repository, {"a": b"2\n"})
    first = subprocess.check_output(["git", "-C", repository, "rev-parse", "HEAD~"], text=True, env=ENVIRONMENT).strip()
    (repository / ".git" / "objects" / first[:2] / first[2:]).unlink()
    done = run("history.py", repository)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"history: [^\n]*{first}[^\n]*\n", done.stderr)


def test_history_knows_when_nobody_reads() -> None:
    """A closed pipe is one line and the exit status of SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, EXAMPLES / "history.py", "--input", "-"],
        input=record(),
        stdout=writing,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        timeout=200,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, said(done.stderr)) == (141, "history: nobody reads the output any more\n")


def interrupted(*arguments: str | Path, env: Mapping[str, str]) -> tuple[int, str, str]:
    """Start history.py, press Ctrl-C once it has rejected a record, and wait for its end."""
    process = subprocess.Popen(
        [*COMMAND, EXAMPLES / "history.py", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        process.stdin.write(record(commit="bad") + record())
        process.stdin.flush()
        line = next(filter(None, map(said, process.stderr)), "")
        assert line.startswith("history: rejected record 1")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    finally:
        process.kill()
        out, err = process.communicate()
    return process.returncode, out.decode(), said(err)


def test_history_ends_on_ctrl_c_while_it_waits_for_input() -> None:
    """L2: a pipe that says nothing more does not keep the program."""
    expected = (130, "", "history: interrupted before the end of the history\n")
    assert interrupted("--input", "-", env=ENVIRONMENT) == expected


def test_history_ends_git_on_ctrl_c(repository: Path, tmp_path: Path) -> None:
    """L3: a git that is still at work is closed with its source, and not left behind."""
    pid = tmp_path / "pid"
    log = tmp_path / "log"
    log.write_bytes(record(commit="bad") + record())
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\ncase "$*" in *rev-parse*) exit 0;; esac\necho $$ > {pid}\ncat {log}\nexec sleep 600\n')
    slow.chmod(0o755)
    env = {**ENVIRONMENT, "PATH": f"{slow.parent}{os.pathsep}{os.environ['PATH']}"}
    code, out, err = interrupted(repository, env=env)
    assert (code, out, err) == (130, "", "history: interrupted before the end of the history\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
