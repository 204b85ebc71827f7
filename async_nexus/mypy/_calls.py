"""Calls of a nexus: their signatures, made as strict for a literal key as they are for its event class."""

from collections.abc import Iterator
from typing import Final

from mypy.checker import TypeChecker
from mypy.errorcodes import ErrorCode
from mypy.errors import ErrorInfo
from mypy.maptype import map_instance_to_supertype
from mypy.messages import format_type
from mypy.nodes import ARG_POS, CallExpr, Context, Decorator, Expression, LambdaExpr, MemberExpr, TypeInfo
from mypy.plugin import MethodSigContext
from mypy.server.trigger import make_trigger
from mypy.subtypes import is_subtype
from mypy.typeops import make_simplified_union
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    ProperType,
    Type,
    TypeOfAny,
    TypeType,
    UninhabitedType,
    UnionType,
    get_proper_type,
)

from ._domains import KEY, SYMBOL, Domain, is_event_class, key_of, read_domain
from ._events import change, event_call, payload_of
from ._handlers import Shapes, annotated_events, handler_fault
from ._keys import Key, Wrong, literal_key, named_class, show, written_key
from ._names import EVENT
from ._registrations import Registrations

HANDLER: Final = ErrorCode("nexus-handler", "Check that handlers take the events of their keys", "async_nexus")
PAYLOAD: Final = ErrorCode("nexus-payload", "Check that payloads are those of their keys", "async_nexus")
DUPLICATE: Final = ErrorCode("nexus-duplicate", "Check that no key has two handlers", "async_nexus")


