"""Decisions in the published database: replaced by key, carried over by runs."""

import polars as pl
import pytest

from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.results.backup import DECISION_TABLES
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.record import last_run_id, record_decision
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.unit.results.test_publish import DEV, TRAIN, runner


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / "it's [1] *")


@pytest.fixture
def run(warehouse, make_corpus):
    return runner(warehouse, make_corpus)


CORPORA = (("train", TRAIN, {"role": "train"}), ("dev", DEV, {"role": "target"}))


def rows_of(warehouse, table):
    with open_results(warehouse.folder) as con:
        return con.execute(f"from {table} order by all").fetchall()


def test_the_rows_of_a_decision_replace_those_of_the_same_key(warehouse, run):
    run(*CORPORA)
    before = rows_of(warehouse, "tuning_effect")
    frame = pl.DataFrame(
        {
            "model": ["m"],
            "trained_on": ["train"],
            "target": ["dev"],
            "predictions_before": ["b"],
            "predictions_after": ["a"],
            "alignment_before": [0.5],
            "alignment_after": [0.75],
            "js_before": [0.5],
            "js_after": [0.25],
        }
    )
    record_decision(warehouse.folder, "tuning_effect", frame, {"model": "m"})
    record_decision(
        warehouse.folder, "tuning_effect", frame.with_columns(js_after=1.0), {"model": "m"}
    )
    record_decision(
        warehouse.folder, "tuning_effect", frame.with_columns(model=pl.lit("n")), {"model": "n"}
    )
    added = [
        ("m", "train", "dev", "b", "a", 0.5, 0.75, 0.5, 1.0),
        ("n", "train", "dev", "b", "a", 0.5, 0.75, 0.5, 0.25),
    ]
    assert rows_of(warehouse, "tuning_effect") == sorted([*before, *added])
    assert not list(warehouse.folder.glob("*.wal")) and not list(warehouse.folder.glob(".tmp*"))


def test_a_run_carries_decisions_over(warehouse, run):
    run(*CORPORA)
    frame = pl.DataFrame(
        {name: ["x"] for name in "selection run_id target method".split()}
        | {name: [5] for name in "n_rows n_templates".split()}
        | {name: [0.5] for name in "kl_nats kl_alignment random_alignment".split()}
    )
    record_decision(warehouse.folder, "selection_curves", frame, {"selection": "x"})
    # A new database is made: most queries are new.
    with open_results(warehouse.folder) as con:
        run(*CORPORA, ("more", DEV * 20, {"role": "train"}))
        assert last_run_id(con) == "run-1", "that of the numbers that a decision reads"
    assert rows_of(warehouse, "selection_curves") == frame.rows()
    with open_results(warehouse.folder) as con:
        assert last_run_id(con) == "run-2"


def test_a_decision_needs_results(tmp_path):
    with pytest.raises(WarehouseError, match="contains no results"):
        record_decision(tmp_path, "tuning_effect", pl.DataFrame(), {"a": 1})


def test_decision_tables_are_published():
    from nl2sql_align.tasks.base.run_sql import load_sql

    text = load_sql("results/publish/tables")
    for table in DECISION_TABLES:
        assert f"create table {table} (" in text
