"""The chart of a work: a bar for each contender, on a logarithmic scale, as SVG."""

import math
from collections.abc import Iterator
from html import escape

from benchmarks.report import Report
from benchmarks.rounds import WorkResult

_LABELS = 210
_WIDTH = 420
_ROW = 22
_TOP = 52


def svg(report: Report, names: tuple[str, ...] = ("W1", "W2", "W4")) -> str:
    """Draw works below each other, fastest first in each. Those that were not measured are left out."""
    works = [work for work in report.works if work.work in names]
    body: list[str] = []
    top = 0
    for work in works:
        part = list(_bars(work, top))
        body += part
        top += _TOP + _ROW * len(_sorted(work)) + 18
    width = _LABELS + _WIDTH + 80
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" '
        'font-family="sans-serif" font-size="12" role="img">'
    )
    ground = f'<rect width="{width}" height="{top}" fill="#ffffff"/>'
    return "\n".join((head, f"<title>{escape(_title(report))}</title>", ground, *body, "</svg>", ""))


def _title(report: Report) -> str:
    return f"Cost of an event, as a ratio to the floor; {report.python}, pydantic {report.pydantic}"


def _sorted(work: WorkResult) -> list[tuple[str, float]]:
    found = [(result.contender, result.ratio) for result in work.results if result.ratio is not None]
    return sorted(found, key=lambda each: each[1])


def _bars(work: WorkResult, top: int) -> Iterator[str]:
    bars = _sorted(work)
    least = min(1.0, *(ratio for _, ratio in bars)) * 0.8 if bars else 1.0
    decades = max(math.log10(max((ratio for _, ratio in bars), default=1.0) / least), 0.1)
    own = {name for name, _ in bars if name.startswith(("emit", "ingest", "EventFanout", "multiple"))}
    yield f'<text x="8" y="{top + 20}" font-size="14" font-weight="bold">{escape(f"{work.work}: {work.title}")}</text>'
    yield f'<text x="8" y="{top + 38}" fill="#555555">times the floor of the same round, logarithmic</text>'
    for number, (name, ratio) in enumerate(bars):
        y = top + _TOP + number * _ROW
        length = max(1.0, _WIDTH * math.log10(ratio / least) / decades)
        colour = "#999999" if "floor" in name else "#2a7f62" if name in own else "#b5652b"
        yield f'<text x="{_LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect x="{_LABELS}" y="{y}" width="{length:.1f}" height="{_ROW - 6}" fill="{colour}"/>'
        yield f'<text x="{_LABELS + length + 6:.1f}" y="{y + 13}">{ratio:,.2f}</text>'
