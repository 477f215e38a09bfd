"""DuckDB connections with the same settings everywhere, and limits for the whole process."""

import glob
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from nl2sql_align.tasks.base.environment import THREADS_VARIABLE, set_library_defaults
from nl2sql_align.tasks.base.errors import ConfigurationError

# DuckDB is loaded by the first connection, so that parser processes can start meanwhile.
if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT_VARIABLE: Final = "NL2SQL_ALIGN_MEMORY_LIMIT"
_DEFAULT_MEMORY_LIMIT: Final = "4GB"
_UNITS: Final = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_BINARY_UNITS: Final = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}

STEPS_SHARE: Final = 3 / 8
"""The share of the memory that DuckDB may use for all steps on single corpora; more goes to disk.

Sorting a large corpus takes all the memory it gets, for little gain. The rest is for parsing and
counting at the same time.
"""


@dataclass(frozen=True)
class Resources:
    """The resources that a run may use.

    Attributes:
        threads: Threads of DuckDB and of Polars, parser processes, and steps that use DuckDB.
        memory_bytes: DuckDB's memory, for all steps that run at a time. Other limits follow from
            it: the batches of other steps, and the size at which a parser process is replaced.
        temp_directory: The folder for data that does not fit in memory.
    """

    threads: int
    memory_bytes: int
    temp_directory: Path

    @property
    def steps_at_a_time(self) -> int:
        """Steps of corpora that run at a time: one reads or writes while the others parse.

        With more, readers slow the parsers down; nothing is gained.
        """
        return self.threads + 1


@dataclass(eq=False)
class _Block:
    """Limits of one ``bounded`` block, and the DuckDB instance that its steps share."""

    threads: int | None
    memory_limit: str | None
    temp_directory: Path
    instance: "duckdb.DuckDBPyConnection | None" = None


class Engine:
    """DuckDB connections, and the limits within which they are made.

    A process uses one engine, through the functions of this module.
    """

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._n_running = 0
        self._change = threading.Condition()

    def __reduce__(self) -> str:
        """Pickle by reference: a flow sent to a Dask worker uses the engine of the worker."""
        return "_ENGINE"

    def resources(self) -> Resources:
        """Return the limits of the innermost block, else of the environment, else the defaults.

        The defaults are one thread per CPU and 4 GB.

        Raises:
            ConfigurationError: The number of threads or the memory limit is not valid.
        """
        threads, memory_limit, folder = None, None, Path(tempfile.gettempdir())
        if self._blocks:
            block = self._blocks[-1]
            threads, memory_limit, folder = block.threads, block.memory_limit, block.temp_directory
        return Resources(
            _parse_threads(
                os.environ.get(THREADS_VARIABLE, "") if threads is None else str(threads)
            ),
            _parse_memory(memory_limit or os.environ.get(MEMORY_LIMIT_VARIABLE, "")),
            folder,
        )

    @contextmanager
    def bounded(
        self, threads: int | None, memory_limit: str | None, temp_directory: Path
    ) -> Iterator[Resources]:
        """Limit the resources of this process during the block.

        Args:
            threads: By default ``NL2SQL_ALIGN_THREADS``, else one per CPU.
            memory_limit: A size such as ``"4GB"``; by default ``NL2SQL_ALIGN_MEMORY_LIMIT``, else
                4 GB.
            temp_directory: An existing folder for data that does not fit in memory.

        Raises:
            ConfigurationError: The number of threads or the memory limit is not valid.
        """
        block = _Block(threads, memory_limit, temp_directory)
        self._blocks.append(block)
        try:
            limits = self.resources()
            set_library_defaults(limits.threads)
            with _ending(lambda: self._close(block)):
                yield limits
        finally:
            self._blocks.remove(block)

    def _close(self, block: _Block) -> None:
        if block.instance is not None:
            block.instance.close()

    @contextmanager
    def connected(self) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Connect a step to its own empty database in memory.

        Within ``bounded``, all steps share the threads and the memory of one DuckDB instance, since
        creating an instance takes longer than most steps. Wait until fewer steps than threads are
        running.

        Raises:
            ConfigurationError: The number of threads or the memory limit is not valid.
        """
        with ExitStack() as stack:
            stack.enter_context(self.running())
            block = self._blocks[-1] if self._blocks else None
            if block:
                con = stack.enter_context(self._shared_instance(block).cursor())
            else:
                con = stack.enter_context(self.connect())
            import duckdb

            name = f"step_{uuid4().hex}"
            con.execute(f"attach ':memory:' as {name}")
            con.execute(f"use {name}")

            def detach() -> None:
                try:
                    con.execute("use memory")
                    con.execute(f"detach {name}")
                except duckdb.FatalException:
                    # After a fatal error, as on some damaged files, an instance refuses all work.
                    if block:
                        block.instance = None

            with _ending(detach):
                yield con

    def connect(
        self, *, memory_share: float = 1.0, most_bytes: int | None = None
    ) -> "duckdb.DuckDBPyConnection":
        """Connect to a new database in memory; use the connection in a ``with``.

        It never downloads extensions.

        Args:
            memory_share: The share of the run's memory that this connection may use.
            most_bytes: The most memory that it may use, however large that share is.

        Raises:
            ConfigurationError: The number of threads or the memory limit is not valid.
        """
        import duckdb

        limits = self.resources()
        n_bytes = int(limits.memory_bytes * memory_share)
        if most_bytes is not None:
            n_bytes = min(n_bytes, most_bytes)
        return duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                # Returns freed memory to the system; it is kept for the connection otherwise.
                "allocator_background_threads": True,
                "threads": limits.threads,
                "memory_limit": f"{n_bytes}B",
                # Most steps read a file once: caching its content would only take memory.
                "enable_external_file_cache": False,
                # Instances that share a temporary folder overwrite each other's files.
                "temp_directory": str(
                    limits.temp_directory / f"nl2sql-align-{os.getpid()}-{uuid4().hex[:16]}"
                ),
            },
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the block once fewer steps than threads are running."""
        with self._change:
            self._change.wait_for(lambda: self._n_running < self.resources().threads)
            self._n_running += 1
        try:
            yield
        finally:
            with self._change:
                self._n_running -= 1
                self._change.notify()

    def _shared_instance(self, block: _Block) -> "duckdb.DuckDBPyConnection":
        with self._change:
            if block.instance is None:
                block.instance = self.connect(memory_share=STEPS_SHARE)
            return block.instance


