"""Which handlers take an event: exact keys, ranges, the default (D1, D4, D5)."""

import enum
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventQueue, HandlerConflict, NamedEvent, UnhandledEvent
from async_nexus.routes import Routes, Target, check_target, show_target
from async_nexus.testing import run


class Teapot(BaseModel):
    temp: int


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class TreacleEvent(NamedEvent[None], type="treacle"): ...


class Kind(enum.IntEnum):
    TEAPOT = 99


async def handler(event: Event) -> None:
    """Handle anything."""


def ingest(nexus: AsyncEventNexus, *events: Event) -> None:
    """Let a nexus take some events."""

    async def main() -> None:
        async with nexus:
            nexus.start()
            for event in events:
                await nexus.ingest(event)

    run(main())


def logs(log: list[Any], what: object) -> Callable[[Event], None]:
    """Make a handler that logs that it ran."""
    return lambda event: log.append(what)


def logging_nexus(*targets: Any, multiple: bool = False) -> tuple[AsyncEventNexus, list[Any]]:
    """Make a nexus with a handler for each target, which logs what it was registered for."""
    nexus, log = AsyncEventNexus(multiple=multiple), list[Any]()
    for target in targets:
        nexus.add_handler(target, logs(log, target))
    return nexus, log


# Targets (D4)


@pytest.mark.parametrize(
    "value, target",
    [
        (99, 99),
        ("brew", "brew"),
        (Kind.TEAPOT, 99),
        (0, 0),
        ("", ""),
        ("-1", "-1"),
        (-1, None),
        ((100, 199), range(100, 200)),
        ((5, 5), range(5, 6)),
        ((-1, -1), range(-1, 0)),
        ((-10, Kind.TEAPOT), range(-10, 100)),
        (range(200, 300), range(200, 300)),
        (range(0, 10, 3), range(0, 10, 3)),
    ],
    ids=repr,
)
def test_what_handlers_are_registered_for(value: Any, target: Any) -> None:
    """D4: keys, `(first, last)` with both ends, `range` as Python has it, -1 for the default."""
    assert check_target(value) == target
    assert type(check_target(value)) is type(target)


