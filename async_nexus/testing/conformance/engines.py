"""What the suite has to know of an engine: how its transport is made, and how to bring trouble on it."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Literal, Protocol, TypeAlias

from pydantic import JsonValue

from ...transports import Transport

SECRET: Final = "n0t-t0-be-sh0wn"  # it opens nothing
"""Goes into `Engine.refused` as the password, which the suite looks for in all that is shown of the refusal."""

Arguments: TypeAlias = Mapping[str, JsonValue]
Need: TypeAlias = Literal["processes", "refusal", "room", "server"]
"""What a claim needs of an engine, beyond a transport."""


class Server(Protocol):
    """A server that belongs to the suite alone."""

    @property
    def arguments(self) -> Arguments:
        """What a transport is made with to reach it."""
        ...

    def kill(self) -> None:
        """End it as SIGKILL does, and return when it has ended."""
        ...

    def restart(self) -> None:
        """Start it again at the same address with what it has on disk, and return when it answers."""
        ...


class Room(Protocol):
    """An engine that belongs to the suite alone, and whose room can be taken away."""

    @property
    def arguments(self) -> Arguments:
        """What a transport is made with to reach it."""
        ...

    def fill(self) -> None:
        """Take room away: when 16 MB more have been published at the latest, the engine refuses to take anything."""
        ...

    def free(self) -> None:
        """Give the room back, and return when the engine can take messages again."""
        ...


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How to get at an engine; what it lacks is left out here, and named in `TransportConformance.without`."""

    factory: str
    """What makes a transport, written as in an entry point, with a colon after the module: processes import it."""
    arguments: Arguments = field(default_factory=dict[str, JsonValue])
    """Its keyword arguments."""
    processes: bool = True
    """Whether transports that are made alike carry messages to each other, also between processes."""
    refused: Arguments | None = None
    """Arguments under which connecting is refused; a password in them is `SECRET`."""
    server: Callable[[], AbstractContextManager[Server]] | None = None
    """Start a private server, and end it with the block."""
    room: Callable[[], AbstractContextManager[Room]] | None = None
    """Start a private engine whose room can be taken away, and end it with the block."""
    forget: Callable[[str], Awaitable[None]] | None = None
    """Delete a channel from the engine that `arguments` reach; called when a claim is done with it."""

    def has(self, need: Need) -> bool:
        """Whether claims that need this apply."""
        match need:
            case "processes":
                return self.processes
            case "refusal":
                return self.refused is not None
            case "room":
                return self.room is not None
            case "server":
                return self.server is not None

    def make(self, arguments: Arguments | None = None) -> Transport:
        """Make a transport that is not connected yet."""
        return make_transport(self.factory, self.arguments if arguments is None else arguments)


def make_transport(factory: str, arguments: Arguments) -> Transport:
    """Make a transport by what `module:name` names."""
    module, _, name = factory.partition(":")
    make: Callable[..., Any] = getattr(import_module(module), name)
    transport: Transport = make(**arguments)
    return transport
