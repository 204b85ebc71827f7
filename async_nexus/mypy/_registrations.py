"""The registrations of a module in their order, to find a key that gets a second handler."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mypy.nodes import (
    AssignmentStmt,
    Block,
    CallExpr,
    ClassDef,
    Decorator,
    Expression,
    ExpressionStmt,
    ForStmt,
    FuncDef,
    IfStmt,
    IndexExpr,
    MatchStmt,
    MemberExpr,
    MypyFile,
    NameExpr,
    Node,
    OverloadedFuncDef,
    Statement,
    TryStmt,
    Var,
    WhileStmt,
    WithStmt,
)

from ._domains import Lookup, key_of
from ._keys import Key, Wrong, meet, named_class, written_key
from ._names import NEXUS

Place: TypeAlias = tuple[object, ...]
"""What holds a nexus: a variable, or an attribute of one."""

Path: TypeAlias = tuple[tuple[int, int], ...]
"""The branches that lead to a statement, outermost first."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A call that registers a handler, for what is named in some of its arguments."""

    call: CallExpr
    named: tuple[Expression, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class Earlier:
    """The handler that a key has already."""

    key: Key
    line: int


class Registrations:
    """What is registered in the module that mypy is checking; another module takes its place."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self._tree: MypyFile | None = None
        self._places: dict[CallExpr, tuple[list[Registration], int]] = {}

    def find_earlier(self, tree: MypyFile, call: CallExpr) -> Earlier | None:
        """Find the registration that comes before a call, in every run that reaches it, and has a key of it."""
        # The daemon keeps the tree of a module that was changed, but not its expressions.
        if tree is not self._tree or call not in self._places:
            self._tree, self._places = tree, Walk().module(tree)
        registrations, position = self._places.get(call, ([], 0))
        for earlier in registrations[:position]:
            if registrations[position].path[: len(earlier.path)] != earlier.path:
                continue
            for key in self._keys(registrations[position]):
                # An exact key goes before a range that holds it.
                if any(isinstance(key, range) == isinstance(it, range) and meet(key, it) for it in self._keys(earlier)):
                    return Earlier(key, earlier.call.line)
        return None

    def _keys(self, registration: Registration) -> Iterator[Key]:
        for expr in registration.named:
            info = named_class(expr)
            key = written_key(expr) if info is None else key_of(info, self.lookup)
            if key is not None and not isinstance(key, Wrong):
                yield key


class Walk:
    """One walk over a module, in the order of its text.

    A nexus is known by the place that holds it and by how many were assigned to that place before. Only places
    that hold nothing but nexuses made here, with `multiple` unset, are looked at.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[Place, int], list[Registration]] = {}
        self._made: dict[Place, int] = {}
        self._unclear: set[Place] = set()
        self._class = ""
        self._calls: set[CallExpr] = set()

    def module(self, tree: MypyFile) -> dict[CallExpr, tuple[list[Registration], int]]:
        """Return for each call the registrations of its nexus, and which of them it is."""
        self._statements(tree.defs, ())
        places: dict[CallExpr, tuple[list[Registration], int]] = {call: ([], 0) for call in self._calls}
        for (place, _), found in self._found.items():
            if place in self._made and place not in self._unclear:
                places |= {registration.call: (found, i) for i, registration in enumerate(found)}
        return places

    def _statements(self, statements: list[Statement], path: Path) -> None:
        for statement in statements:
            self._statement(statement, path)

    def _branches(self, owner: Node, blocks: list[Block | None], path: Path) -> None:
        """Walk over blocks of which a run takes one, or none."""
        for i, block in enumerate(blocks):
            if block is not None and not block.is_unreachable:
                self._statements(block.body, (*path, (id(owner), i)))

    def _statement(self, statement: Node, path: Path) -> None:
        match statement:
            case ExpressionStmt(expr=CallExpr() as call):
                self._call(call, path)
            case AssignmentStmt():
                if isinstance(statement.rvalue, CallExpr):
                    self._call(statement.rvalue, path)
                for target in statement.lvalues:
                    self._assign(target, statement.rvalue)
            case Decorator():
                for decorator in statement.decorators:
                    if isinstance(decorator, CallExpr):
                        self._register(decorator, "on", path)
                self._branches(statement, [statement.func.body], path)
            case FuncDef():
                self._branches(statement, [statement.body], path)
            case OverloadedFuncDef():
                for item in statement.items:
                    self._statement(item, path)
            case ClassDef():
                outer, self._class = self._class, statement.fullname
                self._statements(statement.defs.body, path)
                self._class = outer
            case _:
                self._compound(statement, path)

    def _compound(self, statement: Node, path: Path) -> None:
        match statement:
            case IfStmt():
                self._branches(statement, [*statement.body, statement.else_body], path)
            case MatchStmt():
                self._branches(statement, [*statement.bodies], path)
            case WhileStmt():
                self._branches(statement, [statement.body, statement.else_body], path)
            case ForStmt():
                self._assign(statement.index, statement.expr)
                self._branches(statement, [statement.body, statement.else_body], path)
            case WithStmt():
                for expr, target in zip(statement.expr, statement.target, strict=True):
                    if target is not None:
                        self._assign(target, expr)
                self._statements(statement.body.body, path)
            case TryStmt():
                self._try(statement, path)
                if statement.finally_body is not None:
                    self._statements(statement.finally_body.body, path)
            case Block():
                self._statements(statement.body, path)
            case _:
                pass

    def _try(self, statement: TryStmt, path: Path) -> None:
        """Walk over what may fail, and what is done then: a registration that failed has registered nothing."""
        tried = (*path, (id(statement), -1)) if statement.handlers else path
        self._statements(statement.body.body, tried)
        self._branches(statement, [*statement.handlers], path)
        if statement.else_body is not None:
            self._statements(statement.else_body.body, tried)

    def _place(self, expr: Expression) -> Place | None:
        """Return what holds a nexus; an attribute of `self` is the same in all methods of a class."""
        if isinstance(expr, NameExpr) and isinstance(expr.node, Var):
            return ("self", self._class) if expr.node.is_self else (expr.node,)
        if isinstance(expr, MemberExpr):
            owner = self._place(expr.expr)
            return None if owner is None else (*owner, expr.name)
        return None

    def _assign(self, target: Expression, value: Expression) -> None:
        place = self._place(target)
        if place is None:
            return
        self._made[place] = self._made.get(place, 0) + 1
        if not _makes_single(value):
            self._unclear.add(place)

    def _call(self, call: CallExpr, path: Path) -> None:
        if isinstance(call.callee, CallExpr):
            self._register(call.callee, "on", path)
        else:
            self._register(call, "add_handler", path)

    def _register(self, call: CallExpr, method: str, path: Path) -> None:
        self._calls.add(call)
        if not isinstance(call.callee, MemberExpr) or call.callee.name != method:
            return
        place = self._place(call.callee.expr)
        if place is None or any(kind.is_star() for kind in call.arg_kinds):
            return
        names = zip(call.arg_names, call.args, strict=True)
        named = call.args if method == "on" else [arg for name, arg in names if name == "type"] or call.args[:1]
        made = (place, self._made.get(place, 0))
        self._found.setdefault(made, []).append(Registration(call, tuple(named), path))


def _makes_single(expr: Expression) -> bool:
    """Whether an expression makes a nexus with `multiple` unset; a subclass may set it in its `__init__`."""
    if not isinstance(expr, CallExpr) or not all(
        isinstance(arg, NameExpr) and arg.name == "False" for arg in expr.args
    ):
        return False
    callee = expr.callee.base if isinstance(expr.callee, IndexExpr) else expr.callee
    info = named_class(callee)
    init = info.get_containing_type_info("__init__") if info is not None else None
    return init is not None and init.fullname == NEXUS
