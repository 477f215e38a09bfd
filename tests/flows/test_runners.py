"""Promises of each cluster's task runner, as docs/scale.md lists them."""

import contextlib
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from nl2sql_align.flows.running.runners import Runner
from nl2sql_align.tasks.run import steps
from tests.flows.warehouses import leftovers, tables

pytestmark = [pytest.mark.flow, pytest.mark.fault]


def die_once(mark, step, *arguments, **options):
    """Kill this process at the first call."""
    with contextlib.suppress(FileExistsError):
        mark.touch(exist_ok=False)
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments, **options)


def descendants():
    """Return the commands of the living processes that descend from this one."""
    commands, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            commands[folder.name] = (folder / "cmdline").read_text().replace("\0", " ")
            parents[folder.name] = (folder / "stat").read_text().rpartition(")")[2].split()[1]
    found = {str(os.getpid())}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    # Python has one tracker of resources per process, which ends with it.
    alive = filter(None, (commands[one] for one in found))
    return {command for command in alive if "resource_tracker" not in command}


@pytest.mark.parametrize("runner", [Runner.DASK, Runner.RAY])
def test_a_runner_keeps_its_promises(runner, align, job, corpora, tmp_path, monkeypatch):
    pytest.importorskip(f"prefect_{runner}", reason=f"needs the extra {runner}")
    from nl2sql_align.flows.align import TASKS
    from nl2sql_align.flows.running.policy import step

    corpora.add("damaged", b"SELECT 1;\n\xff\xfe\x00\x81")
    alone = job(corpora.write(), tmp_path / "local", threads=2)
    assert set(alone.set_aside) == {"damaged"}
    before = descendants()
    count = partial(die_once, tmp_path / "killed", steps.count_corpus)
    monkeypatch.setitem(TASKS, steps.count_corpus, step(count, "count"))
    summary = align(corpora.path, tmp_path / runner, threads=2, runner=runner)
    assert (tmp_path / "killed").exists()
    assert summary.set_aside == alone.set_aside
    assert summary.n_parsed == alone.n_parsed > 0
    assert tables(summary.warehouse) == tables(alone.warehouse)
    assert leftovers(summary.warehouse) == []
    assert descendants() <= before
