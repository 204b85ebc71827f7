"""Two handlers for one key in one module."""

import sys
from typing import Any, TypeAlias

from async_nexus import AsyncEventNexus, Event, NamedEvent


class Teapot(NamedEvent[int], type=99): ...


class Treacle(NamedEvent[str]): ...


Kitchen = Teapot | Treacle
TeapotAlias: TypeAlias = Teapot


def handler(event: Event) -> None: ...


nexus = AsyncEventNexus[Kitchen]()
many = AsyncEventNexus[Kitchen](multiple=True)
few: AsyncEventNexus[Kitchen] = AsyncEventNexus(multiple=False)
undeclared = AsyncEventNexus()


@nexus.on(99)
def first(event: Event) -> None: ...


@nexus.on("Treacle")
def of_another_key(event: Event) -> None: ...


@nexus.on(99)  # E: nexus-duplicate
def second(event: Event) -> None: ...


@nexus.on(Teapot)  # E: nexus-duplicate
def by_class(event: Event) -> None: ...


@few.on(99)
@few.on("Treacle")
def on_another_nexus(event: Event) -> None: ...


nexus.add_handler(99, handler)  # E: nexus-duplicate
nexus.add_handler(Treacle, handler)  # E: nexus-duplicate
# A range may hold a key that has a handler of its own, but no key of another range.
nexus.add_handler((50, 100), handler)
nexus.add_handler(range(100, 200), handler)  # E: nexus-key, nexus-duplicate
nexus.add_handler(range(60, 100), handler)  # E: nexus-duplicate
nexus.add_handler(-1, handler)
nexus.on(-1)(handler)  # E: nexus-duplicate
few.add_handler(type=99, handler=handler)  # E: nexus-duplicate

many.add_handler(99, handler)
many.add_handler(99, handler)
undeclared.add_handler(99, handler)
undeclared.add_handler(99, handler)

# A nexus that is new has no handlers.
nexus = AsyncEventNexus[Kitchen]()
nexus.add_handler(99, handler)


def called_later() -> None:
    nexus.add_handler(99, handler)  # E: nexus-duplicate


# What only one of two branches does is done once.
branches = AsyncEventNexus[Kitchen]()
if len(sys.argv) > 1:
    branches.add_handler(99, handler)
elif len(sys.argv) > 2:
    branches.add_handler(99, first)
else:
    branches.add_handler(99, second)
    branches.add_handler(99, second)  # E: nexus-duplicate
branches.add_handler("Treacle", handler)
match sys.argv:
    case []:
        branches.add_handler("Treacle", handler)  # E: nexus-duplicate
    case _:
        pass
try:
    branches.add_handler(-1, handler)
except ValueError:
    # A registration that raised has registered nothing.
    branches.add_handler(-1, first)
    branches.add_handler(-1, first)  # E: nexus-duplicate
    branches.add_handler("Treacle", handler)  # E: nexus-duplicate
else:
    branches.add_handler(-1, first)  # E: nexus-duplicate
    branches.add_handler((90, 99), handler)
finally:
    branches.add_handler((90, 99), handler)
branches.add_handler((1, 99), handler)  # E: nexus-duplicate
try:
    few.add_handler((90, 99), handler)
finally:
    few.add_handler((90, 99), handler)  # E: nexus-duplicate


async def local() -> None:
    async with AsyncEventNexus[Kitchen]() as inner:
        decorate = inner.on(99)
        decorate(handler)

        @inner.on(99)
        def one(event: Event) -> None: ...

        @inner.on(99)  # E: nexus-duplicate
        def two(event: Event) -> None: ...

    for each in (AsyncEventNexus[Kitchen](), AsyncEventNexus[Kitchen]()):
        each.add_handler(99, handler)
        each.add_handler(99, handler)


def given(nexus: AsyncEventNexus[Kitchen], keys: list[int]) -> None:
    # It may have been made with `multiple`.
    nexus.add_handler(99, handler)
    nexus.add_handler(99, handler)
    for key in keys:
        nexus.add_handler(key, handler)
        nexus.add_handler(key, handler)


class Owner:
    shared = AsyncEventNexus[Kitchen]()

    def __init__(self, multiple: bool) -> None:
        self.nexus = AsyncEventNexus[Kitchen]()
        self.other = AsyncEventNexus[Kitchen](multiple=multiple)

    def register(self) -> None:
        self.nexus.add_handler(99, self.handle)
        self.nexus.add_handler(99, handler)  # E: nexus-duplicate
        self.other.add_handler(99, handler)
        self.other.add_handler(99, handler)

    def handle(self, event: Event[Any]) -> None: ...

    @shared.on(99)
    @staticmethod
    def shared_first(event: Event[Any]) -> None: ...

    shared.on(99)(handler)  # E: nexus-duplicate


class Multiple(AsyncEventNexus[Kitchen]):
    def __init__(self) -> None:
        super().__init__(multiple=True)


class Single(AsyncEventNexus[Kitchen]): ...


of_subclass = Single()
of_subclass.add_handler(99, handler)
of_subclass.add_handler(99, handler)  # E: nexus-duplicate
Renamed: TypeAlias = AsyncEventNexus[Kitchen]
of_alias = Renamed()
of_alias.add_handler(99, handler)
of_alias.add_handler(TeapotAlias, handler)  # E: nexus-duplicate
while len(sys.argv) > 3:
    of_alias.add_handler("Treacle", handler)
    of_alias.add_handler("Treacle", handler)  # E: nexus-duplicate
of_multiple = Multiple()
of_multiple.add_handler(99, handler)
of_multiple.add_handler(99, handler)
