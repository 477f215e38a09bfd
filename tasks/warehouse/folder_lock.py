"""The lock on a warehouse folder, which the system releases if its process dies."""

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from nl2sql_align.tasks.base.errors import WarehouseError

_LOCK: Final = ".lock"


class FolderLock:
    """A lock of this process."""

    def __init__(self, place: Path, release: ExitStack) -> None:
        """Take over a lock on a file or folder, and the steps that release it."""
        self._place = place
        self._identity = _identify(place)
        self._release = release

    def check(self) -> None:
        """Check that no other run can have locked the folder meanwhile.

        Raises:
            WarehouseError: The folder or its lock file was removed or replaced.
        """
        if self._identity is None or _identify(self._place) != self._identity:
            raise WarehouseError(
                f"{self._place} was removed or replaced during this run; nothing is published, "
                "since another run may use it: run again"
            )

    def release(self) -> None:
        """Let other runs lock the folder."""
        self._release.close()


def lock_folder(folder: Path) -> FolderLock | None:
    """Lock a folder, and return the lock; None if another run has locked it.

    The folder itself is locked, too, so that removing a lock file that seems to be left over does
    not let a second run in. File systems such as NFS cannot lock folders.

    Raises:
        OSError: The folder cannot be written.
    """
    with ExitStack() as stack:
        file = FileLock(folder / _LOCK)
        try:
            file.acquire(timeout=0)
        except Timeout:
            return None
        stack.callback(file.release)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, descriptor)
        place = folder
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        except OSError:
            place = folder / _LOCK
        return FolderLock(place, stack.pop_all())


def _identify(place: Path) -> tuple[int, int] | None:
    """Return numbers that identify a file or folder at its place; None if it is missing."""
    try:
        stat = place.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
