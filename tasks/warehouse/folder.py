"""The warehouse folder: what stands where, under which name, and how a file comes to stand there.

Every stage writes new files under temporary names and renames them when they are whole. A stage
file is named by a key, the digest of everything that can change its content, so that a file that is
there is right and is never written again.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from nl2sql_align.tasks.base.errors import AlignError, WarehouseError
from nl2sql_align.tasks.base.progress import announce

_TEMPORARY = ".tmp-"
_SECONDS_BETWEEN_TRIES = 0.2
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def stage_key(**parts: object) -> str:
    """The name of a stage file: a digest of all that its content depends on.

    Args:
        parts: What the content depends on; anything that JSON can hold.

    Returns:
        32 hexadecimal digits.
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def written_whole(destination: Path) -> Iterator[Path]:
    """A temporary path beside ``destination``, renamed to it when the block ends well."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f"{_TEMPORARY}{uuid4().hex[:12]}-{destination.name}")
    try:
        yield temporary
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Seal:
    """How a file was when it was whole."""

    size: int
    mtime_ns: int
    sha256: str


def write_changed(destination: Path, text: str) -> None:
    """Writes a text whole, unless it stands there already."""
    content = text.encode()
    if not destination.exists() or destination.read_bytes() != content:
        with written_whole(destination) as temporary:
            temporary.write_bytes(content)


@dataclass(frozen=True)
class Warehouse:
    """The folder that a run writes and that users query.

    Attributes:
        folder: The folder; of a warehouse on an object store, its working copy.
        address: Where the warehouse is, if it is on a store.
    """

    folder: Path
    address: str | None = None

    @property
    def place(self) -> Path | str:
        """Where the warehouse is, as users know it."""
        return self.address or self.folder

    @property
    def resolved(self) -> "Warehouse":
        """The same, by its full path."""
        return replace(self, folder=self.folder.resolve())

    @property
    def database(self) -> Path:
        """The published results."""
        return self.folder / "alignment.duckdb"

    @property
    def ngrams(self) -> Path:
        """Where the n-gram counts stand: a file per corpus and content, or a folder of files."""
        return self.folder / "ngrams"

    @property
    def scratch(self) -> Path:
        """For files that are worth nothing after their run."""
        return self.folder / "stages" / "scratch"

    @property
    def copies(self) -> Path:
        """Local copies of dumps on object stores."""
        return self.folder / "dumps"

    def queries_file(self, key: str) -> Path:
        """The queries of one dump, as ingested."""
        return self.folder / "stages" / "queries" / f"{key}.parquet"

    @property
    def templates(self) -> Path:
        """Where the files of distinct queries stand."""
        return self.folder / "stages" / "templates"

    def templates_file(self, key: str) -> Path:
        """The distinct queries of one dump with their templates or reject reasons."""
        return self.templates / f"{key}.parquet"

    def ngrams_file(self, corpus: str, key: str) -> Path:
        """The n-gram counts of one corpus."""
        return self.ngrams / f"{corpus}-{key}.parquet"

    @property
    def cards(self) -> Path:
        """What the last run took, for a run that has to do without some of the dumps."""
        return self.folder / "stages" / "corpora.json"

    @property
    def kept(self) -> Path:
        """A copy of what is published that no run can make anew."""
        return self.folder / "stages" / "kept.duckdb"

    @contextmanager
    def locked(self, seconds: float = 0.0) -> Iterator[None]:
        """Holds the warehouse against other runs; the system frees it when its holder dies.

        Args:
            seconds: How long to wait for another run to end.

        Raises:
            WarehouseError: The folder cannot be written, or another run holds it.
        """
        if "?" in str(self.folder):
            # What follows it would be options to DuckDB, which puts its log's suffix before it.
            raise WarehouseError(
                f"{self.folder}: no DuckDB database can have a '?' in its path; name another folder"
            )
        holder = self.folder / ".lock-holder"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if seconds <= 0:
                    raise
                announce("wait", f"{self.place} is in use by {_read_holder(holder)}")
                lock.acquire(timeout=seconds, poll_interval=_SECONDS_BETWEEN_TRIES)
        except Timeout:
            raise WarehouseError(
                f"{self.place} is in use by {_read_holder(holder)}; wait for it to end, "
                "or choose another --warehouse"
            ) from None
        except OSError as error:
            raise WarehouseError(
                f"{self.folder} cannot be written ({error.strerror}); choose another --warehouse"
            ) from None
        try:
            holder.write_text(f"process {os.getpid()} on {os.uname().nodename}")
            self._remove_leftovers()
            self.scratch.mkdir(parents=True, exist_ok=True)
            yield
        finally:
            holder.unlink(missing_ok=True)
            shutil.rmtree(self.scratch, ignore_errors=True)
            lock.release()

    def trouble(self, error: Exception) -> WarehouseError | None:
        """What an error says of the disk or the folder; None where it is about something else."""
        text = " ".join(str(error).split())
        number = error.errno if isinstance(error, OSError) else None
        reasons = {n: os.strerror(n) for n in _OF_THE_DISK}
        reason = next((r for n, r in reasons.items() if n == number or r in text), None)
        if reason is not None:
            return WarehouseError(
                f"{self.folder} cannot be written ({reason}); make room or check the disk, and run "
                "again: what is published stays, and what is done is not done again"
            )
        if isinstance(error, OSError) and str(self.folder) in text:
            return WarehouseError(f"{self.folder} cannot be used ({text}); check it, and run again")
        return None

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turns trouble with the disk, in the block, into an error that says so in one line."""
        try:
            yield
        except Exception as error:
            trouble = None if isinstance(error, AlignError) else self.trouble(error)
            if trouble is None:
                raise
            raise trouble from error

    def remove_damaged(self) -> list[Path]:
        """Removes the stage files that are no longer what was written, for the run to make anew.

        Returns:
            Those files.
        """
        seals = self._read_seals()
        files = self.stage_files()
        names = [path.relative_to(self.folder).as_posix() for path in files]
        with ThreadPoolExecutor() as pool:
            are_whole = list(pool.map(_is_as_sealed, files, map(seals.get, names)))
        damaged = [path for path, is_whole in zip(files, are_whole, strict=True) if not is_whole]
        for path in damaged:
            announce("check", f"{path} is damaged: made anew")
            path.unlink(missing_ok=True)
        return damaged

    def seal(self) -> None:
        """Notes the digests of all stage files, by which damage is found later."""
        seals = {}
        for path, sha256 in self.digests(self.stage_files()).items():
            stat = path.stat()
            seal = _Seal(stat.st_size, stat.st_mtime_ns, sha256)
            seals[path.relative_to(self.folder).as_posix()] = asdict(seal)
        write_changed(self.seals, json.dumps(seals, indent=1))

    def digests(self, paths: Iterable[Path]) -> dict[Path, str]:
        """The SHA-256 of files in the folder; of those that look as when it was noted, from there.

        Args:
            paths: The files.
        """
        known = self._read_seals()

        def digest(path: Path) -> tuple[Path, str]:
            old, stat = known.get(path.relative_to(self.folder).as_posix()), path.stat()
            is_known = old and (old.size, old.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
            return path, old.sha256 if old and is_known else _sha256(path)

        with ThreadPoolExecutor() as pool:
            return dict(pool.map(digest, paths))

    def stage_files(self) -> list[Path]:
        """The files that no run changes once they are there."""
        found = [p for top in ("ngrams", "stages") for p in (self.folder / top).rglob("*.parquet")]
        return sorted(path for path in found if self.scratch not in path.parents)

    def stage_file(
        self, folder: Path, named: str, is_there: Callable[[Path], bool] = Path.is_file
    ) -> str:
        """A file of a stage, or a folder of files, for a connection to the results to read.

        Args:
            folder: The stage's.
            named: What the published results call it: the warehouse may have been moved since.
            is_there: Tells whether a path is such a file, and whole.

        Raises:
            WarehouseError: It is gone.
        """
        if self.address is not None:
            return named
        path = folder / Path(named).name
        if not is_there(path):
            raise WarehouseError(f"{path} is gone; run again with the same --warehouse")
        return str(path)

    @property
    def seals(self) -> Path:
        """The digests of the stage files."""
        return self.folder / "stages" / "seals.json"

    def _read_seals(self) -> dict[str, _Seal]:
        try:
            seals = json.loads(self.seals.read_text(encoding="utf-8"))
            return {name: _Seal(**seal) for name, seal in seals.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _remove_leftovers(self) -> None:
        """What a killed run left behind. Safe under the lock: nobody else writes here."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for leftover in self.folder.rglob(f"{_TEMPORARY}*"):
            leftover.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_as_sealed(path: Path, seal: _Seal | None) -> bool:
    """Whether a file is whole; one without a seal, of a run that was ended, when it can be read."""
    if seal is not None:
        return path.stat().st_size == seal.size and _sha256(path) == seal.sha256
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
    """Who holds a warehouse, as far as that is known: it may have ended in the meantime."""
    with suppress(OSError):
        return file.read_text() or "another process"
    return "another process"
