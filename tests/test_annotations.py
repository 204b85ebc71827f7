"""What the annotations of handlers ask for, and how the names in them are found."""

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Annotated, Any, Generic, NewType, Protocol, TypeVar

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from async_nexus import AsyncEventNexus, Event, EventConsumer, EventFanout, EventQueue, InvalidHandler, NamedEvent
from async_nexus.annotations import Unresolvable, read_annotation
from async_nexus.handlers import adapt


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


class Unfinished(NamedEvent["Sugar"], type="unfinished"): ...  # type: ignore[name-defined] # cannot be found


def test_a_class_whose_payload_cannot_be_resolved() -> None:
    """C2: that is as if the annotation could not be."""
    with pytest.raises(Unresolvable, match=r"annotated Unfinished, which cannot be resolved .*Sugar"):
        asks_for(Unfinished)


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


def test_what_a_class_asks_for_is_read_once() -> None:
    """C1: handlers whose parameters are named and annotated alike share a reading, all others have their own."""

    def one(event: Event[Teapot]) -> None: ...
    def same(event: Event[Teapot], queue: EventQueue) -> None: ...
    def other_name(pot: Event[Teapot]) -> None: ...
    def other_class(event: TeapotEvent) -> None: ...

    nexus = AsyncEventNexus()
    nexus.add_handler(0, one)
    nexus.add_handler(1, same)
    nexus.add_handler(2, other_name)
    nexus.add_handler(TeapotEvent, other_class)
    readings = [claim.asked[0].reading for key in nexus.catalog if (claim := nexus.catalog.claim_of(key))]
    assert readings[0] is readings[1]
    assert [(each.parameter, each.annotation) for each in readings[1:]] == [
        ("event", Event[Teapot]),
        ("pot", Event[Teapot]),
        ("event", TeapotEvent),
    ]


def test_what_a_string_asks_for_is_read_for_each_handler() -> None:
    """C1: the same string, or the same `Event["Sugar"]`, names different classes in different places."""
    nexus = AsyncEventNexus()

    def register(key: int, annotation: Any) -> type:
        class Sugar(BaseModel): ...

        def sweeten(event: Any) -> None: ...

        sweeten.__annotations__["event"] = annotation
        nexus.add_handler(key, sweeten)
        return Sugar

    late = Event["Sugar"]  # type: ignore[name-defined] # it is found where the handler is
    made = [register(key, annotation) for key, annotation in enumerate(["Event[Sugar]", late] * 2)]
    assert [nexus.catalog[key].payload_type for key in range(4)] == made
