"""Trouble: refused connections, full engines, servers that die and come back; errors that must not leak."""

import asyncio
import logging
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import ClassVar, Final, TypeVar

import pytest
from typing_extensions import override

from ...errors import TransportError, TransportUnavailable
from ...transports import Message, Transport
from .engines import SECRET
from .trial import A_MOMENT, Taker, Trial, claim, ids_of, in_thread, messages

M = TypeVar("M")

LARGE: Final = 65_536


class OutageClaims:
    """Claims on what happens when the engine does not answer, or has no room."""

    outage_patience: ClassVar[float] = 20.0
    """Seconds that reconnecting, or taking messages again, may last."""

    @claim("refusal")
    async def test_a_refused_connection_is_unavailable(self, trial: Trial) -> None:
        """Each way to connect raises `TransportUnavailable` in bounded time, and shows no credentials anywhere."""
        with _logged() as lines:
            for way in ("start", "publish", "subscribe"):
                transport = trial.engine.make(trial.engine.refused)
                with pytest.raises(TransportUnavailable, match=r".") as caught:
                    await trial.within(_connect(transport, trial.channel, way), "refusing took too long")
                shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(transport)
                assert SECRET not in shown
                await trial.within(transport.close(), "closing took too long")
        assert SECRET not in "\n".join(lines)

    @claim("server", patiences=None)
    async def test_reconnects_by_itself(self, trial: Trial) -> None:
        """A subscription that waits and a publisher that tries go on when the server is back; confirmed is kept."""
        server = trial.begin(trial.engine.server)
        transport = await trial.open(server.arguments)
        taker = await trial.subscribe(on=transport)
        before, meanwhile = messages(20, "before"), messages(5, "meanwhile")
        await trial.announce("second", on=transport)
        await trial.publish(*before, on=transport)
        taker.begin()
        await in_thread(server.kill)
        async with asyncio.TaskGroup() as group:
            publishing = group.create_task(self._publish_at_last(trial, transport, *meanwhile))
            await asyncio.sleep(A_MOMENT)  # in which it is tried in vain
            await in_thread(server.restart)
            async with asyncio.timeout(self.outage_patience):
                await asyncio.wait({publishing})
        for each in (taker, await trial.subscribe("second", on=transport)):
            await self._handle_all(each, {*ids_of(before), *ids_of(meanwhile)})

    @claim("server", patiences=None)
    async def test_errors_without_a_server_are_its_own(self, trial: Trial) -> None:
        """Without a server publishing raises `TransportUnavailable`, settling at most `TransportError`, both soon."""
        server = trial.begin(trial.engine.server)
        transport = await trial.open(server.arguments)
        taker = await trial.subscribe(on=transport)
        await trial.publish(*messages(1), on=transport)
        delivery = await taker.one()
        await in_thread(server.kill)
        late = transport.publish(trial.channel, Message(id="late", body=b""))
        with pytest.raises(TransportUnavailable):
            await trial.within(late, "publishing without a server did not end", self.outage_patience)
        with suppress(TransportError):  # an engine that does not confirm what is settled cannot tell
            await trial.within(delivery.ack(), "settling without a server did not end", self.outage_patience)
        await trial.within(transport.close(), "closing without a server did not end", self.outage_patience)

    @claim("room", patiences=None)
    async def test_a_full_engine_refuses_and_keeps_what_it_confirmed(self, trial: Trial) -> None:
        """It raises `TransportError`, goes on when there is room again, and has lost nothing that it confirmed."""
        room = trial.begin(trial.engine.room)
        transport = await trial.open(room.arguments)
        await trial.announce("first", on=transport)
        confirmed = messages(5)
        await trial.publish(*confirmed, on=transport)
        await in_thread(room.fill)
        with pytest.raises(TransportError, match=r"."):
            await self._publish_into(trial, transport, confirmed)
        await in_thread(room.free)
        (last,) = messages(1, "last")
        async with asyncio.timeout(self.outage_patience):
            await self._publish_at_last(trial, transport, last, trouble=TransportError)
        await self._handle_all(await trial.subscribe(on=transport), {*ids_of(confirmed), last.id})

    async def _handle_all(self, taker: Taker, expected: set[str]) -> None:
        """Handle deliveries until all that are expected are settled, some perhaps at last, and no others."""
        left = set(expected)
        async with asyncio.timeout(self.outage_patience):
            while left:
                (delivery,) = await taker.take(1, self.outage_patience)
                assert delivery.message.id in expected
                with suppress(TransportError):  # it was in flight when its connection was lost, and comes again
                    await delivery.ack()
                    left.discard(delivery.message.id)

    async def _publish_into(self, trial: Trial, transport: Transport, confirmed: list[Message]) -> None:
        """Publish up to 16 MB, and add what was confirmed."""
        for number in range(16_000_000 // LARGE):
            message = Message(id=f"large{number}", body=b"x" * LARGE)
            await trial.publish(message, on=transport)
            confirmed.append(message)

    async def _publish_at_last(
        self,
        trial: Trial,
        transport: Transport,
        *given: Message,
        trouble: type[TransportError] = TransportUnavailable,
    ) -> None:
        """Publish each message as often as it takes to be confirmed, while the engine is in trouble of that kind."""
        for message in given:
            while True:
                try:
                    await transport.publish(trial.channel, message)
                except trouble:
                    await asyncio.sleep(0.02)
                else:
                    break


async def _connect(transport: Transport, channel: str, way: str) -> None:
    match way:
        case "start":
            await transport.start()
        case "publish":
            await transport.publish(channel, Message(id="m", body=b""))
        case _:
            await transport.subscribe(channel, "first")


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(logging.Formatter())

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


@contextmanager
def _logged() -> Generator[list[str]]:
    """Collect what is logged, with tracebacks."""
    lines: list[str] = []
    handler = _Lines(lines)
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)
