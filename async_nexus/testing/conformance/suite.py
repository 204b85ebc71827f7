"""The suite as a whole, without the claims that do not apply."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from .crashes import CrashClaims
from .delivery import DeliveryClaims
from .engines import Engine, Need
from .flow import FlowClaims
from .outages import OutageClaims
from .replay import ReplayClaims
from .settling import SettlingClaims
from .trial import Trial, needs_of


class TransportConformance(DeliveryClaims, ReplayClaims, SettlingClaims, FlowClaims, OutageClaims, CrashClaims):
    """Derive a test class from it, with a fixture `engine`: every claim is a test of it."""

    without: ClassVar[Mapping[Need, str]] = {}
    """What the engine lacks, and why."""
    patience: ClassVar[float] = 5.0
    """Seconds that anything may last which is due at once."""

    def __init_subclass__(cls, *, without: Mapping[Need, str] | None = None) -> None:
        """Leave out the claims that need what the engine lacks; `without` says why it does."""
        super().__init_subclass__()
        cls.without = {**cls.without, **(without or {})}
        for name in dir(cls):
            if needs_of(getattr(cls, name)) & cls.without.keys():
                setattr(cls, name, None)
        if not cls.without:
            cls.test_lacks = None  # type: ignore[assignment] # pytest passes it over

    @pytest.fixture
    def engine(self) -> Engine:
        """Say how the suite gets at the engine; to be overridden."""
        raise NotImplementedError("override the fixture `engine`")

    @pytest.fixture
    def trial(self, engine: Engine, tmp_path: Path) -> Trial:
        """What a claim is tried with."""
        return Trial(engine, tmp_path, self.patience)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Have the reasons of `without` in the names of tests."""
        if "lacking" in metafunc.fixturenames:
            ids = [f"{need}: {reason}" for need, reason in self.without.items()]
            metafunc.parametrize("lacking", list(self.without), ids=ids)

    def test_lacks(self, engine: Engine, lacking: Need) -> None:
        """What the engine is said to lack, it does lack."""
        assert not engine.has(lacking)
