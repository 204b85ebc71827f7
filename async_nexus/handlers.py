"""What may be a handler or a filter, and how it is called."""

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import FunctionType, NoneType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from typing_extensions import Format

from .errors import InvalidHandler

A_contra = TypeVar("A_contra", contravariant=True)
Q_contra = TypeVar("Q_contra", contravariant=True)


@runtime_checkable
class Consumer(Protocol[A_contra, Q_contra]):
    """An object with `async handle(event, queue)`."""

    def handle(self, event: A_contra, queue: Q_contra, /) -> Awaitable[None]:
        """Consume an event."""
        ...


EMPTY: Final = inspect.Parameter.empty
"""Stands for an annotation that is not there."""

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


class Parameter(NamedTuple):
    """A parameter's name and its annotation: `inspect.Parameter.empty` where it has none."""

    name: str
    annotation: Any


class Signature(NamedTuple):
    """What a handler's function takes and gives, read once for all who ask; `queue` only if it takes one by name."""

    event: Parameter
    queue: Parameter | None
    takes_queue: bool
    result: Any


_NEVER_AWAITED: Final = (NoneType, bool)


async def settle(result: Any) -> Any:
    """Await what a plain function returned, if it can be."""
    if result.__class__ not in _NEVER_AWAITED and inspect.isawaitable(result):
        return await result
    return result


def name_of(given: object) -> str:
    """Name a function by its qualified name, anything else by its class's."""
    given = _without_partials(given)
    return str(getattr(given, "__qualname__", type(given).__qualname__))


def adapt(given: object) -> Handler:
    """Look at how a handler or filter wants to be called.

    Raises `InvalidHandler` for what is neither a function of `(event)` or `(event, queue)` nor an object
    with such a `handle`.
    """
    return inspect_handler(given)[0]


def inspect_handler(given: object) -> tuple[Handler, Signature]:
    """Adapt a handler, and return the signature that was read for it too. Raises as `adapt` does."""
    target = _without_partials(given)
    if isinstance(target, type):
        raise InvalidHandler(f"{target.__qualname__} is a class: register an instance of it")
    function: object = getattr(given, "handle", given) if _has_handle(given) else given
    if not callable(function):
        raise InvalidHandler(
            f"{given!r} is no handler: a function of (event) or (event, queue) is, "
            "or an object with `async handle(event, queue)`"
        )
    body = body_of(function)
    is_async = inspect.iscoroutinefunction(body)
    if not is_async and (inspect.isasyncgenfunction(body) or inspect.isgeneratorfunction(body)):
        raise InvalidHandler(f"{name_of(given)} has a `yield`: put secondary events on the queue instead")
    signature = read_signature(given, function)
    return Handler(given, function, signature.takes_queue, is_async), signature


def _has_handle(given: object) -> bool:
    """Whether an object is called by its `handle`: not what is callable, and has each attribute that is asked for."""
    return not callable(given) or hasattr(type(given), "handle") or "handle" in getattr(given, "__dict__", ())


def _without_partials(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def body_of(function: Callable[..., Any]) -> Callable[..., Any]:
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


def read_signature(given: object, function: Callable[..., Any]) -> Signature:
    """Read the signature of the function of a handler that was given.

    Raises `InvalidHandler` where it requires anything but `(event)` or `(event, queue)`.
    """
    signature = _read_plain(function) if isinstance(function, FunctionType) else None
    if signature is not None:
        return signature
    try:
        found = signature_of(function)
    except (TypeError, ValueError) as error:
        raise InvalidHandler(f"{name_of(given)} has no signature to read ({error}): wrap it in a function") from None
    parameters = list(found.parameters.values())
    takes_queue = _count_required(given, parameters) == 2
    event, *more = (Parameter(each.name, each.annotation) for each in parameters)
    return Signature(event, more[0] if takes_queue and more else None, takes_queue, found.return_annotation)


def _read_plain(function: FunctionType) -> Signature | None:
    """Read what nearly all handlers are, in a tenth of the time of `inspect.signature`; of others, nothing."""
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    is_other = required not in (1, 2) or code.co_kwonlyargcount or code.co_flags & inspect.CO_VARARGS
    if is_other or hasattr(function, "__wrapped__") or hasattr(function, "__signature__"):
        return None
    try:
        annotation = function.__annotations__.get
    except Exception:  # from Python 3.14 on this evaluates them, and what they name may not be there yet
        return None
    first, second = code.co_varnames[0], code.co_varnames[1] if required == 2 else None
    return Signature(
        Parameter(first, annotation(first, EMPTY)),
        None if second is None else Parameter(second, annotation(second, EMPTY)),
        second is not None,
        annotation("return", EMPTY),
    )


def _count_required(given: object, parameters: list[inspect.Parameter]) -> int:
    """Count what a function takes: 1 for the event alone, 2 with the queue; only required ones count."""
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
