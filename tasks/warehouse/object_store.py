"""Warehouses on object stores: working copies on disk, and manifests that publish them.

A run works in a copy of the warehouse, in a folder of this user on this machine. Parquet files that
the copy does not have are placeholders there until a step needs their data. To publish, a run
uploads the changed files under new names, and then creates the next manifest, which lists all files
with their digests. The manifest with the highest number is the published state. A number can be
used only once: if two runs start from the same manifest, the second one is refused. Files that
neither the new manifest nor the one before it lists are removed. Readers fetch the published
database, and other files when a query needs them.

Any store with an fsspec driver will do; credentials are left to the driver.
"""

import errno
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache, lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from nl2sql_align.tasks.base.environment import cache_folder
from nl2sql_align.tasks.base.errors import (
    AlignError,
    ConfigurationError,
    ConflictError,
    LostFileError,
    WarehouseError,
)
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.warehouse.addresses import (
    describe_error,
    expand_home,
    is_address,
    refuse_credentials,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse, digest_file, write_atomically
from nl2sql_align.tasks.warehouse.lazy_file import LazyFile
from nl2sql_align.tasks.warehouse.part_files import list_parts
from nl2sql_align.tasks.warehouse.placeholders import (
    Indexed,
    is_placeholder,
    read_footer,
    read_index,
    write_index,
    write_placeholder,
)
from nl2sql_align.tasks.warehouse.store_files import StoreFiles

if TYPE_CHECKING:
    import duckdb
    import fsspec

FORMAT: Final = 1
"""The version of the manifest's format; raise it if older programs cannot read the new one."""

_THREADS: Final = 8
_LARGE_BYTES: Final = 1 << 24
_SMALL_BYTES: Final = 1 << 12
_DISK_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_MANIFEST: Final = re.compile(r"manifests/(\d{10})\.json")
_UPLOADED: Final = re.compile(
    r"(ngrams|nightly|published|queries|stages)/\d{8}T\d{6}Z-[0-9a-f]{8}/.+"
)
_OLD_COPY_SECONDS: Final = 24 * 3600
_LAST_NUMBER: Final = 9_999_999_999
_FETCHING: Final = threading.Lock()
# The largest time that a file system and a date can have.
_END_OF_TIME_NS: Final = 253_402_300_800 * 10**9


# ---- manifests ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredFile:
    """A file of a warehouse on a store.

    Attributes:
        name: The path in the warehouse.
        object: The path below the address.
        size: Bytes.
        sha256: The digest of the content.
        mtime_ns: The time of the last change.
    """

    name: str
    object: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class Manifest:
    """The published state of a warehouse: its files by name, and the run that made them."""

    number: int = 0
    run_id: str | None = None
    written_at: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, StoredFile] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return the manifest as text; equal manifests give equal text."""
        files = [asdict(self.files[name]) for name in sorted(self.files)]
        fields = {**vars(self), "format": FORMAT, "files": files}
        return json.dumps(fields, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _parse_manifest(text: bytes | str, place: str, number: int | None = None) -> Manifest:
    """Return the manifest in a text.

    Args:
        text: The text.
        place: Where it is stored, for messages.
        number: The number in the name of its file, which it must have.

    Raises:
        WarehouseError: The text is not a manifest, or that of a newer program.
    """
    try:
        fields = json.loads(text)
        if fields["format"] > FORMAT:
            raise WarehouseError(
                f"{place} was written by a newer nl2sql-align; install that version to use it"
            )
        _check_type(fields, number=int, written_at=str, versions=dict)
        # Later runs count from this number, and could not publish below another one.
        if number is not None and fields["number"] != number:
            raise ValueError(f"it has the number {fields['number']}")
        return Manifest(
            fields["number"],
            fields["run_id"],
            fields["written_at"],
            fields["versions"],
            {file["name"]: _parse_file(file) for file in fields["files"]},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise WarehouseError(
            f"{place} is not a manifest ({reason}); remove it from the store, and the manifest "
            "before it counts again"
        ) from None


def _parse_file(fields: dict[str, Any]) -> StoredFile:
    _check_type(fields, name=str, object=str, size=int, sha256=str, mtime_ns=int)
    # A manifest from elsewhere must not name files outside the working copy.
    for path in (PurePosixPath(fields["name"]), PurePosixPath(fields["object"])):
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"it names {path}")
    if not 0 <= fields["mtime_ns"] < _END_OF_TIME_NS:
        raise ValueError(f"{fields['name']} has the time {fields['mtime_ns']}")
    return StoredFile(**fields)


def _check_type(fields: dict[str, Any], **types: type) -> None:
    for name, kind in types.items():
        if type(fields[name]) is not kind:
            raise ValueError(f"{name} is {fields[name]!r:.40}, not of type {kind.__name__}")


# ---- places -------------------------------------------------------------------------------------


def warehouse_at(place: Path | str) -> Warehouse:
    """Return the warehouse in a folder, or at an address on a store.

    Args:
        place: The folder, or the address as text, such as ``s3://bucket/prefix``; or that of the
            database in it, ``alignment.duckdb``.

    Raises:
        ConfigurationError: The text cannot be the address of a warehouse.
    """
    refuse_credentials(place)
    if isinstance(place, Path):
        if re.match(r"[a-z][a-z0-9+.-]+:/", place.as_posix()):
            raise ConfigurationError(
                f"{place} looks like an address; pass addresses as str, not Path"
            )
        return _warehouse_in(expand_home(place))
    if not is_address(place):
        return _warehouse_in(expand_home(place))
    address = place.rstrip("/").removesuffix(f"/{Warehouse(Path()).database.name}")
    if re.search(r"[?*\[\]#\s\\'\"]", address) or not is_address(address):
        raise ConfigurationError(
            f"{place!r} is not the address of a warehouse; use one such as s3://bucket/prefix"
        )
    words = re.sub(r"[^A-Za-z0-9.-]+", "-", address)[-60:].strip(".-")
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    return Warehouse(cache_folder() / f"{words}-{digest}" / "copy", address)


def _warehouse_in(path: Path) -> Warehouse:
    around = Warehouse(path.parent)
    return around if path == around.database and not path.is_dir() else Warehouse(path)


# ---- the store ----------------------------------------------------------------------------------


class _DamagedError(Exception):
    """A file on the store is missing, or differs from the manifest."""


class _Store:
    """The objects below an address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._files = StoreFiles(address)
        self._root = self._files.root.rstrip("/")

    def current(self) -> Manifest:
        """Return the manifest with the highest number; an empty one before the first run."""
        # A manifest may be removed after it was listed, but then a newer one exists.
        for _ in range(3):
            numbers = self._numbers()
            if not numbers:
                return Manifest()
            with suppress(FileNotFoundError):
                path = _manifest_path(number := max(numbers))
                text = self._files.cat_file(self._at(path))
                return _parse_manifest(text, f"{self.address}/{path}", number)
        raise FileNotFoundError(f"{self.address}/manifests")

    def check(self) -> None:
        """Check that the bucket exists: better now than at the end of a run."""
        bucket = self._root.partition("/")[0]
        if bucket and not self._files.exists(bucket):
            raise FileNotFoundError(f"{bucket} does not exist")

    def sizes(self) -> dict[str, int]:
        """Return the objects that runs have uploaded, with their sizes in bytes."""
        self._files.invalidate_cache()
        found = self._files.find(self._root, detail=True)
        below = {
            path.removeprefix(self._root).lstrip("/"): int(info["size"])
            for path, info in found.items()
        }
        return {p: n for p, n in below.items() if _UPLOADED.fullmatch(p) or _MANIFEST.fullmatch(p)}

    def fetch(self, file: StoredFile, destination: Path) -> None:
        """Download a file.

        Raises:
            _DamagedError: The file is missing, or differs from the manifest.
        """
        with write_atomically(destination) as temporary:
            try:
                self._files.get_file(self._at(file.object), temporary)
            except FileNotFoundError:
                raise _DamagedError(f"{self.address}/{file.object} is missing") from None
            if not _has_content(temporary, file):
                raise _DamagedError(f"{self.address}/{file.object} is damaged")
            os.utime(temporary, ns=(file.mtime_ns, file.mtime_ns))

    def check_size(self, file: StoredFile, sizes: Mapping[str, int]) -> None:
        """Check that an object exists with the size in the manifest.

        Args:
            file: The file.
            sizes: The objects of the store; see ``sizes``.

        Raises:
            _DamagedError: The file is missing, or has another size.
        """
        size = sizes.get(file.object)
        if size != file.size:
            problem = "missing" if size is None else "damaged"
            raise _DamagedError(f"{self.address}/{file.object} is {problem}")

    def upload(self, files: Iterable[StoredFile], sources: Mapping[str, Path]) -> None:
        """Upload files from their sources, by name; stores show a file once it is complete."""

        def upload(file: StoredFile) -> None:
            self._files.put_file(sources[file.name], self._at(file.object))

        by_size = sorted(files, key=lambda file: file.size)
        n_small = sum(file.size <= _LARGE_BYTES for file in by_size)
        _run_in_threads(upload, by_size[:n_small])
        for file in by_size[n_small:]:  # one at a time, since drivers hold parts of them in memory
            upload(file)

    def publish(self, manifest: Manifest) -> None:
        """Create a manifest.

        Raises:
            ConflictError: A manifest with this number or a higher one exists.
            WarehouseError: No number is left.
        """
        if manifest.number > _LAST_NUMBER:
            raise WarehouseError(
                f"{self.address}/{_manifest_path(_LAST_NUMBER)} leaves no number for another "
                "manifest; remove it from the store, and the manifest before it counts again"
            )
        path = _manifest_path(manifest.number)
        place, content = self._at(path), manifest.as_json().encode()
        refusal: Exception | None = None
        # Drivers that do not know mode "create" may overwrite the file.
        if max(self._numbers(), default=0) < manifest.number:
            try:
                self._files.pipe_file(place, content, mode="create")
            except Exception as error:  # perhaps it was created, and only the answer was lost
                refusal = error
        numbers = self._numbers()
        if max(numbers, default=0) == manifest.number and self._files.cat_file(place) == content:
            return
        if refusal is not None and manifest.number not in numbers:
            raise refusal
        raise _overtaken(self.address)

    def remove(self, objects: Iterable[str]) -> None:
        """Remove objects; ignore those that do not exist."""

        def remove(path: str) -> None:
            with suppress(FileNotFoundError):
                self._files.rm_file(self._at(path))

        _run_in_threads(remove, objects)

    def _numbers(self) -> set[int]:
        self._files.invalidate_cache()
        try:
            paths = self._files.ls(self._at("manifests"), detail=False)
        except FileNotFoundError:
            return set()
        found = (_MANIFEST.fullmatch("/".join(path.rsplit("/", 2)[-2:])) for path in paths)
        return {int(match[1]) for match in found if match}

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"


