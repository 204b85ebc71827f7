"""A typed event framework for asyncio: sources, a nexus that validates, filters, handlers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors
    from .boundaries import AsyncEventBoundary
    from .catalog import Catalog
    from .consumers import EventConsumer, EventDiscarder, EventFanout
    from .dead_letters import DeadLetters
    from .errors import (
        AsyncNexusError,
        BadCall,
        Deadlock,
        Dropped,
        HandlerConflict,
        InvalidHandler,
        InvalidPayload,
        LoopAlreadyStarted,
        LoopStopped,
        MisconfiguredEventConsumer,
        MisconfiguredEventProducer,
        MultipleStart,
        NoMoreEvents,
        NotStarted,
        Overflow,
        SchemaConflict,
        TransportError,
        TransportUnavailable,
        UnhandledEvent,
    )
    from .events import AutoId, Event, EventFactory, EventType, NamedEvent, format_event_type, parse_event_type
    from .failures import FailedEvent
    from .journal import SqliteJournal
    from .lifecycle import State
    from .nexus import AsyncEventNexus
    from .queue import EventQueue
    from .sources import EventConverter, EventProducer, EventSource, SimpleEventConverter
    from .specs import EventSpec
    from .timers import Timer, TimerType
    from .transports.boundary import TransportBoundary

__all__ = [
    "AsyncEventBoundary",
    "AsyncEventNexus",
    "AsyncNexusError",
    "AutoId",
    "BadCall",
    "Catalog",
    "DeadLetters",
    "Deadlock",
    "Dropped",
    "Event",
    "EventConsumer",
    "EventConverter",
    "EventDiscarder",
    "EventFactory",
    "EventFanout",
    "EventProducer",
    "EventQueue",
    "EventSource",
    "EventSpec",
    "EventType",
    "FailedEvent",
    "HandlerConflict",
    "InvalidHandler",
    "InvalidPayload",
    "LoopAlreadyStarted",
    "LoopStopped",
    "MisconfiguredEventConsumer",
    "MisconfiguredEventProducer",
    "MultipleStart",
    "NamedEvent",
    "NoMoreEvents",
    "NotStarted",
    "Overflow",
    "SchemaConflict",
    "SimpleEventConverter",
    "SqliteJournal",
    "State",
    "Timer",
    "TimerType",
    "TransportBoundary",
    "TransportError",
    "TransportUnavailable",
    "UnhandledEvent",
    "errors",
    "format_event_type",
    "parse_event_type",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import what is exported when it is first asked for: `async-nexus --help` needs none of it."""
        from importlib import import_module

        # A module that nobody asks for is not imported; names that are in none of these are errors.
        homes = {
            "boundaries": ("AsyncEventBoundary",),
            "catalog": ("Catalog",),
            "consumers": ("EventConsumer", "EventDiscarder", "EventFanout"),
            "dead_letters": ("DeadLetters",),
            "events": (
                *("AutoId", "Event", "EventFactory", "EventType", "NamedEvent"),
                *("format_event_type", "parse_event_type"),
            ),
            "failures": ("FailedEvent",),
            "journal": ("SqliteJournal",),
            "lifecycle": ("State",),
            "nexus": ("AsyncEventNexus",),
            "queue": ("EventQueue",),
            "sources": ("EventConverter", "EventProducer", "EventSource", "SimpleEventConverter"),
            "specs": ("EventSpec",),
            "timers": ("Timer", "TimerType"),
            "transports.boundary": ("TransportBoundary",),
        }
        if name in __all__:
            home = next((home for home, names in homes.items() if name in names), "errors")
            module = import_module(f"{__name__}.{home}")
            globals()[name] = found = module if name == home else getattr(module, name)
            return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Show what is exported before it has been asked for."""
        return sorted({*globals(), *__all__})
