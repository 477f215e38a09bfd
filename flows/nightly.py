"""The nightly job: looks for dumps, and runs the main job over what there is."""

from dataclasses import replace
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from nl2sql_align.flows.align import align
from nl2sql_align.flows.running.artifacts import discovery_summary, key_of
from nl2sql_align.flows.running.policy import step
from nl2sql_align.flows.running.runners import Runner
from nl2sql_align.flows.summary import RunSummary
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest import discovery
from nl2sql_align.tasks.results.publish import DRIFT_THRESHOLD
from nl2sql_align.tasks.warehouse.object_store import warehouse_at

discover = step(discovery.discover_dumps, "discover")


@flow(
    name="nightly",
    description="Look through folders of dumps, and compare what is there.",
    persist_result=False,
)
def nightly(
    folders: list[Path],
    warehouse: Path | str = Path("warehouse"),
    settle_minutes: float = discovery.SETTLE_SECONDS / 60,
    prune: bool = False,
    threads: int | None = None,
    memory_limit: str | None = None,
    drift_threshold: float = DRIFT_THRESHOLD,
    wait_seconds: float = 0.0,
    runner: Runner = Runner.LOCAL,
    dask_address: str | None = None,
) -> RunSummary | None:
    """Takes new and changed dumps, keeps vanished ones as retired, leaves those still being copied.

    Args:
        folders: Where dumps are put. A dump has a corpus.toml in its folder, a NAME.corpus.toml
            beside its file, or the layout of Spider, BIRD, Gretel or a Hugging Face data set.
        warehouse: The folder of the results, made if it is not there; or their address on a store.
        settle_minutes: A dump is left for the next night while one of its files has changed so
            recently.
        prune: Drop the corpora whose dumps are gone, and their results.
        threads: Processes and threads; by default NL2SQL_ALIGN_THREADS, else one per CPU.
        memory_limit: Such as 4GB; by default NL2SQL_ALIGN_MEMORY_LIMIT, else 4 GB.
        drift_threshold: How far an alignment with a target may move, from where it stood when it
            last had or at first, before that is called a drift.
        wait_seconds: How long to wait where another run holds the warehouse; 0 to give up at once.
        runner: What ingests, parses and counts: local, this machine, or dask, the workers
            of a Dask cluster.
        dask_address: The scheduler of the cluster; by default, one on this machine is made.

    Returns:
        What was done; ``problems`` says what could not be taken. None where all that is there is
        still being copied.

    Raises:
        ConfigurationError: None of the folders is there, or there is no dump in them.
        WarehouseError: The warehouse is in use or cannot be written.
    """
    house = warehouse_at(warehouse).resolved
    found = discover(
        folders,
        house,
        settle_seconds=60 * settle_minutes,
        prune=prune,
        wait_seconds=wait_seconds,
    )
    for problem in found.problems:
        get_run_logger().warning(problem)
    try:
        create_markdown_artifact(
            discovery_summary(found),
            key=key_of("discovery", house.place),
            description="What the last look through the folders found",
        )
    except Exception as error:
        get_run_logger().warning("The discovery's artifact could not be left: %s", error)
    if found.corpora is None:
        if found.waiting:
            return None
        shown = ", ".join(map(str, folders))
        why = found.problems[0] if found.problems else "put one there, with a corpus.toml"
        raise ConfigurationError(f"there is no dump in {shown}; {why}")
    summary = align(
        found.corpora,
        house.place,
        threads,
        memory_limit,
        drift_threshold=drift_threshold,
        wait_seconds=wait_seconds,
        runner=runner,
        dask_address=dask_address,
    )
    return replace(summary, problems=found.problems)
