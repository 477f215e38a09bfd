"""Runs on a Dask cluster that runs already."""

import importlib.util

import pytest

from nl2sql_align.flows.running.runners import Runner
from nl2sql_align.tasks.base.errors import ConfigurationError

pytestmark = [
    pytest.mark.flow,
    pytest.mark.fault,
    # Importing Dask here would delay every process of the tests.
    pytest.mark.skipif(not importlib.util.find_spec("prefect_dask"), reason="needs the extra dask"),
]


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