class Call:
    """One call of a method, seen through one item of its signature, on an object of a declared domain."""

    def __init__(
        self, ctx: MethodSigContext, owner: Instance, checker: TypeChecker, domain: Domain, known: Registrations
    ) -> None:
        self.owner = owner
        self.context = ctx.context
        self.arguments = ctx.args
        self.signature = ctx.default_signature
        self.checker = checker
        self.domain = domain
        self.registrations = known
        self.lookup = known.lookup

    @classmethod
    def read(cls, ctx: MethodSigContext, generic: str, known: Registrations) -> "Call | None":
        """Read a call from what mypy hands to plugins; nothing where the domain is open to any event.

        The domain is the last type argument of `generic`, the class that defines the method.
        """
        owner, symbol = get_proper_type(ctx.type), known.lookup(generic)
        if symbol is None or not isinstance(symbol.node, TypeInfo) or not isinstance(ctx.api, TypeChecker):
            return None
        if not isinstance(owner, Instance) or not owner.type.has_base(generic):
            return None
        owner = map_instance_to_supertype(owner, symbol.node)
        domain = read_domain(owner.args[-1], known.lookup) if owner.args else None
        return None if domain is None else cls(ctx, owner, ctx.api, domain, known)

    def depend_on_keys(self) -> None:
        """Have the daemon check this place again when a class of the domain changes its key."""
        target = self.checker.tscope.current_target()
        for _, event in self.domain.events:
            trigger = make_trigger(f"{event.type.fullname}.{SYMBOL}")
            self.checker.tree.plugin_deps.setdefault(trigger, set()).add(target)

    def argument(self, position: int) -> Expression | None:
        """Return the one expression given for a parameter; a starred one says too little."""
        given = self.arguments[position]
        return given[0] if len(given) == 1 and not self.is_starred(given[0]) else None

    def is_starred(self, expr: Expression) -> bool:
        """Whether an argument stands for several."""
        call = self.context
        return isinstance(call, CallExpr) and any(
            kind.is_star() for arg, kind in zip(call.args, call.arg_kinds, strict=True) if arg is expr
        )

    def type_of(self, expr: Expression) -> ProperType:
        """Infer a type without reporting anything: mypy checks the arguments afterwards."""
        return self._infer(expr, None)[0]

    def infer(self, expr: Expression, expected: Type) -> ProperType | None:
        """Infer a type where another is expected; nothing where that alone made mypy report errors."""
        given, errors = self._infer(expr, expected)
        self.checker.msg.add_errors(errors)
        return None if any(error.severity == "error" for error in errors) else given

    def _infer(self, expr: Expression, expected: Type | None) -> tuple[ProperType, list[ErrorInfo]]:
        with self.checker.msg.filter_errors(save_filtered_errors=True) as watcher:
            given = self.checker.get_expression_type(expr, expected)
        return get_proper_type(given), watcher.filtered_errors()

    def keys(self, expr: Expression) -> list[Key]:
        """Return the keys that an argument may be; none for a class and for what is not understood."""
        key = self._own_key(expr) or written_key(expr)
        found = [literal_key(typ) for typ in alternatives(self.type_of(expr))] if key is None else [key]
        for each in found:
            if isinstance(each, Wrong) and each.text in ("True", "False"):
                self.fail(f"{each.text} is no key: a key is an int or a str, and never a bool", expr, KEY)
        keys = [each for each in found if each is not None and not isinstance(each, Wrong)]
        return keys if len(keys) == len(found) else []

    def _own_key(self, expr: Expression) -> Key | None:
        """Read `TeapotEvent.event_type`."""
        if not isinstance(expr, MemberExpr) or expr.name != "event_type":
            return None
        info = named_class(expr.expr)
        return None if info is None else key_of(info, self.lookup)

    def event_class(self, expr: Expression) -> Instance | None:
        """Return the event of an argument that is a named event class of the domain."""
        typ = self.type_of(expr)
        if isinstance(typ, FunctionLike) and typ.is_type_obj():
            typ = get_proper_type(typ.items[0].ret_type)
        elif isinstance(typ, TypeType):
            typ = typ.item
        if not isinstance(typ, Instance) or not is_event_class(typ.type) or typ.type.type_vars:
            return None
        return typ if is_subtype(typ, self.domain.type) else None

    def declared(self, keys: list[Key], expr: Expression, *, handler: bool = False) -> list[Instance] | None:
        """Return the events under keys, and report a key that is not declared; nothing where that cannot be told."""
        events: list[Instance] = []
        known = bool(keys)
        for key in keys:
            found = self.domain.events_for_handler(key) if handler else self.domain.events_of(key)
            if found == []:
                domain = self.show(self.domain.type)
                self.fail(f"{show(key)} is no key of {domain}; expected {self.domain.describe()}", expr, KEY)
            known = known and bool(found)
            events += found or []
        return events if known else None

    def check_payload(self, expr: Expression | None, expected: Type, key: Key) -> bool:
        """Report a payload of another type than that of its key."""
        if expr is None:
            return True
        given = self.infer(expr, expected)
        if given is None or is_subtype(given, expected):
            return given is not None
        self.fail(f"The payload of {show(key)} is {self.show(given)}; expected {self.show(expected)}", expr, PAYLOAD)
        return False

    def check_handler(self, expr: Expression, shapes: Shapes) -> bool:
        """Report a handler that does not take the events of its keys."""
        if isinstance(expr, LambdaExpr):
            return self._check_lambda(expr, shapes)
        # What a call returns may depend on what is expected of it.
        for expected in (None, *shapes.types):
            given, errors = self._infer(expr, expected)
            if shapes.take(given) and not errors:
                return True
        fault = handler_fault(self.type_of(expr), shapes, self.show)
        keys = ", ".join(dict.fromkeys("?" if key is None else show(key) for key in self.keys_of(shapes.events)))
        self.fail(f"The handler of {keys} {fault}", self.context, HANDLER)
        return False

    def _check_lambda(self, expr: LambdaExpr, shapes: Shapes) -> bool:
        """Check the body of a lambda, whose parameters have the types that are expected."""
        if expr.arg_kinds not in (shapes.pair.arg_kinds, shapes.single.arg_kinds):
            return True
        return self.infer(expr, shapes.pair if len(expr.arg_kinds) == 2 else shapes.single) is not None

    def keys_of(self, events: list[Instance]) -> Iterator[Key | None]:
        """Yield the keys under which the domain has events."""
        for key, event in self.domain.events:
            if event in events:
                yield key

    def check_ranges(self, keys: list[Expression], handler: Expression) -> None:
        """Report a handler of named events under a range, which is the key of none of them."""
        ranges = [key for key in map(written_key, keys) if isinstance(key, range)]
        events = annotated_events(self.type_of(handler)) if ranges else []
        if events:
            self.fail(
                f"The handler of {show(ranges[0])} takes {self.show(self.union([*events]))}, which claims no range; "
                'expected an "Event", or a registration for the event class',
                self.context,
                HANDLER,
            )

    def check_duplicate(self) -> None:
        """Report a second handler of a key."""
        if not isinstance(self.context, CallExpr):
            return
        earlier = self.registrations.find_earlier(self.checker.tree, self.context)
        if earlier is not None:
            self.fail(
                f"{show(earlier.key)} has a handler already, registered on line {earlier.line}; "
                "expected one handler a key, or a nexus with multiple=True",
                self.context,
                DUPLICATE,
            )

    def union(self, types: list[Type]) -> ProperType:
        """Join the types of several events."""
        return get_proper_type(make_simplified_union(types))

    def show(self, typ: Type) -> str:
        """Write a type as mypy does, in quotes."""
        return format_type(typ, self.checker.options)

    def fail(self, message: str, where: Context, code: ErrorCode) -> None:
        """Report an error."""
        self.checker.fail(message, where, code=code)

    def with_types(self, types: dict[int, Type], result: Type | None = None) -> CallableType:
        """Return the signature with other types for some parameters."""
        arg_types = [types.get(i, typ) for i, typ in enumerate(self.signature.arg_types)]
        return change(self.signature, arg_types, self.signature.ret_type if result is None else result, generic=False)

    def lenient(self, result: Type | None = None) -> CallableType:
        """Return a signature that takes anything, where an error has been reported."""
        anything = AnyType(TypeOfAny.from_error)
        return self.with_types(dict.fromkeys(range(len(self.arguments)), anything), result)


