"""What tests of programs built on async_nexus need: an event loop on virtual time."""

from async_nexus.testing.virtual_time import Deadlock, VirtualTimeLoop, run

__all__ = ["Deadlock", "VirtualTimeLoop", "run"]
