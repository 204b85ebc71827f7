"""The wiring check: what a registry and its annotations prove before an event has come."""

import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from async_nexus import (
    AsyncEventBoundary,
    AsyncEventNexus,
    Event,
    EventConsumer,
    EventConverter,
    EventFactory,
    EventFanout,
    EventProducer,
    EventQueue,
    FailedEvent,
    NamedEvent,
    SimpleEventConverter,
    Timer,
)
from async_nexus.schema.places import Place
from async_nexus.schema.wiring import Code, Finding, check_wiring


class Teapot(BaseModel):
    temp: int


class Brew(NamedEvent[Teapot], type=99): ...


class Pour(NamedEvent[str], type="pour"): ...


class Sip(NamedEvent[str]): ...


class Brews(SimpleEventConverter[Brew]):
    async def obtain_event(self) -> Brew:
        raise NotImplementedError


class BrewsAndPours(EventConverter[Brew | Pour]):
    async def event_generator(self) -> AsyncIterator[Brew | Pour]:
        raise NotImplementedError
        yield


class Anything(SimpleEventConverter):
    async def obtain_event(self) -> Event[Any]:
        raise NotImplementedError


class Producing(EventProducer[Brew]): ...


def take(event: Event) -> None:
    """Take any event."""


def take_too(event: Event) -> None:
    """Take any event as well."""


async def brew_to_pour(event: Brew, queue: EventQueue[Pour]) -> None:
    """Lead from one event to another."""


async def pour_to_brew(event: Pour, queue: EventQueue[Brew]) -> None:
    """Lead back."""


async def pour_to_sip(event: Pour, queue: EventQueue[Sip]) -> None:
    """Lead further."""


async def brew_to_anything(event: Brew, queue: EventQueue) -> None:
    """Lead nobody knows where."""


def found(nexus: AsyncEventNexus[Any], code: Code) -> list[tuple[str | None, str | None]]:
    """The event and the handler of each finding of one code."""
    return [(each.event, each.handler) for each in check_wiring(nexus) if each.code is code]


def codes(nexus: AsyncEventNexus[Any]) -> list[Code]:
    """The codes of all findings."""
    return [each.code for each in check_wiring(nexus)]


def line_of(text: str) -> int:
    """The line of this file that begins with a text."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(text))


def test_a_complete_wiring_has_no_findings() -> None:
    """Where every event has a handler and every handler an event, nothing is found."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(brew_to_pour)
    nexus.on(Pour)(take)
    assert check_wiring(nexus) == ()


def test_an_empty_nexus_has_no_findings() -> None:
    """Nothing is wrong with nothing."""
    assert check_wiring(AsyncEventNexus()) == ()


# Unhandled


def test_an_event_of_a_source_that_nobody_handles() -> None:
    """The finding names event, source, and the line of the source's class."""
    nexus = AsyncEventNexus()
    nexus.register(BrewsAndPours())
    nexus.on(Brew)(take)
    (finding,) = check_wiring(nexus)
    assert finding == Finding(
        Code.UNHANDLED,
        "Pour",
        None,
        __file__,
        line_of("class BrewsAndPours"),
        "the source BrewsAndPours can emit Pour, which nothing handles: it would raise UnhandledEvent",
    )


def test_an_event_of_a_handler_that_nobody_handles() -> None:
    """What `EventQueue[Q]` lets a handler put has to be handled; the finding is placed at the handler."""
    nexus = AsyncEventNexus()
    nexus.on(Brew)(brew_to_pour)
    (finding,) = check_wiring(nexus)
    assert (finding.code, finding.event, finding.handler) == (Code.UNHANDLED, "Pour", "brew_to_pour")
    assert (finding.file, finding.line) == (__file__, line_of("async def brew_to_pour"))


def test_an_event_of_a_filter_that_nobody_handles() -> None:
    """D2: what a filter puts has to be handled too."""
    nexus = AsyncEventNexus()

    @nexus.filter
    def sees(event: Event, queue: EventQueue[Sip]) -> bool:
        return False

    assert found(nexus, Code.UNHANDLED) == [("Sip", sees.__qualname__)]


def test_a_default_handler_makes_everything_handled() -> None:
    """D1: the default handler takes what nobody else does."""
    nexus = AsyncEventNexus()
    nexus.register(BrewsAndPours())
    nexus.default(take)
    assert check_wiring(nexus) == ()


@pytest.mark.parametrize("keys, handled", [((90, 99), True), (range(90, 99), False), (range(1, 100, 2), True)])
def test_a_range_handles_the_keys_that_it_holds(keys: Any, handled: bool) -> None:
    """D4: both ends of a pair belong to it, a range is Python's, steps count."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(keys)(take)
    assert (Code.UNHANDLED not in codes(nexus)) == handled


def test_a_timer_emits_its_key() -> None:
    """A timer's key, which is no type argument, counts as emitted; a string that reads as an integer is quoted."""
    nexus = AsyncEventNexus()
    nexus.register(Timer(1, event_type="98", event_factory=nexus))
    place = Place("app.py", 7)
    (finding,) = check_wiring(nexus, place=place)
    assert (finding.code, finding.event, finding.handler) == (Code.UNHANDLED, '"98"', None)
    assert (finding.file, finding.line) == place