def alternatives(typ: Type) -> list[ProperType]:
    """Return the members of a union."""
    typ = get_proper_type(typ)
    return [get_proper_type(item) for item in typ.items] if isinstance(typ, UnionType) else [typ]


def on_calls(context: Context) -> Iterator[CallExpr]:
    """Yield the calls `nexus.on(…)` that return the decorators of a function."""
    decorators = context.decorators if isinstance(context, Decorator) else [getattr(context, "callee", None)]
    for each in decorators:
        if isinstance(each, CallExpr) and isinstance(each.callee, MemberExpr) and each.callee.name == "on":
            yield each


def takes_key(typ: Type) -> bool:
    """Whether a parameter is for keys: those for event classes are protocols."""
    typ = get_proper_type(typ)
    return not (isinstance(typ, Instance) and typ.type.is_protocol)


def on(call: Call) -> CallableType:
    """`on(99)`: the decorator is that of the key's event class."""
    result = get_proper_type(call.signature.ret_type)
    if not isinstance(result, Instance) or not isinstance(get_proper_type(result.args[0]), UninhabitedType):
        return call.signature
    events: list[Instance] = []
    for expr in (expr for given in call.arguments for expr in given if not call.is_starred(expr)):
        events += call.declared(call.keys(expr), expr, handler=True) or []
    call.check_duplicate()
    if not events:
        return call.signature
    return call.with_types({}, Instance(result.type, [call.union([*events]), *result.args[1:]]))


