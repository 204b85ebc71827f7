"""Turns side by side: how many, of which keys, in which order, and what is left when they are gone."""

import asyncio
import gc
import logging
import math
import random
import weakref
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings, target
from hypothesis import strategies as st
from log_records import logged

from async_nexus import AsyncEventNexus, Event, EventQueue, InvalidPayload, LoopStopped
from async_nexus.failures import FailedEvent
from async_nexus.keyed_lines import ConcurrentLine, choose_line
from async_nexus.lines import Line
from async_nexus.testing import run
from async_nexus.turns import Turn


async def take(line: Line, label: object, work: Callable[[], Awaitable[object]], priority: int = 0) -> None:
    """Take a turn as dispatch does."""
    turn = line.enter(label) or await line.wait(priority, label)
    try:
        await work()
        await turn.settle()
    except BaseException as error:
        if turn.is_cut:
            turn.raise_cut_off(error)
        raise
    finally:
        turn.leave()


def outsider(work: Any) -> asyncio.Task[Any]:
    """Run work in a task that was born in no turn."""
    return asyncio.get_running_loop().create_task(work, context=Context())


def first_letter(label: Any) -> str | None:
    """The key of labels such as `a1`; those that begin with `-` have none."""
    return None if label[0] == "-" else label[0]


class Diary:
    """Takes turns that last a second each and notes when each began."""

    def __init__(self, capacity: int, key_of: Callable[[Any], Hashable] | None = first_letter) -> None:
        self.line = ConcurrentLine(str, capacity, key_of)
        self.begun: dict[str, float] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def come(self, *labels: str, priority: int = 0, takes: float = 1) -> None:
        """Let labels come one after another."""
        for label in labels:

            async def work(label: str = label) -> None:
                self.begun[label] = asyncio.get_running_loop().time()
                await asyncio.sleep(takes)

            self.tasks[label] = outsider(take(self.line, label, work, priority))

    async def ends(self) -> dict[str, float]:
        """Wait for all, and see that the line is as it was made: every room free, nothing kept."""
        await asyncio.wait(self.tasks.values())
        await self.line.quiet()
        for room in range(self.line._capacity):  # pyright: ignore[reportPrivateUsage] # as many as were asked for
            assert Context().run(self.line.enter, f"-{room}") is not None
        assert Context().run(self.line.enter, "-more") is None
        assert not self.line._keys  # pyright: ignore[reportPrivateUsage] # what is kept shows nowhere else
        return self.begun


def test_as_many_turns_as_asked_for_run_at_a_time() -> None:
    """K1: the third waits until one of the two has ended."""

    async def main() -> dict[str, float]:
        diary = Diary(2, None)
        diary.come("a", takes=3)
        diary.come("b", "c", "d")
        return await diary.ends()

    assert run(main()) == {"a": 0, "b": 0, "c": 1, "d": 2}


def test_who_waits_goes_by_priority_then_arrival() -> None:
    """K1, T1: when there is room again, the lowest priority goes, among equals who came first."""

    async def main() -> list[str]:
        diary = Diary(2, None)
        diary.come("a", takes=5)
        diary.come("b", takes=6)
        for label, priority in {"c": 1, "d": 0, "e": 1, "f": -1}.items():
            diary.come(label, priority=priority, takes=10)
        return list(await diary.ends())

    assert run(main()) == ["a", "b", "f", "d", "c", "e"]


def test_one_key_goes_one_at_a_time_and_holds_up_nobody_else() -> None:
    """K2: the second of a key waits for the first; those behind it, of other keys or of none, do not."""

    async def main() -> dict[str, float]:
        diary = Diary(3)
        diary.come("a1", "a2", "b1", "-1", "a3")
        return await diary.ends()

    assert run(main()) == {"a1": 0, "b1": 0, "-1": 0, "a2": 1, "a3": 2}


def test_within_a_key_priority_comes_before_arrival() -> None:
    """K1, K2: those of one key are chosen as those of all are."""

    async def main() -> list[str]:
        diary = Diary(8)
        diary.come("a1", "a2")
        diary.come("a3", priority=-1)
        diary.come("a4", priority=-2)
        return list(await diary.ends())

    assert run(main()) == ["a1", "a4", "a3", "a2"]


