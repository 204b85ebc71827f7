"""Programs that the plugin meets seldom: it follows them or leaves them alone, and never fails."""
# ruff: noqa: F821, RUF034, UP007

from collections.abc import Callable
from typing import Any, ClassVar, Generic, Never, Self, TypeVar, Union

from async_nexus import AsyncEventNexus, Event, EventQueue, NamedEvent
from async_nexus import AsyncEventNexus as Renamed


class Teapot(NamedEvent[int], type=99): ...


class Treacle(NamedEvent[str]): ...


T = TypeVar("T")
E = TypeVar("E", bound=Event[Any])
Kitchen = Union[Teapot, Treacle]
KitchenNexus = AsyncEventNexus[Kitchen]
AnyNexus = TypeVar("AnyNexus", bound=AsyncEventNexus[Kitchen])


def of_treacle(event: Treacle) -> None: ...


# Names and shapes of the nexus.
KitchenNexus().on(98)  # E: nexus-key
Renamed[Kitchen]().on(98)  # E: nexus-key
AsyncEventNexus[Teapot]().on(98)  # E: nexus-key
(KitchenNexus() if len(__name__) else KitchenNexus()).on(98)  # E: nexus-key
[KitchenNexus()][0].add_handler(99, of_treacle)  # E: nexus-handler


def bound(nexus: AnyNexus) -> AnyNexus:
    # mypy asks no plugin about methods of type variables; `Self` is one.
    nexus.on(98)
    return nexus


def either(nexus: AsyncEventNexus[Teapot] | AsyncEventNexus[Treacle], optional: KitchenNexus | None) -> None:
    nexus.on(99)  # E: nexus-key
    if optional:
        optional.on(98)  # E: nexus-key
    optional.on(99)  # E: union-attr


class Subclass(AsyncEventNexus[Kitchen]):
    def __init__(self) -> None:
        super().__init__()
        self.on(98)  # E: nexus-key
        self.add_handler(99, self.brew)
        self.add_handler("Treacle", self.brew)  # E: nexus-handler

    async def brew(self, event: Teapot) -> None:
        await self.emit(99, "cold")  # E: nexus-payload
        await super().emit(99, "cold")

    def wired(self) -> Self:
        self.on(98)
        return self


class OtherParameter(AsyncEventNexus[Kitchen], Generic[T]):
    def __init__(self, extra: T) -> None:
        super().__init__()
        self.extra = extra


OtherParameter(3).on(98)  # E: nexus-key


class Overriding(AsyncEventNexus[Kitchen]):
    def on(self, *keys: int) -> Callable[[T], T]:  # type: ignore[override] # a method of its own
        return lambda function: function


Overriding().on(98)
Overriding().add_handler(98, of_treacle)  # E: nexus-key


class App:
    def __init__(self) -> None:
        self.nexus = AsyncEventNexus[Kitchen]()

        @self.nexus.on(98)  # E: nexus-key
        def nested(event: Event) -> None: ...

    @property
    def current(self) -> AsyncEventNexus[Kitchen]:
        return self.nexus

    def register(self) -> None:
        self.current.on(98)  # E: nexus-key
        self.nexus.on("Treacle")(self.brew)  # E: nexus-handler

    def brew(self, event: Teapot) -> None: ...

    @staticmethod
    def static(event: Treacle) -> None: ...

    @classmethod
    def of_class(cls, event: Treacle) -> None: ...


app = App()
app.nexus.add_handler("Treacle", app.brew)  # E: nexus-handler
app.nexus.add_handler(99, App.static)  # E: nexus-handler
app.nexus.add_handler(99, app.of_class)  # E: nexus-handler

# Arguments.
nexus = AsyncEventNexus[Kitchen](multiple=True)
keys = (98, 97)
arguments: dict[str, Any] = {}
nexus.on(*keys)
nexus.on(*(1, 3))
nexus.on(98, *keys)  # E: nexus-key
nexus.on()  # E: call-overload
nexus.on(1.5)  # E: call-overload
nexus.on(99, Treacle)  # E: call-overload
nexus.on((1, 2, 3))  # E: arg-type
nexus.on((5, 1))
nexus.on(range(5, 1))
nexus.on(range(10, 0, -1))
nexus.on([99])  # E: call-overload
nexus.on(None)  # E: call-overload
nexus.on(undefined)  # E: name-defined
nexus.on(nexus.on)  # E: call-overload
nexus.add_handler(99)  # E: call-overload
nexus.add_handler(*keys)  # E: call-overload
nexus.add_handler(**arguments)
nexus.add_handler(99, undefined)  # E: name-defined
nexus.add_handler(99, None)  # E: nexus-handler
nexus.add_handler(99, lambda: None)  # E: misc, arg-type
nexus.add_handler(99, lambda *args: None)
nexus.add_handler(99, (lambda event: None) if keys else of_treacle)
nexus.declare()  # E: call-overload
nexus.declare(99)  # E: call-overload
nexus.declare(99, list[int])
nexus.declare(99, undefined)  # E: name-defined
nexus.declare(Teapot, Treacle)
register = nexus.on
register(98)
decorate = nexus.on(99)
decorate(of_treacle)  # E: nexus-handler
decorate()  # E: call-overload
decorate(*keys)  # E: call-overload
decorate(lambda event: print(event.payload + 1))
nexus.on(key := 98)  # E: nexus-key


async def nothing(never: Never, any_nexus: Any, any_key: Any, queue: EventQueue[Any]) -> None:
    any_nexus.on(98)
    nexus.on(any_key)
    nexus.add_handler(any_key, of_treacle)
    nexus.add_handler(99, any_key)
    await nexus.emit(any_key, "x")
    await nexus.emit(99, any_key)
    await nexus.emit(99)  # E: call-overload
    await nexus.emit(*any_key)
    await nexus.ingest(any_key)
    await nexus.ingest(Event(1, 2, 3))  # E: call-arg, nexus-key
    await nexus.ingest(Event(1, any_key, 3, "x"))  # E: arg-type
    await nexus.ingest()  # E: call-arg
    await queue.put(Event(1, 98, 0, ""))
    nexus.on(never)


async def never_domain(nexus: AsyncEventNexus[Never]) -> None:
    nexus.on(98)
    nexus.add_handler(98, of_treacle)


def generic_function(nexus: AsyncEventNexus[E], event: E) -> None:
    nexus.on(98)


def unannotated(nexus):  # type: ignore[no-untyped-def] # untyped on purpose
    nexus.on(98)
    KitchenNexus().on(98)  # E: nexus-key


class Broken(Missing, NamedEvent[int]): ...  # E: name-defined, misc


class BrokenKey(NamedEvent[int], type=missing): ...  # E: name-defined


class Recursive(NamedEvent["list[Recursive]"]): ...


AsyncEventNexus[Broken | BrokenKey]().on(98)
AsyncEventNexus[Recursive]().on("recursive")  # E: nexus-key
AsyncEventNexus[Later]().on("later")  # E: nexus-key, used-before-def


class Later(NamedEvent[int]): ...


class OwnEventType(NamedEvent[int], type=5):
    event_type = 6


AsyncEventNexus[OwnEventType]().on(5)


class Annotated(NamedEvent[int], type=5):
    event_type: ClassVar[int] = 6


AsyncEventNexus[Annotated]().on(5)


class Both(Teapot, Treacle, type="both"): ...