def add_handler(call: Call) -> CallableType:
    """`add_handler(99, handler)`: the handler must take the key's event."""
    type_at, handler_at = (call.signature.arg_names.index(name) for name in ("type", "handler"))
    key, handler = call.argument(type_at), call.argument(handler_at)
    formal = get_proper_type(call.signature.arg_types[handler_at])
    if key is None or handler is None:
        return call.signature
    if takes_key(call.signature.arg_types[type_at]):
        if isinstance(formal, Instance):
            call.check_duplicate()
        events = call.declared(call.keys(key), key, handler=True)
    else:
        event = call.event_class(key)
        events = None if event is None else [event]
    if not events:
        return call.signature
    shapes = Shapes.make(call.checker, call.lookup, events, call.domain.type, consumer=True)
    if not call.check_handler(handler, shapes):
        return call.lenient()
    if not takes_key(call.signature.arg_types[type_at]):
        return call.signature
    call.check_ranges([key], handler)
    first = call.union([*events])
    if isinstance(formal, CallableType):
        return call.with_types({handler_at: change(formal, [first, *formal.arg_types[1:]], formal.ret_type)})
    if isinstance(formal, Instance):
        return call.with_types({handler_at: Instance(formal.type, [first, *formal.args[1:]])})
    return call.signature


def decorate(call: Call) -> CallableType:
    """`on(…)(handler)`, for keys and for classes: the handler must take their events."""
    events = [event for event in alternatives(call.owner.args[0]) if isinstance(event, Instance)]
    expr = call.argument(0)
    if expr is None or not events or not all(is_event_class(event.type) for event in events):
        return call.signature
    shapes = Shapes.make(call.checker, call.lookup, events, call.domain.type, consumer=False)
    if not call.check_handler(expr, shapes):
        return call.lenient(call.type_of(expr))
    call.check_ranges([key for each in on_calls(call.context) for key in each.args], expr)
    return call.signature


def emit(call: Call) -> CallableType:
    """`emit(99, payload)` and `create_event(payload, event_type=99)`: the payload is that of the key."""
    key_at, payload_at = (call.signature.arg_names.index(name) for name in ("event_type", "payload"))
    key = call.argument(key_at)
    if key is None or not takes_key(call.signature.arg_types[key_at]):
        return call.signature  # the types of a class say what its payload is
    keys = call.keys(key)
    events = call.declared(keys, key)
    if not events:
        return call.signature
    payload = call.union([payload_of(event) for event in events])
    result = get_proper_type(call.signature.ret_type)
    if isinstance(result, Instance) and result.type.fullname == EVENT:
        result = Instance(result.type, [payload])
    if not call.check_payload(call.argument(payload_at), payload, keys[0]):
        return call.lenient(result)
    return call.with_types({payload_at: payload}, result)


def declare(call: Call) -> CallableType:
    """`declare(99, Teapot)`: the payload of the key's event class must fit."""
    key = call.argument(0)
    if call.signature.arg_kinds != [ARG_POS, ARG_POS] or key is None:
        return call.signature
    keys = call.keys(key)
    events, payload = call.declared(keys, key), call.argument(1)
    if not events or payload is None:
        return call.signature
    given = call.type_of(payload)
    if isinstance(given, FunctionLike) and given.is_type_obj() and not given.type_object().type_vars:
        declared = given.items[0].ret_type
        for expected in map(payload_of, events):
            if not is_subtype(expected, declared):
                message = f"{show(keys[0])} is declared as {call.show(declared)}; expected {call.show(expected)}"
                call.fail(message, payload, PAYLOAD)
    return call.signature


def ingest(call: Call) -> CallableType:
    """`ingest(Event(1, 99, 0, payload))`: plain types refuse it, since `Event` is not a class of the domain."""
    event = call.argument(0)
    parts = None if event is None else event_call(event)
    if event is None or parts is None:
        return call.signature
    made = call.type_of(event)
    if not isinstance(made, Instance) or made.type.fullname != EVENT:
        return call.signature
    keys = call.keys(parts.key)
    events = call.declared(keys, parts.key)
    if events is None:
        undeclared = any(call.domain.events_of(key) == [] for key in keys)
        return call.lenient() if undeclared else call.signature
    payload = call.union([payload_of(each) for each in events])
    if not call.check_payload(parts.payload, payload, keys[0]):
        return call.lenient()
    return call.with_types({0: Instance(made.type, [payload])})