def _manifest_path(number: int) -> str:
    return f"manifests/{number:010d}.json"


def _run_in_threads(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))


def _has_content(path: Path, file: StoredFile) -> bool:
    """Return whether a file on disk has the content of a stored file."""
    is_likely = path.is_file() and path.stat().st_size == file.size
    return is_likely and digest_file(path) == file.sha256


@contextmanager
def _open_store(warehouse: Warehouse) -> Iterator[_Store]:
    """Open the store of a warehouse; explain its errors in the block with a ``WarehouseError``."""
    assert warehouse.address is not None
    try:
        yield _Store(warehouse.address)
    except AlignError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS and error.filename:
            raise  # an error of the working copy
        raise WarehouseError(
            f"{warehouse.address} cannot be used ({describe_error(error)}); finished stages are "
            "kept: check the address, the credentials in the environment, and that the driver of "
            "the store is installed (make align EXTRAS=s3)"
        ) from None


# ---- runs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Session:
    """The state of a working copy between ``pull`` and ``push``.

    Attributes:
        base: The manifest that the copy was last synchronized with.
        upload: A part of the names of all uploaded files, used by one run only.
        damaged: Names of the files that the store has lost or damaged.
    """

    base: Manifest
    upload: str
    damaged: tuple[str, ...] = ()


