"""The works, by name: one file each."""

from types import MappingProxyType
from typing import Final

from benchmarks.works import w1, w2

WORKS: Final = MappingProxyType({module.WORK.name: module.WORK for module in (w1, w2)})
