"""Handlers that do not fit what they are registered for."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import stamina
from teahouse import Samovar, SamovarEvent, Stray, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import AsyncEventNexus, Event, EventConsumer, EventQueue

Args = ParamSpec("Args")
OfTea = TypeVar("OfTea", bound=Event[Teapot])


def timed(function: Callable[Args, Awaitable[None]]) -> Callable[Args, Awaitable[None]]:
    @functools.wraps(function)
    async def wrapper(*args: Args.args, **kwargs: Args.kwargs) -> None:
        await function(*args, **kwargs)

    return wrapper


def another_class() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    async def first(event: Treacle) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def second(event: Treacle, queue: EventQueue[Tick]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    def third(event: Treacle) -> None: ...

    @nexus.on(Tick)  # E
    def fourth(event: TeapotEvent, queue: EventQueue[Tick]) -> None: ...


def another_payload() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    async def first(event: Event[str]) -> None: ...

    @nexus.on(Treacle)  # E
    async def second(event: Event[int | bytes], queue: EventQueue) -> None: ...

    @nexus.on(Tick)  # E
    async def third(event: Event[None]) -> None: ...


def narrower_payload() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    async def first(event: Event[Samovar]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def second(event: SamovarEvent, queue: EventQueue) -> None: ...

    @nexus.on(Tick)  # E
    async def third(event: Event[bool]) -> None: ...


def no_event_at_all() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    async def first(event: Teapot) -> None: ...

    @nexus.on(Treacle)  # E
    async def second(event: str, queue: EventQueue) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def third(queue: EventQueue, event: TeapotEvent) -> None: ...


def wrong_number_of_parameters() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    async def none() -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def three(event: TeapotEvent, queue: EventQueue, more: int) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def keyword(event: TeapotEvent, *, lid: bool) -> None: ...

    @nexus.on(TeapotEvent)  # E
    async def only_keyword(*, event: TeapotEvent) -> None: ...


def wrong_result() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    async def first(event: TeapotEvent) -> int:
        return 1

    @nexus.on(TeapotEvent)  # E
    def second(event: TeapotEvent) -> str:
        return event.payload.name

    @nexus.on(TeapotEvent)  # E
    async def third(event: TeapotEvent, queue: EventQueue) -> TeapotEvent:
        return event

    @nexus.on(TeapotEvent)  # E
    async def generator(event: TeapotEvent) -> AsyncIterator[Treacle]:
        yield Treacle(id=1, payload="golden")


def several_classes() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent, Treacle)  # E
    async def first(event: TeapotEvent) -> None: ...

    @nexus.on(TeapotEvent, Treacle)  # E
    async def second(event: Treacle, queue: EventQueue) -> None: ...

    @nexus.on(TeapotEvent, Treacle, Tick)  # E
    async def third(event: TeapotEvent | Treacle) -> None: ...

    @nexus.on(TeapotEvent, Treacle, Tick, SamovarEvent)  # E
    async def fourth(event: Event[Teapot] | Treacle) -> None: ...

    @nexus.on(TeapotEvent, SamovarEvent)  # E
    async def fifth(event: Event[Samovar]) -> None: ...


def members_of_a_union() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent, Treacle)
    async def either(event: TeapotEvent | Treacle) -> None:
        event.payload.upper()  # E
        if isinstance(event, TeapotEvent):
            event.payload.upper()  # E
        else:
            event.payload.temperature  # E


def undeclared_class() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Stray)  # E
    async def first(event: Stray) -> None: ...

    @nexus.on(TeapotEvent, Stray)  # E
    async def second(event: Event) -> None: ...

    async def third(event: Event) -> None: ...

    nexus.add_handler(Stray, third)  # E


def what_is_no_event_type() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Teapot)  # E
    async def first(event: Event) -> None: ...

    @nexus.on(TeapotEvent(id=1, payload=Teapot(name="Betty")))  # E
    async def second(event: Event) -> None: ...

    @nexus.on(1.5)  # E
    async def third(event: Event) -> None: ...

    @nexus.on(None)  # E
    async def fourth(event: Event) -> None: ...

    @nexus.on((1, "9"))  # E
    async def fifth(event: Event) -> None: ...

    @nexus.on((1, 2, 3))  # E
    async def sixth(event: Event) -> None: ...

    @nexus.on([98, 99])  # E
    async def seventh(event: Event) -> None: ...

    @nexus.on(99, TeapotEvent)  # E
    async def eighth(event: Event) -> None: ...

    @nexus.on(Event)  # E
    async def ninth(event: Event) -> None: ...


def what_is_no_handler() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.on(TeapotEvent)(None)  # E
    nexus.on(TeapotEvent)("brew")  # E
    nexus.add_handler(TeapotEvent, None)  # E
    nexus.add_handler(TeapotEvent, Teapot(name="Betty"))  # E
    nexus.add_handler(99, "brew")  # E
    nexus.default(3)  # E
    nexus.add_filter(None)  # E


def plain_keys() -> None:
    nexus = AsyncEventNexus()

    @nexus.on(99)  # E
    async def three(event: Event, queue: EventQueue, more: int) -> None: ...

    @nexus.on("brew")  # E
    async def result(event: Event) -> int:
        return 1

    @nexus.on(range(3))  # E
    async def none() -> None: ...


def the_payload_inside() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)
    async def brew(event: TeapotEvent) -> None:
        event.payload.temprature  # E
        print(event.payload + 1)  # E
        name: int = event.payload.name  # E
        print(name)


async def decorated_functions_keep_their_type() -> None:
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(TeapotEvent)
    @nexus.on(SamovarEvent)
    async def brew(event: Event[Teapot], queue: EventQueue[Tick]) -> None: ...

    await brew(Treacle(id=1, payload="golden"), EventQueue())  # E
    await brew(TeapotEvent(id=1, payload=Teapot(name="Betty")))  # E
    await brew(TeapotEvent(id=1, payload=Teapot(name="Betty")), 3)  # E

    @nexus.default
    def rest(event: Event) -> None: ...

    rest()  # E
    rest("brew")  # E

    @nexus.on(Treacle)
    async def pour(event: Treacle) -> None: ...

    pour(Treacle(id=1, payload="golden"))  # E
    pour.title  # E


def forgiving(handler: Callable[[Treacle], None]) -> Callable[[Treacle], None]:
    return handler


class GoldenTreacle(Treacle): ...


def positional_only() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Treacle)  # E
    def narrower(event: GoldenTreacle, /) -> None: ...

    @nexus.on(Treacle, Tick)  # E
    async def one_of_two(event: Treacle, /) -> None: ...

    @nexus.on(Treacle)  # E
    async def another_queue(event: Treacle, queue: EventQueue[Stray], /) -> None: ...

    @nexus.on(Treacle)  # E
    def result(event: Treacle, /) -> int:
        return 1

    @nexus.on(Tick)  # E
    @forgiving
    def another(event: Treacle) -> None: ...

    @nexus.default  # E
    @forgiving
    def rest(event: Treacle) -> None: ...

    @nexus.on(Treacle)
    @nexus.on(Treacle)
    def pour(event: Treacle) -> None: ...

    pour(Tick(id=1, payload=1))  # E
    pour()  # E


def stacked() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Treacle)  # E
    @nexus.on(TeapotEvent)
    async def brew(event: TeapotEvent) -> None: ...


def stacked_below() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.default  # E
    @nexus.on(Treacle)
    async def pour(event: Treacle) -> None: ...


def add_handler() -> None:
    nexus = AsyncEventNexus[Tea]()

    async def pour(event: Treacle) -> None: ...
    async def count(event: Tick, queue: EventQueue[Treacle]) -> None: ...
    async def number(event: TeapotEvent) -> int:
        return 1

    nexus.add_handler(TeapotEvent, pour)  # E
    nexus.add_handler(TeapotEvent, count)  # E
    nexus.add_handler(TeapotEvent, number)  # E
    nexus.add_handler(Tick)  # E
    nexus.add_handler(pour, Tick)  # E


def lambdas() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.add_handler(TeapotEvent, lambda event: print(event.payload.temprature))  # E
    nexus.add_handler(Treacle, lambda event, queue: queue.putt(event))  # E
    nexus.add_handler(Treacle, lambda: None)  # E
    nexus.add_handler(Treacle, lambda event, queue, more: None)  # E
    nexus.add_handler(Treacle, lambda event: event.payload.upper())  # E
    nexus.add_filter(lambda event: event.payload_size > 3)  # E


class Barista:
    def __init__(self, nexus: AsyncEventNexus[Tea]) -> None:
        nexus.add_handler(TeapotEvent, self.sweeten)  # E
        nexus.on(Treacle)(self.brew)  # E
        nexus.add_handler(TeapotEvent, Barista.brew)  # E
        nexus.add_handler(TeapotEvent, self.count)  # E
        nexus.on(Tick)(self.boil)  # E

    async def brew(self, event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...

    def sweeten(self, event: Event[str]) -> None: ...

    @staticmethod
    async def count(event: Tick) -> None: ...

    @classmethod
    async def boil(cls, event: Event[Teapot], queue: EventQueue) -> None: ...


class Counter:
    async def __call__(self, event: Tick, queue: EventQueue[Tick]) -> None: ...


def callable_objects() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.add_handler(TeapotEvent, Counter())  # E
    nexus.on(TeapotEvent)(Counter())  # E
    nexus.on(Tick)(Counter)  # E


async def brew_at(temperature: float, event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...


def partials() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.add_handler(Treacle, functools.partial(brew_at, 95.0))  # E: not mypy, pydantic (a partial takes anything)
    nexus.add_handler(TeapotEvent, functools.partial(brew_at, "hot"))  # E
    nexus.on(Treacle)(functools.partial(brew_at, 95.0))  # E: not mypy, pydantic (a partial takes anything)
    nexus.add_handler(TeapotEvent, functools.partial(brew_at))  # E: not mypy, pydantic (a partial takes anything)


def param_spec_decorators() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)  # E
    @timed
    async def first(event: Treacle, queue: EventQueue[Treacle]) -> None: ...

    @nexus.on(TeapotEvent)  # E
    @stamina.retry(on=OSError)
    async def second(event: Treacle) -> None: ...

    @nexus.on(TeapotEvent)  # E
    @stamina.retry(on=OSError)
    async def third(event: TeapotEvent) -> int:
        return 1

    @stamina.retry(on=OSError)
    async def fourth(event: Treacle, queue: EventQueue) -> None: ...

    nexus.add_handler(TeapotEvent, fourth)  # E


def bound_type_variable() -> None:
    nexus = AsyncEventNexus[Tea]()

    async def audit(event: OfTea, before: OfTea | None = None) -> None: ...

    nexus.add_handler(Treacle, audit)  # E: not pyrefly (it forgets the bound of a type variable)


class Teamaker(EventConsumer[TeapotEvent]):
    async def handle(self, event: TeapotEvent, queue: EventQueue[Any], /) -> None: ...


class Listener:
    async def handle(self, event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...


class Deaf:
    def listen(self, event: Event, queue: EventQueue) -> None: ...


class Short:
    async def handle(self, event: Event) -> None: ...


def consumers() -> None:
    nexus = AsyncEventNexus[Tea]()
    nexus.add_handler(Treacle, Teamaker())  # E
    nexus.add_handler(Treacle, Listener())  # E
    nexus.add_handler(TeapotEvent, Deaf())  # E
    nexus.add_handler(TeapotEvent, Short())  # E
    nexus.add_handler(TeapotEvent, Teamaker)  # E
    nexus.on(TeapotEvent)(Deaf())  # E


class Unfinished(EventConsumer[TeapotEvent]): ...


class Mistaken(EventConsumer[TeapotEvent]):
    async def handle(self, event: Treacle, queue: EventQueue, /) -> None: ...  # E


class Blocking(EventConsumer[TeapotEvent]):
    def handle(self, event: TeapotEvent, queue: EventQueue, /) -> None: ...  # E


def unfinished_consumer() -> None:
    Unfinished()  # E


def default_handlers() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.default  # E
    async def first(event: TeapotEvent) -> None: ...

    @nexus.default  # E
    async def second(event: Event[str], queue: EventQueue) -> None: ...

    @nexus.default  # E
    async def third() -> None: ...

    @nexus.default  # E
    async def fourth(event: Event) -> int:
        return 1


def default_of_any_nexus() -> None:
    nexus = AsyncEventNexus()

    @nexus.default  # E
    async def rest(event: TeapotEvent) -> None: ...


def filters() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.filter  # E
    async def no_answer(event: Event) -> None: ...

    @nexus.filter  # E
    def text(event: Event) -> str:
        return "yes"

    @nexus.filter  # E
    async def narrow(event: TeapotEvent) -> bool:
        return True

    @nexus.filter  # E
    async def narrow_payload(event: Event[str], queue: EventQueue) -> bool:
        return True

    @nexus.filter  # E
    async def three(event: Event, queue: EventQueue, more: int) -> bool:
        return True

    async def missing(event: Event) -> None: ...
    def number(event: Event, queue: EventQueue) -> float:
        return 1.0

    nexus.add_filter(missing)  # E
    nexus.add_filter(number)  # E
    nexus.add_filter(lambda event: None)  # E

    @nexus.filter()  # E
    async def called(event: Event) -> bool:
        return True


def filter_with_retry() -> None:
    nexus = AsyncEventNexus[Tea]()

    @nexus.filter  # E
    @stamina.retry(on=OSError)
    async def known(event: Tick) -> bool:
        return True
