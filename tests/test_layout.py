"""The shape of the package: imports go downwards, the root only re-exports, modules keep no state."""

import ast
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "async_nexus"
# From the ground up. Modules of one row do not import each other; the modules inside a package may.
ROWS = [
    ("begun", "blocking", "companions", "errors", "subtyping", "handover", "ownership"),
    ("events", "group_commit"),
    ("claims", "failures", "journaling", "lossless"),
    ("notes", "specs", "posts"),
    ("parsing",),
    ("queue", "catalog", "handlers", "dead_letters", "journal"),
    ("annotations", "signatures"),
    ("admission",),
    ("consumers", "routes", "turns", "sources"),
    ("lines", "registration"),
    ("keyed_lines", "supervision", "deadlocks"),
    ("lanes",),
    ("handler_queue", "plan"),
    ("attempts",),
    ("rounds",),
    ("dispatch",),
    ("timers", "boundaries", "lifecycle", "middleware"),
    ("posting", "watching", "observing", "stalls", "journaled"),
    ("outside", "around", "ingress"),
    ("nexus",),
    ("transports",),
    ("schema", "testing"),
    ("cli",),
    ("__main__",),
]
LEVELS = {module: level for level, row in enumerate(ROWS) for module in row}
# Belongs to no level: it runs inside mypy, imports nothing of the package and is imported by nothing.
APART = "mypy"

MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_CONSTRUCTORS = {
    *(
        "bytearray",
        "dict",
        "list",
        "set",
        "ChainMap",
        "Counter",
        "OrderedDict",
        "count",
        "defaultdict",
        "deque",
    ),
    *("WeakKeyDictionary", "WeakSet", "WeakValueDictionary"),
}


def package_root() -> Path:
    """Where the package under test is, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


ROOT = package_root()
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
MODULE_IDS = [path.relative_to(ROOT).as_posix() for path in MODULES]


def dotted_name(path: Path) -> str:
    """`async_nexus.testing.clock` for that module's path; a package's `__init__` has the package's name."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_level_name(path: Path) -> str:
    """The name in the table of the module, or of the package that the module is in."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything imported, also inside functions and for checkers only."""
    package = dotted_name(path) if path.name == "__init__.py" else dotted_name(path).rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            yield node.lineno, importlib.util.resolve_name(relative, package)


def upward_imports(path: Path, source: str) -> list[str]:
    """What the module imports of the package and may not."""
    own = top_level_name(path)
    wrong: list[str] = []
    for line, name in imports(path, ast.parse(source)):
        first, _, rest = name.partition(".")
        if first != PACKAGE:
            continue
        target = rest.partition(".")[0]
        if not target:
            wrong.append(f"line {line}: imports the package root")
        elif target == own:
            continue
        elif APART in (own, target) or LEVELS[target] >= LEVELS[own]:
            wrong.append(f"line {line}: {own} imports {target}")
    return wrong


def is_state(value: ast.expr, *, constant: bool) -> bool:
    """Whether a module-level value is there to change; what is filled and named a constant is a table."""
    if isinstance(value, MUTABLE_DISPLAYS):
        empty = isinstance(value, ast.List | ast.Dict | ast.Set) and not ast.unparse(value).strip("[]{}")
        return empty or not constant
    if isinstance(value, ast.Call):
        name = ast.unparse(value.func).rpartition(".")[2]
        table = constant and bool(value.args) and name in {"dict", "list", "set"}
        return name in MUTABLE_CONSTRUCTORS and not table
    return False


def mutable_state(source: str) -> list[str]:
    """The module-level names that hold something that the program could change, and `global` statements."""
    tree = ast.parse(source)
    wrong = [f"line {node.lineno}: global" for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                final = False
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                final = "Final" in ast.unparse(annotation)
            case _:
                continue
        if name != "__all__" and is_state(value, constant=final or name.isupper()):
            wrong.append(f"line {node.lineno}: {name}")
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=MODULE_IDS)
def test_every_module_has_a_level(path: Path) -> None:
    """A new module says where in the layout it stands."""
    assert top_level_name(path) in {*LEVELS, APART}


@pytest.mark.parametrize("path", MODULES, ids=MODULE_IDS)
def test_imports_go_downwards(path: Path) -> None:
    """No module imports its own level, a higher one, or the package root."""
    assert upward_imports(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=MODULE_IDS)
