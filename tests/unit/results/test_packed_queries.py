"""The packed queries of a corpus: order, templates and texts, whatever the size of batches."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.results.packed_queries import SCHEMA, find_packed, pack_queries
from nl2sql_align.tasks.warehouse.folder import Warehouse

FIRST, SECOND = ("select a from b", "SELECT FROM"), ("select 1 as x", "SELECT")
REJECTED = ("no boat", None)
QUERIES = [FIRST, REJECTED, SECOND, FIRST, REJECTED, SECOND, FIRST]


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / "it's [1] *")


@pytest.mark.parametrize("rows_per_group", [1, 2, 3, 100])
def test_each_query_has_the_outcome_of_its_text(warehouse, make_corpus, rows_per_group):
    db_ids = [None, "harbour", *["staff"] * 5]
    corpus = make_corpus(warehouse.folder, "boats", QUERIES, db_ids=db_ids)
    file = pack_queries(corpus, warehouse, rows_per_group)
    assert file == find_packed(corpus, warehouse)
    assert file.parent == warehouse.folder / "queries" and file.name.startswith("boats-")
    packed = pq.read_table(file)
    assert packed.schema.equals(SCHEMA)
    with duckdb.connect() as con:
        con.register("packed", packed)
        con.register("templates", pq.read_table(corpus.templates))
        found = con.sql("""
            select packed.*, template from packed
            left join templates on packed.template_id = templates.template_id
            order by ordinal
        """).fetchall()
    assert packed["ordinal"].to_pylist() == list(range(7))
    assert found == [
        *(
            (
                *("boats", ordinal, sql, sql, db_id, None, 1),
                row[7],
                None if template else "does not parse",
                *(None, ordinal, None),
                template,
            )
            for ordinal, ((sql, template), db_id, row) in enumerate(
                zip(QUERIES, db_ids, found, strict=True)
            )
        )
    ]
    assert [row[7] is None for row in found] == [template is None for _, template in QUERIES]
    sizes = [
        pq.read_metadata(file).row_group(i).num_rows
        for i in range(pq.read_metadata(file).num_row_groups)
    ]
    assert max(sizes) <= rows_per_group and sum(sizes) == 7


def test_a_reason_of_the_dump_comes_before_that_of_the_parser(warehouse, make_corpus):
    corpus = make_corpus(warehouse.folder, "boats", [FIRST, REJECTED, FIRST])
    table = pq.read_table(corpus.queries)
    reasons = pa.array([None, "cut off by its log", None])
    position = table.schema.get_field_index("reject_reason")
    pq.write_table(table.set_column(position, "reject_reason", reasons), corpus.queries)
    packed = pq.read_table(pack_queries(corpus, warehouse))
    assert packed["reject_reason"].to_pylist() == [None, "cut off by its log", None]


def test_a_corpus_without_sql_has_no_texts(warehouse, make_corpus):
    corpus = make_corpus(
        warehouse.folder, "letters", [REJECTED], db_ids=["harbour"], questions=["Who?"]
    )
    [row] = pq.read_table(pack_queries(corpus, warehouse)).to_pylist()
    assert row == {
        **dict.fromkeys(SCHEMA.names),
        **{"corpus": "letters", "ordinal": 0, "question_ordinal": 0, "n_occurrences": 1},
        **{"sql": "", "reject_reason": "does not parse"},
    }


def test_packed_queries_are_reused_and_written_again_alike(warehouse, make_corpus):
    corpus = make_corpus(warehouse.folder, "boats", QUERIES)
    file = pack_queries(corpus, warehouse)
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    assert pack_queries(corpus, warehouse) == file
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    file.unlink()
    assert pack_queries(corpus, warehouse).read_bytes() == before[0]


def test_a_corpus_without_queries_is_packed(warehouse, make_corpus):
    corpus = make_corpus(warehouse.folder, "empty", [])
    assert pq.read_table(pack_queries(corpus, warehouse)).num_rows == 0
