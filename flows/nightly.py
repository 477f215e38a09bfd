"""The nightly job: find the dumps in some folders, and run the main job on them."""

from dataclasses import replace
from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from nl2sql_align.flows.align import align
from nl2sql_align.flows.running.artifacts import discovery_summary, key_of
from nl2sql_align.flows.running.policy import step
from nl2sql_align.flows.running.protected_flow import protected_flow
from nl2sql_align.flows.running.runners import Runner
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.discovery import SETTLE_SECONDS, Discovery, discover_dumps
from nl2sql_align.tasks.results.options import DRIFT_THRESHOLD
from nl2sql_align.tasks.run.summary import RunSummary
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.object_store import warehouse_at

discover = step(discover_dumps, "discover")


@protected_flow(
    name="nightly",
    description="Compare the dumps in some folders.",
    persist_result=False,
)
def nightly(
    folders: list[Path],
    warehouse: Path | str = Path("warehouse"),
    settle_minutes: float = SETTLE_SECONDS / 60,
    prune: bool = False,
    threads: int | None = None,
    memory_limit: str | None = None,
    drift_threshold: float = DRIFT_THRESHOLD,
    wait_seconds: float = 0.0,
    runner: Runner = Runner.LOCAL,
    dask_address: str | None = None,
    allow: list[Path] | None = None,
    force: bool = False,
) -> RunSummary | None:
    """Run the main job on new, changed and known dumps.

    Dumps that are still being copied wait for the next night. The results of dumps that are gone
    remain, marked as retired.

    Args:
        folders: The folders of the dumps. A dump has a corpus.toml in its folder, a
            NAME.corpus.toml beside its file, or the layout of Spider, BIRD, Gretel or a Hugging
            Face data set.
        warehouse: The folder of the results, created if missing, or their address on a store.
        settle_minutes: How long the files of a dump must be unchanged before the dump is used.
        prune: Drop the corpora whose dumps are gone, and their results.
        threads: Number of processes and threads; by default NL2SQL_ALIGN_THREADS, else one per CPU.
        memory_limit: DuckDB's memory limit, such as 4GB; by default NL2SQL_ALIGN_MEMORY_LIMIT, else
            4 GB.
        drift_threshold: How far an alignment with a target may move from its value at the last
            drift, or from its first value, before the move is called a drift.
        wait_seconds: How long to wait if another run holds the warehouse; 0 to fail at once.
        runner: Where the steps run: in local processes, or on Dask or Ray workers.
        dask_address: The scheduler of a Dask cluster; by default, runner dask starts a cluster on
            this machine.
        allow: More folders that links and descriptions in the folders may lead to. Dumps elsewhere
            are refused.
        force: Use a folder that contains other files for the results; they stay as they are.

    Returns:
        A summary of the run, with the dumps that could not be used in ``problems``, the files that
        were not recognized in ``skipped``, and the corpora without a dump in ``retired``; None if
        all dumps are still being copied.

    Raises:
        ConfigurationError: The folders do not exist, or contain no dump.
        WarehouseError: The warehouse is in use, cannot be written, or contains other files.
    """
    found = _discover(
        folders,
        warehouse_at(warehouse).resolved,
        allow or [],
        settle_minutes,
        prune,
        wait_seconds,
        force,
    )
    if found.corpora is None:
        if found.waiting:
            return None
        searched = ", ".join(map(str, folders))
        remedy = next(iter((*found.problems, *found.skipped)), "put one there, with a corpus.toml")
        raise ConfigurationError(f"there is no dump in {searched}; {remedy}")
    summary = align(
        found.corpora,
        warehouse,
        threads,
        memory_limit,
        drift_threshold=drift_threshold,
        wait_seconds=wait_seconds,
        runner=runner,
        dask_address=dask_address,
        force=force,
    )
    return replace(summary, problems=found.problems, skipped=found.skipped, retired=found.gone)


def _discover(
    folders: list[Path],
    warehouse: Warehouse,
    allow: list[Path],
    settle_minutes: float,
    prune: bool,
    wait_seconds: float,
    force: bool,
) -> Discovery:
    """Find the dumps, and report them on the server."""
    found = discover(
        folders,
        warehouse,
        allow=allow,
        settle_seconds=60 * settle_minutes,
        prune=prune,
        wait_seconds=wait_seconds,
        force=force,
    )
    for problem in found.problems:
        get_run_logger().warning("%s", problem)
    for one in (*found.gone, *found.skipped):
        get_run_logger().info("%s", one)
    try:
        create_markdown_artifact(
            discovery_summary(found),
            key=key_of("discovery", warehouse.place),
            description="The dumps that the last search found",
        )
    except Exception as error:
        get_run_logger().warning("The artifact of the search could not be created: %s", error)
    return found
