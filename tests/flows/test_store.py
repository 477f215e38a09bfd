"""Runs with a warehouse on an object store, served by a real S3 server on loopback."""

from pathlib import Path

import pytest

from nl2sql_align.tasks.base.environment import CACHE_VARIABLE
from nl2sql_align.tasks.base.errors import ConflictError
from nl2sql_align.tasks.ingest.discovery import discover_dumps
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.warehouse.object_store import pull, push, warehouse_at
from tests.flows.warehouses import leftovers, tables

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("one_parser_process")]

ADDRESS = "s3://flows/w"


@pytest.fixture
def machine(s3, tmp_path, monkeypatch):
    """Return a function that switches to a machine: each has a cache of its own."""
    if not s3.exists("flows"):
        s3.mkdir("flows")

    def on(name):
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / name))

    yield on
    s3.rm("flows", recursive=True)


def test_every_machine_computes_the_results_of_a_warehouse_on_disk(
    align, corpora, first, machine, limit_counting
):
    limit_counting(part_bytes=30, templates_at_a_time=1)  # in partitions, like large corpora
    machine("first")
    summary = align(corpora.write(), ADDRESS)
    assert summary.warehouse == ADDRESS
    assert leftovers(warehouse_at(ADDRESS).folder) == []
    machine("reader")
    assert tables(ADDRESS) == tables(first.warehouse)
    found, expected = (explain(place, "near", "dev") for place in (ADDRESS, first.warehouse))
    assert found.ngrams.equals(expected.ngrams)
    machine("second")
    again = align(corpora.write(), ADDRESS)
    assert (again.n_ingested, again.n_parsed, again.n_new_pairs) == (0, 0, 0)
    machine("reader")
    assert tables(ADDRESS) == tables(first.warehouse)
    with open_results(ADDRESS) as con:
        runs = con.sql("select run_id from runs").fetchall()
    assert runs == [(summary.run_id,), (again.run_id,)]


def test_a_run_that_another_one_overtakes_fails_and_can_be_repeated(
    align, corpora, machine, monkeypatch
):
    machine("first")

    def overtaken(*arguments, **keys):
        warehouse = warehouse_at(ADDRESS)
        machine("other")
        other = warehouse_at(ADDRESS)
        with other.locked():
            pull(other)
            (other.folder / "stages" / "theirs.json").write_text("theirs")
            push(other)
        machine("first")
        return push(warehouse, **keys)

    # The other run must publish between this run's pull and its push.
    with monkeypatch.context() as patch:
        patch.setattr("nl2sql_align.flows.align.push", overtaken)
        with pytest.raises(ConflictError, match="run again: finished stages are kept"):
            align(corpora.write(), ADDRESS)
    summary = align(corpora.write(), ADDRESS)
    assert (summary.n_ingested, summary.n_parsed, summary.n_new_pairs) == (0, 0, 0)
    with open_results(ADDRESS) as con:
        assert con.sql("select count(*) from corpora").fetchall() == [(4,)]


def test_every_machine_knows_the_dumps_that_one_has_found(machine, s3, tmp_path):
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    (dumps / "log.sql").write_text("SELECT a FROM b\n")
    (dumps / "corpus.toml").write_text('role = "train"\nformat = "lines"')
    machine("first")
    # The age of the dump is unknown yet.
    assert discover_dumps([dumps], warehouse_at(ADDRESS)).waiting == ("dumps",)
    machine("second")
    found = discover_dumps([dumps], warehouse_at(ADDRESS), settle_seconds=0)
    assert found.new == ("dumps",)
    machine("third")
    third = warehouse_at(ADDRESS)
    with third.locked():
        pull(third)
    state = Path(third.folder / "nightly" / "state.json").read_text()
    assert '"taken_look": null' not in state
