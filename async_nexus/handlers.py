"""What may be a handler or a filter: how it is called, and which events its annotation asks for."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import FrameType, NoneType, UnionType
from typing import (
    Any,
    Final,
    ForwardRef,
    Protocol,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    runtime_checkable,
)

from typing_extensions import TypeAliasType, evaluate_forward_ref

from .errors import InvalidHandler
from .events import Event, is_plain, payload_type
from .subtyping import show_type

A_contra = TypeVar("A_contra", contravariant=True)
Q_contra = TypeVar("Q_contra", contravariant=True)


@runtime_checkable
class Consumer(Protocol[A_contra, Q_contra]):
    """An object with `async handle(event, queue)`."""

    def handle(self, event: A_contra, queue: Q_contra, /) -> Awaitable[None]:
        """Consume an event."""
        ...


HandlerFunction: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """A handler or filter as the nexus calls it.

    `function` takes the event, and the queue if `takes_queue`; `is_async` says that its result is always
    awaited. `given` is what was registered.
    """

    given: object
    function: HandlerFunction
    takes_queue: bool
    is_async: bool

    @property
    def name(self) -> str:
        """How the handler is called in messages."""
        return name_of(self.given)


_NEVER_AWAITED: Final = (NoneType, bool)


async def settle(result: Any) -> Any:
    """Await what a plain function returned, if it can be."""
    if result.__class__ not in _NEVER_AWAITED and inspect.isawaitable(result):
        return await result
    return result


async def call(handler: Handler, event: Event[Any], queue: object) -> Any:
    """Call a handler the way it wants to be called, to its end."""
    result = handler.function(event, queue) if handler.takes_queue else handler.function(event)
    return await result if handler.is_async else await settle(result)


def name_of(given: object) -> str:
    """Name a function by its qualified name, anything else by its class's."""
    while isinstance(given, functools.partial):
        given = given.func
    return str(getattr(given, "__qualname__", type(given).__qualname__))


def adapt(given: object) -> Handler:
    """Look once at how a handler or filter wants to be called.

    Raises `InvalidHandler` for what is neither a function of `(event)` or `(event, queue)` nor an object
    with such a `handle`.
    """
    if isinstance(given, type):
        raise InvalidHandler(f"{given.__qualname__} is a class: register an instance of it")
    function: object = getattr(given, "handle", given)
    if not callable(function):
        raise InvalidHandler(
            f"{given!r} is no handler: a function of (event) or (event, queue) is, "
            "or an object with `async handle(event, queue)`"
        )
    body = _unwrapped(function)
    if inspect.isasyncgenfunction(body) or inspect.isgeneratorfunction(body):
        raise InvalidHandler(f"{name_of(given)} has a `yield`: put secondary events on the queue instead")
    return Handler(given, function, _count_parameters(given, function) == 2, inspect.iscoroutinefunction(body))


def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that runs when a partial or a callable object is called."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function):
        return function
    return type(function).__call__


def _count_parameters(given: object, function: Callable[..., Any]) -> int:
    """Count what a function takes: 1 for the event alone, 2 with the queue; only required ones count."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        raise InvalidHandler(f"{name_of(given)} has no signature to read: wrap it in a function") from None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.default is p.empty]
    count = sum(p.kind in positional for p in required)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) and count <= 2:
        count = 2
    keywords = [p.name for p in required if p.kind is p.KEYWORD_ONLY]
    if count not in (1, 2) or keywords:
        needs = f" and the keywords {', '.join(keywords)}" if keywords else ""
        raise InvalidHandler(
            f"{name_of(given)} requires {count} positional parameters{needs}: "
            "a handler or filter takes (event) or (event, queue)"
        )
    return count


@dataclass(frozen=True, slots=True)
class Reading:
    """What a handler's annotation asks for: one of several event types."""

    parameter: str
    annotation: object
    members: tuple[type[Event[Any]], ...]

    def __str__(self) -> str:
        return f"parameter {self.parameter!r} is annotated {show_type(self.annotation)}"