@pytest.mark.parametrize(
    "value, message",
    [
        (True, "an event type is an int or a str, not True"),
        (1.5, "an event type is an int or a str, not 1.5"),
        (None, "an event type is an int or a str, not None"),
        ([1, 2], r"an event type is an int or a str, not \[1, 2\]"),
        ({1}, "an event type is an int or a str, not"),
        (slice(1, 2), "an event type is an int or a str, not"),
        ((), r"a range of event types is \(first, last\), not \(\)"),
        ((1,), r"a range of event types is \(first, last\), not \(1,\)"),
        ((1, 2, 3), r"a range of event types is \(first, last\), not \(1, 2, 3\)"),
        (("a", "b"), r"a range of event types is of two ints, not \('a', 'b'\)"),
        ((1, "b"), "a range of event types is of two ints"),
        ((False, True), "an event type is an int or a str, not False"),
        ((1, 2.0), "an event type is an int or a str, not 2.0"),
        ((1, None), "an event type is an int or a str, not None"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("register", ["on", "add_handler"])
def test_what_is_no_target(register: str, value: Any, message: str) -> None:
    """E3, D4: `TypeError`, which says what was given and what is expected."""
    nexus = AsyncEventNexus()
    more = (handler,) if register == "add_handler" else ()
    with pytest.raises(TypeError, match=message):
        getattr(nexus, register)(value, *more)


@pytest.mark.parametrize(
    "value", [(2, 1), (0, -1), range(0), range(5, 5), range(5, 0), range(5, 0, -1), range(0, 5, -1)], ids=repr
)
@pytest.mark.parametrize("register", ["on", "add_handler"])
def test_ranges_that_hold_nothing_or_step_down(register: str, value: Any) -> None:
    """D5: empty, inverted or negative-step ranges raise `ValueError`."""
    nexus = AsyncEventNexus()
    more = (handler,) if register == "add_handler" else ()
    with pytest.raises(ValueError, match="a range of event types"):
        getattr(nexus, register)(value, *more)
    assert nexus.handlers == ()


@pytest.mark.parametrize(
    "target, text",
    [
        (99, "event type 99"),
        ("99", 'event type "99"'),
        (None, "the default"),
        (range(100, 200), "the range 100 to 199"),
        (range(0, 10, 3), "the range 0 to 9 by 3"),
    ],
)
def test_targets_are_shown(target: Target, text: str) -> None:
    """Messages name what was registered for, as it would be written."""
    assert show_target(target) == text


# Registering (D4)

DECORATORS: dict[str, Callable[[AsyncEventNexus], Any]] = {
    "key": lambda nexus: nexus.on(99),
    "keys": lambda nexus: nexus.on(98, "x"),
    "class": lambda nexus: nexus.on(TeapotEvent),
    "classes": lambda nexus: nexus.on(TeapotEvent, TreacleEvent),
    "pair": lambda nexus: nexus.on((100, 199)),
    "range": lambda nexus: nexus.on(range(200, 300)),
    "mixed": lambda nexus: nexus.on(1, (10, 20), "x"),
    "default key": lambda nexus: nexus.on(-1),
    "default": lambda nexus: nexus.default,
    "filter": lambda nexus: nexus.filter,
}


@pytest.mark.parametrize("decorator", DECORATORS.values(), ids=DECORATORS)
def test_decorators_return_the_function_unchanged(decorator: Any) -> None:
    """D4: the same object, so it can be called, tested and decorated again."""

    def function(event: Event) -> Any: ...

    assert decorator(AsyncEventNexus())(function) is function


def test_decorators_stack() -> None:
    """D4: one function may be registered by several decorators."""
    nexus = AsyncEventNexus()
    seen = list[Any]()

    @nexus.on(99)
    @nexus.on("x")
    @nexus.on((1, 2))
    @nexus.default
    async def brew(event: Event) -> None:
        seen.append(event.type)

    ingest(nexus, *(Event(1, key, 0, None) for key in (99, "x", 2, 7)))
    assert seen == [99, "x", 2, 7]


@pytest.mark.parametrize(
    "targets, taken, left",
    [
        ((99,), [99], [98, "99"]),
        ((98, "x"), [98, "x"], [99]),
        ((TeapotEvent,), [99], ["TeapotEvent"]),
        (((100, 199),), [100, 150, 199], [99, 200, "150"]),
        ((range(200, 300),), [200, 299], [199, 300]),
        ((range(0, 10, 3),), [0, 9], [1, 10, 12]),
        ((1, (10, 20), "x"), [1, 10, 20, "x"], [2, 21]),
        ((-1,), [-1, 0, "x"], []),
        (((-1, 1),), [-1, 0, 1], [-2, 2]),
        ((Kind.TEAPOT,), [99], [98]),
    ],
    ids=repr,
)
def test_which_events_a_handler_gets(targets: Any, taken: list[Any], left: list[Any]) -> None:
    """D4: those of its keys and ranges; both ends of a pair belong to it, the end of a `range` does not."""
    for key in [*taken, *left]:
        nexus, seen = AsyncEventNexus(), list[Any]()
        nexus.on(*targets)(lambda event, seen=seen: seen.append(event.type))
        event = Event(1, key, 0, {"temp": 90})
        if key in taken:
            ingest(nexus, event)
            assert seen == [key]
        else:
            with pytest.raises(UnhandledEvent) as caught:
                ingest(nexus, event)
            assert caught.value.event is event


def test_registering_without_decorators_is_the_same() -> None:
    """D4: `add_handler(type, handler)` and `add_filter(filter)`, also by keyword."""

    def see(event: Event) -> bool:
        return False

    decorated, plain = AsyncEventNexus(), AsyncEventNexus()
    for target in (99, "x", (100, 199), range(200, 300), -1):
        decorated.on(target)(handler)
        plain.add_handler(type=target, handler=handler)
    decorated.filter(see)
    plain.add_filter(filter=see)
    given = [
        ([(target, each.given) for target, each in nexus.handlers], [each.given for each in nexus.filters])
        for nexus in (decorated, plain)
    ]
    assert given[0] == given[1]


@pytest.mark.parametrize("arguments", [(TeapotEvent, 98), (98, TeapotEvent), (TeapotEvent, (1, 2))], ids=repr)
def test_classes_stand_alone(arguments: Any) -> None:
    """D4: event classes and plain keys do not mix in one call."""
    with pytest.raises(TypeError, match="do not mix in one `on`: use two"):
        AsyncEventNexus().on(*arguments)


def test_on_takes_at_least_one() -> None:
    """D4: `@nexus.on()` is a `TypeError` that shows how it is meant."""
    on: Any = AsyncEventNexus().on
    with pytest.raises(TypeError, match=r"at least one event type: `@nexus.on\(99\)`"):
        on()


def test_on_without_brackets() -> None:
    """D4: `@nexus.on`, as one may write by mistake, is refused when the function is defined."""
    nexus = AsyncEventNexus()
    on: Any = nexus.on
    with pytest.raises(TypeError, match="an event type is an int or a str, not <function"):
        on(handler)


# Order (D1)


def test_the_order_of_dispatch() -> None:
    """D1: filters as registered, the key's handler, the range's, the default, else `UnhandledEvent`."""
    nexus, log = logging_nexus(-1, (0, 9), 5)

    @nexus.filter
    def first(event: Event) -> bool:
        log.append("first")
        return False

    @nexus.filter
    async def second(event: Event) -> bool:
        log.append("second")
        return False

    ingest(nexus, Event(1, 5, 0, None), Event(2, 6, 0, None), Event(3, "x", 0, None))
    assert log == ["first", "second", 5, "first", "second", (0, 9), "first", "second", -1]


def test_what_nobody_takes_is_told() -> None:
    """D1: `UnhandledEvent` carries the event, and says how to register a handler."""
    nexus, log = logging_nexus(98)
    event = Event(7, 99, 0, None)
    with pytest.raises(UnhandledEvent, match=r"event 7 of type 99: register one with `nexus.on\(99\)`") as caught:
        ingest(nexus, event)
    assert caught.value.event is event
    assert log == []


def test_an_event_may_carry_minus_one() -> None:
    """E3: its handler is the default one, unless a range holds -1."""
    nexus, log = logging_nexus(-1, (-5, -1))
    ingest(nexus, Event(1, -1, 0, None), Event(2, 7, 0, None))
    assert log == [(-5, -1), -1]


# Conflicts (D5)


@pytest.mark.parametrize(
    "first, second, named",
    [
        (99, 99, "event type 99 "),
        (Kind.TEAPOT, 99, "event type 99 "),
        (TeapotEvent, 99, "event type 99 "),
        ("99", "99", 'event type "99" '),
        (-1, -1, "the default "),
        ((0, 9), (0, 9), "the range 0 to 9 "),
        ((0, 9), (9, 20), "the range 9 to 20 shares keys with the range 0 to 9, which "),
        ((0, 9), range(5, 6), "the range 5 to 5 shares keys with the range 0 to 9, which "),
        (range(0, 10, 2), range(4, 20, 3), "the range 4 to 19 by 3 shares keys with the range 0 to 8 by 2, which "),
    ],
    ids=repr,
)
def test_a_second_handler_conflicts(first: Any, second: Any, named: str) -> None:
    """D5: of a key, of ranges that share one, of the default: a `LookupError` that names it and says what to do."""
    nexus = AsyncEventNexus()
    nexus.add_handler(first, handler)
    before = nexus.handlers
    with pytest.raises(HandlerConflict, match=f"^{named}has a handler already: .*multiple=True") as caught:
        nexus.add_handler(second, handler)
    assert isinstance(caught.value, LookupError)
    assert nexus.handlers == before


@pytest.mark.parametrize(
    "first, second",
    [
        (99, 98),
        (99, "99"),
        (5, (0, 9)),
        ((-1, -1), -1),
        ((0, 9), (10, 19)),
        (range(0, 10, 2), range(1, 10, 2)),
        (range(3), range(3, 6)),
    ],
    ids=repr,
)
def test_what_does_not_conflict(first: Any, second: Any) -> None:
    """D5: a key and a range that holds it, ranges between each other, -1 and a range that holds it."""
    nexus = AsyncEventNexus()
    nexus.add_handler(first, handler)
    nexus.add_handler(second, handler)
    assert len(nexus.handlers) == 2


@pytest.mark.parametrize("targets", [(99, 99), (99, Kind.TEAPOT), (-1, -1), ((0, 9), range(5, 6))], ids=repr)
def test_one_call_that_conflicts_with_itself(targets: Any) -> None:
    """D5: naming a key twice in one call is a conflict too, unless several handlers may share it."""
    nexus = AsyncEventNexus()
    with pytest.raises(HandlerConflict):
        nexus.on(*targets)(handler)
    assert nexus.handlers == ()
    AsyncEventNexus(multiple=True).on(*targets)(handler)


def test_a_registration_that_raises_has_registered_nothing() -> None:
    """D5: of several keys none has a handler if one has one already, and none is claimed."""
    nexus = AsyncEventNexus()
    nexus.add_handler(3, handler)
    before = nexus.handlers

    @nexus.filter
    def see(event: Event) -> bool:
        return False

    def brew(event: Event[Teapot]) -> None: ...

    with pytest.raises(HandlerConflict):
        nexus.on(1, (10, 20), 3)(brew)
    assert nexus.handlers == before
    assert dict(nexus.catalog) == {}
    assert list(nexus.catalog.ranges) == []


def test_all_of_a_keys_handlers_run() -> None:
    """D5: with `multiple`, one after another in the order of registration, or all of the ranges', or all defaults."""
    nexus, log = logging_nexus((0, 9), multiple=True)
    registrations: list[tuple[Any, str]] = [
        (5, "a"),
        ((5, 20), "range"),
        (5, "b"),
        (-1, "default a"),
        (5, "c"),
        (-1, "default b"),
    ]
    for target, name in registrations:
        nexus.add_handler(target, logs(log, name))
    ingest(nexus, Event(1, 5, 0, None), Event(2, 6, 0, None), Event(3, 30, 0, None))
    assert log == ["a", "b", "c", (0, 9), "range", "default a", "default b"]


def test_failures_are_raised_when_all_have_run() -> None:
    """D5: one handler that fails keeps no other from running."""
    nexus = AsyncEventNexus(multiple=True)
    log = list[str]()

    def fails(name: str) -> Callable[[Event], None]:
        def fail(event: Event) -> None:
            log.append(name)
            raise KeyError(name)

        return fail

    nexus.add_handler(1, fails("a"))
    nexus.add_handler(1, fails("b"))
    nexus.add_handler(1, logs(log, "c"))
    with pytest.raises(ExceptionGroup) as caught:
        ingest(nexus, Event(1, 1, 0, None))
    assert log == ["a", "b", "c"]
    assert [repr(error) for error in caught.value.exceptions] == ["KeyError('a')", "KeyError('b')"]


# User code's errors (D6)


@pytest.mark.parametrize(
    "error", [KeyError("x"), LookupError(), TypeError(), HandlerConflict("mine"), OSError()], ids=repr
)
@pytest.mark.parametrize("target", [1, (0, 9), -1, "filter"], ids=repr)
def test_an_error_of_user_code_stays_what_it_is(error: Exception, target: Any) -> None:
    """D6: a handler's own `KeyError` is that `KeyError`, so are others', and a filter's."""
    nexus = AsyncEventNexus()

    def fail(event: Event) -> Any:
        raise error

    if target == "filter":
        nexus.add_filter(fail)
    else:
        nexus.on(target)(fail)
    with pytest.raises(type(error)) as caught:
        ingest(nexus, Event(1, 1, 0, None))
    assert caught.value is error


def test_stop_iteration_is_pythons() -> None:
    """D6: Python itself turns the `StopIteration` of a plain handler into a `RuntimeError`."""
    nexus = AsyncEventNexus()
    nexus.add_handler(1, lambda event, queue: next(iter(())))
    with pytest.raises(RuntimeError, match="StopIteration"):
        ingest(nexus, Event(1, 1, 0, None))


# The table by itself


def test_a_table_can_be_cleared() -> None:
    """L5: handlers and filters can be forgotten."""
    routes: Routes[str] = Routes()
    for target in (1, range(5), None):
        routes.add(target, "handler")
    routes.filters.append("filter")
    assert routes.key_count == 1
    routes.clear()
    assert (routes.registered(), routes.filters, routes.key_count, routes.find(1)) == ((), [], 0, ())
    routes.check([1, range(5), None])


def test_a_table_lists_what_is_registered() -> None:
    """Tools read what is registered: keys, then ranges, then the default."""
    routes: Routes[str] = Routes(multiple=True)
    for target, name in [(None, "a"), (range(5), "b"), ("x", "c"), (1, "d"), ("x", "e")]:
        routes.add(target, name)
    assert routes.registered() == (("x", "c"), ("x", "e"), (1, "d"), (range(5), "b"), (None, "a"))


class Model:
    """What `Routes` must be like, without regard to speed: it asks each registration for each key."""

    def __init__(self, *, multiple: bool) -> None:
        self.multiple = multiple
        self.registered: list[tuple[Target, int]] = []

    def has_room(self, targets: list[Target]) -> bool:
        """Tell whether all of the targets may be registered at once."""
        before = [target for target, _ in self.registered]
        return self.multiple or not any(
            self.collide(target, other) for place, target in enumerate(targets) for other in before + targets[:place]
        )

    @staticmethod
    def collide(one: Target, other: Target) -> bool:
        """Tell whether two targets want one key in the same way."""
        if isinstance(one, range) and isinstance(other, range):
            return bool(set(one) & set(other))
        return type(one) is type(other) and one == other

    def find(self, key: int | str) -> tuple[int, ...]:
        """Return the handlers of a key by the sentence of D1."""
        exact = [name for target, name in self.registered if type(target) is type(key) and target == key]
        ranged = [name for target, name in self.registered if isinstance(target, range) and key in list(target)]
        default = [name for target, name in self.registered if target is None]
        return tuple(exact or ranged or default)


PLAIN_KEYS = st.integers(-2, 12) | st.sampled_from(["0", "1", "-1", "x"])
TARGETS = st.one_of(
    PLAIN_KEYS,
    st.tuples(st.integers(-3, 12), st.integers(0, 6)).map(lambda pair: (pair[0], sum(pair))),
    st.builds(range, st.integers(-3, 3), st.integers(4, 14), st.integers(1, 4)),
)


@given(st.booleans(), st.lists(st.lists(TARGETS, min_size=1, max_size=3), max_size=8))
def test_routes_find_what_the_model_finds(multiple: bool, registrations: list[list[Any]]) -> None:
    """D1, D5: for any registrations, the same conflicts, and for any key the same handlers in the same order."""
    routes: Routes[int] = Routes(multiple=multiple)
    model = Model(multiple=multiple)
    for name, values in enumerate(registrations):
        targets = [check_target(value) for value in values]
        if model.has_room(targets):
            routes.check(targets)
            for target in targets:
                routes.add(target, name)
                model.registered.append((target, name))
        else:
            with pytest.raises(HandlerConflict):
                routes.check(targets)
    for key in (*range(-6, 22), "0", "1", "-1", "x", "y"):
        assert routes.find(key) == model.find(key)


@given(st.booleans(), st.lists(TARGETS, max_size=6), st.lists(PLAIN_KEYS, min_size=1, max_size=4))
def test_a_nexus_dispatches_as_the_model_does(multiple: bool, targets: list[Any], keys: list[Any]) -> None:
    """D1, D5: through the nexus, events reach the same handlers, or raise `UnhandledEvent` where there is none."""
    nexus, model, log = AsyncEventNexus(multiple=multiple), Model(multiple=multiple), list[int]()

    def takes(name: int) -> Callable[[Event, EventQueue], None]:
        return lambda event, queue: log.append(name)

    for name, value in enumerate(targets):
        if model.has_room([check_target(value)]):
            nexus.add_handler(value, takes(name))
            model.registered.append((check_target(value), name))
        else:
            with pytest.raises(HandlerConflict):
                nexus.add_handler(value, takes(name))

    async def main() -> None:
        async with nexus:
            nexus.start()
            for key in keys:
                log.clear()
                if model.find(key):
                    await nexus.emit(key, None)
                else:
                    with pytest.raises(UnhandledEvent):
                        await nexus.emit(key, None)
                assert tuple(log) == model.find(key)

    run(main())
