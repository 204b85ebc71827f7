"""The queue of one call of one handler: what is put on it is validated, and it ends with the call."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final, NoReturn

from pydantic import ValidationError
from typing_extensions import override

from .errors import BadCall
from .events import Event, EventType, assemble_fields, new_object
from .lanes import Lane
from .ownership import ALONE, count_references
from .queue import EventQueue


class _Late:
    """An attribute of `EventQueue` that a handler's queue has when it is first asked for.

    Unlike a `__getattr__`, it slows down no other attribute.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, queue: "HandlerQueue | None", owner: type) -> Any:
        if queue is None:
            return self
        queue.become_whole()
        return getattr(queue, self._name)


class HandlerQueue(EventQueue[Any]):
    """The queue of one call of one handler; it ends with that call.

    It costs three attributes: what else an `EventQueue` has is made when something first asks for it.
    """

    fresh: list[Event[Any]] | None
    """What has been put, as it arrived; `None` of a queue that is whole, which has its events in `entries`."""

    _lanes: Mapping[EventType, Lane]
    _validate: Callable[[Event[Any]], Event[Any]]

    @staticmethod
    def open(lanes: Mapping[EventType, Lane], validate: Callable[[Event[Any]], Event[Any]]) -> "HandlerQueue":
        """Make the queue of a call: to call the class would cost more than all that is in it."""
        queue: HandlerQueue = new_object(HandlerQueue)
        queue._lanes = lanes
        queue._validate = validate
        queue.fresh = []
        return queue

    def become_whole(self) -> None:
        """Make what `open` left out, as if it had been there from the start."""
        put, self.fresh = self.fresh or (), None
        EventQueue.__init__(self)
        for event in put:
            EventQueue.put_nowait(self, event)

    @override
    async def put(self, item: Event[Any]) -> None:
        """Validate and put a secondary event, see `put_nowait`; it never waits."""
        lane = None
        if type(item) is Event:  # as `validate` and `put_nowait` do for most events, without their calls
            fields: dict[str, Any] = item.__dict__  # pyright: ignore[reportAssignmentType] # it is no class that is asked
            try:
                lane = self._lanes[fields["type"]]
            except KeyError:
                lane = None
            if lane is not None and (validate := lane.validate) is not None:
                given = fields["payload"]
                try:
                    valid = validate(given)
                except ValidationError as error:
                    raise lane.invalid(item, error) from None
                if valid is not given:
                    if count_references(item) == ALONE:  # nobody will see it but whom it is put for
                        fields["payload"] = valid
                    else:
                        item = assemble_fields({**fields, "payload": valid})
                if self.fresh is None:
                    EventQueue.put_nowait(self, item)
                else:
                    self.fresh.append(item)
                return
        self.put_nowait(item)

    @override
    def put_nowait(self, item: Event[Any]) -> None:
        """Validate and put a secondary event.

        Raises `InvalidPayload` for a payload that does not fit, `BadCall` once the handler has ended.
        """
        event = self._validate(item)
        if self.fresh is None:
            super().put_nowait(event)
        else:
            self.fresh.append(event)

    def close(self) -> list[Event[Any]]:
        """End with the handler, and return what was put, as it arrived: what a task puts later raises `BadCall`."""
        self._lanes, self._validate = {}, refuse
        return (
            [event for _, _, event in sorted(self.entries, key=itemgetter(1))]
            if self.fresh is None
            else self.fresh.copy()
        )


for _name in vars(EventQueue()):
    setattr(HandlerQueue, _name, _Late(_name))


open_queue: Final = HandlerQueue.open


def refuse(event: Event[Any]) -> NoReturn:
    """Stand in for validation once the handler that the queue belonged to has ended."""
    raise BadCall(
        f"event {event.id} of type {event.type!r} was put on the queue of a handler that has ended: "
        "put before it returns, or ingest the event"
    )
