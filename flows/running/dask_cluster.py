"""Steps of a run on the workers of a Dask cluster. Needs the extra ``dask``.

Workers receive paths and small records only; the files are in the warehouse, which every worker
sees under the same path. A worker that dies is replaced, and its step runs again.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client, KilledWorker, Worker, WorkerPlugin
from prefect.context import FlowRunContext
from prefect_dask.task_runners import DaskTaskRunner

from nl2sql_align.flows.running.temporary_server import shared_with_workers
from nl2sql_align.flows.running.workers import (
    check_shared_folder,
    check_versions,
    describe_deaths,
)
from nl2sql_align.tasks.base.connections import bounded, resources
from nl2sql_align.tasks.base.errors import AlignError, ConfigurationError
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.templates.parser_pool import stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse


class _WorkerSetup(WorkerPlugin):  # type: ignore[misc, unused-ignore]
    """A worker plugin that limits resources and refuses workers with other versions."""

    idempotent = True

    def __init__(self, memory_bytes: int, ends_silently: bool) -> None:
        self.name = f"nl2sql-align-{memory_bytes}"
        self._memory_bytes = memory_bytes
        self._ends_silently = ends_silently
        self._versions = list_versions()

    def setup(self, worker: Worker) -> None:
        check_versions(f"Dask worker {worker.address}", list_versions(), self._versions)
        # Keep the limits until the worker ends: steps of other runs may outlive this run.
        self._bounds = bounded(
            worker.state.nthreads, f"{self._memory_bytes}B", Path(worker.local_directory)
        )
        self._bounds.__enter__()

    def teardown(self, worker: Worker) -> None:
        stop_workers()
        self._bounds.__exit__(None, None, None)
        # At exit, DuckDB's bindings list live objects on standard error, the terminal of the run.
        if self._ends_silently:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@contextmanager
def submitting_to_dask(address: str | None, warehouse: Warehouse) -> Iterator[int]:
    """Execute the steps submitted in the block on a Dask cluster.

    A cluster started here has one process per thread of the run, and they share its memory limit.
    In a running cluster, each worker may use the whole limit.

    Yields:
        The number of threads of all workers.
    """
    run = FlowRunContext.get()
    assert run is not None
    bounds = resources()
    if address is None:
        memory_bytes = bounds.memory_bytes // bounds.threads
        runner = DaskTaskRunner(
            cluster_kwargs={
                "n_workers": bounds.threads,
                "threads_per_worker": 1,
                "dashboard_address": None,
                "local_directory": str(warehouse.scratch),
            }
        )
    else:
        memory_bytes = bounds.memory_bytes
        runner = DaskTaskRunner(address=address)
    with (
        shared_with_workers(),
        runner,
        run.model_copy(update={"task_runner": runner}),
    ):
        client = _connect(runner, address)
        try:
            client.register_plugin(_WorkerSetup(memory_bytes, ends_silently=address is None))
            seen = client.run(Path.is_dir, warehouse.scratch)
            check_shared_folder(
                {f"Dask worker {one}": sees for one, sees in seen.items()}, warehouse
            )
            yield sum(client.nthreads().values())
        except KilledWorker as error:
            raise AlignError(describe_deaths("Dask workers", error.task)) from None
        finally:
            client.run(stop_workers)


def _connect(runner: DaskTaskRunner, address: str | None) -> Client:
    try:
        return runner.client
    except (OSError, ValueError) as error:
        if address is None:
            raise
        raise ConfigurationError(
            f"no Dask scheduler answers at {address} ({error}); check --dask-address"
        ) from None
