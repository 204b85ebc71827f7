"""What a program puts around all of its handlers: middleware, and handlers of errors."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, overload

from typing_extensions import TypeVar

from .dispatch import Dispatch
from .errors import InvalidHandler
from .events import Event
from .failures import FailedEvent
from .handlers import EMPTY, Consumer, Handler, adapt, name_of, signature_of
from .lifecycle import Lifecycle
from .plan import Middleware
from .queue import EventQueue
from .signatures import OnEvent

E_contra = TypeVar("E_contra", bound=Event[Any], contravariant=True, default=Event[Any])
M = TypeVar("M", bound=Middleware)


class Around(Generic[E_contra]):
    """The part of a nexus that registers what stands around handlers."""

    _dispatch: Dispatch
    _life: Lifecycle

    def middleware(self, middleware: M, /) -> M:
        """Wrap the handling of every event, `async def mw(event, call_next)`; the first is outermost (M1).

        Raises `InvalidHandler` for what cannot be called so, such as a ready middleware without its settings.
        """
        self._life.check_registrable()
        _check_middleware(middleware)
        self._dispatch.add_middleware(middleware)
        return middleware

    @property
    def error_handlers(self) -> tuple[tuple[type[BaseException], Handler], ...]:
        """What is registered for errors: the class of exceptions and the handler, as `adapt` read it."""
        return self._dispatch.registered_for_errors()

    def on_error(self, *errors: type[Exception]) -> OnEvent[FailedEvent, E_contra]:
        """Register the decorated error handler, of `(failed)` or `(failed, queue)`, for exception classes (F1).

        Raises `HandlerConflict` for a class that has one, `InvalidHandler`, `TypeError` for what is no class of
        exceptions.
        """
        if not errors or not all(isinstance(each, type) and issubclass(each, Exception) for each in errors):  # pyright: ignore[reportUnnecessaryIsInstance] # a checker may not have been asked
            raise TypeError(f"`on_error` takes subclasses of Exception, not {errors!r}")
        return OnEvent(lambda handler: self._register_error_handler(errors, handler))

    @overload
    def add_error_handler(
        self, error: type[Exception], handler: Callable[[FailedEvent, EventQueue[E_contra]], Awaitable[None] | None]
    ) -> None: ...
    @overload
    def add_error_handler(
        self, error: type[Exception], handler: Callable[[FailedEvent], Awaitable[None] | None]
    ) -> None: ...
    @overload
    def add_error_handler(
        self, error: type[Exception], handler: Consumer[FailedEvent, EventQueue[E_contra]]
    ) -> None: ...
    def add_error_handler(self, error: type[Exception], handler: Any) -> None:
        """Register an error handler for a class of exceptions, as `on_error` does; objects too."""
        self.on_error(error)(handler)

    def _register_error_handler(self, errors: tuple[type[Exception], ...], given: object) -> None:
        self._life.check_registrable()
        self._dispatch.add_error_handler(errors, adapt(given))


def _check_middleware(given: Callable[..., object]) -> None:
    try:
        signature = signature_of(given)
    except ValueError:  # written in C, say: its first event tells
        return
    except TypeError:
        raise InvalidHandler(f"{given!r} cannot be called: a middleware is called with (event, call_next)") from None
    try:
        bound = signature.bind(None, None)
    except TypeError as error:
        raise InvalidHandler(
            f"{name_of(given)}{signature} cannot be called with (event, call_next), as a middleware is: {error}"
        ) from None
    # What can do without `call_next` takes something else there: settings, as `rate_limit` does.
    if any(signature.parameters[name].default is not EMPTY for name in list(bound.arguments)[1:]):
        raise InvalidHandler(
            f"{name_of(given)}{signature} is no middleware: that is called with (event, call_next), and needs both; "
            "a ready one has to be called with its settings first"
        )
