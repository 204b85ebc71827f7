"""Whether nothing but the function that asks holds an object: then it may alter the object, or use it once more.

CPython counts references. Which counts say so is measured when this is imported: versions differ, and since 3.14 what
a caller holds in a variable may go uncounted (https://docs.python.org/3.14/whatsnew/3.14.html, on `Py_REFCNT`). Where a
count does not tell, none is ever equal to these.
"""

import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

count_references: Final[Callable[[object], int]] = getattr(sys, "getrefcount", lambda _: 0)

_NEVER: Final = -1


def _own() -> int:
    own = object()
    alone = count_references(own)
    holder = [own]
    return alone if alone < count_references(holder[0]) else _NEVER


async def _count_argument(given: object) -> int:
    return count_references(given)


def _argument() -> int:
    held = object()
    alone = _result(_count_argument(object()))
    return alone if alone < _result(_count_argument(held)) else _NEVER


def _result(coroutine: Coroutine[Any, Any, int]) -> int:
    """Run what does not wait."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: int = ended.value
        return result
    raise AssertionError("it waits")  # pragma: no cover


OWN: Final = _own()
"""The count of what only one variable of the function that asks holds."""
ARGUMENT: Final = _argument()
"""The count of what was given to the `async` function that asks, and nobody else holds."""
