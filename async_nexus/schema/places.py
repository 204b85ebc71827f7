"""Where in the source code a handler or a source was written."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..handlers import Handler

_PACKAGE: Final = str(Path(__file__).parents[1])


class Place(NamedTuple):
    """A file and a line in it, as far as they are known."""

    file: str | None = None
    line: int | None = None


NOWHERE: Final = Place()


def place_of_handler(handler: Handler) -> Place:
    """Return where a handler's function, or its consumer's class, begins."""
    function: Any = handler.given
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function):
        return _place_of_function(function)
    return place_of_class(function.__class__)


def place_of_class(cls: type) -> Place:
    """Return where a user's class begins; the classes of this package tell a user nothing."""
    try:
        file = inspect.getsourcefile(cls)
        if file is None or file.startswith(_PACKAGE):
            return NOWHERE
        return Place(file, inspect.findsource(cls)[1] + 1)
    except (OSError, TypeError):
        return NOWHERE


def _place_of_function(function: Callable[..., Any]) -> Place:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return NOWHERE if code is None else Place(code.co_filename, code.co_firstlineno)
