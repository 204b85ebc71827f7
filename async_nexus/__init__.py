"""A typed event framework for asyncio: sources, a nexus that validates, filters, handlers."""

from . import errors
from .boundaries import AsyncEventBoundary
from .catalog import Catalog, EventSpec
from .consumers import EventConsumer, EventDiscarder, EventFanout
from .errors import (
    AsyncNexusError,
    BadCall,
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
    SchemaConflict,
    UnhandledEvent,
)
from .events import AutoId, Event, EventFactory, EventType, NamedEvent, format_event_type, parse_event_type
from .lifecycle import State
from .nexus import AsyncEventNexus
from .queue import EventQueue
from .sources import EventConverter, EventProducer, EventSource, SimpleEventConverter
from .timers import Timer, TimerType

__all__ = [
    "AsyncEventBoundary",
    "AsyncEventNexus",
    "AsyncNexusError",
    "AutoId",
    "BadCall",
    "Catalog",
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
    "SchemaConflict",
    "SimpleEventConverter",
    "State",
    "Timer",
    "TimerType",
    "UnhandledEvent",
    "errors",
    "format_event_type",
    "parse_event_type",
]
