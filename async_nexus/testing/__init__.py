"""What tests of programs built on async_nexus need: virtual time, recordings, events drawn from the catalog."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .recording import Recording, record
    from .strategies import events_of, invalid_events_of, payloads_of
    from .virtual_time import Deadlock, VirtualTimeLoop, run

__all__ = [
    "Deadlock",
    "Recording",
    "VirtualTimeLoop",
    "events_of",
    "invalid_events_of",
    "payloads_of",
    "record",
    "run",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a name when it is asked for: strategies need Hypothesis, and plugins load before coverage begins."""
        from importlib import import_module

        homes = {"Recording": "recording", "record": "recording"}
        homes |= dict.fromkeys(("events_of", "invalid_events_of", "payloads_of"), "strategies")
        homes |= dict.fromkeys(("Deadlock", "VirtualTimeLoop", "run"), "virtual_time")
        if name not in homes:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{homes[name]}", __name__), name)
