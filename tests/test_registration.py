"""Registration agrees with the checkers: what annotations show to be wrong is refused before anything runs."""

import asyncio
import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NoReturn, Protocol, TypeVar

import pytest

from async_nexus import AsyncEventNexus, Event, EventConsumer, EventFanout, EventQueue, InvalidHandler, NamedEvent

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found] # it is a name that only a checker could find

TYPING: Final = Path(__file__).parent / "typing"

E = TypeVar("E", bound=Event[Any])
AnyQueue = TypeVar("AnyQueue")
Register = Callable[[Any], object]


class Treacle(NamedEvent[str]): ...


class Stray(NamedEvent[bytes]): ...


class Putting(Protocol):
    """What a user may ask of a queue."""

    async def put(self, item: Any, /) -> None: ...


def as_handler(given: Any) -> object:
    return AsyncEventNexus().add_handler(Treacle, given)


def as_handler_of_a_key(given: Any) -> object:
    return AsyncEventNexus().add_handler("Treacle", given)


def as_default(given: Any) -> object:
    return AsyncEventNexus().default(given)


def as_filter(given: Any) -> object:
    return AsyncEventNexus().filter(given)


def as_member_of_a_fanout(given: Any) -> object:
    return EventFanout[Any]().register(given)


HANDLERS: Final = (as_handler, as_handler_of_a_key, as_default, as_member_of_a_fanout)
EVERYWHERE: Final = (*HANDLERS, as_filter)


async def takes_numbers(event: Treacle, queue: asyncio.Queue[int]) -> None: ...
async def takes_some_events(event: Treacle, queue: asyncio.Queue[Treacle]) -> None: ...
async def takes_objects(event: Treacle, queue: asyncio.Queue[object]) -> None: ...
async def takes_an_int(event: Treacle, queue: int) -> None: ...
async def takes_a_list(event: Treacle, queue: list[Treacle]) -> None: ...
async def takes_none(event: Treacle, queue: None) -> None: ...
async def takes_priorities(event: Treacle, queue: asyncio.PriorityQueue[Any]) -> None: ...
async def takes_a_queue_of_payloads(event: Treacle, queue: EventQueue[str]) -> None: ...  # type: ignore[type-var] # pyright: ignore[reportInvalidTypeArguments] # the mistake
async def takes_text(event: Treacle, queue: "asyncio.Queue[int]") -> None: ...
async def takes_several(event: Treacle, queue: int | list[Treacle]) -> None: ...


class WrongConsumer:
    async def handle(self, event: Treacle, queue: asyncio.Queue[int]) -> None: ...


@pytest.mark.parametrize(
    "given, shown",
    [
        (takes_numbers, "asyncio.queues.Queue[int]"),
        (takes_some_events, f"asyncio.queues.Queue[{__name__}.Treacle]"),
        (takes_objects, "asyncio.queues.Queue[object]"),
        (takes_an_int, "int"),
        (takes_a_list, f"list[{__name__}.Treacle]"),
        (takes_none, "None"),
        (takes_priorities, "asyncio.queues.PriorityQueue[Any]"),
        (takes_a_queue_of_payloads, "async_nexus.queue.EventQueue[str]"),
        (takes_text, "asyncio.Queue[int]"),
        (takes_several, f"int | list[{__name__}.Treacle]"),
    ],
)
@pytest.mark.parametrize("register", HANDLERS)
def test_a_parameter_that_is_no_queue_of_events_is_refused(register: Register, given: Any, shown: str) -> None:
    """C2: the error names the handler, the parameter, what is expected and what is given."""
    with pytest.raises(InvalidHandler) as caught:
        register(given)
    text = str(caught.value)
    assert text.startswith(f"{given.__name__}: parameter 'queue' is annotated {shown}, ")
    assert "expected is `EventQueue`" in text


def test_the_queue_of_a_consumer_is_checked() -> None:
    """C2: what holds for functions holds for `handle`."""
    with pytest.raises(InvalidHandler, match=r"parameter 'queue' is annotated asyncio\.queues\.Queue\[int\]"):
        as_handler(WrongConsumer())


