"""Handlers: the shapes that take an event, and what is wrong with a handler that has none of them."""

from collections.abc import Callable
from dataclasses import dataclass

from mypy.checker import TypeChecker
from mypy.nodes import ARG_POS, FuncDef, TypeInfo
from mypy.subtypes import find_member, is_subtype
from mypy.types import (
    CallableType,
    Instance,
    NoneType,
    ProperType,
    Type,
    TypeVarLikeType,
    UnionType,
    flatten_nested_unions,
    get_proper_type,
)

from ._domains import Lookup, is_event_class
from ._names import CONSUMER, QUEUE


@dataclass(frozen=True, slots=True)
class Shapes:
    """The types of which a handler has one: a function of event and queue, of the event alone, a consumer."""

    events: list[Instance]
    queue: Type
    result: Type
    pair: CallableType
    single: CallableType
    consumer: Type | None

    @classmethod
    def make(
        cls, checker: TypeChecker, lookup: Lookup, events: list[Instance], domain: Type, *, consumer: bool
    ) -> "Shapes":
        """Make the types; only `add_handler` takes consumers."""
        event, queue = UnionType.make_union([*events]), instance(lookup, QUEUE, [domain])
        result = UnionType([checker.named_generic_type("typing.Awaitable", [NoneType()]), NoneType()])
        function = checker.named_generic_type("builtins.function", [])
        pair = CallableType([event, queue], [ARG_POS, ARG_POS], [None, None], result, function)
        single = CallableType([event], [ARG_POS], [None], result, function)
        taken = instance(lookup, CONSUMER, [event, queue]) if consumer else None
        return cls(events, queue, result, pair, single, taken)

    @property
    def types(self) -> list[Type]:
        """The types themselves."""
        functions = [self.pair, self.single]
        return [*functions] if self.consumer is None else [*functions, self.consumer]

    def take(self, handler: Type) -> bool:
        """Whether a handler has one of the types."""
        return any(is_subtype(handler, shape) for shape in self.types)


def instance(lookup: Lookup, fullname: str, args: list[Type]) -> Instance:
    """Return a class with type arguments; mypy's own look-up misses modules that the program does not import."""
    symbol = lookup(fullname)
    if symbol is None or not isinstance(symbol.node, TypeInfo):
        raise LookupError(fullname)
    return Instance(symbol.node, args)


def handler_fault(handler: ProperType, shapes: Shapes, show: Callable[[Type], str]) -> str:
    """Say what is wrong with a handler: what it takes or returns, and what is expected."""
    function = _function(handler)
    if function is not None:
        event, queue = (_parameter(function, position) for position in (0, 1))
        for each in shapes.events:
            if event is not None and not is_subtype(each, event):
                return f"takes {show(event)}; expected {show(each)}"
        if queue is not None and not is_subtype(shapes.queue, queue):
            return f"takes the queue {show(queue)}; expected {show(shapes.queue)}"
        if not is_subtype(function.ret_type, shapes.result):
            return f"returns {show(function.ret_type)}; expected {show(shapes.result)}"
    return f"is {show(handler)}; expected a function of the event, or of the event and the queue"


def annotated_events(handler: ProperType) -> list[Instance]:
    """Return the named events of which a function's own annotation, which is read at run time, asks for one.

    None where it takes other events, too, or where a type variable stands for them.
    """
    function = _function(handler)
    written = function.definition if function is not None else None
    declared = written.type if isinstance(written, FuncDef) else None
    if function is None or not isinstance(declared, CallableType):
        return []
    # A method's own type has `self`, too.
    event = _parameter(declared, len(declared.arg_types) - len(function.arg_types))
    members = [] if event is None else [get_proper_type(each) for each in flatten_nested_unions([event])]
    events = [member for member in members if isinstance(member, Instance) and is_event_class(member.type)]
    return events if len(events) == len(members) else []


def _function(handler: ProperType) -> CallableType | None:
    """Return what is called of a handler."""
    if isinstance(handler, Instance):
        member = find_member("handle", handler, handler) or find_member("__call__", handler, handler)
        handler = get_proper_type(member) if member is not None else handler
    return handler if isinstance(handler, CallableType) and not handler.is_type_obj() else None


def _parameter(function: CallableType, position: int) -> Type | None:
    parameter = function.argument_by_position(position)
    if parameter is None:
        return None
    typ = get_proper_type(parameter.typ)
    return typ.upper_bound if isinstance(typ, TypeVarLikeType) else typ
