"""The events that the programs of `accept` and `reject` are about."""

from typing import TypeAlias

from pydantic import BaseModel

from async_nexus import NamedEvent


class Teapot(BaseModel):
    name: str
    temperature: float = 20.0


class Samovar(Teapot):
    litres: float = 3.0


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class SamovarEvent(NamedEvent[Samovar], type=98): ...


class Treacle(NamedEvent[str]): ...


class Tick(NamedEvent[int], type=7): ...


class Stray(NamedEvent[bytes]):
    """An event that no domain here declares."""


Tea: TypeAlias = TeapotEvent | SamovarEvent | Treacle | Tick
