"""Parsing in processes of their own, so that no query can take the run with it.

The parser is compiled: deeply nested SQL ends its process with a segmentation fault that no
``except`` catches. A worker process that dies, or stays with one query for too long, is replaced,
its part of the corpus is done again, and the query that it died of is rejected with that reason.

Workers are forked by one process that has the parser loaded and never parses: all of them cost one
import and share its memory, and one that is lost is replaced at once.
"""

import atexit
import itertools
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from typing import IO, Any, Final

import nl2sql_align
from nl2sql_align.tasks.base.connections import resources
from nl2sql_align.tasks.base.errors import AlignError
from nl2sql_align.tasks.templates.parser_protocol import MESSAGE_BYTES, NO_ROW, PROGRESS_BYTES
from nl2sql_align.tasks.templates.rules import DEFAULT_LIMITS, Limits
from nl2sql_align.tasks.warehouse.folder import write_atomically

SECONDS_PER_QUERY: Final = 20.0
# To start, and to read and write files: a second, more on a machine that is busy.
_SECONDS_OUTSIDE_QUERIES: Final = 90.0
# A worker that has grown, by a large query or a leak of the parser, is replaced: at this size, or
# sooner where all of them would take more than half of the memory that a run may use.
_REPLACE_AT_BYTES: Final = 500_000_000
_LEAST_WORKER_BYTES: Final = 150_000_000
# What a worker is given at a time: as much as to make talking cheap, little to hold several times.
_CHARACTERS_AT_A_TIME: Final = 4_000_000


