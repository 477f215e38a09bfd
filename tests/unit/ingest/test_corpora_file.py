"""The corpora file: valid files, and messages about mistakes."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlglot.dialects import DIALECTS

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import (
    CorpusEntry,
    check_dialect,
    is_generic,
    list_formats,
    load_corpora,
)
from nl2sql_align.tasks.ingest.dialect_names import list_dialects

TARGET = """
[[corpus]]
name = "dev"
role = "target"
format = "spider"
dialect = "sqlite"
path = "dev.json"
"""

PREDICTIONS = """
[[corpus]]
name = "base"
role = "predictions"
target = "dev"
model = "m"
format = "lines"
dialect = "sqlite"
path = "base.sql"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "corpora.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_corpora_are_loaded_in_the_order_of_the_file(tmp_path):
    tuned = (
        PREDICTIONS.replace('"base"', '"tuned"') + 'trained_on = "not-listed"\nlicense = "MIT"\n'
    )
    entries = load_corpora(write(tmp_path, PREDICTIONS + tuned + TARGET))
    assert [entry.name for entry in entries] == ["base", "tuned", "dev"]
    assert entries[0].target == "dev"
    assert entries[1].trained_on == "not-listed"
    assert entries[2].path == tmp_path / "dev.json"


def test_a_home_folder_replaces_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    text = "\n".join(
        TARGET.replace("dev.json", path).replace('"dev"', f'"{name}"')
        for name, path in (
            ("file", "~/dumps/dev.json"),
            ("pattern", "~/dumps/*.json"),
            ("unknown", "~nobody-has-this-name/dev.json"),
            ("plain", "dumps~/dev.json"),
        )
    )
    write(tmp_path, text + 'within = ["~/dumps"]\n')
    entries = load_corpora(Path("~/corpora.toml"))
    assert [entry.path.relative_to(tmp_path).as_posix() for entry in entries] == [
        "dumps/dev.json",
        "dumps/*.json",
        "~nobody-has-this-name/dev.json",
        "dumps~/dev.json",
    ]
    assert entries[-1].within == (tmp_path / "dumps",)


def test_a_file_without_targets_or_predictions_is_valid(tmp_path):
    text = TARGET.replace('"target"', '"train"')
    assert [entry.role for entry in load_corpora(write(tmp_path, text))] == ["train"]


def test_a_byte_order_mark_is_accepted(tmp_path):
    assert load_corpora(write(tmp_path, "\ufeff" + TARGET))


def test_paths_start_at_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "lists", TARGET.replace('"dev.json"', '"../data/dev.json"'))
    (entry,) = load_corpora(Path("lists/corpora.toml"))
    assert entry.path == tmp_path / "data" / "dev.json"


def test_a_link_to_a_file_keeps_its_own_name(tmp_path):
    (tmp_path / "0a1b2c").write_text("[]")
    (tmp_path / "dev.json").symlink_to("0a1b2c")
    (entry,) = load_corpora(write(tmp_path, TARGET))
    assert entry.path.name == "dev.json"


def test_entries_cannot_be_changed(tmp_path):
    (entry,) = load_corpora(write(tmp_path, TARGET))
    with pytest.raises(ValidationError):
        entry.name = "other"  # type: ignore[misc]
    assert hash(entry)


def test_generic_formats_name_their_columns(tmp_path):
    text = TARGET.replace('"spider"', '"csv"') + 'columns = { sql = "q", db_id = "d" }\n'
    (entry,) = load_corpora(write(tmp_path, text))
    assert entry.columns is not None
    assert (entry.columns.sql, entry.columns.question, entry.columns.db_id) == ("q", None, "d")


def test_each_format_is_a_file():
    assert set(list_formats()) >= {"spider", "bird", "lines", "csv", "text2sql_data"}
    assert "spider.parquet" not in list_formats()
    assert [name for name in list_formats() if is_generic(name)] == [
        "csv",
        "jsonl",
        "parquet",
        "tsv",
    ]


def test_all_dialects_of_the_parser_are_known():
    assert {check_dialect(name.lower()) for name in DIALECTS} == list_dialects()


