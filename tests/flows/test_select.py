"""Selecting after a run: the selected rows, ingested as a corpus, have the stated alignment."""

import json

import polars as pl
import pytest

from tests.flows.conftest import SAMPLES
from tests.flows.warehouses import read

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("one_parser_process")]


def test_a_selection_ingested_as_a_corpus_has_the_stated_alignment(job, sample_run, tmp_path):
    from nl2sql_align.flows.select import select

    out, again = tmp_path / "out", tmp_path / "again"
    caps = {"synth-train": 0.01}
    name = select(sample_run.warehouse, "orchard-dev", 150, out, caps=caps, exclude_overlap="exact")
    stated = json.loads((out / "selection.json").read_text())
    assert stated["selection"] == name
    assert (stated["options"]["caps"], stated["options"]["exclude_overlap"]) == (caps, "exact")
    corpora = tmp_path / "corpora.toml"
    target = json.dumps(str(SAMPLES / "orchard-dev.json"))
    corpora.write_text(
        '[[corpus]]\nname = "chosen"\nrole = "train"\nformat = "jsonl"\ndialect = "sqlite"\n'
        'path = "out/selection.jsonl"\ncolumns = { sql = "sql", question = "question" }\n'
        '[[corpus]]\nname = "orchard-dev"\nrole = "target"\nformat = "spider"\n'
        f'dialect = "sqlite"\npath = {target}\n'
    )
    job(corpora, again)
    [(alignment, nats, overlap)] = read(
        again,
        "select kl_alignment, kl_nats, exact_overlap from alignment "
        "where source = 'chosen' and target = 'orchard-dev'",
    )
    assert stated["kl_alignment"] == pytest.approx(alignment, abs=1e-12)
    assert stated["kl_nats"] == pytest.approx(nats, abs=1e-12)
    assert overlap == 0


def test_rows_keep_all_fields_of_their_dumps(sample_run, tmp_path):
    from nl2sql_align.tasks.decisions.selection import SelectionOptions, select

    select(sample_run.warehouse, "orchard-dev", [], tmp_path, SelectionOptions(60, max_share=0.4))
    rows = pl.read_parquet(tmp_path / "selection.parquet")
    records = [json.loads(record) for record in rows["record"]]
    contexts = {"SQL" in r or "query" in r or "sql_context" in r for r in records}
    assert contexts == {True}
    assert rows["source"].n_unique() == 3
    for sql, record in zip(rows["raw_sql"], records, strict=True):
        assert sql in record.values()
