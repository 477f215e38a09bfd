"""Parsing in worker processes, so that no query can end the run.

The parser is compiled: deeply nested SQL ends its process with a segmentation fault, which no
``except`` catches. A worker that dies, or stays with one query for too long, is replaced, and its
part of the corpus is parsed again. A query at which two workers died is rejected with that reason,
and one that runs out of time at once: see ``tasks.templates.timeouts``.

One process, which has the parser loaded and never parses, forks the workers. So they cost one
import, share its memory, and are replaced at once.
"""

import atexit
import itertools
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, NamedTuple

from nl2sql_align.tasks.base.connections import resources
from nl2sql_align.tasks.base.environment import list_module_folders
from nl2sql_align.tasks.base.errors import AlignError
from nl2sql_align.tasks.base.progress import PART, announce
from nl2sql_align.tasks.templates.parser_protocol import (
    NO_ROW,
    NUMBER_BYTES,
    ParseAnswer,
    ParseRequest,
    decode_answer,
    encode_number,
    encode_request,
    read_row,
    write_row,
)
from nl2sql_align.tasks.templates.rules import DEFAULT_LIMITS, NOT_A_QUERY, Limits
from nl2sql_align.tasks.templates.timeouts import Job, Timeouts
from nl2sql_align.tasks.warehouse.folder import write_atomically

CHARACTERS_PER_REQUEST: Final = 4_000_000
"""The size of what a worker gets at a time: few messages, and little memory."""

# To start, and to read and write files: a second, and more on a busy machine.
_SECONDS_OUTSIDE_QUERIES: Final = 90.0
_SECONDS_BETWEEN_REPORTS: Final = 0.5
# A worker that a large query or a leak of the parser has grown to this size is replaced. If all
# workers together could take more than half of the run's memory, it is replaced sooner.
_REPLACE_AT_BYTES: Final = 500_000_000
_LEAST_WORKER_BYTES: Final = 150_000_000


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
    """Counts of a part's distinct queries, and the rows at which workers died or hung.

    Rows that are not tried because others hung count among them. ``n_commands`` of the rejected
    ones are statements that are not queries.
    """

    n_queries: int
    n_rejected: int
    crashed: tuple[int, ...] = ()
    n_commands: int = field(default=0, compare=False)
    seconds: float = field(default=0.0, compare=False)

    @property
    def n_crashed(self) -> int:
        """The number of queries at which workers died or hung."""
        return len(self.crashed)


class ParsedTexts(NamedTuple):
    """The outcome of each text, in the order of the texts.

    Attributes:
        templates: The templates; None for rejected texts.
        reject_reasons: The reasons; None for texts with a template.
        comparable_keys: Digests of the comparable texts, of 16 bytes; None for rejected texts.
        crashed: The indexes of the texts at which workers died or hung, or that are not tried
            because others hung.
        seconds: The time it took, without waiting for an idle worker.
    """

    templates: list[str | None]
    reject_reasons: list[str | None]
    comparable_keys: list[bytes | None]
    crashed: tuple[int, ...]
    seconds: float

    @property
    def n_commands(self) -> int:
        """The number of statements that are not queries."""
        return sum(1 for reason in self.reject_reasons if reason and reason.startswith(NOT_A_QUERY))


class _Texts(NamedTuple):
    """The corpus, dialect and limits of texts that are in no file."""

    source: object
    dialect: str
    limits: Limits


class _WorkerLost(Exception):
    """The worker died or was ended at query ``row``; ``NO_ROW`` if it was at none."""

    def __init__(self, row: int, reason: str, *, is_timeout: bool) -> None:
        super().__init__(reason)
        self.row = row
        self.reason = reason
        self.is_timeout = is_timeout


