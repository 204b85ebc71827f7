"""Keys of a declared domain: as literals, `Final` constants and members of enums."""
# ruff: noqa: PIE808, UP042

from enum import Enum, IntEnum, StrEnum, auto
from typing import Final, Literal

from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, NamedEvent


class Teapot(BaseModel):
    temp: int


class Code(IntEnum):
    TEAPOT = 99
    KETTLE = 98


class Name(StrEnum):
    TREACLE = "Treacle"
    BREW = auto()
    SPILL = auto()


class Mixed(str, Enum):
    MILK = "milk"


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class Treacle(NamedEvent[str]): ...


class Brew(NamedEvent[int], type=Name.BREW): ...


class Milk(NamedEvent[int], type=Mixed.MILK): ...


class Counted(IntEnum):
    ONE = auto()
    TWO = auto()


class Foreign(NamedEvent[int]): ...


class One(NamedEvent[int], type=Counted.ONE): ...


TEAPOT: Final = 99
TREACLE: Final[str] = "Treacle"
KETTLE: Final = 98
COUNTED: Final = 90 + 9
MADE: Final = Code.TEAPOT
NOT_FINAL = 12345

nexus = AsyncEventNexus[TeapotEvent | Treacle | Brew | Milk]()

# Every way to write a key that is declared.
nexus.on(99)
nexus.on("Treacle", TEAPOT)
nexus.on(TREACLE, COUNTED, MADE)
nexus.on(Code.TEAPOT, Name.TREACLE, Name.BREW, "brew", "milk", Mixed.MILK)
nexus.on(Code.TEAPOT.value)
nexus.on(TeapotEvent.event_type, Brew.event_type)
nexus.on(Foreign.event_type)  # E: nexus-key

# And of one that is not.
nexus.on(98)  # E: nexus-key
nexus.on("99")  # E: nexus-key
nexus.on("treacle")  # E: nexus-key
nexus.on(KETTLE)  # E: nexus-key
nexus.on(Code.KETTLE)  # E: nexus-key
nexus.on(Name.SPILL)  # E: nexus-key
nexus.on(99, -7)  # E: nexus-key
nexus.on(-TEAPOT)  # E: nexus-key
nexus.on(True)  # E: nexus-key

# The default handler, ranges that hold a declared key, and one that holds none.
nexus.on(-1)
nexus.on((50, 150))
nexus.on(range(99, 100), range(0, 100, 3))
nexus.on((100, 199))  # E: nexus-key
nexus.on(range(0, 99))  # E: nexus-key

# A member whose value mypy does not know is equal to itself; whether it is equal to others cannot be told.
counted = AsyncEventNexus[Treacle | One]()
counted.on(Counted.ONE, "Treacle")
counted.on(Counted.TWO, 1, 98)
counted.add_handler(Counted.ONE, lambda event: print(event.payload + "1"))  # E: operator


def any_event(event: Event) -> None: ...


nexus.add_handler("treacle", any_event)  # E: nexus-key
nexus.add_handler(type=Code.KETTLE, handler=any_event)  # E: nexus-key
nexus.add_handler(handler=any_event, type=Name.TREACLE)
nexus.declare(99, Teapot)
nexus.declare(98, Teapot)  # E: nexus-key
nexus.declare("Treacle", object)
nexus.declare("Treacle", int)  # E: nexus-payload
nexus.declare("Treacle", int | str)
nexus.create_event(Teapot(temp=1), event_type=KETTLE)  # E: nexus-key


async def keys_of_literal_types(
    right: Literal[99, "Treacle"], wrong: Literal[99, 97], code: Literal[Code.KETTLE], open: int | str
) -> None:
    nexus.on(right)
    nexus.on(wrong)  # E: nexus-key
    nexus.on(code)  # E: nexus-key
    # What is known only when it runs is left to the run.
    nexus.on(open)
    nexus.on(NOT_FINAL)
    await nexus.emit(open, 1)
    await nexus.emit("treacle", "sweet")  # E: nexus-key
    await nexus.emit(-1, "sweet")  # E: nexus-key
    await nexus.emit(event_type=98, payload="sweet")  # E: nexus-key