def changed(old: str, new: str, text: str = TARGET) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no corpus; add a [[corpus]] table for each"),
        ("corpus = []", "lists no corpus"),
        ("corpus = ['a']", "lists no corpus"),
        (changed("[[corpus]]", "[corpus]"), "lists no corpus"),
        ("title = 1\n" + TARGET, "unknown key 'title'; list corpora as [[corpus]] tables"),
        ("[[corpus]\n", "is not valid TOML: "),
        ("\n\nname = \n", "(at line 3, column 8); correct that line"),
        (changed("format", "fromat"), "corpus 'dev': unknown key 'fromat'; did you mean 'format'?"),
        (
            TARGET + "x = 1\n",
            "corpus 'dev': unknown key 'x'; use one of answers, clean, columns, dialect,",
        ),
        (
            TARGET + 'style = "cot"\n',
            "corpus 'dev': key 'style' is for training sets only; remove it",
        ),
        (changed('name = "dev"\n', ""), "corpus 1: key 'name' is missing; add it"),
        (
            changed('format = "spider"\n', ""),
            "corpus 'dev': key 'format' is missing; add it, or format = \"auto\"",
        ),
        (changed('"dev"', "7"), "corpus 1: key 'name': input should be a valid string"),
        (changed('"dev"', '"a b"'), "corpus 'a b': key 'name': string should match pattern"),
        (changed('"dev"', f'"{"x" * 101}"'), "key 'name': string should match pattern"),
        (changed('"dev"', '"dev\\n"'), "key 'name': string should match pattern"),
        (
            changed('"target"', '"test"'),
            "key 'role': input should be 'train', 'target' or 'predict",
        ),
        (changed('"spider"', '"spyder"'), "unknown format 'spyder'; did you mean 'spider'?"),
        (changed('"spider"', '"spider.parquet"'), "unknown format 'spider.parquet'"),
        (changed('"sqlite"', '"SQLite"'), "unknown dialect 'SQLite'; did you mean 'sqlite'?"),
        (changed('"sqlite"', '""'), "unknown dialect ''; use one of athena, bigquery,"),
        (changed('"dev.json"', "[1]"), "key 'path': input is not a valid path"),
        (
            TARGET + 'glob = "/*.sql"\n',
            "key 'glob': '/*.sql' is not a pattern below path; try '*.sql'",
        ),
        (TARGET + 'glob = "../*.sql"\n', "key 'glob': '../*.sql' is not a pattern below path"),
        (TARGET + 'glob = "**.sql"\n', "key 'glob': '**.sql' is not a pattern below path"),
        (TARGET + 'glob = ""\n', "key 'glob': '' is not a pattern below path"),
        (
            TARGET + 'columns = { sql = "q" }\n',
            "key 'columns': only slice can be used with format 'spider'; remove the others, or use",
        ),
        (
            changed('"spider"', '"auto"') + 'columns = { sql = "q", slice = "s" }\n',
            "key 'columns': only slice can be used with format 'auto'; remove the others, or name",
        ),
        (changed('"spider"', '"jsonl"'), "key 'columns' is missing; format 'jsonl' needs it"),
        (
            changed('"spider"', '"jsonl"') + 'columns = { sql = "q", schema = "s" }\n',
            "unknown key 'columns.schema'; use one of db_id, frequency, id, part, question, rows, "
            "slice, sql",
        ),
        (
            changed('"spider"', '"jsonl"') + 'columns = { question = "q" }\n',
            "key 'columns.sql' is missing; add it",
        ),
        (
            TARGET + TARGET,
            "corpus 'dev': key 'name': 2 corpora have this name; give each a different one",
        ),
        (TARGET + 'target = "dev"\n', "key 'target' is for predictions only; remove it"),
        (TARGET + 'model = "m"\n', "key 'model' is for predictions only"),
        (TARGET + 'trained_on = "t"\n', "key 'trained_on' is for predictions only"),
        (changed('model = "m"\n', "", PREDICTIONS), "key 'model' is missing; predictions need it"),
        (changed('target = "dev"\n', "", PREDICTIONS), "key 'target' is missing"),
        (
            PREDICTIONS,
            "corpus 'base': key 'target': 'dev' is not listed; list a corpus with the role",
        ),
        (
            changed('"dev"', '"dev2"') + PREDICTIONS,
            "key 'target': 'dev' is not listed; did you mean 'dev2'?",
        ),
        (
            changed('"target"', '"train"') + PREDICTIONS,
            "corpus 'base': key 'target': 'dev' has the role train",
        ),
        (PREDICTIONS + "trained_on = 5\n", "key 'trained_on': input should be a valid string"),
    ],
)
def test_a_mistake_is_reported_in_one_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_corpora(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert "\n" not in line
    assert caught.value.exit_code == 2


def test_a_file_that_cannot_be_read_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match=r"No such file or directory"):
        load_corpora(tmp_path / "corpora.toml")
    with pytest.raises(ConfigurationError, match=r"Is a directory"):
        load_corpora(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(ConfigurationError, match=r"is not UTF-8 \(byte 2\)"):
        load_corpora(tmp_path / "latin.toml")


def test_an_entry_can_be_made_in_python(tmp_path):
    entry = CorpusEntry(
        name="a", role="train", format="lines", dialect="duckdb", path=tmp_path / "a.sql"
    )
    assert entry.path == tmp_path / "a.sql"


@pytest.mark.shared
@pytest.mark.parametrize("name", ["corpora.toml", "learning-curves.toml"])
def test_the_lists_of_real_dumps_load(shared_folder, name):
    entries = load_corpora(shared_folder / "corpora" / name)
    assert all(entry.path.exists() for entry in entries)