def test_who_is_ahead_but_waits_for_its_key_is_passed_by_only_until_the_key_is_free() -> None:
    """K1, K2: a free key and room go to the lowest priority, whenever they came together."""

    async def main() -> dict[str, float]:
        diary = Diary(2)
        diary.come("a1", takes=1.5)
        diary.come("b1", takes=1)
        diary.come("a2", priority=-5)
        diary.come("b2", takes=2)
        diary.come("c1", priority=1)
        return await diary.ends()

    assert run(main()) == {"a1": 0, "b1": 0, "b2": 1, "a2": 1.5, "c1": 2.5}


def test_who_comes_later_with_a_lower_priority_takes_the_place_of_its_key() -> None:
    """K1: the candidate of a key that waits for room changes, and the one before comes after it."""

    async def main() -> list[str]:
        diary = Diary(1)
        diary.come("x", takes=1)
        diary.come("a1", priority=3)
        diary.come("b1", priority=2)
        diary.come("a2", priority=1)
        diary.come("a3", priority=2)
        return list(await diary.ends())

    assert run(main()) == ["x", "a2", "b1", "a3", "a1"]


def test_who_was_overtaken_by_its_own_key_is_called_when_that_has_ended() -> None:
    """K2: also where there was room for it meanwhile, which went to nobody."""

    async def main() -> dict[str, float]:
        diary = Diary(2)
        diary.come("x", "y")
        diary.come("a1", priority=2)
        diary.come("a2", priority=1, takes=5)
        diary.come("b1", priority=3)
        return await diary.ends()

    assert run(main()) == {"x": 0, "y": 0, "a2": 1, "b1": 1, "a1": 6}


def test_none_is_no_key_and_zero_is_one() -> None:
    """K2: a key of `None` never waits for another; any other value does, false ones too."""

    async def main() -> dict[str, float]:
        diary = Diary(4, lambda label: {"0": 0, "e": ""}.get(label[0]))
        diary.come("n1", "n2", "01", "02", "e1", "e2")
        return await diary.ends()

    assert run(main()) == {"n1": 0, "n2": 0, "01": 0, "e1": 0, "02": 1, "e2": 1}


def test_nobody_slips_in_between_two_turns() -> None:
    """T1: room that has been handed over is not free, nor is the key, though who got them has not gone on yet."""

    async def main() -> None:
        line, order = ConcurrentLine(str, 2, first_letter), list[str]()

        async def note() -> None:
            order.append("a2")

        entered = Context()
        first = entered.run(line.enter, "a1")
        other = Context().run(line.enter, "b1")
        assert first is not None
        assert other is not None
        waiting = outsider(take(line, "a2", note))
        await asyncio.sleep(1)
        entered.run(first.leave)
        assert Context().run(line.enter, "c1") is None
        assert Context().run(line.enter, "a3") is None
        await waiting
        assert order == ["a2"]
        assert Context().run(line.enter, "c2") is not None

    run(main())


def test_a_key_is_made_once_an_event() -> None:
    """K2: whether it has to wait or not."""

    async def main() -> list[str]:
        asked = list[str]()

        def key_of(label: str) -> str:
            asked.append(label)
            return "one"

        diary = Diary(2, key_of)
        diary.come("a", "b", "c")
        await asyncio.wait(diary.tasks.values())
        return asked

    assert run(main()) == ["a", "b", "c"]


def test_who_is_inside_needs_neither_room_nor_key() -> None:
    """T4, K2: a nested turn belongs to its turn, also in a task born there; its key is not even asked for."""

    async def main() -> None:
        loop, asked = asyncio.get_running_loop(), list[str]()

        def key_of(label: str) -> str:
            asked.append(label)
            return label[0]

        line = ConcurrentLine(str, 2, key_of)
        over = dict[str, float]()

        async def nested(label: str, takes: float) -> None:
            await take(line, label, lambda: asyncio.sleep(takes))
            over[label] = loop.time()

        async def outer() -> None:
            await nested("a, as outside", 1)
            await nested("b, taken", 1)
            late.append(asyncio.create_task(nested("c, in a task", 3)))
            await asyncio.sleep(0)

        async def note(label: str) -> None:
            over[label] = loop.time()

        late = list[asyncio.Task[None]]()
        tasks = [
            outsider(take(line, "a1", outer)),
            outsider(take(line, "b1", lambda: asyncio.sleep(10))),
            outsider(take(line, "a2", lambda: note("a2"))),
        ]
        await asyncio.wait(tasks)
        assert over == {"a, as outside": 1, "b, taken": 2, "c, in a task": 5, "a2": 5}
        assert asked == ["a1", "b1", "a2"]
        assert late[0].done()

    run(main())


