"""Ready middleware: what a service puts around the handling of every event (M1).

Each is called with its settings and gives a function of `(event, call_next)`. It keeps the state of one nexus: a
second nexus gets one of its own, unless the two are to share a limit. All of them keep time by the clock of the
event loop.

`retry` needs the extra `async-nexus[retry]` and `opentelemetry` the extra `async-nexus[otel]`; nothing else is imported
until they are called.
"""

from .chain import CallNext, Middleware
from .circuit_breaker import CircuitOpen, circuit_breaker
from .deduplicate import deduplicate
from .limit import limit
from .log import log
from .opentelemetry import opentelemetry
from .rate_limit import rate_limit
from .retry import retry
from .timeout import timeout

__all__ = [
    "CallNext",
    "CircuitOpen",
    "Middleware",
    "circuit_breaker",
    "deduplicate",
    "limit",
    "log",
    "opentelemetry",
    "rate_limit",
    "retry",
    "timeout",
]
