"""Event classes: their keys, their constructors."""

from enum import Enum
from typing import Any, Final, Generic, TypeVar, assert_type

from pydantic import BaseModel

from async_nexus import AsyncEventNexus, NamedEvent

P = TypeVar("P")
HALF: Final = 0.5
SEVEN: Final = 7


class Plain(Enum):
    TEA = 1


class Pot(BaseModel):
    temp: int


class Half(NamedEvent[int], type=1.5): ...  # E: nexus-key


class Yes(NamedEvent[int], type=True): ...  # E: nexus-key


class Raw(NamedEvent[int], type=b"raw"): ...  # E: nexus-key


class Pair(NamedEvent[int], type=(1, 2)): ...  # E: nexus-key


class NotMixed(NamedEvent[int], type=Plain.TEA): ...  # E: nexus-key


class HalfByName(NamedEvent[int], type=HALF): ...  # E: nexus-key


class Seven(NamedEvent[int], type=SEVEN): ...


class Explicit(NamedEvent[int], type=None): ...


def choose() -> int:
    return 3


class Chosen(NamedEvent[int], type=choose()): ...


class Outer:
    class Inner(NamedEvent[str]): ...

    def method(self) -> None:
        class Local(NamedEvent[str]): ...

        nexus = AsyncEventNexus[Local]()
        nexus.on("Outer.method.<locals>.Local")
        nexus.on("Local")  # E: nexus-key


def outer() -> None:
    class Local(NamedEvent[str]): ...

    async def inner() -> None:
        class Innermost(NamedEvent[str]):
            class Nested(NamedEvent[str]): ...

        nexus = AsyncEventNexus[Local | Innermost]()
        nexus.on("outer.<locals>.Local", "outer.<locals>.inner.<locals>.Innermost")
        nexus.on("Innermost")  # E: nexus-key
        # A key that cannot be told makes no key undeclared.
        AsyncEventNexus[Local | Innermost.Nested]().on("Innermost")


nexus = AsyncEventNexus[Seven | Explicit | Outer.Inner]()
nexus.on(7, "Explicit", "Outer.Inner")
nexus.on("Inner")  # E: nexus-key
AsyncEventNexus[Seven | Chosen]().on(3, 4)


# Subclasses have keys of their own.
class Base(NamedEvent[P], Generic[P], type=50): ...


class Sub(Base[int]): ...


class SameKey(Seven, type=7): ...


AsyncEventNexus[Sub]().on("Sub")
AsyncEventNexus[Sub]().on(50)  # E: nexus-key


@AsyncEventNexus[Seven | SameKey]().on(7)
def of_the_subclass(event: SameKey) -> None: ...


class Computed(NamedEvent[P], Generic[P]):
    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(type=cls.__name__.lower(), **kwargs)


class ComputedEvent(Computed[int]): ...


AsyncEventNexus[ComputedEvent]().on("computedevent", "anything")


class Extended(NamedEvent[Pot]):
    source: str
    retries: int = 0


# pydantic's plugin alone would take anything here.
Seven(id=1, payload=1)
Seven(id=1, payload=1, priority=2, type=7)
Seven(id=1, payload="1")  # E: arg-type
Seven(id="1", payload=1)  # E: arg-type
Seven(id=1)  # E: call-arg
Extended(id=1, payload=Pot(temp=1), source="stove")
Extended(id=1, payload=Pot(temp=1), source=3)  # E: arg-type
Extended(id=1, payload={"temp": 1}, source="stove")  # E: arg-type
Base[int](id=1, payload=1)
Base[int](id=1, payload="1")  # E: arg-type
assert_type(Base(id=1, payload="1"), Base[str])
Renamed = Seven
Renamed(id=1, payload="1")  # E: arg-type
Numbers = Base[int]
Numbers(id=1, payload="1")  # E: arg-type
