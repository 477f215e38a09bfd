"""Distinct queries in parts for the parser, and joined once they are parsed."""

import hashlib

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.templates.parts import join_templates, split_queries

TEXTS = [f"select {i} from boats" for i in range(2500)]


@pytest.fixture
def parsed(tmp_path):
    """Distinct queries, each after a query that repeats the first, and their parsed parts."""
    sqls = [text for other in TEXTS for text in (TEXTS[0], other)]
    queries = tmp_path / "queries.parquet"
    n_rows = len(sqls)
    columns = {"ordinal": range(n_rows), "sql": sqls, "n_occurrences": [1] * n_rows}
    pq.write_table(pa.table({name: pa.array(some) for name, some in columns.items()}), queries)
    report = split_queries(queries, tmp_path / "texts.parquet")
    assert (report.n_distinct, report.n_parts) == (2500, 3)
    parts = []
    with pq.ParquetFile(tmp_path / "texts.parquet") as file:
        for number in range(report.n_parts):
            texts = file.read_row_group(number)["sql"].to_pylist()
            is_even = [int(text.split()[1]) % 2 == 0 for text in texts]
            templates = ["SELECT FROM" if even else None for even in is_even]
            parts.append(tmp_path / f"part-{number}.parquet")
            part = {
                "first_ordinal": file.read_row_group(number)["first_ordinal"],
                "template": pa.array(templates),
                "reject_reason": pa.array([None if even else "odd" for even in is_even]),
                "comparable_key": pa.array([text.encode()[:16] for text in texts]),
            }
            pq.write_table(pa.table(part), parts[-1])
    return tmp_path / "texts.parquet", parts


def test_each_text_has_its_template_in_the_order_of_first_occurrences(parsed, tmp_path):
    texts, parts = parsed
    join_templates([texts], parts, tmp_path / "templates.parquet")
    rows = pq.read_table(tmp_path / "templates.parquet").to_pylist()
    assert [row["sql"] for row in rows] == TEXTS
    assert [row["first_ordinal"] for row in rows] == [0, *range(3, 5000, 2)]
    assert [row["n_queries"] for row in rows] == [2501, *[1] * 2499]
    digest = hashlib.md5(b"SELECT FROM").hexdigest()
    outcomes = [(row["template"], row["template_id"], row["reject_reason"]) for row in rows]
    assert outcomes == [("SELECT FROM", digest, None), (None, None, "odd")] * 1250
    assert all(row["comparable_key"] == row["sql"].encode()[:16] for row in rows)


def test_parts_of_other_texts_are_refused(parsed, tmp_path):
    texts, parts = parsed
    for wrong in (parts[::-1], parts[:2]):
        with pytest.raises(duckdb.Error, match="the parts are not those of the texts"):
            join_templates([texts], wrong, tmp_path / "templates.parquet")
    assert not (tmp_path / "templates.parquet").exists()
