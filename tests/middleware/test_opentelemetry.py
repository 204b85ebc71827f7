"""Traces and metrics of the handling of events."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import async_nexus
from async_nexus import AsyncEventBoundary, AsyncEventNexus, Event, EventQueue, TransportBoundary
from async_nexus.handover import carrier, pack, traceparent
from async_nexus.middleware import CallNext, Middleware, opentelemetry
from async_nexus.testing import run
from async_nexus.transports.memory import MemoryTransport

EVENT = Event(7, 99, 0, "secret")


class Telemetry:
    """Providers that keep what they are told."""

    def __init__(self) -> None:
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        self._tracers = TracerProvider()
        self._tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._meters: AnyMeterProvider = MeterProvider([self._metrics])
        self.tracer = self._tracers.get_tracer("test")

    def middleware(self) -> Middleware:
        return opentelemetry(tracer_provider=self._tracers, meter_provider=self._meters)

    @property
    def all_spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended, in that order."""
        return self._spans.get_finished_spans()

    def all_named(self, name: str) -> list[ReadableSpan]:
        """The spans of one name, in the order in which they ended."""
        return [span for span in self.all_spans if span.name == name]

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The spans that have ended, by name."""
        return {span.name: span for span in self.all_spans}

    def points(self) -> dict[str, list[HistogramDataPoint | NumberDataPoint]]:
        """The measurements by the name of their instrument."""
        data = self._metrics.get_metrics_data()
        assert data is not None
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: list(metric.data.data_points) for metric in metrics}  # type: ignore[arg-type] # no exponential ones


@pytest.fixture
def telemetry() -> Telemetry:
    """Providers of the test's own, apart from the global ones."""
    return Telemetry()


async def two_seconds(_: Event) -> None:
    """Take two seconds."""
    await asyncio.sleep(2)


async def fail(_: Event) -> None:
    """Raise an error."""
    raise OSError("no water")


def parents(spans: dict[str, ReadableSpan]) -> dict[str, str | None]:
    """The name of each span's parent."""
    names = {span.context.span_id: name for name, span in spans.items() if span.context is not None}
    return {name: names[span.parent.span_id] if span.parent else None for name, span in spans.items()}


def test_a_span_describes_the_event(telemetry: Telemetry) -> None:
    """The conventions for messaging name span, kind and attributes; the payload is no part of them."""
    run(telemetry.middleware()(EVENT, two_seconds))
    (span,) = telemetry.spans.values()
    assert (span.name, span.kind, span.status.status_code) == ("process 99", SpanKind.CONSUMER, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "messaging.system": "async_nexus",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "99",
        "messaging.message.id": "7",
    }


def test_the_span_is_current_while_the_event_is_handled(telemetry: Telemetry) -> None:
    """What a handler traces by itself belongs to its event; a span around `ingest` is the event's parent."""

    async def handler(_: Event) -> None:
        with telemetry.tracer.start_as_current_span("inner"):
            pass

    async def main() -> None:
        with telemetry.tracer.start_as_current_span("outer"):
            await telemetry.middleware()(EVENT, handler)

    run(main())
    assert parents(telemetry.spans) == {"inner": "process 99", "process 99": "outer", "outer": None}


def test_an_error_marks_the_span_and_is_raised(telemetry: Telemetry) -> None:
    """M2: the error comes out as it is; the span names its class."""
    with pytest.raises(OSError, match="no water"):
        run(telemetry.middleware()(EVENT, fail))
    span = telemetry.spans["process 99"]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "OSError"


def test_a_cancellation_ends_the_span(telemetry: Telemetry) -> None:
    """F5: a handler that is cut off leaves no span open."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(telemetry.middleware()(EVENT, two_seconds), 1)

    run(main())
    assert (telemetry.spans["process 99"].attributes or {})["error.type"] == "asyncio.exceptions.CancelledError"


def test_durations_and_numbers_are_measured(telemetry: Telemetry) -> None:
    """The conventions for messaging name the instruments; durations are seconds by the loop's clock."""

    async def main() -> None:
        middleware = telemetry.middleware()
        await middleware(EVENT, two_seconds)
        with pytest.raises(OSError, match="no water"):
            await middleware(EVENT, fail)

    run(main())
    points = telemetry.points()
    common = {
        "messaging.system": "async_nexus",
        "messaging.operation.name": "process",
        "messaging.destination.name": "99",
    }
    durations = {(dict(p.attributes or {}) == common): p for p in points["messaging.process.duration"]}
    fast, slow = durations[False], durations[True]
    assert isinstance(slow, HistogramDataPoint)
    assert isinstance(fast, HistogramDataPoint)
    assert (slow.count, slow.sum, slow.explicit_bounds[-1]) == (1, 2.0, 10)
    assert (fast.count, fast.attributes) == (1, {**common, "error.type": "OSError"})
    counts = [p.value for p in points["messaging.client.consumed.messages"] if isinstance(p, NumberDataPoint)]
    assert counts == [1, 1]


