"""The warehouse folder: the names of its files, atomic writes, the lock, and checks for damage.

Every stage writes new files under temporary names and renames them once they are complete. The name
of a stage file holds a key: a digest of everything that can change its content. A stage file that
exists is therefore current, and is not written again.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

from nl2sql_align.tasks.base.errors import AlignError, WarehouseError, find_disk_reason
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.warehouse.folder_lock import FolderLock, lock_folder
from nl2sql_align.tasks.warehouse.ownership import (
    check_owner,
    is_temporary,
    list_stage_files,
    mark_owner,
    name_temporary,
)
from nl2sql_align.tasks.warehouse.part_files import list_parts
from nl2sql_align.tasks.warehouse.placeholders import is_placeholder
from nl2sql_align.tasks.warehouse.regular_files import open_regular

_SECONDS_BETWEEN_TRIES = 0.2
_CHUNK = 1 << 20


def stage_key(**parts: object) -> str:
    """Return the key of a stage file: a digest of everything that its content depends on.

    Args:
        parts: Values that the content depends on, of types that JSON has.

    Returns:
        32 hexadecimal digits.
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_file(path: Path, n_bytes: int | None = None) -> str:
    """Return the SHA-256 of a file, or of its first bytes, in hexadecimal."""
    with open_regular(path) as file:
        if n_bytes is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        while chunk := file.read(min(n_bytes, _CHUNK)):
            digest.update(chunk)
            n_bytes -= len(chunk)
        return digest.hexdigest()


@contextmanager
def write_atomically(destination: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``destination``, and rename it if the block succeeds."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(name_temporary(destination.name, uuid4().hex[:12]))
    try:
        yield temporary
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)


def write_if_changed(destination: Path, text: str) -> None:
    """Write a text atomically, unless the file holds it already."""
    content = text.encode()
    if not destination.exists() or destination.read_bytes() != content:
        with write_atomically(destination) as temporary:
            temporary.write_bytes(content)


