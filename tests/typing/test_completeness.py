"""Nothing of the public API is left for a checker to guess."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

import async_nexus

ROOT: Final = Path(async_nexus.__file__).resolve().parents[1]


def is_of_client(symbol: dict[str, Any]) -> bool:
    """Whether a symbol stands behind a transport, in terms of its engine's client, which pyright does not look into."""
    return str(symbol["name"]).startswith(("async_nexus.transports.nats.", "async_nexus.transports.rabbitmq."))


def is_vague(symbol: dict[str, Any]) -> bool:
    """Whether a symbol of the package has a type that is not known, or that checkers may infer differently."""
    return not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]


@pytest.mark.slow
def test_every_public_type_is_known(tmp_path: Path) -> None:
    """`pyright --verifytypes async_nexus --ignoreexternal` finds all of it complete."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--pythonpath", sys.executable),
            *("--verifytypes", "async_nexus", "--ignoreexternal", "--outputjson"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    report = json.loads(done.stdout)["typeCompleteness"]
    assert Path(report["packageRootDirectory"]).resolve() == ROOT / "async_nexus"
    exported = [each for each in report["symbols"] if each["isExported"]]
    assert len(exported) > 100
    vague = [each for each in exported if is_vague(each)]
    assert [each["name"] for each in vague if not is_of_client(each)] == []
    assert [each["name"] for each in vague if each["name"].endswith(("NatsTransport", "RabbitTransport"))] == []
