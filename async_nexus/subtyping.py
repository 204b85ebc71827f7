"""Compares two types as a checker would, as far as running code can tell: which is the wider.

Knows classes, unions, literals, generic containers (taken as read-only, so covariant), `Annotated`,
`NewType` and aliases. What it does not know (protocols, two different `TypedDict`s, type variables) it calls
unknown; it never guesses.
"""

import types
from collections.abc import Callable, Iterable
from enum import Enum
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    NewType,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

from typing_extensions import is_protocol, is_typeddict


class Relation(Enum):
    """How a type relates to the one it is compared with."""

    FITS = "equal or wider"
    NARROWER = "narrower"
    DISJOINT = "disjoint"
    UNKNOWN = "unknown"


def compare(one: Any, other: Any) -> Relation:
    """Tell how `one` relates to `other`: whether it takes every value that is an `other`.

    `FITS`: it does, or `Any` is about. `NARROWER`: the reverse holds. `DISJOINT`: neither, and no class
    that is written out is both. `UNKNOWN`: they overlap in part, or it cannot be told.
    """
    try:
        if _takes(one, other):
            return Relation.FITS
        if _takes(other, one):
            return Relation.NARROWER
        return Relation.DISJOINT if _disjoint(one, other) else Relation.UNKNOWN
    except RecursionError:  # aliases that hold themselves
        return Relation.UNKNOWN


Quantifier: TypeAlias = Callable[[Iterable[bool]], bool]
"""`all` or `any`."""

_PROMOTIONS: Final = {float: (int,), complex: (int, float)}
"""What checkers and pydantic take for a number: an `int` is a `float`."""


def _takes(wide: Any, narrow: Any) -> bool:
    wide, narrow = _plain(wide), _plain(narrow)
    if wide == narrow or wide is object or Any in (wide, narrow):
        return True
    if len(_members(narrow)) > 1:
        return all(_takes(wide, member) for member in _members(narrow))
    if len(_members(wide)) > 1:
        return any(_takes(member, narrow) for member in _members(wide))
    if isinstance(narrow, NewType):
        return _takes(wide, narrow.__supertype__)
    if get_origin(narrow) is Literal:
        return get_origin(wide) is not Literal and _takes(wide, type(get_args(narrow)[0]))
    return _is_subclass(narrow, wide) and _pairwise(all, _takes, wide, narrow)


def _disjoint(one: Any, other: Any) -> bool:
    one, other = _plain(one), _plain(other)
    if len(_members(one)) > 1 or len(_members(other)) > 1:
        return all(_disjoint(a, b) for a in _members(one) for b in _members(other))
    if get_origin(one) is Literal and get_origin(other) is Literal:
        return bool(one != other)
    one, other = _widest(one), _widest(other)
    if _class_of(one) is None or _class_of(other) is None or (is_typeddict(one) and is_typeddict(other)):
        return False
    if _is_subclass(one, other) or _is_subclass(other, one):
        return _pairwise(any, _disjoint, one, other)
    return True


def _plain(tp: Any) -> Any:
    """Look through aliases and `Annotated`, whose constraints no checker compares."""
    while True:
        origin = get_origin(tp)
        # An alias is known by its value: its class differs between typing and typing_extensions.
        if hasattr(origin, "__value__"):
            tp = origin.__value__[get_args(tp)]
        elif hasattr(tp, "__value__"):
            tp = tp.__value__
        elif origin is Annotated:
            tp = get_args(tp)[0]
        else:
            return type(None) if tp is None else tp


def _members(tp: Any) -> list[Any]:
    """List the alternatives of a union or a literal; of anything else, itself."""
    if get_origin(tp) in (Union, types.UnionType):
        return [member for part in get_args(tp) for member in _members(_plain(part))]
    if get_origin(tp) is Literal:
        return [Literal[value] for value in get_args(tp)]
    return [tp]


