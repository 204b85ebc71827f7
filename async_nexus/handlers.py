"""What may be a handler or a filter: how it is called, and which events its annotation asks for."""

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import FrameType, NoneType, SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    Protocol,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from typing_extensions import Format, TypeIs, is_protocol

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
    given = _without_partials(given)
    return str(getattr(given, "__qualname__", type(given).__qualname__))


def adapt(given: object) -> Handler:
    """Look once at how a handler or filter wants to be called.

    Raises `InvalidHandler` for what is neither a function of `(event)` or `(event, queue)` nor an object
    with such a `handle`.
    """
    target = _without_partials(given)
    if isinstance(target, type):
        raise InvalidHandler(f"{target.__qualname__} is a class: register an instance of it")
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


def _without_partials(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that runs when a partial or a callable object is called."""
    function = _without_partials(function)
    if inspect.isroutine(function):
        return function
    return type(function).__call__


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Read a signature, leaving names that cannot be found yet for later."""
    if sys.version_info >= (3, 14):
        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _count_parameters(given: object, function: Callable[..., Any]) -> int:
    """Count what a function takes: 1 for the event alone, 2 with the queue; only required ones count."""
    try:
        parameters = list(signature_of(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise InvalidHandler(f"{name_of(given)} has no signature to read ({error}): wrap it in a function") from None
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
    parameter = next(iter(signature_of(handler.function).parameters.values()))
    if parameter.annotation is parameter.empty:
        return None
    scope = Scope(handler)
    try:
        annotation = scope.resolve(parameter.annotation)
        alternatives = list(scope.alternatives(annotation))
    except Exception as error:
        raise Unresolvable(
            f"{handler.name}: parameter {parameter.name!r} is annotated {show_type(parameter.annotation)}, which "
            f"cannot be resolved ({error}): make its names importable at run time, or say what the payload is by "
            "`nexus.declare(key, Payload)`"
        ) from error
    if any(takes_any_event(each) for each in alternatives):
        return None
    reading = Reading(parameter.name, annotation, tuple(filter(is_event_class, alternatives)))
    if not reading.members:
        raise InvalidHandler(
            f"{handler.name}: {reading}, expected is an event such as `Event[Payload]` or a named event class"
        )
    return reading


def is_event_class(tp: object) -> TypeIs[type[Event[Any]]]:
    """Whether a type is `Event`, a named event class or another subclass."""
    return isinstance(tp, type) and issubclass(tp, Event)


def takes_any_event(tp: Any) -> bool:
    """Whether a type says nothing of the payload: `Any`, `Event`, one of its bases, a protocol."""
    if is_event_class(tp):
        payload = payload_type(tp)
        return is_plain(tp) and (payload is Any or isinstance(payload, TypeVar))
    if tp is Any or isinstance(tp, TypeVar):
        return True
    origin = get_origin(tp) or tp
    return isinstance(origin, type) and (is_protocol(origin) or issubclass(Event, origin))


class Scope:
    """The names that a handler's author could see, to resolve annotations that are written as strings."""

    def __init__(self, handler: Handler) -> None:
        function = inspect.unwrap(_unwrapped(handler.function))
        self._function = getattr(function, "__func__", function)

    def resolve(self, annotation: Any) -> Any:
        """Turn strings, also inside of a generic type, into what they name."""
        # Looking into the frames that are running makes them keep what they see alive: only where it is needed.
        if not _holds_text(annotation):
            return annotation
        holder = SimpleNamespace(__annotations__={"it": annotation})
        known = getattr(self._function, "__globals__", {})
        return get_type_hints(holder, known, _locals_in_sight(self._function), include_extras=True)["it"]

    def alternatives(self, tp: Any) -> Iterator[Any]:
        """List the members of a union, and what stands behind aliases and the bounds of type variables."""
        # An alias is known by its value: its class differs between typing and typing_extensions.
        alias = get_origin(tp) if hasattr(get_origin(tp), "__value__") else tp
        if hasattr(alias, "__value__"):
            yield from self.alternatives(alias.__value__[get_args(tp)] if get_args(tp) else alias.__value__)
        elif get_origin(tp) in (Union, UnionType):
            for member in get_args(tp):
                yield from self.alternatives(member)
        elif get_origin(tp) is Annotated:
            yield from self.alternatives(get_args(tp)[0])
        elif isinstance(tp, TypeVar) and tp.__bound__ is not None:
            yield from self.alternatives(self.resolve(tp.__bound__))
        else:
            yield self._with_arguments(tp) if is_event_class(tp) else tp

    def _with_arguments(self, event_class: type[Event[Any]]) -> type[Event[Any]]:
        """Resolve the string in `Event["Teapot"]`, which pydantic leaves for later."""
        made: Any = event_class.__pydantic_generic_metadata__
        arguments = tuple(map(self.resolve, made["args"]))
        return event_class if arguments == made["args"] else made["origin"][arguments]


def _holds_text(tp: Any) -> bool:
    """Whether an annotation is a string or has one inside, which is a name that is still to be found."""
    if tp.__class__ is list:  # the parameters of a `Callable`
        return any(map(_holds_text, tp))
    parts = () if get_origin(tp) is Literal else get_args(tp)
    return isinstance(tp, str | ForwardRef) or any(map(_holds_text, parts))


def _locals_in_sight(function: Callable[..., Any]) -> dict[str, Any]:
    """Names of the running functions that a function was defined in, which has no other way to their classes."""
    names: dict[str, Any] = {}
    frame: FrameType | None = inspect.currentframe()
    defined_in = getattr(getattr(function, "__code__", None), "co_filename", None)
    while frame is not None:
        code = frame.f_code
        if code.co_filename == defined_in and function.__qualname__.startswith(f"{code.co_qualname}."):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names
