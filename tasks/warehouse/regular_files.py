"""Files that users or dumps name: only regular files within given folders are opened."""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from io import BufferedReader
from pathlib import Path, PurePath
from typing import Final

SMALL_FILE: Final = 1 << 20
"""Files up to this size in bytes are copied rather than kept open, which is limited."""

_NOT_REGULAR = "it is a pipe, socket or device, not a regular file"
_NAME_LENGTH = 40
_CHUNK = 1 << 20


class OutsideError(OSError):
    """A path that leads out of the folders that it must stay in."""


def open_regular(path: Path, within: Sequence[Path] = ()) -> BufferedReader:
    """Open a regular file for reading, without waiting for a writer as with a pipe.

    The opened file itself is checked, so that a path that changes meanwhile does not matter.

    Args:
        path: The file.
        within: Resolved folders, one of which must contain the file after all links; if empty, the
            file may be anywhere.

    Raises:
        OutsideError: The file is outside of the folders.
        OSError: It cannot be opened, or is a folder, pipe, socket or device.
    """
    _check_regular(path.stat(), path)  # opening some devices has an effect
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check_regular(os.fstat(descriptor), path)
        if within:
            check_inside(_locate(descriptor, path), within, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def hold_files(
    paths: Iterable[Path],
    within: Sequence[Path],
    prefix: Path,
    small: int = SMALL_FILE,
) -> Iterator[dict[Path, Path]]:
    """Open files, and provide paths that lead to them even if their own paths change.

    Libraries that open a path themselves read the checked file. On systems without ``/proc``,
    the paths are those of the files.

    Args:
        paths: The files.
        within: The folders that they must be in; see ``open_regular``.
        prefix: Where to put the provided paths, which the caller removes: their names start with
            this one, and end as the names of the files.
        small: Files up to this size in bytes are copied; larger ones are kept open.

    Raises:
        OutsideError: A file is outside of the folders.
        OSError: It cannot be opened, or is a folder, pipe, socket or device.
    """
    held: dict[Path, Path] = {}
    with ExitStack() as opened:
        for path in dict.fromkeys(paths):
            number = len(held)
            file = open_regular(path, within)
            link = prefix.with_name(f"{prefix.name}-{number}-{path.name[-_NAME_LENGTH:]}")
            if os.fstat(file.fileno()).st_size <= small:
                with file, link.open("xb") as copy:
                    shutil.copyfileobj(file, copy, _CHUNK)
            else:
                opened.enter_context(file)
                target = Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
                if target.exists():
                    link.symlink_to(target)
                else:
                    link = path
            held[path] = link
        yield held


def check_file(path: Path, within: Sequence[Path] = ()) -> None:
    """Check that a path leads to a regular file in one of the folders; see ``open_regular``.

    Raises:
        OutsideError: The file is outside of the folders.
        OSError: It does not exist, cannot be reached, or is a folder, pipe, socket or device.
    """
    _check_regular(path.stat(), path)
    if within:
        check_inside(os.path.realpath(path, strict=True), within, path)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False if it cannot be reached for any reason."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def check_inside(real: str, within: Sequence[Path], path: Path) -> None:
    """Check that a resolved path is one of the folders, or in one.

    Raises:
        OutsideError: It is not. The message has ``path``, which led to it.
    """
    if not any(PurePath(real).is_relative_to(folder) for folder in within):
        folders = " and ".join(map(str, within))
        where = "is" if real == str(path) else f"leads to {real},"
        raise OutsideError(errno.EXDEV, f"{where} outside of {folders}", str(path))


def find_files(folder: Path, pattern: str, within: Sequence[Path] = ()) -> list[Path]:
    """Return the files that match a pattern below a folder, sorted.

    As in ``Path.glob``, ``**`` matches any depth and follows no links.

    Args:
        folder: The folder.
        pattern: The pattern, without ``..``.
        within: The folders that matched links to folders must stay in; see ``open_regular``.

    Raises:
        OutsideError: A folder that the pattern matches is outside of these folders.
        OSError: A folder cannot be read.
    """
    *parts, last = PurePath(pattern).parts
    if last == "**":
        parts, last = [*parts, last], "*"
    folders = {folder: None}
    for part in parts:
        matched: dict[Path, None] = {}
        for one in folders:
            if part == "**":
                matched |= dict.fromkeys(_list_subfolders(one))
                continue
            for child in _scan(one):
                if fnmatchcase(child.name, part) and child.is_dir():
                    path = one / child.name
                    if within and child.is_symlink():
                        check_inside(os.path.realpath(path), within, path)
                    matched[path] = None
        folders = matched
    found = [
        one / child.name
        for one in folders
        for child in _scan(one)
        if fnmatchcase(child.name, last) and not child.is_dir()
    ]
    return sorted(found)


def _list_subfolders(folder: Path) -> Iterator[Path]:
    """Yield a folder and all folders below it that are not links."""
    left = [folder]
    while left:
        one = left.pop()
        yield one
        left += [one / child.name for child in _scan(one) if child.is_dir(follow_symlinks=False)]


def _scan(folder: Path) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as children:
        return list(children)


def _check_regular(status: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, _NOT_REGULAR, str(path))


def _locate(descriptor: int, path: Path) -> str:
    """Return where an opened file is, as the system knows it."""
    link = Path(f"/proc/self/fd/{descriptor}")
    return str(link.readlink()) if link.is_symlink() else os.path.realpath(path, strict=True)
