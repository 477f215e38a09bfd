"""The main job: from dumps to published alignments."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from prefect import flow, get_run_logger
from prefect.exceptions import MissingContextError
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from nl2sql_align.flows.running import artifacts
from nl2sql_align.flows.running.policy import step
from nl2sql_align.flows.running.runners import Runner, submitting_to
from nl2sql_align.flows.summary import RunSummary
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.progress import Progress, announce, listening
from nl2sql_align.tasks.ingest.corpora_file import AS_WRITTEN, CorpusEntry, load_corpora
from nl2sql_align.tasks.measures.intervals import Resampling
from nl2sql_align.tasks.measures.matrix import MatrixReport
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.ngrams.corpus_counts import (
    Division,
    add_partition,
    count_part,
    gather_partitions,
)
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.results.publish import DRIFT_THRESHOLD, AsWritten, RunRecord, publish
from nl2sql_align.tasks.results.versions import versions
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.prepare import Parts, Prepared, SetAside, as_written, prepare_corpus
from nl2sql_align.tasks.templates.parser_pool import ParseJob, ParseReport, parse_part
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.count_files import count_distinct_ngrams
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.object_store import pull, push, warehouse_at

R = TypeVar("R")

prepare = step(prepare_corpus, "prepare", "prepare {entry.name}")
parse = step(parse_part, "parse", "parse part {job.row_group} of {job.source.name}")
finish = step(steps.finish, "count", "count {prepared.entry.name}")
count = step(count_part, "count part", "count {job.destination.stem} of {job.corpus}")
add = step(add_partition, "add up", "add up partition {job.partition} of {job.corpus}")
measure = step(steps.measure, "measure")
resample_pairs = step(steps.resample, "resample")
publish_results = step(publish, "publish")
report = step(write_report, "report")


@flow(
    name="align",
    description="Compare corpora of SQL queries by their structure.",
    # Twice as many as parsing processes: parts are read and written while others are parsed.
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
    """Ingests, templatizes, counts, measures and publishes the corpora of a corpora file.

    What an earlier run has done with the same content by the same rules is not done again.

    Args:
        corpora: The corpora file (TOML).
        warehouse: The folder of the results, made if it is not there; or their address on a store.
        threads: Processes and threads; by default NL2SQL_ALIGN_THREADS, else one per CPU.
        memory_limit: Such as 4GB; by default NL2SQL_ALIGN_MEMORY_LIMIT, else 4 GB.
        replicates: Bootstrap replicates of each alignment and ratio, for its interval; by default,
            as many as the verdicts need. 0 for no intervals.
        resample: What is drawn again as a whole: databases, where they are known, or single
            queries.
        drift_threshold: How far an alignment with a target may move, from where it stood when it
            last had or at first, before that is called a drift.
        wait_seconds: How long to wait where another run holds the warehouse; 0 to give up at once.
        runner: What ingests, parses and counts: local, this machine, or dask, the workers
            of a Dask cluster.
        dask_address: The scheduler of the cluster; by default, one on this machine is made.

    Returns:
        What was done; ``set_aside`` names the corpora that could not be taken, each with its
        reason.

    Raises:
        ConfigurationError: The corpora file is wrong, or a limit.
        WarehouseError: The warehouse is in use or cannot be written.
        ConflictError: Another run has published to the same store meanwhile.
    """
    started_at = datetime.now(UTC)
    entries = load_corpora(corpora)
    house = warehouse_at(warehouse).resolved
    how = Resampling(replicates, resample)
    clock = _Clock()
    with (
        listening(_log),
        listening(artifacts.ProgressArtifacts()),
        house.explain_disk_errors(),
        house.locked(wait_seconds),
        bounded(threads, memory_limit, house.scratch),
    ):
        with submitting_to(runner, dask_address, house):
            house.remove_damaged()
            if pull(house):
                clock.lap("fetch")
            parts = Parts()
            prepared, set_aside, parsing = _prepare_all(entries, house, parts)
            uncleaned, _, more = _prepare_all(as_written(prepared), house, parts, None)
            clock.lap("ingest")
            counting, n_parsed, n_crashed = _parse_all(parsing, more, parts, house)
            clock.lap("templates")
            done, failed = _finish_all(prepared, counting, house)
            written, _ = _finish_all(uncleaned, counting, house, None)
            set_aside += failed
            set_aside += steps.without_ngrams(done, house)
            clock.lap("ngrams")
            notes = [note for one in prepared for note in one.notes]
            notes += steps.observations(done, house)
        for one in set_aside:
            get_run_logger().warning(one.reason)
        record = RunRecord(
            str(uuid4()),
            started_at,
            {
                **steps.parameters((one.entry for one in done), resampling=how),
                "drift_threshold": drift_threshold,
                "corpora": str(corpora.resolve()),
            },
            versions(),
            {one.corpus: one.reason for one in set_aside},
            notes,
            drift_threshold=drift_threshold,
        )
        n_pairs = n_new_pairs = 0
        if done:
            matrix = _compare_and_publish(done, written, house, how, record, clock)
            n_pairs, n_new_pairs = matrix.n_pairs, matrix.n_new
            steps.remember(done, house)
            steps.remove_unused_stages(done + written, house)
            house.record_digests()
            clock.lap("publish")
            report(house.folder, only_if_changed=True)
            clock.lap("report")
            if push(house, run_id=record.run_id, versions=record.versions):
                clock.lap("upload")
    summary = RunSummary(
        run_id=record.run_id,
        warehouse=house.place,
        corpora=tuple(corpus.entry.name for corpus in done),
        set_aside={one.corpus: one.reason for one in set_aside},
        n_ingested=sum(one.was_ingested for one in prepared),
        n_parsed=n_parsed,
        n_crashed=n_crashed,
        n_pairs=n_pairs,
        n_new_pairs=n_new_pairs,
        seconds=clock.laps,
        notes=tuple(notes),
    )
    if done:
        artifacts.create_artifacts(summary)
    return summary


def _compare_and_publish(
    done: list[CountedCorpus],
    written: list[CountedCorpus],
    warehouse: Warehouse,
    how: Resampling,
    record: RunRecord,
    clock: "_Clock",
) -> MatrixReport:
    """Measures and resamples all pairs, and publishes what came of it.

    Args:
        done: The corpora.
        written: Predictions as they were written, where they have been cleaned.
        warehouse: Where all of it stands.
        how: How to resample.
        record: What to say of the run.
        clock: Takes the laps.
    """
    matrix = measure(done, warehouse)
    seconds = clock.lap("matrix")
    announce(
        "matrix",
        f"{matrix.n_pairs:,} pairs, {matrix.n_new:,} measured anew, {seconds:.1f} s",
        n_pairs=matrix.n_pairs,
        n_new_pairs=matrix.n_new,
        seconds=seconds,
    )
    intervals = resample_pairs(done, matrix, warehouse, how)
    seconds = clock.lap("intervals")
    if intervals is not None:
        announce(
            "intervals",
            f"{intervals.n_new:,} of {intervals.n_pairs:,} pairs resampled, {seconds:.1f} s",
            n_pairs=intervals.n_pairs,
            n_new_pairs=intervals.n_new,
            seconds=seconds,
        )
    as_written = None
    if written:
        keys = {one.entry.name.removesuffix(AS_WRITTEN): one.content_key for one in written}
        as_written = AsWritten(keys, steps.measure_as_written(written, done, warehouse))
    publish_results(
        warehouse, done, matrix.pairs, matrix.contributions, record, intervals, as_written
    )
    return matrix


def _log(said: Progress) -> None:
    """What is done, in the run's log on the server."""
    if not said.text:
        return
    with suppress(MissingContextError):  # said in a thread that runs no task
        get_run_logger().info("%s: %s", said.stage, said.text)


