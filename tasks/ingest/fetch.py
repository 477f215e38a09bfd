"""Dumps on object stores, read through fsspec into local copies that are named by their content.

Credentials come from where the store's driver looks for them in the environment, never from here.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import digest_dump
from nl2sql_align.tasks.warehouse.addresses import describe_error
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically

if TYPE_CHECKING:
    import fsspec

# What tells a file's version, by the names that drivers have for it. The rest of what they say
# depends on how they were asked: alone, or in a listing that another thread has just made.
_VERSION: Final[tuple[str, ...]] = (
    *("size", "ETag", "etag", "generation", "md5Hash"),
    *("LastModified", "last_modified", "updated", "mtime", "created"),
)


@dataclass(frozen=True)
class _Listed:
    """Which files of a store a dump has.

    Attributes:
        base: The folder that all of them are below.
        shown: Where the dump is, relative to it: a file, a pattern, or nothing for all of it.
        files: What the store says of each file, by its path.
    """

    base: str
    shown: str
    files: dict[str, dict[str, str]]


def fetched(entry: CorpusEntry, warehouse: Warehouse) -> CorpusEntry:
    """The entry with a local copy of its dump as its path, where the dump has an address.

    What the store says has not changed is not fetched again, if the copy is still whole.

    Raises:
        CorpusError: The dump is not there, or the store cannot be read.
    """
    if entry.url is None or entry.digest is not None:
        return entry
    from fsspec.core import url_to_fs

    try:
        fs, place = url_to_fs(entry.url)
        listed = _list(fs, place, entry.glob)
    except Exception as error:
        raise _unreadable(entry, error) from None
    if not listed.files:
        raise CorpusError(entry.name, entry.place, "is not there", "check path")
    note = warehouse.copies / f"{stage_key(url=entry.url, files=listed.files)}.digest"
    if note.exists():
        digest = note.read_text()
        there = _at(entry, warehouse.copies / digest, listed)
        if _is_whole(there, digest):
            return there
    temporary = warehouse.scratch / f"dump-{uuid4().hex}"
    try:
        for file in listed.files:
            copy = temporary / _below(file, listed.base)
            copy.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(file, str(copy))
        fs.invalidate_cache()
        is_same = _list(fs, place, entry.glob) == listed
    except Exception as error:
        raise _unreadable(entry, error) from None
    if not is_same:
        raise CorpusError(entry.name, entry.place, "changes while it is read", "run again")
    digest = digest_dump(_at(entry, temporary, listed))
    copies = warehouse.copies / digest
    copies.parent.mkdir(exist_ok=True)
    if copies.exists():  # damaged, or of another address: the same content stands in for it
        copies.rename(warehouse.scratch / f"dump-{uuid4().hex}")
    temporary.rename(copies)
    with write_atomically(note) as writing:
        writing.write_text(digest)
    return _at(entry, copies, listed)


def remove_unused_copies(digests: set[str], warehouse: Warehouse) -> None:
    """Removes the copies of dumps that have none of these digests."""
    for note in warehouse.copies.glob("*.digest"):
        digest = note.read_text()
        copies = warehouse.copies / digest
        if digest not in digests:
            note.unlink()
            if copies.exists():
                copies.rename(warehouse.scratch / f"dump-{uuid4().hex}")


def _list(fs: "fsspec.AbstractFileSystem", place: str, glob: str | None) -> _Listed:
    """The files of a dump; none where there is nothing."""
    fs.invalidate_cache()
    if magic := re.search(r"[*?\[]", place):
        base = place[: magic.start()].rpartition("/")[0]
        shown, paths = place[len(base) :].lstrip("/"), fs.glob(place)
    elif fs.isdir(place):
        base, shown = place.rstrip("/"), ""
        paths = fs.glob(f"{base}/{glob}") if glob else fs.find(base)
    else:
        base, _, shown = place.rpartition("/")
        paths = [place] if fs.exists(place) else []
    said: dict[str, dict[str, Any]] = {path: fs.info(path) for path in sorted(paths)}
    files = {
        path: {name: str(info[name]) for name in _VERSION if name in info}
        for path, info in said.items()
        if info["type"] == "file"
    }
    return _Listed(base, shown, files)


def _is_whole(copy: CorpusEntry, digest: str) -> bool:
    try:
        return digest_dump(copy) == digest
    except CorpusError:
        return False


def _below(file: str, base: str) -> PurePosixPath:
    path = PurePosixPath(file.removeprefix(base).lstrip("/"))
    if ".." in path.parts:
        raise OSError("it names a file outside of its folder")
    return path


def _at(entry: CorpusEntry, folder: Path, listed: _Listed) -> CorpusEntry:
    return entry.model_copy(update={"path": folder / listed.shown})


def _unreadable(entry: CorpusEntry, error: Exception) -> CorpusError:
    problem = f"cannot be fetched ({describe_error(error)})"
    remedy = "check path, the credentials in the environment, and that the store's driver is there"
    return CorpusError(entry.name, entry.place, problem, remedy)
