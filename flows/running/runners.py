"""Where the steps of a run execute: in this process, or on the workers of a cluster."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.warehouse.addresses import refuse_credentials

if TYPE_CHECKING:
    from nl2sql_align.tasks.warehouse.folder import Warehouse


class Runner(StrEnum):
    """Where the steps of a run execute."""

    LOCAL = "local"
    DASK = "dask"
    RAY = "ray"


def check_runner(runner: Runner, dask_address: str | None) -> None:
    """Check that a runner is installed and fits the Dask address.

    Raises:
        ConfigurationError: It is not installed, or the address belongs to another runner, or may
            contain credentials.
    """
    refuse_credentials(dask_address or "")
    if runner != Runner.LOCAL and find_spec(f"prefect_{runner}") is None:
        raise ConfigurationError(
            f"runner '{runner}' needs prefect-{runner}, which is not installed; install it with "
            f"make align EXTRAS={runner}, or pip install 'nl2sql-align[{runner}]'"
        )
    if runner != Runner.DASK and dask_address is not None:
        raise ConfigurationError(
            f"a Dask address does not go with runner '{runner}'; choose runner 'dask'"
        )


@contextmanager
def submitting_to(
    runner: Runner, dask_address: str | None, warehouse: "Warehouse"
) -> Iterator[int | None]:
    """Execute the steps submitted in the block on a runner, and stop its parsers at the end.

    Args:
        runner: The runner.
        dask_address: The scheduler of a running Dask cluster. By default, the block starts a
            cluster on this machine. Ray's own variable ``RAY_ADDRESS`` does the same for Ray.
        warehouse: The warehouse, locked. Workers need it under the same path.

    Yields:
        How many steps the workers of a cluster run at a time; None for the default runner.

    Raises:
        ConfigurationError: The runner is not installed, or the cluster cannot be used.
        AlignError: Workers of the cluster died repeatedly.
    """
    check_runner(runner, dask_address)
    # Imported here to keep the start of the command line fast, which imports Runner.
    from nl2sql_align.tasks.templates.parser_pool import stop_workers

    try:
        with _running(runner, dask_address, warehouse) as n_at_once:
            yield n_at_once
    finally:
        stop_workers()


def _running(
    runner: Runner, dask_address: str | None, warehouse: "Warehouse"
) -> AbstractContextManager[int | None]:
    """Return a block that executes its steps on a runner."""
    if runner == Runner.DASK:
        from nl2sql_align.flows.running.dask_cluster import submitting_to_dask

        return submitting_to_dask(dask_address, warehouse)
    if runner == Runner.RAY:
        from nl2sql_align.flows.running.ray_cluster import submitting_to_ray

        return submitting_to_ray(warehouse)
    return nullcontext()