class _ForkServer:
    """The process that forks workers. Only it can end them, as only it knows that they run."""

    def __init__(self, dialects: Sequence[str]) -> None:
        """Start the process without waiting for it.

        Args:
            dialects: The dialects to load before it forks.

        Raises:
            OSError: It cannot be started.
        """
        with ExitStack() as opened:
            self._errors = opened.enter_context(tempfile.TemporaryFile())
            self._channel, its_end = socket.socketpair()
            opened.enter_context(self._channel)
            self._channel.settimeout(_SECONDS_OUTSIDE_QUERIES)
            with its_end:
                self._process = subprocess.Popen(
                    # -P: modules in the user's folder must not hide ours.
                    [
                        *(sys.executable, "-P", "-m"),
                        *("nl2sql_align.tasks.templates.parser_process", *dialects),
                    ],
                    stdin=its_end.fileno(),
                    stdout=self._errors,
                    stderr=self._errors,
                    # The parser iterates over sets: a fixed order makes all processes agree.
                    env={
                        **os.environ,
                        "PYTHONPATH": list_module_folders(),
                        "PYTHONHASHSEED": "0",
                    },
                )
            self._opened = opened.pop_all()
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self.last_words = ""
        """The last line of its output, once it has ended."""

    def is_running(self) -> bool:
        return self._process.poll() is None

    def fork(self, files: Sequence[int]) -> int:
        """Ask for a worker with these files, without waiting for it, and return its number."""
        with self._lock:
            number = next(self._numbers)
            # If the process is gone, the files are closed, and the worker counts as lost.
            with suppress(ConnectionError):
                socket.send_fds(self._channel, [encode_number(number)], files)
            return number

    def end(self, number: int) -> None:
        """End a worker, if this process still runs."""
        with self._lock:
            answer = b""
            try:
                with suppress(OSError):
                    self._channel.sendall(encode_number(number))
                    answer = self._channel.recv(NUMBER_BYTES)
            finally:
                # After an interrupt, the late answer would be taken for that to another message.
                if not answer:
                    self.stop()

    def stop(self) -> None:
        """End the process. Its workers run until their input ends."""
        with self._lock:
            self._process.kill()
            self._process.wait()
            if not self._errors.closed:
                self.last_words = _last_line(self._errors)
            self._opened.close()


class _Worker:
    def __init__(self, server: _ForkServer) -> None:
        """Have a worker forked, without waiting for it.

        Raises:
            OSError: Its pipes and files cannot be made.
        """
        self._server = server
        with ExitStack() as opened, ExitStack() as given:
            self._progress = opened.enter_context(tempfile.TemporaryFile())
            write_row(self._progress)
            self._errors = opened.enter_context(tempfile.TemporaryFile())
            its_end, our_end = os.pipe()
            self._requests = opened.enter_context(os.fdopen(our_end, "wb", buffering=0))
            requests = given.enter_context(os.fdopen(its_end, "rb", buffering=0))
            our_end, its_end = os.pipe()
            self._answers = opened.enter_context(os.fdopen(our_end, "rb"))
            answers = given.enter_context(os.fdopen(its_end, "wb", buffering=0))
            os.set_blocking(self._requests.fileno(), False)
            self._number = server.fork(
                [one.fileno() for one in (requests, answers, self._errors, self._progress)]
            )
            self._opened = opened.pop_all()

    def run(self, request: ParseRequest, report: Callable[[int], None]) -> ParseAnswer:
        """Return the worker's answer to a request.

        Args:
            request: The request.
            report: Called now and then with the row at work.

        Raises:
            _WorkerLost: The worker died, or had to be ended.
        """
        write_row(self._progress)
        self._send(encode_request(request))
        seconds = request.seconds_per_query
        row, since = NO_ROW, time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while not selector.select(min(seconds / 4, _SECONDS_BETWEEN_REPORTS)):
                now = time.monotonic()
                if (at := read_row(self._progress)) != row:
                    row, since = at, now
                    if row != NO_ROW:
                        report(row)
                elif now - since > (_SECONDS_OUTSIDE_QUERIES if row == NO_ROW else seconds):
                    raise self._end_as_lost(is_timeout=row != NO_ROW)
        answer = self._answers.readline()
        if not answer.endswith(b"\n"):
            raise self._end_as_lost()
        return decode_answer(answer)

    def _send(self, message: bytes) -> None:
        """Send a message that may be larger than the buffer of a pipe."""
        rest = memoryview(message)
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_WRITE)
            while rest:
                if not selector.select(_SECONDS_OUTSIDE_QUERIES):
                    raise self._end_as_lost("takes nothing in")
                try:
                    rest = rest[os.write(self._requests.fileno(), rest) :]
                except OSError:
                    raise self._end_as_lost() from None

    def _end_as_lost(
        self, reason: str = "ends the parser's process", *, is_timeout: bool = False
    ) -> _WorkerLost:
        """End the worker, and return the error to raise."""
        row = read_row(self._progress)
        self._server.end(self._number)
        if row == NO_ROW:
            reason = _last_line(self._errors) or self._server.last_words or "it says nothing"
        self._opened.close()
        return _WorkerLost(row, reason, is_timeout=is_timeout and row != NO_ROW)

    def stop(self) -> None:
        """End the process at once."""
        self._server.end(self._number)
        self._opened.close()


