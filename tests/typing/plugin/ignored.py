"""Every error can be ignored by the name of its code."""

from async_nexus import AsyncEventNexus, Event, NamedEvent


class Teapot(NamedEvent[int], type=99): ...


class Half(NamedEvent[int], type=0.5): ...  # type: ignore[nexus-key] # on purpose


nexus = AsyncEventNexus[Teapot]()


@nexus.on(98)  # type: ignore[nexus-key] # on purpose
def undeclared(event: Event) -> None: ...


@nexus.on(99)  # type: ignore[nexus-handler] # on purpose
def other(event: Event[str]) -> None: ...


@nexus.on(99)  # type: ignore[nexus-duplicate] # on purpose
def second(event: Event) -> None: ...


async def main() -> None:
    await nexus.emit(99, "cold")  # type: ignore[nexus-payload] # on purpose
    await nexus.emit(99, 1)  # type: ignore[nexus-payload] # E: unused-ignore
