"""Handlers that fit: every shape, and every supertype of what they are registered for."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, assert_type

import stamina
from pydantic import BaseModel
from teahouse import Samovar, SamovarEvent, Tea, Teapot, TeapotEvent, Tick, Treacle

from async_nexus import AsyncEventNexus, Event, EventConsumer, EventQueue, FailedEvent, NamedEvent

Args = ParamSpec("Args")
AnyEvent = TypeVar("AnyEvent", bound=Event[Any])


def timed(function: Callable[Args, Awaitable[None]]) -> Callable[Args, Awaitable[None]]:
    """A decorator of a user's that keeps parameters."""

    @functools.wraps(function)
    async def wrapper(*args: Args.args, **kwargs: Args.kwargs) -> None:
        await function(*args, **kwargs)

    return wrapper


def event_and_queue() -> None:
    """Of a named event, with the queue."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)
    async def brew(event: TeapotEvent, queue: EventQueue[Treacle]) -> None:
        assert_type(event.payload, Teapot)
        await queue.put(Treacle(id=1, payload=event.payload.name))


def event_alone() -> None:
    """Without the queue."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Treacle)
    async def pour(event: Treacle) -> None:
        assert_type(event.payload, str)


def plain_function() -> None:
    """Not async, with and without the queue."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Treacle)
    def pour(event: Treacle) -> None:
        print(event.payload.upper())

    @nexus.on(TeapotEvent)
    def brew(event: TeapotEvent, queue: EventQueue[Treacle]) -> None:
        queue.put_nowait(Treacle(id=1, payload=event.payload.name))


def any_event() -> None:
    """A handler of any event handles this one."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(TeapotEvent)
    async def first(event: Event, queue: EventQueue) -> None: ...

    @nexus.on(TeapotEvent)
    async def second(event: Event[Any]) -> None: ...

    @nexus.on(TeapotEvent)
    async def third(event: NamedEvent[Any]) -> None: ...

    @nexus.on(TeapotEvent)
    async def fourth(event: Any) -> None: ...

    @nexus.on(TeapotEvent)
    async def fifth(event: object) -> None: ...


def event_of_the_payload() -> None:
    """`Event[Teapot]` is wider than the named event of a teapot."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(TeapotEvent)
    async def brew(event: Event[Teapot]) -> None:
        assert_type(event.payload, Teapot)

    @nexus.on(TeapotEvent)
    async def serve(event: NamedEvent[Teapot]) -> None: ...


def payload_of_a_base_class() -> None:
    """Events are covariant in their payload: a samovar is a teapot."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(SamovarEvent)
    async def brew(event: Event[Teapot]) -> None: ...

    @nexus.on(SamovarEvent)
    async def boil(event: Event[BaseModel], queue: EventQueue[SamovarEvent]) -> None: ...

    @nexus.on(SamovarEvent)
    async def look(event: Event[object]) -> None: ...


def union_of_payloads() -> None:
    """A handler of more payloads than come."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Treacle)
    async def take(event: Event[str | int | None]) -> None: ...


def union_for_one_member() -> None:
    """A handler of a union is a handler of each member."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Treacle)
    async def take(event: Treacle | TeapotEvent) -> None: ...


def several_classes() -> None:
    """One handler for two, three and four classes."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(TeapotEvent, Treacle)
    async def two(event: TeapotEvent | Treacle) -> None:
        assert_type(event.payload, Teapot | str)

    @nexus.on(TeapotEvent, Treacle, Tick)
    async def three(event: TeapotEvent | Treacle | Tick, queue: EventQueue[Tick]) -> None: ...

    @nexus.on(TeapotEvent, Treacle, Tick, SamovarEvent)
    async def four(event: Tea) -> None: ...

    @nexus.on(TeapotEvent, SamovarEvent)
    async def both_are_teapots(event: Event[Teapot]) -> None: ...


def narrowing() -> None:
    """`isinstance` and `match` tell the members of a union apart."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent, Treacle)
    async def either(event: TeapotEvent | Treacle) -> None:
        if isinstance(event, TeapotEvent):
            assert_type(event.payload.temperature, float)
        else:
            assert_type(event.payload, str)

    @nexus.on(Tick, SamovarEvent)
    async def matched(event: Tick | SamovarEvent) -> None:
        match event:
            case Tick():
                assert_type(event.payload, int)
            case SamovarEvent():
                assert_type(event.payload, Samovar)