def test_who_is_cancelled_while_waiting_leaves_the_line() -> None:
    """K3, T5: for room or for the key; who is behind moves up, and nothing of it is kept."""

    async def main() -> dict[str, float]:
        diary = Diary(2)
        diary.come("a1", "b1", "c1", "a2", "a3", "c2", "-1", "-2")
        await asyncio.sleep(0.5)
        for label in ("c1", "a2", "-1"):
            diary.tasks[label].cancel()
        begun = await diary.ends()
        assert [label for label, task in diary.tasks.items() if task.cancelled()] == ["c1", "a2", "-1"]
        return begun

    assert run(main()) == {"a1": 0, "b1": 0, "a3": 1, "c2": 1, "-2": 2}


def test_who_is_cancelled_when_called_hands_room_and_key_on() -> None:
    """K3, T5: cancelled after it was called and before the turn began, it keeps neither."""

    async def main() -> None:
        line, order = ConcurrentLine(str, 1, first_letter), list[str]()

        async def note(label: str) -> None:
            order.append(label)

        entered = Context()
        first = entered.run(line.enter, "a1")
        assert first is not None
        tasks = [outsider(take(line, label, partial(note, label))) for label in ("a2", "a3")]
        await asyncio.sleep(0)
        entered.run(first.leave)
        tasks[0].cancel()
        await tasks[1]
        assert tasks[0].cancelled()
        assert order == ["a3"]
        await line.quiet()

    run(main())


def test_turns_may_begin_while_they_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """W4: whoever asks for numbers may do so in another thread."""
    everyone = Turn.everyone

    async def main() -> None:
        line = ConcurrentLine(str, 2)
        Context().run(line.enter, "first")

        def meanwhile(turn: Turn) -> Iterator[Turn]:
            Context().run(line.enter, "second")
            return everyone(turn)

        monkeypatch.setattr(Turn, "everyone", meanwhile)
        assert line.in_turn == 1

    run(main())


class Label:
    """A label that can be watched for being forgotten, with a key of its own choice."""

    def __init__(self, key: Hashable) -> None:
        self.key = key


@pytest.mark.parametrize("key", ["busy", "free", None])
def test_the_cancelled_are_forgotten_while_others_go_on_waiting(key: Hashable) -> None:
    """K3, T5: of those who have gone, no more are kept than there are who wait."""

    async def main() -> int:
        line = ConcurrentLine(str, 1, lambda label: label.key)
        never = asyncio.get_running_loop().create_future()
        others = [outsider(take(line, Label("busy"), lambda: never)) for _ in range(5)]
        await asyncio.sleep(0)
        gone = weakref.WeakSet[Label]()
        for _ in range(50):
            labels = [Label(key) for _ in range(20)]
            gone.update(labels)
            tasks = [outsider(take(line, label, lambda: never)) for label in labels]
            del labels
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            tasks.clear()
        gc.collect()
        kept = len(gone)
        for other in others:
            other.cancel()
        await asyncio.wait(others)
        return kept

    assert run(main()) <= 8


def test_who_starves_and_goes_leaves_nothing_behind() -> None:
    """K3, T5: candidates that are overtaken by their own key, time and again, and then give up."""

    async def main() -> int:
        line = ConcurrentLine(str, 1, lambda label: label.key)
        gone = weakref.WeakSet[Label]()

        def come(label: Label, priority: int) -> asyncio.Task[None]:
            return outsider(take(line, label, lambda: asyncio.sleep(1), priority))

        running = come(Label(None), -1)
        crowd = [come(Label(None), 99) for _ in range(20)]
        for _ in range(100):
            await asyncio.sleep(0.5)
            label = Label("one")
            gone.add(label)
            starving = come(label, 50)
            del label
            await asyncio.sleep(0)
            overtaking = come(Label("one"), -1)
            await running
            await asyncio.sleep(0.5)
            running = come(Label(None), -1)
            starving.cancel()
            await overtaking
            assert starving.cancelled()
            del starving, overtaking
        gc.collect()
        kept = len(gone)
        for each in (*crowd, running):
            each.cancel()
        await asyncio.wait([*crowd, running])
        return kept

    assert run(main()) <= 45


