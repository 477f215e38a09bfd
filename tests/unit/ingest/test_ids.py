"""The ids of questions in dumps."""

import json

import polars as pl
import pytest

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.format_recognition import resolve_format

ID_NAMES = "id instance_id question_id custom_id doc_id sample_id task_id".split()


def ingest(path, folder, **keys):
    given = {"name": "c", "role": "target", "format": "auto", "dialect": "sqlite", "path": path}
    entry, _ = resolve_format(CorpusEntry.model_validate(given | keys))
    ingest_corpus(entry, folder / "queries.parquet")
    return pl.read_parquet(folder / "queries.parquet")


def write_json(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.parametrize("name", ID_NAMES)
def test_names_of_ids_are_recognized(tmp_path, name):
    rows = [{name: f"boat-{n}", "statement": f"select {n} from boat"} for n in range(3)]
    found = ingest(write_json(tmp_path / "a.jsonl", rows), tmp_path)
    assert found["id"].to_list() == ["boat-0", "boat-1", "boat-2"]


@pytest.mark.parametrize("name", ["index", "idx"])
def test_row_numbers_are_ids_if_they_are_integers_and_there_are_no_others(tmp_path, name):
    for values, expected in (
        ([4, 2], ["4", "2"]),
        ([4.0, "2"], ["4", "2"]),
        (["ix_boat", "ix_crew"], [None, None]),
    ):
        rows = [{name: one, "statement": "select 1 from boat"} for one in values]
        found = ingest(write_json(tmp_path / "a.jsonl", rows), tmp_path)["id"]
        assert found.to_list() == expected
    rows = [{name: 1, "task_id": "t7", "statement": "select 1 from boat"}]
    assert ingest(write_json(tmp_path / "a.jsonl", rows), tmp_path)["id"].to_list() == ["t7"]


def test_the_id_of_a_request_comes_before_the_id_that_a_batch_service_adds(tmp_path):
    rows = [{"id": "batch_1", "custom_id": "boat-1", "answer": "select 1 from boat"}]
    assert ingest(write_json(tmp_path / "a.jsonl", rows), tmp_path)["id"].to_list() == ["boat-1"]


def test_ids_are_texts_without_spaces_around_them(tmp_path):
    ids = [7, "7", " 7\t", 7.0, "7.0", "seven", -3.0, "", None, "v1.0"]
    rows = [{"task_id": one, "statement": "select 1 from boat"} for one in ids]
    found = ingest(write_json(tmp_path / "a.jsonl", rows), tmp_path)["id"].to_list()
    assert found == ["7", "7", "7", "7", "7", "seven", "-3", None, None, "v1.0"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_ids_are_read_from_every_generic_format(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    table = pl.DataFrame(
        {"doc_id": [7.0, None], "statement": ["select 1 from a", "select 2 from b"]}
    )
    match suffix:
        case "csv":
            table.write_csv(path)
        case "tsv":
            table.write_csv(path, separator="\t")
        case "parquet":
            table.write_parquet(path)
        case _:
            write_json(path, table.to_dicts())
    assert ingest(path, tmp_path)["id"].to_list() == ["7", None]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_ids_are_read_by_json_paths(tmp_path, suffix):
    rows = [
        {"run": {"id": 1}, "turns": [{"sql": "select 1"}, {"sql": "select 2"}]},
        {"run": {"id": 2}, "turns": [{"sql": "select 3"}]},
    ]
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        write_json(path, rows)
    columns = {"sql": "sql", "id": "$.run.id", "rows": "$.turns"}
    found = ingest(path, tmp_path, format=suffix, columns=columns)
    assert found["id"].to_list() == ["1", "1", "2"]


ROWS = {
    "spider": {"query": "select 1", "db_id": "harbour"},
    "bird": {"SQL": "select 1", "db_id": "harbour"},
    "ehrsql": {"query": "select 1", "db_id": "harbour"},
    "bull": {"sql_query": "select 1", "db_name": "harbour"},
    "alpaca": {"instruction": "One?", "output": "select 1"},
    "chat": {"messages": [{"role": "assistant", "content": "select 1"}]},
}
ONLY_AS_JSON = ("ehrsql", "bull")


@pytest.mark.parametrize(
    ("format", "suffix"),
    [
        *((format, "json") for format in ROWS),
        *((format, "parquet") for format in ROWS if format not in ONLY_AS_JSON),
    ],
)
def test_formats_give_the_ids_of_their_rows(tmp_path, format, suffix):
    row = ROWS[format]
    for name in (*ID_NAMES, "without"):
        row_with_id = row | {name: 7} if name in ID_NAMES else row
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "json":
            path.write_text(json.dumps([row_with_id]))
        else:
            pl.DataFrame([row_with_id]).write_parquet(path)
        expected = ["7"] if name in ID_NAMES else [None]
        assert ingest(path, tmp_path, format=format)["id"].to_list() == expected


def test_the_names_of_sql_files_are_ids(tmp_path):
    folder = tmp_path / "answers"
    folder.mkdir()
    for name in ("boat.1.sql", "a2.sql"):
        (folder / name).write_text("select 1")
    found = ingest(folder, tmp_path, format="sql_files")
    assert found["id"].to_list() == ["a2", "boat.1"]
    (folder / "a2.sql").unlink()
    assert ingest(folder, tmp_path, format="sql_files")["id"].to_list() == [None]