def _prepare_all(
    entries: list[CorpusEntry], warehouse: Warehouse, parts: Parts, stage: str | None = "ingest"
) -> tuple[list[Prepared], list[SetAside], dict[PrefectFuture[ParseReport], ParseJob]]:
    """Prepares the corpora, and lets each be parsed as soon as it is there."""
    futures = [prepare.submit(entry, warehouse) for entry in entries]
    parsing: dict[PrefectFuture[ParseReport], ParseJob] = {}
    by_future = dict(zip(futures, entries, strict=True))
    outcomes: dict[str, Prepared | SetAside] = {}
    for done, future in enumerate(as_completed(futures), 1):
        outcome = _outcome(future, by_future[future], warehouse)
        outcomes[by_future[future].name] = outcome
        if stage is not None:
            words, facts = _ingest_words(outcome)
            announce(stage, words, done, len(futures), **facts)
        if isinstance(outcome, Prepared):
            parsing |= {parse.submit(job): job for job in parts.add(outcome)}
    in_order = [outcomes[entry.name] for entry in entries]
    prepared = [outcome for outcome in in_order if isinstance(outcome, Prepared)]
    return prepared, [one for one in in_order if isinstance(one, SetAside)], parsing


def _outcome(future: PrefectFuture[R], entry: CorpusEntry, warehouse: Warehouse) -> R | SetAside:
    """What came of a step for one corpus; an error that is its own does not stop the others."""
    try:
        return future.result()
    except Exception as error:
        return steps.blamed(entry, error, warehouse)


def _ingest_words(outcome: Prepared | SetAside) -> tuple[str, dict[str, str | int | float]]:
    """What to say of an ingested corpus, to people and to programs."""
    if isinstance(outcome, SetAside):
        return f"{outcome.corpus}: set aside", {"corpus": outcome.corpus}
    name, seconds = outcome.entry.name, outcome.seconds
    if not outcome.jobs:
        return f"{name}: as in an earlier run, {seconds:.1f} s", {
            "corpus": name,
            "seconds": seconds,
        }
    return f"{name}: {outcome.n_distinct:,} distinct queries to parse, {seconds:.1f} s", {
        "corpus": name,
        "n_queries": outcome.n_distinct,
        "seconds": seconds,
    }


