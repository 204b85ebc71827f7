"""Going back: to a position, to a time, to the oldest message kept."""

import asyncio
from datetime import UTC, datetime

import pytest

from ...errors import BadCall
from .trial import A_MOMENT, Trial, claim, ids_of, messages


class ReplayClaims:
    """Claims on `since`."""

    @claim()
    async def test_replay_from_a_position(self, trial: Trial) -> None:
        """`since` a position goes back to that message, also where it was acknowledged; positions grow."""
        if not await self._is_able(trial, since=1):
            return
        given = messages(5)
        taker = await trial.subscribe()
        await trial.publish(*given)
        positions: list[int] = []
        for _ in given:
            delivery = await taker.one()
            assert delivery.position is not None
            positions.append(delivery.position)
            await delivery.ack()
        await taker.close()
        assert positions == sorted(set(positions))
        again = await trial.subscribe(since=positions[2])
        assert ids_of(await again.handle(3)) == ids_of(given[2:])
        await again.nothing_comes()

    @claim()
    async def test_replay_from_a_time(self, trial: Trial) -> None:
        """`since` a time goes back to what was published then and later."""
        if not await self._is_able(trial, since=datetime.now(UTC)):
            return
        given = messages(6)
        taker = await trial.subscribe()
        await trial.publish(*given[:3])
        await asyncio.sleep(A_MOMENT / 2)  # engines may count in milliseconds
        between = datetime.now(UTC)
        await asyncio.sleep(A_MOMENT / 2)
        await trial.publish(*given[3:])
        await taker.handle(6)
        await taker.close()
        again = await trial.subscribe(since=between)
        assert ids_of(await again.handle(3)) == ids_of(given[3:])
        await again.nothing_comes()

    @claim()
    async def test_a_new_consumer_begins_at_the_oldest(self, trial: Trial) -> None:
        """Where messages are kept, a consumer that is new gets those, too, that were handled by others."""
        if not (await trial.transport()).abilities.replay:
            return
        given = messages(3)
        first = await trial.subscribe("first")
        await trial.publish(*given)
        await first.handle(3)
        assert ids_of(await (await trial.subscribe("new")).handle(3)) == ids_of(given)

    async def _is_able(self, trial: Trial, since: datetime | int) -> bool:
        """Whether the engine replays; one that does not raises `BadCall`."""
        able = (await trial.transport()).abilities.replay
        if not able:
            with pytest.raises(BadCall):
                await trial.subscribe(since=since)
        return able
