"""Keeps an event that comes twice from being handled twice."""

import asyncio
from collections import OrderedDict


class Handled:
    """The keys of the events that were handled, the last so many; two of one key are handled one after another."""

    def __init__(self, window: int) -> None:
        """Remember the last `window` keys."""
        self._window = window
        self._keys: OrderedDict[bytes, None] = OrderedDict()
        self._at_work: dict[bytes, asyncio.Event] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes) -> None:
        """Remember that an event was handled."""
        self._keys[key] = None
        if len(self._keys) > self._window:
            self._keys.popitem(last=False)

    async def begin(self, key: bytes) -> None:
        """Wait until no other event of the key is being handled, and keep others waiting until `end`."""
        while (other := self._at_work.get(key)) is not None:
            await other.wait()
        self._at_work[key] = asyncio.Event()

    def end(self, key: bytes) -> None:
        """Let go on who waits."""
        self._at_work.pop(key).set()