@dataclass(frozen=True)
class ParseJob:
    """One part of a corpus to parse: row group ``row_group`` of ``source`` into ``destination``.

    ``source`` is a Parquet file with ``first_ordinal`` and ``sql``; ``destination`` one with
    ``first_ordinal``, ``template``, ``reject_reason`` and ``comparable_key``.
    """

    source: Path
    row_group: int
    destination: Path
    dialect: str
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True)
class ParseReport:
    """What came of a part: counts of distinct queries, and which rows ended a worker."""

    n_queries: int
    n_rejected: int
    crashed: tuple[int, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def n_crashed(self) -> int:
        """How many queries ended a worker."""
        return len(self.crashed)


class _WorkerLost(Exception):
    """The worker died, or had to be ended; ``row`` is the query it was at, ``NO_ROW`` for none."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.reason = reason


class _ForkServer:
    """The process that forks workers; only it ends them, as only it knows that they still run."""

    def __init__(self) -> None:
        """Starts the process, without waiting for it.

        Raises:
            OSError: It cannot be started.
        """
        package_folder = str(Path(str(nl2sql_align.__file__)).parents[1])
        paths = [package_folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        with ExitStack() as opened:
            self._errors = opened.enter_context(tempfile.TemporaryFile())
            self._channel, its_end = socket.socketpair()
            opened.enter_context(self._channel)
            self._channel.settimeout(_SECONDS_OUTSIDE_QUERIES)
            with its_end:
                self._process = subprocess.Popen(
                    # -P: what lies in the user's folder must not stand in for our modules.
                    [sys.executable, "-P", "-m", "nl2sql_align.tasks.templates.parser_process"],
                    stdin=its_end.fileno(),
                    stdout=self._errors,
                    stderr=self._errors,
                    # The parser goes through sets: in one order, so that each says the same.
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"},
                )
            self._opened = opened.pop_all()
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self.said = ""
        """What it said last, when it has ended."""

    def is_running(self) -> bool:
        return self._process.poll() is None

    def fork(self, files: Sequence[int]) -> int:
        """Asks for a worker with these files, without waiting for it; gives its number."""
        with self._lock:
            number = next(self._numbers)
            # One that is gone forks none: the files are closed, and the worker counts as lost.
            with suppress(ConnectionError):
                socket.send_fds(self._channel, [number.to_bytes(MESSAGE_BYTES, "little")], files)
            return number

    def end(self, number: int) -> int | None:
        """Ends a worker at once; gives its exit code, or None where this process is gone."""
        with self._lock:
            answer = b""
            try:
                with suppress(OSError):
                    self._channel.sendall(number.to_bytes(MESSAGE_BYTES, "little"))
                    answer = self._channel.recv(MESSAGE_BYTES)
            finally:
                if not answer:  # or interrupted here, and a late answer would be taken for another
                    self.stop()
            return int.from_bytes(answer, "little", signed=True) if answer else None

    def stop(self) -> None:
        """Ends the process; workers that it has forked go on until their input ends."""
        with self._lock:
            self._process.kill()
            self._process.wait()
            if not self._errors.closed:
                self.said = _last_line(self._errors)
            self._opened.close()


class _Worker:
    def __init__(self, server: _ForkServer) -> None:
        """Has a worker forked, without waiting for it.

        Raises:
            OSError: Its pipes and files cannot be made.
        """
        self._server = server
        with ExitStack() as opened, ExitStack() as given:
            file = opened.enter_context(tempfile.TemporaryFile())
            file.truncate(PROGRESS_BYTES)
            self._progress = opened.enter_context(mmap(file.fileno(), PROGRESS_BYTES))
            self._errors = opened.enter_context(tempfile.TemporaryFile())
            its_end, our_end = os.pipe()
            self._jobs = opened.enter_context(os.fdopen(our_end, "wb", buffering=0))
            jobs = given.enter_context(os.fdopen(its_end, "rb", buffering=0))
            our_end, its_end = os.pipe()
            self._answers = opened.enter_context(os.fdopen(our_end, "rb"))
            answers = given.enter_context(os.fdopen(its_end, "wb", buffering=0))
            os.set_blocking(self._jobs.fileno(), False)
            self._number = server.fork(
                [one.fileno() for one in (jobs, answers, self._errors, file)]
            )
            self._opened = opened.pop_all()

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer to a job.

        Raises:
            _WorkerLost: There is none, and the worker is ended.
        """
        self._progress[:] = NO_ROW.to_bytes(PROGRESS_BYTES, "little")
        self._send(json.dumps(job).encode() + b"\n")
        seconds = job["seconds_per_query"]
        row, since = NO_ROW, time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while not selector.select(seconds / 4):
                now = time.monotonic()
                if self._row() != row:
                    row, since = self._row(), now
                elif now - since > (_SECONDS_OUTSIDE_QUERIES if row == NO_ROW else seconds):
                    raise self._lost(f"takes longer than {seconds:g} s to parse")
        answer = self._answers.readline()
        if not answer.endswith(b"\n"):
            raise self._lost()
        result: dict[str, Any] = json.loads(answer)
        return result

    def _send(self, message: bytes) -> None:
        """Gives the worker a message that may be larger than what a pipe holds."""
        rest = memoryview(message)
        with selectors.DefaultSelector() as selector:
            selector.register(self._jobs, selectors.EVENT_WRITE)
            while rest:
                if not selector.select(_SECONDS_OUTSIDE_QUERIES):
                    raise self._lost("takes nothing in")
                try:
                    rest = rest[os.write(self._jobs.fileno(), rest) :]
                except OSError:
                    raise self._lost() from None

    def _lost(self, reason: str = "ends the parser's process") -> _WorkerLost:
        """Ends the worker; tells at which query, or what it said last where it was at none."""
        row = self._row()
        self._end()
        if row == NO_ROW:
            reason = _last_line(self._errors) or self._server.said or "it says nothing"
        self._opened.close()
        return _WorkerLost(row, reason)

    def _row(self) -> int:
        return int.from_bytes(self._progress[:], "little")

    def stop(self) -> None:
        """Ends the process at once: it holds nothing that is needed again."""
        self._end()
        self._opened.close()

    def _end(self) -> int | None:
        return self._server.end(self._number)


def _last_line(file: IO[bytes]) -> str:
    """The last line that says something; empty where there is none."""
    file.seek(0)
    lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


_server: _ForkServer | None = None
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


def start_worker() -> None:
    """Starts one more worker, without waiting for it, if a run may have one more."""
    with _change:
        if len(_leases) + len(_idle) < resources().threads:
            _idle.append(_started())


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
        AlignError: Workers cannot be started, die outside of any query, or their answers cannot be
            written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    part = pq.ParquetFile(job.source).read_row_group(
        job.row_group, columns=["first_ordinal", "sql"]
    )
    templates: list[str | None] = []
    reasons: list[str | None] = []
    keys: list[bytes | None] = []
    crashed: list[int] = []
    with _leased() as held:
        started = time.perf_counter()
        for queries in _portions(part["sql"].to_pylist()):
            answer, lost = _parsed(queries, job, seconds_per_query, held)
            crashed += [len(templates) + row for row in lost]
            templates += answer["templates"]
            reasons += answer["reject_reasons"]
            keys += [key and bytes.fromhex(key) for key in answer["comparable_keys"]]
    table = pa.table(
        {
            "first_ordinal": part["first_ordinal"],
            "template": pa.array(templates, pa.string()),
            "reject_reason": pa.array(reasons, pa.string()),
            "comparable_key": pa.array(keys, pa.binary(16)),
        }
    )
    if not job.source.exists():  # its run has been interrupted, and has cleared up
        raise AlignError(f"{job.source} is gone: the run that wrote it has ended")
    try:
        with write_atomically(job.destination) as temporary:
            pq.write_table(table, temporary, compression="lz4")
    except OSError as error:
        raise AlignError(
            f"{job.destination} cannot be written ({error.strerror or error}); check disk space"
        ) from None
    seconds = time.perf_counter() - started
    return ParseReport(len(templates), templates.count(None), tuple(crashed), seconds)


def _portions(queries: list[str]) -> Iterator[Sequence[str]]:
    """The queries, in lists of a limited size."""
    start = size = 0
    for end, query in enumerate(queries):
        if size and size + len(query) > _CHARACTERS_AT_A_TIME:
            yield queries[start:end]
            start, size = end, 0
        size += len(query)
    yield queries[start:]


def _parsed(
    queries: Sequence[str], job: ParseJob, seconds_per_query: float, held: list[_Worker]
) -> tuple[dict[str, Any], list[int]]:
    """What workers answer, and which queries ended them; ``held`` is the worker to use."""
    skip: dict[int, str] = {}
    lost_at: set[int] = set()
    while True:
        if not held:
            held.append(_started())
        request = {
            "queries": queries,
            "dialect": job.dialect,
            "max_characters": job.limits.max_characters,
            "max_brackets": job.limits.max_brackets,
            "kinds": job.limits.kinds,
            "skip": skip,
            "seconds_per_query": seconds_per_query,
        }
        try:
            answer = held[0].run(request)
        except _WorkerLost as loss:
            held.clear()
            # At a query that was skipped, the worker has died of something else.
            if loss.row in skip or (loss.row == NO_ROW and loss.row in lost_at):
                raise _failure(loss.reason) from None
            if loss.row in lost_at:
                skip[loss.row] = loss.reason
            lost_at.add(loss.row)
            continue
        if answer["resident_bytes"] > _largest_worker():
            held.pop().stop()
        return answer, sorted(skip)


def _largest_worker() -> int:
    bounds = resources()
    share = bounds.memory_bytes // 2 // bounds.threads
    return max(_LEAST_WORKER_BYTES, min(_REPLACE_AT_BYTES, share))


def _started() -> _Worker:
    global _server
    with _change:
        try:
            if _server is None or not _server.is_running():
                _stop_server()
                _server = _ForkServer()
            return _Worker(_server)
        except OSError as error:
            raise _failure(str(error)) from None


def _failure(reason: str) -> AlignError:
    return AlignError(
        f"queries cannot be parsed: the parser's process does not run ({reason}); "
        "check free memory and disk space, or install the program anew"
    )


def stop_workers() -> None:
    """Ends all idle workers, and what forks them if none is at work."""
    with _change:
        while _idle:
            _idle.pop().stop()
        if not _leases:
            _stop_server()


def _stop_server() -> None:
    global _server
    if _server is not None:
        _server.stop()
        _server = None


atexit.register(stop_workers)
