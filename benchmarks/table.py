"""What has been measured, as a reader sees it."""

from collections.abc import Iterator

from benchmarks.contenders import Unit
from benchmarks.goals import Outcome, outcomes
from benchmarks.report import Report
from benchmarks.rounds import Result


def lines(report: Report) -> Iterator[str]:
    """Write a table: a line for each contender, under its work, then the goals that can be told."""
    yield f"{report.python}, pydantic {report.pydantic}, {report.machine}"
    yield f"medians of {report.rounds} rounds of up to {report.events} events; ratios to the floor of the same round"
    for work in report.works:
        yield ""
        yield f"{work.work + ': ' + work.title:38} {work.unit + '/event':>12} {'ratio':>8}"
        for result in work.results:
            yield f"  {result.contender:36} {_figures(result, work.unit)}"
    told = [outcome for outcome in outcomes(report) if outcome.found is not None]
    if told:
        yield ""
        yield f"{'goals':58} {'found':>10} {'at most':>8}"
        for outcome in told:
            yield f"  {outcome.goal.text:56} {_goal(outcome)}"


def _figures(result: Result, unit: Unit) -> str:
    if result.per_event is None:
        return f"{'-':>12} {'-':>8}  {result.failure}"
    ratio = "-" if result.ratio is None else f"{result.ratio:.2f}"
    return f"{result.per_event:12,.0f} {ratio:>8}"


def _goal(outcome: Outcome) -> str:
    said = f"{outcome.found:10.2f} {outcome.goal.limit:8.2f}"
    if outcome.goal.amount:
        said += f" {outcome.goal.amount}"
    return said if outcome.is_reached else f"{said}  missed"


def markdown(report: Report) -> Iterator[str]:
    """Write the same as Markdown, for the documentation."""
    yield (
        f"{report.python}, pydantic {report.pydantic}, {report.machine}: medians of {report.rounds} rounds, "
        "ratios to the floor of the same round."
    )
    for work in report.works:
        yield ""
        yield f"| {work.work}: {work.title} | {work.unit} per event | ratio |"
        yield "|---|---:|---:|"
        for result in work.results:
            if result.per_event is None:
                yield f"| {result.contender} | {result.failure} | |"
            else:
                ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
                yield f"| {result.contender} | {result.per_event:,.0f} | {ratio} |"
    yield ""
    yield "| goal | found | at most | |"
    yield "|---|---:|---:|---|"
    for outcome in outcomes(report):
        if outcome.found is not None:
            unit = f" {outcome.goal.amount}" if outcome.goal.amount else ""
            verdict = "reached" if outcome.is_reached else "missed"
            yield f"| {outcome.goal.text} | {outcome.found:.2f}{unit} | {outcome.goal.limit:g}{unit} | {verdict} |"