def test_who_is_overtaken_again_and_again_is_a_candidate_once() -> None:
    """K2: a place is not noted anew each time that its key is free."""

    async def main() -> int:
        diary = Diary(1)
        diary.come("x", priority=-2)
        diary.come("a, starving", priority=50)
        for number in range(50):
            await asyncio.sleep(0.5)
            diary.come(f"a{number}", priority=-1)
            await asyncio.sleep(1)
            diary.come(f"x{number}", priority=-2)
            await asyncio.sleep(0.5)
        noted = len(diary.line._candidates)  # pyright: ignore[reportPrivateUsage] # it would cost memory only
        assert "a, starving" not in diary.begun
        await diary.ends()
        return noted

    assert run(main()) <= 3


def test_keys_are_forgotten_with_their_turns() -> None:
    """K2: a nexus that has seen a million users does not keep them."""

    async def main() -> int:
        line = ConcurrentLine(str, 2, lambda label: label.key)
        keys = weakref.WeakSet[Label]()
        for _ in range(50):
            key = Label(None)
            keys.add(key)
            await asyncio.gather(*(outsider(take(line, Label(key), lambda: asyncio.sleep(1))) for _ in range(4)))
        del key
        await asyncio.sleep(1)  # the timer that was due last holds its context until the next one is
        gc.collect()
        return len(keys)

    assert run(main()) == 0


class Counted(int):
    """A priority that counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other: int) -> bool:
        Counted.comparisons += 1
        return int(self) < int(other)

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return int(self) == other

    __hash__ = int.__hash__


@pytest.mark.parametrize("capacity", [1, 2, 50])
@pytest.mark.parametrize("cancelling", [False, True])
def test_a_crowd_before_one_busy_key_costs_others_next_to_nothing(capacity: int, cancelling: bool) -> None:
    """K2: each event costs a few comparisons of priorities, growing as the logarithm of how many wait."""
    crowd, others = 3000, 300

    async def main() -> int:
        line = ConcurrentLine(str, capacity, lambda label: label)
        draw = random.Random(7)

        def come(label: str) -> asyncio.Task[None]:
            return outsider(take(line, label, lambda: asyncio.sleep(0.01), Counted(draw.randrange(100))))

        busy = [come("busy") for _ in range(crowd)]
        await asyncio.sleep(0)
        rest = [come(f"other {number}") for number in range(others)]
        for task in busy[10::2] if cancelling else ():
            task.cancel()
        Counted.comparisons = 0
        await asyncio.wait(busy + rest)
        return Counted.comparisons

    assert run(main()) < 8 * (crowd + others) * math.log2(crowd)


def test_quiet_waits_for_all_turns() -> None:
    """K3, L3: those that are open, those that wait for room and those that wait for their key."""

    async def main() -> None:
        diary, loop = Diary(2), asyncio.get_running_loop()
        await diary.line.quiet()
        diary.come("a1", "a2", "a3", "b1", "b2")
        await asyncio.sleep(0)
        await diary.line.quiet()
        assert loop.time() == 3
        await diary.ends()

    run(main())


def test_a_cut_ends_all_turns_and_whoever_waits() -> None:
    """K3, L3: all raise `LoopStopped`: who has a turn, then who waits, in the order in which they would have gone."""

    async def main() -> None:
        line = ConcurrentLine(lambda label: f"<{label}>", 2, first_letter)

        async def outer() -> None:
            await take(line, "nested", lambda: asyncio.sleep(100))

        tasks = [outsider(take(line, "a1", outer)), outsider(take(line, "b1", lambda: asyncio.sleep(100)))]
        for label, priority in {"a2": 2, "-1": 1, "c1": 3, "a3": 0, "-gone": 0}.items():
            tasks.append(outsider(take(line, label, lambda: asyncio.sleep(100), priority)))
        await asyncio.sleep(1)
        tasks[-1].cancel()
        assert line.cut_off() == ["<a1>", "<nested>", "<b1>", "<a3>", "<-1>", "<a2>", "<c1>"]
        await asyncio.wait(tasks)
        assert [type(task.exception()) for task in tasks[:-1]] == [LoopStopped] * 6
        assert str(tasks[2].exception()) == "the nexus stopped before it had handled <a2>"
        assert tasks[-1].cancelled()
        await line.quiet()
        assert line.cut_off() == []

    run(main())


def test_a_cut_names_and_ends_who_has_been_called() -> None:
    """K3, L3: room was handed over, but the turn has not begun: it never does."""

    async def main() -> None:
        line = ConcurrentLine(str, 1, first_letter)
        entered = Context()
        first = entered.run(line.enter, "a1")
        assert first is not None
        second = outsider(take(line, "a2", lambda: asyncio.sleep(1)))
        await asyncio.sleep(0)
        entered.run(first.leave)
        assert line.cut_off() == ["a2"]
        with pytest.raises(LoopStopped, match="before it had handled a2"):
            await second
        await line.quiet()

    run(main())


def test_a_cut_waiter_that_is_cancelled_too_is_cancelled() -> None:
    """K3, L3, T5: the task's own cancellation is not swallowed by the cut."""

    async def main() -> None:
        line = ConcurrentLine(str, 1, first_letter)
        first = outsider(take(line, "a1", lambda: asyncio.sleep(1)))
        second = outsider(take(line, "a2", lambda: asyncio.sleep(1)))
        await asyncio.sleep(0)
        line.cut_off()
        second.cancel()
        await asyncio.wait([first, second])
        assert isinstance(first.exception(), LoopStopped)
        assert second.cancelled()
        await line.quiet()

    run(main())


