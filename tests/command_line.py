"""What tests of the command line share: the head of every program, and the types of their fixtures."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import async_nexus

HEAD = """
from typing import Any
from pydantic import BaseModel
from async_nexus import *

class Teapot(BaseModel):
    temp: int

class Brew(NamedEvent[Teapot], type=99): ...
class Pour(NamedEvent[str]): ...

nexus = AsyncEventNexus()
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Program: TypeAlias = Callable[..., str]
"""Writes a program and returns its target."""

Command: TypeAlias = Callable[..., Outcome]
"""Runs a command in this process."""


def environment() -> dict[str, str]:
    """The environment of a process that finds the package under test, and leaves no compiled files."""
    return os.environ | {"PYTHONPATH": str(Path(async_nexus.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