async def bare(event: Treacle, queue: EventQueue) -> None: ...
async def some(event: Treacle, queue: EventQueue[Treacle]) -> None: ...
async def more(event: Treacle, queue: EventQueue[Treacle | Stray]) -> None: ...
async def untold(event: Treacle, queue: EventQueue[Any]) -> None: ...
async def any_item(event: Treacle, queue: asyncio.Queue[Any]) -> None: ...
async def any_event(event: Treacle, queue: asyncio.Queue[Event]) -> None: ...
async def any_payload(event: Treacle, queue: asyncio.Queue[Event[Any]]) -> None: ...
async def any_object(event: Treacle, queue: object) -> None: ...
async def anything(event: Treacle, queue: Any) -> None: ...
async def a_protocol(event: Treacle, queue: Putting) -> None: ...
async def or_none(event: Treacle, queue: EventQueue | None) -> None: ...
async def a_variable(event: E, queue: EventQueue[E]) -> None: ...
async def another_variable(event: Treacle, queue: AnyQueue) -> AnyQueue:  # type: ignore[empty-body]
    ...


async def unknown(event: Treacle, queue: "Unknown") -> None: ...
async def of_unknown(event: Treacle, queue: "EventQueue[Unknown]") -> None: ...
async def as_text(event: "Treacle", queue: "EventQueue[Treacle]") -> "None": ...
async def without(event, queue): ...  # type: ignore[no-untyped-def] # as users without annotations write
async def whatever(*args: Any) -> None: ...


@pytest.mark.parametrize(
    "given",
    [
        *(bare, some, more, untold, any_item, any_event, any_payload, any_object, anything, a_protocol, or_none),
        *(a_variable, another_variable, unknown, of_unknown, as_text, without, whatever),
    ],
)
@pytest.mark.parametrize("register", HANDLERS)
def test_a_queue_that_fits_or_cannot_be_told_is_accepted(register: Register, given: Any) -> None:
    """C2: registration refuses nothing that a checker accepts, and nothing that it does not understand."""
    register(given)


async def number(event: Treacle) -> int:
    return 1


async def next_event(event: Treacle, queue: EventQueue) -> Treacle:
    return event


def text(event: Treacle) -> str:
    return event.payload


def task(event: Treacle) -> Awaitable[int]:
    return number(event)


def coroutine(event: Treacle) -> Coroutine[Any, Any, int]:
    return number(event)


@pytest.mark.parametrize("given", [number, next_event, text, task, coroutine])
@pytest.mark.parametrize("register", HANDLERS)
def test_a_handler_that_says_it_returns_something_is_refused(register: Register, given: Any) -> None:
    """C2: what it returned would be lost; secondary events go on the queue."""
    with pytest.raises(InvalidHandler, match=rf"{given.__name__}: its result is annotated .*, expected is None or an"):
        register(given)


def returns_an_awaitable(event: Treacle) -> Awaitable[None]:
    return bare(event, EventQueue())


def returns_a_task(event: Treacle) -> "asyncio.Task[None] | None":
    return None


def never(event: Treacle) -> NoReturn:
    raise OSError


async def any_result(event: Treacle) -> Any: ...
async def unknown_result(event: Treacle) -> "Unknown": ...


@pytest.mark.parametrize("given", [returns_an_awaitable, returns_a_task, never, any_result, unknown_result])
@pytest.mark.parametrize("register", HANDLERS)
def test_a_result_that_fits_or_cannot_be_told_is_accepted(register: Register, given: Any) -> None:
    """D3: a plain handler may return what is to be awaited."""
    register(given)


async def no_answer(event: Event) -> None: ...
def says_yes(event: Event) -> str:
    return "yes"


async def counts(event: Event) -> int:
    return 1


async def may_not_answer(event: Event) -> bool | None:
    return None


def later_text(event: Event) -> Awaitable[str]:
    raise NotImplementedError


