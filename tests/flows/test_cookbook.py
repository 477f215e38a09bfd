"""The queries of the cookbook run on results of the samples and find what they promise."""

import re
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.flow
ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^\*\*(\d+)\. (.*?)\*\*\n\n```sql\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
# No query of a sample's target occurs in a training set, and a first run has no change.
MAY_BE_EMPTY = {"4", "9"}


def test_there_are_ten():
    assert [number for number, _, _ in QUERIES] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(("number", "question", "sql"), QUERIES, ids=[q[0] for q in QUERIES])
def test_each_query_runs_read_only_and_finds_something(sample_run, number, question, sql):
    with duckdb.connect(str(sample_run.warehouse / "alignment.duckdb"), read_only=True) as con:
        rows = con.execute(sql).fetchall()
    assert rows or number in MAY_BE_EMPTY, question


def test_changes_and_copied_queries_are_found(job, corpora, first):
    """Queries 4 and 9, for which the samples have no rows."""
    queries = {number: sql.replace("orchard-dev", "dev") for number, _, sql in QUERIES}
    corpora.add("near", ["SELECT a FROM b;"] * 30)
    summary = job(corpora.write(), first.warehouse)
    with duckdb.connect(str(summary.warehouse / "alignment.duckdb"), read_only=True) as con:
        changed = con.execute(queries["4"]).fetchall()
        assert {(row[0], row[1]) for row in changed[:1]} == {("near", "dev")}
        assert changed[0][4] == changed[0][3] - changed[0][2] != 0
        copied = con.execute(queries["9"]).fetchall()
        assert {row[0] for row in copied} == {"near"}
