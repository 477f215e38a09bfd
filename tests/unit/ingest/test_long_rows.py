"""Recognition of dumps whose first rows are long."""

import json

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import AUTO
from nl2sql_align.tasks.ingest.format_recognition import recognize_format, resolve_format
from tests.unit.ingest.test_dumps import as_lines, entry
from tests.unit.ingest.test_formats import ingested

# Longer than Python's csv allows, and longer than the first part of a file that is read.
LENGTHS = (140_000, 300_000)
QUERIES = ["SELECT a FROM t", "SELECT b FROM t"]


def make_dumps(length: int):
    long = "x" * length
    rows = [{"draft_sql": "SELECT 1", "context": long, "sql": query} for query in QUERIES]
    lines = f"1,{long},{QUERIES[0]}\n2,x,{QUERIES[1]}\n"
    return {
        "a.csv": f"id,context,sql\n{lines}",
        "quoted.csv": f'id,context,sql\n1,"{long}\n\n",{QUERIES[0]}\n2,x,{QUERIES[1]}\n',
        "semicolons.csv": f"id;context;sql\n{lines}".replace(",", ";"),
        "a.jsonl": as_lines(rows).decode(),
        "a.json": json.dumps(rows),
        "object.json": json.dumps({"data": rows}, indent=1),
        "first.jsonl": as_lines([dict(reversed(row.items())) for row in rows]).decode(),
    }


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", make_dumps(0))
def test_a_long_first_row_is_recognized(tmp_path, name, length):
    path = tmp_path / name
    path.write_text(make_dumps(length)[name])
    found, note = resolve_format(entry(path, AUTO))
    assert "SQL in 'sql'" in note
    assert [row["sql"] for row in ingested(found, tmp_path)] == QUERIES


@pytest.mark.parametrize("name", ["a.csv", "quoted.csv", "a.jsonl", "a.json", "object.json"])
def test_a_first_row_that_is_longer_than_any_is_named_as_such(tmp_path, name):
    path = tmp_path / name
    path.write_text(make_dumps(300_000)[name].replace("SELECT 1", "none"))
    with pytest.raises(CorpusError, match="its first row is longer than the 0 MB read"):
        recognize_format(entry(path, AUTO), (100, 1000, 10_000))


def test_prose_without_line_breaks_is_no_row(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("These are queries of boats. " * 20_000)
    with pytest.raises(CorpusError, match="does not look like a dump"):
        resolve_format(entry(path, AUTO))
