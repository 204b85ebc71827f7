"""What may be a handler or a filter, and how it is called."""

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any
from unittest.mock import AsyncMock, create_autospec

import pytest
from pydantic import BaseModel

from async_nexus import AsyncEventNexus, Event, EventConsumer, EventQueue, InvalidHandler
from async_nexus.handlers import Consumer, Handler, adapt, name_of, read_signature, settle


async def call(handler: Handler, event: Event[Any], queue: object) -> Any:
    """Call a handler the way it wants to be called, to its end."""
    result = handler.function(event, queue) if handler.takes_queue else handler.function(event)
    return await result if handler.is_async else await settle(result)


class Teapot(BaseModel):
    temp: int


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function as decorators do."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


async def takes_event(event: Event) -> str:
    """Be the simplest of handlers."""
    return "event"


async def takes_both(event: Event, queue: EventQueue) -> str:
    """Be a handler that may put secondary events."""
    return "both"


def plain(event: Event) -> str:
    """Be a handler that is not async."""
    return "event"


def plain_awaitable(event: Event) -> Awaitable[str]:
    """Return what can be awaited, without being async itself."""
    return takes_event(event)


def takes_config_too(config: str, event: Event, queue: EventQueue) -> str:
    """Be a handler once the first parameter is bound."""
    return config


class Methods:
    async def bound(self, event: Event) -> str:
        return "event"

    @classmethod
    def of_class(cls, event: Event, queue: EventQueue) -> str:
        return "both"

    @staticmethod
    async def static(event: Event) -> str:
        return "event"


class Callable1:
    async def __call__(self, event: Event) -> str:
        return "event"


class Callable2:
    def __call__(self, event: Event, queue: EventQueue) -> str:
        return "both"


class AConsumer(EventConsumer[Any]):
    async def handle(self, event: Event, queue: EventQueue, /) -> None: ...


class DuckConsumer:
    async def handle(self, event: Event, queue: Any) -> None: ...


event = Event(1, 99, 0, None)

GOOD: list[tuple[str, Any, bool, Any]] = [
    ("async of the event", takes_event, False, "event"),
    ("async of both", takes_both, True, "both"),
    ("plain", plain, False, "event"),
    ("plain that returns an awaitable", plain_awaitable, False, "event"),
    ("a task", lambda e: asyncio.ensure_future(takes_event(e)), False, "event"),
    ("lambda", lambda e: "event", False, "event"),
    ("lambda of both", lambda e, q: "both", True, "both"),
    ("a default does not count", lambda e, i="bound": i, False, "bound"),
    ("a third parameter with a default", lambda e, q, i="bound": i, True, "bound"),
    ("star args", lambda *args: len(args), True, 2),
    ("the event and star args", lambda e, *args: len(args), True, 1),
    ("both and star args", lambda e, q, *args: len(args), True, 0),
    ("keywords with defaults", lambda e, *, strength=3: strength, False, 3),
    ("any keywords", lambda e, **keywords: len(keywords), False, 0),
    ("bound method", Methods().bound, False, "event"),
    ("class method", Methods.of_class, True, "both"),
    ("static method", Methods.static, False, "event"),
    ("method of a built-in", [].append, False, None),
    ("built-in function", repr, False, repr(event)),
    ("callable object, async", Callable1(), False, "event"),
    ("callable object of both", Callable2(), True, "both"),
    ("partial", functools.partial(takes_config_too, "strong"), True, "strong"),
    ("partial by keyword", functools.partial(lambda e, q: q, q="bound"), False, "bound"),
    ("partial of an async function", functools.partial(takes_both, queue=EventQueue()), False, "both"),
    ("partial of a partial", functools.partial(functools.partial(takes_config_too, "strong")), True, "strong"),
    ("partial of a callable object", functools.partial(Callable1()), False, "event"),
    ("decorated", traced(takes_both), True, "both"),
    ("mock", create_autospec(takes_event, return_value="mocked"), False, "mocked"),
    ("consumer", AConsumer(), True, None),
    ("what has a `handle`", DuckConsumer(), True, None),
]


