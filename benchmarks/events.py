"""The event that the works send: its raw payload, its model, its key."""

from typing import Any, Final

from pydantic import BaseModel

KEY: Final = 99


class Reading(BaseModel):
    temp: float
    name: str
    tags: list[str]


def raw_payload() -> dict[str, Any]:
    """Make the payload as it comes from outside."""
    return {"temp": 1.5, "name": "x", "tags": ["a", "b"]}
