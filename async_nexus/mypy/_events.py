"""Events where they are made: the types of their fields, and `Event(…)` as it is written."""

from dataclasses import dataclass

from mypy.expandtype import expand_type_by_instance
from mypy.maptype import map_instance_to_supertype
from mypy.nodes import CallExpr, Expression, IndexExpr, MemberExpr, Var
from mypy.plugin import FunctionSigContext
from mypy.types import AnyType, CallableType, Instance, Type, TypeOfAny, get_proper_type

from ._domains import is_event_class
from ._keys import named_class
from ._names import EVENT


def field_type(event: Instance, name: str | None) -> Type | None:
    """Return the type of an event's field."""
    symbol = event.type.get(name) if name is not None else None
    if symbol is None or not isinstance(symbol.node, Var) or symbol.node.type is None or not symbol.node.info:
        return None
    return expand_type_by_instance(symbol.node.type, map_instance_to_supertype(event, symbol.node.info))


def payload_of(event: Instance) -> Type:
    """Return the type of an event's payload."""
    return field_type(event, "payload") or AnyType(TypeOfAny.special_form)


def type_constructor(ctx: FunctionSigContext) -> CallableType:
    """Type the arguments of a named event class by its fields: pydantic's plugin leaves them `Any`."""
    signature = ctx.default_signature
    event = get_proper_type(signature.ret_type)
    if not isinstance(event, Instance) or not is_event_class(event.type):
        return signature
    types = [
        field_type(event, name) or typ if isinstance(get_proper_type(typ), AnyType) else typ
        for name, typ in zip(signature.arg_names, signature.arg_types, strict=True)
    ]
    return change(signature, types, signature.ret_type)


def change(signature: CallableType, arg_types: list[Type], ret_type: Type, *, generic: bool = True) -> CallableType:
    """Return a signature with other types; no type variable is left to be inferred if it is not `generic`."""
    variables = signature.variables if generic else ()
    # mypy's method has defaults of a type that pyright does not know.
    copy = signature.copy_modified  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return copy(arg_types=arg_types, ret_type=ret_type, variables=variables)


@dataclass(frozen=True, slots=True)
class Parts:
    """The key and the payload of an event as it is made in a call."""

    key: Expression
    payload: Expression | None


def event_call(expr: Expression) -> Parts | None:
    """Read `Event(1, 99, 0, payload)`, or `create_event(payload, event_type=99)`."""
    if not isinstance(expr, CallExpr) or any(kind.is_star() for kind in expr.arg_kinds):
        return None
    callee = expr.callee.base if isinstance(expr.callee, IndexExpr) else expr.callee
    info = named_class(callee)
    if info is not None and info.fullname == EVENT:
        names, wanted = ["id", "type", "priority", "payload"], "type"
    elif isinstance(callee, MemberExpr) and callee.name == "create_event":
        names, wanted = ["payload"], "event_type"
    else:
        return None
    positional = [arg for name, arg in zip(expr.arg_names, expr.args, strict=True) if name is None]
    # More positions than names are an error that mypy reports.
    given = dict(zip(names, positional, strict=False))
    given |= {name: arg for name, arg in zip(expr.arg_names, expr.args, strict=True) if name is not None}
    return Parts(given[wanted], given.get("payload")) if wanted in given else None