def plain_keys() -> None:
    """Integers, strings, pairs and ranges, also in one call."""
    nexus = AsyncEventNexus()

    @nexus.on(99)
    async def number(event: Event[Teapot]) -> None: ...

    @nexus.on("brew", "stew", 17)
    async def several(event: Event[str], queue: EventQueue) -> None: ...

    @nexus.on((100, 199))
    async def pair(event: Event[Teapot]) -> None: ...

    @nexus.on(range(200, 300), 12)
    async def mixed(event: Event) -> None: ...


def decorators_stack() -> None:
    """The decorator gives back the type of the function, so that another one can follow."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Treacle)
    @nexus.on(Tick)
    @nexus.default
    async def take(event: Event) -> None: ...

    @nexus.on(TeapotEvent)
    @nexus.on(SamovarEvent)
    async def brew(event: Event[Teapot], queue: EventQueue[Tick]) -> None: ...

    takes: Callable[[Event[Any]], Awaitable[None]] = take
    brews: Callable[[SamovarEvent, EventQueue], Awaitable[None]] = brew
    print(takes, brews)


def forgiving(handler: Callable[[Treacle], None]) -> Callable[[Treacle], None]:
    """A decorator of a user's that drops the parameter's name."""
    return handler


def positional_only() -> None:
    """Exactly the event and the queue, by position alone."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(Treacle)
    def pour(event: Treacle, /) -> None: ...

    @nexus.on(Treacle)
    async def mix(event: Treacle, queue: EventQueue[Tea], /) -> None: ...

    @nexus.on(Treacle)
    async def stir(event: Treacle, queue: EventQueue[Tick], /) -> None: ...

    @nexus.on(Treacle, Tick)
    async def either(event: Treacle | Tick, queue: EventQueue, /) -> None: ...

    @nexus.on(Treacle)
    async def any_event(event: Event, queue: EventQueue[Tea], /) -> None: ...

    @nexus.default
    async def rest(event: Tea, /) -> None: ...

    @nexus.filter
    def known(event: Tea, queue: EventQueue[Tea], /) -> bool:
        return True


def callables() -> None:
    """What has the type `Callable`, whose parameters have no names."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(Treacle)
    @forgiving
    def pour(event: Treacle) -> None: ...

    def register(
        plain: Callable[[Treacle], Awaitable[None] | None], queued: Callable[[Treacle, EventQueue[Any]], Any]
    ) -> None:
        nexus.on(Treacle)(plain)
        nexus.on(Treacle)(queued)

    register(pour, lambda event, queue: None)


async def exact_handlers_of_two_nexuses() -> None:
    """One handler of exactly its event, in two nexuses: the type of the function stays."""
    kitchen, audit = AsyncEventNexus[Tea](), AsyncEventNexus()
    treacle = Treacle(id=1, payload="golden")

    @audit.on(Treacle)
    @kitchen.on(Treacle)
    def pour(event: Treacle) -> None: ...

    @AsyncEventNexus[Tea]().on(Tick, Treacle)
    @kitchen.on(Tick, Treacle)
    async def either(event: Tick | Treacle, queue: EventQueue[Tea]) -> None: ...

    @AsyncEventNexus[Tea]().default
    @kitchen.default
    async def rest(event: Tea) -> None: ...

    @audit.filter
    @AsyncEventNexus().filter
    def known(event: Event, queue: EventQueue) -> bool:
        return True

    pours: Callable[[Treacle], None] = pour
    rests: Callable[[Tea], Awaitable[None]] = rest
    print(pours, rests)
    await either(treacle, EventQueue[Tea]())
    assert_type(known(treacle, EventQueue()), bool)


def exact_handlers_of_two_errors() -> None:
    """A handler of failed events, for two errors."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on_error(KeyError)
    @nexus.on_error(OSError, ValueError)
    async def report(event: FailedEvent) -> None: ...

    @nexus.on_error(LookupError)
    @nexus.on_error(RuntimeError)
    def tell(event: FailedEvent, queue: EventQueue[Tea]) -> None: ...


