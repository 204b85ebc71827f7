"""Keys as they are written in a program: literals, `Final` constants, members of enums, ranges."""

import json
from dataclasses import dataclass
from typing import Final, TypeAlias

from mypy.constant_fold import constant_fold_expr
from mypy.nodes import (
    BytesExpr,
    CallExpr,
    ComplexExpr,
    DictExpr,
    Expression,
    FloatExpr,
    ListExpr,
    MemberExpr,
    RefExpr,
    SetExpr,
    TupleExpr,
    TypeInfo,
    Var,
)
from mypy.nodes import (
    TypeAlias as AliasNode,
)
from mypy.types import Instance, LiteralType, Type, get_proper_type

DEFAULT: Final = -1
"""The key that names the default handler where handlers are registered."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an enum whose value mypy does not tell, such as `auto()`: equal to itself only."""

    enum: str
    name: str


Key: TypeAlias = int | str | Member | range


@dataclass(frozen=True, slots=True)
class Wrong:
    """How a value reads that is no key."""

    text: str


def show(key: Key) -> str:
    """Write a key as it reads in a program."""
    if isinstance(key, Member):
        return f"{key.enum.rpartition('.')[2]}.{key.name}"
    return json.dumps(key, ensure_ascii=False) if isinstance(key, str) else repr(key)


def meet(one: Key, other: Key) -> bool:
    """Whether two keys or ranges of keys have a key in common, as far as is known."""
    if isinstance(one, range) and isinstance(other, range):
        return one.step == other.step == 1 and max(one[0], other[0]) <= min(one[-1], other[-1])
    if isinstance(one, range):
        return isinstance(other, int) and other in one
    return meet(other, one) if isinstance(other, range) else one == other


def written_key(expr: Expression) -> Key | Wrong | None:
    """Read a key from an expression; nothing where it says too little."""
    match expr:
        case FloatExpr() | ComplexExpr():
            return Wrong(str(expr.value))
        case BytesExpr():
            return Wrong(f'b"{expr.value}"')
        case ListExpr() | DictExpr() | SetExpr():
            return Wrong("a display")
        case TupleExpr():
            return _pair(expr.items)
        case CallExpr():
            return _range_call(expr)
        case MemberExpr(expr=base) if (enum := named_class(base)) is not None and enum.is_enum:
            return _enum_key(enum, expr.name)
        case _:
            return _folded(expr)


def _folded(expr: Expression) -> Key | Wrong | None:
    value: object = constant_fold_expr(expr, "")
    if value is None and isinstance(expr, RefExpr) and isinstance(expr.node, Var) and expr.node.is_final:
        value = expr.node.final_value
        if value is None and expr.node.type is not None:
            return literal_key(expr.node.type)
    return value if value is None else _checked(value)


def written_member(expr: Expression) -> Member | None:
    """Read a member of an enum of keys, whatever its value."""
    if not isinstance(expr, MemberExpr):
        return None
    enum = named_class(expr.expr)
    if enum is None or not enum.is_enum or not isinstance(_enum_key(enum, expr.name), int | str | Member):
        return None
    return Member(enum.fullname, expr.name)


def literal_key(typ: Type) -> int | str | Member | Wrong | None:
    """Read a key from the type of a literal, or of a member of an enum."""
    typ = get_proper_type(typ)
    if isinstance(typ, Instance) and typ.last_known_value is not None:
        typ = typ.last_known_value
    if not isinstance(typ, LiteralType):
        return None
    enum = typ.fallback.type
    if enum.is_enum:
        key = _enum_key(enum, str(typ.value))
        return None if isinstance(key, range) else key
    return _checked(typ.value)


def _checked(value: object) -> int | str | Wrong:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    return Wrong(repr(value))


def _pair(items: list[Expression]) -> range | Wrong:
    ends = [written_key(item) for item in items]
    if len(ends) == 2 and isinstance(ends[0], int) and isinstance(ends[1], int) and ends[0] <= ends[1]:
        return range(ends[0], ends[1] + 1)
    return Wrong("a tuple")


def _range_call(call: CallExpr) -> range | None:
    if not isinstance(call.callee, RefExpr) or call.callee.fullname != "builtins.range":
        return None
    ends = [end for item in call.args if isinstance(end := written_key(item), int)]
    if (
        len(ends) != len(call.args)
        or not 1 <= len(ends) <= 3
        or any(not kind.is_positional() for kind in call.arg_kinds)
    ):
        return None
    # An empty range and one that runs backwards are errors at run time, of another kind.
    return None if ends[2:] and ends[2] <= 0 else range(*ends) or None


def named_class(expr: Expression) -> TypeInfo | None:
    """Return the class that a name stands for, also through an alias."""
    node = expr.node if isinstance(expr, RefExpr) else None
    if isinstance(node, AliasNode):
        target = get_proper_type(node.target)
        return target.type if isinstance(target, Instance) else None
    return node if isinstance(node, TypeInfo) else None


def _enum_key(enum: TypeInfo, name: str) -> Key | Wrong | None:
    symbol = enum.names.get(name)
    if symbol is None or not isinstance(symbol.node, Var):
        return None
    if not (enum.has_base("builtins.int") or enum.has_base("builtins.str")):
        return Wrong(f"{enum.name}.{name}")
    return member_key(enum, name)


def member_key(enum: TypeInfo, name: str) -> int | str | Member:
    """Return the value of an enum's member, or the member itself where mypy does not know the value."""
    unknown = Member(enum.fullname, name)
    symbol = enum.names.get(name)
    # An enum that makes its members itself may give them other values than are written.
    if symbol is None or symbol.type is None or not _definer(enum, "__new__").startswith("enum."):
        return unknown
    value = get_proper_type(symbol.type)
    if isinstance(value, Instance) and value.type.fullname == "enum.auto":
        return name.lower() if _definer(enum, "_generate_next_value_") == "enum.StrEnum" else unknown
    key = literal_key(value)
    return key if isinstance(key, int | str) else unknown


def _definer(enum: TypeInfo, name: str) -> str:
    """Name the enum class that an attribute comes from."""
    return next((base.fullname for base in enum.mro if base.is_enum and name in base.names), "enum.Enum")
