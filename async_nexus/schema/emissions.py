"""What sources and handlers can emit, read from their type arguments and annotations.

A source says it by the argument of its base class (`SimpleEventConverter[TeapotEvent]`), a timer by its key, a
handler by the annotation of its queue (`EventQueue[Treacle]`).
"""

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import UnionType
from typing import (
    Any,
    Final,
    ForwardRef,
    NamedTuple,
    Never,
    NoReturn,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

from typing_extensions import NoDefault, TypeAliasType, evaluate_forward_ref, get_original_bases

from ..boundaries import AsyncEventBoundary
from ..consumers import EventDiscarder, EventFanout
from ..events import Event, EventType, check_event_type, own_key
from ..handlers import Handler
from ..queue import EventQueue
from ..sources import EventSource
from ..timers import Timer
from ..transports.boundary import TransportBoundary

Boundary: TypeAlias = AsyncEventBoundary[Any] | TransportBoundary[Any]
"""What is a handler in one domain and a producer in another."""

BOUNDARIES: Final = (AsyncEventBoundary, TransportBoundary)

Resolve: TypeAlias = Callable[[ForwardRef], Any]
"""Turns an annotation that was written as a string into what it names; `Any` where that cannot be found."""


class Emitted(NamedTuple):
    """One kind of event that can be emitted: its key and, where it has one, its class."""

    key: EventType
    event_class: type[Event[Any]] | None


@dataclass(frozen=True, slots=True)
class Emission:
    """What can be emitted: the `events` that are known and, if it `is_open`, others of which nothing is known."""

    events: tuple[Emitted, ...] = ()
    is_open: bool = False

    @property
    def keys(self) -> tuple[EventType, ...]:
        """The keys of the known events, each once."""
        return tuple(dict.fromkeys(event.key for event in self.events))


NOTHING: Final = Emission()
ANYTHING: Final = Emission(is_open=True)


def emitted_by_source(source: EventSource[Any]) -> Emission:
    """Tell what a source emits; it is open where it was derived from a bare base class or one of `Event[Any]`."""
    if isinstance(source, Timer):
        event_type = source.event_type
        if isinstance(event_type, int | str):
            return Emission((Emitted(check_event_type(event_type), None),))
        return _emission([event_type])
    given = getattr(source, "__orig_class__", type(source))
    argument = _argument(given, EventSource)
    return _emission(_alternatives(argument, _names_of_module(type(source).__module__)))


def emitted_by_handler(handler: Handler) -> Emission:
    """Tell what a handler may put on its queue; it is open where the queue's annotation does not say.

    A fan-out puts what its handlers put. A boundary puts nothing: it is a source of the other domain.
    """
    given: Any = handler.given
    if isinstance(given, EventFanout):
        return _together(map(emitted_by_handler, given.handlers))  # pyright: ignore[reportUnknownMemberType] # of any event
    if not handler.takes_queue or isinstance(given, (*BOUNDARIES, EventDiscarder)):
        return NOTHING
    resolve = _names_of_function(handler.function)
    queues = _alternatives(_queue_annotation(handler), resolve)
    return _together(_emission(_alternatives(_content(queue), resolve)) for queue in queues)


def _together(emissions: Iterable[Emission]) -> Emission:
    each = tuple(emissions)
    events = dict.fromkeys(event for emission in each for event in emission.events)
    return Emission(tuple(events), any(emission.is_open for emission in each))


def _emission(alternatives: Iterable[Any]) -> Emission:
    """Sum up the members of a union of events; whatever has no key of its own makes it open."""
    events: dict[Emitted, None] = {}
    is_open = False
    for member in alternatives:
        event_class = cast("type[Event[Any]]", member)
        key = own_key(event_class) if isinstance(member, type) and issubclass(member, Event) else None
        if key is not None:
            events[Emitted(key, event_class)] = None
        elif member not in (Never, NoReturn):
            is_open = True
    return Emission(tuple(events), is_open)


def _queue_annotation(handler: Handler) -> Any:
    try:
        parameters = list(inspect.signature(handler.function).parameters.values())
    except NameError:  # from Python 3.14 on, annotations are evaluated when they are read
        return Any
    return parameters[1].annotation if len(parameters) > 1 else Any


def _content(queue: Any) -> Any:
    """Return what a queue of this type holds."""
    origin = get_origin(queue) or queue
    if isinstance(origin, type):
        for base in (EventQueue, asyncio.Queue):
            if issubclass(origin, base):
                return _argument(queue, base)
    return Any


def _argument(tp: Any, base: type) -> Any:
    """Return the type argument of a generic base class, as a class or a parametrised class derives from it."""
    origin = get_origin(tp) or tp
    if origin is base:
        return next(iter(get_args(tp) or getattr(base, "__parameters__", ())), Any)
    for parent in get_original_bases(origin):
        parent_class = get_origin(parent) or parent
        if isinstance(parent_class, type) and issubclass(parent_class, base):
            given = dict(zip(getattr(origin, "__parameters__", ()), get_args(tp), strict=False))
            return _substitute(_argument(parent, base), given)
    return Any


def _substitute(tp: Any, given: Mapping[Any, Any]) -> Any:
    if isinstance(tp, TypeVar):
        return given.get(tp, tp)
    parameters = getattr(tp, "__parameters__", ())
    return tp[tuple(given.get(each, each) for each in parameters)] if parameters and given else tp


def _alternatives(tp: Any, resolve: Resolve) -> Iterator[Any]:
    """List the members of a union, looking through aliases, `Annotated`, type variables and strings."""
    if isinstance(tp, str):
        tp = ForwardRef(tp)
    if isinstance(tp, ForwardRef):
        yield from _alternatives(resolve(tp), resolve)
    elif isinstance(tp, TypeVar):
        yield from _alternatives(_any_of(tp), resolve)
    elif get_origin(tp) in (Union, UnionType):
        for part in get_args(tp):
            yield from _alternatives(part, resolve)
    elif isinstance(tp, TypeAliasType):
        yield from _alternatives(tp.__value__, resolve)
    elif hasattr(tp, "__metadata__"):
        yield from _alternatives(get_args(tp)[0], resolve)
    else:
        yield tp


def _any_of(variable: TypeVar) -> Any:
    """Return what a type variable that was given no type can stand for at most."""
    default = getattr(variable, "__default__", NoDefault)
    if default not in (NoDefault, None):
        return default
    if variable.__constraints__:
        return Union[variable.__constraints__]  # noqa: UP007 # made of a tuple
    return Any if variable.__bound__ is None else variable.__bound__


def _names_of_module(name: str) -> Resolve:
    return partial(_evaluate, vars(sys.modules[name]) if name in sys.modules else {}, {})


def _names_of_function(function: Callable[..., Any]) -> Resolve:
    """Resolve by the names that a function's author could see, as far as they have outlived its definition."""
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    body = inspect.unwrap(function)
    body = getattr(body, "__func__", body)
    code, cells = getattr(body, "__code__", None), getattr(body, "__closure__", None) or ()
    enclosing: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars if code else (), cells, strict=True):
        try:
            enclosing[name] = cell.cell_contents
        except ValueError:
            continue  # a name that its function has not bound
    return partial(_evaluate, getattr(body, "__globals__", {}), enclosing)


def _evaluate(module: dict[str, Any], enclosing: Mapping[str, Any], reference: ForwardRef) -> Any:
    try:
        return evaluate_forward_ref(reference, globals=module, locals=enclosing)
    except (NameError, AttributeError, SyntaxError, TypeError):
        return Any
