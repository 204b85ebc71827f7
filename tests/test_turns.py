"""The line and its turns alone: pure asyncio, without events or a nexus."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any

import pytest

from async_nexus.errors import LoopStopped
from async_nexus.lines import Line
from async_nexus.testing import run
from async_nexus.turns import Turn


async def take(line: Line, label: str, work: Callable[[Turn], Awaitable[object]], priority: int = 0) -> None:
    """Take a turn as dispatch does: work in it, wait for what is nested in it, leave it."""
    turn = line.enter(label) or await line.wait(priority, label)
    try:
        await work(turn)
        await turn.settle()
    except BaseException as error:
        if turn.is_cut:
            turn.raise_cut_off(error)
        raise
    finally:
        turn.leave()


async def asleep(seconds: float, turn: Turn) -> None:
    """Work that takes its time."""
    await asyncio.sleep(seconds)


def outsider(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run work in a task that was born in no turn."""
    return asyncio.get_running_loop().create_task(work, context=Context())


def test_an_empty_line_is_entered_at_once() -> None:
    """T1: who finds nobody there need not wait, nor does the next one."""

    async def main() -> None:
        line = Line()
        for label in "ab":
            turn = line.enter(label)
            assert turn is not None
            assert turn.is_open
            turn.leave()
            assert not turn.is_open

    run(main())


@pytest.mark.parametrize("seed", range(5))
def test_turns_go_by_priority_then_arrival(seed: int) -> None:
    """T1: the lowest priority is next; among equals who came first."""

    async def main() -> list[str]:
        line, order = Line(), list[str]()
        priorities = {"a": 0, "b": 2, "c": 1, "d": 2, "e": -5}

        async def come(label: str) -> None:
            await asyncio.sleep(ord(label))
            await take(line, label, partial(note, label), priorities[label])

        async def note(label: str, turn: Turn) -> None:
            order.append(label)
            await asyncio.sleep(1000)

        await asyncio.gather(*map(come, priorities))
        return order

    assert run(main(), seed=seed) == ["a", "e", "c", "b", "d"]


def test_nobody_slips_in_between_two_turns() -> None:
    """T1: a line that has been handed over is not free, though who got it has not gone on yet."""

    async def main() -> None:
        line, order = Line(), list[str]()
        first = line.enter("first")
        assert first is not None

        async def second(turn: Turn) -> None:
            order.append("second")

        waiting = outsider(take(line, "second", second))
        await asyncio.sleep(1)
        first.leave()
        assert line.enter("third") is None
        await waiting
        assert order == ["second"]

    run(main())


def test_who_is_inside_enters_at_once() -> None:
    """T4: a turn in a turn does not wait, also in a task born in it, and is over before the outer one."""

    async def main() -> None:
        line, order = Line(), list[str]()

        async def inner(name: str, turn: Turn) -> None:
            order.append(name)

        async def outer(turn: Turn) -> None:
            await take(line, "inner", partial(inner, "same task"))
            await asyncio.create_task(take(line, "inner", partial(inner, "born in it")))
            order.append("outer")

        await take(line, "outer", outer)
        assert order == ["same task", "born in it", "outer"]

    run(main())


def test_a_turn_lasts_as_long_as_those_nested_in_it() -> None:
    """T4: the line moves on when the last nested turn, of whatever depth, is left."""

    async def main() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        over = dict[str, float]()

        async def deep(turn: Turn) -> None:
            await asyncio.sleep(1)
            deeper = asyncio.create_task(take(line, "deeper", partial(asleep, 2)))
            await asyncio.sleep(0)
            deeper.add_done_callback(lambda _: over.update(deeper=loop.time()))

        async def outer(turn: Turn) -> None:
            asyncio.create_task(take(line, "deep", deep)).add_done_callback(lambda _: over.update(deep=loop.time()))
            await asyncio.sleep(0)

        async def note(turn: Turn) -> None:
            over["next"] = loop.time()

        await asyncio.gather(take(line, "outer", outer), take(line, "next", note))
        assert over == {"deeper": 3, "deep": 3, "next": 3}

    run(main())


