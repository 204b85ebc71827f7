"""Comparing types as a checker would: fits, narrower, disjoint, unknown."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NewType, Protocol, TypedDict, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from async_nexus.subtyping import Relation, compare, show_type

FITS, NARROWER, DISJOINT, UNKNOWN = Relation.FITS, Relation.NARROWER, Relation.DISJOINT, Relation.UNKNOWN

T = TypeVar("T")
U = TypeVar("U")


class Base(BaseModel): ...


class Derived(Base): ...


class Other(BaseModel): ...


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Closes(Protocol):
    def close(self) -> None: ...


class Box(BaseModel, Generic[T]):
    content: T


class IntBox(Box[int]): ...


class Cell(Generic[T]): ...


class IntCell(Cell[int]): ...


class Labelled(Box[str], Generic[T]):
    label: T


class Pair(Generic[T, U]): ...


class Swapped(Pair[U, T], Generic[T, U]): ...


class Fixed(Swapped[int, T]): ...


class Couple(BaseModel, Generic[T, U]):
    one: T
    two: U


class Crossed(Couple[U, T], Generic[T, U]): ...


class Ints(list[int]): ...


class Stack(list[T]): ...


class Row(TypedDict):
    a: int


class WideRow(Row):
    b: int


UserId = NewType("UserId", int)
OrderId = NewType("OrderId", int)
AdminId = NewType("AdminId", UserId)
Alias = TypeAliasType("Alias", int | str)
ListOf = TypeAliasType("ListOf", list[T], type_params=(T,))

MIRRORED = {FITS: NARROWER, NARROWER: FITS, DISJOINT: DISJOINT, UNKNOWN: UNKNOWN}

# Each line compares the first with the second; unless both fit, the reverse holds the other way round.
COMPARED: list[tuple[Any, Any, Relation]] = [
    # classes
    (int, int, FITS),
    (Base, Derived, FITS),
    (Base, Other, DISJOINT),
    (object, Base, FITS),
    (float, int, FITS),
    (complex, int, FITS),
    (complex, float, FITS),
    (int, bool, FITS),
    (str, int, DISJOINT),
    # None
    (None, type(None), FITS),
    (None, int, DISJOINT),
    (int | None, None, FITS),
    # unions
    (int | str, int, FITS),
    (int | str, str | int, FITS),
    (int | str | bytes, int | str, FITS),
    (int | str, str | bytes, UNKNOWN),
    (int | str, bytes, DISJOINT),
    (Base | None, Derived | None, FITS),
    # literals
    (Literal[1, 2], Literal[1], FITS),
    (int, Literal[1], FITS),
    (int | None, Literal[1] | None, FITS),
    (Literal["a"], Literal["b"], DISJOINT),
    (Literal["a", "b"], Literal["b", "c"], UNKNOWN),
    (Literal[1], Literal[True], DISJOINT),
    (str, Literal[1], DISJOINT),
    (Colour, Literal[Colour.RED], FITS),
    (Literal[Colour.RED], Literal[Colour.BLUE], DISJOINT),
    # new types and aliases
    (int, UserId, FITS),
    (UserId, AdminId, FITS),
    (float, AdminId, FITS),
    (UserId, OrderId, UNKNOWN),
    (str, UserId, DISJOINT),
    (Alias, int, FITS),
    (Alias, bytes, DISJOINT),
    (ListOf[int], list[int], FITS),
    (ListOf[int], list[str], DISJOINT),
    # constraints are not compared
    (Annotated[int, Field(gt=0)], int, FITS),
    (int, Annotated[int, Field(gt=0)], FITS),
    (Annotated[int | str, "x"], Annotated[int, "y"], FITS),
    # containers
    (list[Base], list[Derived], FITS),
    (Sequence[Base], list[Derived], FITS),
    (Mapping[str, object], dict[str, int], FITS),
    (Iterable[int], list[str], DISJOINT),
    (list[int], list[str], DISJOINT),
    (dict[str, int], dict[str, str], DISJOINT),
    (list[int | str], list[str | bytes], UNKNOWN),
    (list[int], Sequence[int | str], NARROWER),
    (list[int], dict[int, int], DISJOINT),
    (ListOf, list[int], UNKNOWN),
    (list["Base"], list[Base], UNKNOWN),
    (Callable[[int], str], Callable[[str], str], UNKNOWN),
    # classes that give their base its arguments
    (list[int], Ints, FITS),
    (list[str], Ints, DISJOINT),
    (list[int], Stack[int], FITS),
    (Cell[int], IntCell, FITS),
    (Cell[str], IntCell, DISJOINT),
    (Cell[int], Cell[str], DISJOINT),
    (Box[str], Labelled[int], FITS),
    (Box[int], Labelled[int], DISJOINT),
    (Pair[str, int], Swapped[int, str], FITS),
    (Pair[int, str], Swapped[int, str], DISJOINT),
    (Pair[str, int], Fixed[str], FITS),
    (Pair[int, str], Fixed[str], DISJOINT),
    (Couple[str, int], Crossed[int, str], FITS),
    (Couple[int, str], Crossed[int, str], DISJOINT),
    (Sequence[int], Stack[int], FITS),
    (Sequence[str], Ints, DISJOINT),
    # pydantic's generic models, which are classes of their own
    (Box[object], Box[int], FITS),
    (Box[int], Box[str], DISJOINT),
    (Box[int], IntBox, FITS),
    (Box[str], IntBox, DISJOINT),
    (Box[int | str], Box[str | bytes], UNKNOWN),
    # tuples
    (tuple[int, str], tuple[bool, str], FITS),
    (tuple[int, str], tuple[int, int], DISJOINT),
    (tuple[int], tuple[int, int], DISJOINT),
    (tuple[int, ...], tuple[int, bool], FITS),
    (tuple[int, ...], tuple[int, str], DISJOINT),
    (tuple[int, ...], tuple[()], FITS),
    (tuple[object, ...], tuple[int, ...], FITS),
    (tuple[int, ...], tuple[str, ...], DISJOINT),
    (tuple[int | str, ...], tuple[str | bytes], UNKNOWN),
    (tuple[()], tuple[int], DISJOINT),
    (Sequence[int], tuple[int, ...], UNKNOWN),
    # what instances cannot be told by
    (Closes, Base, UNKNOWN),
    (Row, WideRow, UNKNOWN),
    (dict, Row, FITS),
    (Mapping[str, Any], Row, FITS),
    (int, Row, DISJOINT),
    (TypeVar("K"), int, UNKNOWN),
]
# Where `Any` is about, either takes the other.
OPEN: list[tuple[Any, Any]] = [
    (Any, int),
    (Any, Any),
    (list, list[int]),
    (list[Any], list[int]),
    (tuple, tuple[int, ...]),
    (tuple, tuple[()]),
    (tuple[Any, ...], tuple[int, ...]),
    (Box, Box[int]),
    (Box[Any], Box[int]),
    (dict[str, Any], dict[str, int]),
    (int, Annotated[Any, "anything"]),
]


def spelt(case: Any) -> str:
    """Name a case by its types."""
    return show_type(case) if not isinstance(case, Relation) else case.name


@pytest.mark.parametrize("one, other, relation", COMPARED, ids=spelt)
def test_compare(one: Any, other: Any, relation: Relation) -> None:
    """C2: an annotation fits (equal or wider), is narrower, is disjoint, or it cannot be told."""
    assert compare(one, other) is relation


@pytest.mark.parametrize("one, other, relation", COMPARED, ids=spelt)
def test_compare_the_other_way_round(one: Any, other: Any, relation: Relation) -> None:
    """C2: what is narrower one way is wider the other way; equal types fit both ways."""
    reverse = compare(other, one)
    assert reverse is MIRRORED[relation] or (relation is FITS and reverse is FITS)


@pytest.mark.parametrize("one, other", OPEN, ids=spelt)
def test_any_fits(one: Any, other: Any) -> None:
    """C2: `Any`, and an argument that is left out, fits both ways."""
    assert (compare(one, other), compare(other, one)) == (FITS, FITS)


@pytest.mark.parametrize(
    "wide, narrow", [(int | str, str), (object, Base), (Base, Derived), (Sequence[object], list[int]), (Row, WideRow)]
)
def test_a_narrower_type_does_not_fit(wide: Any, narrow: Any) -> None:
    """C2: the narrower of two never passes for the wider one."""
    assert compare(narrow, wide) is not FITS


def tree_of(leaf: type) -> Any:
    """Make the alias that `type Tree = leaf | list[Tree]` makes, also for Python 3.11."""
    if sys.version_info >= (3, 12):
        namespace: dict[str, Any] = {"leaf": leaf}
        exec("type Tree = leaf | list[Tree]", namespace)
        return namespace["Tree"]
    alias: Any = TypeAliasType("alias", leaf)
    object.__setattr__(alias, "__value__", leaf | list[alias])
    return alias


def test_aliases_that_hold_themselves() -> None:
    """C2: how two recursive aliases relate cannot be told; that is no reason to fail."""
    assert compare(tree_of(int), tree_of(int)) is UNKNOWN
    assert compare(tree_of(int), int) is FITS
    assert compare(tree_of(int), str) is DISJOINT


CLASSES = [bool, int, str, bytes, type(None), Base, Derived, Other]
UNIONS = st.sets(st.sampled_from(CLASSES), min_size=1)


def union(classes: set[Any]) -> Any:
    """Make the union of some classes."""
    first, *rest = sorted(classes, key=repr)
    for each in rest:
        first |= each
    return first


def instances(classes: set[Any]) -> set[Any]:
    """List of the leaves of the class tree those that a union takes."""
    return {leaf for leaf in CLASSES if any(issubclass(leaf, each) for each in classes)}


@given(UNIONS, UNIONS)
def test_unions_compare_as_sets_do(ones: set[Any], others: set[Any]) -> None:
    """C2: of unions of classes, the wider is the one that takes all that the other takes."""
    one, other = instances(ones), instances(others)
    expected = FITS if one >= other else NARROWER if one < other else UNKNOWN if one & other else DISJOINT
    assert compare(union(ones), union(others)) is expected


@given(UNIONS, UNIONS)
def test_containers_compare_as_their_arguments_do(ones: set[Any], others: set[Any]) -> None:
    """C2: containers are taken as read-only, so they are as wide as what they hold."""
    expected = compare(union(ones), union(others))
    assert compare(list[union(ones)], list[union(others)]) is expected  # type: ignore[misc] # types made at run time
    assert compare(Box[union(ones)], Box[union(others)]) is expected  # type: ignore[misc] # types made at run time


@pytest.mark.parametrize(
    "tp, text",
    [
        (int, "int"),
        (Base, "Base"),
        (None, "None"),
        (list[int], "list[int]"),
        (int | str, "int | str"),
        (Literal["a"], "Literal['a']"),
        (Box[int], "Box[int]"),
        (Any, "Any"),
    ],
)
def test_types_are_shown_as_they_are_written(tp: Any, text: str) -> None:
    """Messages show a type as it reads in source code."""
    assert show_type(tp) == text
