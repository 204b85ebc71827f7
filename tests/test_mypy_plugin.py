"""The mypy plugin: what it reports, and that it does so whichever way mypy is run.

The programs in `tests/typing/plugin/` mark their mistakes: `# E: nexus-key` at the end of a line says that mypy
reports an error of this code on it. `MYPY_MATRIX=1` checks them with every mypy that is supported, each in an
environment of its own, which is made on demand; without it the installed one is enough.
"""

import ast
import importlib.metadata
import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeAlias, cast

import mypy.api
import pytest
from mypy.dmypy_server import Server
from mypy.main import process_options

import async_nexus
import async_nexus.mypy
from async_nexus.mypy._plugin import careful

CHECKOUT: Final = Path(__file__).parents[1]
PROGRAMS: Final = CHECKOUT / "tests" / "typing" / "plugin"
FILES: Final = sorted(path.relative_to(PROGRAMS).as_posix() for path in PROGRAMS.rglob("*.py"))

INSTALLED: Final = ".".join(importlib.metadata.version("mypy").split(".")[:2])
SUPPORTED: Final = ["2.1", "2.2", "2.3", "2.4"]
MATRIX: Final = SUPPORTED if os.environ.get("MYPY_MATRIX") else [INSTALLED]

Errors: TypeAlias = dict[str, set[tuple[int, str]]]
"""For each file, the lines and codes of its errors."""

MARK: Final = re.compile(r"# E: ([\w, -]+)$")
ERROR: Final = re.compile(r"^(?P<file>.+?):(?P<line>\d+): error: (?P<message>.*)  \[(?P<code>[\w-]+)\]$", re.MULTILINE)


def marked() -> Errors:
    """The errors that the programs say they have."""
    marks: Errors = {}
    for file in FILES:
        lines = (PROGRAMS / file).read_text(encoding="utf-8").splitlines()
        found = ((number, MARK.search(line)) for number, line in enumerate(lines, 1))
        marks[file] = {(number, code) for number, mark in found if mark for code in mark[1].split(", ")}
    return marks


def reported(output: str, root: Path = PROGRAMS) -> Errors:
    """The errors in what mypy printed; anything that it could not finish fails the test."""
    assert "INTERNAL ERROR" not in output, output
    errors: Errors = {file: set() for file in FILES} if root == PROGRAMS else {}
    for error in ERROR.finditer(output):
        file = Path(root, error["file"]).relative_to(root).as_posix()
        errors.setdefault(file, set()).add((int(error["line"]), error["code"]))
    return errors


