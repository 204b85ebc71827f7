"""Admits a handler or filter whose annotations agree with how it will be called: what a checker refuses is refused.

Only what annotations say counts. What cannot be told passes: a name that is for checkers only, a protocol, a type
variable, and whatever depends on the domain, which a running nexus does not know.
"""

import asyncio
import inspect
from collections.abc import Awaitable
from contextlib import suppress
from types import NoneType
from typing import Any, Never, NoReturn, TypeVar, get_args, get_origin

from typing_extensions import is_protocol

from .errors import InvalidHandler
from .handlers import (
    Handler,
    Scope,
    Unresolvable,
    adapt,
    is_event_class,
    read_annotation,
    signature_of,
    takes_any_event,
)
from .queue import EventQueue
from .subtyping import Relation, compare, show_type


def admit_handler(given: object) -> Handler:
    """Adapt a handler. Raises `InvalidHandler` where it cannot be called as one, or its annotations say so."""
    return _admit(given, None)


def admit_filter(given: object) -> Handler:
    """Adapt a filter. Raises `InvalidHandler` where it cannot be called as one, or its annotations say so."""
    return _admit(given, bool)


def _admit(given: object, result: type[bool] | None) -> Handler:
    handler = adapt(given)
    with suppress(Unresolvable):
        read_annotation(handler)
    signature = signature_of(handler.function)
    scope = Scope(handler)
    for queue in list(signature.parameters.values())[1:2] if handler.takes_queue else []:
        if not any(_takes_queue(each, scope) for each in _alternatives(queue.annotation, scope)):
            expected = "`EventQueue`, of events that the nexus accepts, or `asyncio.Queue[Any]`"
            raise _refused(handler, f"parameter {queue.name!r}", queue.annotation, expected)
    if not all(_gives(each, result, scope) for each in _alternatives(signature.return_annotation, scope)):
        expected = f"{show_type(result)} or an awaitable of it"
        raise _refused(handler, "its result", signature.return_annotation, expected)
    return handler


def _refused(handler: Handler, what: str, annotation: object, expected: str) -> InvalidHandler:
    given = annotation if isinstance(annotation, str) else show_type(annotation)
    return InvalidHandler(f"{handler.name}: {what} is annotated {given}, expected is {expected}")


def _alternatives(annotation: Any, scope: Scope) -> list[Any]:
    """List the members of what an annotation says; where it says nothing that can be found, `Any`."""
    if annotation is inspect.Parameter.empty:
        return [Any]
    try:
        return [NoneType if each is None else each for each in scope.alternatives(scope.resolve(annotation))]
    except Exception:  # whatever evaluating a string can raise
        return [Any]


def _says_nothing(tp: Any) -> bool:
    """Whether a type could be a base of any class: `Any`, a type variable, a protocol, no class at all."""
    origin = get_origin(tp) or tp
    return tp is Any or isinstance(tp, TypeVar) or not isinstance(origin, type) or is_protocol(origin)


def _takes_queue(tp: Any, scope: Scope) -> bool:
    """Whether a handler's queue may be an instance of a type."""
    if _says_nothing(tp):
        return True
    origin = get_origin(tp) or tp
    if not issubclass(EventQueue, origin):
        return False
    items = [each for argument in get_args(tp)[:1] for each in _alternatives(argument, scope)]
    if origin is asyncio.Queue:  # invariant: a queue of some events is none of any event
        return not items or any(
            _says_nothing(each) or (is_event_class(each) and takes_any_event(each)) for each in items
        )
    return all(is_event_class(each) or takes_any_event(each) for each in items)


def _gives(tp: Any, result: type[bool] | None, scope: Scope) -> bool:
    """Whether what a function returns may be a result, or an awaitable of one."""
    if tp in (Never, NoReturn):
        return True
    origin = get_origin(tp) or tp
    if isinstance(origin, type) and origin is not Any and issubclass(origin, Awaitable):
        awaited = [each for argument in get_args(tp)[-1:] for each in _alternatives(argument, scope)]
        return all(_gives(each, result, scope) for each in awaited)
    return compare(result, tp) in (Relation.FITS, Relation.UNKNOWN)
