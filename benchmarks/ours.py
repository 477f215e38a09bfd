"""The pipeline, stage by stage, without Prefect."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from nl2sql_align.tasks.base.connections import bounded, resources
from nl2sql_align.tasks.templates.parser_pool import (
    ParseJob,
    ParseReport,
    parse_part,
    start_worker,
    stop_workers,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse

if TYPE_CHECKING:
    from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus

STAGES = ("ingest", "templates", "ngrams", "matrix", "intervals", "publish", "report")
MEASURES = tuple(stage for stage in STAGES if stage not in ("intervals", "report"))
"""The stages needed to publish the measures, without intervals and the report."""


def run(corpora: Path, place: Path, stages: Sequence[str] = STAGES) -> dict[str, list[float]]:
    """Run the main job.

    Args:
        corpora: The corpora file.
        place: The folder of the results.
        stages: ``STAGES``, or ``MEASURES``.

    Returns:
        Start and end of each stage, on the clock of ``time.monotonic``. A stage starts when the
        stage before it ends; work that was done earlier counts for that stage.
    """
    warehouse = Warehouse(place.resolve())
    if not warehouse.database.exists():
        for _ in range(resources().threads):  # they start while this process loads modules
            start_worker()
    from nl2sql_align.tasks.ingest.corpora_file import load_corpora
    from nl2sql_align.tasks.run.prepare import PendingParts, Prepared, prepare_corpus

    marks: dict[str, list[float]] = {}
    last = time.monotonic()

    def lap(stage: str) -> None:
        nonlocal last
        now = time.monotonic()
        marks[stage] = [last, now]
        last = now

    started_at = datetime.now(UTC)
    entries = load_corpora(corpora)
    with (
        warehouse.locked(),
        bounded(None, None, warehouse.scratch) as bounds,
        # Two threads per parser process: one part is read or written while another is parsed.
        ThreadPoolExecutor(2 * bounds.threads) as pool,
    ):
        try:
            warehouse.remove_damaged()
            parts = PendingParts()
            parsing: dict[Future[ParseReport], ParseJob] = {}
            targets = {entry.name: entry for entry in entries}
            preparing = [
                pool.submit(
                    prepare_corpus, entry, warehouse, target=targets.get(entry.target or "")
                )
                for entry in entries
            ]
            for future in as_completed(preparing):
                outcome = future.result()
                if isinstance(outcome, Prepared):
                    parsing |= {pool.submit(parse_part, job): job for job in parts.add(outcome)}
            # A slow import, while the first queries are parsed.
            import scipy.sparse  # noqa: F401 - needed later

            from nl2sql_align.tasks.results.publish import RunRecord, fill_database, publish
            from nl2sql_align.tasks.results.versions import list_versions
            from nl2sql_align.tasks.run import steps
            from nl2sql_align.tasks.views.report import write_report

            outcomes = [future.result() for future in preparing]
            prepared = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
            lap("ingest")
            counting: dict[str, Future[CountedCorpus]] = {}

            def count_parsed() -> None:
                for one in parts.take_parsed():
                    counting[one.entry.name] = pool.submit(steps.count_corpus, one, warehouse)

            count_parsed()
            for parsed in as_completed(parsing):
                parsed.result()
                parts.mark_parsed(parsing[parsed])
                count_parsed()
            lap("templates")
            stop_workers()  # they end while n-grams are counted
            done = [_counted(counting[one.entry.name].result(), pool) for one in prepared]
            lap("ngrams")
        finally:
            stop_workers()
        done = steps.count_answered_parts(done, warehouse)
        versions = list_versions()
        filling = pool.submit(fill_database, warehouse, done, versions)
        report = steps.measure_pairs(done, warehouse)
        lap("matrix")
        intervals = None
        if "intervals" in stages:
            intervals = steps.resample_pairs(done, report, warehouse)
            lap("intervals")
        record = RunRecord(
            str(uuid4()),
            started_at,
            {**steps.list_parameters(), "corpora": str(corpora.resolve())},
            versions,
        )
        as_written = steps.measure_as_written(done, warehouse)
        publish(
            warehouse,
            done,
            report.pairs,
            report.contributions,
            record,
            intervals,
            as_written,
            filling.result(),
        )
        steps.write_last_corpora(done, warehouse)
        steps.remove_unused_files(done, warehouse)
        warehouse.record_digests()
        lap("publish")
        if "report" in stages:
            write_report(warehouse.folder, only_if_changed=True)
            lap("report")
    return marks


def _counted(corpus: "CountedCorpus", pool: ThreadPoolExecutor) -> "CountedCorpus":
    from nl2sql_align.tasks.ngrams.corpus_counts import add_partition, count_part, gather_partitions

    if corpus.division is None:
        return corpus
    list(pool.map(count_part, corpus.division.parts))
    list(pool.map(add_partition, corpus.division.partitions))
    gather_partitions(corpus.division)
    return replace(corpus, division=None)
