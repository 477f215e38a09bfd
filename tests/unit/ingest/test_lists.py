"""Rows with several queries."""

import json

import polars as pl
import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, parse_entry
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.lists import parse_list


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ('["select 1", "select 2"]', ["select 1", "select 2"]),
        ("['select 1', \"it's\", None]", ["select 1", "it's", ""]),
        (' [["select 1", null], ["select 2"]]\n', ["select 1", "", "select 2"]),
        ("[]", []),
        ("[dbo].[boat]", None),
        ('[{"sql": "select 1"}]', None),
        ("[1, 2]", None),
        ('["select 1"', None),
        ("select '[1]'", None),
        ("[" * 100_000, None),
        ("", None),
        (None, None),
    ],
)
def test_a_list_of_texts_is_distinguished_from_other_texts(text, texts):
    assert parse_list(text) == texts


ROWS = [
    {"sql": ["select 1 from a", "select 2 from a"], "db_id": "harbour"},
    {"sql": "select 3 from b", "db_id": "staff"},
    {"sql": [], "db_id": "staff"},
    {"sql": ["select 4 from c"], "db_id": "fleet"},
]
FIRST = [
    ("select 1 from a", None),
    ("select 3 from b", None),
    ("", None),
    ("select 4 from c", None),
]
EACH = [("select 1 from a", 0), ("select 2 from a", 0), *FIRST[1:]]


def ingest(folder, format, **keys):
    path = folder / f"rows.{format}"
    texts = [{**row, "sql": json.dumps(row["sql"])} for row in ROWS]
    match format:
        case "jsonl":
            path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
        case "parquet":
            lists = [{**row, "sql": [row["sql"]] if row is ROWS[1] else row["sql"]} for row in ROWS]
            pl.DataFrame(lists).write_parquet(path)
        case "csv":
            pl.DataFrame(texts).with_columns(sql=pl.col("sql").str.strip_chars('"')).write_csv(path)
    given = {"name": "c", "role": "target", "format": format, "dialect": "sqlite", "path": path}
    columns = {"sql": "sql", "db_id": "db_id"}
    entry = CorpusEntry.model_validate({"columns": columns, **given, **keys})
    report = ingest_corpus(entry, folder / "queries.parquet")
    return report, pl.read_parquet(folder / "queries.parquet")


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_the_first_of_a_list_counts_unless_each_does(tmp_path, format):
    for keys, expected in (({}, FIRST), ({"which": "first"}, FIRST), ({"which": "each"}, EACH)):
        report, found = ingest(tmp_path, format, **keys)
        assert list(found.select("sql", "question_ordinal").iter_rows()) == expected
        assert found["ordinal"].to_list() == list(range(len(expected)))
        assert (report.n_queries, report.n_lists) == (len(expected), 1)
        if format == "jsonl":
            assert found["raw_sql"].to_list() == found["sql"].to_list()
    assert found["db_id"].to_list() == ["harbour", "harbour", "staff", "staff", "fleet"]


def test_lists_are_read_by_json_paths(tmp_path):
    columns = {"sql": "$.sql", "db_id": "$.db_id"}
    _, found = ingest(tmp_path, "jsonl", columns=columns, which="each")
    assert list(found.select("sql", "question_ordinal").iter_rows()) == EACH


def test_all_answers_of_a_list_count_and_each_is_cleaned(tmp_path):
    path = tmp_path / "answers.jsonl"
    rows = [
        {"custom_id": "a", "response": {"body": {"choices": [
            {"message": {"content": f"```sql\nselect {n} from boat\n```"}} for n in range(2)
        ]}}},
        {"custom_id": "b", "response": {"body": {"choices": [
            {"message": {"content": "select 3 from boat"}}
        ]}}},
    ]  # fmt: skip
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    given = {
        **{"name": "c", "role": "predictions", "target": "t", "model": "m"},
        **{"format": "openai_batch", "dialect": "sqlite", "path": path},
    }
    for answers, expected in (
        ("all", [("a", "select 0 from boat"), ("a", "select 1 from boat")]),
        ("first", [("a", "select 0 from boat")]),
    ):
        entry = CorpusEntry.model_validate({**given, "answers": answers})
        ingest_corpus(entry, tmp_path / "queries.parquet")
        found = pl.read_parquet(tmp_path / "queries.parquet").select("id", "sql")
        assert list(found.iter_rows()) == [*expected, ("b", "select 3 from boat")]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"role": "target", "answers": "all"}, "key 'answers' is for predictions only"),
        (
            {"role": "predictions", "target": "t", "model": "m", "which": "each"},
            "key 'which' cannot be used with predictions; use answers",
        ),
        (
            {"role": "train", "which": "each", "statements": "each"},
            'key \'which\': "each" cannot be combined with statements = "each"; remove one',
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(tmp_path, keys, problem):
    raw = {"name": "c", "format": "lines", "dialect": "sqlite", "path": "a.sql", **keys}
    with pytest.raises(ConfigurationError) as caught:
        parse_entry(tmp_path / "corpora.toml", 1, raw)
    assert problem in str(caught.value)