def test_a_line_is_as_simple_as_what_was_asked_for() -> None:
    """K1: who asked for neither concurrency nor a key has the line of one turn at a time."""
    assert type(choose_line(str, 1, None)) is Line
    assert type(choose_line(str, 2, None)) is ConcurrentLine
    assert type(choose_line(str, 1, len)) is ConcurrentLine


# In a nexus


@pytest.mark.parametrize("concurrency", [0, -1])
def test_less_than_one_turn_at_a_time_is_refused(concurrency: int) -> None:
    """K1: nothing would ever be handled."""
    with pytest.raises(ValueError, match=f"from 1, not {concurrency}"):
        AsyncEventNexus(concurrency=concurrency)


@pytest.mark.parametrize("concurrency", [True, False, 2.0, "2", None])
def test_what_is_no_number_of_turns_is_refused(concurrency: Any) -> None:
    """K1: a bool is none either."""
    with pytest.raises(TypeError, match="a number of turns"):
        AsyncEventNexus(concurrency=concurrency)


async def coroutine_key(event: Event) -> int:
    """What looks like a key, but would be another one for each event."""
    return event.id


@pytest.mark.parametrize("key", [3, "user", coroutine_key])
def test_what_is_no_plain_function_is_no_key(key: Any) -> None:
    """K2: a key is asked for without waiting."""
    with pytest.raises(TypeError, match="`key` is a plain function of the event"):
        AsyncEventNexus(key=key)


@pytest.mark.parametrize("way", ["ingest", "emit"])
def test_a_nexus_takes_turns_side_by_side(way: str) -> None:
    """K1, K2: by whichever way events come."""

    async def main() -> dict[str, float]:
        loop, begun = asyncio.get_running_loop(), dict[str, float]()
        async with AsyncEventNexus(concurrency=2, key=lambda event: event.payload[0]) as nexus:

            @nexus.on(1)
            async def work(event: Event[str]) -> None:
                begun[event.payload] = loop.time()
                await asyncio.sleep(1)

            nexus.start()
            async with asyncio.TaskGroup() as group:
                for payload in ("a1", "a2", "b1", "c1"):
                    group.create_task(
                        nexus.emit(1, payload) if way == "emit" else nexus.ingest(Event(1, 1, 0, payload))
                    )
        return begun

    assert run(main()) == {"a1": 0, "b1": 0, "a2": 1, "c1": 1}


def refuse_key(event: Event) -> int:
    """A key that fails."""
    raise KeyError(event.payload)


