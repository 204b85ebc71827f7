"""Traces and measures the handling of events with OpenTelemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from ..events import Event, format_event_type
from ..handover import carrier, traceparent
from ..turns import Turn, innermost_turn
from .chain import CallNext, Middleware

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

# Seconds, as the conventions advise.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

# What a middleware has set of `traceparent`: whatever else stands there came from another process.
_own: Final[ContextVar[str | None]] = ContextVar("async_nexus.own_traceparent", default=None)


def opentelemetry(
    *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> Middleware:
    """Make a span and measurements of the handling of each event, by the conventions for messaging.

    The span `process 99`, of the kind CONSUMER, is a child of the span in which the event was ingested; that of a
    secondary event is a child of the span of the event that its turn began with. Across an `AsyncEventBoundary`
    or a `TransportBoundary` traces go on if both nexuses have this middleware. Measured are
    `messaging.process.duration` and `messaging.client.consumed.messages`. Payloads are never recorded, but the texts of
    errors are.

    Without providers the global ones are used. Raises `ModuleNotFoundError` without the extra `async-nexus[otel]`.
    """
    return _Telemetry(tracer_provider, meter_provider)


class _Telemetry:
    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        # Here, for nobody else needs it to be installed.
        from opentelemetry import context, metrics, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._propagator = TraceContextTextMapPropagator()
        self._get_current, self._attach, self._detach = context.get_current, context.attach, context.detach
        self._consumer = trace.SpanKind.CONSUMER
        self._tracer = trace.get_tracer("async_nexus", tracer_provider=tracer_provider)
        meter = metrics.get_meter("async_nexus", meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "messaging.process.duration",
            unit="s",
            description="Duration of processing operation.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages",
            unit="{message}",
            description="Number of messages that were delivered to the application.",
        )
        self._roots: WeakKeyDictionary[Turn, tuple[int, Context]] = WeakKeyDictionary()

    async def __call__(self, event: Event[Any], call_next: CallNext) -> None:
        attributes = {
            "messaging.system": "async_nexus",
            "messaging.operation.name": "process",
            "messaging.destination.name": format_event_type(event.type),
        }
        clock = asyncio.get_running_loop().time
        with self._span(event, attributes) as span, self._carrying():
            begun = clock()
            try:
                await call_next(event)
            except BaseException as error:
                attributes["error.type"] = _name(type(error))
                span.set_attributes(attributes)
                raise
            finally:  # inside of the span, to which exemplars then point
                self._duration.record(clock() - begun, attributes)
                self._consumed.add(1, attributes)

    @contextmanager
    def _span(self, event: Event[Any], attributes: dict[str, str]) -> Generator[Span]:
        turn = innermost_turn()
        place = 0 if turn is None else turn.wrapped
        root = None if turn is None else self._roots.get(turn)
        # What comes again in the place of the turn's first event is another attempt at that, not a secondary event.
        parent = root[1] if root is not None and root[0] != place else self._remote()
        with self._tracer.start_as_current_span(
            f"process {attributes['messaging.destination.name']}",
            parent,
            self._consumer,
            {**attributes, "messaging.operation.type": "process", "messaging.message.id": str(event.id)},
        ) as span:
            if turn is not None and root is None:
                self._roots[turn] = (place, self._get_current())
            yield span

    def _remote(self) -> Context | None:
        """Make the parent of what came from another process."""
        given = traceparent.get()
        if given is None or given == _own.get():
            return None
        return self._propagator.extract({"traceparent": given}, self._get_current())

    @contextmanager
    def _carrying(self) -> Generator[None]:
        before = carrier.get()
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        own = headers.get("traceparent")
        tokens = carrier.set(lambda: self._pack(before)), traceparent.set(own), _own.set(own)
        try:
            yield
        finally:
            carrier.reset(tokens[0])
            traceparent.reset(tokens[1])
            _own.reset(tokens[2])

    def _pack(self, before: Callable[[], AbstractContextManager[object]] | None) -> AbstractContextManager[object]:
        return self._restored(self._get_current(), nullcontext() if before is None else before())

    @contextmanager
    def _restored(self, context: Context, others: AbstractContextManager[object]) -> Generator[None]:
        with others:
            token = self._attach(context)
            try:
                yield
            finally:
                self._detach(token)


def _name(error: type[BaseException]) -> str:
    return error.__qualname__ if error.__module__ == "builtins" else f"{error.__module__}.{error.__qualname__}"
