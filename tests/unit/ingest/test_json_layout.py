"""Rows in JSON dumps: objects by id, lists in objects, lists of texts, and rows in rows."""

import json
import re

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import AUTO
from nl2sql_align.tasks.ingest.first_rows import parse_json_rows
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from tests.unit.ingest.test_dumps import as_json, as_lines, entry
from tests.unit.ingest.test_formats import ingested

A, B = "SELECT name FROM harbour WHERE depth > 5", "SELECT COUNT(*) FROM boat GROUP BY kind"
C = "SELECT MIN(fee) FROM berth"
FENCED = f"Sure:\n```sql\n{A}\n```"

# Content, and the SQL, database and id of each row.
LAYOUTS = {
    "texts by id": (
        as_json({"a1f0c2": A, "b7d3e9": "null", "c9aa01": B, "d0": C}),
        [(A, None, "a1f0c2"), ("null", None, "b7d3e9"), (B, None, "c9aa01"), (C, None, "d0")],
    ),
    "objects by id": (
        as_json({"port_1": {"query": A, "db_id": "port"}, "port_2": {"query": B, "db_id": "sea"}}),
        [(A, "port", "port_1"), (B, "sea", "port_2")],
    ),
    "objects by number": (
        as_json({"0": {"sql": A, "db_id": "port"}, "1": {"sql": B, "db_id": "sea"}}),
        [(A, "port", "0"), (B, "sea", "1")],
    ),
    "lists by id": (as_json({"q1": [A, B], "q2": [B]}), [(A, None, "q1"), (B, None, "q2")]),
    "no query for an id": (as_json({"q1": A, "q2": None}), [(A, None, "q1"), ("", None, "q2")]),
    "texts by question": (
        as_json({"How many boats?": A, "Which type of query?": B}),
        [(A, None, "How many boats?"), (B, None, "Which type of query?")],
    ),
    "objects of one id": (as_lines([{"q1": A}, {"q2": B}]), [(A, None, "q1"), (B, None, "q2")]),
    "ids within an object": (
        as_json({"version": 1, "data": {"q1": A, "q2": B}}),
        [(A, None, "q1"), (B, None, "q2")],
    ),
    "a list in an object": (
        as_json({"version": 1, "data": [{"query": A, "db": "d"}, {"query": B, "db": "e"}]}),
        [(A, "d", None), (B, "e", None)],
    ),
    "texts in an object": (as_json({"items": [A, B]}), [(A, None, None), (B, None, None)]),
    "texts": (as_json([A, B]), [(A, None, None), (B, None, None)]),
    "texts on lines": (as_json(A) + b"\n" + as_json(B), [(A, None, None), (B, None, None)]),
    "lists of fields": (
        as_json([["how many?", A, "port"], ["who?", B, "sea"]]),
        [(A, None, None), (B, None, None)],
    ),
    "lists of queries": (as_json([[A, C], [B]]), [(A, None, None), (B, None, None)]),
    "rows by database": (
        as_json({"port": [{"query": A}, {"query": B}], "sea": [{"query": C}]}),
        [(A, None, None), (B, None, None), (C, None, None)],
    ),
    "rows in rows": (
        as_lines([{"db_id": "d", "items": [{"sql": A}, {"sql": B}]}, {"items": [{"sql": C}]}]),
        [(A, "d", None), (B, "d", None), (C, None, None)],
    ),
    "rows in rows of a list": (
        as_json({"version": 1, "data": [{"items": [{"sql": A}, {"sql": B}]}, {"items": []}]}),
        [(A, None, None), (B, None, None)],
    ),
    "columns of numbered values": (
        as_json(
            {"question": {"0": "q", "1": "r"}, "gold": {"0": A, "1": B}, "pred": {"0": C, "1": C}}
        ),
        [(A, None, "0"), (B, None, "1")],
    ),
    "columns of lists": (
        as_json({"question": ["q", "r"], "gold": [A, B], "pred": [C, C]}),
        [(A, None, None), (B, None, None)],
    ),
    "two languages": (
        as_lines([{"db_id": "d", "query": {"en": A, "ru": B}, "question": {"en": "q", "ru": "r"}}]),
        [(A, "d", None)],
    ),
    "one row": (as_json({"meta": {"sql": A}, "n": 1}), [(A, None, None)]),
    "one row of two queries": (as_json({"gold_sql": A, "predicted_sql": B}), [(A, None, None)]),
    "fenced texts by id": (as_json({"q1": FENCED, "q2": A}), [(A, None, "q1"), (A, None, "q2")]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_all_rows_are_read_with_their_ids(tmp_path, name):
    content, rows = LAYOUTS[name]
    (tmp_path / "a.json").write_bytes(content)
    found, _ = resolve_format(entry(tmp_path / "a.json", "auto"))
    read = ingested(found, tmp_path)
    assert [(row["sql"], row["db_id"], row["id"]) for row in read] == rows


def test_answers_by_id_are_cleaned(tmp_path):
    (tmp_path / "a.json").write_bytes(as_json({"q1": FENCED, "q2": FENCED}))
    keys = {"role": "predictions", "target": "t", "model": "m"}
    found, reason = resolve_format(entry(tmp_path / "a.json", "auto", **keys))
    assert [row["sql"] for row in ingested(found, tmp_path)] == [A, A]
    assert reason.endswith("SQL in '$', in an object whose keys are ids")


MODELS = {
    "columns": {"gold": [A, B], "pred": [C, C]},
    "numbered columns": {"gold": {"0": A, "1": B}, "pred": {"0": C, "1": C}},
    "references": {"predictions": [C, C], "references": [A, B]},
    "results": {
        "results": {"results": [{"vars": {"gold": A}, "response": {"output": C}}] * 2},
        "config": {"a": {"b": 1}},
    },
}


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_distinguished_from_references_in_columns(tmp_path, name):
    (tmp_path / "a.json").write_bytes(as_json(MODELS[name]))
    keys = {"role": "predictions", "target": "t", "model": "m"}
    found, _ = resolve_format(entry(tmp_path / "a.json", "auto", **keys))
    assert [row["sql"] for row in ingested(found, tmp_path)] == [C, C]


REFUSED = {
    "references": ({"references": [A, B]}, r"only in 'references' \(the reference\)"),
    "lists of two models": ({"x": [A, B, C], "y": [A, B, C]}, "several lists of rows, 'x', 'y'"),
    "objects of two models": ({"x": {"q1": A, "q2": B}, "y": {"q1": A, "q2": B}}, r"\$\.x\.\*"),
    "turns without SQL": (
        [{"turns": [{"text": "q r"}, {"sql": A}]}] * 2,
        "has items without 'sql'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_answers_of_unclear_layouts_are_set_aside(tmp_path, name):
    content, why = REFUSED[name]
    (tmp_path / "a.json").write_bytes(as_json(content))
    keys = {"role": "predictions", "target": "t", "model": "m"}
    with pytest.raises(CorpusError, match=why):
        resolve_format(entry(tmp_path / "a.json", "auto", **keys))


def test_of_several_lists_one_must_be_chosen(tmp_path):
    (tmp_path / "a.json").write_bytes(as_json({"train": [{"query": A}], "dev": [{"query": B}]}))
    with pytest.raises(CorpusError, match=r"'train', 'dev'.*one of \$\.train, \$\.dev as rows"):
        resolve_format(entry(tmp_path / "a.json", "auto"))


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ({"q1": A, "q2": {"b": ["x", 1, '"]}']}}, {"q1": A}),
        ({"data": [{"query": A}, {"query": B}]}, {"data": [{"query": A}]}),
    ],
)
def test_a_long_object_is_read_up_to_its_last_value(value, start):
    text = json.dumps(value)
    cut = [parse_json_rows(text[:length], 9) for length in range(1, len(text))]
    assert [start] in cut
    assert cut == sorted(cut, key=lambda rows: len(json.dumps(rows)))
    assert parse_json_rows(text, 9) == [value]


def test_the_start_of_a_hostile_text_is_read_in_linear_time():
    for text in ('{"a": "' + '\\"' * 100_000, "[" * 100_000, '{"a":' * 50_000, "[1," * 50_000):
        assert parse_json_rows(text, 9) in ([], [{}]) or text.startswith("[1")


def test_queries_outside_of_the_rows_are_named(tmp_path):
    def turns(n):
        return [{"question": f"q{i}", "sql": f"SELECT {n}{i}"} for i in range(2)]

    final = {"question": "f", "old_sql": "SELECT a FROM t"}
    rows = [{"db_id": "d", "turns": turns(n), "final": final} for n in range(3)]
    for content, path in ((rows, "$.turns"), ({"data": turns(1), "final": final}, "$.data")):
        (tmp_path / "a.json").write_text(json.dumps(content))
        found, note = resolve_format(entry(tmp_path / "a.json", AUTO))
        assert (found.columns.rows, found.columns.sql) == (path, "sql")
        assert re.search(r"also in '\$\.final\.old_sql' \(.*\), not taken", note)
