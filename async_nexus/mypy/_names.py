"""What the plugin knows of the package, by name: it imports nothing of it."""

from typing import Final

NEXUS: Final = "async_nexus.nexus.AsyncEventNexus"
INGRESS: Final = "async_nexus.ingress.Ingress"
FACTORY: Final = "async_nexus.events.EventFactory"
EVENT: Final = "async_nexus.events.Event"
NAMED_EVENT: Final = "async_nexus.events.NamedEvent"
QUEUE: Final = "async_nexus.queue.EventQueue"
CONSUMER: Final = "async_nexus.handlers.Consumer"
DECORATOR: Final = "async_nexus.signatures.OnEvent"