def test_modules_hold_no_mutable_state(path: Path) -> None:
    """Two nexuses in one program share nothing but code."""
    assert mutable_state(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "module, source, complaint",
    [
        ("events", "from .errors import X", None),
        ("events", "import asyncio", None),
        ("nexus", "from async_nexus import Event", "imports the package root"),
        ("nexus", "from . import events", "imports the package root"),
        ("routes", "from .turns import X", "routes imports turns"),
        ("events", "def f():\n    import async_nexus.nexus", "events imports nexus"),
        ("mypy", "from .errors import X", "mypy imports errors"),
        ("nexus", "from .mypy import X", "nexus imports mypy"),
        ("cli/main", "from .options import X\nfrom ..schema.bundle import Y", None),
        ("testing/clock", "from ..schema import X", "testing imports schema"),
    ],
)
def test_the_layering_rule_itself(module: str, source: str, complaint: str | None) -> None:
    """The check sees relative, absolute and local imports, and allows those that are right."""
    found = upward_imports(ROOT / f"{module}.py", source)
    assert len(found) == (complaint is not None)
    assert complaint is None or complaint in found[0]


@pytest.mark.parametrize(
    "source, state",
    [
        ("TABLE = {1: 2}", False),
        ("table: Final = [1]", False),
        ("T = TypeVar('T')", False),
        ("Key = int | str", False),
        ("__all__ = ['a']", False),
        ("table = [1]", True),
        ("CACHE = {}", True),
        ("_seen: Final[set[int]] = set()", True),
        ("IDS = itertools.count()", True),
        ("def f():\n    global x", True),
    ],
)
def test_the_state_rule_itself(source: str, state: bool) -> None:
    """Tables named as constants are allowed; whatever begins empty is there to be filled."""
    assert bool(mutable_state(source)) == state


def root_imports() -> list[ast.ImportFrom]:
    """What the root imports for checkers, and at run time when it is asked for."""
    (block,) = [
        node
        for node in ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    assert all(isinstance(node, ast.ImportFrom) and node.level == 1 for node in block.body)
    return [node for node in block.body if isinstance(node, ast.ImportFrom)]


def test_the_root_only_re_exports() -> None:
    """`__init__` holds a docstring, imports of its own modules for checkers, `__all__`, and the import at run time."""
    docstring, *body = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    imported = {alias.asname or alias.name for node in root_imports() for alias in node.names}
    kinds = [ast.unparse(node).partition("\n")[0].partition(" =")[0] for node in body]
    assert kinds == ["from typing import TYPE_CHECKING", "if TYPE_CHECKING:", "__all__", "if not TYPE_CHECKING:"]
    assert imported == set(importlib.import_module(PACKAGE).__all__)


def test_the_root_gives_at_run_time_what_checkers_see() -> None:
    """A name is the same object however it is imported."""
    package = importlib.import_module(PACKAGE)
    for node in root_imports():
        home = importlib.import_module(f"{PACKAGE}.{node.module}" if node.module else PACKAGE)
        assert [
            alias.name for alias in node.names if getattr(package, alias.name) is not getattr(home, alias.name)
        ] == []


def say(program: str) -> str:
    """Run a program in an interpreter that has imported nothing yet, and return what it prints."""
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_name_costs_the_import_of_its_own_module_only() -> None:
    """What is not asked for is not imported."""
    program = "import sys\nfrom async_nexus import {}\nprint(*[m for m in sys.modules if m.startswith('async_nexus.')])"
    assert say(program.format("Event")) == "async_nexus.events"
    nexus = say(program.format("AsyncEventNexus")).split()
    assert "async_nexus.nexus" in nexus
    assert not {"async_nexus.boundaries", "async_nexus.dead_letters", "async_nexus.timers"} & {*nexus}


def test_annotations_make_no_event_classes() -> None:
    """Pydantic takes a millisecond for each `Event[P]` that is evaluated: those in annotations are strings."""
    program = (
        "import async_nexus.nexus\nfrom async_nexus import Event, NamedEvent\n"
        "print(*sorted(c.__name__ for e in (Event, NamedEvent) for c in e.__subclasses__()))"
    )
    assert say(program) == "Event[Any] NamedEvent"


def test_the_root_has_no_other_names() -> None:
    """What is not exported is an `AttributeError`, as for any module."""
    with pytest.raises(AttributeError, match="'async_nexus' has no attribute 'no_such_name'"):
        _ = importlib.import_module(PACKAGE).no_such_name


def test_every_exported_name_exists() -> None:
    """`from async_nexus import *` gives each name of `__all__`, once."""
    package = importlib.import_module(PACKAGE)
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    assert len(package.__all__) == len(set(package.__all__))


def test_every_exported_name_is_shown() -> None:
    """`dir` lists what is exported, also what nothing has asked for yet."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent.name != "mypy"], ids=lambda p: dotted_name(p))
def test_modules_export_what_they_have(path: Path) -> None:
    """Where a module has an `__all__`, each name in it exists."""
    module = importlib.import_module(dotted_name(path))
    assert [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)] == []
