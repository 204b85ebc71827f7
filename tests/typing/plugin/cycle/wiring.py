"""A nexus in a cycle of imports with its events."""

from async_nexus import AsyncEventNexus

from . import events, keys

nexus: "AsyncEventNexus[events.Brewed | events.Poured]" = AsyncEventNexus()


@nexus.on(7)
def brewed(event: "events.Brewed") -> None: ...


@nexus.on(keys.Code.POURED)  # E: nexus-handler
def poured(event: "events.Brewed") -> None: ...


nexus.on(keys.BREWED, 8)
nexus.on(9)  # E: nexus-key