def _widest(tp: Any) -> Any:
    """Return the class that every value of a literal, a `NewType` or an `Any` belongs to."""
    while isinstance(tp, NewType):
        tp = _plain(tp.__supertype__)
    return cast(Any, type(get_args(tp)[0])) if get_origin(tp) is Literal else tp


def _class_of(tp: Any) -> type | None:
    """Return the class behind a type where instances can be told by it, else nothing."""
    origin = _origin(tp)
    if is_typeddict(origin):
        return dict
    known = isinstance(origin, type) and origin is not object and not is_protocol(origin)
    return cast("type", origin) if known else None


def _origin(tp: Any) -> Any:
    """Return what a generic type was made of; pydantic makes a class of each that it keeps on the side."""
    return _of_pydantic(tp).get("origin") or get_origin(tp) or tp


def _arguments(tp: Any, seen_as: Any) -> tuple[Any, ...]:
    """Return the arguments of a type or, where it is seen as one of its bases, those that it gives to that base."""
    origin = _origin(tp)
    own = cast("tuple[Any, ...]", _of_pydantic(tp).get("args") or get_args(tp))
    if origin is seen_as:
        return own
    bases: Any = getattr(origin, "__dict__", {}).get("__orig_bases__") or getattr(origin, "__bases__", ())
    for base in bases:
        if _is_subclass(base, seen_as):
            free, given = _parameters(base), dict(zip(_parameters(origin) or _parameters(base), own, strict=False))
            return _arguments(base[tuple(given.get(each, each) for each in free)] if free and own else base, seen_as)
    return own  # as a `list[int]` is a `Sequence[int]`


def _parameters(tp: Any) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", _of_pydantic(tp).get("parameters") or getattr(tp, "__parameters__", ()))


def _of_pydantic(tp: Any) -> dict[str, Any]:
    return getattr(tp, "__pydantic_generic_metadata__", {})


def _is_subclass(narrow: Any, wide: Any) -> bool:
    one, other = _class_of(narrow), _class_of(wide)
    if one is None or other is None or is_typeddict(_origin(wide)):
        return False
    return issubclass(one, other) or issubclass(one, _PROMOTIONS.get(other, ()))


def _pairwise(quantifier: Quantifier, relation: Callable[[Any, Any], bool], one: Any, other: Any) -> bool:
    """Compare the arguments of two generic types one by one; an argument left out is `Any`."""
    ones, others = _arguments(one, _origin(other)), _arguments(other, _origin(one))
    if (not ones and one != tuple[()]) or (not others and other != tuple[()]):
        return quantifier is all
    if _class_of(one) is tuple and _class_of(other) is tuple:
        return _compare_tuples(quantifier, relation, ones, others)
    if len(ones) != len(others) or not all(_is_type(arg) for arg in (*ones, *others)):
        return False
    return quantifier(relation(a, b) for a, b in zip(ones, others, strict=True))


def _compare_tuples(
    quantifier: Callable[..., bool],
    relation: Callable[[Any, Any], bool],
    ones: tuple[Any, ...],
    others: tuple[Any, ...],
) -> bool:
    endless = ones[-1:] == (...,), others[-1:] == (...,)
    if endless == (False, True):
        return False if quantifier is all else any(relation(one, others[0]) for one in ones)
    if endless[0]:
        ones = ones[:1] * (1 if endless[1] else len(others))
        others = others[:1] if endless[1] else others
    if len(ones) != len(others):
        return quantifier is any
    return quantifier(relation(a, b) for a, b in zip(ones, others, strict=True))


def _is_type(arg: Any) -> bool:
    return not isinstance(arg, list | TypeVar | ForwardRef | str) and arg is not Ellipsis


def show_type(tp: Any) -> str:
    """Write a type as it reads in source code."""
    if arguments := _of_pydantic(tp).get("args"):
        return f"{_origin(tp).__name__}[{', '.join(map(show_type, arguments))}]"
    if isinstance(tp, NewType) or (isinstance(tp, type) and not get_args(tp)):
        return str(tp.__name__)
    return str(tp).replace("typing.", "")
