"""The main job in this process, without Prefect.

A parser starts before the modules that read and measure are imported.
"""

from concurrent.futures import ThreadPoolExecutor

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.ingest.corpora_file import AUTO, CorpusEntry
from nl2sql_align.tasks.run.options import DEFAULT_SETTINGS, JobSettings
from nl2sql_align.tasks.run.summary import RunSummary
from nl2sql_align.tasks.templates.parser_pool import start_worker, stop_workers
from nl2sql_align.tasks.templates.rules import CANDIDATES
from nl2sql_align.tasks.warehouse.folder import Warehouse


def run_locally(
    entries: list[CorpusEntry],
    warehouse: Warehouse,
    settings: JobSettings = DEFAULT_SETTINGS,
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
) -> RunSummary:
    """Run the main job in this process, without Prefect.

    Args:
        entries: The corpora.
        warehouse: The warehouse, in a folder of this machine.
        settings: The settings.
        threads: Number of processes and threads; by default NL2SQL_ALIGN_THREADS, else one per CPU.
        memory_limit: DuckDB's memory limit, such as 4GB; by default NL2SQL_ALIGN_MEMORY_LIMIT, else
            4 GB.

    Raises:
        ConfigurationError: A limit is not valid.
        WarehouseError: The warehouse is in use or cannot be written.
    """
    with (
        warehouse.explain_disk_errors(),
        warehouse.locked() as lock,
        bounded(threads, memory_limit, warehouse.scratch) as bounds,
        ThreadPoolExecutor(bounds.steps_at_a_time) as pool,
    ):
        try:
            if not warehouse.database.exists():
                dialects = CANDIDATES if any(one.dialect == AUTO for one in entries) else ()
                for _ in range(bounds.threads):
                    start_worker(dialects)
            from nl2sql_align.tasks.run.executor import LocalExecutor
            from nl2sql_align.tasks.run.job import Job

            job = Job(warehouse, lock, LocalExecutor(pool))
            warehouse.remove_damaged()
            counted = job.count(entries)
        finally:
            stop_workers()
        return job.publish(counted, settings)