async def decorated_functions_keep_their_results() -> None:
    """A decorated plain function is one still, and an async one too."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.filter
    def early(event: Event) -> bool:
        return event.priority < 0

    @nexus.filter
    async def late(event: Event, queue: EventQueue[Tick]) -> bool:
        return event.priority > 9

    treacle = Treacle(id=1, payload="golden")
    assert_type(early(treacle), bool)
    assert_type(await late(treacle, EventQueue()), bool)


async def decorated_functions_can_be_called() -> None:
    """Directly, as in a test of the handler."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(Treacle)
    async def take(event: Treacle, queue: EventQueue[Tick]) -> None: ...

    await take(Treacle(id=1, payload="golden"), EventQueue())


def add_handler_takes_functions() -> None:
    """The same without a decorator."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    async def brew(event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...
    async def pour(event: Event[Teapot]) -> None: ...
    def look(event: Event) -> None: ...

    nexus.add_handler(TeapotEvent, brew)
    nexus.add_handler(TeapotEvent, pour)
    nexus.add_handler(type=TeapotEvent, handler=look)


def lambdas() -> None:
    """A lambda's parameters get their types from the event class."""
    nexus = AsyncEventNexus[Tea](multiple=True)
    names: list[str] = []
    nexus.add_handler(TeapotEvent, lambda event: names.append(event.payload.name))
    nexus.add_handler(Treacle, lambda event, queue: queue.put_nowait(event))
    nexus.add_handler(Treacle, lambda event, queue: queue.put(event))
    nexus.add_filter(lambda event: event.priority > 3)
    nexus.add_filter(lambda event, queue: queue.empty() and event.id == 1)


def lambdas_of_plain_keys() -> None:
    """Under a plain key a lambda's event is any."""
    nexus = AsyncEventNexus()
    seen: list[object] = []
    nexus.add_handler(99, lambda event: seen.append(event.payload))
    nexus.add_handler((1, 5), lambda event, queue: seen.append((event, queue)))


