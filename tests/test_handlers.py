"""What may be a handler or a filter, how it is called, and what its annotation asks for."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Hashable, Iterable, Iterator
from typing import Annotated, Any, Generic, NewType, Protocol, TypeVar
from unittest.mock import create_autospec

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from async_nexus import AsyncEventNexus, Event, EventConsumer, EventFanout, EventQueue, InvalidHandler, NamedEvent
from async_nexus.annotations import Unresolvable, read_annotation
from async_nexus.handlers import Consumer, Handler, adapt, call, name_of


class Teapot(BaseModel):
    temp: int


class Treacle(BaseModel):
    sticky: bool


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class TreacleEvent(NamedEvent[Treacle], type="treacle"): ...


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function as decorators do."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Be a decorator whose wrapper is another module's function."""
    yield


async def takes_event(event: Event) -> str:
    """Be the simplest of handlers."""
    return "event"


async def takes_both(event: Event, queue: EventQueue) -> str:
    """Be a handler that may put secondary events."""
    return "both"


def plain(event: Event) -> str:
    """Be a handler that is not async."""
    return "event"


def plain_awaitable(event: Event) -> Awaitable[str]:
    """Return what can be awaited, without being async itself."""
    return takes_event(event)


def takes_config_too(config: str, event: Event, queue: EventQueue) -> str:
    """Be a handler once the first parameter is bound."""
    return config


class Methods:
    async def bound(self, event: Event) -> str:
        return "event"

    @classmethod
    def of_class(cls, event: Event, queue: EventQueue) -> str:
        return "both"

    @staticmethod
    async def static(event: Event) -> str:
        return "event"


class Callable1:
    async def __call__(self, event: Event) -> str:
        return "event"


class Callable2:
    def __call__(self, event: Event, queue: EventQueue) -> str:
        return "both"


class AConsumer(EventConsumer[Any]):
    async def handle(self, event: Event, queue: EventQueue, /) -> None: ...


class DuckConsumer:
    async def handle(self, event: Event, queue: Any) -> None: ...


event = Event(1, 99, 0, None)

GOOD: list[tuple[str, Any, bool, Any]] = [
    ("async of the event", takes_event, False, "event"),
    ("async of both", takes_both, True, "both"),
    ("plain", plain, False, "event"),
    ("plain that returns an awaitable", plain_awaitable, False, "event"),
    ("a task", lambda e: asyncio.ensure_future(takes_event(e)), False, "event"),
    ("lambda", lambda e: "event", False, "event"),
    ("lambda of both", lambda e, q: "both", True, "both"),
    ("a default does not count", lambda e, i="bound": i, False, "bound"),
    ("a third parameter with a default", lambda e, q, i="bound": i, True, "bound"),
    ("star args", lambda *args: len(args), True, 2),
    ("the event and star args", lambda e, *args: len(args), True, 1),
    ("both and star args", lambda e, q, *args: len(args), True, 0),
    ("keywords with defaults", lambda e, *, strength=3: strength, False, 3),
    ("any keywords", lambda e, **keywords: len(keywords), False, 0),
    ("bound method", Methods().bound, False, "event"),
    ("class method", Methods.of_class, True, "both"),
    ("static method", Methods.static, False, "event"),
    ("method of a built-in", [].append, False, None),
    ("built-in function", repr, False, repr(event)),
    ("callable object, async", Callable1(), False, "event"),
    ("callable object of both", Callable2(), True, "both"),
    ("partial", functools.partial(takes_config_too, "strong"), True, "strong"),
    ("partial by keyword", functools.partial(lambda e, q: q, q="bound"), False, "bound"),
    ("partial of an async function", functools.partial(takes_both, queue=EventQueue()), False, "both"),
    ("partial of a partial", functools.partial(functools.partial(takes_config_too, "strong")), True, "strong"),
    ("partial of a callable object", functools.partial(Callable1()), False, "event"),
    ("decorated", traced(takes_both), True, "both"),
    ("mock", create_autospec(takes_event, return_value="mocked"), False, "mocked"),
    ("consumer", AConsumer(), True, None),
    ("what has a `handle`", DuckConsumer(), True, None),
]


