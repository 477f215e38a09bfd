"""Runs on the worker processes of a real Dask cluster on this machine."""

import importlib.util
import os
import signal

import pytest

from nl2sql_align.flows.running.runners import Runner
from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.flows.conftest import dividing_pairs
from tests.flows.warehouses import leftovers, tables

pytestmark = [
    pytest.mark.flow,
    pytest.mark.fault,
    # Importing Dask here would delay every process of the tests.
    pytest.mark.skipif(not importlib.util.find_spec("prefect_dask"), reason="needs the extra dask"),
]

# Enough queries that a worker is still parsing when the first part is done.
N_QUERIES = 5_000


@pytest.fixture
def larger(corpora):
    """Corpora, one of them with several parts and 40 templates."""
    queries = [
        f"SELECT a{i} FROM b WHERE c IN (SELECT d{i % 7})" + " OR e > 1" * (i % 40)
        for i in range(N_QUERIES)
    ]
    return corpora.add("near", queries)


class Killer:
    """Kills a busy worker when the first part of a corpus is parsed."""

    def __init__(self):
        self.killed = None
        self.workers = set()

    def __call__(self, step):
        if step.stage != "templates" or self.killed is not None:
            return
        from prefect.context import FlowRunContext

        client = FlowRunContext.get().task_runner.client
        pids = client.run(os.getpid)
        self.workers = set(pids.values())
        busy = [worker for worker, steps in client.processing().items() if steps]
        self.killed = pids[busy[0]]
        os.kill(self.killed, signal.SIGKILL)


def test_a_killed_worker_changes_no_bit_of_the_results(
    align, job, larger, tmp_path, limit_counting
):
    alone = job(larger.write(), tmp_path / "local")
    limit_counting(part_bytes=2000, partition_bytes=2000, templates_at_a_time=10)
    killer = Killer()
    with progress.listening(killer), dividing_pairs() as n_steps:
        summary = align(larger.write(), tmp_path / "dask", threads=2, runner="dask")
    assert min(n_steps[:2]) > 1
    assert len(killer.workers) == 2
    assert killer.killed in killer.workers
    for worker in killer.workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    assert summary.set_aside == {}
    assert summary.n_parsed > N_QUERIES
    assert any(path.is_dir() for path in Warehouse(summary.warehouse).ngrams.iterdir())
    assert tables(summary.warehouse) == tables(alone.warehouse)
    assert leftovers(summary.warehouse) == []


def test_a_running_cluster_is_used_if_it_has_the_same_versions(align, corpora, tmp_path):
    from distributed import LocalCluster

    from nl2sql_align.flows.running import dask_cluster

    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        options = {"runner": Runner.DASK, "dask_address": cluster.scheduler_address}
        with pytest.MonkeyPatch.context() as patch:
            others = {**dask_cluster.list_versions(), "sqlglot": "1.0"}
            patch.setattr(dask_cluster, "list_versions", lambda: others)
            with pytest.raises(ConfigurationError, match=r"has sqlglot .*, and this run 1\.0"):
                align(corpora.write(), tmp_path / "warehouse", **options)
        summary = align(corpora.path, tmp_path / "warehouse", **options)
    assert summary.n_parsed > 0
    assert set(summary.corpora) == set(corpora.entries)
