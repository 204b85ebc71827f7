"""Events in a cycle of imports with their keys and their nexus."""

from async_nexus import NamedEvent

from . import keys
from .keys import BREWED
from .wiring import nexus


class Brewed(NamedEvent[int], type=BREWED): ...


class Poured(NamedEvent[str], type=keys.Code.POURED): ...


def later() -> None:
    nexus.on(7, 8)
    nexus.on(9)  # E: nexus-key