class Unresolvable(InvalidHandler):
    """An annotation names what cannot be found where its function was defined."""


def read_annotation(handler: Handler) -> Reading | None:
    """Read which events a handler's first parameter takes; nothing where it takes any.

    Raises `Unresolvable` for a name that cannot be found, `InvalidHandler` for a type that no event has.
    """
    parameter = next(iter(inspect.signature(handler.function).parameters.values()))
    annotation = parameter.annotation
    if annotation is parameter.empty or (parameter.kind is parameter.VAR_POSITIONAL and annotation is Any):
        return None
    resolved = _resolve(annotation, handler)
    members: list[type[Event[Any]]] = []
    for member in _alternatives(resolved):
        if not _is_event_class(member):
            if _may_be_event(member):
                return None
            raise InvalidHandler(
                f"{handler.name}: parameter {parameter.name!r} is annotated {show_type(member)}, "
                "expected is an event such as `Event[Payload]` or a named event class"
            )
        members.append(member)
    if any(member is Event or _payload_is_open(member) for member in members):
        return None
    return Reading(parameter.name, resolved, tuple(members))


def _payload_is_open(member: type[Event[Any]]) -> bool:
    payload = payload_type(member)
    return is_plain(member) and (payload is Any or isinstance(payload, TypeVar))


def _is_event_class(tp: object) -> bool:
    return isinstance(tp, type) and issubclass(tp, Event)


def _may_be_event(tp: object) -> bool:
    """Tell whether an event could be an instance of a type that is no event class: a base, a protocol."""
    if tp is Any or isinstance(tp, TypeVar):
        return True
    origin = get_origin(tp) or tp
    return isinstance(origin, type) and (origin in Event.__mro__ or getattr(origin, "_is_protocol", False))


def _alternatives(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    elif isinstance(annotation, TypeVar) and annotation.__bound__ is not None:
        yield from _alternatives(annotation.__bound__)
    elif isinstance(annotation, TypeAliasType):
        yield from _alternatives(annotation.__value__)
    elif hasattr(annotation, "__metadata__"):
        yield from _alternatives(get_args(annotation)[0])
    else:
        yield annotation


def _resolve(annotation: Any, handler: Handler) -> Any:
    """Turn an annotation written as a string into the type, with the names its function's author could see."""
    if not isinstance(annotation, str | ForwardRef):
        return _with_payload_resolved(annotation, handler)
    reference = ForwardRef(annotation) if isinstance(annotation, str) else annotation
    function = inspect.unwrap(_unwrapped(handler.function))
    function = getattr(function, "__func__", function)
    try:
        resolved = evaluate_forward_ref(
            reference, globals=getattr(function, "__globals__", {}), locals=_locals_in_sight(function)
        )
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise Unresolvable(
            f"{handler.name}: the annotation {reference.__forward_arg__!r} cannot be resolved ({error}): "
            "make its names importable at run time, or say what the payload is by `nexus.declare(key, Payload)`"
        ) from error
    return _with_payload_resolved(resolved, handler)


def _with_payload_resolved(annotation: Any, handler: Handler) -> Any:
    """Resolve the string in `Event["Teapot"]`, which pydantic leaves for later."""
    if _is_event_class(annotation):
        payload = payload_type(annotation)
        if isinstance(payload, ForwardRef):
            origin = annotation.__pydantic_generic_metadata__["origin"]
            return origin[_resolve(payload, handler)]
    return annotation


def _locals_in_sight(function: Callable[..., Any]) -> dict[str, Any]:
    """Names of the functions that are running: classes defined beside a handler inside one of them."""
    names: dict[str, Any] = {}
    frame: FrameType | None = inspect.currentframe()
    defined_in = getattr(function, "__code__", None)
    while frame is not None:
        if defined_in is not None and frame.f_code.co_filename == defined_in.co_filename:
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names
