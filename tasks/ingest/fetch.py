"""Local copies of dumps on object stores, read through fsspec and named by their content.

The store's driver finds the credentials in the environment; this program never handles them.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from uuid import uuid4

from nl2sql_align.tasks.base.errors import (
    AlignError,
    CorpusError,
    find_disk_reason,
    full_disk_error,
)
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import digest_dump
from nl2sql_align.tasks.ingest.hub import HUB, choose_split, is_on_hub, pin_commit
from nl2sql_align.tasks.warehouse.addresses import describe_error, name_installation
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically
from nl2sql_align.tasks.warehouse.ownership import is_stage
from nl2sql_align.tasks.warehouse.store_files import StoreFiles

# The fields that identify a file's version, by their names in various drivers. Other fields differ
# between a request for one file and a listing, which another thread may have cached.
_VERSION: Final[tuple[str, ...]] = (
    *("size", "ETag", "etag", "generation", "md5Hash", "blob_id"),
    *("LastModified", "last_modified", "updated", "mtime", "created"),
)


@dataclass(frozen=True)
class _Listing:
    """The files of a dump on a store.

    Attributes:
        base: The folder that contains all of them.
        relative: The dump below ``base``: a file, a pattern, or an empty text for the whole folder.
        files: The version fields of each file, by its path.
    """

    base: str
    relative: str
    files: dict[str, dict[str, str]]


def fetch_dump(entry: CorpusEntry, warehouse: Warehouse) -> CorpusEntry:
    """Return the entry with a local copy as its path, if its dump has an address.

    Reuses the copy of an earlier run if the store's files are unchanged and the copy is not
    damaged. The address of a data set on a hub becomes that of the commit of its revision, and of
    the split that is read.

    Raises:
        CorpusError: The dump does not exist, or the store cannot be read.
    """
    if entry.url is None or entry.digest is not None:
        return entry
    given = entry
    try:
        url = pin_commit(entry.url)
        store = StoreFiles(url)
        if is_on_hub(url) and entry.glob is None and store.isdir(store.root):
            url = f"{HUB}{choose_split(entry, store.root, store.find(store.root))}"
            store = StoreFiles(url)
        entry = entry.model_copy(update={"url": url})
        listing = _list_files(store, entry.glob)
    except Exception as error:
        raise _fetch_error(given, error) from None
    if not listing.files:
        raise CorpusError(given.name, given.place, "does not exist", "check path")
    versions = {str(_make_relative(file, listing.base)): v for file, v in listing.files.items()}
    note = warehouse.copies / f"{stage_key(url=given.url, files=versions)}.digest"
    if note.exists():
        digest = note.read_text()
        cached = _move_entry(entry, warehouse.copies / digest, listing)
        if _is_undamaged(cached, digest):
            return cached
    temporary = warehouse.scratch / f"dump-{uuid4().hex}"
    try:
        for file in listing.files:
            copy = temporary / _make_relative(file, listing.base)
            copy.parent.mkdir(parents=True, exist_ok=True)
            store.get_file(file, copy)
        is_same = _list_files(store, entry.glob) == listing
    except Exception as error:
        raise _fetch_error(entry, error) from None
    if not is_same:
        raise CorpusError(entry.name, entry.place, "changed while it was fetched", "run again")
    digest = digest_dump(_move_entry(entry, temporary, listing))
    copies = warehouse.copies / digest
    copies.parent.mkdir(exist_ok=True)
    if copies.exists():  # it is damaged, or it was fetched from another address
        copies.rename(warehouse.scratch / f"dump-{uuid4().hex}")
    temporary.rename(copies)
    with write_atomically(note) as writing:
        writing.write_text(digest)
    return _move_entry(entry, copies, listing)


def describe_fetched(given: CorpusEntry, fetched: CorpusEntry) -> tuple[str, ...]:
    """Return a note if the address of a dump on a hub was made exact, else nothing."""
    if fetched.url == given.url:
        return ()
    return (f"{given.name}: {given.url} is read as {fetched.url}",)


def remove_unused_copies(digests: set[str], warehouse: Warehouse) -> None:
    """Remove the copies of dumps whose digests are not among these."""
    for note in warehouse.copies.glob("*.digest"):
        if not is_stage(note.with_suffix("")):
            continue
        digest = note.read_text()
        copies = warehouse.copies / digest
        if digest not in digests:
            note.unlink()
            if copies.exists() and copies.parent == warehouse.copies:
                copies.rename(warehouse.scratch / f"dump-{uuid4().hex}")


def _list_files(store: StoreFiles, glob: str | None) -> _Listing:
    """List the files of a dump; an empty listing means that the dump does not exist."""
    store.invalidate_cache()
    place = store.root
    if magic := re.search(r"[*?\[]", place):
        base = place[: magic.start()].rpartition("/")[0]
        relative, paths = place[len(base) :].lstrip("/"), store.glob(place)
    elif store.isdir(place):
        base, relative = place.rstrip("/"), ""
        paths = store.glob(f"{base}/{glob}") if glob else store.find(base)
    else:
        base, _, relative = place.rpartition("/")
        paths = [place] if store.exists(place) else []
    infos: dict[str, dict[str, Any]] = {path: store.info(path) for path in sorted(paths)}
    files = {
        path: {name: str(info[name]) for name in _VERSION if name in info}
        for path, info in infos.items()
        if info["type"] == "file"
    }
    return _Listing(base, relative, files)


def _is_undamaged(copy: CorpusEntry, digest: str) -> bool:
    try:
        return digest_dump(copy) == digest
    except CorpusError:
        return False


def _make_relative(file: str, base: str) -> PurePosixPath:
    path = PurePosixPath(file.removeprefix(base).lstrip("/"))
    if ".." in path.parts:
        raise OSError("it names a file outside its folder")
    return path


def _move_entry(entry: CorpusEntry, folder: Path, listing: _Listing) -> CorpusEntry:
    """Return the entry with its dump in a local folder."""
    return entry.model_copy(update={"path": folder / listing.relative, "within": ()})


def _fetch_error(entry: CorpusEntry, error: Exception) -> AlignError:
    if isinstance(error, AlignError):
        return error
    if reason := find_disk_reason(error, only_if_full=True):
        return full_disk_error(reason)
    if isinstance(error, ImportError):
        problem = f"needs a driver that is not installed ({describe_error(error)})"
        return CorpusError(entry.name, entry.place, problem, name_installation(str(entry.place)))
    problem = f"cannot be fetched ({describe_error(error)})"
    remedy = "check path, the credentials in the environment, and that the driver is installed"
    return CorpusError(entry.name, entry.place, problem, remedy)
