"""Where the steps of a run are done: by this process, or by the workers of a Dask cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.templates.parser_pool import stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse


class Runner(StrEnum):
    """What does the steps on single corpora and their parts."""

    LOCAL = "local"
    DASK = "dask"


def check_runner(runner: Runner, dask_address: str | None) -> None:
    """Tells what is missing for a runner.

    Raises:
        ConfigurationError: The runner is not installed, or the address is for another one.
    """
    if runner is Runner.DASK and find_spec("prefect_dask") is None:
        raise ConfigurationError(
            "runner 'dask' needs prefect-dask, which is not installed; install the extra: "
            "make align EXTRAS=dask, or pip install 'nl2sql-align[dask]'"
        )
    if runner is not Runner.DASK and dask_address is not None:
        raise ConfigurationError(
            f"a Dask address does not go with runner '{runner}'; choose runner 'dask'"
        )


@contextmanager
def submitting_to(runner: Runner, dask_address: str | None, warehouse: Warehouse) -> Iterator[None]:
    """Has the steps that are submitted in the block done by a runner, and clears up behind them.

    Args:
        runner: Which one.
        dask_address: The scheduler of a Dask cluster that is there; by default, one on this machine
            is made for the block.
        warehouse: The warehouse, locked; its workers need it under the same path.

    Raises:
        ConfigurationError: The runner is not installed, or the cluster cannot be used.
        AlignError: Workers of the cluster died again and again.
    """
    check_runner(runner, dask_address)
    if runner is Runner.DASK:
        from nl2sql_align.flows.running.dask_cluster import submitting_to_dask

        with submitting_to_dask(dask_address, warehouse):
            yield
        return
    try:
        yield
    finally:
        stop_workers()
