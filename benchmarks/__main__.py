"""The command line: `python -m benchmarks [--work W1 …] [--peers …] [--json | --markdown] [--chart FILE] [--guard]`."""

import argparse
import sys
from pathlib import Path

from benchmarks import chart, guard, runner, table
from benchmarks.peers import PEERS
from benchmarks.report import Report
from benchmarks.rounds import Limits
from benchmarks.works import WORKS


def positive(text: str) -> int:
    """Read a positive number. Raises `ValueError`, which argparse turns into its message."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    short = {name.rpartition(" ")[0]: name for name in PEERS}
    result = argparse.ArgumentParser(prog="python -m benchmarks", description="Cost per event, beside the floor.")
    usual = [work.name for work in WORKS.values() if work.needs is None]
    result.add_argument(
        "--work", nargs="+", choices=WORKS, default=usual, help="which works (default: all that need no server)"
    )
    result.add_argument(
        "--peers",
        nargs="*",
        choices=[*short, "all"],
        default=[],
        help="which peers (default: none); each is installed into an environment .venv-bench-* when first asked for",
    )
    result.add_argument("--events", type=positive, default=20_000, help="events in a round at most (default: 20000)")
    result.add_argument("--rounds", type=positive, default=15, help="rounds (default: 15)")
    result.add_argument(
        "--millis", type=positive, default=20, help="milliseconds that a round is to take at most (default: 20)"
    )
    shape = result.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON instead of a table")
    shape.add_argument("--markdown", action="store_true", help="print Markdown instead of a table")
    result.add_argument("--from-json", type=Path, metavar="FILE", help="show an earlier run, measure nothing")
    result.add_argument("--chart", type=Path, metavar="FILE", help="write the chart, as SVG, too")
    result.add_argument(
        "--guard", action="store_true", help=f"only check that W1 is at most {guard.LIMIT} times its floor"
    )
    return result


def main() -> int:
    """Measure and print."""
    arguments = parser().parse_args()
    try:
        return watch_over_w1() if arguments.guard else show(arguments)
    except (runner.WorkFailed, guard.NoRatio) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def show(arguments: argparse.Namespace) -> int:
    """Measure, or read what was measured, and show it in the shape that was asked for."""
    peers = [name for name in PEERS if {name.rpartition(" ")[0], "all"} & set(arguments.peers)]
    if arguments.from_json:
        report = Report.model_validate_json(arguments.from_json.read_text(encoding="utf-8"))
    else:
        report = runner.run(arguments.work, peers, Limits(arguments.events, arguments.rounds, arguments.millis))
    if arguments.chart:
        arguments.chart.write_text(chart.svg(report), encoding="utf-8")
    if arguments.json:
        print(report.model_dump_json(indent=2))
    else:
        print("\n".join((table.markdown if arguments.markdown else table.lines)(report)))
    for peer, reason in report.missing.items():
        print(f"benchmarks: {peer} is missing: {reason}", file=sys.stderr)
    return 0


def watch_over_w1() -> int:
    """Say how far W1 is from its floor; 1 if too far."""
    kept, ratio = guard.is_kept()
    print(f"benchmarks: emit takes {ratio:.2f} times its floor; {guard.LIMIT} at most")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
