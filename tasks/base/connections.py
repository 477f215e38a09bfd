"""DuckDB connections, all with the same settings, and how much of the machine a run may use."""

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from nl2sql_align.tasks.base.errors import ConfigurationError

# Loaded with the first connection: parsing processes can be started before, and start meanwhile.
if TYPE_CHECKING:
    import duckdb

THREADS_VARIABLE: Final = "NL2SQL_ALIGN_THREADS"
MEMORY_LIMIT_VARIABLE: Final = "NL2SQL_ALIGN_MEMORY_LIMIT"
_DEFAULT_MEMORY_LIMIT: Final = "4GB"
_UNITS: Final = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_BINARY_UNITS: Final = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Attributes:
        threads: Threads of DuckDB and of Polars, and processes and steps side by side.
        memory_bytes: DuckDB's memory, over all steps at work at a time; batches of other steps,
            and the size up to which a parsing process is kept, go by it.
        temp_directory: The folder for what does not fit in memory.
    """

    threads: int
    memory_bytes: int
    temp_directory: Path


STEPS_SHARE: Final = 3 / 8
"""The part of the memory beyond which steps on single corpora go to disk.

Sorting a large corpus takes all that it is given, and gains little by it. The rest is for parsing
and counting beside them.
"""

_bounds: dict[str, str | None] = {}
_temp_directory: list[Path] = []
_change = threading.Condition()
_at_work: list[object] = []
# The database that the steps of a bounded block share, once there is one.
_shared: "list[duckdb.DuckDBPyConnection]" = []


def resources() -> Resources:
    """What may be used: as bounded, else as the environment says, else 4 GB and every CPU.

    Raises:
        ConfigurationError: The environment holds no number of threads, or no memory limit.
    """
    return Resources(
        _threads(_bounds.get("threads") or os.environ.get(THREADS_VARIABLE)),
        _memory(_bounds.get("memory") or os.environ.get(MEMORY_LIMIT_VARIABLE)),
        _temp_directory[-1] if _temp_directory else Path(tempfile.gettempdir()),
    )


@contextmanager
def bounded(
    threads: int | None, memory_limit: str | None, temp_directory: Path
) -> Iterator[Resources]:
    """Bounds what everything in this process uses during the block.

    Args:
        threads: By default ``NL2SQL_ALIGN_THREADS``, else one per CPU.
        memory_limit: Such as ``"4GB"``; by default ``NL2SQL_ALIGN_MEMORY_LIMIT``, else 4 GB.
        temp_directory: The folder for what does not fit in memory; it is there, or nothing may
            need it.

    Raises:
        ConfigurationError: The number of threads or the memory limit is none.
    """
    before, shared_before = dict(_bounds), list(_shared)
    _shared.clear()
    _bounds.update(threads=str(threads) if threads is not None else None, memory=memory_limit)
    _temp_directory.append(temp_directory)
    try:
        bounds = resources()
        # Polars asks once, when it is loaded.
        os.environ.setdefault("POLARS_MAX_THREADS", str(bounds.threads))
        yield bounds
    finally:
        _temp_directory.pop()
        for con in _shared:
            con.close()
        _shared[:] = shared_before
        _bounds.clear()
        _bounds.update(before)


@contextmanager
def connected() -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection for a step of which several run side by side, with an empty database of its own.

    Within ``bounded``, all of them share the threads and the memory of one instance: to make one
    for each step takes longer than many a step. Steps beyond the number of threads wait here.

    Raises:
        ConfigurationError: The number of threads or the memory limit is none.
    """
    with ExitStack() as stack:
        stack.enter_context(_turn())
        if _temp_directory:
            with _change:
                if not _shared:
                    _shared.append(connect(memory_share=STEPS_SHARE))
            con = stack.enter_context(_shared[0].cursor())
        else:
            con = stack.enter_context(connect())
        name = f"step_{uuid4().hex}"
        con.execute(f"attach ':memory:' as {name}")
        con.execute(f"use {name}")
        try:
            yield con
        finally:
            con.execute("use memory")
            con.execute(f"detach {name}")


@contextmanager
def _turn() -> Iterator[None]:
    """One of as many blocks side by side as there may be threads."""
    turn = object()
    with _change:
        _change.wait_for(lambda: len(_at_work) < resources().threads)
        _at_work.append(turn)
    try:
        yield
    finally:
        with _change:
            _at_work.remove(turn)
            _change.notify()


def connect(
    database: Path | None = None, *, read_only: bool = False, memory_share: float = 1.0
) -> "duckdb.DuckDBPyConnection":
    """A DuckDB connection that never fetches anything; as a context manager, it closes itself.

    Args:
        database: The database's file; a database in memory where left out.
        read_only: Open the file for reading only.
        memory_share: How much of the memory that a run may use is DuckDB's here.

    Raises:
        ConfigurationError: The number of threads or the memory limit is none.
        duckdb.Error: The file cannot be opened.
    """
    import duckdb

    bounds = resources()
    # Processes that share a folder of temporary files overwrite each other's. For a database file
    # the name must not change: a process's second connection to it must have the same settings.
    folder = (
        hashlib.sha256(str(database.resolve()).encode()).hexdigest() if database else uuid4().hex
    )
    return duckdb.connect(
        database or ":memory:",
        read_only=read_only,
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "threads": bounds.threads,
            "memory_limit": f"{int(bounds.memory_bytes * memory_share)}B",
            # A file's content is read once in most steps: kept, it would only take memory.
            "enable_external_file_cache": False,
            "temp_directory": str(
                bounds.temp_directory / f"nl2sql-align-{os.getpid()}-{folder[:16]}"
            ),
        },
    )


def _threads(threads: str | None) -> int:
    if not threads:
        return os.cpu_count() or 1
    if not re.fullmatch(r"[1-9]\d{0,3}", threads):
        raise ConfigurationError(
            f"{threads!r} is no number of threads; set {THREADS_VARIABLE} to a whole number above 0"
        )
    return int(threads)


def _memory(limit: str | None) -> int:
    limit = limit or _DEFAULT_MEMORY_LIMIT
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B", limit.upper())
    if not match:
        raise ConfigurationError(
            f"{limit!r} is no memory limit; set {MEMORY_LIMIT_VARIABLE} to a size such as 4GB"
        )
    number, unit, is_binary = match.groups()
    return int(float(number) * (_BINARY_UNITS if is_binary and unit else _UNITS)[unit])