def test_secondary_events_are_traced_to_the_event_of_their_turn(telemetry: Telemetry) -> None:
    """T1: what follows from an event belongs to its trace; the next turn begins another."""

    async def handler(event: Event, queue: EventQueue) -> None:
        if event.type in (1, 2):
            await queue.put(Event(1, int(event.type) + 1, 0, None))

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.middleware(telemetry.middleware())
            nexus.default(handler)
            nexus.start()
            await nexus.emit(1, None)
            await nexus.emit(9, None)

    run(main())
    assert parents(telemetry.spans) == {
        "process 1": None,
        "process 2": "process 1",
        "process 3": "process 1",
        "process 9": None,
    }


def test_nested_events_are_traced_to_the_handler_that_ingested_them(telemetry: Telemetry) -> None:
    """T4: the span that is current at `ingest` is the parent."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:

            async def handler(event: Event, queue: EventQueue) -> None:
                if event.type == 1:
                    with telemetry.tracer.start_as_current_span("inner"):
                        await nexus.emit(2, None)

            nexus.middleware(telemetry.middleware())
            nexus.default(handler)
            nexus.start()
            await nexus.emit(1, None)

    run(main())
    assert parents(telemetry.spans) == {"process 1": None, "inner": "process 1", "process 2": "inner"}


def test_attempts_at_one_event_are_siblings(telemetry: Telemetry) -> None:
    """M3: another attempt is no consequence of the one before it."""
    middleware = telemetry.middleware()

    async def twice(event: Event, call_next: CallNext) -> None:
        await middleware(event, call_next)
        await middleware(event, call_next)

    async def nothing(event: Event, queue: EventQueue) -> None: ...

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.middleware(twice)
            nexus.default(nothing)
            nexus.start()
            with telemetry.tracer.start_as_current_span("outer"):
                await nexus.emit(1, None)

    run(main())
    outer = telemetry.spans["outer"]
    attempts = [span for span in telemetry.all_spans if span is not outer]
    assert outer.context is not None
    assert [span.parent.span_id for span in attempts if span.parent] == [outer.context.span_id] * 2


def test_attempts_with_other_events_are_siblings_too(telemetry: Telemetry) -> None:
    """M4: what a middleware changes the event into is still the event that its turn began with."""

    async def twice_changed(event: Event, call_next: CallNext) -> None:
        for number in (1, 2):
            await call_next(Event(number, event.type, 0, None))

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            nexus.middleware(twice_changed)
            nexus.middleware(telemetry.middleware())
            nexus.default(lambda _: None)
            nexus.start()
            await nexus.emit(1, None)

    run(main())
    assert [span.parent for span in telemetry.all_spans] == [None, None]


def test_an_event_that_is_put_again_is_a_secondary_event(telemetry: Telemetry) -> None:
    """T3: the same object, but not another attempt."""

    async def main() -> None:
        async with AsyncEventNexus() as nexus:
            again = iter((True, False))

            @nexus.default
            async def puts_its_own(event: Event, queue: EventQueue) -> None:
                if next(again):
                    await queue.put(event)

            nexus.middleware(telemetry.middleware())
            nexus.start()
            await nexus.emit(1, None)

    run(main())
    first, second = telemetry.all_spans
    assert second.parent is not None
    assert first.context is not None
    assert second.parent.span_id == first.context.span_id


def test_traces_go_on_across_a_boundary(telemetry: Telemetry) -> None:
    """S4: what the receiving domain does is traced to the span in which the boundary was handed the event."""

    async def main() -> None:
        async with AsyncEventNexus() as kitchen, AsyncEventNexus() as parlour:
            boundary: AsyncEventBoundary = AsyncEventBoundary()
            kitchen.middleware(telemetry.middleware())
            kitchen.add_handler(-1, boundary)
            parlour.add_producer(boundary)

            async def serve(event: Event, queue: EventQueue) -> None:
                with telemetry.tracer.start_as_current_span("serve"):
                    pass

            parlour.middleware(telemetry.middleware())
            parlour.default(serve)
            kitchen.start()
            parlour.start()
            with telemetry.tracer.start_as_current_span("guest"):
                await kitchen.emit(1, None)

    run(main())
    sent, received = telemetry.all_named("process 1")
    assert sent.context is not None
    assert received.parent is not None
    assert received.parent.span_id == sent.context.span_id
    serve = telemetry.spans["serve"].parent
    assert serve is not None
    assert received.context is not None
    assert serve.span_id == received.context.span_id


def test_several_middleware_carry_things_across_a_boundary(telemetry: Telemetry) -> None:
    """Who sets the carrier while it is set calls the one before as well."""
    steps: list[str] = []

    @contextmanager
    def correlation() -> Generator[None]:
        steps.append("enter")
        yield
        steps.append("leave")

    async def hand_over(_: Event) -> None:
        packed = pack()
        assert packed is not None
        with packed, telemetry.tracer.start_as_current_span("elsewhere"):
            steps.append("handle")

    async def main() -> None:
        token = carrier.set(correlation)
        await telemetry.middleware()(EVENT, hand_over)
        carrier.reset(token)

    run(main())
    assert steps == ["enter", "handle", "leave"]
    assert parents(telemetry.spans)["elsewhere"] == "process 99"


def test_nothing_is_carried_where_nothing_is_traced(telemetry: Telemetry) -> None:
    """Outside of such a middleware a boundary has nothing to hold but the event."""

    async def main() -> None:
        await telemetry.middleware()(EVENT, two_seconds)
        assert pack() is None

    run(main())


def test_a_trace_ends_with_its_event_beyond_a_boundary(telemetry: Telemetry) -> None:
    """S4: the event that is delivered next is not taken for a part of the trace before it."""
    traced = telemetry.middleware()

    async def unless_2(event: Event, call_next: CallNext) -> None:
        await (call_next(event) if event.type == 2 else traced(event, call_next))

    async def main() -> None:
        async with AsyncEventNexus() as kitchen, AsyncEventNexus() as parlour:
            boundary: AsyncEventBoundary = AsyncEventBoundary()
            kitchen.add_handler(-1, boundary)
            kitchen.middleware(unless_2)
            parlour.add_producer(boundary)

            async def serve(event: Event, queue: EventQueue) -> None: ...

            parlour.middleware(telemetry.middleware())
            parlour.default(serve)
            kitchen.start()
            parlour.start()
            await kitchen.emit(1, None)
            await kitchen.emit(2, None)

    run(main())
    assert [span.parent for span in telemetry.all_named("process 2")] == [None]


def test_traces_go_on_across_processes(telemetry: Telemetry) -> None:
    """What comes by a transport is traced to the span that sent it, what is nested in it to its own; then that ends.

    The nexuses were started in a span of their own, which has nothing to do with it.
    """
    traced = telemetry.middleware()

    async def unless_3(event: Event, call_next: CallNext) -> None:
        await (call_next(event) if event.type == 3 else traced(event, call_next))

    async def main() -> None:
        transport = MemoryTransport()
        async with AsyncEventNexus() as kitchen, AsyncEventNexus() as parlour:
            kitchen.middleware(unless_3)
            kitchen.add_handler(-1, TransportBoundary(transport, "tea"))
            parlour.add_producer(TransportBoundary(transport, "tea"))

            @parlour.default
            async def serve(event: Event, queue: EventQueue) -> None:
                if event.type == 1:
                    with telemetry.tracer.start_as_current_span("serve"):
                        await parlour.emit(2, None)

            parlour.middleware(telemetry.middleware())
            with telemetry.tracer.start_as_current_span("morning"):
                kitchen.start()
                parlour.start()
            with telemetry.tracer.start_as_current_span("guest"):
                await kitchen.emit(1, None)
            await kitchen.emit(3, None)
            await asyncio.sleep(1)

    run(main())
    sent, received = telemetry.all_named("process 1")
    assert sent.context is not None
    assert received.parent is not None
    assert (received.parent.span_id, received.parent.is_remote) == (sent.context.span_id, True)
    origins = {"serve": received, "process 2": telemetry.spans["serve"], "process 3": telemetry.spans["morning"]}
    for name, origin in origins.items():
        parent = telemetry.spans[name].parent
        assert parent is not None
        assert origin.context is not None
        assert parent.span_id == origin.context.span_id


def test_a_trace_that_is_none_is_no_parent(telemetry: Telemetry) -> None:
    """Whatever stands there: the span belongs to where the event was ingested."""

    async def main() -> None:
        token = traceparent.set("00-" + "0" * 32 + "-" + "0" * 16 + "-00")
        with telemetry.tracer.start_as_current_span("guest"):
            await telemetry.middleware()(EVENT, two_seconds)
        traceparent.reset(token)

    run(main())
    assert parents(telemetry.spans) == {"process 99": "guest", "guest": None}


LAZY = """
import sys
import async_nexus
for name in async_nexus.__all__:
    getattr(async_nexus, name)
middleware = [name for name in sys.modules if name.startswith("async_nexus.middleware")]
assert not middleware, middleware
import async_nexus.middleware
import async_nexus.transports.envelope
import async_nexus.transports.memory
libraries = {"opentelemetry", "stamina", "tenacity", "nats", "aio_pika", "redis", "cloudevents"} & set(sys.modules)
assert not libraries, libraries
"""


def test_libraries_are_imported_when_they_are_used() -> None:
    """Importing the package imports no middleware, and none of it, nor a boundary, a library of the extras."""
    package_parent = Path(async_nexus.__file__).parents[1]
    subprocess.run([sys.executable, "-c", LAZY], check=True, env=os.environ | {"PYTHONPATH": str(package_parent)})
