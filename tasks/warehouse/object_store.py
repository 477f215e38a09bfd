"""Warehouses on object stores: a working copy on disk, and manifests that publish it.

A run works in its copy of the warehouse, a folder of this user's on this machine, and publishes at
its end: it uploads what has changed, each file whole and under a name that is never used again, and
then creates the next manifest, which names all files of the warehouse with their digests. The
manifest of the highest number is what there is. It is created only where there is none of that
number: of two runs that started from the same one, the second is told. Files that neither it nor
the one before it names are removed. Readers fetch the database that it names, and other files when
a query asks for them.

Whatever fsspec has a driver for can be such a store; credentials are the driver's affair.
"""

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from nl2sql_align.tasks.base.errors import (
    AlignError,
    ConfigurationError,
    ConflictError,
    WarehouseError,
)
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.warehouse.addresses import holds_credentials, is_address, told
from nl2sql_align.tasks.warehouse.count_files import count_files
from nl2sql_align.tasks.warehouse.folder import Warehouse, written_whole

if TYPE_CHECKING:
    import duckdb
    import fsspec

CACHE_VARIABLE: Final = "NL2SQL_ALIGN_CACHE"
FORMAT: Final = 1
"""The manifest's form; goes up when older programs could not read it."""

_SIDE_BY_SIDE: Final = 8
_LARGE_BYTES: Final = 1 << 24
_OF_THE_DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_MANIFEST: Final = re.compile(r"manifests/(\d{10})\.json")
_UPLOADED: Final = re.compile(r"(ngrams|nightly|published|stages)/\d{8}T\d{6}Z-[0-9a-f]{8}/.+")
_OLD_COPY_SECONDS: Final = 24 * 3600


# ---- what a manifest says -----------------------------------------------------------------------