def test_turns_nested_side_by_side_are_all_waited_for() -> None:
    """T4: a turn ends with the last of them, in whatever order they end."""

    async def main() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        tasks = list[asyncio.Task[None]]()

        async def outer(turn: Turn) -> None:
            tasks.extend(asyncio.create_task(take(line, "nested", partial(asleep, s))) for s in (1, 3, 2))
            await asyncio.sleep(0)

        await take(line, "outer", outer)
        assert loop.time() == 3
        assert all(task.done() for task in tasks)

    run(main())


def test_a_turn_cut_short_keeps_the_line_for_its_nested_turns() -> None:
    """T3, T4: who was cancelled in its turn is gone at once, but the next one waits for the nested turn."""

    async def main() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        nested = list[asyncio.Task[None]]()

        async def outer(turn: Turn) -> None:
            nested.append(asyncio.create_task(take(line, "nested", partial(asleep, 5))))
            await asyncio.sleep(100)

        async def note(turn: Turn) -> None:
            assert nested[0].done() or loop.time() == 5

        task = asyncio.create_task(take(line, "outer", outer))
        following = asyncio.create_task(take(line, "next", note))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.time() == 1
        await following
        assert loop.time() == 5

    run(main())


def test_a_task_that_outlives_its_turn_waits_like_anyone() -> None:
    """T4: it is not nested any more, in none of the turns that it was born in."""

    async def main() -> None:
        line = Line()
        tasks = list[asyncio.Task[None]]()

        async def late() -> None:
            await asyncio.sleep(1)
            assert line.enter("late") is None

        async def inner(turn: Turn) -> None:
            tasks.append(asyncio.create_task(late()))

        async def outer(turn: Turn) -> None:
            await take(line, "inner", inner)

        await take(line, "outer", outer)
        await take(line, "other", partial(asleep, 5))
        await tasks[0]

    run(main())


def test_a_task_born_in_a_nested_turn_is_nested_in_the_outer_one() -> None:
    """T4: when the inner turn is over, the open one around it counts."""

    async def main() -> None:
        line = Line()
        born = list[asyncio.Task[None]]()

        async def inner(turn: Turn) -> None:
            born.append(asyncio.create_task(late()))

        async def late() -> None:
            await asyncio.sleep(1)
            await take(line, "late", partial(asleep, 1))

        async def outer(turn: Turn) -> None:
            await take(line, "inner", inner)
            assert not born[0].done()
            await born[0]

        await take(line, "outer", outer)

    run(main())


def test_lines_do_not_mix() -> None:
    """T4: inside of a turn of one line, another line has to be waited for; the way back is nested."""

    async def main() -> None:
        one, other, order = Line(), Line(), list[str]()

        async def back(turn: Turn) -> None:
            order.append("back")

        async def across(turn: Turn) -> None:
            order.append("across")
            await take(one, "back", back)

        async def begin(turn: Turn) -> None:
            assert other.enter("across") is None
            await take(other, "across", across)

        busy = asyncio.create_task(take(other, "busy", partial(asleep, 1)))
        await asyncio.sleep(0)
        await take(one, "begin", begin)
        assert order == ["across", "back"]
        await busy

    run(main())


def test_who_is_cancelled_while_waiting_leaves_the_line() -> None:
    """T5: the place is given up, and the line goes on to the one behind."""

    async def main() -> None:
        line, order = Line(), list[str]()

        async def note(label: str, turn: Turn) -> None:
            order.append(label)
            await asyncio.sleep(1)

        tasks = {label: asyncio.create_task(take(line, label, partial(note, label))) for label in "abcdefg"}
        await asyncio.sleep(0.5)
        for label in "bdef":
            tasks[label].cancel()
        await asyncio.wait(tasks.values())
        assert order == ["a", "c", "g"]
        assert line.enter("free") is not None

    run(main())