@contextmanager
def _ending(clean_up: Callable[[], object]) -> Iterator[None]:
    """Clean up after the block; an error of the block, such as an interrupt, is not replaced."""
    try:
        yield
    except BaseException:
        # After an interrupt, other threads may still use the instance, which then refuses.
        with suppress(Exception):
            clean_up()
        raise
    clean_up()


_ENGINE: Final = Engine()

resources = _ENGINE.resources
bounded = _ENGINE.bounded
connected = _ENGINE.connected
running = _ENGINE.running
connect = _ENGINE.connect


def lock(con: "duckdb.DuckDBPyConnection", readable: Iterable[str] = ()) -> None:
    """Forbid a connection to use files, and to change this or any other setting.

    Databases that are attached stay readable.

    Args:
        con: The connection; all connections of its instance are locked.
        readable: Folders and addresses whose files the connection may use.
    """
    # DuckDB checks patterns, too, before it searches the files that they match.
    given = {one for place in readable for one in (place, glob.escape(place))}
    places = ", ".join("'" + place.replace("'", "''") + "'" for place in sorted(given))
    con.execute(f"set allowed_directories = [{places}]")
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")


def _parse_threads(text: str) -> int:
    if not text:
        return os.cpu_count() or 1
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise ConfigurationError(
            f"{text!r} is not a number of threads; set {THREADS_VARIABLE} to a whole number "
            "from 1 to 9999"
        )
    return int(text)


def _parse_memory(text: str) -> int:
    text = text or _DEFAULT_MEMORY_LIMIT
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B", text.upper())
    if not match:
        raise ConfigurationError(
            f"{text!r} is not a memory limit; set {MEMORY_LIMIT_VARIABLE} to a size such as 4GB"
        )
    number, unit, is_binary = match.groups()
    return int(float(number) * (_BINARY_UNITS if is_binary and unit else _UNITS)[unit])