def check_store(warehouse: Warehouse) -> None:
    """Check that the store of a warehouse answers, before any work is done.

    Raises:
        WarehouseError: The store does not answer, or the bucket does not exist.
    """
    if warehouse.address is not None:
        with _open_store(warehouse) as store:
            store.check()


def pull(warehouse: Warehouse, *names: str) -> bool:
    """Synchronize the working copy of a warehouse with the published state.

    Write a placeholder for each Parquet file that the copy does not have; ``fetch_missing`` fetches
    its data later. Fetch all other files that are missing or have changed. Remove files that are no
    longer published, but keep stage files that never were. Skip files that the store has lost or
    damaged, as far as their sizes tell; the run rebuilds them.

    Args:
        warehouse: The warehouse, locked; one without an address is left alone.
        names: Files to fetch; by default all.

    Returns:
        Whether the warehouse is on a store.

    Raises:
        WarehouseError: The store cannot be used.
    """
    if warehouse.address is None:
        return False
    started = time.perf_counter()
    with _open_store(warehouse) as store:
        base = store.current()
        if not base.number:
            store.check()
        session = _read_session(warehouse)
        before = session.base.files
        # A file that was made again since is uploaded, though it is as the manifest says.
        lost = session.damaged if session.base.number == base.number else ()
        for path in _public_files(warehouse):
            name = warehouse.name_of(path)
            is_result = path.suffix == ".parquet" and not is_placeholder(path)
            if name not in base.files and (name in before or not is_result):
                path.unlink()
        fetched = [] if names else _fetch_index(warehouse, store, base)
        index = {} if names else read_index(warehouse.index_file)
        wanted = [file for file in base.files.values() if not names or file.name in names]
        places = {warehouse.folder / file.name: file for file in wanted}
        here = (path for path in places if path.is_file() and not is_placeholder(path))
        digests = warehouse.digests(here)
        missing = [f for path, f in places.items() if digests.get(path) != f.sha256]
        sizes = {} if names or not missing else store.sizes()

        def fetch(file: StoredFile) -> str | None:
            try:
                if file.name in lost:
                    raise _DamagedError(f"{store.address}/{file.object} was damaged or lost")
                if not names:
                    store.check_size(file, sizes)
                if not _write_indexed(warehouse.folder / file.name, file, index.get(file.name)):
                    store.fetch(file, warehouse.folder / file.name)
                    fetched.append(file)
            except _DamagedError as error:
                (warehouse.folder / file.name).unlink(missing_ok=True)
                announce("fetch", f"{error}; it is rebuilt")
                return file.name
            return None

        damaged = [name for name in _run_in_threads(fetch, missing) if name]
        if damaged and store.current().number != base.number:
            return pull(warehouse, *names)  # two runs have replaced these files meanwhile
    upload = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    _write_session(warehouse, _Session(base, upload, tuple(sorted({*lost, *damaged}))))
    warehouse.record_digests(warehouse.folder / file.name for file in fetched)
    _announce("fetch", "from", warehouse, fetched, len(wanted), started)
    return True


