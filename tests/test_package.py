"""What users install: the built wheel with its files, types and metadata."""

import os
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import async_nexus

CHECKOUT = Path(__file__).parents[1]

# `make test` installs the wheel and says so; a bare pytest in the checkout tests the files beside it.
pytestmark = pytest.mark.skipif(
    os.environ.get("ASYNC_NEXUS_INSTALLED") != "1", reason="tests the checkout, not an installed wheel"
)


@pytest.fixture
def dist() -> Distribution:
    """What pip knows of the installed package."""
    return distribution("async-nexus")


def test_the_installed_package_is_the_one_under_test() -> None:
    """The checkout does not hide the wheel."""
    assert "site-packages" in Path(async_nexus.__file__).parts


def test_the_wheel_holds_every_file_of_the_package(dist: Distribution) -> None:
    """No module or data file is left behind, and nothing but the package is installed."""
    wanted = {
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "async_nexus").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    installed = {file.as_posix() for file in dist.files or () if "__pycache__" not in file.parts}
    # The metadata and the script of the command line belong to it too.
    own = {file for file in installed if not file.startswith(("async_nexus-", "../"))}
    assert own == wanted


def test_type_checkers_may_read_the_package(dist: Distribution) -> None:
    """`py.typed` is installed beside the modules."""
    assert "async_nexus/py.typed" in {file.as_posix() for file in dist.files or ()}


def test_only_pydantic_and_typing_extensions_are_required(dist: Distribution) -> None:
    """Whatever else the package can use comes with an extra."""
    required = [Requirement(text) for text in dist.requires or ()]
    always = {req.name for req in required if req.marker is None or req.marker.evaluate({"extra": ""})}
    assert always == {"pydantic", "typing-extensions"}


def test_version_and_licence(dist: Distribution) -> None:
    """The metadata says what this is and on which terms."""
    assert dist.version == "2.0.0.dev0"
    assert dist.metadata["License-Expression"] == "MIT"
    assert dist.metadata["Requires-Python"] == ">=3.11"