def _last_line(file: IO[bytes]) -> str:
    """Return the last line that is not blank; an empty text if all are."""
    file.seek(0)
    lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


class _ParserPool:
    """The workers of this process, and the process that forks them."""

    def __init__(self) -> None:
        self._server: _ForkServer | None = None
        self._idle: list[_Worker] = []
        self._n_leased = 0
        self._change = threading.Condition()

    @contextmanager
    def lease_worker(self) -> Iterator[list[_Worker]]:
        """Lend the block a list of one worker, or an empty list if none is idle.

        The block may put another worker into the list, and leaves there the one to keep.
        """
        with self._change:
            self._change.wait_for(lambda: self._n_leased < resources().threads)
            self._n_leased += 1
            held = [self._idle.pop()] if self._idle else []
        try:
            yield held
        finally:
            with self._change:
                self._idle.extend(held)
                self._n_leased -= 1
                self._change.notify()

    def start_idle_worker(self, dialects: Sequence[str]) -> None:
        """Start one more worker, unless there are as many as a run may use."""
        with self._change:
            if self._n_leased + len(self._idle) < resources().threads:
                self._idle.append(self.start_worker(dialects))

    def start_worker(self, dialects: Sequence[str] = ()) -> _Worker:
        """Start a worker without waiting for it.

        Args:
            dialects: As for the module's ``start_worker``.

        Raises:
            AlignError: It cannot be started.
        """
        with self._change:
            try:
                if self._server is None or not self._server.is_running():
                    self._stop_server()
                    self._server = _ForkServer(dialects)
                return _Worker(self._server)
            except OSError as error:
                raise _start_error(str(error)) from None

    def stop(self) -> None:
        """End all idle workers, and the process that forks them if no worker is leased."""
        with self._change:
            while self._idle:
                self._idle.pop().stop()
            if not self._n_leased:
                self._stop_server()

    def _stop_server(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


_pool: Final = _ParserPool()
_timeouts: Final = Timeouts()


def start_worker(dialects: Sequence[str] = ()) -> None:
    """Start one more worker without waiting for it, if the run may use one more.

    Args:
        dialects: Dialects that the workers are likely to need. If this is the first worker, the
            process that forks all workers loads them once. Otherwise, each worker loads a dialect
            when it first needs it.
    """
    _pool.start_idle_worker(dialects)


def stop_workers() -> None:
    """End all idle workers, and the process that forks them if no worker is at work.

    This ends a run: the next one tries queries that ran out of time again.
    """
    _pool.stop()
    _timeouts.clear()


atexit.register(stop_workers)


def parse_part(job: ParseJob, characters_per_request: int = CHARACTERS_PER_REQUEST) -> ParseReport:
    """Parse one part of a corpus in a worker process.

    Each call under way has a worker of its own; at most as many run as the run may use threads, and
    further calls wait. Workers are kept for later calls until ``stop_workers``.

    Args:
        job: What to parse, and where the templates go.
        characters_per_request: The size of what a worker gets at a time.

    Returns:
        The counts. A query that runs out of time is rejected, and so is one at which two workers in
        turn died; one death alone may be an accident of the machine.

    Raises:
        AlignError: Workers cannot be started or die outside of any query, or the templates cannot
            be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def report(n_parsed: int) -> None:
        announce(PART, "", n_parsed, part.num_rows, part=str(job.destination))

    part = pq.ParquetFile(job.source).read_row_group(
        job.row_group, columns=["first_ordinal", "sql"]
    )
    parsed = _parse_all(part["sql"].to_pylist(), job, characters_per_request, report)
    table = pa.table(
        {
            "first_ordinal": part["first_ordinal"],
            "template": pa.array(parsed.templates, pa.string()),
            "reject_reason": pa.array(parsed.reject_reasons, pa.string()),
            "comparable_key": pa.array(parsed.comparable_keys, pa.binary(16)),
        }
    )
    if not job.source.exists():  # an interrupted run has removed its scratch files
        raise AlignError(f"{job.source} is gone: the run that wrote it has ended")
    try:
        with write_atomically(job.destination) as temporary:
            pq.write_table(table, temporary, compression="lz4")
    except OSError as error:
        raise AlignError(
            f"{job.destination} cannot be written ({error.strerror or error}); check disk space"
        ) from None
    return ParseReport(
        len(parsed.templates),
        parsed.templates.count(None),
        parsed.crashed,
        parsed.n_commands,
        parsed.seconds,
    )


def parse_texts(texts: Sequence[str], dialect: str, limits: Limits) -> ParsedTexts:
    """Parse some texts in a worker process, as ``parse_part`` does.

    Args:
        texts: The texts.
        dialect: Their dialect.
        limits: Which of them to reject. They share the time for texts that run out of time.

    Raises:
        AlignError: Workers cannot be started or die outside of any query.
    """
    return _parse_all(texts, _Texts(object(), dialect, limits), CHARACTERS_PER_REQUEST)


def _parse_all(
    texts: Sequence[str],
    job: Job,
    characters_per_request: int,
    report: Callable[[int], None] = lambda _n_parsed: None,
) -> ParsedTexts:
    templates: list[str | None] = []
    reasons: list[str | None] = []
    keys: list[bytes | None] = []
    crashed: list[int] = []
    with _pool.lease_worker() as held:
        started = time.perf_counter()
        for queries in _split_by_size(texts, characters_per_request):
            report_here = _count_from(len(templates), report)
            for answer, skipped in _parse(queries, job, held, report_here):
                crashed += [len(templates) + row for row in skipped]
                templates += answer.templates
                reasons += answer.reject_reasons
                keys += [bytes.fromhex(key) if key else None for key in answer.comparable_keys]
        seconds = time.perf_counter() - started
    return ParsedTexts(templates, reasons, keys, tuple(crashed), seconds)


def _count_from(start: int, report: Callable[[int], None]) -> Callable[[int], None]:
    return lambda row: report(start + row)


def _split_by_size(queries: Sequence[str], n_characters: int) -> Iterator[Sequence[str]]:
    """Yield the queries in lists of at most ``n_characters``, or of one longer query."""
    start = size = 0
    for end, query in enumerate(queries):
        if size and size + len(query) > n_characters:
            yield queries[start:end]
            start, size = end, 0
        size += len(query)
    yield queries[start:]


def _parse(
    queries: Sequence[str], job: Job, held: list[_Worker], report: Callable[[int], None]
) -> Iterator[tuple[ParseAnswer, list[int]]]:
    """Yield the templates of queries, in one or more pieces, each with the rows that it skips.

    After a loss, the queries before it are parsed again on their own: so each is parsed twice at
    most, however many workers are lost.

    Args:
        queries: The texts.
        job: Their job, with dialect and limits.
        held: The worker to use, in a list; afterwards, the one to keep.
        report: Called now and then with the index of the query at work.
    """
    rejected: dict[int, str] = {}
    lost_at: set[int] = set()
    start, end = 0, len(queries)
    while start < len(queries):
        if not held:
            held.append(_pool.start_worker())
        piece = queries[start:end]
        seconds = _timeouts.seconds_for(job)
        # Queries that were parsed before a loss are parsed again in any case.
        skip = _timeouts.list_hopeless(job, piece) if end == len(queries) else {}
        skip |= {row - start: reason for row, reason in rejected.items() if start <= row < end}
        try:
            request = ParseRequest(piece, job.dialect, job.limits, skip, seconds)
            answer = held[0].run(request, _count_from(start, report))
        except _WorkerLost as loss:
            held.clear()
            row = loss.row if loss.row == NO_ROW else start + loss.row
            # A worker lost at a query that it skips has died of something else.
            if loss.row in skip or (row == NO_ROW and row in lost_at):
                raise _start_error(loss.reason) from None
            if loss.is_timeout:
                rejected[row] = _timeouts.add(job, queries[row], seconds)
            elif row in lost_at:
                rejected[row] = loss.reason
            lost_at.add(row)
            if start < row < end:
                end = row
            continue
        if answer.resident_bytes > _largest_worker_bytes():
            held.pop().stop()
        yield answer, sorted(skip)
        start, end = end, len(queries)


def _largest_worker_bytes() -> int:
    """Return the size at which a worker is replaced."""
    bounds = resources()
    share = bounds.memory_bytes // 2 // bounds.threads
    return max(_LEAST_WORKER_BYTES, min(_REPLACE_AT_BYTES, share))


def _start_error(reason: str) -> AlignError:
    return AlignError(
        f"queries cannot be parsed: the parser's process does not run ({reason}); "
        f"check free memory and the disk space of {tempfile.gettempdir()}, or install the program "
        "again"
    )
