"""DuckDB connections, all with the same settings."""

import hashlib
import os
import re
import tempfile
from pathlib import Path
from uuid import uuid4

import duckdb

from tasks.errors import ConfigurationError

THREADS_VARIABLE = "NL2SQL_ALIGN_THREADS"
MEMORY_LIMIT_VARIABLE = "NL2SQL_ALIGN_MEMORY_LIMIT"
_DEFAULT_MEMORY_LIMIT = "4GB"


def connect(
    database: Path | None = None,
    *,
    read_only: bool = False,
    threads: int | None = None,
    memory_limit: str | None = None,
    temp_directory: Path | None = None,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection that never fetches anything; as a context manager, it closes itself.

    Args:
        database: The database's file; a database in memory where left out.
        read_only: Open the file for reading only.
        threads: How many to use; by default ``NL2SQL_ALIGN_THREADS``, else one per CPU.
        memory_limit: Such as ``"4GB"``; by default ``NL2SQL_ALIGN_MEMORY_LIMIT``, else 4 GB.
        temp_directory: The folder in which to make one for what does not fit in memory; by default
            the system's for temporary files. DuckDB removes what it wrote there.

    Raises:
        ConfigurationError: The number of threads or the memory limit is none.
        duckdb.Error: The file cannot be opened.
    """
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
            "threads": _checked_threads(threads or os.environ.get(THREADS_VARIABLE)),
            "memory_limit": _checked_memory_limit(
                memory_limit or os.environ.get(MEMORY_LIMIT_VARIABLE)
            ),
            "temp_directory": str(
                (temp_directory or Path(tempfile.gettempdir()))
                / f"nl2sql-align-{os.getpid()}-{folder[:16]}"
            ),
        },
    )


def _checked_threads(threads: int | str | None) -> int:
    if not threads:
        return os.cpu_count() or 1
    if not re.fullmatch(r"[1-9]\d{0,3}", str(threads)):
        raise ConfigurationError(
            f"{threads!r} is no number of threads; set {THREADS_VARIABLE} to a whole number above 0"
        )
    return int(threads)


def _checked_memory_limit(limit: str | None) -> str:
    if not limit:
        return _DEFAULT_MEMORY_LIMIT
    if not re.fullmatch(r"\d+(\.\d+)?\s*([KMGT]i?)?B", limit, re.IGNORECASE):
        raise ConfigurationError(
            f"{limit!r} is no memory limit; set {MEMORY_LIMIT_VARIABLE} to a size such as 4GB"
        )
    return limit