@pytest.mark.parametrize("given, takes_queue, result", [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
async def test_what_may_be_a_handler(given: Any, takes_queue: bool, result: Any) -> None:
    """D3: functions, methods, lambdas, partials, callables and consumers, of the event or of both."""
    handler = adapt(given)
    assert handler.given is given
    assert handler.takes_queue is takes_queue
    assert await call(handler, event, EventQueue()) == result


async def async_generator(event: Event) -> AsyncIterator[Event]:
    """Yield what should be put on the queue."""
    yield event


def generator(event: Event, queue: EventQueue) -> Iterator[Event]:
    """Yield what should be put on the queue."""
    yield event


class GeneratorObject:
    async def __call__(self, event: Event) -> AsyncIterator[Event]:
        yield event


class GeneratorConsumer:
    def handle(self, event: Event, queue: Any) -> Iterator[Event]:
        yield event


class NotCallableHandle:
    handle = 99


BAD: list[tuple[str, Any, str]] = [
    ("no parameter", lambda: None, "requires 0 positional parameters: .* takes \\(event\\) or \\(event, queue\\)"),
    ("a default only", lambda e=None: None, "requires 0 positional"),
    ("three", lambda a, b, c: None, "requires 3 positional"),
    ("three and star args", lambda a, b, c, *d: None, "requires 3 positional"),
    ("a keyword", lambda e, *, strength: None, "requires 1 positional parameters and the keywords strength"),
    ("star args and keywords", lambda *args, a, b: None, "and the keywords a, b"),
    ("bound away", functools.partial(takes_event, event), "requires 0 positional"),
    ("partial with too many", functools.partial(lambda e: None, *"ab"), "<lambda> has no signature .*incorrect"),
    ("async generator", async_generator, "async_generator has a `yield`: put secondary events on the queue instead"),
    ("generator", generator, "generator has a `yield`"),
    ("partial of an async generator", functools.partial(async_generator), "async_generator has a `yield`"),
    ("callable async generator", GeneratorObject(), "GeneratorObject has a `yield`"),
    ("consumer that yields", GeneratorConsumer(), "GeneratorConsumer has a `yield`"),
    ("a class", AConsumer, "AConsumer is a class: register an instance of it"),
    ("a class that can be called", int, "int is a class"),
    ("partial of a class", functools.partial(Teapot), "Teapot is a class"),
    ("generic class", list[int], "list (has no signature to read|requires 0 positional)"),
    ("no signature", max, "max has no signature to read .*wrap it in a function"),
    ("None", None, "None is no handler: a function of \\(event\\).* or an object with `async handle"),
    ("a number", 99, "99 is no handler"),
    ("an object", object(), "is no handler"),
    ("a handle that is no function", NotCallableHandle(), "is no handler"),
]


@pytest.mark.parametrize("given, message", [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_may_not_be_a_handler(given: Any, message: str) -> None:
    """D3: anything else raises `InvalidHandler` that says what was given, what is expected and what to do."""
    with pytest.raises(InvalidHandler, match=message):
        adapt(given)


def test_a_coroutine_is_no_handler() -> None:
    """D3: calling the handler by mistake, `add_handler(99, brew())`, is told at once."""
    coroutine = takes_event(event)
    with contextlib.closing(coroutine), pytest.raises(InvalidHandler, match=r"coroutine object .* is no handler"):
        adapt(coroutine)


@pytest.mark.parametrize("register", ["add_filter", "filter", "default"])
def test_filters_and_defaults_are_held_to_the_same(register: str) -> None:
    """D3: filters and default handlers that cannot be called are refused at registration too."""
    with pytest.raises(InvalidHandler, match="requires 0 positional"):
        getattr(AsyncEventNexus(), register)(lambda: True)


async def test_a_generator_based_awaitable_is_awaited() -> None:
    """D3: what a plain handler returns is awaited if it can be, also an object with `__await__`."""

    class Later:
        def __await__(self) -> Generator[Any, None, str]:
            yield from asyncio.sleep(0).__await__()
            return "later"

    assert await call(adapt(lambda e: Later()), event, EventQueue()) == "later"


def test_async_functions_are_known() -> None:
    """Dispatch need not ask what an async handler returns; that of a plain one it must."""
    assert adapt(takes_event).is_async
    assert adapt(Callable1()).is_async
    assert adapt(functools.partial(takes_both)).is_async
    assert adapt(AConsumer()).is_async
    assert not adapt(plain_awaitable).is_async


def test_handlers_have_the_name_of_what_was_given() -> None:
    """Messages call functions by their qualified names, other objects by those of their classes."""
    assert adapt(takes_event).name == "takes_event"
    assert adapt(Methods().bound).name == "Methods.bound"
    assert adapt(AConsumer()).name == "AConsumer"
    assert name_of(functools.partial(functools.partial(takes_both))) == "takes_both"


def test_consumers_are_told_by_their_handle() -> None:
    """D3: `Consumer` is what has a `handle`, whatever its base."""
    assert isinstance(DuckConsumer(), Consumer)
    assert not isinstance(takes_event, Consumer)


def test_handlers_are_told_apart() -> None:
    """Two registrations of one function are two handlers."""
    assert adapt(plain) != adapt(plain)
    assert isinstance(adapt(plain), Handler)


def test_a_handlers_own_coroutine_type_does_not_matter() -> None:
    """D3: a plain function may return a coroutine, as decorators do."""

    def brew(event: Event) -> Coroutine[Any, Any, str]:
        return takes_event(event)

    assert asyncio.run(call(adapt(brew), event, EventQueue())) == "event"


def with_signature(function: Callable[..., Any], signature: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function the signature of another one, as some decorators do."""
    function.__signature__ = inspect.signature(signature)  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess]
    return function


def bare(event, queue):  # type: ignore[no-untyped-def] # as users without annotations write
    """Say nothing of parameters and result."""


READ: list[tuple[str, Callable[..., Any]]] = [
    ("event", takes_event),
    ("event and queue", takes_both),
    ("without annotations", bare),
    ("lambda", lambda e: None),
    ("with a default", lambda e, i=1: None),
    ("the queue has a default", lambda e, queue=None: None),
    ("three, the last with a default", lambda e, q, i=1: None),
    ("positional only", lambda e, q, /: None),
    ("keywords", lambda e, *, strength=3: None),
    ("any keywords", lambda e, **keywords: None),
    ("star args", lambda *args: None),
    ("the event and star args", lambda e, *args: None),
    ("decorated", traced(takes_both)),
    ("another signature", with_signature(lambda e: None, takes_both)),
]


@pytest.mark.parametrize("function", [case[1] for case in READ], ids=[case[0] for case in READ])
def test_what_is_read_at_once_is_what_inspect_reads(function: Callable[..., Any]) -> None:
    """D3: most signatures are read without `inspect`, which says the same of them (a partial is left to it)."""
    assert read_signature(function, function) == read_signature(function, functools.partial(function))


async def test_a_mock_is_called_itself() -> None:
    """D3: what has each attribute that it is asked for is no object with a `handle`: it is called, as it can be."""
    mock = AsyncMock()
    await call(adapt(mock), Event(1, 99, 0, None), EventQueue())
    mock.assert_awaited_once()
