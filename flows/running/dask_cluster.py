"""The workers of a Dask cluster, made ready for a run's steps. Needs the extra ``dask``.

What goes to a worker are paths and small records: files stand in the warehouse, which every worker
sees under the same path. A worker that dies is replaced, and its step is done again.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, KilledWorker, Worker, WorkerPlugin
from prefect import get_client
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_dask.task_runners import DaskTaskRunner

from nl2sql_align.tasks.base.connections import bounded, resources
from nl2sql_align.tasks.base.errors import AlignError, ConfigurationError
from nl2sql_align.tasks.results.versions import versions
from nl2sql_align.tasks.templates.parser_pool import stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse


class _Bounds(WorkerPlugin):  # type: ignore[misc, unused-ignore]
    """Bounds what steps use in a worker, and refuses one that would give other numbers."""

    idempotent = True

    def __init__(self, memory_bytes: int, ends_silently: bool) -> None:
        self.name = f"nl2sql-align-{memory_bytes}"
        self._memory_bytes = memory_bytes
        self._ends_silently = ends_silently
        self._versions = versions()

    def setup(self, worker: Worker) -> None:
        own = versions()
        for name, wanted in self._versions.items():
            if own[name] != wanted:
                raise ConfigurationError(
                    f"Dask worker {worker.address} has {name} {own[name]}, and this run {wanted}; "
                    "install the same versions there"
                )
        # Until the worker ends: other runs may have steps there when this one is over.
        self._bounds = bounded(
            worker.state.nthreads, f"{self._memory_bytes}B", Path(worker.local_directory)
        )
        self._bounds.__enter__()

    def teardown(self, worker: Worker) -> None:
        stop_workers()
        self._bounds.__exit__(None, None, None)
        if self._ends_silently:  # DuckDB's bindings list on the run's terminal what they still hold
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@contextmanager
def submitting_to_dask(address: str | None, warehouse: Warehouse) -> Iterator[None]:
    """Has the steps that are submitted in the block done by a Dask cluster.

    A cluster made here has as many processes as the run may have threads, and they share its
    memory; in one that is there, each worker may use that much.
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
        _server_for_all(),
        runner,
        run.model_copy(update={"task_runner": runner}),
    ):
        client = _connected(runner, address)
        try:
            client.register_plugin(_Bounds(memory_bytes, ends_silently=address is None))
            _check_sight(client, warehouse)
            yield
        except KilledWorker as error:
            raise AlignError(
                f"Dask workers died again and again at one step ({error.task}); "
                "check their memory, and run again: what is done is not done again"
            ) from None
        finally:
            client.run(stop_workers)


def _connected(runner: DaskTaskRunner, address: str | None) -> Client:
    try:
        return runner.client
    except (OSError, ValueError) as error:
        if address is None:
            raise
        raise ConfigurationError(
            f"no Dask scheduler answers at {address} ({error}); check --dask-address"
        ) from None


def _check_sight(client: Client, warehouse: Warehouse) -> None:
    """Raises where a worker does not see the warehouse."""
    seen: dict[str, Any] = client.run(Path.is_dir, warehouse.scratch)
    blind = [worker for worker, sees in seen.items() if sees is not True]
    if blind:
        raise ConfigurationError(
            f"Dask worker {blind[0]} does not see {warehouse.folder}; "
            "choose a warehouse that all workers have under that path"
        )


@contextmanager
def _server_for_all() -> Iterator[None]:
    """Lets workers tell the Prefect server of this run, where each would start one of its own."""
    with get_client(sync_client=True) as client:
        address = str(client.api_url).rstrip("/")
    with temporary_settings({PREFECT_API_URL: address}):
        yield