def _parse_all(
    parsing: dict[PrefectFuture[ParseReport], ParseJob],
    unnamed: dict[PrefectFuture[ParseReport], ParseJob],
    parts: Parts,
    warehouse: Warehouse,
) -> tuple[dict[str, PrefectFuture[CountedCorpus]], int, int]:
    """Waits for what is parsed, and lets each corpus be counted as soon as all of it is.

    Nothing is announced of parts in ``unnamed``, and their queries do not count as parsed.
    """
    counting = {one.entry.name: finish.submit(one, warehouse) for one in parts.parsed()}
    reports: dict[Path, list[ParseReport]] = {}
    n_done = n_parsed = n_crashed = 0
    jobs = parsing | unnamed
    for future in as_completed(list(jobs)):
        job, report = jobs[future], future.result()
        n_crashed += report.n_crashed
        complete = parts.done(job)
        if future in parsing:
            n_done += 1
            n_parsed += report.n_queries
            of_corpus = reports.setdefault(job.source, [])
            of_corpus.append(report)
            names = [one.entry.name for one in complete if not one.entry.name.endswith(AS_WRITTEN)]
            n_queries = sum(one.n_queries for one in of_corpus)
            n_rejected = sum(one.n_rejected for one in of_corpus)
            seconds = sum(one.seconds for one in of_corpus)
            announce(
                "templates",
                f"{', '.join(names)}: {n_queries:,} distinct queries, {n_rejected:,} rejected, "
                f"{seconds:.1f} s"
                if names
                else "",
                n_done,
                len(parsing),
                corpus=", ".join(names),
                n_queries=n_queries,
                n_rejected=n_rejected,
                seconds=seconds,
            )
        for one in complete:
            counting[one.entry.name] = finish.submit(one, warehouse)
    return counting, n_parsed, n_crashed


def _finish_all(
    prepared: list[Prepared],
    counting: dict[str, PrefectFuture[CountedCorpus]],
    warehouse: Warehouse,
    stage: str | None = "ngrams",
) -> tuple[list[CountedCorpus], list[SetAside]]:
    """Waits for what is counted."""
    outcomes: dict[str, CountedCorpus | SetAside] = {}
    for name, outcome in _counted(prepared, counting, warehouse):
        outcomes[name] = outcome
        words, facts = "set aside", {}
        if isinstance(outcome, CountedCorpus):
            number = count_distinct_ngrams(outcome.ngrams)
            words = f"{number:,} distinct n-grams, {outcome.seconds:.1f} s"
            facts = {"n_ngrams": number, "seconds": outcome.seconds}
        if stage is not None:
            done = len(outcomes)
            announce(stage, f"{name}: {words}", done, len(prepared), corpus=name, **facts)
    in_order = [outcomes[one.entry.name] for one in prepared]
    return (
        [one for one in in_order if isinstance(one, CountedCorpus)],
        [one for one in in_order if isinstance(one, SetAside)],
    )


def _counted(
    prepared: list[Prepared],
    counting: dict[str, PrefectFuture[CountedCorpus]],
    warehouse: Warehouse,
) -> Iterator[tuple[str, CountedCorpus | SetAside]]:
    """The corpora by name as they are counted; large ones last, by steps for their parts."""
    by_future = {counting[one.entry.name]: one.entry for one in prepared}
    divided: list[tuple[CountedCorpus, Division, list[PrefectFuture[float]]]] = []
    for future in as_completed(list(by_future)):
        entry = by_future[future]
        outcome = _outcome(future, entry, warehouse)
        if isinstance(outcome, CountedCorpus) and outcome.division is not None:
            jobs = outcome.division.parts
            divided.append((outcome, outcome.division, [count.submit(job) for job in jobs]))
        else:
            yield entry.name, outcome
    for corpus, division, parts in divided:
        yield corpus.entry.name, _added_up(corpus, division, parts, warehouse)


def _added_up(
    corpus: CountedCorpus,
    division: Division,
    parts: list[PrefectFuture[float]],
    warehouse: Warehouse,
) -> CountedCorpus | SetAside:
    """A large corpus, when its parts are counted and its partitions added up."""
    try:
        seconds = sum(part.result() for part in parts)
        partitions = [add.submit(job) for job in division.partitions]
        seconds += sum(partition.result() for partition in partitions)
        gather_partitions(division)
    except Exception as error:
        return steps.blamed(corpus.entry, error, warehouse)
    return replace(corpus, seconds=corpus.seconds + seconds, division=None)


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> float:
        now = time.perf_counter()
        seconds = self.laps[name] = now - self._last
        self._last = now
        return seconds
