"""Which hooks of mypy the plugin takes, and which rule sees which call."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from mypy.nodes import TypeInfo
from mypy.options import Options
from mypy.plugin import (
    ClassDefContext,
    FunctionSigContext,
    MethodSigContext,
    Plugin,
    ReportConfigContext,
)
from mypy.types import CallableType, FunctionLike

from . import _calls as calls
from ._calls import Call
from ._domains import is_event_class, record_key
from ._events import type_constructor
from ._names import DECORATOR, FACTORY, INGRESS, NEXUS, QUEUE
from ._registrations import Registrations

Rule = Callable[[Call], CallableType]

RULES: Final[dict[tuple[str, str], Rule]] = {
    (NEXUS, "on"): calls.on,
    (NEXUS, "add_handler"): calls.add_handler,
    (NEXUS, "declare"): calls.declare,
    (INGRESS, "emit"): calls.emit,
    (FACTORY, "create_event"): calls.emit,
    (INGRESS, "ingest"): calls.ingest,
    (QUEUE, "put"): calls.ingest,
    (QUEUE, "put_nowait"): calls.ingest,
    (DECORATOR, "__call__"): calls.decorate,
}
METHODS: Final = frozenset(method for _, method in RULES)

Context = TypeVar("Context", ClassDefContext, FunctionSigContext, MethodSigContext)
Result = TypeVar("Result")


class NexusPlugin(Plugin):
    """Finds for each definition and call what this plugin has to say about it."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._registrations = Registrations(self.lookup_fully_qualified)

    def report_config_data(self, ctx: ReportConfigContext) -> str:
        """Have mypy's caches thrown away when the plugin changes."""
        sources = sorted(Path(__file__).parent.glob("*.py"))
        return sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()

    def get_customize_class_mro_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        """Record keys: of the hooks for classes, pydantic's plugin leaves this one free."""
        info = self._class(fullname)
        if info is not None and not is_event_class(info):
            return None
        return careful(record_key, lambda ctx: None)

    def get_function_signature_hook(self, fullname: str) -> Callable[[FunctionSigContext], FunctionLike] | None:
        """Type the constructors of event classes."""
        info = self._class(fullname)
        if info is None or not is_event_class(info):
            return None
        return careful(type_constructor, lambda ctx: ctx.default_signature)

    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        """Check the calls of a nexus, its decorators and its queues."""
        owner, _, method = fullname.rpartition(".")
        info = self._class(owner) if method in METHODS else None
        definer = info.get_containing_type_info(method) if info is not None else None
        rule = RULES.get((definer.fullname, method)) if definer is not None else None
        if info is None or rule is None:
            return None
        generic = next(base for base in info.mro if base.fullname in (NEXUS, QUEUE, DECORATOR, FACTORY)).fullname

        def check(ctx: MethodSigContext) -> FunctionLike:
            call = Call.read(ctx, generic, self._registrations)
            if call is None:
                return ctx.default_signature
            call.depend_on_keys()
            return rule(call)

        return careful(check, lambda ctx: ctx.default_signature)

    def _class(self, fullname: str) -> TypeInfo | None:
        symbol = self.lookup_fully_qualified(fullname)
        node = symbol.node if symbol is not None else None
        return node if isinstance(node, TypeInfo) else None


def careful(hook: Callable[[Context], Result], default: Callable[[Context], Result]) -> Callable[[Context], Result]:
    """Leave alone what a hook fails on, unless mypy was asked to show tracebacks."""

    def call(ctx: Context) -> Result:
        try:
            return hook(ctx)
        except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            if ctx.api.options.show_traceback:
                raise
            return default(ctx)

    return call