class Barista:
    """Handlers that are methods."""

    def __init__(self, nexus: AsyncEventNexus[Tea]) -> None:
        nexus.add_handler(TeapotEvent, self.brew)
        nexus.on(Treacle)(self.sweeten)
        nexus.add_handler(Tick, self.count)
        nexus.on(SamovarEvent)(self.boil)
        nexus.add_filter(self.is_done)

    async def brew(self, event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...

    def sweeten(self, event: Event[str]) -> None: ...

    @staticmethod
    async def count(event: Tick) -> None: ...

    @classmethod
    async def boil(cls, event: Event[Teapot], queue: EventQueue) -> None: ...

    async def is_done(self, event: Event) -> bool:
        return event.id == 0


def methods() -> None:
    """Bound methods, static and class methods, by decorator and by `add_handler`."""
    Barista(AsyncEventNexus[Tea]())


class Counter:
    """Handles by being called."""

    async def __call__(self, event: Event[Teapot], queue: EventQueue[Tick]) -> None: ...


def callable_object() -> None:
    """An object with `__call__` is a function."""
    nexus = AsyncEventNexus[Tea](multiple=True)
    nexus.add_handler(TeapotEvent, Counter())
    nexus.on(TeapotEvent)(Counter())


async def brew_at(temperature: float, event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...


def partials() -> None:
    """A partial takes what is left."""
    nexus = AsyncEventNexus[Tea](multiple=True)
    nexus.add_handler(TeapotEvent, functools.partial(brew_at, 95.0))
    nexus.on(TeapotEvent)(functools.partial(brew_at, 80.0))


def param_spec_decorator() -> None:
    """Under a decorator that keeps parameters, by decorator and by `add_handler`."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(TeapotEvent)
    @timed
    async def brew(event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...

    @timed
    async def pour(event: Event[Teapot]) -> None: ...

    nexus.add_handler(TeapotEvent, pour)
    nexus.on(TeapotEvent)(pour)


def stamina_retry() -> None:
    """A handler that is tried again."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.on(TeapotEvent)
    @stamina.retry(on=OSError, attempts=3)
    async def brew(event: TeapotEvent) -> None: ...

    @nexus.on(TeapotEvent)
    @stamina.retry(on=OSError)
    async def pour(event: Event[Teapot], queue: EventQueue[Treacle]) -> None: ...

    @stamina.retry(on=OSError)
    async def fill(event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...

    nexus.add_handler(TeapotEvent, fill)


def parameters_with_defaults() -> None:
    """What has a default need not be given."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.on(TeapotEvent)
    async def brew(event: TeapotEvent, temperature: float = 95.0, *, lid: bool = True) -> None: ...


def generic_handler() -> None:
    """A handler that takes every event type there is."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    async def audit(event: AnyEvent, before: AnyEvent | None = None) -> None: ...

    nexus.add_handler(TeapotEvent, audit)
    nexus.add_handler(Treacle, audit)


class Sink(EventConsumer):
    """Consumes any event."""

    async def handle(self, event: Event, queue: EventQueue, /) -> None: ...


class Teamaker(EventConsumer[TeapotEvent]):
    """Consumes teapots."""

    async def handle(self, event: TeapotEvent, queue: EventQueue[Any], /) -> None:
        assert_type(event.payload, Teapot)


class Listener:
    """No subclass, but it can handle."""

    async def handle(self, event: TeapotEvent, queue: EventQueue[Treacle]) -> None: ...


def consumers() -> None:
    """Objects with `handle`, derived from `EventConsumer` or not."""
    nexus = AsyncEventNexus[Tea](multiple=True)
    nexus.add_handler(TeapotEvent, Teamaker())
    nexus.add_handler(TeapotEvent, Sink())
    nexus.add_handler(TeapotEvent, Listener())
    nexus.add_handler("brew", Sink())


def default_handlers() -> None:
    """A default handler takes whatever the domain holds."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    @nexus.default
    async def first(event: Event) -> None: ...

    @nexus.default
    async def second(event: Tea, queue: EventQueue[Tea]) -> None: ...

    @nexus.default
    def third(event: NamedEvent[Any]) -> None: ...

    @nexus.on(-1)
    async def fourth(event: Event) -> None: ...

    nexus.add_handler(-1, first)


def filters() -> None:
    """Async or plain, with the queue or without."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.filter
    async def first(event: Event) -> bool:
        return event.priority < 0

    @nexus.filter
    def second(event: Tea, queue: EventQueue[Treacle]) -> bool:
        return isinstance(event, Tick)

    async def third(event: Event, queue: EventQueue) -> bool:
        return False

    nexus.add_filter(third)
    nexus.add_filter(filter=third)


def filter_with_retry() -> None:
    """A filter under stamina's decorator."""
    nexus = AsyncEventNexus[Tea]()

    @nexus.filter
    @stamina.retry(on=OSError)
    async def known(event: Tea) -> bool:
        return True


def undeclared_domain() -> None:
    """A nexus that accepts any event takes handlers of any class."""
    nexus = AsyncEventNexus()

    @nexus.on(TeapotEvent)
    async def brew(event: TeapotEvent, queue: EventQueue) -> None:
        await queue.put(Treacle(id=1, payload="golden"))

    @nexus.default
    async def rest(event: Event) -> None: ...


def handlers_that_return_awaitables() -> None:
    """A plain function may give back what is to be awaited."""
    nexus = AsyncEventNexus[Tea](multiple=True)

    async def brew(event: TeapotEvent) -> None: ...

    def later(event: TeapotEvent) -> Awaitable[None]:
        return brew(event)

    nexus.add_handler(TeapotEvent, later)
    nexus.on(TeapotEvent)(later)