def unhashable_key(event: Event) -> Any:
    """A key that is none."""
    return [event.payload]


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("way", ["ingest", "emit"])
@pytest.mark.parametrize(
    "wrong, error, message", [(refuse_key, KeyError, "'pot'"), (unhashable_key, TypeError, "unhashable type: 'list'")]
)
def test_a_key_that_fails_is_told_to_whoever_ingested(
    busy: bool, way: str, wrong: Callable[[Event], Any], error: type[Exception], message: str
) -> None:
    """K2: before anything has run, whether there is room or not; the line goes on."""

    async def main() -> list[str]:
        handled = list[str]()
        async with AsyncEventNexus(key=lambda event: wrong(event) if event.payload == "pot" else 1) as nexus:

            @nexus.filter
            async def note(event: Event) -> bool:
                handled.append(event.payload)
                await asyncio.sleep(1)
                return True

            nexus.start()
            task = asyncio.create_task(nexus.emit(1, "busy" if busy else "before"))
            await asyncio.sleep(0.5 if busy else 2)
            with pytest.raises(error, match=message):
                await (nexus.emit(1, "pot") if way == "emit" else nexus.ingest(Event(1, 1, 0, "pot")))
            await task
            await nexus.emit(1, "after")
        return handled

    assert run(main()) == ["busy" if busy else "before", "after"]


def test_secondary_and_nested_events_belong_to_their_turn() -> None:
    """K1, K2: whatever their key, they are handled in it, one after another, and `key` is not called for them."""

    async def main() -> tuple[list[tuple[float, str]], list[str]]:
        loop, begun, keys = asyncio.get_running_loop(), list[tuple[float, str]](), list[str]()

        def key(event: Event) -> str:
            keys.append(event.payload)
            return str(event.payload)[0]

        async with AsyncEventNexus(concurrency=2, key=key) as nexus:

            @nexus.on(1)
            async def work(event: Event[str], queue: EventQueue) -> None:
                begun.append((loop.time(), event.payload))
                if event.payload == "a":
                    await queue.put(Event(2, 1, 0, "b, put"))
                    await queue.put(Event(3, 1, 0, "a, put"))
                    await nexus.emit(1, "b, nested")
                await asyncio.sleep(1)

            nexus.start()
            await asyncio.gather(nexus.emit(1, "a"), nexus.emit(1, "b"), nexus.emit(1, "a again"))
        return begun, keys

    begun, keys = run(main())
    assert begun == [(0, "a"), (0, "b, nested"), (0, "b"), (2, "b, put"), (3, "a, put"), (4, "a again")]
    assert keys == ["a", "b", "a again"]


def test_an_event_that_does_not_validate_has_no_key() -> None:
    """K2, F4: `key` is not shown a payload that it does not expect; the error handler runs while the key is busy."""

    async def main() -> list[float]:
        loop, told = asyncio.get_running_loop(), list[float]()
        async with AsyncEventNexus(concurrency=2, key=lambda event: event.payload + 0) as nexus:

            @nexus.on(1)
            async def work(event: Event[int]) -> None:
                await asyncio.sleep(2)

            nexus.start()
            with pytest.raises(InvalidPayload):
                await nexus.emit(1, "no number")

            @nexus.on_error(InvalidPayload)
            def note(failed: FailedEvent) -> None:
                told.append(loop.time())

            await asyncio.gather(nexus.emit(1, 1), nexus.emit(1, 1), nexus.emit(1, "no number"))
        return told

    assert run(main()) == [0]


def test_a_cut_off_error_handler_is_named_by_its_event(caplog: pytest.LogCaptureFixture) -> None:
    """K3, F4, L3: also where what is handled is that the event did not validate."""

    async def main() -> None:
        async with AsyncEventNexus(concurrency=2) as nexus:
            nexus.declare(1, int)

            @nexus.on_error(InvalidPayload)
            async def stay(failed: FailedEvent) -> None:
                await asyncio.sleep(100)

            nexus.start()
            task = asyncio.create_task(nexus.emit(1, "no number"))
            await asyncio.sleep(1)
            nexus.stop(0)
            with pytest.raises(LoopStopped, match="before it had handled event 1 of type 1"):
                await task

    with caplog.at_level(logging.WARNING, "async_nexus"):
        run(main())
    assert [record.getMessage() for record in logged(caplog)] == [
        "the nexus was stopped before it had handled event 1 of type 1"
    ]


