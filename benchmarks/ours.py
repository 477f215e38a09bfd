"""The pipeline, stage by stage, without Prefect."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from tasks.engine import bounded, resources
from tasks.warehouse import Warehouse
from tasks.workers import parse_part, start_worker, stop_workers

STAGES = ("ingest", "templates", "ngrams", "matrix", "publish")


def run(corpora: Path, warehouse: Path, workers: int | None = None) -> dict[str, list[float]]:
    """Runs the main job.

    Args:
        corpora: The corpora file.
        warehouse: The folder of the results.
        workers: How many steps, and with them parsing processes, run side by side.

    Returns:
        Per stage, when it began and when it ended, on the clock of ``time.monotonic``.
    """
    house = Warehouse(warehouse.resolve())
    if not house.database.exists():
        for _ in range(workers or resources().threads):  # they start while this process loads
            start_worker()
    from tasks import pipeline
    from tasks.config import load_corpora
    from tasks.pipeline import Prepared
    from tasks.publish import RunRecord, publish

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
        house.locked(),
        bounded(workers, None, house.scratch) as bounds,
        ThreadPoolExecutor(bounds.threads) as pool,
    ):
        try:
            outcomes = list(pool.map(lambda entry: pipeline.prepare(entry, house), entries))
            prepared = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
            lap("ingest")
            unique = {one.templates_key: one for one in prepared}.values()
            list(pool.map(parse_part, [job for one in unique for job in one.jobs]))
            lap("templates")
            done = list(pool.map(pipeline.finish, prepared))
            lap("ngrams")
        finally:
            stop_workers()
        report = pipeline.measure(done, house)
        lap("matrix")
        record = RunRecord(
            str(uuid4()),
            started_at,
            {**pipeline.parameters(), "corpora": str(corpora.resolve())},
            pipeline.versions(),
        )
        publish(house, done, report.pairs, report.contributions, record)
        pipeline.remove_unused_stages(done, house)
        lap("publish")
    return marks
