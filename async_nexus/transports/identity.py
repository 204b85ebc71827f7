"""Gives each event that is sent a source, such that no two events have both source and id in common."""

import secrets
from collections import OrderedDict
from typing import Any
from urllib.parse import quote
from weakref import ReferenceType, ref

from ..events import Event


class Identity:
    """Names the source of events: `urn:async-nexus:<domain>:<instance>`.

    Ids are chosen by whoever makes the events: they count from 1 in each nexus, and an event that is passed on keeps
    that of where it came from. Where an id comes again with another event, its source is another; an event that is
    sent again keeps its source, so that receivers know it.
    """

    def __init__(self, domain: str, window: int) -> None:
        """Remember the last `window` ids. Raises `ValueError` for a domain without a name."""
        if not domain:
            raise ValueError("a domain has a name: `domain` is what its events come from")
        self._domain, self._window = quote(domain, safe=""), window
        self._sent: OrderedDict[int, tuple[ReferenceType[Event[Any]], int]] = OrderedDict()
        self._begin()

    def _begin(self) -> None:
        """Begin a new instance, of which no id is known."""
        self._source = f"urn:async-nexus:{self._domain}:{secrets.token_hex(8)}"
        self._sent.clear()
        self._forgotten: int | None = None

    def source_of(self, event: Event[Any]) -> str:
        """Return the source of an event that is sent."""
        number = self._number_of(event)
        return f"{self._source}-{number}" if number else self._source

    def _number_of(self, event: Event[Any]) -> int:
        """Count the events that had the same id before this one."""
        known = self._sent.pop(event.id, None)
        if known is None:
            if self._forgotten is not None and event.id <= self._forgotten:
                self._begin()  # the id may have been used: only those above are certain to be new
            number = 0
        else:
            number = known[1] if known[0]() is event else known[1] + 1
        self._sent[event.id] = ref(event), number
        if len(self._sent) > self._window:
            oldest, _ = self._sent.popitem(last=False)
            self._forgotten = oldest if self._forgotten is None else max(oldest, self._forgotten)
        return number
