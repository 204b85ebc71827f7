"""Locks a file for as long as its process lives: the system ends the lock with the process, however that ends."""

import sys

if sys.platform == "win32":
    import msvcrt

    def lock_file(file: int, *, shared: bool = False) -> None:
        """Lock an open file at once. Raises `OSError` where another has it, or where it cannot be locked."""
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def lock_file(file: int, *, shared: bool = False) -> None:
        """Lock an open file at once. Raises `OSError` where another has it, or where it cannot be locked."""
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