def push(
    warehouse: Warehouse,
    *names: str,
    run_id: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> bool:
    """Publish the changes in a working copy since ``pull``.

    Args:
        warehouse: The warehouse, locked since ``pull``; one without an address is left alone.
        names: Files to publish, by default all; the others stay as they are published.
        run_id: The run that made the files; by default, that of the last manifest.
        versions: The versions that made the files; by default, those of the last manifest.

    Returns:
        Whether the warehouse is on a store.

    Raises:
        ConflictError: Another run has published since ``pull``. The working copy keeps its stages.
        WarehouseError: The store cannot be used.
    """
    if warehouse.address is None:
        return False
    started = time.perf_counter()
    session = _read_session(warehouse)
    base = session.base
    with _open_store(warehouse) as store:
        files = {n: f for n, f in base.files.items() if names and n not in names}
        public = {warehouse.name_of(path): path for path in _public_files(warehouse)}
        given = [path for name, path in public.items() if not names or name in names]
        stored = _stored_files(warehouse, session, given)
        if not names:
            index = _index_files(warehouse, stored)
            stored |= _stored_files(warehouse, session, index)
        files |= {file.name: file for file in stored.values()}
        sizes = store.sizes()
        changed = [
            file
            for path, file in stored.items()
            if (sizes.get(file.object) != file.size or file.name in session.damaged)
            and not is_placeholder(path)
        ]
        store.upload(changed, {file.name: path for path, file in stored.items()})
        if files != base.files:
            manifest = Manifest(
                base.number + 1,
                run_id or base.run_id,
                datetime.now(UTC).isoformat(timespec="seconds"),
                versions or base.versions,
                files,
            )
            store.publish(manifest)
            _write_session(warehouse, _Session(manifest, session.upload))
            # A run that is still uploading started from an older manifest, and will be refused.
            listed = {f.object for one in (base, manifest) for f in one.files.values()}
            listed |= {_manifest_path(base.number)}
            try:
                store.remove(sizes.keys() - listed)
            except Exception as error:  # The new state is published in any case.
                announce("upload", f"old files could not be removed ({describe_error(error)})")
            _offer_database(warehouse, manifest)
    _announce("upload", "to", warehouse, changed, len(files), started)
    return True


def fetch_missing(paths: Iterable[Path]) -> None:
    """Fetch the data of stage files that are placeholders, and check it.

    Call it before reading more than the footers of files that an earlier run may have made.

    Args:
        paths: Files, and folders of files, of one warehouse; those that are here stay as they are.

    Raises:
        LostFileError: The store has lost or damaged some of them, which are removed here.
        ConflictError: The store has lost some because other runs have published.
        WarehouseError: The store cannot be used.
    """
    files = {file for path in paths for file in list_parts(path)}
    if not any(map(is_placeholder, files)):
        return
    with _FETCHING:  # another step may be fetching the same files
        missing = sorted(filter(is_placeholder, files))
        if missing:
            _fetch_data(missing)


def _fetch_data(paths: list[Path]) -> None:
    started = time.perf_counter()
    warehouse = _find_copy(paths[0])
    session = _read_session(warehouse)
    files = [_known_file(warehouse, session, path) for path in paths]
    with _open_store(warehouse) as store:

        def fetch(file: StoredFile) -> str | None:
            try:
                store.fetch(file, warehouse.folder / file.name)
            except _DamagedError as error:
                return str(error)
            return None

        found = zip(files, _run_in_threads(fetch, files), strict=True)
        problems = {file.name: problem for file, problem in found if problem}
        if problems and store.current().number != session.base.number:
            raise _overtaken(store.address)
    if problems:
        damaged = (*session.damaged, *problems)
        _write_session(warehouse, replace(session, damaged=damaged))
        for name, problem in problems.items():
            (warehouse.folder / name).unlink(missing_ok=True)
            announce("fetch", f"{problem}; it is rebuilt")
        raise LostFileError("; ".join(problems.values()))
    _announce("fetch", "from", warehouse, files, len(session.base.files), started)


def _find_copy(path: Path) -> Warehouse:
    """Return the warehouse of a file in a working copy."""
    for folder in path.parents:
        with suppress(OSError, ValueError, KeyError):
            fields = json.loads(_session_file(Warehouse(folder)).read_text(encoding="utf-8"))
            return Warehouse(folder, fields["address"])
    raise WarehouseError(f"{path} is a placeholder outside of any working copy; remove it")


def _overtaken(address: str) -> ConflictError:
    return ConflictError(
        f"another run has published to {address} during this one; run again: finished "
        "stages are kept"
    )


# ---- the files of a copy ------------------------------------------------------------------------


def _fetch_index(warehouse: Warehouse, store: _Store, manifest: Manifest) -> list[StoredFile]:
    """Fetch the index of the published files if it is new, and return the files fetched.

    Nothing is fetched if an earlier version has published, or if the index is damaged.
    """
    path = warehouse.index_file
    file = manifest.files.get(warehouse.name_of(path))
    if file is None or _has_content(path, file):
        return []
    try:
        store.fetch(file, path)
    except _DamagedError:
        path.unlink(missing_ok=True)
        return []
    return [file]


def _write_indexed(path: Path, file: StoredFile, indexed: Indexed | None) -> bool:
    """Write a file, or the placeholder for it, as far as the index has it; else return False."""
    if indexed is None or indexed.sha256 != file.sha256:
        return False
    if path.suffix != ".parquet":
        with write_atomically(path) as temporary:
            temporary.write_bytes(indexed.content)
            os.utime(temporary, ns=(file.mtime_ns, file.mtime_ns))
        return True
    if not (is_placeholder(path) and _is_placeholder_for(path, file, indexed.content)):
        with write_atomically(path) as temporary:
            write_placeholder(temporary, indexed.content, file.size, file.mtime_ns)
    return True


def _is_placeholder_for(path: Path, file: StoredFile, footer: bytes) -> bool:
    stat = path.stat()
    has_state = (stat.st_size, stat.st_mtime_ns) == (file.size, file.mtime_ns)
    return has_state and read_footer(path) == footer


def _index_files(warehouse: Warehouse, stored: Mapping[Path, StoredFile]) -> list[Path]:
    """Write the index of the files that a manifest will list; return it if it has any row."""
    before = read_index(warehouse.index_file)
    stages = warehouse.folder / "stages"
    rows = {}
    for path, file in stored.items():
        known = before.get(file.name)
        content: bytes | None
        if known is not None and known.sha256 == file.sha256:
            content = known.content
        elif path.suffix == ".parquet":
            content = read_footer(path)
        else:
            is_small = file.size <= _SMALL_BYTES and path.parent.parent == stages
            content = path.read_bytes() if is_small else None
        if content is not None:
            rows[file.name] = Indexed(file.sha256, content)
    if not rows:
        return []
    with write_atomically(warehouse.index_file) as temporary:
        write_index(temporary, rows)
    return [warehouse.index_file]


def _public_files(warehouse: Warehouse) -> list[Path]:
    """Return the files of a working copy that are published, unlike those for this machine.

    The index, which is made of them, is not among them.
    """
    folder = warehouse.folder
    single = [warehouse.database, warehouse.report, *folder.glob("nightly/*")]
    private = (warehouse.digests_file, warehouse.index_file, _session_file(warehouse))
    stages = [
        path
        for kind in ("ngrams", "queries", "stages")
        for path in folder.glob(f"{kind}/**/*")
        if path not in private and warehouse.scratch not in path.parents
    ]
    return [path for path in (*single, *stages) if path.is_file()]


def _stored_files(
    warehouse: Warehouse, session: _Session, paths: Iterable[Path]
) -> dict[Path, StoredFile]:
    """Return the manifest's entry for each file: the old one if the content is the same."""
    paths = list(paths)
    found = {path: _known_file(warehouse, session, path) for path in paths if is_placeholder(path)}
    for path, sha256 in warehouse.digests(path for path in paths if path not in found).items():
        name, stat = warehouse.name_of(path), path.stat()
        old = session.base.files.get(name)
        if old is not None and (old.size, old.sha256) == (stat.st_size, sha256):
            found[path] = old
            continue
        first, _, rest = name.partition("/")
        place = f"{first}/{session.upload}/{rest}" if rest else f"published/{session.upload}/{name}"
        found[path] = StoredFile(name, place, stat.st_size, sha256, stat.st_mtime_ns)
    return found


def _known_file(warehouse: Warehouse, session: _Session, placeholder: Path) -> StoredFile:
    file = session.base.files.get(warehouse.name_of(placeholder))
    if file is None:
        raise WarehouseError(
            f"{warehouse.folder} does not say where {placeholder.name} is stored; remove this "
            "copy, and run again"
        )
    return file


def _session_file(warehouse: Warehouse) -> Path:
    return warehouse.folder / "stages" / "store.json"


def _write_session(warehouse: Warehouse, session: _Session) -> None:
    fields = {
        "address": warehouse.address,
        "base": session.base.as_json(),
        "upload": session.upload,
        "damaged": session.damaged,
    }
    with write_atomically(_session_file(warehouse)) as temporary:
        temporary.write_text(json.dumps(fields), encoding="utf-8")


def _read_session(warehouse: Warehouse) -> _Session:
    """Return the session of a working copy; a new copy starts from an empty manifest."""
    file = _session_file(warehouse)
    with suppress(OSError):
        state = file.stat()
        return _parse_session(file, (state.st_ino, state.st_mtime_ns))
    return _Session(Manifest(), "")


@lru_cache(maxsize=4)  # each step that fetches files reads it
def _parse_session(file: Path, _state: tuple[int, int]) -> _Session:
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        base = _parse_manifest(fields["base"], str(file))
        return _Session(base, fields["upload"], tuple(fields["damaged"]))
    except (ValueError, KeyError, TypeError, WarehouseError):
        return _Session(Manifest(), "")


def _announce(
    stage: str, to: str, warehouse: Warehouse, files: list[StoredFile], total: int, started: float
) -> None:
    n_bytes = sum(file.size for file in files)
    seconds = time.perf_counter() - started
    announce(
        stage,
        f"{len(files):,} of {total:,} files {to} {warehouse.address}, {n_bytes / 1e6:,.1f} MB, "
        f"{seconds:.1f} s",
        n_files=len(files),
        n_bytes=n_bytes,
        seconds=seconds,
    )


# ---- names in published results -----------------------------------------------------------------


@dataclass(frozen=True)
class AddressedFiles:
    """Files of a warehouse on a store, to be read by their addresses; empty for one on disk."""

    system: "fsspec.AbstractFileSystem | None" = None

    def register_with(self, con: "duckdb.DuckDBPyConnection") -> None:
        """Let a connection read the addresses that the published database names."""
        if self.system is not None:
            con.register_filesystem(self.system)


@dataclass(frozen=True)
class PublicNames:
    """The names of stage files in published results: full paths, or addresses on the store.

    Attributes:
        addresses: The addresses of files that are on the store, or will be uploaded to it.
        files: The same files, to be read by their addresses.
    """

    addresses: Mapping[Path, str] = field(default_factory=dict)
    files: AddressedFiles = field(default_factory=AddressedFiles)

    def of(self, path: Path) -> str:
        """Return the name of a file."""
        return self.addresses.get(path) or str(path)


def public_names(warehouse: Warehouse, paths: Iterable[Path]) -> PublicNames:
    """Return the names of stage files in published results.

    Args:
        warehouse: The warehouse; if it has an address, after ``pull``.
        paths: Files, and folders of files.
    """
    if warehouse.address is None:
        return PublicNames()
    names, stored = {}, {}
    files = {file for path in paths for file in list_parts(path)}
    for path, file in _stored_files(warehouse, _read_session(warehouse), files).items():
        names[path] = f"{warehouse.address}/{file.object}"
        # Used if the folder holds the partitions of one corpus, which are uploaded together.
        names[path.parent] = names[path].rpartition("/")[0]
        stored[names[path]] = file

    def locate(file: StoredFile) -> Path:
        path = warehouse.folder / file.name
        fetch_missing([path])
        return path

    def find_end(file: StoredFile) -> bytes | None:
        path = warehouse.folder / file.name
        return read_footer(path) if is_placeholder(path) else None

    system = _file_system(warehouse.address, stored, locate, find_end)
    return PublicNames(names, AddressedFiles(system))


# ---- readers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """A published database, and the files that queries of it may need."""

    database: Path
    files: AddressedFiles = field(default_factory=AddressedFiles)


def find_published(warehouse: Warehouse) -> Published:
    """Return the published state of a warehouse; download its database if that is new.

    Raises:
        WarehouseError: The store cannot be used, or has lost or damaged the database.
    """
    if warehouse.address is None:
        return Published(warehouse.database)
    with warehouse.explain_disk_errors(), _open_store(warehouse) as store:
        manifest = store.current()
        database = manifest.files.get(warehouse.database.name)
        if database is None:
            return Published(_reader_folder(warehouse) / warehouse.database.name)
        try:
            path = _fetch_for_readers(warehouse, store, database)
        except WarehouseError:
            if store.current().number != manifest.number:
                return find_published(warehouse)  # two runs have replaced it meanwhile
            raise
        _remove_old_copies(path)
        stored = {f"{warehouse.address}/{f.object}": f for f in manifest.files.values()}
        find_end = partial(_find_end, cache(partial(_index_for_readers, warehouse, manifest)))
        system = _file_system(warehouse.address, stored, partial(_locate, warehouse), find_end)
        return Published(path, AddressedFiles(system))


def _index_for_readers(warehouse: Warehouse, manifest: Manifest) -> Mapping[str, Indexed]:
    """Return the index of the published files; nothing if the store has none that is intact."""
    file = manifest.files.get(warehouse.name_of(warehouse.index_file))
    if file is not None:
        with suppress(WarehouseError):
            return read_index(_locate(warehouse, file))
    return {}


def _find_end(read: Callable[[], Mapping[str, Indexed]], file: StoredFile) -> bytes | None:
    """Return the footer of a Parquet file from the index; None if that does not have it."""
    indexed = read().get(file.name)
    return indexed.content if indexed and indexed.sha256 == file.sha256 else None


def _locate(warehouse: Warehouse, file: StoredFile) -> Path:
    """Return a local copy of a stored file, from the working copy if it has the same content."""
    own = warehouse.folder / file.name
    if not is_placeholder(own) and _has_content(own, file):
        return own
    with warehouse.explain_disk_errors(), _open_store(warehouse) as store:
        return _fetch_for_readers(warehouse, store, file)


def _fetch_for_readers(warehouse: Warehouse, store: _Store, file: StoredFile) -> Path:
    """Return a copy of a stored file for readers, who must not see the working copy of a run.

    Raises:
        WarehouseError: The store has lost or damaged the file.
    """
    path = _reader_copy(warehouse, file)
    if not _has_content(path, file):
        try:
            store.fetch(file, path)
        except _DamagedError as error:
            raise WarehouseError(
                f"{error}; remove it there if it exists, and run again to rebuild it"
            ) from None
    return path


def _reader_copy(warehouse: Warehouse, file: StoredFile) -> Path:
    return _reader_folder(warehouse) / file.sha256[:16] / PurePosixPath(file.name).name


def _reader_folder(warehouse: Warehouse) -> Path:
    return warehouse.folder.with_name("published")


def _offer_database(warehouse: Warehouse, manifest: Manifest) -> None:
    """Link the new database for readers on this machine, so that they need not download it."""
    file = manifest.files.get(warehouse.database.name)
    if file is not None:
        path = _reader_copy(warehouse, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Later runs replace the database by another file, so the linked one never changes.
        with suppress(OSError):
            os.link(warehouse.database, path)
        _remove_old_copies(path)


def _remove_old_copies(current: Path) -> None:
    """Remove old copies for readers; an open file stays readable."""
    for path in current.parent.parent.glob("*/*"):
        with suppress(OSError):
            is_old = time.time() - path.stat().st_ctime > _OLD_COPY_SECONDS
            if is_old and path.parent != current.parent:
                path.unlink()
                path.parent.rmdir()


def _file_system(
    address: str,
    stored: Mapping[str, StoredFile],
    locate: Callable[[StoredFile], Path],
    find_end: Callable[[StoredFile], bytes | None],
) -> "fsspec.AbstractFileSystem":
    """Return a file system with the files of one warehouse at their addresses, for DuckDB.

    Args:
        address: The address of the warehouse.
        stored: The files by their addresses.
        locate: Returns the local copy of a file; it is called once for each, when DuckDB reads it.
        find_end: Returns the last bytes of a file, if they are known without a local copy.
    """
    from fsspec import AbstractFileSystem

    class Files(AbstractFileSystem):  # type: ignore[misc, unused-ignore]
        protocol = address.partition("://")[0]

        def glob(self, path: str, **_: Any) -> list[str]:
            """Return the files that a pattern matches, or those below a folder."""
            patterns = (path, f"{path}/*")
            return sorted(one for one in stored if any(fnmatchcase(one, p) for p in patterns))

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            file = stored.get(path)
            if file is None:
                raise FileNotFoundError(f"{path} does not belong to {address}")
            return {"name": path, "size": file.size, "type": "file"}

        def modified(self, path: str) -> datetime:
            return datetime.fromtimestamp(stored[path].mtime_ns / 1e9, UTC)

        def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
            size = self.info(path)["size"]
            end = None if path in located else find_end(stored[path])
            return LazyFile(size, end or b"", partial(locate_once, path))

    def locate_once(path: str) -> Path:
        with locks.setdefault(path, threading.Lock()):
            if path not in located:
                located[path] = locate(stored[path])
            return located[path]

    located: dict[str, Path] = {}
    locks: dict[str, threading.Lock] = {}
    return Files(skip_instance_cache=True)
