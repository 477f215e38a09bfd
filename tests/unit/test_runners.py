"""Checks of a runner before a run starts."""

import pytest

from nl2sql_align.flows.running import runners
from nl2sql_align.flows.running.runners import Runner, check_runner
from nl2sql_align.tasks.base.errors import ConfigurationError


def test_a_missing_runner_is_reported_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr(runners, "find_spec", lambda name: None)
    check_runner(Runner.LOCAL, None)
    with pytest.raises(ConfigurationError, match=r"needs prefect-dask, .* make align EXTRAS=dask"):
        check_runner(Runner.DASK, None)


def test_an_address_needs_the_dask_runner():
    with pytest.raises(ConfigurationError, match="does not go with runner 'local'"):
        check_runner(Runner.LOCAL, "tcp://127.0.0.1:8786")
