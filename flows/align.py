"""The main job: from dumps to published alignments."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from prefect import flow, get_run_logger
from prefect.exceptions import MissingContextError
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from nl2sql_align.flows.running import artifacts
from nl2sql_align.flows.running.announcements import (
    announce_counted,
    announce_ingested,
    announce_intervals,
    announce_matrix,
    announce_parsed,
)
from nl2sql_align.flows.running.policy import step
from nl2sql_align.flows.running.runners import Runner, submitting_to
from nl2sql_align.flows.summary import RunSummary
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.progress import Progress, listening
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, load_corpora
from nl2sql_align.tasks.measures.doubts import find_doubts
from nl2sql_align.tasks.measures.intervals import Resampling
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.ngrams.corpus_counts import (
    Division,
    add_partition,
    count_part,
    gather_partitions,
)
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.results.publish import DRIFT_THRESHOLD, RunRecord, fill_database, publish
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.prepare import PendingParts, Prepared, SetAside, prepare_corpus
from nl2sql_align.tasks.templates.parser_pool import ParseJob, ParseReport, parse_part
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.object_store import pull, push, warehouse_at

R = TypeVar("R")

prepare = step(prepare_corpus, "prepare", "prepare {entry.name}")
parse = step(parse_part, "parse", "parse part {job.row_group} of {job.source.name}")
count = step(steps.count_corpus, "count", "count {prepared.entry.name}")
count_large_part = step(count_part, "count part", "count {job.destination.stem} of {job.corpus}")
add_up_partition = step(add_partition, "add up", "add up partition {job.partition} of {job.corpus}")
measure = step(steps.measure_pairs, "measure")
resample_pairs = step(steps.resample_pairs, "resample")
fill_tables = step(fill_database, "fill tables")
publish_results = step(publish, "publish")
report = step(write_report, "report")


@flow(
    name="align",
    description="Compare corpora of SQL queries by their structure.",
    # Two threads per parser process: one part is read or written while another is parsed.
    task_runner=ThreadPoolTaskRunner(max_workers=2 * (os.cpu_count() or 1)),  # type: ignore[arg-type]
    persist_result=False,
)
def align(
    corpora: Path,
    warehouse: Path | str = Path("warehouse"),
    threads: int | None = None,
    memory_limit: str | None = None,
    replicates: int | None = None,
    resample: Unit = Unit.DATABASE,
    drift_threshold: float = DRIFT_THRESHOLD,
    wait_seconds: float = 0.0,
    runner: Runner = Runner.LOCAL,
    dask_address: str | None = None,
) -> RunSummary:
    """Ingest, templatize, count, measure and publish the corpora of a corpora file.

    A run reuses what earlier runs made of the same content by the same rules.

    Args:
        corpora: The corpora file (TOML).
        warehouse: The folder of the results, created if missing, or their address on a store.
        threads: Number of processes and threads; by default NL2SQL_ALIGN_THREADS, else one per CPU.
        memory_limit: DuckDB's memory limit, such as 4GB; by default NL2SQL_ALIGN_MEMORY_LIMIT, else
            4 GB.
        replicates: Bootstrap replicates behind each interval; by default as many as the verdicts
            need. 0 for no intervals.
        resample: The unit to resample: databases, if they are known, or single queries.
        drift_threshold: How far an alignment with a target may move from its value at the last
            drift, or from its first value, before the move is called a drift.
        wait_seconds: How long to wait if another run holds the warehouse; 0 to fail at once.
        runner: Where to ingest, parse and count: in local processes, or on Dask workers.
        dask_address: The scheduler of a Dask cluster; by default, runner dask starts a cluster on
            this machine.

    Returns:
        A summary of the run; ``set_aside`` names each corpus that it could not use, with a reason.

    Raises:
        ConfigurationError: The corpora file is wrong, or a limit.
        WarehouseError: The warehouse is in use or cannot be written.
        ConflictError: Another run has published to the same store in the meantime.
    """
    return _align(
        load_corpora(corpora),
        warehouse_at(warehouse).resolved,
        _Settings(
            corpora.resolve(),
            threads,
            memory_limit,
            Resampling(replicates, resample),
            drift_threshold,
            wait_seconds,
            runner,
            dask_address,
        ),
    )


@dataclass(frozen=True)
class _Settings:
    """The parameters of ``align``, without the warehouse."""

    corpora: Path
    threads: int | None
    memory_limit: str | None
    resampling: Resampling
    drift_threshold: float
    wait_seconds: float
    runner: Runner
    dask_address: str | None


def _align(entries: list[CorpusEntry], warehouse: Warehouse, settings: _Settings) -> RunSummary:
    run_id, started_at, clock = str(uuid4()), datetime.now(UTC), _Clock()
    n_pairs = n_new_pairs = 0
    with (
        listening(_log),
        listening(artifacts.ProgressArtifacts()),
        warehouse.explain_disk_errors(),
        warehouse.locked(settings.wait_seconds),
        bounded(settings.threads, settings.memory_limit, warehouse.scratch),
    ):
        with submitting_to(settings.runner, settings.dask_address, warehouse):
            # Extract
            warehouse.remove_damaged()
            if pull(warehouse):
                clock.lap("fetch")
            parts = PendingParts()
            prepared, set_aside, parsing = _ingest(entries, warehouse, parts)
            clock.lap("ingest")
            # Transform
            counting, n_parsed, n_crashed = _parse(parsing, parts, warehouse)
            clock.lap("templates")
            counted, failed = _count(prepared, counting, warehouse)
            set_aside += [*failed, *steps.set_aside_empty(counted, warehouse)]
            clock.lap("ngrams")
            notes = [note for one in prepared for note in one.notes]
            notes += steps.collect_notes(counted, warehouse)
        for one in set_aside:
            get_run_logger().warning(one.reason)
        if counted:
            counted = steps.count_answered_parts(counted, warehouse)
            versions = list_versions()
            filling = fill_tables.submit(warehouse, counted, versions)
            matrix = measure(counted, warehouse)
            n_pairs, n_new_pairs = matrix.n_pairs, matrix.n_new
            announce_matrix(matrix, clock.lap("matrix"))
            intervals = resample_pairs(counted, matrix, warehouse, settings.resampling)
            announce_intervals(intervals, clock.lap("intervals"))
            pairs_as_written = steps.measure_as_written(counted, warehouse)
            doubts = find_doubts(counted, matrix.pairs)
            notes += [f"{name}: {text}" for name, texts in doubts.items() for text in texts]
            # Load
            record = RunRecord(
                run_id,
                started_at,
                {
                    **steps.list_parameters(
                        (one.entry for one in counted), resampling=settings.resampling
                    ),
                    "drift_threshold": settings.drift_threshold,
                    "corpora": str(settings.corpora),
                },
                versions,
                {one.corpus: one.reason for one in set_aside},
                notes,
                drift_threshold=settings.drift_threshold,
            )
            publish_results(
                warehouse,
                counted,
                matrix.pairs,
                matrix.contributions,
                record,
                intervals,
                pairs_as_written,
                filling.result(),
                doubts,
            )
            steps.write_last_corpora(counted, warehouse)
            steps.remove_unused_files(counted, warehouse)
            warehouse.record_digests()
            clock.lap("publish")
            report(warehouse.folder, only_if_changed=True)
            clock.lap("report")
            if push(warehouse, run_id=run_id, versions=versions):
                clock.lap("upload")
    summary = RunSummary(
        run_id=run_id,
        warehouse=warehouse.place,
        corpora=tuple(corpus.entry.name for corpus in counted),
        set_aside={one.corpus: one.reason for one in set_aside},
        n_ingested=sum(one.was_ingested for one in prepared),
        n_parsed=n_parsed,
        n_crashed=n_crashed,
        n_pairs=n_pairs,
        n_new_pairs=n_new_pairs,
        seconds=clock.laps,
        notes=tuple(notes),
    )
    if counted:
        artifacts.create_artifacts(summary)
    return summary


def _ingest(
    entries: list[CorpusEntry], warehouse: Warehouse, parts: PendingParts
) -> tuple[list[Prepared], list[SetAside], dict[PrefectFuture[ParseReport], ParseJob]]:
    """Ingest the corpora, and submit the parts of each to the parsers as soon as it is ready."""
    targets = {entry.name: entry for entry in entries}
    futures = {
        prepare.submit(entry, warehouse, target=targets.get(entry.target or "")): entry
        for entry in entries
    }
    parsing: dict[PrefectFuture[ParseReport], ParseJob] = {}
    outcomes: dict[str, Prepared | SetAside] = {}
    for n_done, future in enumerate(as_completed(list(futures)), 1):
        entry = futures[future]
        outcome = outcomes[entry.name] = _await_outcome(future, entry, warehouse)
        announce_ingested(outcome, n_done, len(futures))
        if isinstance(outcome, Prepared):
            parsing |= {parse.submit(job): job for job in parts.add(outcome)}
    in_order = [outcomes[entry.name] for entry in entries]
    prepared = [one for one in in_order if isinstance(one, Prepared)]
    return prepared, [one for one in in_order if isinstance(one, SetAside)], parsing


def _parse(
    parsing: dict[PrefectFuture[ParseReport], ParseJob], parts: PendingParts, warehouse: Warehouse
) -> tuple[dict[str, PrefectFuture[CountedCorpus]], int, int]:
    """Wait for the parsers, and submit each corpus for counting as soon as it is parsed.

    Returns:
        The futures of the counted corpora by name; the number of distinct queries parsed, without
        those of texts as written; and the number of queries that crashed the parser.
    """
    counting: dict[str, PrefectFuture[CountedCorpus]] = {}

    def submit_parsed() -> None:
        for one in parts.take_parsed():
            counting[one.entry.name] = count.submit(one, warehouse)

    submit_parsed()
    reports: dict[Path, list[ParseReport]] = {}
    n_jobs = sum(1 for job in parsing.values() if parts.list_corpora(job))
    n_done = n_parsed = n_crashed = 0
    for future in as_completed(list(parsing)):
        job, parsed = parsing[future], future.result()
        n_crashed += parsed.n_crashed
        is_last = parts.mark_parsed(job)
        if names := parts.list_corpora(job):
            n_done += 1
            n_parsed += parsed.n_queries
            of_source = reports.setdefault(job.source, [])
            of_source.append(parsed)
            announce_parsed(names if is_last else [], of_source, n_done, n_jobs)
        submit_parsed()
    return counting, n_parsed, n_crashed


def _count(
    prepared: list[Prepared],
    counting: dict[str, PrefectFuture[CountedCorpus]],
    warehouse: Warehouse,
) -> tuple[list[CountedCorpus], list[SetAside]]:
    """Wait until all corpora are counted."""
    outcomes: dict[str, CountedCorpus | SetAside] = {}
    for name, outcome in _await_counted(prepared, counting, warehouse):
        outcomes[name] = outcome
        announce_counted(name, outcome, len(outcomes), len(prepared))
    in_order = [outcomes[one.entry.name] for one in prepared]
    return (
        [one for one in in_order if isinstance(one, CountedCorpus)],
        [one for one in in_order if isinstance(one, SetAside)],
    )


def _await_counted(
    prepared: list[Prepared],
    counting: dict[str, PrefectFuture[CountedCorpus]],
    warehouse: Warehouse,
) -> Iterator[tuple[str, CountedCorpus | SetAside]]:
    """Yield the corpora by name as they are counted; large ones, counted in steps, come last."""
    by_future = {counting[one.entry.name]: one.entry for one in prepared}
    divided: list[tuple[CountedCorpus, Division, list[PrefectFuture[float]]]] = []
    for future in as_completed(list(by_future)):
        entry = by_future[future]
        outcome = _await_outcome(future, entry, warehouse)
        if isinstance(outcome, CountedCorpus) and outcome.division is not None:
            jobs = outcome.division.parts
            counting_parts = [count_large_part.submit(job) for job in jobs]
            divided.append((outcome, outcome.division, counting_parts))
        else:
            yield entry.name, outcome
    for corpus, division, counting_parts in divided:
        yield corpus.entry.name, _add_up(corpus, division, counting_parts, warehouse)


def _add_up(
    corpus: CountedCorpus,
    division: Division,
    parts: list[PrefectFuture[float]],
    warehouse: Warehouse,
) -> CountedCorpus | SetAside:
    """Wait for the parts of a large corpus, and add up its partitions."""
    try:
        seconds = sum(part.result() for part in parts)
        partitions = [add_up_partition.submit(job) for job in division.partitions]
        seconds += sum(partition.result() for partition in partitions)
        gather_partitions(division)
    except Exception as error:
        return steps.set_aside_failed(corpus.entry, error, warehouse)
    return replace(corpus, seconds=corpus.seconds + seconds, division=None)


def _await_outcome(
    future: PrefectFuture[R], entry: CorpusEntry, warehouse: Warehouse
) -> R | SetAside:
    """Return the result of a step; its error sets the corpus aside, unless others would meet it."""
    try:
        return future.result()
    except Exception as error:
        return steps.set_aside_failed(entry, error, warehouse)


def _log(progress: Progress) -> None:
    """Write progress to the log of the run on the server."""
    if not progress.text:
        return
    with suppress(MissingContextError):  # announced in a thread without a task
        get_run_logger().info("%s: %s", progress.stage, progress.text)


class _Clock:
    """A stopwatch for consecutive laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> float:
        """End a lap, and return its seconds."""
        now = time.perf_counter()
        seconds = self.laps[name] = now - self._last
        self._last = now
        return seconds