def test_a_boundary_carries_events_to_a_domain_that_handles_them() -> None:
    """S4: what a boundary is registered for has to be handled beyond it, also from within a fan-out."""
    for inside_a_fan_out in (False, True):
        here, there = AsyncEventNexus(), AsyncEventNexus()
        boundary = AsyncEventBoundary()
        fan_out = EventFanout()
        fan_out.register(boundary)
        here.add_handler("sip", fan_out if inside_a_fan_out else boundary)
        there.add_producer(boundary)
        assert [event for event, _ in found(here, Code.UNHANDLED)] == ["sip"]
        there.on("sip")(take)
        assert check_wiring(here) == ()


# Unreachable


def test_a_handler_that_nothing_can_reach() -> None:
    """Where all sources are typed, a handler of what none of them leads to is found."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(take)
    nexus.on(Sip)(take_too)
    assert found(nexus, Code.UNREACHABLE) == [("Sip", "take_too")]


def test_secondary_events_reach_handlers_at_any_distance() -> None:
    """Handlers are reached through the queues of handlers that are reached."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(brew_to_pour)
    nexus.on(Pour)(pour_to_sip)
    nexus.on(Sip)(take)
    assert check_wiring(nexus) == ()


def test_an_unreachable_handler_reaches_nothing() -> None:
    """A handler that is not reached itself does not make others so."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(take)
    nexus.on(Pour)(pour_to_sip)
    nexus.on(Sip)(take_too)
    assert found(nexus, Code.UNREACHABLE) == [("Pour", "pour_to_sip"), ("Sip", "take_too")]


def test_a_bare_queue_puts_nothing_that_is_known() -> None:
    """A handler with an `EventQueue` of anything reaches no handler."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(brew_to_anything)
    nexus.on(Pour)(take)
    assert found(nexus, Code.UNREACHABLE) == [("Pour", "take")]


@pytest.mark.parametrize("sources", [(), (Anything,), (Brews, Anything)])
def test_where_events_come_from_outside_all_is_reachable(sources: tuple[type, ...]) -> None:
    """With no source, or one of any event, no handler is called unreachable."""
    nexus = AsyncEventNexus()
    for source in sources:
        nexus.register(source())
    nexus.on(Brew)(take)
    nexus.on(Sip)(take_too)
    assert check_wiring(nexus) == ()


def test_a_source_that_another_nexus_runs_is_a_source_here_too() -> None:
    """S1: a producer's second nexus receives its events as well."""
    first, second = AsyncEventNexus(), AsyncEventNexus()
    producer = Producing()
    second.register(Timer(1, event_type=1, event_factory=second))
    second.on(1)(take)
    second.on(Brew)(take_too)
    first.register(producer)
    assert found(second, Code.UNREACHABLE) == [("Brew", "take_too")]
    second.register(producer)
    assert check_wiring(second) == ()


def test_a_handler_of_several_keys_is_reached_by_any() -> None:
    """One function under several keys is one handler, also by several decorators."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(1)(nexus.on(Brew)(take))
    assert check_wiring(nexus) == ()


def test_a_default_handler_is_never_unreachable() -> None:
    """A default handler is a safety net."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(take)
    nexus.default(take_too)
    assert check_wiring(nexus) == ()


def test_a_range_behind_exact_keys_is_unreachable() -> None:
    """D1: a handler of the exact key goes before one of a range that holds it."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(take)
    nexus.on((0, 100))(take_too)
    assert found(nexus, Code.UNREACHABLE) == [("0 … 100", "take_too")]


# Cycles


def test_secondary_events_that_go_round() -> None:
    """A cycle is found once and told from its first handler on."""
    nexus = AsyncEventNexus()
    nexus.on(Brew)(brew_to_pour)
    nexus.on(Pour)(pour_to_brew)
    (finding,) = check_wiring(nexus)
    assert (finding.code, finding.event, finding.handler) == (Code.CYCLE, "Pour", "brew_to_pour")
    assert finding.message.endswith("brew_to_pour -> Pour -> pour_to_brew -> Brew -> brew_to_pour")


def test_a_handler_that_puts_what_it_takes() -> None:
    """The shortest cycle has one handler."""
    nexus = AsyncEventNexus()

    @nexus.on(Brew)
    def again(event: Brew, queue: EventQueue[Brew]) -> None: ...

    assert found(nexus, Code.CYCLE) == [("Brew", again.__qualname__)]


def test_a_way_into_a_cycle_is_no_cycle() -> None:
    """A handler that leads into a cycle without being in it is not named."""
    nexus = AsyncEventNexus()

    @nexus.on(Sip)
    def into(event: Sip, queue: EventQueue[Pour]) -> None: ...

    nexus.on(Pour)(pour_to_brew)
    nexus.on(Brew)(brew_to_pour)
    assert found(nexus, Code.CYCLE) == [("Brew", "pour_to_brew")]


# Claims


def test_a_source_whose_class_disagrees_with_the_declaration() -> None:
    """C2: what is emitted under a key has to fit what is claimed of it."""
    nexus = AsyncEventNexus()
    nexus.declare(99, str)
    nexus.register(Brews())
    nexus.on(99)(take)
    (finding,) = check_wiring(nexus)
    assert (finding.code, finding.event, finding.line) == (Code.CLAIMS, "Brew", line_of("class Brews("))
    assert "payload Teapot" in finding.message
    assert "payload str" in finding.message


@pytest.mark.parametrize("payload, agrees", [(int, True), (float, True), (str, False), (bool, False)])
def test_a_timer_whose_numbers_do_not_fit(payload: type, agrees: bool) -> None:
    """S2: a timer's payloads are numbers."""
    nexus = AsyncEventNexus()
    nexus.declare(98, payload)
    nexus.register(Timer(1, event_type=98, event_factory=nexus))
    nexus.on(98)(take)
    assert codes(nexus) == ([] if agrees else [Code.CLAIMS])


