"""Works out a registration before it is made: which handler, for which targets, with which claims."""

from typing import Any, NamedTuple, cast

from .admission import admit
from .catalog import Catalog, Draft
from .events import NamedEvent
from .handlers import Handler
from .routes import Target, check_target


class Registration(NamedTuple):
    """A handler, what it is to be registered for, and the claims that come with it, not yet made."""

    handler: Handler
    targets: list[Target]
    claims: Draft


def prepare(catalog: Catalog, event_types: tuple[Any, ...], given: object) -> Registration:
    """Check a handler against the event types that it is to be registered for; nothing changes (D5).

    Raises `InvalidHandler`, `SchemaConflict`, and what `check_target` and `check_named` raise.
    """
    handler, reading, unresolved = admit(given, known=catalog.readings)
    claims = catalog.draft()
    targets: list[Target] = [
        claims.claim_class(check_named(each)) if isinstance(each, type) else check_target(each) for each in event_types
    ]
    claimable = [target for target in targets if target is not None]
    if unresolved is not None and not all(map(claims.is_claimed, claimable)):
        raise unresolved
    if reading is not None:
        for target in claimable:
            claims.annotate(target, reading, handler.name)
    return Registration(handler, targets, claims)


def check_named(event_class: object) -> "type[NamedEvent[Any]]":
    """Return a named event class. Raises `TypeError` for anything else."""
    if isinstance(event_class, type) and NamedEvent in event_class.__mro__ and hasattr(event_class, "event_type"):
        return cast("type[NamedEvent[Any]]", event_class)
    raise TypeError(f"a named event class is expected (a subclass of NamedEvent[Payload]), not {event_class!r}")
