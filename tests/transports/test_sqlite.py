"""The transport over a SQLite file."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from async_nexus.testing.conformance import Arguments, Engine, Room, TransportConformance
from async_nexus.testing.conformance.engines import Need

SMALL_DISK: Final = "ASYNC_NEXUS_SMALL_DISK"
"""Names a directory on a small file system to the tests that run where there is one."""


class SmallDisk:
    """A disk that can be filled."""

    def __init__(self, directory: Path) -> None:
        self.arguments: Arguments = {"path": str(directory / "events.db")}
        self._ballast = directory / "ballast"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


@contextmanager
def small_disk() -> Generator[Room]:
    """Use the small file system that there is."""
    yield SmallDisk(Path(os.environ[SMALL_DISK]))


LACKING: Final[dict[Need, str]] = {"server": "it is a file", "refusal": "it connects to nothing"}
if SMALL_DISK not in os.environ:
    LACKING["room"] = "it is tried on a small disk, see below"


class TestConformance(TransportConformance, without=LACKING):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        return Engine(
            factory="async_nexus.transports.sqlite:SqliteTransport",
            arguments={"path": str(tmp_path / "events.db")},
            room=None if "room" in self.without else small_disk,
        )


@pytest.mark.skipif(sys.platform != "linux", reason="needs a mount namespace")
def test_a_full_disk_refuses_and_keeps_what_it_confirmed() -> None:
    """The claim of the suite, on a file system of 8 MB in a mount namespace of its own, for which no rights are needed."""
    disk = "mount -t tmpfs -o size=8m,mode=700 tmpfs /mnt"
    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    if subprocess.run((*unshare, disk), check=False, capture_output=True).returncode:
        pytest.skip("this system does not let its users mount")
    tests = f"exec '{sys.executable}' -m pytest -q -p no:cacheprovider -p no:cov '{__file__}' -k a_full_engine"
    done = subprocess.run(
        (*unshare, f"{disk} && {tests}"),
        check=False,
        env=os.environ | {SMALL_DISK: "/mnt", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
