"""Named event classes and their keys; domains, which are made of them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from mypy.errorcodes import ErrorCode
from mypy.nodes import MDEF, Expression, NameExpr, SymbolTableNode, TypeInfo, Var
from mypy.plugin import ClassDefContext
from mypy.semanal import SemanticAnalyzer
from mypy.types import AnyType, Instance, LiteralType, Type, TypeOfAny, flatten_nested_unions, get_proper_type

from ._keys import DEFAULT, Key, Member, Wrong, meet, member_key, show, written_key, written_member
from ._names import NAMED_EVENT

METADATA: Final = "async_nexus"
SYMBOL: Final = "__nexus-key"
"""What a class's key shows in for the daemon; no program can name it."""

KEY: Final = ErrorCode("nexus-key", "Check that keys are declared in the domain of the nexus", "async_nexus")

Lookup: TypeAlias = Callable[[str], SymbolTableNode | None]


def is_event_class(info: TypeInfo) -> bool:
    """Whether a class is a named event, with a key of its own."""
    return info.fullname != NAMED_EVENT and info.has_base(NAMED_EVENT)


def record_key(ctx: ClassDefContext) -> None:
    """Keep the key of a named event class in its metadata, which mypy's caches keep too."""
    info = ctx.cls.info
    if not is_event_class(info):
        return
    written = ctx.cls.keywords.get("type")
    key = _class_key(ctx, written)
    if isinstance(key, Wrong):
        message = f'The key of event class "{info.name}" is {key.text}; expected an "int" or a "str"'
        ctx.api.fail(message, written or ctx.cls, code=KEY)
        key = None
    kept = {"enum": key.enum, "member": key.name} if isinstance(key, Member) else key
    info.metadata[METADATA] = {"key": kept}
    _show_key(ctx, key)


def _class_key(ctx: ClassDefContext, written: Expression | None) -> int | str | Member | Wrong | None:
    definer = next((base for base in ctx.cls.info.mro[1:] if "__init_subclass__" in base.names), None)
    if definer is None or definer.fullname != NAMED_EVENT:
        # A class in between may choose the key as it likes.
        return None
    if written is None or (isinstance(written, NameExpr) and written.fullname == "builtins.None"):
        return _qualname(ctx)
    # The value of an enum's member is known here only if the enum came out of the cache.
    key = written_member(written) or written_key(written)
    return Wrong("a range") if isinstance(key, range) else key


def _qualname(ctx: ClassDefContext) -> str | None:
    """Return what will be the class's `__qualname__`: mypy's own name of a local class has its line instead."""
    prefix = f"{ctx.api.cur_mod_id}."
    name = ctx.cls.info.fullname.removeprefix(prefix)
    if "@" not in name:
        return name
    if not isinstance(ctx.api, SemanticAnalyzer) or ctx.api.is_class_scope():
        return None
    outer = ""
    for function in ctx.api.function_stack:
        # A nested function has no full name, a method has that of its class, which may be local.
        inner = function.fullname.removeprefix(prefix)
        outer = (outer if inner == function.fullname or "@" in inner else "") + f"{inner}.<locals>."
    return re.sub(r"@\d+", "", outer + name)


def _show_key(ctx: ClassDefContext, key: Key | None) -> None:
    """Give the class a symbol of the key's type, since the daemon sees changes of symbols, not of metadata."""
    info = ctx.cls.info
    var = Var(SYMBOL, _key_type(ctx, key))
    var.info = info
    var._fullname = f"{info.fullname}.{SYMBOL}"  # pyright: ignore[reportPrivateUsage] # mypy's own plugins set it so
    info.names[SYMBOL] = SymbolTableNode(MDEF, var, plugin_generated=True)


def _key_type(ctx: ClassDefContext, key: Key | None) -> Type:
    if isinstance(key, Member):
        symbol = ctx.api.lookup_fully_qualified_or_none(key.enum)
        if symbol is not None and isinstance(symbol.node, TypeInfo):
            return LiteralType(key.name, Instance(symbol.node, []))
    if isinstance(key, int | str):
        return LiteralType(key, ctx.api.named_type("builtins.int" if isinstance(key, int) else "builtins.str"))
    return AnyType(TypeOfAny.special_form)


def key_of(info: TypeInfo, lookup: Lookup) -> Key | None:
    """Return the key of a named event class, if it is known."""
    match info.metadata.get(METADATA, {}).get("key"):
        case {"enum": str() as enum, "member": str() as name}:
            symbol = lookup(enum)
            if symbol is not None and isinstance(symbol.node, TypeInfo):
                return member_key(symbol.node, name)
            return Member(enum, name)
        case int() | str() as key:
            return key
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Domain:
    """The event classes that a nexus declares, with their keys; a key may be unknown."""

    type: Type
    events: tuple[tuple[Key | None, Instance], ...]

    def events_of(self, key: Key) -> list[Instance] | None:
        """Return the events under a key; none where it is undeclared, `None` where that cannot be told."""
        found = [event for own, event in self.events if own is not None and meet(own, key)]
        if not found and (
            isinstance(key, Member) or any(own is None or isinstance(own, Member) for own, _ in self.events)
        ):
            return None
        # Of two classes of one key, the subclass is the key's class.
        return [
            event
            for event in found
            if isinstance(key, range)
            or not any(other is not event and other.type.has_base(event.type.fullname) for other in found)
        ]

    def events_for_handler(self, key: Key) -> list[Instance] | None:
        """Return the events that a handler of a key must take: the default handler takes all."""
        return [event for _, event in self.events] if key == DEFAULT else self.events_of(key)

    def describe(self) -> str:
        """List the keys and their classes, for messages."""
        return ", ".join(f"{'?' if key is None else show(key)} ({event.type.name})" for key, event in self.events)


def read_domain(declared: Type, lookup: Lookup) -> Domain | None:
    """Read a domain from a type argument; nothing where it is open to any event."""
    members = [get_proper_type(member) for member in flatten_nested_unions([declared])]
    events = [member for member in members if isinstance(member, Instance) and is_event_class(member.type)]
    if not events or len(events) < len(members):
        return None
    return Domain(declared, tuple((key_of(event.type, lookup), event) for event in events))
