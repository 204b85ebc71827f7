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

WHOLE: Final = Event(0, "whole", 0, None)
"""Stands for what is put on a queue that is whole."""


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

    It costs four attributes: what else an `EventQueue` has is made when something first asks for it.
    """

    first: Event[Any] | None
    """What has been put first, `None` if nothing was; `WHOLE` of a queue that has all it was given in `entries`."""
    more: list[Event[Any]] | None
    """What has been put after it, `None` if nothing was."""

    _lanes: Mapping[EventType, Lane]
    _validate: Callable[[Event[Any]], Event[Any]]

    @staticmethod
    def open(lanes: Mapping[EventType, Lane], validate: Callable[[Event[Any]], Event[Any]]) -> "HandlerQueue":
        """Make the queue of a call: to call the class would cost more than all that is in it."""
        queue: HandlerQueue = new_object(HandlerQueue)
        queue._lanes = lanes
        queue._validate = validate
        queue.first = queue.more = None
        return queue

    def become_whole(self) -> None:
        """Make what `open` left out, as if it had been there from the start."""
        put = self._arrived()
        self.first, self.more = WHOLE, []
        EventQueue.__init__(self)
        for event in put:
            EventQueue.put_nowait(self, event)

    @override
    async def put(self, item: Event[Any]) -> None:
        """Validate and put a secondary event, see `put_nowait`; it never waits."""
        if type(item) is Event:  # as `validate` does for most events, without its call
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
                if self.first is None:
                    self.first = item
                else:
                    self._add(item)
                return
        self._add(self._validate(item))

    @override
    def put_nowait(self, item: Event[Any]) -> None:
        """Validate and put a secondary event.

        Raises `InvalidPayload` for a payload that does not fit, `BadCall` once the handler has ended.
        """
        self._add(self._validate(item))

    def _add(self, event: Event[Any]) -> None:
        if self.first is None:
            self.first = event
        elif self.first is WHOLE:
            EventQueue.put_nowait(self, event)
        elif self.more is None:
            self.more = [event]
        else:
            self.more.append(event)

    def _arrived(self) -> list[Event[Any]]:
        """List what was put and not taken, as it arrived."""
        if self.first is WHOLE:
            return [event for _, _, event in sorted(self.entries, key=itemgetter(1))]
        return [] if self.first is None else [self.first, *(self.more or ())]

    def close(self) -> list[Event[Any]]:
        """End with the handler, and return what was put, as it arrived: what a task puts later raises `BadCall`."""
        self._lanes, self._validate = {}, refuse
        return self._arrived()


for _name in vars(EventQueue()):
    setattr(HandlerQueue, _name, _Late(_name))


open_queue: Final = HandlerQueue.open


def refuse(event: Event[Any]) -> NoReturn:
    """Stand in for validation once the handler that the queue belonged to has ended."""
    raise BadCall(
        f"event {event.id} of type {event.type!r} was put on the queue of a handler that has ended: "
        "put before it returns, or ingest the event"
    )
