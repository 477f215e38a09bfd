"""Original rows of dumps that change while they are read, or do not fit in memory."""

import duckdb
import polars as pl
import pytest

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest import original_rows
from nl2sql_align.tasks.warehouse.folder import digest_file
from tests.unit.ingest.test_dumps import as_json

ROWS = [{"query": "select 1", "db_id": "harbor", "evidence": "old"}]
WANTED = pl.DataFrame({"source": ["boats"], "ordinal": [0], "raw_sql": ["select 1"]})


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "boats.json"
    path.write_bytes(as_json(ROWS))
    return path


def read(path):
    sources = [
        {"corpus": "boats", "format": "spider", "path": str(path), "digest": digest_file(path)}
    ]
    with connect() as con:
        return original_rows.read_original_rows(con, pl.DataFrame(sources), WANTED).to_list()


def test_a_dump_that_changes_while_it_is_read_gives_no_rows(dump, monkeypatch):
    query_sql = original_rows.query_sql

    def replace_and_query(*args, **parameters):
        dump.write_bytes(as_json([{**ROWS[0], "evidence": "new"}]))
        return query_sql(*args, **parameters)

    assert read(dump) == ['{"query":"select 1","db_id":"harbor","evidence":"old"}']
    monkeypatch.setattr(original_rows, "query_sql", replace_and_query)
    assert read(dump) == [None]


def test_a_dump_that_does_not_fit_in_memory_is_an_error(dump, monkeypatch):
    def fail(*_, **__):
        raise duckdb.OutOfMemoryException("Out of Memory Error")

    monkeypatch.setattr(original_rows, "query_sql", fail)
    with pytest.raises(CorpusError, match="does not fit in memory; raise NL2SQL_ALIGN_MEMORY_LIM"):
        read(dump)
