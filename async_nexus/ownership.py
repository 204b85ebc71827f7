"""Whether nothing but the function that asks holds an object: then it may alter the object, or use it once more.

CPython counts references. Weak ones do not count, nor does what `vars` gave: who has only these sees an object that is
used once more. Since 3.14 what a caller's variable holds may go uncounted
(https://docs.python.org/3.14/whatsnew/3.14.html, on `Py_REFCNT`): nothing is used twice there, nor where nobody counts.
"""

import sys
from collections.abc import Callable
from typing import Final

count_references: Final[Callable[[object], int]] = getattr(sys, "getrefcount", lambda _: 0)

ALONE: Final = 2 if sys.implementation.name == "cpython" and sys.version_info < (3, 14) else -1
"""The count of what only one variable of the function that asks holds: by that, and by the call that counts."""