@pytest.mark.parametrize("grace, ended", [(None, 30.0), (15.0, 15.0)])
def test_stop_waits_for_all_turns_and_cuts_off_all(grace: float | None, ended: float) -> None:
    """K3, L3: graceful, those in line are taken as well; after the grace all are cancelled and told."""

    async def main() -> tuple[float, list[BaseException | None]]:
        loop = asyncio.get_running_loop()
        nexus = AsyncEventNexus(concurrency=2, key=lambda event: event.payload)
        nexus.add_handler(1, lambda event: asyncio.sleep(10))
        task = nexus.start()
        events = [asyncio.create_task(nexus.emit(1, key)) for key in (1, 1, 1, 2)]
        await asyncio.sleep(1)
        nexus.stop(None if grace is None else grace - 1)
        with pytest.raises(LoopStopped):
            await nexus.emit(1, 3)
        await task
        return loop.time(), await asyncio.gather(*events, return_exceptions=True)

    time, told = run(main())
    assert time == ended
    assert [type(each) for each in told] == (
        [type(None)] * 4 if grace is None else [type(None), LoopStopped, LoopStopped, type(None)]
    )


# The model


class Failure(Exception):
    """Raised by a handler."""


@dataclass
class Ingest:
    """An event: when it is ingested, its key, what its handler does, and after how long the outsider gives up."""

    at: int
    priority: int
    key: int | None
    takes: int
    fails: bool
    nests: int | None
    patience: int | None


@dataclass
class Trace:
    """What was seen, in its order: who arrived, began, ended, was given up or cancelled; what each was told."""

    seen: list[tuple[str, int]] = field(default_factory=list)
    told: dict[int, str] = field(default_factory=dict)


# Whole seconds, few of them: much happens at the same moment, in an order that the seed draws.
INGESTS = st.builds(
    Ingest,
    at=st.integers(0, 3),
    priority=st.integers(-1, 1),
    key=st.sampled_from([None, 0, 1]),
    takes=st.integers(0, 3),
    fails=st.booleans(),
    nests=st.none() | st.integers(0, 2),
    patience=st.none() | st.none() | st.integers(0, 6),
)
PROGRAMMES = st.lists(INGESTS, max_size=6) | st.lists(INGESTS, min_size=10, max_size=20)


async def play(programme: list[Ingest], concurrency: int, stop: tuple[int, int | None] | None = None) -> Trace:
    """Let a nexus run a programme; nothing may be left of it."""
    trace = Trace()

    def key(event: Event) -> int | None:
        trace.seen.append(("arrived", event.id))
        return programme[event.id].key

    nexus = AsyncEventNexus(concurrency=concurrency, key=key)

    @nexus.on(1)
    async def work(event: Event) -> None:
        ingest = programme[event.id]
        trace.seen.append(("began", event.id))
        try:
            if ingest.nests is not None:
                await nexus.ingest(Event(event.id, 2, 0, None))
            await asyncio.sleep(ingest.takes)
            if ingest.fails:
                raise Failure
        finally:
            trace.seen.append(("ended", event.id))

    @nexus.on(2)
    async def nested(event: Event) -> None:
        await asyncio.sleep(programme[event.id].nests or 0)

    async def come(number: int) -> None:
        ingest = programme[number]
        await asyncio.sleep(ingest.at)
        try:
            await nexus.ingest(Event(number, 1, ingest.priority, None))
        except Failure:
            trace.told[number] = "failed"
        except LoopStopped:
            trace.told[number] = "stopped"
        except asyncio.CancelledError:
            trace.seen.append(("cancelled", number))
            trace.told[number] = "cancelled"
        else:
            trace.told[number] = "handled"

    async def give_up(number: int, patience: int) -> None:
        await asyncio.sleep(programme[number].at + patience)
        if number not in trace.told:
            trace.seen.append(("given up", number))
            outsiders[number].cancel()

    loop_task = nexus.start()
    outsiders = [asyncio.create_task(come(number)) for number in range(len(programme))]
    others = [
        asyncio.create_task(give_up(number, ingest.patience))
        for number, ingest in enumerate(programme)
        if ingest.patience is not None
    ]
    if stop is not None:
        asyncio.get_running_loop().call_later(stop[0], nexus.stop, stop[1])
    if outsiders:
        await asyncio.wait(outsiders + others)
    # Given up before it came, it was told nothing.
    assert all(task.cancelled() or number in trace.told for number, task in enumerate(outsiders))
    nexus.stop()
    await loop_task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return trace