def test_a_range_that_gets_what_it_does_not_take() -> None:
    """C2: a range's annotation is not compared with its keys' declarations at registration; here it is."""
    nexus = AsyncEventNexus()

    @nexus.on((100, 199))
    def teapots(event: Event[Teapot]) -> None: ...

    nexus.declare(150, str)
    nexus.declare(151, Teapot)
    nexus.declare(152, str)
    nexus.on(152)(take)
    assert found(nexus, Code.CLAIMS) == [("150", teapots.__qualname__)]


def test_a_boundary_between_domains_that_disagree() -> None:
    """S4: the receiving domain validates against its own catalog."""
    here, there = AsyncEventNexus(), AsyncEventNexus()
    boundary = AsyncEventBoundary()
    here.declare(7, str)
    there.declare(7, Teapot)
    here.add_handler(7, boundary)
    there.add_producer(boundary)
    there.on(7)(take)
    assert found(here, Code.CLAIMS) == [("7", "AsyncEventBoundary")]


# Error handlers


def compensate(failed: FailedEvent, queue: EventQueue[Pour]) -> None:
    """Put something else instead of what failed."""


def test_what_an_error_handler_puts_is_reached() -> None:
    """Any event may fail, so that the handler of what is put then can be reached."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(take)
    nexus.on(Pour)(take_too)
    assert found(nexus, Code.UNREACHABLE) == [("Pour", "take_too")]
    nexus.on_error(ValueError, OSError)(compensate)
    assert check_wiring(nexus) == ()


def test_what_an_error_handler_puts_has_to_be_handled() -> None:
    """It would raise `UnhandledEvent` as any other event, and is reported once for all classes of errors."""
    nexus = AsyncEventNexus()
    nexus.on_error(ValueError, OSError)(compensate)
    (finding,) = check_wiring(nexus)
    assert (finding.code, finding.event, finding.handler) == (Code.UNHANDLED, "Pour", "compensate")
    assert finding.line == line_of("def compensate")
    assert finding.message.startswith("the error handler compensate can emit Pour")


def test_what_an_error_handler_puts_has_to_fit_its_claim() -> None:
    """The class that is put and the declaration of its key agree, or do not."""
    nexus = AsyncEventNexus()
    nexus.declare("pour", Teapot)
    nexus.on("pour")(take)
    nexus.on_error(ValueError)(compensate)
    assert found(nexus, Code.CLAIMS) == [("Pour", "compensate")]


def test_a_compensation_that_may_fail_itself_is_no_cycle() -> None:
    """Else every error handler that puts something were one."""
    nexus = AsyncEventNexus()
    nexus.on(Pour)(take)
    nexus.on_error(ValueError)(compensate)
    assert check_wiring(nexus) == ()


# Findings


def test_findings_are_silenced_by_code() -> None:
    """A code that is ignored has no findings; the others stay."""
    nexus = AsyncEventNexus()
    nexus.register(BrewsAndPours())
    nexus.on(Sip)(take)
    assert {each.code for each in check_wiring(nexus)} == {Code.UNHANDLED, Code.UNREACHABLE}
    assert {each.code for each in check_wiring(nexus, ignore=["unhandled-event"])} == {Code.UNREACHABLE}
    with pytest.raises(ValueError, match="no-such-code"):
        check_wiring(nexus, ignore=["no-such-code"])


def test_consumers_and_partials_have_their_place() -> None:
    """A consumer is placed at its class, a partial at its function."""

    class Cup(EventConsumer):
        async def handle(self, event: Event, queue: EventQueue[Any], /) -> None: ...

    def partly(size: int, event: Event) -> None: ...

    nexus = AsyncEventNexus()
    nexus.register(Producing(EventFactory()))
    nexus.on(Brew)(take)
    nexus.add_handler("cup", Cup())
    nexus.add_handler("part", functools.partial(partly, 1))
    cup, part = check_wiring(nexus)
    assert (cup.handler, cup.line) == (Cup.__qualname__, line_of("    class Cup"))
    assert (part.handler, part.line) == (partly.__qualname__, line_of("    def partly"))
