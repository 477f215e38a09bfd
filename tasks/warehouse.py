"""The warehouse folder: what stands where, under which name, and how a file comes to stand there.

Every stage writes new files under temporary names and renames them when they are whole. A stage
file is named by a key, the digest of everything that can change its content, so that a file that is
there is right and is never written again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from tasks.errors import WarehouseError
from tasks.progress import announce

_TEMPORARY = ".tmp-"
_SECONDS_BETWEEN_TRIES = 0.2


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
class Warehouse:
    """The folder that a run writes and that users query."""

    folder: Path

    @property
    def database(self) -> Path:
        """The published results."""
        return self.folder / "alignment.duckdb"

    @property
    def ngrams(self) -> Path:
        """Where the n-gram counts stand, one file per corpus and content."""
        return self.folder / "ngrams"

    @property
    def scratch(self) -> Path:
        """For files that are worth nothing after their run."""
        return self.folder / "stages" / "scratch"

    def queries_file(self, key: str) -> Path:
        """The queries of one dump, as ingested."""
        return self.folder / "stages" / "queries" / f"{key}.parquet"

    def templates_file(self, key: str) -> Path:
        """The distinct queries of one dump with their templates or reject reasons."""
        return self.folder / "stages" / "templates" / f"{key}.parquet"

    def ngrams_file(self, corpus: str, key: str) -> Path:
        """The n-gram counts of one corpus."""
        return self.ngrams / f"{corpus}-{key}.parquet"

    @property
    def cards(self) -> Path:
        """What the last run took, for a run that has to do without some of the dumps."""
        return self.folder / "stages" / "corpora.json"

    def pairs_file(self, key: str) -> Path:
        """The sums for the pairs of a run's corpora; see ``tasks.matrix``."""
        return self.folder / "stages" / "pairs" / f"{key}.parquet"

    @contextmanager
    def locked(self, seconds: float = 0.0) -> Iterator[None]:
        """Holds the warehouse against other runs; the system frees it when its holder dies.

        Args:
            seconds: How long to wait for another run to end.

        Raises:
            WarehouseError: The folder cannot be written, or another run holds it.
        """
        holder = self.folder / ".lock-holder"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if seconds <= 0:
                    raise
                announce("wait", f"{self.folder} is in use by {_read_holder(holder)}")
                lock.acquire(timeout=seconds, poll_interval=_SECONDS_BETWEEN_TRIES)
        except Timeout:
            raise WarehouseError(
                f"{self.folder} is in use by {_read_holder(holder)}; wait for it to end, "
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

    def _remove_leftovers(self) -> None:
        """What a killed run left behind. Safe under the lock: nobody else writes here."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for leftover in self.folder.rglob(f"{_TEMPORARY}*"):
            leftover.unlink(missing_ok=True)


def _read_holder(file: Path) -> str:
    """Who holds a warehouse, as far as that is known: it may have ended in the meantime."""
    with suppress(OSError):
        return file.read_text() or "another process"
    return "another process"