class Model:
    """What K1 to K3 say of a trace: whoever may begin is computed with plain lists, step by step."""

    def __init__(self, programme: list[Ingest], concurrency: int) -> None:
        self.programme = programme
        self.room = concurrency
        self.waiting: list[int] = []
        self.called: list[int] = []
        self.open: list[int] = []
        self.arrived: list[int] = []

    def busy(self, number: int) -> bool:
        """Whether the key of an event is taken."""
        key = self.programme[number].key
        return key is not None and any(self.programme[each].key == key for each in self.called + self.open)

    def call(self) -> None:
        """Call the lowest priority, then who came first, of those whose key is free, while there is room."""
        while len(self.called) + len(self.open) < self.room:
            free = [number for number in self.waiting if not self.busy(number)]
            if not free:
                return
            chosen = min(free, key=lambda number: self.programme[number].priority)
            self.waiting.remove(chosen)
            self.called.append(chosen)

    def check(self, seen: list[tuple[str, int]]) -> None:
        """Follow a trace: each step has to be possible, and in the end nobody is left."""
        for place, (step, number) in enumerate(seen):
            match step:
                case "arrived":
                    assert number not in self.arrived, "each arrives once"
                    self.arrived.append(number)
                    self.waiting.append(number)
                    self.call()
                    if number in self.called:
                        assert seen[place + 1] == ("began", number), "who need not wait begins at once"
                case "began":
                    assert number in self.called, "only who was chosen begins"
                    self.called.remove(number)
                    self.open.append(number)
                case "ended":
                    self.open.remove(number)
                    self.call()
                case "given up":
                    if number in self.waiting:
                        self.waiting.remove(number)
                case _:
                    if number in self.called:
                        self.called.remove(number)
                        self.call()
        assert self.waiting + self.called + self.open == []


SETTINGS = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(PROGRAMMES, st.integers(1, 4), st.integers(0, 2**16))
def test_a_nexus_does_what_the_model_says(programme: list[Ingest], concurrency: int, seed: int) -> None:
    """K1 to K3: who begins, under whichever interleaving, with cancellations and failures, is who should."""
    trace = run(play(programme, concurrency), seed=seed)
    Model(programme, concurrency).check(trace.seen)
    began = [number for step, number in trace.seen if step == "began"]
    assert len(began) == len(set(began))
    for number, told in trace.told.items():
        assert told == "cancelled" or (told == "failed") == programme[number].fails
        assert told == "cancelled" or number in began
    event(f"{sum(step == 'given up' for step, _ in trace.seen)} given up")
    target(float(len(began)))


@SETTINGS
@given(
    PROGRAMMES,
    st.integers(1, 4),
    st.tuples(st.integers(0, 8), st.none() | st.integers(0, 3)),
    st.integers(0, 2**16),
)
def test_stopping_leaves_nobody_behind(
    programme: list[Ingest], concurrency: int, stop: tuple[int, int | None], seed: int
) -> None:
    """K3, L3: whenever it stops, each event is handled once or whoever ingested hears why not; all turns end."""
    trace = run(play(programme, concurrency, stop), seed=seed)
    began = [number for step, number in trace.seen if step == "began"]
    ended = [number for step, number in trace.seen if step == "ended"]
    assert len(began) == len(set(began))
    assert sorted(began) == sorted(ended)
    for number, told in trace.told.items():
        assert told not in ("handled", "failed") or number in began
        if stop[1] is None:
            assert told != "stopped" or number not in began, "gracefully, no turn is cut off"
    running = set[int]()
    for step, number in trace.seen:
        if step == "began":
            keys = [programme[each].key for each in running]
            assert len(running) < concurrency
            assert programme[number].key is None or programme[number].key not in keys
            running.add(number)
        elif step == "ended":
            running.remove(number)