def test_who_has_left_the_line_is_counted_no_more() -> None:
    """W4, T5: whoever else left in the same moment, and whatever is then kept of them."""

    async def main() -> None:
        line = Line()
        tasks = [asyncio.create_task(take(line, str(number), partial(asleep, 1))) for number in range(8)]
        await asyncio.sleep(0)
        for number in (1, 2, 3):
            tasks[number].cancel()
            await asyncio.sleep(0)
        for number in (4, 5):
            tasks[number].cancel()
        await asyncio.sleep(0)
        assert line.in_line == 2
        await asyncio.wait(tasks)
        assert line.in_line == 0

    run(main())


def test_a_place_that_was_cancelled_but_not_left_yet_is_passed_over() -> None:
    """T5: the line moves on in the same moment in which its next one was cancelled."""

    async def main() -> None:
        line = Line()
        first = line.enter("first")
        assert first is not None
        second = outsider(take(line, "second", partial(asleep, 1)))
        third = outsider(take(line, "third", partial(asleep, 1)))
        await asyncio.sleep(0)
        second.cancel()
        first.leave()
        await third
        assert second.cancelled()

    run(main())


def test_who_is_cancelled_when_called_hands_the_line_on() -> None:
    """T5: cancelled after the line was handed over and before the turn began, it does not keep the line."""

    async def main() -> None:
        line = Line()
        first = line.enter("first")
        assert first is not None
        second = outsider(take(line, "second", partial(asleep, 1)))
        third = outsider(take(line, "third", partial(asleep, 1)))
        await asyncio.sleep(0)
        first.leave()
        second.cancel()
        await third
        assert second.cancelled()

    run(main())


def test_quiet_waits_for_the_last_in_line() -> None:
    """L3: the line is quiet when nobody has a turn or waits for one."""

    async def main() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        await line.quiet()
        tasks = [asyncio.create_task(take(line, str(i), partial(asleep, 1))) for i in range(3)]
        await asyncio.sleep(0)
        await line.quiet()
        assert loop.time() == 3
        await asyncio.wait(tasks)

    run(main())


def test_quiet_takes_note_of_who_came_meanwhile() -> None:
    """L3: who enters in the moment in which the line became free is waited for too."""

    async def main() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        first = line.enter("first")
        assert first is not None
        quiet = asyncio.create_task(line.quiet())
        await asyncio.sleep(1)
        first.leave()
        second = line.enter("second")
        assert second is not None
        second.leave()
        third = line.enter("third")
        assert third is not None
        await asyncio.sleep(1)
        assert not quiet.done()
        third.leave()
        await quiet
        assert loop.time() == 2

    run(main())


def test_a_cut_ends_who_is_in_turn_and_who_waits() -> None:
    """L3: both raise `LoopStopped`; the labels are returned in the order in which they would have gone."""

    async def main() -> None:
        line = Line(lambda label: f"<{label}>")

        async def outer(turn: Turn) -> None:
            await asyncio.create_task(take(line, "nested", partial(asleep, 100)))

        tasks = [asyncio.create_task(take(line, "outer", outer))]
        tasks += [asyncio.create_task(take(line, f"priority {p}", partial(asleep, 1), priority=p)) for p in (3, 1, 2)]
        await asyncio.sleep(1)
        tasks[3].cancel()
        assert line.cut_off() == ["<outer>", "<nested>", "<priority 1>", "<priority 3>"]
        await asyncio.wait(tasks)
        assert [type(task.exception()) for task in tasks[:3]] == [LoopStopped] * 3
        assert str(tasks[1].exception()) == "the nexus stopped before it had handled <priority 3>"
        assert str(tasks[0].exception()) == "the nexus stopped before it had handled <outer>"
        assert tasks[3].cancelled()
        await line.quiet()

    run(main())


def test_a_cut_names_and_ends_who_has_been_called() -> None:
    """L3: the line was handed over, but the turn has not begun: it never does."""

    async def main() -> None:
        line = Line()
        first = line.enter("first")
        assert first is not None
        second = outsider(take(line, "second", partial(asleep, 1)))
        await asyncio.sleep(0)
        first.leave()
        assert line.cut_off() == ["second"]
        with pytest.raises(LoopStopped, match="before it had handled second"):
            await second
        await line.quiet()

    run(main())


def test_cutting_an_empty_line_ends_nobody() -> None:
    """L3: there is nothing to name."""

    async def main() -> None:
        assert Line().cut_off() == []

    run(main())


