"""Finds the nexus that a command is about: `module:attribute`, as web servers find their application."""

import ast
import importlib
import inspect
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import click

from ..lifecycle import State
from ..nexus import AsyncEventNexus
from .failures import TargetFailed


@dataclass(frozen=True, slots=True)
class Target:
    """A nexus, what it is called, and where: `names` has the names of other nexuses of its module too."""

    nexus: AsyncEventNexus[Any]
    name: str
    file: str | None
    line: int | None
    names: Mapping[int, str]


def load(text: str) -> Target:
    """Import `module:attribute` and return its nexus, or that which its function returns.

    Raises `ClickException` for what is no such thing, `TargetFailed` for what the module itself raised.
    """
    module_name, colon, attribute = text.partition(":")
    if not (colon and all(module_name.split(".")) and all(attribute.split("."))):
        raise click.ClickException(f"a target is module:attribute, such as app:nexus, not {text!r}")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _import(module_name)
    nexus = _nexus(_attribute(module, attribute, text), text)
    name = attribute.rpartition(".")[2]
    names = {id(each): key for key, each in vars(module).items() if _is_nexus(each)}
    return Target(nexus, name, module.__file__, _line_of(module, attribute), {**names, id(nexus): name})


def load_to_run(text: str) -> AsyncEventNexus[Any]:
    """Load for a command that has events handled, which a nexus does once in its life."""
    nexus = load(text).nexus
    if nexus.state is not State.READY:
        raise click.ClickException(
            f"{text} cannot be run, it is {nexus.state} already: its module must neither start nor stop it on import"
        )
    return nexus


def load_to_describe(text: str) -> Target:
    """Load for a command whose stdout holds a document and nothing else: what the module prints goes to stderr."""
    with redirect_stdout(sys.stderr):
        return load(text)


@contextmanager
def _users_code() -> Generator[None]:
    """Tell what the user's own code raises from errors of use; Ctrl-C is neither."""
    try:
        yield
    except (click.ClickException, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise TargetFailed(error) from None


def _import(name: str) -> ModuleType:
    with _users_code():
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Only the target itself is the command's business; a module that it misses is its own.
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
    hint = f": write {name.removesuffix('.py').replace('/', '.')}" if name.endswith(".py") else ""
    raise click.ClickException(f"there is no module {name!r} to import from here{hint}")


def _attribute(module: ModuleType, path: str, text: str) -> object:
    with _users_code():  # that of properties, and of a module's `__getattr__`
        try:
            return attrgetter(path)(module)
        except AttributeError:
            raise click.ClickException(f"{text}: {module.__name__!r} has no attribute {path!r}") from None


def _nexus(found: object, text: str) -> AsyncEventNexus[Any]:
    if _is_nexus(found):
        return found
    if not callable(found):
        raise click.ClickException(f"{text} is no nexus and no function that returns one, but {_kind(found)}")
    with _users_code():
        try:
            inspect.signature(found).bind()
        except TypeError as error:
            raise click.ClickException(f"{text} cannot be called without arguments: {error}") from None
        except ValueError:
            pass  # a signature that cannot be read
        made: object = found()
    if inspect.iscoroutine(made):
        made.close()
    if not _is_nexus(made):
        raise click.ClickException(f"{text} returned no nexus, but {_kind(made)}")
    return made


def _is_nexus(found: object) -> TypeGuard[AsyncEventNexus[Any]]:
    return isinstance(found, AsyncEventNexus)


def _kind(found: object) -> str:
    return "None" if found is None else f"{type(found).__name__!r}"


def _line_of(module: ModuleType, attribute: str) -> int | None:
    """Return the line where a module binds a name, for findings that have no place of their own."""
    name = attribute.partition(".")[0]
    try:
        tree = ast.parse(Path(module.__file__ or "").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=bound) if bound == name:
                return node.lineno
            case ast.Assign(targets=[ast.Name(id=bound)]) | ast.AnnAssign(target=ast.Name(id=bound)) if bound == name:
                return node.lineno
            case ast.ImportFrom(names=names) if any(name in (each.asname, each.name) for each in names):
                return node.lineno
            case _:
                continue
    return 1