@dataclass(frozen=True)
class _FileRecord:
    """The state of a complete file, which reveals later damage."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Warehouse:
    """The folder that a run writes and that users query.

    Attributes:
        folder: The folder; for a warehouse on an object store, its working copy.
        address: The address of a warehouse on a store.
    """

    folder: Path
    address: str | None = None

    @property
    def place(self) -> Path | str:
        """The address or the folder, as users know the warehouse."""
        return self.address or self.folder

    @property
    def resolved(self) -> "Warehouse":
        """The same warehouse with an absolute path."""
        return replace(self, folder=self.folder.resolve())

    @property
    def database(self) -> Path:
        """The database with the published results."""
        return self.folder / "alignment.duckdb"

    @property
    def report(self) -> Path:
        """The report of the published results."""
        return self.folder / "report.html"

    @property
    def ngrams(self) -> Path:
        """The folder of n-gram counts: a file or a folder of partitions per corpus and content."""
        return self.folder / "ngrams"

    @property
    def packed_queries(self) -> Path:
        """The folder of published queries: a file per corpus and content."""
        return self.folder / "queries"

    @property
    def scratch(self) -> Path:
        """The folder for files that are only needed during a run."""
        return self.folder / "stages" / "scratch"

    @property
    def hidden(self) -> "Warehouse":
        """A warehouse for the stage files of texts that are not kept; it ends with the run."""
        return replace(self, folder=self.scratch / "hidden")

    @property
    def copies(self) -> Path:
        """The folder for local copies of dumps on object stores."""
        return self.folder / "dumps"

    def name_of(self, path: Path) -> str:
        """Return the path of a file below the folder, with slashes."""
        return path.relative_to(self.folder).as_posix()

    def stage(self, name: str) -> Path:
        """Return the folder of a stage's files, below ``stages/``."""
        return self.folder / "stages" / name

    def queries_file(self, key: str) -> Path:
        """Return the path of the ingested queries of one dump."""
        return self.stage("queries") / f"{key}.parquet"

    def slices_file(self, key: str) -> Path:
        """Return the path of the slices of one target's questions."""
        return self.stage("slices") / f"{key}.parquet"

    def templates_file(self, key: str) -> Path:
        """Return the path of one dump's distinct queries with their templates or reject reasons."""
        return self.stage("templates") / f"{key}.parquet"

    def ngrams_file(self, corpus: str, key: str) -> Path:
        """Return the path of the n-gram counts of one corpus."""
        return self.ngrams / f"{corpus}-{key}.parquet"

    def packed_file(self, corpus: str, key: str) -> Path:
        """Return the path of the published queries of one corpus."""
        return self.packed_queries / f"{corpus}-{key}.parquet"

    @property
    def as_written(self) -> Path:
        """The folder of the counts and pairs of predictions without cleaning."""
        return self.folder / "stages" / "as_written"

    @property
    def answered(self) -> Path:
        """The folder of the parts of targets that some predictions answer."""
        return self.folder / "stages" / "answered"

    @property
    def facts(self) -> Path:
        """The folder of facts about stage files."""
        return self.folder / "stages" / "facts"

    @property
    def last_corpora_file(self) -> Path:
        """The corpora of the last run, for a run in which some of their dumps are missing."""
        return self.folder / "stages" / "corpora.json"

    @property
    def inputs_file(self) -> Path:
        """The digests of the settings and dumps of the last run, if it was complete."""
        return self.folder / "stages" / "inputs.json"

    @property
    def index_file(self) -> Path:
        """For a warehouse on a store: the footers of its Parquet files, and its small files."""
        return self.folder / "stages" / "index.parquet"

    @property
    def backup_file(self) -> Path:
        """A copy of the published history and decisions, which no run can recompute."""
        return self.folder / "stages" / "kept.duckdb"

    @contextmanager
    def locked(self, seconds: float = 0.0, *, force: bool = False) -> Iterator[FolderLock]:
        """Lock the warehouse against other runs; the system unlocks it if this process dies.

        Args:
            seconds: How long to wait for another run to end.
            force: Whether to use a folder that contains other files.

        Yields:
            The lock, to be checked before results are published.

        Raises:
            WarehouseError: The folder cannot be written, it contains other files, or another run
                has locked it.
        """
        if "?" in str(self.folder):
            # DuckDB takes the rest of the path for options.
            raise WarehouseError(
                f"{self.folder}: the path of a DuckDB database cannot contain '?'; choose another "
                "--warehouse"
            )
        holder = self.folder / ".lock-holder"
        try:
            if self.address is None and not force:  # this program names the working copies
                check_owner(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._wait_for_lock(seconds, holder)
        except OSError as error:
            raise WarehouseError(
                f"{self.folder} cannot be written ({error.strerror}); choose another --warehouse"
            ) from None
        try:
            if self.address is None:
                mark_owner(self.folder)
            holder.write_text(f"process {os.getpid()} on {os.uname().nodename}")
            self._remove_leftovers()
            self.scratch.mkdir(parents=True, exist_ok=True)
            yield lock
        finally:
            holder.unlink(missing_ok=True)
            shutil.rmtree(self.scratch, ignore_errors=True)
            lock.release()

    def _wait_for_lock(self, seconds: float, holder: Path) -> FolderLock:
        end = time.monotonic() + seconds
        is_announced = False
        while (lock := lock_folder(self.folder)) is None:
            if time.monotonic() >= end:
                raise WarehouseError(
                    f"{self.place} is in use by {_read_holder(holder)}; wait for it to end, "
                    "or choose another --warehouse"
                )
            if not is_announced:
                announce("wait", f"{self.place} is in use by {_read_holder(holder)}")
                is_announced = True
            time.sleep(_SECONDS_BETWEEN_TRIES)
        return lock

    def disk_error(self, error: Exception) -> WarehouseError | None:
        """Return an error that names the disk or the folder as the cause; None for other errors."""
        if (reason := find_disk_reason(error)) is not None:
            return WarehouseError(
                f"{self.folder} cannot be written ({reason}); free space or check the disk, and "
                "run again: published results and finished stages are kept"
            )
        text = " ".join(str(error).split())
        if isinstance(error, OSError) and str(self.folder) in text:
            return WarehouseError(f"{self.folder} cannot be used ({text}); check it, and run again")
        return None

    @contextmanager
    def explain_disk_errors(self) -> Iterator[None]:
        """Replace disk errors in the block with a ``WarehouseError`` that explains them."""
        try:
            yield
        except AlignError:
            raise
        except Exception as error:
            explained = self.disk_error(error)
            if explained is None:
                raise
            raise explained from error

    def remove_damaged(self) -> list[Path]:
        """Remove the stage files that have changed since they were written; the run rebuilds them.

        Returns:
            The removed files.
        """
        records = self._read_records()
        damaged = self.find_damaged()
        for path in damaged:
            announce("check", f"{path} is damaged; it is rebuilt")
            path.unlink(missing_ok=True)
        # Files that are written again may get other bytes.
        kept = {self.name_of(path) for path in self.stage_files()}
        kept |= {self.database.name, _next_name(self.database)}
        if records.keys() - kept:
            self._write_records({name: one for name, one in records.items() if name in kept})
        return damaged

    def find_damaged(self) -> list[Path]:
        """Return the stage files that have changed since they were written."""
        found = self._find_intact(self.stage_files(), self._read_records())
        return [path for path, is_intact in found.items() if not is_intact]

    def has_lost_files(self) -> bool:
        """Return whether a recorded stage file is missing."""
        names = self._read_records().keys() - {self.database.name, _next_name(self.database)}
        return not all((self.folder / name).is_file() for name in names)

    def record_digests(self, rewritten: Iterable[Path] = ()) -> None:
        """Record the digests of all stage files and of the database, to find damage later.

        A record of a stage file is never replaced, because the file may be damaged by now.

        Args:
            rewritten: Stage files that have been replaced since they were recorded.
        """
        digests = self.digests([self.database]) if self.database.exists() else {}
        of_database = {
            self.name_of(path): _describe_file(path, one) for path, one in digests.items()
        }
        self._write_records(self._digest_stages(set(rewritten)) | of_database)

    def record_stages(self) -> None:
        """Record the digests of all stage files, while the database is still to be checked."""
        records = self._read_records()
        names = {self.database.name, _next_name(self.database)} & records.keys()
        self._write_records(self._digest_stages() | {name: records[name] for name in names})

    def _digest_stages(self, changed: Set[Path] = frozenset()) -> dict[str, _FileRecord]:
        """Return the records of all stage files, new ones for those without and those changed."""
        records = self._read_records()
        stages = {self.name_of(path): path for path in self.stage_files()}
        kept = {
            name: record
            for name, record in records.items()
            if name in stages and stages[name] not in changed
        }
        new = [name for name in stages if name not in kept]
        with ThreadPoolExecutor() as pool:
            made = pool.map(_describe_if_there, (stages[name] for name in new))
            return kept | {name: one for name, one in zip(new, made, strict=True) if one}

    def record_next_database(self, database: Path) -> None:
        """Record the digest of a database that is about to replace the published one.

        Until ``record_digests``, either of the two counts as intact.
        """
        record = _describe_file(database, digest_file(database))
        self._write_records(self._read_records() | {_next_name(self.database): record})

    def is_database_intact(self) -> bool:
        """Return whether the published database is as it was when it was published."""
        records = self._read_records()
        names = (self.database.name, _next_name(self.database))
        recorded = {records[name].sha256 for name in names if name in records}
        return not recorded or digest_file(self.database) in recorded

    def digests(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Return the SHA-256 of files in the folder; reuse those that are recorded.

        A recorded digest is reused if the file still has the recorded size and time.
        """
        records = self._read_records()

        def digest(path: Path) -> tuple[Path, str]:
            stat = path.stat()
            # A database that was just published is recorded by its other name.
            for record in map(records.get, (self.name_of(path), _next_name(path))):
                if record and (record.size, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                    return path, record.sha256
            return path, digest_file(path)

        with ThreadPoolExecutor() as pool:
            return dict(pool.map(digest, paths))

    def stage_files(self) -> list[Path]:
        """Return the files that no run changes once they exist, without placeholders."""
        public = [self.ngrams, self.packed_queries]
        folders = [*public, *(folder for folder, _ in self._walk_stages())]
        found = (file for folder in folders for file in list_stage_files(folder))
        return sorted(file for file in found if not is_placeholder(file))

    def stage_file(
        self, folder: Path, published: str, exists: Callable[[Path], bool] = Path.is_file
    ) -> str:
        """Return the name of a stage file, or folder of files, as DuckDB can read it now.

        Files on a store are checked when they are opened.

        Args:
            folder: The folder of the stage.
            published: The name in the published results, from before the warehouse may have moved.
            exists: Checks that a path is such a file or folder, and complete.

        Raises:
            WarehouseError: The file is missing, or differs from its recorded digest.
        """
        if self.address is not None:
            return published
        path = folder / Path(published).name
        if not exists(path):
            raise WarehouseError(f"{path} is missing; run again with the same --warehouse")
        for file, is_intact in self._find_intact(list_parts(path), self._read_records()).items():
            if not is_intact:
                raise WarehouseError(
                    f"{file} is damaged: it is not as it was written; run again with the same "
                    "--warehouse, which writes it again"
                )
        return str(path)

    @property
    def digests_file(self) -> Path:
        """The recorded digests of the stage files."""
        return self.folder / "stages" / "seals.json"

    def _find_intact(
        self, files: list[Path], records: Mapping[str, _FileRecord]
    ) -> dict[Path, bool]:
        recorded = [records.get(self.name_of(path)) for path in files]
        with ThreadPoolExecutor() as pool:
            return dict(zip(files, pool.map(_is_intact, files, recorded), strict=True))

    def _write_records(self, records: Mapping[str, _FileRecord]) -> None:
        texts = {name: asdict(records[name]) for name in sorted(records)}
        write_if_changed(self.digests_file, json.dumps(texts, indent=1))

    def _read_records(self) -> dict[str, _FileRecord]:
        try:
            records = json.loads(self.digests_file.read_text(encoding="utf-8"))
            return {name: _FileRecord(**record) for name, record in records.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _remove_leftovers(self) -> None:
        """Remove the files of a killed run; the lock keeps other writers away."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        public = (self.folder, self.ngrams, self.packed_queries)
        folders = (*public, self.copies, self.folder / "nightly")
        listed = [path for folder in folders for path in folder.glob("*")]
        listed += [folder / name for folder, names in self._walk_stages() for name in names]
        for path in filter(is_temporary, listed):
            path.unlink(missing_ok=True)

    def _walk_stages(self) -> Iterator[tuple[Path, list[str]]]:
        """Yield all folders of stages with the names of their files, without the scratch folder."""
        for folder, folders, names in os.walk(self.folder / "stages"):
            folders[:] = [name for name in folders if Path(folder, name) != self.scratch]
            yield Path(folder), names


def _describe_file(path: Path, sha256: str) -> _FileRecord:
    stat = path.stat()
    return _FileRecord(stat.st_size, stat.st_mtime_ns, sha256)


def _describe_if_there(path: Path) -> _FileRecord | None:
    """Return the state of a file, or None if a step has just removed it."""
    with suppress(FileNotFoundError):
        return _describe_file(path, digest_file(path))
    return None


def _next_name(database: Path) -> str:
    return f"{database.name}.next"


def _is_intact(path: Path, record: _FileRecord | None) -> bool:
    """Return whether a file is as recorded or, after a run that was killed, readable."""
    if record is not None:
        return path.stat().st_size == record.size and digest_file(path) == record.sha256
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches():
                pass
    except (OSError, pa.ArrowException):
        return False
    return True


def _read_holder(file: Path) -> str:
    """Name the run that holds a warehouse, unless it has ended in the meantime."""
    with suppress(OSError):
        return file.read_text() or "another process"
    return "another process"