def test_a_cut_waiter_that_is_cancelled_too_is_cancelled() -> None:
    """L3, T5: the task's own cancellation is not swallowed by the cut."""

    async def main() -> None:
        line = Line()
        first = outsider(take(line, "first", partial(asleep, 1)))
        second = outsider(take(line, "second", partial(asleep, 1)))
        await asyncio.sleep(0)
        line.cut_off()
        second.cancel()
        await asyncio.wait([first, second])
        assert isinstance(first.exception(), LoopStopped)
        assert second.cancelled()

    run(main())


def test_nothing_enters_a_turn_that_was_cut() -> None:
    """L3: a handler that goes on after its cancellation cannot begin nested turns."""

    async def main() -> None:
        line = Line()

        async def stubborn(turn: Turn) -> None:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                with pytest.raises(LoopStopped, match="does not handle nested"):
                    line.enter("nested")
                raise

        task = asyncio.create_task(take(line, "stubborn", stubborn))
        await asyncio.sleep(1)
        line.cut_off()
        with pytest.raises(LoopStopped):
            await task

    run(main())


def test_a_cut_reaches_through_turns_nested_in_one_task() -> None:
    """L3: the inner turn lets the cancellation through, so that the outer handler ends as well."""

    async def main() -> None:
        line, seen = Line(), list[type[BaseException]]()

        async def outer(turn: Turn) -> None:
            try:
                await take(line, "inner", partial(asleep, 100))
            except BaseException as error:
                seen.append(type(error))
                raise

        task = asyncio.create_task(take(line, "outer", outer))
        await asyncio.sleep(1)
        line.cut_off()
        with pytest.raises(LoopStopped, match="outer"):
            await task
        assert seen == [asyncio.CancelledError]
        assert task.cancelling() == 0

    run(main())


def test_a_nested_turn_that_turns_the_cancellation_into_an_error_is_cut_too() -> None:
    """L3: the outer turn hears `LoopStopped` from the inner one, and raises its own."""

    async def main() -> None:
        line, seen = Line(), list[BaseException]()

        async def inner(turn: Turn) -> None:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                raise ValueError from None

        async def outer(turn: Turn) -> None:
            try:
                await take(line, "inner", inner)
            except BaseException as error:
                seen.append(error)
                raise

        task = asyncio.create_task(take(line, "outer", outer))
        await asyncio.sleep(1)
        line.cut_off()
        with pytest.raises(LoopStopped, match="outer"):
            await task
        assert isinstance(seen[0], LoopStopped)
        assert isinstance(seen[0].__cause__, ValueError)

    run(main())


def test_who_was_cancelled_by_others_as_well_stays_cancelled() -> None:
    """L3: a cut is not taken for the cancellation that somebody else asked for."""

    async def main() -> None:
        line = Line()
        task = asyncio.create_task(take(line, "both", partial(asleep, 100)))
        await asyncio.sleep(1)
        task.cancel()
        line.cut_off()
        await asyncio.wait([task])
        assert task.cancelled()

    run(main())


def test_a_cut_spares_the_task_that_has_left_its_turn() -> None:
    """L3: a turn that lasts only for what is nested in it has no task to cancel any more."""

    async def main() -> None:
        line = Line()

        async def outer(turn: Turn) -> None:
            asyncio.create_task(take(line, "nested", partial(asleep, 50))).add_done_callback(
                lambda task: task.exception()
            )
            await asyncio.sleep(100)

        async def give_up() -> str:
            try:
                async with asyncio.timeout(1):
                    await take(line, "outer", outer)
            except TimeoutError:
                await asyncio.sleep(10)
            return "went on"

        task = asyncio.create_task(give_up())
        await asyncio.sleep(5)
        assert line.cut_off() == ["outer", "nested"]
        assert await task == "went on"
        await line.quiet()

    run(main())


