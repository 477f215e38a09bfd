"""Dumps that change while they are read: a change is found, and the dump is read again."""

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeVar
from uuid import uuid4

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import AUTO, CorpusEntry
from nl2sql_align.tasks.ingest.dumps import digest_dump, find_bounds, list_files, outside_error
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.warehouse.folder import digest_file
from nl2sql_align.tasks.warehouse.regular_files import OutsideError, is_folder, open_regular

R = TypeVar("R")

_TRIES: Final = 3
# File systems record times in steps of up to two seconds: a second change in a step leaves no mark.
_TIME_STEP_NS: Final = 2_000_000_000
_CHUNK: Final = 1 << 20


class ChangedDumpError(CorpusError):
    """A dump that has changed while it was read."""


@dataclass(frozen=True)
class _FileState:
    """The properties that change with the content of a file. Copying tools never restore all."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    is_regular: bool


@dataclass(frozen=True)
class _DumpState:
    """The state of a dump's files before they are read.

    Attributes:
        files: The state of each file. While the format is open, all files of a folder.
        is_recent: Whether a file has changed so recently that a change now may leave no mark.
    """

    files: dict[Path, _FileState]
    is_recent: bool


@dataclass(frozen=True)
class IdentifiedDump:
    """A dump with a known format and digest.

    Attributes:
        entry: The corpus, with its format.
        digest: The SHA-256 of the dump.
        state: The state of the files that the digest covers; None if the dump is gone, and an
            earlier run has read it.
        reason: How an open format was recognized.
    """

    entry: CorpusEntry
    digest: str
    state: _DumpState | None = None
    reason: str | None = None

    @contextmanager
    def refuse_changes(self) -> Iterator[None]:
        """Check after the block, which reads the dump, that the digest is that of the bytes read.

        An error in the block that a change may have caused is replaced.

        Raises:
            ChangedDumpError: The dump has changed.
        """
        if self.state is None:
            yield
            return
        with _refuse_changes(self.entry, self.state):
            yield
        if self.state.is_recent and digest_dump(self.entry) != self.digest:
            raise _changed_error(self.entry)


def identify_dump(entry: CorpusEntry) -> IdentifiedDump:
    """Recognize the format of a dump, if it is open, and digest its content.

    Raises:
        ChangedDumpError: The dump has changed meanwhile.
        CorpusError: The dump is missing, damaged, or in no known format.
    """
    if entry.digest is not None:
        resolved, reason = resolve_format(entry)
        return IdentifiedDump(resolved, entry.digest, reason=reason)
    reason = None
    resolved, state = entry, _record_state(entry)
    if entry.format == AUTO:
        before = state
        with _refuse_changes(entry, before):
            resolved, reason = resolve_format(entry)
        state = _record_state(resolved)
        if not state.files.items() <= before.files.items():
            raise _changed_error(entry)
    with _refuse_changes(resolved, state):
        digest = digest_dump(resolved)
    return IdentifiedDump(resolved, digest, state, reason)


def _record_state(entry: CorpusEntry) -> _DumpState:
    if entry.format == AUTO and entry.glob is None and is_folder(entry.path):
        paths = [Path(top, name) for top, _, names in os.walk(entry.path) for name in names]
    else:
        paths = list_files(entry)
    files = {}
    for path in paths:
        with suppress(OSError):  # a file that cannot be reached is not read, or has just gone
            files[path] = _describe_file(path)
    newest = max((max(one.mtime_ns, one.ctime_ns) for one in files.values()), default=0)
    return _DumpState(files, newest > time.time_ns() - _TIME_STEP_NS)


def read_unchanged(entry: CorpusEntry, scratch: Path, read: Callable[[CorpusEntry], R]) -> R:
    """Read a dump; if it changes meanwhile, as a log in use does, read a copy of it instead.

    The copy has the bytes of the dump at one time. The copy of a file that is growing ends
    at a line break.

    Args:
        entry: The corpus.
        scratch: A folder for the copy.
        read: Reads the dump of an entry. It raises ``ChangedDumpError`` if the dump has changed.

    Raises:
        ChangedDumpError: The dump changes again and again, not only at its end.
    """
    if entry.digest is not None:
        return read(entry)  # of a dump that is gone
    with suppress(ChangedDumpError):
        return read(entry)
    for _ in range(_TRIES - 2):
        with suppress(ChangedDumpError):
            return _read_copy(entry, scratch, read)
    return _read_copy(entry, scratch, read)


def _read_copy(entry: CorpusEntry, scratch: Path, read: Callable[[CorpusEntry], R]) -> R:
    folder = scratch / f"dump-{uuid4().hex}"
    try:
        copy = _copy_dump(entry, folder)
        return read(copy)
    except ChangedDumpError:
        raise
    except CorpusError as error:
        raise CorpusError(error.corpus, entry.place, error.problem, error.remedy) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_dump(entry: CorpusEntry, folder: Path) -> CorpusEntry:
    """Copy a dump as it is now, and return its entry with the copy as path."""
    files = _record_state(entry).files
    sizes = {path: one.size for path, one in files.items() if one.is_regular}
    within = find_bounds(entry)
    is_single = list(sizes) == [entry.path]
    base = entry.path.parent if is_single else entry.path
    copies = {path: folder / path.relative_to(base) for path in sizes}
    try:
        for path, copy in copies.items():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with open_regular(path, within) as source, copy.open("wb") as target:
                _copy_start(source, target, sizes[path])
        for path, copy in copies.items():
            if digest_file(copy) != digest_file(path, sizes[path]):
                raise _changed_error(entry)
            if path.stat().st_size > sizes[path]:
                _cut_last_line(copy)
    except FileNotFoundError:
        raise _changed_error(entry) from None
    except OutsideError as error:
        raise outside_error(entry, error) from None
    path = folder / entry.path.name if is_single else folder
    return entry.model_copy(update={"path": path, "within": ()})


def _copy_start(source: BinaryIO, target: BinaryIO, n_bytes: int) -> None:
    while chunk := source.read(min(n_bytes, _CHUNK)):
        n_bytes -= target.write(chunk)


def _cut_last_line(path: Path) -> None:
    """Cut an incomplete last line; a line of more than a megabyte stays."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - _CHUNK))
        end = file.read().rfind(b"\n") + 1
        if end:
            file.truncate(start + end)


def _describe_file(path: Path) -> _FileState:
    status = path.stat()
    return _FileState(
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        stat.S_ISREG(status.st_mode),
    )


@contextmanager
def _refuse_changes(entry: CorpusEntry, before: _DumpState) -> Iterator[None]:
    try:
        yield
    except CorpusError:
        _check_state(entry, before)
        raise
    _check_state(entry, before)


def _check_state(entry: CorpusEntry, before: _DumpState) -> None:
    now = _record_state(entry).files
    is_same_list = entry.format == AUTO or now.keys() == before.files.keys()
    if not is_same_list or not now.items() <= before.files.items():
        raise _changed_error(entry)


def _changed_error(entry: CorpusEntry) -> ChangedDumpError:
    return ChangedDumpError(
        entry.name,
        entry.place,
        "changes while it is read",
        "run again once it is complete, or list a copy of it",
    )