@dataclass(frozen=True)
class StoredFile:
    """A file of a warehouse on a store.

    Attributes:
        name: Its path in the warehouse.
        object: Its path below the address.
        size: In bytes.
        sha256: Of its content.
        mtime_ns: When it was written.
    """

    name: str
    object: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class Manifest:
    """What is published under an address: all files, by name, and what made them."""

    number: int = 0
    run_id: str | None = None
    written_at: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, StoredFile] = field(default_factory=dict)

    def as_json(self) -> str:
        """The manifest as text; the same one gives the same text."""
        files = [asdict(self.files[name]) for name in sorted(self.files)]
        said = {**vars(self), "format": FORMAT, "files": files}
        return json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _parsed(text: bytes | str, shown: str) -> Manifest:
    """A manifest from its text.

    Raises:
        WarehouseError: It is none, or of a newer form.
    """
    try:
        said = json.loads(text)
        if said["format"] > FORMAT:
            raise WarehouseError(
                f"{shown} was made by a newer nl2sql-align; install that version to use it"
            )
        files = [StoredFile(**file) for file in said["files"]]
        # What comes from elsewhere must not name files outside of the working copy.
        for path in (PurePosixPath(p) for file in files for p in (file.name, file.object)):
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"it names {path}")
        return Manifest(
            int(said["number"]),
            said["run_id"],
            said["written_at"],
            said["versions"],
            {file.name: file for file in files},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WarehouseError(f"{shown} is no manifest ({error}); remove it there") from None


# ---- where a warehouse is -----------------------------------------------------------------------


def warehouse_at(place: Path | str) -> Warehouse:
    """The warehouse in a folder, or under an address on a store, with its working copy.

    Args:
        place: The folder, or the address as text, such as ``s3://bucket/prefix``.

    Raises:
        ConfigurationError: The address cannot be one of a warehouse.
    """
    if isinstance(place, Path):
        if re.match(r"[a-z][a-z0-9+.-]+:/", place.as_posix()):
            raise ConfigurationError(f"{place} was an address before it became a path; give a text")
        return Warehouse(place)
    if not is_address(place):
        return Warehouse(Path(place))
    if holds_credentials(place):
        raise ConfigurationError(
            "the warehouse's address holds what may be credentials; take them out, and let the "
            "environment have them"
        )
    address = place.rstrip("/")
    if re.search(r"[?*\[\]#\s\\'\"]", address) or not is_address(address):
        raise ConfigurationError(
            f"{place!r} cannot be the address of a warehouse; name one such as s3://bucket/prefix"
        )
    words = re.sub(r"[^A-Za-z0-9.-]+", "-", address)[-60:].strip(".-")
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    return Warehouse(_cache() / f"{words}-{digest}" / "copy", address)


def _cache() -> Path:
    """Where working copies stand."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).absolute()
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches).absolute() / "nl2sql-align"


# ---- the store ----------------------------------------------------------------------------------


class _DamagedError(Exception):
    """A file on the store is not what the manifest says, or is gone."""


class _Store:
    """What stands below an address."""

    def __init__(self, address: str) -> None:
        from fsspec.core import url_to_fs

        self.address = address
        self._fs: fsspec.AbstractFileSystem
        self._fs, root = url_to_fs(address)
        if hasattr(self._fs, "auto_mkdir"):  # folders on disks, and what is like them
            self._fs.auto_mkdir = True
        self._root = root.rstrip("/")

    def current(self) -> Manifest:
        """The manifest of the highest number; an empty one where there is none."""
        # A manifest may be removed between these two looks, but then there is a newer one.
        for _ in range(3):
            numbers = self._numbers()
            if not numbers:
                return Manifest()
            with suppress(FileNotFoundError):
                path = _manifest_path(max(numbers))
                return _parsed(self._fs.cat_file(self._at(path)), f"{self.address}/{path}")
        raise FileNotFoundError(f"{self.address}/manifests")

    def check(self) -> None:
        """Raises where there is no such bucket: better now than at the end of a run."""
        bucket = self._root.partition("/")[0]
        if bucket and not self._fs.exists(bucket):
            raise FileNotFoundError(f"there is no {bucket}")

    def sizes(self) -> dict[str, int]:
        """All objects that a run may have put there, with their sizes."""
        self._fs.invalidate_cache()
        found = self._fs.find(self._root, detail=True)
        below = {
            path.removeprefix(self._root).lstrip("/"): int(info["size"])
            for path, info in found.items()
        }
        return {p: n for p, n in below.items() if _UPLOADED.fullmatch(p) or _MANIFEST.fullmatch(p)}

    def fetch(self, file: StoredFile, destination: Path) -> None:
        """Fetches a file whole.

        Raises:
            _DamagedError: It is not what the manifest says.
        """
        with written_whole(destination) as temporary:
            try:
                self._fs.get_file(self._at(file.object), str(temporary))
            except FileNotFoundError:
                raise _DamagedError(f"{self.address}/{file.object} is gone") from None
            if not _is(temporary, file):
                raise _DamagedError(f"{self.address}/{file.object} is damaged")
            os.utime(temporary, ns=(file.mtime_ns, file.mtime_ns))

    def upload(self, files: Iterable[StoredFile], sources: Mapping[str, Path]) -> None:
        """Puts files in their places, from sources by name; stores show one when it is whole."""

        def upload(file: StoredFile) -> None:
            self._fs.put_file(str(sources[file.name]), self._at(file.object))

        by_size = sorted(files, key=lambda file: file.size)
        n_small = sum(file.size <= _LARGE_BYTES for file in by_size)
        _side_by_side(upload, by_size[:n_small])
        for file in by_size[n_small:]:  # drivers hold parts of each in memory
            upload(file)

    def publish(self, manifest: Manifest) -> None:
        """Creates a manifest.

        Raises:
            ConflictError: There is one of that number, or of a higher one.
        """
        path = _manifest_path(manifest.number)
        place, content = self._at(path), manifest.as_json().encode()
        refusal: Exception | None = None
        # Drivers that do not know mode "create" may take it for leave to overwrite.
        if max(self._numbers(), default=0) < manifest.number:
            try:
                self._fs.pipe_file(place, content, mode="create")
            except Exception as error:  # also where it is there, and only the answer was lost
                refusal = error
        numbers = self._numbers()
        if max(numbers, default=0) == manifest.number and self._fs.cat_file(place) == content:
            return
        if refusal is not None and manifest.number not in numbers:
            raise refusal
        raise ConflictError(
            f"another run has published to {self.address} while this one was at work; nothing is "
            "lost: run again, and only what has changed is done"
        )

    def remove(self, objects: Iterable[str]) -> None:
        """Removes objects; those that are gone already are no trouble."""

        def remove(path: str) -> None:
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._at(path))

        _side_by_side(remove, objects)

    def _numbers(self) -> set[int]:
        self._fs.invalidate_cache()
        try:
            paths = self._fs.ls(self._at("manifests"), detail=False)
        except FileNotFoundError:
            return set()
        found = (_MANIFEST.fullmatch("/".join(path.rsplit("/", 2)[-2:])) for path in paths)
        return {int(match[1]) for match in found if match}

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"


def _manifest_path(number: int) -> str:
    return f"manifests/{number:010d}.json"


def _side_by_side(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return list(pool.map(function, items))


def _is(path: Path, file: StoredFile) -> bool:
    """Whether a file on disk has that content."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


@contextmanager
def _reaching(warehouse: Warehouse) -> Iterator[_Store]:
    """The store; trouble with it, in the block, becomes an error that says so in one line."""
    assert warehouse.address is not None
    try:
        yield _Store(warehouse.address)
    except AlignError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK and error.filename:
            raise  # the working copy's
        raise WarehouseError(
            f"{warehouse.address} cannot be used ({told(error)}); what is done is not lost: check "
            "the address, the credentials in the environment, and that the store's driver is there "
            "(make align EXTRAS=s3)"
        ) from None


# ---- runs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Session:
    """From what a working copy starts, and under which name it uploads.

    Attributes:
        base: What was published when the copy was last brought in line.
        upload: Part of the names of all that is uploaded; used once.
        damaged: Names of files that the store has no whole content of.
    """

    base: Manifest
    upload: str
    damaged: tuple[str, ...] = ()

    def stored(self, name: str, size: int, sha256: str, mtime_ns: int) -> StoredFile:
        """How the manifest names a file of that content: as before, where it is the same."""
        old = self.base.files.get(name)
        if old is not None and (old.size, old.sha256) == (size, sha256):
            return old
        first, _, rest = name.partition("/")
        above = f"{first}/{self.upload}/{rest}" if rest else f"published/{self.upload}/{name}"
        return StoredFile(name, above, size, sha256, mtime_ns)


def check_store(warehouse: Warehouse) -> None:
    """Looks whether the store of a warehouse answers, before there is any work.

    Raises:
        WarehouseError: It does not, or has no such bucket.
    """
    if warehouse.address is not None:
        with _reaching(warehouse) as store:
            store.check()


def pull(warehouse: Warehouse, *names: str) -> bool:
    """Brings the working copy of a warehouse in line with what is published.

    What the copy has with the right content is not fetched. Files that were published once and no
    longer are go; stage files that were never published stay. What the store has damaged is left
    out, for the run to make anew.

    Args:
        warehouse: The warehouse, locked; one that has no address is left as it is.
        names: Only these files, where given.

    Returns:
        Whether there is a store to pull from.

    Raises:
        WarehouseError: The store cannot be used.
    """
    if warehouse.address is None:
        return False
    started = time.perf_counter()
    with _reaching(warehouse) as store:
        base = store.current()
        if not base.number:
            store.check()
        before = _read_session(warehouse).base.files
        stages = set(warehouse.stage_files())
        for path in _publishable(warehouse):
            name = path.relative_to(warehouse.folder).as_posix()
            if name not in base.files and (name in before or path not in stages):
                path.unlink()
        wanted = [f for f in base.files.values() if not names or f.name in names]
        places = {warehouse.folder / file.name: file for file in wanted}
        there = warehouse.digests(path for path in places if path.is_file())
        lacking = [f for path, f in places.items() if there.get(path) != f.sha256]

        def fetch(file: StoredFile) -> str | None:
            try:
                store.fetch(file, warehouse.folder / file.name)
            except _DamagedError as error:
                (warehouse.folder / file.name).unlink(missing_ok=True)
                announce("fetch", f"{error}: made anew")
                return file.name
            return None

        damaged = [name for name in _side_by_side(fetch, lacking) if name]
        if damaged and store.current().number != base.number:
            return pull(
                warehouse, *names
            )  # two runs have ended meanwhile, and removed what was there
    upload = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    _write_session(warehouse, _Session(base, upload, tuple(damaged)))
    if not names:
        warehouse.seal()
    _announce("fetch", "from", warehouse, lacking, len(wanted), started)
    return True


def push(
    warehouse: Warehouse,
    *names: str,
    run_id: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> bool:
    """Publishes what has changed in a working copy since it was brought in line.

    Args:
        warehouse: The warehouse, locked since ``pull``; one that has no address is left as it is.
        names: Only these files, where given; the others stay as they are published.
        run_id: The run that made them; by default, the one before.
        versions: Of what made them; by default, as before.

    Returns:
        Whether there is a store to push to.

    Raises:
        ConflictError: Another run has published since. The working copy keeps its stages.
        WarehouseError: The store cannot be used.
    """
    if warehouse.address is None:
        return False
    started = time.perf_counter()
    session = _read_session(warehouse)
    base = session.base
    with _reaching(warehouse) as store:
        files = {n: f for n, f in base.files.items() if names and n not in names}
        paths = {
            path.relative_to(warehouse.folder).as_posix(): path for path in _publishable(warehouse)
        }
        given = {n: path for n, path in paths.items() if not names or n in names}
        digests = warehouse.digests(given.values())
        for name, path in given.items():
            stat = path.stat()
            files[name] = session.stored(name, stat.st_size, digests[path], stat.st_mtime_ns)
        there = store.sizes()
        changed = [
            file
            for file in (files[name] for name in given)
            if there.get(file.object) != file.size or file.name in session.damaged
        ]
        store.upload(changed, given)
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
            # Whoever may still be uploading started from an older manifest, and will be refused.
            named = {f.object for one in (base, manifest) for f in one.files.values()}
            named |= {_manifest_path(base.number)}
            try:
                store.remove(there.keys() - named)
            except Exception as error:  # it is published all the same
                announce("upload", f"old files could not be removed ({told(error)})")
            _offer_database(warehouse, manifest)
    _announce("upload", "to", warehouse, changed, len(files), started)
    return True


def _publishable(warehouse: Warehouse) -> list[Path]:
    """The files of a working copy that belong to its warehouse, and not to this machine."""
    folder = warehouse.folder
    single = [warehouse.database, folder / "report.html", *folder.glob("nightly/*")]
    private = (warehouse.scratch, warehouse.seals, _session_file(warehouse))
    stages = [
        path
        for path in (*folder.glob("ngrams/**/*"), *folder.glob("stages/**/*"))
        if path not in private and warehouse.scratch not in path.parents
    ]
    return [path for path in (*single, *stages) if path.is_file()]


def _session_file(warehouse: Warehouse) -> Path:
    return warehouse.folder / "stages" / "store.json"


def _write_session(warehouse: Warehouse, session: _Session) -> None:
    said = {
        "base": session.base.as_json(),
        "upload": session.upload,
        "damaged": session.damaged,
    }
    with written_whole(_session_file(warehouse)) as temporary:
        temporary.write_text(json.dumps(said), encoding="utf-8")


def _read_session(warehouse: Warehouse) -> _Session:
    """The session of a working copy; a new copy has one that starts from nothing."""
    file = _session_file(warehouse)
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return _Session(_parsed(said["base"], str(file)), said["upload"], tuple(said["damaged"]))
    except (OSError, ValueError, KeyError, TypeError, WarehouseError):
        return _Session(Manifest(), "")


def _announce(
    stage: str, way: str, warehouse: Warehouse, files: list[StoredFile], total: int, started: float
) -> None:
    n_bytes = sum(file.size for file in files)
    seconds = time.perf_counter() - started
    announce(
        stage,
        f"{len(files):,} of {total:,} files {way} {warehouse.address}, {n_bytes / 1e6:,.1f} MB, "
        f"{seconds:.1f} s",
        n_files=len(files),
        n_bytes=n_bytes,
        seconds=seconds,
    )


# ---- what published results call files ----------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """Files of a warehouse on a store under their addresses; nothing for one on disk."""

    files: "fsspec.AbstractFileSystem | None" = None

    def to(self, con: "duckdb.DuckDBPyConnection") -> None:
        """Lets a connection read the addresses that the published database names."""
        if self.files is not None:
            con.register_filesystem(self.files)


@dataclass(frozen=True)
class PublicNames:
    """What published results call stage files: their full paths, or their addresses on the store.

    Attributes:
        addresses: Of those that have one, or will when they are uploaded.
        served: The same files, to be read by these addresses.
    """

    addresses: Mapping[Path, str] = field(default_factory=dict)
    served: Served = field(default_factory=Served)

    def of(self, path: Path) -> str:
        """The name of one of the files."""
        return self.addresses.get(path) or str(path)


def public_names(warehouse: Warehouse, paths: Iterable[Path]) -> PublicNames:
    """What published results call stage files of a warehouse.

    Args:
        warehouse: The warehouse; where it has an address, ``pull`` came before.
        paths: Files, and folders of files.
    """
    if warehouse.address is None:
        return PublicNames()
    session = _read_session(warehouse)
    names = {}
    stored = {}
    files = {file for path in paths for file in count_files(path)}
    for path, sha256 in warehouse.digests(files).items():
        stat = path.stat()
        name = path.relative_to(warehouse.folder).as_posix()
        file = session.stored(name, stat.st_size, sha256, stat.st_mtime_ns)
        names[path] = f"{warehouse.address}/{file.object}"
        # Asked for where it is a corpus's own folder, of partitions: they go up together.
        names[path.parent] = names[path].rpartition("/")[0]
        stored[names[path]] = file
    served = _files(warehouse.address, stored, lambda file: warehouse.folder / file.name)
    return PublicNames(names, Served(served))


# ---- readers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """What a reader opens: a database, and the files that a query of it may ask for."""

    database: Path
    served: Served = field(default_factory=Served)


def published(warehouse: Warehouse) -> Published:
    """What is published of a warehouse now; its database is fetched, unless it has been before.

    Raises:
        WarehouseError: The store cannot be used, or has damaged files.
    """
    if warehouse.address is None:
        return Published(warehouse.database)
    with warehouse.explaining(), _reaching(warehouse) as store:
        manifest = store.current()
        database = manifest.files.get(warehouse.database.name)
        if database is None:
            return Published(_readers(warehouse) / warehouse.database.name)
        try:
            path = _fetched(warehouse, store, database)
        except WarehouseError:
            if store.current().number != manifest.number:
                return published(warehouse)  # two runs have ended meanwhile
            raise
        _remove_old_copies(path)
        stored = {f"{warehouse.address}/{f.object}": f for f in manifest.files.values()}
        return Published(
            path, Served(_files(warehouse.address, stored, partial(_located, warehouse)))
        )


def _located(warehouse: Warehouse, file: StoredFile) -> Path:
    """A copy of a file on the store: the working copy's, where that has the same content."""
    own = warehouse.folder / file.name
    if own.is_file() and warehouse.digests([own])[own] == file.sha256:
        return own
    with warehouse.explaining(), _reaching(warehouse) as store:
        return _fetched(warehouse, store, file)


def _fetched(warehouse: Warehouse, store: _Store, file: StoredFile) -> Path:
    """A copy of a file on the store beside the working copy, which is its run's alone.

    Raises:
        WarehouseError: The store's is damaged or gone.
    """
    path = _beside(warehouse, file)
    if not _is(path, file):
        try:
            store.fetch(file, path)
        except _DamagedError as error:
            raise WarehouseError(
                f"{error}; remove it there if it is not gone, and run again: it is made anew"
            ) from None
    return path


def _beside(warehouse: Warehouse, file: StoredFile) -> Path:
    return _readers(warehouse) / file.sha256[:16] / PurePosixPath(file.name).name


def _readers(warehouse: Warehouse) -> Path:
    return warehouse.folder.with_name("published")


def _offer_database(warehouse: Warehouse, manifest: Manifest) -> None:
    """Spares readers on this machine to fetch the database that was made here."""
    file = manifest.files.get(warehouse.database.name)
    if file is not None:
        path = _beside(warehouse, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A link: a run that comes later puts another file in the database's place.
        with suppress(OSError):
            os.link(warehouse.database, path)
        _remove_old_copies(path)


def _remove_old_copies(current: Path) -> None:
    """Removes what readers fetched long ago; who has a file open keeps it."""
    for path in current.parent.parent.glob("*/*"):
        with suppress(OSError):
            is_old = time.time() - path.stat().st_ctime > _OLD_COPY_SECONDS
            if is_old and path.parent != current.parent:
                path.unlink()
                path.parent.rmdir()


def _files(
    address: str, stored: Mapping[str, StoredFile], locate: Callable[[StoredFile], Path]
) -> "fsspec.AbstractFileSystem":
    """A file system with the files of one warehouse under their addresses, for DuckDB to read.

    Args:
        address: The warehouse's.
        stored: Its files by their addresses.
        locate: Gives a file's copy on disk.
    """
    from fsspec import AbstractFileSystem
    from fsspec.implementations.local import LocalFileSystem

    class Files(AbstractFileSystem):  # type: ignore[misc, unused-ignore]
        protocol = address.partition("://")[0]

        def glob(self, path: str, **_: Any) -> list[str]:
            """The files that a pattern matches, or that are below a folder."""
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
            self.info(path)
            if path not in located:
                located[path] = locate(stored[path])
            return local.open(str(located[path]), "rb")

    local = LocalFileSystem()
    located: dict[str, Path] = {}
    return Files(skip_instance_cache=True)
