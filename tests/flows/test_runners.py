"""Promises of each cluster's task runner, as docs/scale.md lists them."""

import contextlib
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from nl2sql_align.flows.running.runners import Runner
from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.templates.parser_pool import parse_part
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.flows.conftest import dividing_pairs
from tests.flows.warehouses import leftovers, tables

pytestmark = [pytest.mark.flow, pytest.mark.fault]


def die_once(mark, step, *arguments, **options):
    """Kill this process at the end of the first call."""
    result = step(*arguments, **options)
    with contextlib.suppress(FileExistsError):
        mark.touch(exist_ok=False)
        os.kill(os.getpid(), signal.SIGKILL)
    return result


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
def test_a_runner_keeps_its_promises(
    runner, align, job, corpora, tmp_path, limit_counting, monkeypatch
):
    pytest.importorskip(f"prefect_{runner}", reason=f"needs the extra {runner}")
    from prefect.context import FlowRunContext

    from nl2sql_align.flows.align import TASKS
    from nl2sql_align.flows.running.policy import step

    # Enough templates to be counted in several parts
    corpora.add("near", [f"SELECT a FROM b WHERE c{i}" + " OR d > 1" * i for i in range(40)])
    corpora.add("damaged", b"SELECT 1;\n\xff\xfe\x00\x81")
    alone = job(corpora.write(), tmp_path / "local", threads=2)
    assert set(alone.set_aside) == {"damaged"}
    before = descendants()
    limit_counting(part_bytes=2000, partition_bytes=2000, templates_at_a_time=10)
    dying = partial(die_once, tmp_path / "dead", parse_part)
    monkeypatch.setitem(TASKS, parse_part, step(dying, TASKS[parse_part].name))
    n_workers = []

    def count_workers(_progress):
        if runner == Runner.DASK:
            n_workers.append(len(FlowRunContext.get().task_runner.client.ncores()))

    with progress.listening(count_workers), dividing_pairs() as n_steps:
        summary = align(corpora.path, tmp_path / runner, threads=2, runner=runner)
    assert (tmp_path / "dead").exists()
    assert max(n_workers, default=2) == 2
    assert min(n_steps[:2]) > 1
    assert summary.set_aside == alone.set_aside
    assert summary.n_parsed == alone.n_parsed > 40
    assert any(path.is_dir() for path in Warehouse(summary.warehouse).ngrams.iterdir())
    assert tables(summary.warehouse) == tables(alone.warehouse)
    assert leftovers(summary.warehouse) == []
    assert descendants() <= before
