"""Steps of a run on the workers of a Ray cluster. Needs the extra ``ray``.

As with Dask, workers receive paths and small records only, and a step whose worker dies runs again.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import ray
from prefect.context import FlowRunContext
from prefect_ray.task_runners import RayTaskRunner

from nl2sql_align.flows.running.temporary_server import shared_with_workers
from nl2sql_align.flows.running.workers import (
    check_shared_folder,
    check_versions,
    describe_deaths,
)
from nl2sql_align.tasks.base.connections import MEMORY_LIMIT_VARIABLE, resources
from nl2sql_align.tasks.base.environment import THREADS_VARIABLE
from nl2sql_align.tasks.base.errors import AlignError, ConfigurationError
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.warehouse.folder import Warehouse

ADDRESS_VARIABLE: Final = "RAY_ADDRESS"
"""The variable of Ray itself that names a running cluster."""


@contextmanager
def submitting_to_ray(warehouse: Warehouse) -> Iterator[int]:
    """Execute the steps submitted in the block on the cluster of ``RAY_ADDRESS``, or a local one.

    A cluster started here has one worker per thread of the run, and they share its memory limit.
    In a running cluster, each worker may use the whole limit.

    Yields:
        The number of CPUs of all nodes.

    Raises:
        ConfigurationError: The cluster does not answer, or a node has other versions or does not
            see the warehouse.
        AlignError: Workers died repeatedly at one step.
    """
    run = FlowRunContext.get()
    assert run is not None
    with ExitStack() as stack:
        runner = RayTaskRunner(init_kwargs=_list_options(stack))
        stack.enter_context(shared_with_workers())
        _connect(stack, runner)
        stack.enter_context(run.model_copy(update={"task_runner": runner}))
        _check_nodes(warehouse)
        try:
            yield int(ray.cluster_resources().get("CPU", 1))
        except ray.exceptions.WorkerCrashedError as error:
            raise AlignError(describe_deaths("Ray workers", error)) from None


def _list_options(stack: ExitStack) -> dict[str, Any]:
    """Return the arguments of ``ray.init``."""
    bounds = resources()
    is_running = ADDRESS_VARIABLE in os.environ
    memory_bytes = bounds.memory_bytes if is_running else bounds.memory_bytes // bounds.threads
    limits = {THREADS_VARIABLE: "1", MEMORY_LIMIT_VARIABLE: f"{memory_bytes}B"}
    common = {
        "runtime_env": {"env_vars": limits},
        "log_to_driver": False,
        "logging_level": "ERROR",
    }
    if is_running:
        return common
    # Ray otherwise reports its use to its makers, and leaves its logs in /tmp/ray.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logs = stack.enter_context(
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
    )
    return {**common, "num_cpus": bounds.threads, "include_dashboard": False, "_temp_dir": logs}


def _connect(stack: ExitStack, runner: RayTaskRunner[Any]) -> None:
    try:
        stack.enter_context(runner)
    except (ConnectionError, RuntimeError) as error:
        address = os.environ.get(ADDRESS_VARIABLE)
        if address is None:
            raise
        raise ConfigurationError(
            f"no Ray cluster answers at {address} ({' '.join(str(error).split())}); check "
            f"{ADDRESS_VARIABLE}"
        ) from None


def _check_nodes(warehouse: Warehouse) -> None:
    """Raise ConfigurationError unless every node has our versions and sees the warehouse."""
    wanted, folder = list_versions(), warehouse.scratch

    @ray.remote(num_cpus=0)
    def describe() -> tuple[dict[str, str], bool]:
        return dict(list_versions()), folder.is_dir()

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    asked = [
        describe.options(
            scheduling_strategy=ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                node, soft=False
            )
        ).remote()
        for node in nodes
    ]
    for node, (own, sees_folder) in zip(nodes, ray.get(asked), strict=True):
        check_versions(f"Ray node {node}", own, wanted)
        check_shared_folder({f"Ray node {node}": sees_folder}, warehouse)
