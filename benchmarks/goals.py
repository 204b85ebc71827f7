"""What the library wants to reach, each goal a ratio of two figures of one run, and whether it does."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.report import Report
from benchmarks.rounds import Result

Figure = tuple[str, str]
"""A work, and a contender in it."""


@dataclass(frozen=True)
class Goal:
    """`text` in words: the product of `above` over the product of `below` is to be `limit` at most.

    With nothing `below` it is an `amount`, in units of `divisor`.
    """

    text: str
    above: tuple[Figure, ...]
    below: tuple[Figure, ...]
    limit: float
    divisor: float = 1.0
    amount: str = ""


@dataclass(frozen=True)
class Outcome:
    """A goal and what was found; `found` is `None` where something was not measured."""

    goal: Goal
    found: float | None

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached."""
        return None if self.found is None else self.found <= self.goal.limit


_W3_BIG: Final = "100000 types"
GOALS: Final = (
    Goal("W1: emit to FE", (("W1", "emit"),), (("W1", "floor"),), 1.25),
    Goal("W1: emit to the fastest peer, blinker and validation", (("W1", "emit"),), (("W1", "blinker"),), 1.0),
    Goal("W1: emit to async-nexus 1.0.2 and validation", (("W1", "emit"),), (("W1", "async-nexus"),), 1.0),
    Goal("W1: idle features to none", (("W1", "emit, idle features"),), (("W1", "emit"),), 1.03),
    Goal("W2: emit to async-nexus 1.0.2", (("W2", "emit"),), (("W2", "async-nexus"),), 1.0),
    Goal("W2: emit to blinker", (("W2", "emit"),), (("W2", "blinker"),), 1.0),
    Goal("W2: ingest to async-nexus 1.0.2", (("W2", "ingest"),), (("W2", "async-nexus"),), 1.0),
    Goal("W2: ingest to blinker", (("W2", "ingest"),), (("W2", "blinker"),), 1.0),
    Goal(
        "W3: growth to the floor's own growth, 100,000 types",
        (("W3", f"emit, {_W3_BIG}"), ("W3", "floor, 1 types")),
        (("W3", "emit, 1 types"), ("W3", f"floor, {_W3_BIG}")),
        1.2,
    ),
    Goal("W3: registration", (("W3-register", "add_handler"),), (), 25.0, 1000.0, "µs"),
    Goal("W3: memory of a registered type", (("W3-memory", "add_handler"),), (), 3.0, 1024.0, "KiB"),
    Goal("W3: memory of a type in use", (("W3-memory", "add_handler, used"),), (), 3.0, 1024.0, "KiB"),
    Goal("W4: EventFanout to W1 and nine awaits", (("W4", "EventFanout"),), (("W4", "emit, nine by hand"),), 1.5),
    Goal("W4: multiple=True to W1 and nine awaits", (("W4", "multiple=True"),), (("W4", "emit, nine by hand"),), 1.5),
    Goal("W5: ten filters to W1 and ten awaits", (("W5", "ten filters"),), (("W5", "emit, ten by hand"),), 1.1),
    Goal("W6: JSON to validate_json and await", (("W6", "ingest_json"),), (("W6", "floor, TypeAdapter"),), 1.25),
    Goal("W6: JSON to the bare validate_json of pydantic's core", (("W6", "ingest_json"),), (("W6", "floor"),), 1.25),
    Goal("W8: a thousand tasks to one task", (("W8", "emit"),), (("W8", "emit, one task"),), 3.0),
    Goal("W8: a thousand tasks with W1's handler to W1", (("W8", "emit, W1's handler"),), (("W1", "emit"),), 3.0),
    Goal("W8: a thousand tasks that wait in line to W1", (("W8", "emit, all in line"),), (("W1", "emit"),), 3.0),
    Goal("W8: a thousand tasks, handlers that yield, to W1", (("W8", "emit"),), (("W1", "emit"),), 3.0),
    Goal("W9: chain to ten calls with validation", (("W9", "chain"),), (("W9", "floor"),), 1.3),
    Goal("W9: chain of models to the same", (("W9", "chain, of models"),), (("W9", "floor"),), 1.3),
    *(
        Goal(f"{work}: {contender} to {raw}", ((work, contender),), ((work, floor),), 1 / 0.6)
        for work in ("W11", "W11-power")
        for contender in ("SqliteTransport", "TransportBoundary")
        for floor, raw in (
            ("by hand", "sqlite3 by hand, whose tasks wait too"),
            ("sqlite3", "sqlite3 that nobody waits for"),
        )
    ),
    *(
        Goal(
            f"W12: {work} by {transport} to {client}, {number} in flight",
            ((f"W12-{engine}-{work}", f"{transport}, {number} in flight"),),
            ((f"W12-{engine}-{work}", f"{client}, {number} in flight"),),
            1 / 0.7,
        )
        for engine, transport, client in (
            ("nats", "NatsTransport", "nats-py"),
            ("redis", "RedisTransport", "redis-py"),
            ("rabbitmq", "RabbitTransport", "aio-pika"),
        )
        for work in ("publish", "consume")
        for number in (1, 16, 100)
    ),
    Goal("W7: kept of a handled event", (("W7", "handled"),), (), 0.5, 1.0, "bytes"),
    Goal(
        "import async_nexus to import pydantic",
        (("import", "import async_nexus"),),
        (("import", "import pydantic"),),
        1.3,
    ),
    Goal(
        "import of AsyncEventNexus to import pydantic",
        (("import", "AsyncEventNexus, Event"),),
        (("import", "import pydantic"),),
        1.3,
    ),
    Goal(
        "import of AsyncEventNexus to asyncio and a model",
        (("import", "AsyncEventNexus, Event"),),
        (("import", "asyncio and a model"),),
        1.3,
    ),
)


def outcomes(report: Report) -> Iterator[Outcome]:
    """Hold a report to the goals."""
    for goal in GOALS:
        above = [report.find(*figure) for figure in goal.above]
        below = [report.find(*figure) for figure in goal.below]
        yield Outcome(goal, _quotient(goal, above, below))


def _quotient(goal: Goal, above: list[Result | None], below: list[Result | None]) -> float | None:
    """Divide figures. Two of one work are compared by their ratios to its floor, as the machine's moods are in both."""
    figures = [each for each in (*above, *below) if each is not None]
    if len(figures) < len(above) + len(below):
        return None
    is_of_one_work = len(figures) == 2 and goal.above[0][0] == goal.below[0][0]
    amounts = [each.ratio if is_of_one_work else each.per_event for each in figures]
    if not all(amounts[len(above) :]):
        return None
    return (
        math.prod(each or 0.0 for each in amounts[: len(above)])
        / math.prod(each or 0.0 for each in amounts[len(above) :])
        / goal.divisor
    )
