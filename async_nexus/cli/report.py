"""Writes what a check found: for people, for machines, for code hosts."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..schema.compatibility import Finding as Change
from ..schema.differences import Verdict
from ..schema.wiring import Finding


@dataclass(frozen=True, slots=True)
class Report:
    """All that there is to report: findings on the wiring, and changes against a lock file if there is one."""

    findings: tuple[Finding, ...]
    changes: tuple[Change, ...]
    lock_file: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.findings or self.changes)


def to_text(report: Report) -> str:
    """Write a line for each finding and change, and one that sums up."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        place = "" if finding.file is None else f"{relative(finding.file)}:{finding.line}: "
        yield f"{place}{finding.code}: {finding.message}"
    for change in report.changes:
        yield f"{report.lock_file}: {change.verdict}: {change.rule}: {change.message}"
    if not report:
        yield "no findings"
        return
    counts = [(len(report.findings), "finding", "findings")]
    for verdict in Verdict:
        number = sum(change.verdict is verdict for change in report.changes)
        counts.append((number, f"{verdict} change", f"{verdict} changes"))
    yield ", ".join(f"{number} {one if number == 1 else more}" for number, one, more in counts if number)


def to_json(report: Report) -> str:
    """Write one document, also where there is nothing to report."""
    document = {
        "findings": [
            {**asdict(finding), "file": None if finding.file is None else relative(finding.file)}
            for finding in report.findings
        ],
        "changes": [asdict(change) for change in report.changes],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_github(report: Report) -> str:
    """Write annotations as GitHub Actions reads them from a job's output.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    return "".join(f"{line}\n" for line in _annotations(report))


def _annotations(report: Report) -> Iterator[str]:
    for finding in report.findings:
        file = None if finding.file is None else relative(finding.file)
        yield _annotation("error", file, finding.line, finding.code, finding.message)
    for change in report.changes:
        level = "error" if change.verdict is Verdict.BREAKING else "warning"
        yield _annotation(level, Path(report.lock_file or "").as_posix(), 1, change.rule, change.message)


def _annotation(level: str, file: str | None, line: int | None, title: str, message: str) -> str:
    properties = {"file": file, "line": line, "title": title}
    written = ",".join(f"{name}={_escape(str(value), ':,')}" for name, value in properties.items() if value is not None)
    return f"::{level} {written}::{_escape(message)}"


def _escape(text: str, more: str = "") -> str:
    return "".join(f"%{ord(each):02X}" if each in "%\r\n" + more else each for each in text)


def relative(file: str) -> str:
    """Write a path as seen from the current directory, if it lies below."""
    here = os.path.join(os.getcwd(), "")
    return Path(file.removeprefix(here)).as_posix()