@pytest.mark.parametrize("given", [no_answer, says_yes, counts, may_not_answer, later_text])
def test_a_filter_that_does_not_return_a_bool_is_refused(given: Any) -> None:
    """D2: only `True` consumes an event, so another result is a mistake."""
    with pytest.raises(InvalidHandler, match=rf"{given.__name__}: its result is annotated .*, expected is bool"):
        as_filter(given)


async def answers(event: Event) -> bool:
    return True


def answers_later(event: Event, queue: EventQueue) -> Awaitable[bool]:
    return answers(event)


def always(event: Event) -> Literal[True]:
    return True


def answers_anything(event: Event) -> Any: ...


@pytest.mark.parametrize("given", [answers, answers_later, always, answers_anything, lambda event: True])
def test_a_filter_that_returns_a_bool_is_accepted(given: Any) -> None:
    """D2: async or plain."""
    as_filter(given)


def test_a_filter_s_queue_is_checked() -> None:
    """C2: filters may put, so their queue is one of events too."""

    async def known(event: Event, queue: asyncio.Queue[int]) -> bool:
        return True

    with pytest.raises(InvalidHandler, match="known: parameter 'queue' is annotated"):
        as_filter(known)


async def of_a_payload(event: str) -> Any: ...
async def of_no_event(event: int | None) -> Any: ...
async def of_text(event: "bytes") -> Any: ...


@pytest.mark.parametrize("given", [of_a_payload, of_no_event, of_text])
@pytest.mark.parametrize("register", EVERYWHERE)
def test_a_first_parameter_that_is_no_event_is_refused(register: Register, given: Any) -> None:
    """C2: also where an annotation claims nothing: in filters, default handlers and fan-outs."""
    with pytest.raises(InvalidHandler, match=rf"{given.__name__}: parameter 'event' is annotated .*, expected is an e"):
        register(given)


async def of_unknown_event(event: "Unknown") -> Any: ...
async def of_a_union(event: Treacle | int) -> Any: ...


@pytest.mark.parametrize("given", [of_unknown_event, of_a_union])
@pytest.mark.parametrize("register", [as_default, as_filter, as_member_of_a_fanout])
def test_a_first_parameter_that_may_be_an_event_is_accepted(register: Register, given: Any) -> None:
    """C2: where nothing is claimed, a name that cannot be resolved does no harm."""
    register(given)


def test_a_refused_handler_has_registered_and_claimed_nothing() -> None:
    """D5: the key is free for another handler."""
    nexus = AsyncEventNexus()
    for wrong in (takes_numbers, number):
        with pytest.raises(InvalidHandler):
            nexus.add_handler(Treacle, wrong)  # type: ignore[call-overload] # the mistake
    assert len(nexus.catalog) == 0
    nexus.add_handler(Treacle, some)


class Syrup(Treacle, type="syrup"): ...


def test_a_base_of_the_key_s_class_is_wider_though_it_has_a_key_of_its_own() -> None:
    """C2: a handler of `Treacle` takes `Syrup`, which is one."""
    nexus = AsyncEventNexus()

    async def take(event: Treacle) -> None: ...

    nexus.add_handler(Syrup, take)
    assert nexus.catalog[Syrup].event_class is Syrup


class Sink(EventConsumer[E], Generic[E]):
    async def handle(self, event: E, queue: EventQueue[Any], /) -> None: ...


def test_a_generic_consumer_is_accepted() -> None:
    """C2: type variables tell nothing."""
    as_handler(Sink[Treacle]())


def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a file by its path, for one test."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted((TYPING / "accept").glob("*.py")), ids=lambda path: path.stem)
def test_what_checkers_accept_registers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C2: every right program of the checkers' tests runs, as far as it does not need a loop."""
    load(TYPING / "teahouse.py", monkeypatch)
    programs = [
        each
        for each in vars(load(path, monkeypatch)).values()
        if inspect.isfunction(each) and each.__module__ == path.stem and each.__doc__
    ]
    synchronous = [
        each
        for each in programs
        if not inspect.iscoroutinefunction(each) and not inspect.signature(each).parameters and each.__name__ != "timed"
    ]
    assert synchronous
    for program in synchronous:
        program()
