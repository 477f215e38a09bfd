"""Scripts of several statements: which of their texts become queries."""

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import AUTO
from nl2sql_align.tasks.ingest.dumps import ingest_corpus, read_row_counts
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.run.inspection import inspect_dump
from tests.unit.ingest.test_dumps import entry

AS_PREDICTIONS = {"role": "predictions", "target": "t", "model": "m"}


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


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW a AS\nSELECT b FROM t",
        "WITH c AS (SELECT a FROM t)\nSELECT * FROM c",
        "WITH c AS (\nSELECT a FROM t)\nSELECT * FROM c",
        "WITH c AS (SELECT a FROM t)\nINSERT INTO u\nSELECT * FROM c",
        "INSERT INTO t\nSELECT a FROM u",
        "SELECT a FROM t UNION ALL -- both\n\nSELECT b FROM u",
    ],
)
def test_lines_that_start_like_statements_may_be_a_script(tmp_path, statement):
    path = tmp_path / "a.sql"
    path.write_text(f"{statement};\n" * 3)
    found = inspect_dump(path)
    assert [row["sql"] for row in found.examples] == [statement] * 3
    path.write_text(f"{statement};\n" + "SELECT 1;\n" * 20)
    assert inspect_dump(path).n_queries == 21
    with pytest.raises(CorpusError, match=r"one answer a line: .+ of the first"):
        path.write_text(f"{statement};\n" * 3)
        resolve_format(entry(path, AUTO, **AS_PREDICTIONS))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("SELECT a FROM t;\nSELECT b FROM t;\n" * 2, ""),
        ("SELECT a FROM t\nSELECT b FROM t\n" * 2, ""),
        ("SELECT a FROM t;\nSELECT b FROM t; -- last\nSELECT c FROM t;\nSELECT d FROM t\n", ""),
        ("SELECT a FROM t\nSELECT b FROM t;\n" * 2, "2 of the first 4 do not end in a semicolon"),
        (
            "SELECT a FROM t\nINSERT INTO t VALUES (1);\n" * 2,
            "2 of the first 4 do not end in a semicolon",
        ),
        ("CREATE VIEW a AS\nSELECT b FROM t\n" * 2, "2 of the first 4 perhaps go on in the next"),
    ],
)
def test_lines_of_a_query_each_may_lack_semicolons(tmp_path, text, note):
    path = tmp_path / "a.sql"
    path.write_text(text)
    for keys in ({}, AS_PREDICTIONS):
        found, reason = resolve_format(entry(path, AUTO, **keys))
        assert found.format == "lines" and note in reason
        assert ("semicolon" in reason) == bool(note)


def test_a_few_lines_that_were_cut_off_do_not_make_a_script(tmp_path):
    path = tmp_path / "a.sql"
    path.write_text("SELECT a FROM t;\n" * 200 + "SELECT a FROM\n" + "SELECT a FROM t;\n" * 9)
    found, reason = resolve_format(entry(path, AUTO))
    assert found.format == "lines"
    assert "1 of the first 210 does not end in a semicolon, but others do" in reason
