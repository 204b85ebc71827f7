"""The command line `async-nexus`: run, describe, guard, check and draw a nexus.

Exit codes: 0, all is well; 1, there are findings, breaking or unclear changes or bad input lines, or the program
failed; 2, the command was used wrongly or its target cannot be loaded.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit; `arguments` are those of the process where none are given."""
    try:
        from .app import run_command
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("async-nexus: error: it needs click: pip install 'async-nexus[cli]'", file=sys.stderr)
        sys.exit(2)
    sys.exit(run_command(sys.argv[1:] if arguments is None else arguments))
