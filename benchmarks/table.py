"""What has been measured, as a reader sees it."""

from collections.abc import Iterator

from pydantic import BaseModel

from benchmarks.rounds import WorkResult


class Report(BaseModel):
    """The results of one run, and on what they were found."""

    python: str
    pydantic: str
    machine: str
    events: int
    rounds: int
    works: list[WorkResult]


def lines(report: Report) -> Iterator[str]:
    """Write a table: a line for each contender, under its work."""
    yield f"{report.python}, pydantic {report.pydantic}, {report.machine}"
    yield f"medians of {report.rounds} rounds of {report.events} events; ratios to the floor of the same round"
    for work in report.works:
        yield ""
        yield f"{work.work + ': ' + work.title:32} {'ns/event':>10} {'ratio':>7}"
        for result in work.results:
            yield f"  {result.contender:30} {result.ns_per_event:10.0f} {result.ratio:7.2f}"
