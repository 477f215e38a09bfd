"""The main job: from dumps to published alignments."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect import flow, get_run_logger
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.policy import step
from tasks import pipeline
from tasks.config import CorpusEntry, load_corpora
from tasks.engine import bounded
from tasks.pipeline import Prepared, SetAside
from tasks.progress import announce
from tasks.publish import IngestedCorpus, RunRecord, publish
from tasks.warehouse import Warehouse
from tasks.workers import parse_part, stop_workers

prepare = step(pipeline.prepare, "prepare", "prepare {entry.name}")
parse = step(parse_part, "parse", "parse part {job.row_group} of {job.source.name}")
finish = step(pipeline.finish, "count", "count {prepared.entry.name}")
measure = step(pipeline.measure, "measure")
publish_results = step(publish, "publish")


@dataclass(frozen=True)
class RunSummary:
    """What a run did, in numbers of corpora, distinct queries and ordered pairs, and in seconds.

    A corpus none of whose queries has a template stands in ``corpora``, those that are published,
    and in ``set_aside``.
    """

    run_id: str
    warehouse: Path
    corpora: tuple[str, ...]
    set_aside: dict[str, str]
    n_ingested: int
    n_parsed: int
    n_crashed: int
    n_pairs: int
    n_new_pairs: int
    seconds: dict[str, float] = field(default_factory=dict)


@flow(
    name="align",
    description="Compare corpora of SQL queries by their structure.",
    task_runner=ThreadPoolTaskRunner(max_workers=os.cpu_count() or 1),  # type: ignore[arg-type]
    persist_result=False,
)
def align(
    corpora: Path,
    warehouse: Path = Path("warehouse"),
    threads: int | None = None,
    memory_limit: str | None = None,
) -> RunSummary:
    """Ingests, templatizes, counts, measures and publishes the corpora of a corpora file.

    What an earlier run has done with the same content by the same rules is not done again.

    Args:
        corpora: The corpora file (TOML).
        warehouse: The folder of the results; made if it is not there.
        threads: Processes and threads; by default ``NL2SQL_ALIGN_THREADS``, else one per CPU.
        memory_limit: Such as ``4GB``; by default ``NL2SQL_ALIGN_MEMORY_LIMIT``, else 4 GB.

    Returns:
        What was done; ``set_aside`` names the corpora that could not be taken, each with its
        reason.

    Raises:
        ConfigurationError: The corpora file is wrong, or a limit.
        WarehouseError: The warehouse is in use or cannot be written.
    """
    started_at = datetime.now(UTC)
    entries = load_corpora(corpora)
    house = Warehouse(warehouse.resolve())
    clock = _Clock()
    with house.locked(), bounded(threads, memory_limit, house.scratch):
        try:
            prepared, set_aside = _prepare_all(entries, house)
            clock.lap("ingest")
            n_crashed = _parse_all(prepared)
            clock.lap("templates")
            done = _finish_all(prepared)
            set_aside += pipeline.without_ngrams(done, house)
            clock.lap("ngrams")
        finally:
            stop_workers()
        for one in set_aside:
            get_run_logger().warning(one.reason)
        run_id = str(uuid4())
        n_pairs = n_new_pairs = 0
        if done:
            matrix = measure(done, house)
            n_pairs, n_new_pairs = matrix.n_pairs, matrix.n_new
            announce("matrix", f"{n_pairs:,} pairs, {n_new_pairs:,} measured anew")
            clock.lap("matrix")
            record = RunRecord(
                run_id,
                started_at,
                {**pipeline.parameters(), "corpora": str(corpora.resolve())},
                pipeline.versions(),
                {one.corpus: one.reason for one in set_aside},
            )
            publish_results(house, done, matrix.pairs, matrix.contributions, record)
            pipeline.remove_unused_stages(done, house)
            clock.lap("publish")
    return RunSummary(
        run_id=run_id,
        warehouse=house.folder,
        corpora=tuple(corpus.entry.name for corpus in done),
        set_aside={one.corpus: one.reason for one in set_aside},
        n_ingested=sum(one.was_ingested for one in prepared),
        n_parsed=sum(one.n_distinct for one in _unique(prepared)),
        n_crashed=n_crashed,
        n_pairs=n_pairs,
        n_new_pairs=n_new_pairs,
        seconds=clock.laps,
    )


def _prepare_all(
    entries: list[CorpusEntry], house: Warehouse
) -> tuple[list[Prepared], list[SetAside]]:
    outcomes = _in_order(
        [prepare.submit(entry, house) for entry in entries],
        "ingest",
        lambda outcome: (
            f"{outcome.corpus}: set aside"
            if isinstance(outcome, SetAside)
            else f"{outcome.entry.name}: {_ingest_words(outcome)}"
        ),
    )
    set_aside = [outcome for outcome in outcomes if isinstance(outcome, SetAside)]
    return [outcome for outcome in outcomes if isinstance(outcome, Prepared)], set_aside


def _ingest_words(prepared: Prepared) -> str:
    if prepared.jobs:
        return f"{prepared.n_distinct:,} distinct queries to parse"
    return "as in an earlier run"


def _parse_all(prepared: list[Prepared]) -> int:
    jobs = [job for one in _unique(prepared) for job in one.jobs]
    reports = _in_order(
        [parse.submit(job) for job in jobs],
        "templates",
        lambda report: f"{report.n_queries:,} queries, {report.n_rejected:,} rejected",
    )
    return sum(report.n_crashed for report in reports)


def _finish_all(prepared: list[Prepared]) -> list[IngestedCorpus]:
    futures = [finish.submit(one) for one in prepared]
    return _in_order(futures, "ngrams", lambda corpus: corpus.entry.name)


def _unique(prepared: list[Prepared]) -> Iterable[Prepared]:
    """One of those that share a dump's content: it is parsed once."""
    return {one.templates_key: one for one in prepared}.values()


def _in_order(
    futures: list[PrefectFuture[Any]], stage: str, words: Callable[[Any], str]
) -> list[Any]:
    """The futures' results in their order, announced as they come."""
    for done, future in enumerate(as_completed(futures), 1):
        announce(stage, words(future.result()), done, len(futures))
    return [future.result() for future in futures]


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
