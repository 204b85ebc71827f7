"""Turns against a small model: whatever happens, each event is handled once and in the order of T1 to T5.

A programme of ingests is drawn. A nexus runs it on virtual time; the model computes beside it, without any
concurrency, what has to come out.
"""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, event, given, settings, target
from hypothesis import strategies as st

from async_nexus import AsyncEventNexus, Event, EventQueue
from async_nexus.testing import run


class Failure(Exception):
    """Raised by a handler; carries the number of its event."""


@dataclass
class Node:
    """An event and what its handler does: put, ingest nested ones, take time, and perhaps fail."""

    priority: int
    takes: int
    fails: bool
    puts: list["Node"]
    nested: list["Node"]
    in_task: list["Node"]
    number: int = field(default=-1)

    def everyone(self) -> Iterator["Node"]:
        """List this event and all that can follow from it."""
        yield self
        for child in itertools.chain(self.puts, self.nested, self.in_task):
            yield from child.everyone()


@dataclass
class Ingest:
    """When an outsider ingests an event, and after how long it loses patience."""

    node: Node
    at: int
    patience: int | None


PRIORITIES = st.integers(-2, 2)


def nodes(children: st.SearchStrategy[list[Node]]) -> st.SearchStrategy[Node]:
    """Draw events with such children."""
    return st.builds(Node, PRIORITIES, st.integers(0, 3), st.booleans(), children, children, children)


NODES = nodes(st.builds(list)) | st.recursive(
    nodes(st.builds(list)), lambda inner: nodes(st.lists(inner, max_size=2)), max_leaves=8
)
PROGRAMMES = st.lists(st.builds(Ingest, NODES, st.integers(0, 8), st.none() | st.integers(0, 12)), max_size=6)


def prepare(programme: list[Ingest]) -> list[Ingest]:
    """Number all events, and let outsiders come one after another."""
    for number, node in enumerate(itertools.chain.from_iterable(ingest.node.everyone() for ingest in programme)):
        node.number = number
    return sorted(programme, key=lambda ingest: ingest.at)


