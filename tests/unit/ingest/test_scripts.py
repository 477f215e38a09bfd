"""Scripts of several statements: which of their texts become queries."""

from nl2sql_align.tasks.ingest.corpora_file import AUTO
from nl2sql_align.tasks.ingest.dumps import ingest_corpus, read_row_counts
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.run.inspection import inspect_dump
from tests.unit.ingest.test_dumps import entry


def test_text_in_a_script_that_is_no_query_is_a_reject(tmp_path):
    path = tmp_path / "queries.sql"
    wrong, unclosed = "SELCT b\nFROM u", "/* open\nSELECT c\nFROM v"
    path.write_text(f"SELECT a\nFROM t;\n{wrong};\nSHOW TABLES;\n{unclosed};\n")
    found = inspect_dump(path, dialect="sqlite")
    rejected = [row["sql"] for row in found.examples if row["reject_reason"]]
    assert (found.n_queries, rejected) == (4, [wrong, "SHOW TABLES", unclosed])
    assert found.examples[2]["reject_reason"] == "not a query, DML or DDL statement: SHOW"


def test_settings_in_a_script_are_counted(tmp_path):
    path = tmp_path / "queries.sql"
    path.write_text("USE d;\nSET x = 1;\nSELECT a\nFROM t;\nSELECT b\nFROM t;\n")
    found, _ = resolve_format(entry(path, AUTO))
    report = ingest_corpus(found, tmp_path / "q.parquet")
    assert (report.n_queries, report.rows) == (2, read_row_counts(tmp_path / "q.parquet"))
    assert report.rows.text == "2 rows are left out: 2 with DECLARE, SET, or USE"
