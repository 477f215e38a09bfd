"""What is told of a runner before a run starts."""

import pytest

from nl2sql_align.flows.running import runners
from nl2sql_align.flows.running.runners import Runner, check_runner
from nl2sql_align.tasks.base.errors import ConfigurationError


def test_a_runner_that_is_not_installed_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr(runners, "find_spec", lambda name: None)
    check_runner(Runner.LOCAL, None)
    with pytest.raises(ConfigurationError, match=r"needs prefect-dask, .* make align EXTRAS=dask"):
        check_runner(Runner.DASK, None)


def test_an_address_without_its_runner_is_a_mistake():
    with pytest.raises(ConfigurationError, match="does not go with runner 'local'"):
        check_runner(Runner.LOCAL, "tcp://127.0.0.1:8786")
