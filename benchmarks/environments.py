"""The environments of the peers: one each, made when a peer is first asked for, with pinned versions."""

import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from benchmarks.peers import CONSTRAINTS, Peer

CHECKOUT: Final = Path(__file__).resolve().parents[1]


class NotInstalled(Exception):
    """A peer's environment could not be made; the text is what pip said last."""


def python_of(peer: Peer) -> str:
    """Return the interpreter that has a peer, installing it if need be. Raises `NotInstalled`."""
    place = CHECKOUT / f".venv-bench-{sys.version_info[0]}.{sys.version_info[1]}-{peer.module.replace('_', '-')}"
    python, made_of = place / "bin" / "python", place / "made-of.txt"
    wanted = f"{peer.requirement}\n{CONSTRAINTS.read_text(encoding='utf-8')}"
    if made_of.exists() and made_of.read_text(encoding="utf-8") == wanted:
        return str(python)
    venv.create(place, clear=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python))
    done = subprocess.run(
        (*pip, "install", "--quiet", "-c", str(CONSTRAINTS), peer.requirement, "pydantic"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise NotInstalled(said[-1])
    # Behind the environment's own packages, so that the checkout hides none of them.
    site = place / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "benchmarks.pth").write_text(f"{CHECKOUT}\n", encoding="utf-8")
    made_of.write_text(wanted, encoding="utf-8")
    return str(python)
