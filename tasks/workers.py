"""Parsing in processes of their own, so that no query can take the run with it.

The parser is compiled: deeply nested SQL ends its process with a segmentation fault that no
``except`` catches. A worker process that dies, or stays with one query for too long, is replaced,
its part of the corpus is done again, and the query that it died of is rejected with that reason.
"""

import atexit
import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, Final

from tasks.engine import resources
from tasks.errors import AlignError
from tasks.parse_worker import PROGRESS_BYTES
from tasks.templates import DEFAULT_LIMITS, Limits

SECONDS_PER_QUERY: Final = 20.0
# The parser leaks a little memory on each rejected query: a worker that has grown is replaced.
_REPLACE_AT_BYTES: Final = 1_500_000_000
_NO_ROW: Final = 2 ** (8 * PROGRESS_BYTES) - 1


@dataclass(frozen=True)
class ParseJob:
    """One part of a corpus to parse: row group ``row_group`` of ``source`` into ``destination``."""

    source: Path
    row_group: int
    destination: Path
    dialect: str
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True)
class ParseReport:
    """What came of a part: counts of distinct queries, and of those that ended a worker."""

    n_queries: int
    n_rejected: int
    n_crashed: int


class _WorkerLost(Exception):
    """The worker died, or had to be ended; ``row`` is the query it was at."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.reason = reason


class _Worker:
    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the worker lives
        self._file.truncate(PROGRESS_BYTES)
        self._progress = mmap(self._file.fileno(), PROGRESS_BYTES)
        package_folder = str(Path(__file__).resolve().parents[1])
        paths = [package_folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.parse_worker", str(self._file.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[self._file.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )

    def run(self, job: dict[str, Any], seconds_per_query: float) -> dict[str, int]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        self._progress[:] = _NO_ROW.to_bytes(PROGRESS_BYTES, "little")
        try:
            stdin.write(json.dumps(job).encode() + b"\n")
            stdin.flush()
        except OSError:
            self.stop()
            raise _WorkerLost(_NO_ROW, "did not start") from None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            row = self._row()
            while not selector.select(seconds_per_query):
                if self._row() == row:
                    self.stop()
                    raise _WorkerLost(row, f"takes longer than {seconds_per_query:g} s to parse")
                row = self._row()
        answer = stdout.readline()
        if not answer:
            row = self._row()
            self.stop()
            raise _WorkerLost(row, "ends the parser's process")
        result: dict[str, int] = json.loads(answer)
        return result

    def _row(self) -> int:
        return int.from_bytes(self._progress[:], "little")

    def stop(self) -> None:
        """Ends the process at once: it holds nothing that is needed again."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._progress.close()
        self._file.close()


_idle: list[_Worker] = []
_leases: set[object] = set()
_change = threading.Condition()


@contextmanager
def _leased() -> Iterator[list[_Worker]]:
    """A worker for the block's use; a block that loses it puts another in the list, or none."""
    with _change:
        _change.wait_for(lambda: len(_leases) < resources().threads)
        lease = object()
        _leases.add(lease)
        held = [_idle.pop()] if _idle else []
    try:
        yield held
    finally:
        with _change:
            _idle.extend(held)
            _leases.remove(lease)
            _change.notify()


def parse_part(job: ParseJob, seconds_per_query: float = SECONDS_PER_QUERY) -> ParseReport:
    """Parses one part of a corpus in a worker process.

    As many workers run as calls are under way, at most one per thread that a run may use; they are
    kept for further calls until ``stop_workers``.

    Args:
        job: What to parse, and where the templates go.
        seconds_per_query: A worker that stays with one query for longer is ended.

    Returns:
        What came of it. A query at which two workers in turn were lost is rejected; one loss alone
        may be an accident of the machine.

    Raises:
        AlignError: Workers cannot be started, or die outside of any query.
    """
    skip: dict[int, str] = {}
    lost_at: set[int] = set()
    with _leased() as held:
        while True:
            if not held:
                held.append(_Worker())
            request = {
                "source": str(job.source),
                "row_group": job.row_group,
                "destination": str(job.destination),
                "dialect": job.dialect,
                "max_characters": job.limits.max_characters,
                "max_brackets": job.limits.max_brackets,
                "skip": skip,
            }
            try:
                answer = held[0].run(request, seconds_per_query)
            except _WorkerLost as loss:
                held.clear()
                if loss.row in lost_at and loss.row == _NO_ROW:
                    raise AlignError(
                        f"the process that parses {job.source} {loss.reason}; "
                        f"try: {sys.executable} -m tasks.parse_worker"
                    ) from None
                if loss.row in lost_at:
                    skip[loss.row] = loss.reason
                lost_at.add(loss.row)
                continue
            if answer["peak_bytes"] > _REPLACE_AT_BYTES:
                held.pop().stop()
            return ParseReport(answer["n_queries"], answer["n_rejected"], len(skip))


def stop_workers() -> None:
    """Ends all idle workers."""
    with _change:
        while _idle:
            _idle.pop().stop()


atexit.register(stop_workers)