@pytest.mark.parametrize("given, takes_queue, result", [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
async def test_what_may_be_a_handler(given: Any, takes_queue: bool, result: Any) -> None:
    """D3: functions, methods, lambdas, partials, callables and consumers, of the event or of both."""
    handler = adapt(given)
    assert handler.given is given
    assert handler.takes_queue is takes_queue
    assert await call(handler, event, EventQueue()) == result


async def async_generator(event: Event) -> AsyncIterator[Event]:
    """Yield what should be put on the queue."""
    yield event


def generator(event: Event, queue: EventQueue) -> Iterator[Event]:
    """Yield what should be put on the queue."""
    yield event


class GeneratorObject:
    async def __call__(self, event: Event) -> AsyncIterator[Event]:
        yield event


class GeneratorConsumer:
    def handle(self, event: Event, queue: Any) -> Iterator[Event]:
        yield event


class NotCallableHandle:
    handle = 99


BAD: list[tuple[str, Any, str]] = [
    ("no parameter", lambda: None, "requires 0 positional parameters: .* takes \\(event\\) or \\(event, queue\\)"),
    ("a default only", lambda e=None: None, "requires 0 positional"),
    ("three", lambda a, b, c: None, "requires 3 positional"),
    ("three and star args", lambda a, b, c, *d: None, "requires 3 positional"),
    ("a keyword", lambda e, *, strength: None, "requires 1 positional parameters and the keywords strength"),
    ("star args and keywords", lambda *args, a, b: None, "and the keywords a, b"),
    ("bound away", functools.partial(takes_event, event), "requires 0 positional"),
    ("partial with too many", functools.partial(lambda e: None, *"ab"), "<lambda> has no signature .*incorrect"),
    ("async generator", async_generator, "async_generator has a `yield`: put secondary events on the queue instead"),
    ("generator", generator, "generator has a `yield`"),
    ("partial of an async generator", functools.partial(async_generator), "async_generator has a `yield`"),
    ("callable async generator", GeneratorObject(), "GeneratorObject has a `yield`"),
    ("consumer that yields", GeneratorConsumer(), "GeneratorConsumer has a `yield`"),
    ("a class", AConsumer, "AConsumer is a class: register an instance of it"),
    ("a class that can be called", int, "int is a class"),
    ("partial of a class", functools.partial(Teapot), "Teapot is a class"),
    ("generic class", list[int], "list (has no signature to read|requires 0 positional)"),
    ("no signature", max, "max has no signature to read .*wrap it in a function"),
    ("None", None, "None is no handler: a function of \\(event\\).* or an object with `async handle"),
    ("a number", 99, "99 is no handler"),
    ("an object", object(), "is no handler"),
    ("a handle that is no function", NotCallableHandle(), "is no handler"),
]


@pytest.mark.parametrize("given, message", [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_may_not_be_a_handler(given: Any, message: str) -> None:
    """D3: anything else raises `InvalidHandler` that says what was given, what is expected and what to do."""
    with pytest.raises(InvalidHandler, match=message):
        adapt(given)


def test_a_coroutine_is_no_handler() -> None:
    """D3: calling the handler by mistake, `add_handler(99, brew())`, is told at once."""
    coroutine = takes_event(event)
    with contextlib.closing(coroutine), pytest.raises(InvalidHandler, match=r"coroutine object .* is no handler"):
        adapt(coroutine)


@pytest.mark.parametrize("register", ["add_filter", "filter", "default"])
def test_filters_and_defaults_are_held_to_the_same(register: str) -> None:
    """D3: filters and default handlers that cannot be called are refused at registration too."""
    with pytest.raises(InvalidHandler, match="requires 0 positional"):
        getattr(AsyncEventNexus(), register)(lambda: True)


async def test_a_generator_based_awaitable_is_awaited() -> None:
    """D3: what a plain handler returns is awaited if it can be, also an object with `__await__`."""

    class Later:
        def __await__(self) -> Generator[Any, None, str]:
            yield from asyncio.sleep(0).__await__()
            return "later"

    assert await call(adapt(lambda e: Later()), event, EventQueue()) == "later"


def test_async_functions_are_known() -> None:
    """Dispatch need not ask what an async handler returns; that of a plain one it must."""
    assert adapt(takes_event).is_async
    assert adapt(Callable1()).is_async
    assert adapt(functools.partial(takes_both)).is_async
    assert adapt(AConsumer()).is_async
    assert not adapt(plain_awaitable).is_async


def test_handlers_have_the_name_of_what_was_given() -> None:
    """Messages call functions by their qualified names, other objects by those of their classes."""
    assert adapt(takes_event).name == "takes_event"
    assert adapt(Methods().bound).name == "Methods.bound"
    assert adapt(AConsumer()).name == "AConsumer"
    assert name_of(functools.partial(functools.partial(takes_both))) == "takes_both"


def test_consumers_are_told_by_their_handle() -> None:
    """D3: `Consumer` is what has a `handle`, whatever its base."""
    assert isinstance(DuckConsumer(), Consumer)
    assert not isinstance(takes_event, Consumer)


# Annotations

Payload = TypeVar("Payload")
Bound = TypeVar("Bound", bound=Event[Teapot])
BoundLate = TypeVar("BoundLate", bound="Event[Teapot]")
Unbound = TypeVar("Unbound")
EventOf = TypeAliasType("EventOf", Event[Payload], type_params=(Payload,))
Both = TypeAliasType("Both", Event[Teapot] | TreacleEvent)


class HasId(Protocol):
    @property
    def id(self) -> int: ...


def asks_for(annotation: Any) -> tuple[Any, ...] | None:
    """Read the annotation of a handler of this module."""

    def handler(event: Any) -> None: ...

    handler.__annotations__["event"] = annotation
    reading = read_annotation(adapt(handler))
    return None if reading is None else reading.members


@pytest.mark.parametrize(
    "annotation, members",
    [
        (Event[Teapot], (Event[Teapot],)),
        (TeapotEvent, (TeapotEvent,)),
        (TeapotEvent | TreacleEvent, (TeapotEvent, TreacleEvent)),
        (Annotated[TeapotEvent, "hot"], (TeapotEvent,)),
        (TeapotEvent | None, (TeapotEvent,)),
        (Event[None], (Event[None],)),
        (Event[Any] | TeapotEvent, None),
        (Bound, (Event[Teapot],)),
        (BoundLate, (Event[Teapot],)),
        (EventOf[Teapot], (Event[Teapot],)),
        (EventOf, None),
        (Both, (Event[Teapot], TreacleEvent)),
        ("TeapotEvent", (TeapotEvent,)),
        ("TeapotEvent | TreacleEvent", (TeapotEvent, TreacleEvent)),
        ("Event[Teapot]", (Event[Teapot],)),
        ("Event['Teapot']", (Event[Teapot],)),
        ("'TeapotEvent'", (TeapotEvent,)),
        (Event["Teapot"], (Event[Teapot],)),
        (Event["Teapot"] | TreacleEvent, (Event[Teapot], TreacleEvent)),
        (Event[list["Teapot"]], (Event[list[Teapot]],)),
        (Event[Callable[["Teapot"], None]], (Event[Callable[[Teapot], None]],)),
        (Annotated["TeapotEvent", "hot"], (TeapotEvent,)),
    ],
)
def test_what_annotations_ask_for(annotation: Any, members: tuple[Any, ...] | None) -> None:
    """C1: the annotation of the first parameter, written in any way, is read as the events that it takes."""
    assert asks_for(annotation) == members


@pytest.mark.parametrize(
    "annotation",
    [Event, Event[Any], EventOf, Any, object, BaseModel, Hashable, Iterable, Unbound, HasId, "Event", "Any"],
    ids=repr,
)
def test_annotations_that_take_any_event(annotation: Any) -> None:
    """C1: `Event`, `Event[Any]` and what is wider still claim nothing."""
    assert asks_for(annotation) is None


def test_no_annotation_asks_for_nothing() -> None:
    """C1: a lambda claims nothing, nor does a built-in."""
    assert read_annotation(adapt(lambda event: None)) is None
    assert read_annotation(adapt([].append)) is None
    assert read_annotation(adapt(lambda *args: None)) is None


def test_annotated_star_args() -> None:
    """C1: `*events: TeapotEvent` is annotated as well."""

    def handler(*events: TeapotEvent) -> None: ...

    reading = read_annotation(adapt(handler))
    assert reading is not None
    assert reading.members == (TeapotEvent,)


@pytest.mark.parametrize(
    "annotation, shown",
    [
        (Teapot, "Teapot"),
        (int | str, r"int \| str"),
        (list[Event[Teapot]], r"list\[.*Event\[Teapot\]\]"),
        ("Teapot", "Teapot"),
        (None, "None"),
        (NewType("Special", TeapotEvent), "Special"),
        (99, "99"),
        ("5", "5"),
    ],
    ids=repr,
)
def test_annotations_that_no_event_fits(annotation: Any, shown: str) -> None:
    """C2: an annotation that takes no event at all is refused, by parameter, expected and given."""
    with pytest.raises(
        InvalidHandler, match=rf"parameter 'event' is annotated .*{shown}, expected is an event such as"
    ):
        asks_for(annotation)


@pytest.mark.parametrize(
    "annotation",
    ["Sugar", "Event[Sugar]", Event["Sugar"], Event[list["Sugar"]], "Event[", "1/0", "Event.sugar", ""],  # type: ignore[name-defined] # noqa: F821 # cannot be found
    ids=repr,
)
def test_annotations_that_cannot_be_resolved(annotation: Any) -> None:
    """C2: they raise `InvalidHandler`, which says how to declare the payload instead."""
    with pytest.raises(Unresolvable, match=r"cannot be resolved .*nexus\.declare\(key, Payload\)") as caught:
        asks_for(annotation)
    assert isinstance(caught.value, InvalidHandler)
    assert "asks_for.<locals>.handler: parameter 'event' is annotated" in str(caught.value)


def test_an_unresolvable_annotation_under_a_declared_key() -> None:
    """C2: where the key has been declared, as the error says, it is not needed and does not matter."""

    def handler(event: "Sugar") -> None: ...  # type: ignore[name-defined] # noqa: F821 # cannot be found

    nexus = AsyncEventNexus()
    nexus.declare(99, Teapot)
    nexus.add_handler(99, handler)
    with pytest.raises(InvalidHandler):
        nexus.add_handler(98, handler)
    with pytest.raises(InvalidHandler):
        nexus.add_handler((100, 199), handler)


def test_an_unresolvable_annotation_that_claims_nothing_anyway() -> None:
    """C1: filters and default handlers claim nothing, so a name that is not found does no harm."""

    def handler(event: "Sugar") -> None: ...  # type: ignore[name-defined] # noqa: F821 # cannot be found
    def known(event: "Sugar") -> bool: ...  # type: ignore[name-defined, empty-body] # noqa: F821 # cannot be found

    nexus = AsyncEventNexus()
    nexus.default(handler)
    nexus.filter(known)
    assert dict(nexus.catalog) == {}


def test_classes_beside_the_handler_are_found() -> None:
    """C1: a string may name what is local to the functions that the handler is defined in."""

    class Sugar(BaseModel): ...

    def register(nexus: AsyncEventNexus) -> None:
        class Lump(BaseModel): ...

        @nexus.on("lump")
        async def lump(event: "Event[Lump]") -> None: ...

        @nexus.on("sugar")
        async def sugar(event: "Event[Sugar]") -> None: ...

        @nexus.on("methods")
        def method(event: "Event[Lump]") -> None: ...

        assert nexus.catalog["lump"].payload_type is Lump

    nexus = AsyncEventNexus()
    register(nexus)
    assert nexus.catalog["sugar"].payload_type is Sugar


def test_other_functions_names_are_not_seen() -> None:
    """C1: what the function that registers a handler calls by the same name is none of the handler's business."""
    treacle_handler = outer_handler

    def register(nexus: AsyncEventNexus) -> None:
        Treacle = 99  # noqa: N806, F841 # shadows the class
        nexus.add_handler("outer", treacle_handler)

    nexus = AsyncEventNexus()
    register(nexus)
    assert nexus.catalog["outer"].payload_type is Treacle


def outer_handler(event: "Event[Treacle]") -> None:
    """Name a class of this module."""


def test_methods_of_local_classes() -> None:
    """C1: the `handle` of a consumer class that is local to a function is read as well."""

    class Sugar(BaseModel): ...

    class Sweet(EventConsumer[Any]):
        async def handle(self, event: "Event[Sugar]", queue: EventQueue, /) -> None: ...

    nexus = AsyncEventNexus()
    nexus.add_handler("sugar", Sweet())
    assert nexus.catalog["sugar"].payload_type is Sugar


def test_handlers_defined_in_a_class_body() -> None:
    """C1: a decorator may stand in a class's body, where the classes beside it are in sight."""
    nexus = AsyncEventNexus()

    class House:
        class Sugar(BaseModel): ...

        @nexus.on("sugar")
        @staticmethod
        async def sugar(event: "Event[Sugar]") -> None: ...

    assert nexus.catalog["sugar"].payload_type is House.Sugar


@pytest.mark.parametrize(
    "wrap",
    [
        traced,
        functools.partial,
        lambda function: functools.partial(functools.partial(function)),
        lambda function: traced(traced(function)),
        lambda function: watched()(function),
    ],
    ids=["decorated", "partial", "partial of a partial", "decorated twice", "decorated by another module"],
)
def test_annotations_behind_wrappers(wrap: Callable[..., Any]) -> None:
    """C1: the annotation is the wrapped function's, with the names of its place."""

    class Sugar(BaseModel): ...

    async def handler(event: "Event[Sugar]") -> None: ...

    reading = read_annotation(adapt(wrap(handler)))
    assert reading is not None
    assert reading.members == (Event[Sugar],)


def test_the_first_parameter_that_is_left() -> None:
    """C1: of a partial, that is the first which it does not bind."""

    def handler(config: Teapot, event: "Event[Treacle]", queue: EventQueue) -> None: ...

    reading = read_annotation(adapt(functools.partial(handler, Teapot(temp=90))))
    assert reading is not None
    assert (reading.parameter, reading.members) == ("event", (Event[Treacle],))


def test_callable_objects_are_read_by_their_call() -> None:
    """C1: of a callable object, the annotation is that of its `__call__`."""

    class Brews:
        async def __call__(self, event: "Event[Treacle]") -> None: ...

    reading = read_annotation(adapt(Brews()))
    assert reading is not None
    assert reading.members == (Event[Treacle],)


E = TypeVar("E", bound=Event[Any])


class Logs(EventConsumer[E], Generic[E]):
    async def handle(self, event: E, queue: EventQueue, /) -> None: ...


def test_generic_consumers_claim_nothing() -> None:
    """C1: a type variable stands for any event up to its bound; a fan-out's is `Event[Any]`."""
    assert read_annotation(adapt(Logs[TeapotEvent]())) is None
    assert read_annotation(adapt(EventFanout[TeapotEvent]())) is None


def test_a_reading_quotes_the_annotation() -> None:
    """Messages name the parameter and show its annotation."""

    def handler(pot: TeapotEvent) -> None: ...

    assert str(read_annotation(adapt(handler))) == "parameter 'pot' is annotated TeapotEvent"


def test_handlers_are_told_apart() -> None:
    """Two registrations of one function are two handlers."""
    assert adapt(plain) != adapt(plain)
    assert isinstance(adapt(plain), Handler)


def test_a_handlers_own_coroutine_type_does_not_matter() -> None:
    """D3: a plain function may return a coroutine, as decorators do."""

    def brew(event: Event) -> Coroutine[Any, Any, str]:
        return takes_event(event)

    assert asyncio.run(call(adapt(brew), event, EventQueue())) == "event"