class Mypy:
    """Runs mypy with the plugin, over one cache."""

    def __init__(self, directory: Path, plugins: str, more: str = "") -> None:
        self.directory = directory
        self._seconds = itertools.count(1_000_000_000)
        # The package alone, as checkers see it: beside it in site-packages lies the mypy of this environment.
        self.package = directory / "package"
        self.package.mkdir()
        (self.package / "async_nexus").symlink_to(Path(async_nexus.__file__).parent, target_is_directory=True)
        self.config = directory / "mypy.ini"
        self.config.write_text(
            f"[mypy]\nplugins = {plugins}\nmypy_path = {self.package}\ncache_dir = {directory / 'cache'}\n"
            "strict = True\nenable_error_code = ignore-without-code\nexplicit_package_bases = True\n"
            "namespace_packages = True\nshow_traceback = True\n"
            f"[mypy-async_nexus.*]\nfollow_imports = silent\n{more}",
            encoding="utf-8",
        )

    def run(self, *arguments: str, cwd: Path = PROGRAMS) -> str:
        """Check files in this process, which starts faster."""
        if cwd != PROGRAMS:
            # Mypy takes a file for the one in its cache whose name, size, and time in whole seconds it has.
            second = next(self._seconds)
            for path in cwd.glob("*.py"):
                os.utime(path, (second, second))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(cwd)
            stdout, stderr, status = mypy.api.run(["--config-file", str(self.config), *arguments])
        assert status < 2, stdout + stderr
        assert not stderr, stderr
        return stdout

    def run_process(self, python: Path, *arguments: str) -> str:
        """Check files in a process of its own, with the mypy of another environment or with workers."""
        done = subprocess.run(
            [python, "-m", "mypy", "--config-file", self.config, *arguments],
            cwd=PROGRAMS,
            env={**os.environ, "PYTHONPATH": str(self.package)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode < 2, done.stdout + done.stderr
        return done.stdout


PLUGINS: Final = "pydantic.mypy, async_nexus.mypy"


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Mypy:
    """One mypy for all tests that can share a cache."""
    return Mypy(tmp_path_factory.mktemp("mypy"), PLUGINS)


@pytest.fixture(scope="module")
def output(checker: Mypy) -> str:
    """What mypy prints about the programs."""
    return checker.run(".")


@pytest.fixture(scope="module")
def errors(output: str) -> Errors:
    """What mypy reports about the programs."""
    return reported(output)


@pytest.mark.parametrize("file", FILES)
def test_a_program_has_the_errors_that_it_marks(file: str, errors: Errors) -> None:
    """Mistakes are reported where they are, under their code, and right lines are accepted."""
    assert errors[file] == marked()[file]


def test_the_programs_mark_every_code_of_the_plugin() -> None:
    """No code is left untested."""
    codes = [code for marks in marked().values() for _, code in marks]
    assert all(codes.count(code) >= 10 for code in ("nexus-key", "nexus-handler", "nexus-payload", "nexus-duplicate"))


@pytest.mark.parametrize(
    "plugins, more",
    [
        ("async_nexus.mypy, pydantic.mypy", ""),
        ("async_nexus.mypy", ""),
        (
            PLUGINS,
            "[pydantic-mypy]\ninit_typed = True\ninit_forbid_extra = True\nwarn_required_dynamic_aliases = True\n",
        ),
    ],
    ids=["before pydantic's", "alone", "with pydantic's own strictness"],
)
def test_the_errors_do_not_depend_on_the_other_plugin(plugins: str, more: str, tmp_path: Path) -> None:
    """Either order, with or without pydantic's plugin."""
    assert reported(Mypy(tmp_path, plugins, more).run(".")) == marked()


def test_without_the_plugin_nothing_has_its_codes(tmp_path: Path) -> None:
    """The codes are the plugin's own."""
    found = reported(Mypy(tmp_path, "pydantic.mypy").run("keys.py", "handlers.py"))
    assert not any(code.startswith("nexus-") for errors in found.values() for _, code in errors)


NO_RANGE: Final = 'which claims no range; expected an "Event", or a registration for the event class'
ONE_HANDLER: Final = "expected one handler a key, or a nexus with multiple=True"


@pytest.mark.parametrize(
    "program, message",
    [
        ("nexus.on(98)", '98 is no key of "Teapot | Treacle"; expected 99 (Teapot), "Treacle" (Treacle)'),
        ("nexus.on('98')", '"98" is no key of "Teapot | Treacle"; expected 99 (Teapot), "Treacle" (Treacle)'),
        ("nexus.add_handler(99, of_treacle)", 'The handler of 99 takes "Treacle"; expected "Teapot"'),
        ("nexus.on(99)(of_treacle)", 'The handler of 99 takes "Treacle"; expected "Teapot"'),
        (
            "nexus.on(99)(of_queue)",
            'The handler of 99 takes the queue "EventQueue[Foreign]"; expected "EventQueue[Teapot | Treacle]"',
        ),
        ("nexus.on(99)(of_result)", 'The handler of 99 returns "int"; expected "Awaitable[None] | None"'),
        (
            "nexus.on((99, 99))(of_pot)",
            f'The handler of range(99, 100) takes "Teapot", {NO_RANGE}',
        ),
        ("nexus.create_event('x', event_type=99)", 'The payload of 99 is "str"; expected "int"'),
        ("nexus.declare(99, str)", '99 is declared as "str"; expected "int"'),
        ("nexus.on(99)(fine)\nnexus.on(99)(fine)", f"99 has a handler already, registered on line 12; {ONE_HANDLER}"),
        (
            "class Half(NamedEvent[int], type=1.5): ...",
            'The key of event class "Half" is 1.5; expected an "int" or a "str"',
        ),
    ],
)
def test_a_message_names_the_key_the_expected_and_the_given(
    program: str, message: str, checker: Mypy, tmp_path: Path
) -> None:
    """A reader sees what to change without looking anything up."""
    (tmp_path / "program.py").write_text(
        textwrap.dedent(
            """\
            from async_nexus import AsyncEventNexus, Event, EventQueue, NamedEvent
            class Teapot(NamedEvent[int], type=99): ...
            class Treacle(NamedEvent[str]): ...
            class Foreign(NamedEvent[str]): ...
            def fine(event: Event) -> None: ...
            def of_pot(event: Teapot) -> None: ...
            def of_treacle(event: Treacle) -> None: ...
            def of_queue(event: Teapot, queue: EventQueue[Foreign]) -> None: ...
            def of_result(event: Teapot) -> int: ...
            nexus = AsyncEventNexus[Teapot | Treacle]()

            """
        )
        + program,
        encoding="utf-8",
    )
    found = [
        error["message"]
        for error in ERROR.finditer(checker.run("program.py", cwd=tmp_path))
        if error["code"][:5] == "nexus"
    ]
    assert found == [message]


QUALIFIED_NAMES: Final = """\
from enum import IntEnum, StrEnum, auto
from typing import Final, Generic, TypeVar
from async_nexus import AsyncEventNexus, NamedEvent

P = TypeVar("P")
SEVEN: Final = 7

class Code(IntEnum):
    TEN = 10

class Name(StrEnum):
    BREW = auto()

class Plain(NamedEvent[int]): ...
class Typed(NamedEvent[int], type=5): ...
class Sub(Typed): ...
class Negative(NamedEvent[int], type=-5): ...
class Sum(NamedEvent[int], type=3 + 4): ...
class OfFinal(NamedEvent[int], type=SEVEN): ...
class OfEnum(NamedEvent[int], type=Code.TEN): ...
class OfName(NamedEvent[int], type=Name.BREW): ...
class Box(NamedEvent[P], Generic[P]): ...
class Outer:
    class Inner(NamedEvent[int]): ...
    def method(self) -> None:
        class Local(NamedEvent[int]): ...
        show(Local.event_type)

def function() -> None:
    class Local(NamedEvent[int]):
        def method(self) -> None:
            class Innermost(NamedEvent[int]): ...
            show(Innermost.event_type)
    def inner() -> None:
        class Innermost(NamedEvent[int]): ...
        show(Innermost.event_type)
    inner()
    Local(id=1, payload=1).method()
    show(Local.event_type)

show(Plain.event_type)
show(Typed.event_type)
show(Sub.event_type)
show(Negative.event_type)
show(Sum.event_type)
show(OfFinal.event_type)
show(OfEnum.event_type)
show(OfName.event_type)
show(Box.event_type)
show(Box[int].event_type)
show(Outer.Inner.event_type)
Outer().method()
function()
"""


def test_the_key_that_is_assumed_is_the_key_that_the_class_gets(checker: Mypy, tmp_path: Path) -> None:
    """E2: the plugin reads a class statement as `NamedEvent` does."""
    asked = re.sub(r"show\((.*)\.event_type\)", r"AsyncEventNexus[\1]().on('no key')", QUALIFIED_NAMES)
    (tmp_path / "program.py").write_text(asked, encoding="utf-8")
    output = checker.run("program.py", cwd=tmp_path)
    assumed = dict(
        re.findall(r"^program.py:(\d+): error: .*expected (.*) \(\w+\)  \[nexus-key\]$", output, re.MULTILINE)
    )
    keys: dict[str, str] = {}

    def show(key: object) -> None:
        keys[str(sys._getframe(1).f_lineno)] = json.dumps(key)

    exec(compile(QUALIFIED_NAMES, "program.py", "exec"), {"__name__": __name__, "show": show})
    assert assumed == keys


# However mypy is run


def test_a_warm_cache_gives_the_same_errors(checker: Mypy, errors: Errors, tmp_path: Path) -> None:
    """What the plugin knows of a module comes back out of mypy's cache."""
    (tmp_path / "user.py").write_text(
        "import keys, classes\n"
        "from async_nexus import AsyncEventNexus\n"
        "nexus = AsyncEventNexus[keys.TeapotEvent | keys.Brew | classes.Seven | classes.Outer.Inner]()\n"
        "nexus.on(99, 'brew', keys.Name.BREW, 7, 'Outer.Inner')\n"
        "nexus.on(98)\n",
        encoding="utf-8",
    )
    (tmp_path / "keys.py").symlink_to(PROGRAMS / "keys.py")
    (tmp_path / "classes.py").symlink_to(PROGRAMS / "classes.py")
    checker.run("keys.py", "classes.py", cwd=tmp_path)
    assert reported(checker.run("user.py", cwd=tmp_path), tmp_path)["user.py"] == {(5, "nexus-key")}
    assert reported(checker.run(".")) == errors


EVENTS: Final = """\
from async_nexus import NamedEvent
class Teapot(NamedEvent[int], type={teapot}): ...
class Treacle(NamedEvent[str], type={treacle}): ...
"""
WIRING: Final = """\
from async_nexus import AsyncEventNexus
from events import Teapot, Treacle
nexus = AsyncEventNexus[Teapot | Treacle]()
"""
USER: Final = """\
from wiring import nexus
from async_nexus import Event
async def main() -> None:
    await nexus.emit(1, 5)
def of_text(event: Event[str]) -> None: ...
nexus.add_handler(2, of_text)
def register() -> None:
    nexus.on(2)(of_text)
"""
# The keys of the two classes, and the errors in `user.py` while they have them.
CHANGES: Final = [
    (1, 2, set[tuple[int, str]]()),
    (7, 2, {(4, "nexus-key")}),
    (7, 1, {(4, "nexus-payload"), (6, "nexus-key"), (8, "nexus-key")}),
    (2, 1, {(4, "nexus-payload"), (6, "nexus-handler"), (8, "nexus-handler")}),
    (1, 2, set[tuple[int, str]]()),
]


def check_changes(directory: Path, check: Callable[[], str]) -> None:
    """Change the keys of classes step by step, and check each time."""
    (directory / "wiring.py").write_text(WIRING, encoding="utf-8")
    (directory / "user.py").write_text(USER, encoding="utf-8")
    for hour, (teapot, treacle, expected) in enumerate(CHANGES):
        events = directory / "events.py"
        events.write_text(EVENTS.format(teapot=teapot, treacle=treacle), encoding="utf-8")
        # mypy looks again at a file of the same size only if its time is another, in seconds.
        os.utime(events, (1_000_000_000 + 3600 * hour,) * 2)
        assert reported(check(), directory).get("user.py", set()) == expected


def test_a_changed_key_is_seen_through_the_cache(checker: Mypy, tmp_path: Path) -> None:
    """A module that is not changed itself is checked again when a key of its domain is."""
    check_changes(tmp_path, lambda: checker.run("user.py", "wiring.py", "events.py", cwd=tmp_path))


def test_a_changed_key_is_seen_by_the_daemon(checker: Mypy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon checks again the functions that a key matters to, wherever they are."""
    monkeypatch.chdir(tmp_path)
    _, options = process_options(
        ["-i", "--config-file", str(checker.config)], require_targets=False, server_options=True
    )
    server = Server(options, str(tmp_path / "status.json"))

    def check() -> str:
        answer = server.cmd_check(["user.py", "wiring.py", "events.py"], False, False, 80)
        return cast("str", answer["out"])

    check_changes(tmp_path, check)


@pytest.mark.skipif("--num-workers" not in (mypy.api.run(["--help"])[0]), reason="this mypy has no workers")
def test_workers_report_the_same_errors(tmp_path: Path) -> None:
    """Parallel workers, with a cold cache and with a warm one."""
    parallel = Mypy(tmp_path, PLUGINS)
    assert reported(parallel.run_process(Path(sys.executable), "-n", "2", ".")) == marked()
    assert reported(parallel.run_process(Path(sys.executable), "-n", "2", ".")) == marked()


def environment(version: str) -> Path:
    """The Python of an environment with that version of mypy, made if there is none."""
    directory = CHECKOUT / f".venv-mypy-{version}"
    python = directory / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    same = [f"{name}=={importlib.metadata.version(name)}" for name in ("pydantic", "typing-extensions")]
    subprocess.run(
        [python, "-m", "pip", "-qq", "--disable-pip-version-check", "install", f"mypy=={version}.*", *same], check=True
    )
    return python


@pytest.mark.parametrize("version", MATRIX)
def test_every_supported_mypy_reports_the_same_errors(version: str, tmp_path: Path) -> None:
    """The newest minor version and the three before it; only the installed one without `MYPY_MATRIX`."""
    python = Path(sys.executable) if version == INSTALLED else environment(version)
    assert reported(Mypy(tmp_path, PLUGINS).run_process(python, ".")) == marked()


def test_the_installed_mypy_is_the_newest_that_is_supported() -> None:
    """When mypy is renewed the matrix moves on."""
    assert SUPPORTED[-1] == INSTALLED


# Whatever is checked

NEXUSES: Final = [
    "nexus", "undeclared", "generic", "maybe", "either", "anything", "never", "Kitchen()", "Kitchen", "self_made()",
    "undefined", "partly", "[nexus][0]", "(lambda: nexus)()", "super()",
]  # fmt: skip
KEYS: Final = [
    "99", "98", "'x'", "-1", "True", "1.5", "None", "Teapot", "Teapot | Treacle", "Code.TEN", "Code", "Plain.ONE",
    "Auto.A", "(1, 99)", "(9, 1)", "()", "(1, 'x')", "range(3)", "range(0, 9, 0)", "range('x')", "*keys", "*(1, 2)",
    "**options", "key", "literal", "lambda: 99", "undefined", "Event", "Box", "Box[int]", "type(event)", "...", "{}",
    "[99]", "b'x'", "2j", "f'{key}'", "99 if keys else 'x'", "event.event_type", "TeapotAlias", "NewKey(99)",
    "(yield)", "(k := 99)", "not 1", "~5", "10**3", "1 << 70",
]  # fmt: skip
HANDLERS: Final = [
    "handler", "None", "lambda: 1", "lambda e: e", "lambda e, q: q.put(e)", "lambda *a: None", "lambda e, i=1: None",
    "lambda **k: None", "Kitchen", "print", "consumer", "overloaded", "generator", "partial(handler)", "undefined",
    "nexus.on(99)", "Teapot", "3", "staticmethod(handler)", "[handler][0]",
]  # fmt: skip
CALLS: Final = [
    "{n}.on({k})", "{n}.on({k}, {k})", "{n}.add_handler({k}, handler)", "{n}.add_handler(type={k}, handler=handler)",
    "{n}.declare({k}, int)", "{n}.declare({k}, {k})", "{n}.emit({k}, 1)", "{n}.emit(payload={k}, event_type={k})",
    "{n}.create_event(1, event_type={k})", "{n}.ingest(Event(1, {k}, 0, 1))", "{n}.ingest(Event({k}))",
    "{n}.ingest({k})", "{n}.ingest(Event[int](type={k}))", "{n}.ingest({n}.create_event({k}, event_type={k}))",
    "queue.put(Event(1, {k}, 0, 1))", "Teapot(id={k}, payload={k}, type={k})", "Box(id=1, payload={k})",
    "EventFactory().create_event(1, event_type={k})", "{n}.on({k})()", "{n}.on({k})({k})", "{n}.on.__call__({k})",
]  # fmt: skip
ODD: Final = """\
from enum import Enum, IntEnum, auto
from functools import partial
from typing import *
from async_nexus import *
P = TypeVar("P")
class Teapot(NamedEvent[int], type=99): ...
class Treacle(NamedEvent[str]): ...
class Box(NamedEvent[P], Generic[P]): ...
class Code(IntEnum):
    TEN = 10
class Auto(IntEnum):
    A = auto()
    def __new__(cls, value): return int.__new__(cls, value + 1)
class Plain(Enum):
    ONE = 1
TeapotAlias = Teapot
NewKey = NewType("NewKey", int)
N = TypeVar("N", bound=NamedEvent[Any])
class Kitchen(AsyncEventNexus[Teapot | Treacle | Box[int]]): ...
class Consumer(EventConsumer[Teapot]): ...
@overload
def overloaded(event: Teapot) -> None: ...
@overload
def overloaded(event: Treacle) -> None: ...
def overloaded(event: Any) -> None: ...
async def generator(event: Teapot): yield 1
def handler(event: Teapot) -> None: ...
consumer = Consumer()
def self_made(): return Kitchen()
class Odd(Kitchen):
    def program(
        self, nexus: Kitchen, undeclared: AsyncEventNexus, generic: AsyncEventNexus[N], maybe: Kitchen | None,
        either: AsyncEventNexus[Teapot] | AsyncEventNexus[Treacle], anything: Any, never: AsyncEventNexus[Never],
        partly: AsyncEventNexus[Teapot | Event], keys: list[int], options: dict[str, Any], key: int | str,
        literal: Literal[99, "x"], event: Teapot, queue: EventQueue[Teapot | Treacle],
    ) -> Any:
"""


def is_python(code: str) -> bool:
    """Whether code gets past the parser: past that, mypy checks nothing else."""
    try:
        ast.parse(f"def f():\n{textwrap.indent(code, '  ')}")
    except SyntaxError:
        return False
    return True


def test_odd_programs_do_not_stop_mypy(checker: Mypy, tmp_path: Path) -> None:
    """Every method with every sort of argument, right or wrong: mypy comes to its end, with no traceback."""
    code = [call.format(n="nexus", k=k) for call, k in itertools.product(CALLS, KEYS)]
    code += [call.format(n=n, k=k) for call, n, k in itertools.product(CALLS, NEXUSES, KEYS[:2])]
    for n, k, h in itertools.product(NEXUSES[:2], KEYS[:10], HANDLERS):
        code += [f"{n}.add_handler({k}, {h})", f"{n}.on({k})({h})"]
    code += [f"class C{i}(NamedEvent[int], type={k}): ..." for i, k in enumerate(KEYS)]
    for i, (n, k) in enumerate(itertools.product(NEXUSES, KEYS)):
        code.append(f"@{n}.on({k})\ndef h{i}(event: Treacle) -> None: ...")
    program = ODD + "".join(textwrap.indent(each, " " * 8) + "\n" for each in code if is_python(each))
    (tmp_path / "odd.py").write_text(program, encoding="utf-8")
    assert len(reported(checker.run("odd.py", cwd=tmp_path), tmp_path)["odd.py"]) > 1000


def test_a_hook_that_fails_leaves_the_program_alone() -> None:
    """Only who asks mypy for tracebacks gets to see one."""

    def fail(ctx: Any) -> str:
        raise AttributeError(ctx)

    def context(*, show_traceback: bool) -> Any:
        return SimpleNamespace(api=SimpleNamespace(options=SimpleNamespace(show_traceback=show_traceback)))

    hook = cast("Callable[[Any], str]", careful(fail, lambda ctx: "as it was"))
    assert hook(context(show_traceback=False)) == "as it was"
    with pytest.raises(AttributeError):
        hook(context(show_traceback=True))
