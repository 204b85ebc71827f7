"""`async-nexus lock`: writes down the contract that later versions are compared with."""

from pathlib import Path
from typing import Final

import click

from .output import write

LOCK_FILE: Final = "events.lock.json"


@click.command(short_help="Write down the contract, for later checks.")
@click.argument("target")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    default=LOCK_FILE,
    show_default=True,
    help="Write to FILE, which ends in .json.",
)
def lock(target: str, output: Path) -> None:
    """Write the lock file: both schemas of each event type, for `check --lock`."""
    from .loading import load_to_describe

    loaded = load_to_describe(target)
    from ..schema import lock as describe
    from ..schema import lock_text

    try:
        text = lock_text(describe(loaded.nexus))
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"{target}: {error}") from error
    write({".json": lambda: text}, output)
