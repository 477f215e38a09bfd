"""The main job: from dumps to published alignments."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from prefect import Task, get_run_logger
from prefect.exceptions import MissingContextError
from prefect.task_runners import ThreadPoolTaskRunner

from nl2sql_align.flows.running import artifacts
from nl2sql_align.flows.running.policy import step
from nl2sql_align.flows.running.protected_flow import protected_flow
from nl2sql_align.flows.running.runners import Runner, submitting_to
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.progress import Progress, listening
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.measures.blocks import make_block
from nl2sql_align.tasks.measures.matrix import sum_partition
from nl2sql_align.tasks.measures.options import Resampling, Unit
from nl2sql_align.tasks.ngrams.corpus_counts import add_partition, count_part
from nl2sql_align.tasks.results.options import DRIFT_THRESHOLD
from nl2sql_align.tasks.results.packed_queries import pack_part
from nl2sql_align.tasks.results.publish import fill_database, publish
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.executor import Pending
from nl2sql_align.tasks.run.job import Job
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.run.prepare import prepare_corpus
from nl2sql_align.tasks.run.summary import RunSummary
from nl2sql_align.tasks.run.unchanged import record_inputs
from nl2sql_align.tasks.templates.distinct_queries import find_distinct, find_firsts, write_texts
from nl2sql_align.tasks.templates.parser_pool import parse_part
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.object_store import pull, push, warehouse_at

R = TypeVar("R")

TASKS: Final[dict[Callable[..., Any], Task[..., Any]]] = {
    prepare_corpus: step(prepare_corpus, "prepare", "prepare {entry.name}"),
    find_distinct: step(find_distinct, "find distinct", "find {job.destination.stem}"),
    find_firsts: step(find_firsts, "find firsts", "find {job.destination.stem}"),
    write_texts: step(write_texts, "write distinct", "write {job.destination.stem}"),
    parse_part: step(parse_part, "parse", "parse part {job.row_group} of {job.source.name}"),
    steps.count_corpus: step(steps.count_corpus, "count", "count {prepared.entry.name}"),
    count_part: step(count_part, "count part", "count {job.destination.stem} of {job.corpus}"),
    add_partition: step(
        add_partition, "add up", "add up partition {job.partition} of {job.corpus}"
    ),
    pack_part: step(pack_part, "pack part", "pack {job.destination.stem} of {job.corpus}"),
    steps.measure_pairs: step(steps.measure_pairs, "measure"),
    sum_partition: step(sum_partition, "sum partition", "sum partition {job.partition} of pairs"),
    steps.measure_as_written: step(steps.measure_as_written, "measure as written"),
    steps.resample_pairs: step(steps.resample_pairs, "resample"),
    make_block: step(make_block, "resample block", "resample {block.n_pairs} pairs"),
    steps.measure_slices: step(steps.measure_slices, "slices"),
    fill_database: step(fill_database, "fill tables"),
    publish: step(publish, "publish"),
    write_report: step(write_report, "report"),
}
"""The Prefect task of each step."""


@protected_flow(
    name="align",
    description="Compare corpora of SQL queries by their structure.",
    # As ``Resources.steps_at_a_time``: one part is read or written while others are parsed.
    task_runner=ThreadPoolTaskRunner(max_workers=(os.cpu_count() or 1) + 1),
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
    force: bool = False,
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
        runner: Where the steps run: in local processes, or on Dask or Ray workers.
        dask_address: The scheduler of a Dask cluster; by default, runner dask starts a cluster on
            this machine.
        force: Use a folder that contains other files for the results; they stay as they are.

    Returns:
        A summary of the run; ``set_aside`` names each corpus that it could not use, with a reason.

    Raises:
        ConfigurationError: The corpora file is wrong, or a limit.
        WarehouseError: The warehouse is in use, cannot be written, or contains other files.
        ConflictError: Another run has published to the same store in the meantime.
    """
    entries, place = load_corpora(corpora), warehouse_at(warehouse).resolved
    settings = JobSettings(corpora.resolve(), Resampling(replicates, resample), drift_threshold)
    with (
        listening(_log),
        listening(artifacts.ProgressArtifacts()),
        place.explain_disk_errors(),
        place.locked(wait_seconds, force=force) as lock,
        bounded(threads, memory_limit, place.scratch),
    ):
        executor = _PrefectExecutor()
        job = Job(place, lock, executor)
        place.remove_damaged()
        if pull(place):
            job.clock.lap("fetch")
        counted, summary = job.run(
            entries,
            settings,
            lambda: submitting_to(runner, dask_address, place),
            lambda: executor.call(write_report, place.folder, only_if_changed=True),
        )
        for one in counted.set_aside:
            get_run_logger().warning(one.reason)
        if not counted.corpora:
            return summary
        if not counted.set_aside:
            digests = {one.entry.name: one.digest for one in counted.corpora}
            record_inputs(entries, digests, settings.resampling, drift_threshold, place)
        if push(place, run_id=summary.run_id, versions=list_versions()):
            job.clock.lap("upload")
    artifacts.create_artifacts(summary)
    return summary


class _PrefectExecutor:
    """Runs each step as a Prefect task, by the task runner of the flow."""

    def submit(self, step: Callable[..., R], *args: Any, **options: Any) -> Pending[R]:
        """Start a step."""
        return TASKS[step].submit(*args, **options)

    def call(self, step: Callable[..., R], *args: Any, **options: Any) -> R:
        """Run a step in this thread."""
        return TASKS[step](*args, **options)


def _log(progress: Progress) -> None:
    """Write progress to the log of the run on the server."""
    if not progress.text:
        return
    with suppress(MissingContextError):  # announced in a thread without a task
        get_run_logger().info("%s: %s", progress.stage, progress.text)
