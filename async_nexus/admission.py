"""Admits a handler or filter whose annotations agree with how it will be called: what a checker refuses is refused.

Only what annotations say counts. What cannot be told passes: a name that is for checkers only, a protocol, a type
variable, and whatever depends on the domain, which a running nexus does not know.
"""

import asyncio
from collections.abc import Awaitable
from types import NoneType
from typing import Any, NamedTuple, Never, NoReturn, TypeVar, get_args, get_origin

from typing_extensions import is_protocol

from .annotations import Scope, Unresolvable, is_event_class, read_event, takes_any_event
from .claims import Reading, Readings
from .errors import InvalidHandler
from .handlers import EMPTY, Handler, inspect_handler
from .queue import EventQueue
from .subtyping import Relation, compare, show_type


class Admission(NamedTuple):
    """A handler, and which events it asks for: any where there is no `reading`, unless that is `unresolved`."""

    handler: Handler
    reading: Reading | None
    unresolved: Unresolvable | None


def admit_handler(given: object) -> Handler:
    """Adapt a handler. Raises `InvalidHandler` where it cannot be called as one, or its annotations say so."""
    return admit(given, None).handler


def admit_filter(given: object) -> Handler:
    """Adapt a filter. Raises `InvalidHandler` where it cannot be called as one, or its annotations say so."""
    return admit(given, bool).handler


def admit(given: object, result: type[bool] | None = None, known: Readings | None = None) -> Admission:
    """Adapt what is to return a result, and read its annotation, with what is `known` of others.

    Raises `InvalidHandler` as `admit_handler` does.
    """
    handler, signature = inspect_handler(given)
    scope = Scope(handler)
    reading, unresolved = None, None
    try:
        reading = read_event(handler, signature.event, scope, known)
    except Unresolvable as error:
        unresolved = error.with_traceback(None)  # which would hold this very frame, and so all that it sees
    queue = signature.queue
    if queue is not None and not any(_takes_queue(each, scope) for each in _alternatives(queue.annotation, scope)):
        expected = "`EventQueue`, of events that the nexus accepts, or `asyncio.Queue[Any]`"
        raise _refused(handler, f"parameter {queue.name!r}", queue.annotation, expected)
    if not all(_gives(each, result, scope) for each in _alternatives(signature.result, scope)):
        expected = f"{show_type(result)} or an awaitable of it"
        raise _refused(handler, "its result", signature.result, expected)
    return Admission(handler, reading, unresolved)


def _refused(handler: Handler, what: str, annotation: object, expected: str) -> InvalidHandler:
    given = annotation if isinstance(annotation, str) else show_type(annotation)
    return InvalidHandler(f"{handler.name}: {what} is annotated {given}, expected is {expected}")


def _alternatives(annotation: Any, scope: Scope) -> list[Any]:
    """List the members of what an annotation says; where it says nothing that can be found, `Any`."""
    if annotation is EMPTY:
        return [Any]
    if annotation is None or (isinstance(annotation, str) and annotation == "None"):
        return [NoneType]
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
    if tp is (NoneType if result is None else result) or tp in (Never, NoReturn):
        return True
    origin = get_origin(tp) or tp
    if isinstance(origin, type) and origin is not Any and issubclass(origin, Awaitable):
        awaited = [each for argument in get_args(tp)[-1:] for each in _alternatives(argument, scope)]
        return all(_gives(each, result, scope) for each in awaited)
    return compare(result, tp) in (Relation.FITS, Relation.UNKNOWN)