def test_home_is_inside_of_a_turn_or_of_a_source() -> None:
    """L3, T4: tasks of sources belong to the line without being nested; who outlives a turn does not."""

    async def main() -> None:
        line, other = Line(), Line()
        answers = dict[str, bool]()

        async def ask(name: str, seconds: float = 0) -> None:
            await asyncio.sleep(seconds)
            answers[name] = line.is_at_home()

        def source(work: Awaitable[None], of: Line) -> asyncio.Task[None]:
            return asyncio.get_running_loop().create_task(_awaited(work), context=of.context())

        async def in_turn(turn: Turn) -> None:
            await ask("in a turn")
            tasks.append(asyncio.create_task(ask("outlived a turn of a source", 5)))
            tasks.append(source(ask("source made in a turn", 5), line))
            await asyncio.create_task(ask("task born in a turn"))

        tasks = [source(ask("source"), line), source(ask("source of another"), other)]
        tasks.append(source(take(line, "turn", in_turn), line))
        await ask("outsider")
        await asyncio.wait(tasks)
        await asyncio.wait(tasks)
        assert answers == {
            "outsider": False,
            "source": True,
            "source of another": False,
            "in a turn": True,
            "task born in a turn": True,
            "source made in a turn": True,
            "outlived a turn of a source": False,
        }

    run(main())


async def _awaited(work: Awaitable[None]) -> None:
    await work


def test_who_outlived_a_turn_of_a_source_is_not_at_home_in_its_next_turn_of_another_line() -> None:
    """L3, T4: a new turn does not make a source of the task that takes it."""

    async def main() -> None:
        line, other = Line(), Line()
        answers = list[bool]()
        late = list[asyncio.Task[None]]()

        async def ask(turn: Turn) -> None:
            answers.append(line.is_at_home())

        async def later() -> None:
            await asyncio.sleep(1)
            await take(other, "other", ask)

        async def in_turn(turn: Turn) -> None:
            late.append(asyncio.create_task(later()))

        await asyncio.get_running_loop().create_task(take(line, "turn", in_turn), context=line.context())
        await late[0]
        assert answers == [False]

    run(main())


def test_whoever_was_born_in_a_turn_is_nested() -> None:
    """S1: producers hold back only what does not come out of a turn."""

    async def main() -> None:
        line, answers = Line(), list[bool]()

        async def ask(turn: Turn) -> None:
            answers.append(Line.is_nested())

        assert not Line().is_nested()
        await take(line, "turn", ask)
        assert answers == [True]

    run(main())


def test_chains_of_tasks_that_outlive_their_turns_hold_no_past() -> None:
    """T4: however long each turn leaves a task behind that takes the next one, the turns before are forgotten."""

    async def main() -> None:
        line = Line()
        tasks = list[asyncio.Task[None]]()

        async def go_on(left: int) -> None:
            await asyncio.sleep(1)
            await take(line, "turn", partial(leave_a_task, left))

        async def leave_a_task(left: int, turn: Turn) -> None:
            tasks[:] = [asyncio.create_task(go_on(left - 1))] if left else []

        await take(line, "turn", partial(leave_a_task, 50))
        await asyncio.sleep(40.5)
        gc.collect()
        assert sum(type(each) is Turn and each.line is line for each in gc.get_objects()) <= 2
        await asyncio.sleep(20)
        assert not tasks

    run(main())


DEEP = 5_000
"""Deeper than calls can be nested."""


def test_turns_may_be_nested_deeper_than_calls() -> None:
    """T4: they are counted, and left when the innermost is, which may be the last."""

    async def main() -> None:
        line, turns, leaving, deep = Line(), list[Turn](), asyncio.Event(), asyncio.Event()

        async def go_in(depth: int) -> None:
            turn = line.enter(depth)
            assert turn is not None
            turns.append(turn)
            deeper = None if depth == DEEP else asyncio.create_task(go_in(depth + 1))
            if deeper is None:
                deep.set()
            await leaving.wait()
            turn.leave()
            assert line.holder is turns[0] or depth == DEEP
            if deeper is not None:
                tasks.append(deeper)

        tasks = [asyncio.create_task(go_in(0))]
        await deep.wait()
        assert sum(1 for _ in turns[0].everyone()) == DEEP + 1
        leaving.set()
        for task in tasks:
            await task
        assert line.holder is None

    run(main())
