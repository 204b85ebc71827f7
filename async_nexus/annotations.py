"""What the annotations of handlers and filters mean: which events they take, and how names in them are found."""

import inspect
from collections.abc import Callable, Iterator
from types import FrameType, SimpleNamespace, UnionType
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from typing_extensions import TypeIs, is_protocol

from .claims import Reading, Readings
from .errors import InvalidHandler
from .events import Event, takes_any_payload
from .handlers import EMPTY, Handler, Parameter, body_of, read_signature
from .subtyping import show_type


class Unresolvable(InvalidHandler):
    """An annotation names what cannot be found where its function was defined."""


def read_annotation(handler: Handler) -> Reading | None:
    """Read which events a registered handler's first parameter takes; nothing where it takes any.

    Raises as `read_event` does.
    """
    return read_event(handler, read_signature(handler.given, handler.function).event, Scope(handler))


def read_event(handler: Handler, parameter: Parameter, scope: "Scope", known: Readings | None = None) -> Reading | None:
    """Read which events a handler's first parameter takes; nothing where it takes any.

    A class by itself means the same for all handlers: that is read once, and found in `known`. Raises `Unresolvable`
    for a name that cannot be found, `InvalidHandler` for a type that no event has.
    """
    if parameter.annotation is EMPTY:
        return None
    if known and is_event_class(parameter.annotation) and parameter in known:
        return known[parameter]
    try:
        annotation = scope.resolve(parameter.annotation)
        alternatives = list(scope.alternatives(annotation))
    except Exception as error:
        raise Unresolvable(
            f"{handler.name}: parameter {parameter.name!r} is annotated {show_type(parameter.annotation)}, which "
            f"cannot be resolved ({error}): make its names importable at run time, or say what the payload is by "
            "`nexus.declare(key, Payload)`"
        ) from error
    if any(map(takes_any_event, alternatives)):
        return None
    reading = Reading(parameter.name, annotation, tuple(filter(is_event_class, alternatives)))
    if not reading.members:
        raise InvalidHandler(
            f"{handler.name}: {reading}, expected is an event such as `Event[Payload]` or a named event class"
        )
    if known is not None and reading.members == (parameter.annotation,):
        known[parameter] = reading
    return reading


def is_event_class(tp: object) -> TypeIs[type[Event[Any]]]:
    """Whether a type is `Event`, a named event class or another subclass."""
    return isinstance(tp, type) and issubclass(tp, Event)


def takes_any_event(tp: Any) -> bool:
    """Whether a type says nothing of the payload: `Any`, `Event`, one of its bases, a protocol."""
    if is_event_class(tp):
        return takes_any_payload(tp)
    if tp is Any or isinstance(tp, TypeVar):
        return True
    origin = get_origin(tp) or tp
    return isinstance(origin, type) and (is_protocol(origin) or issubclass(Event, origin))


class Scope:
    """The names that a handler's author could see, to resolve annotations that are written as strings."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._names: tuple[dict[str, Any], dict[str, Any]] | None = None

    def resolve(self, annotation: Any) -> Any:
        """Turn strings, also inside of a generic type, into what they name."""
        # Looking into the frames that are running makes them keep what they see alive: only where it is needed.
        if not _holds_text(annotation):
            return annotation
        if self._names is None:
            function = inspect.unwrap(body_of(self._handler.function))
            function = getattr(function, "__func__", function)
            self._names = getattr(function, "__globals__", {}), _locals_in_sight(function)
        holder = SimpleNamespace(__annotations__={"it": annotation})
        return get_type_hints(holder, *self._names, include_extras=True)["it"]

    def alternatives(self, tp: Any) -> Iterator[Any]:
        """List the members of a union, and what stands behind aliases and the bounds of type variables."""
        if is_event_class(tp):
            yield self._with_arguments(tp)
            return
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
            yield tp

    def _with_arguments(self, event_class: type[Event[Any]]) -> type[Event[Any]]:
        """Resolve the string in `Event["Teapot"]`, which pydantic leaves for later."""
        made: Any = event_class.__pydantic_generic_metadata__
        arguments = tuple(map(self.resolve, made["args"]))
        if arguments != made["args"]:
            event_class = made["origin"][arguments]
        if not event_class.__pydantic_complete__:
            event_class.model_rebuild()
        return event_class


def _holds_text(tp: Any) -> bool:
    """Whether an annotation is a string or has one inside, which is a name that is still to be found."""
    if isinstance(tp, type):
        return False
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
