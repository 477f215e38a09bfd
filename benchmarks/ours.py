"""The pipeline, stage by stage, without Prefect."""

import time
from collections.abc import Sequence
from pathlib import Path

from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.warehouse.folder import Warehouse

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
    last = time.monotonic()
    warehouse = Warehouse(place.resolve())
    settings = JobSettings(corpora)
    if "intervals" not in stages:
        from nl2sql_align.tasks.measures.options import Resampling

        settings = JobSettings(corpora, Resampling(replicates=0))
    seconds = run_locally(load_corpora(corpora), warehouse, settings).seconds
    if "report" in stages:
        from nl2sql_align.tasks.views.report import write_report

        started = time.monotonic()
        write_report(warehouse.folder, only_if_changed=True)
        seconds = {**seconds, "report": time.monotonic() - started}
    marks: dict[str, list[float]] = {}
    for stage in stages:
        marks[stage] = [last, last + seconds[stage]]
        last = marks[stage][1]
    return marks
