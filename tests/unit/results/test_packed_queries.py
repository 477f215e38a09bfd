"""The packed queries of a corpus: order, templates and texts, whatever the size of batches."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.results.packed_queries import (
    SCHEMA,
    PackLimits,
    begin_packing,
    find_packed,
    gather_packed,
    pack_part,
    pack_queries,
    plan_packing,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.part_files import list_parts

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
    limits = PackLimits(rows_per_group=rows_per_group)
    file = pack_queries(corpus, warehouse, limits)
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


SMALL_PARTS = PackLimits(rows_per_part=2)


def make_divided(make_corpus, folder):
    """Return a corpus whose queries are ingested in row groups of one query."""
    corpus = make_corpus(folder, "boats-1.5", QUERIES)
    pq.write_table(pq.read_table(corpus.queries), corpus.queries, row_group_size=1)
    return corpus


def test_a_large_corpus_is_packed_in_parts(warehouse, make_corpus, tmp_path):
    corpus = make_divided(make_corpus, warehouse.folder)
    other = Warehouse(tmp_path / "other")
    whole = pq.read_table(pack_queries(corpus, other))
    assert plan_packing(corpus, other).parts == ()
    packing = begin_packing(corpus, warehouse, SMALL_PARTS)
    assert packing == plan_packing(corpus, warehouse, SMALL_PARTS)
    for part in reversed(packing.parts):
        pack_part(part)
    pack_part(packing.parts[1])  # by a worker that was thought dead
    folder = gather_packed(packing)
    assert folder == find_packed(corpus, warehouse) and not packing.scratch.exists()
    assert folder.parent == warehouse.folder / "queries" and folder.name.startswith("boats-1.5-")
    files = list_parts(folder)
    assert [pq.read_metadata(file).num_rows for file in files] == [2, 2, 2, 1]
    assert pa.concat_tables(map(pq.read_table, files)).equals(whole)
    # The rows of a database are the same, whichever version has packed them.
    assert plan_packing(corpus, warehouse).parts == ()


def test_a_folder_that_lacks_a_part_is_packed_again(warehouse, make_corpus):
    corpus = make_divided(make_corpus, warehouse.folder)
    folder = pack_queries(corpus, warehouse, SMALL_PARTS)
    before = {file.name: file.read_bytes() for file in list_parts(folder)}
    (folder / min(before)).unlink()
    assert pack_queries(corpus, warehouse, SMALL_PARTS) == folder
    assert {file.name: file.read_bytes() for file in list_parts(folder)} == before


def test_a_corpus_has_no_more_parts_than_allowed(warehouse, make_corpus):
    corpus = make_divided(make_corpus, warehouse.folder)
    folder = pack_queries(corpus, warehouse, PackLimits(rows_per_part=1, n_parts=2))
    assert [pq.read_metadata(file).num_rows for file in list_parts(folder)] == [4, 3]


def test_row_groups_of_texts_that_repeat_store_each_once(warehouse, make_corpus):
    corpus = make_corpus(warehouse.folder, "log", [FIRST, REJECTED] * 20)
    limits = PackLimits(rows_per_group=1)
    file = pq.ParquetFile(pack_queries(corpus, warehouse, limits))
    texts = file.metadata.row_group(0).column(SCHEMA.get_field_index("sql"))
    assert (file.num_row_groups, texts.num_values, texts.has_dictionary_page) == (1, 40, True)
    assert file.read()["sql"].to_pylist() == [FIRST[0], REJECTED[0]] * 20


def test_texts_that_repeat_are_the_same_from_all_row_groups(warehouse, make_corpus):
    """Each row group as ingested has a dictionary of its own."""
    corpus = make_corpus(
        warehouse.folder, "log", [*[FIRST] * 7, *[SECOND] * 6, *[REJECTED, FIRST] * 5]
    )
    pq.write_table(pq.read_table(corpus.queries), corpus.queries, row_group_size=5)
    packed = pq.read_table(pack_queries(corpus, warehouse))
    texts = [*[FIRST[0]] * 7, *[SECOND[0]] * 6, *[REJECTED[0], FIRST[0]] * 5]
    assert packed["sql"].to_pylist() == packed["raw_sql"].to_pylist() == texts
    assert packed.schema.equals(SCHEMA)
    are_rejected = [id_ is None for id_ in packed["template_id"].to_pylist()]
    assert are_rejected == [text == REJECTED[0] for text in texts]


def test_texts_that_repeat_in_a_corpus_without_sql_are_left_out(warehouse, make_corpus):
    corpus = make_corpus(warehouse.folder, "letters", [REJECTED] * 8, questions=["Who?"] * 8)
    packed = pq.read_table(pack_queries(corpus, warehouse))
    assert packed.schema.equals(SCHEMA)
    assert {*packed["sql"].to_pylist()} == {""} and packed["raw_sql"].null_count == 8
