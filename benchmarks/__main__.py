"""The command line: `python -m benchmarks [--work W1 …] [--events N] [--rounds N] [--json]`."""

import argparse
import sys

from benchmarks import runner, table
from benchmarks.works import WORKS


def positive(text: str) -> int:
    """Read a positive number. Raises `ValueError`, which argparse turns into its message."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Nanoseconds per event, beside the floor."
    )
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS), help="which works (default: all)")
    parser.add_argument("--events", type=positive, default=20_000, help="events in a round (default: 20000)")
    parser.add_argument("--rounds", type=positive, default=15, help="rounds (default: 15)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    try:
        report = runner.run(arguments.work, arguments.events, arguments.rounds)
    except runner.WorkFailed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(report.model_dump_json(indent=2) if arguments.json else "\n".join(table.lines(report)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