@dataclass
class Outcome:
    """What came out: handlers begun and ended, and what each ingester was told."""

    begun: list[tuple[float, int]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    told: dict[int, set[int] | str] = field(default_factory=dict)


def arrival(position: int, ingest: Ingest) -> float:
    """When an outsider comes: at a time of its own."""
    return ingest.at + (position + 1) / 64


def loses_patience(position: int, ingest: Ingest) -> float:
    """When an outsider cancels its ingest: at a time at which no handler ends, either."""
    return float("inf") if ingest.patience is None else ingest.at + ingest.patience + 0.5 + (position + 1) / 64


class Model:
    """What T1 to T5 say of a programme, computed with a clock and sorted lists."""

    def __init__(self, programme: list[Ingest]) -> None:
        self.outcome = Outcome()
        self._programme = programme
        self._deadline = float("inf")
        self._now = 0.0

    def run(self) -> Outcome:
        """Give each outsider its turn: the lowest priority of those who wait, then who came first."""
        left = list(enumerate(self._programme))
        while left:
            self._now = max(self._now, min(arrival(*each) for each in left))
            waiting = [each for each in left if arrival(*each) <= self._now]
            for position, ingest in waiting:
                if loses_patience(position, ingest) <= self._now:
                    self.outcome.told[ingest.node.number] = "cancelled"
            waiting = [each for each in waiting if each[1].node.number not in self.outcome.told]
            if waiting:
                chosen = min(waiting, key=lambda each: (each[1].node.priority, arrival(*each)))
                self._take_turn(*chosen)
            left = [each for each in left if each[1].node.number not in self.outcome.told]
        return self.outcome

    def _take_turn(self, position: int, ingest: Ingest) -> None:
        self._deadline = loses_patience(position, ingest)
        try:
            self.outcome.told[ingest.node.number] = self._handle(ingest.node)
        except TimeoutError:
            self.outcome.told[ingest.node.number] = "cancelled"

    def _handle(self, first: Node) -> set[int]:
        """Handle an event and its secondary ones; return the numbers of the handlers that failed."""
        failed = set[int]()
        queue = [(0, 0, first)]
        arrivals = itertools.count(1)
        while queue:
            queue.sort(key=lambda entry: entry[:2])
            node = queue.pop(0)[2]
            self.outcome.begun.append((self._now, node.number))
            for child in (*node.nested, *node.in_task):
                self.outcome.told[child.number] = self._handle(child)
            self._spend(node.takes)
            if node.fails:
                failed.add(node.number)
            else:
                queue += [(child.priority, next(arrivals), child) for child in node.puts]
            self.outcome.ended.append(node.number)
        return failed

    def _spend(self, seconds: float) -> None:
        if self._now + seconds > self._deadline:
            self._now = self._deadline
            raise TimeoutError
        self._now += seconds


class Programme:
    """The same programme, run by a nexus."""

    def __init__(self, programme: list[Ingest]) -> None:
        self.outcome = Outcome()
        self._programme = programme
        self._nexus = AsyncEventNexus()
        self._nexus.add_handler(1, self._handle)

    async def run(self) -> Outcome:
        """Let the outsiders come, then stop: nothing may be left."""
        task = self._nexus.start()
        outsiders = [asyncio.create_task(self._come(*each)) for each in enumerate(self._programme)]
        if outsiders:
            await asyncio.wait(outsiders)
        for outsider in outsiders:
            outsider.result()
        assert asyncio.all_tasks() == {asyncio.current_task(), task}
        self._nexus.stop()
        await task
        return self.outcome

    async def _come(self, position: int, ingest: Ingest) -> None:
        await asyncio.sleep(arrival(position, ingest))
        deadline = loses_patience(position, ingest)
        try:
            async with asyncio.timeout_at(None if deadline == float("inf") else deadline):
                self.outcome.told[ingest.node.number] = await self._failed(ingest.node)
        except TimeoutError:
            self.outcome.told[ingest.node.number] = "cancelled"

    async def _failed(self, node: Node) -> set[int]:
        """Ingest an event; return which failures were raised here."""
        try:
            await self._nexus.ingest(Event(node.number, 1, node.priority, node))
        except Failure as failure:
            return {failure.args[0]}
        except ExceptionGroup as group:
            return {each.args[0] if isinstance(each, Failure) else -1 for each in group.exceptions}
        return set()

    async def _nest(self, child: Node) -> None:
        self.outcome.told[child.number] = await self._failed(child)

    async def _handle(self, event: Event[Node], queue: EventQueue) -> None:
        node = event.payload
        self.outcome.begun.append((asyncio.get_running_loop().time(), node.number))
        for child in node.puts:
            await queue.put(Event(child.number, 1, child.priority, child))
        for child in node.nested:
            await self._nest(child)
        for child in node.in_task:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._nest(child))
        await asyncio.sleep(node.takes)
        self.outcome.ended.append(node.number)
        if node.fails:
            raise Failure(node.number)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(programme=PROGRAMMES.map(prepare), seed=st.none() | st.integers(0, 2**16))
def test_a_nexus_does_what_the_model_says(programme: list[Ingest], seed: int | None) -> None:
    """T1 to T5: who is handled when, who is told of which failure, and nothing is left pending."""
    expected = Model(programme).run()
    outcome = run(Programme(programme).run(), seed=seed)
    assert outcome.begun == expected.begun
    assert outcome.ended == expected.ended
    assert outcome.told == expected.told
    numbers = [number for _, number in outcome.begun]
    assert len(numbers) == len(set(numbers)), "each event is handled at most once"
    event(f"{sum(told == 'cancelled' for told in outcome.told.values())} cancelled")
    target(float(len(numbers)))


@pytest.mark.parametrize("told", ["cancelled", {0}])
def test_the_model_itself(told: str | set[int]) -> None:
    """T5, T3: what it says of one event that is cancelled, or fails."""
    node = Node(0, 3, True, [], [], [])
    programme = prepare([Ingest(node, 0, 1 if told == "cancelled" else None)])
    assert Model(programme).run().told == {0: told}
