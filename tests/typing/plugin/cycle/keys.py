"""Keys, imported by the events that they import."""

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .events import Brewed

BREWED: Final = 7


class Code(IntEnum):
    POURED = 8


def show(event: "Brewed") -> None: ...
