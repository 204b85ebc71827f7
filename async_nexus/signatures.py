"""How registration is typed: what a decorator accepts, and that it returns the function unchanged.

A handler may take any supertype of the events that it is registered for. Type variables have no lower
bounds; an overloaded callback protocol, `Takes1` or `Takes2`, stands for one.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, overload

from typing_extensions import TypeVar

from .events import Event, Given
from .queue import EventQueue

A = TypeVar("A")
Q = TypeVar("Q")
R = TypeVar("R", bound=Awaitable[None] | None)
D = TypeVar("D", bound=Event[Any])
E_co = TypeVar("E_co", covariant=True)
D_co = TypeVar("D_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)
Q_contra = TypeVar("Q_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


# Of a handler that takes exactly what is `Given`, without names, mypy infers nothing more: `A` is `Never`, hence the
# unions in what the decorators return. Were `Given` not a parameter specification, mypy would refuse the handler.


class Takes1(Protocol[Given, A_contra, R_co]):  # pyright: ignore[reportInvalidTypeVarUse] # `Given` hides the `A`
    """A function that takes an `A`, provided that it takes what is `Given`."""

    @overload
    def __call__(self, event: A_contra, /) -> R_co: ...
    @overload
    def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> R_co: ...


class Takes2(Protocol[Given, A_contra, Q_contra, R_co]):  # pyright: ignore[reportInvalidTypeVarUse] # likewise
    """A function that takes an `A` and a `Q`, provided that it takes what is `Given`."""

    @overload
    def __call__(self, event: A_contra, queue: Q_contra, /) -> R_co: ...
    @overload
    def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> R_co: ...


class DeclaredClass(Protocol[E_co, D_co]):
    """A named event class that makes events `E` which belong to the domain `D`."""

    def __call__(self, *, id: int, payload: Any) -> object:
        """Make an event: a class is meant, not an instance."""
        ...

    def model_validate(self, obj: Any, /) -> E_co:
        """Tell a checker which event it is."""
        ...

    def create(self, payload: Any, /, *, id: int, priority: int = 0) -> D_co:
        """Tell a checker whether the event is within the domain."""
        ...


class OnEvent(Generic[E_co, D]):
    """The decorator that `nexus.on(…)` returns, for handlers of events `E` in the domain `D`."""

    def __init__(self, register: Callable[[object], None]) -> None:
        self._register = register

    @overload
    def __call__(
        self, handler: Takes2[[E_co, EventQueue[D]], A, Q, R], /
    ) -> Callable[[A | E_co, Q | EventQueue[D]], R]: ...
    @overload
    def __call__(self, handler: Takes1[[E_co], A, R], /) -> Callable[[A | E_co], R]: ...
    def __call__(self, handler: Any, /) -> Any:
        """Register the function and return it, the same object."""
        self._register(handler)
        return handler
