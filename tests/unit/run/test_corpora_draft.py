"""The corpora file that is written for a folder."""

import json
import tomllib

import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.run.corpora_draft import draft_corpora

pytestmark = pytest.mark.usefixtures("one_parser_process")

TRAIN = [
    {"query": f"SELECT name FROM boat WHERE id = {i}", "db_id": "harbour", "question": "?"}
    for i in range(3)
]
DEV = [*TRAIN[:1], {"query": "SELECT count(*) FROM boat", "db_id": "harbour", "question": "?"}]
ANSWERS = "SELECT name FROM boat\nSELECT count(*) FROM boat\n"


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    """A folder with most kinds of things, its draft, and the text of the corpora file."""
    root = tmp_path_factory.mktemp("draft")
    write(
        root / "dumps",
        {
            "boats/train.json": TRAIN,
            "boats/dev.json": DEV,
            "boats/dev_gold.sql": "SELECT name FROM boat\tharbour\n" * 2,
            "boats/tables.json": [{"db_id": "harbour"}],
            "boats/database/harbour.sqlite": "x",
            "boats/README.md": "# Boats",
            "logs/calls.csv": 'query,calls\n"SELECT a FROM b LIMIT 1, 2",3\n"SELECT 1",2\n',
            "predictions/boats_dev/small.sql": ANSWERS,
            "predictions/boats_dev/small-sft.sql": ANSWERS,
            "predictions/other.sql": "SELECT 1\n" * 5,
            "outputs/mid/q1.sql": "SELECT name\nFROM boat\n",
            "outputs/mid/q2.sql": "SELECT count(*) FROM boat\n",
            "reports/first.sql": "SELECT a\nFROM b\n",
            "reports/second.sql": "SELECT c FROM d\n",
            "boats/mini_dev_postgresql.json": DEV,
            "shards/data/train-00000-of-00002.parquet": "no Parquet",
            "notes.txt": "Dear all,\nplease moor the boats.\n",
            "empty.json": "",
            "a\nb.json": "[1]",
        },
    )
    made = draft_corpora(root / "dumps", root / "corpora.toml")
    return root, made, (root / "corpora.toml").read_text()


def test_one_rejected_text_is_told_in_the_singular(tmp_path):
    texts = [*(f"SELECT a{i} FROM b" for i in range(79)), "SELECT FROM WHERE"]
    (tmp_path / "train.json").write_text(json.dumps([{**TRAIN[0], "query": t} for t in texts]))
    draft_corpora(tmp_path, tmp_path / "corpora.toml")
    assert "1 of the first 80 texts is rejected" in (tmp_path / "corpora.toml").read_text()


def test_roles_formats_and_targets_are_guessed(drafted):
    root, made, _ = drafted
    entries = load_corpora(root / "corpora.toml")
    assert {e.name: (e.role, e.format, e.target) for e in entries} == {
        "boats-train": ("train", "spider", None),
        "boats-dev": ("target", "spider", None),
        "boats-dev_gold": ("target", "gold_sql", None),
        "boats-mini_dev_postgresql": ("target", "spider", None),
        "logs-calls": ("target", "pg_stat_statements", None),
        "reports": ("train", "sql_files", None),
        "boats_dev-small": ("predictions", "lines", "boats-dev"),
        "boats_dev-small-sft": ("predictions", "lines", "boats-dev"),
    }
    assert {one.entry.name: one.n_queries for one in made.corpora}["reports"] == 2
    dialects = {e.name: e.dialect for e in entries}
    assert dialects["boats-train"] == "sqlite"
    assert dialects["boats-mini_dev_postgresql"] == "postgres"
    paths = [table["path"] for table in tomllib.loads(drafted[2])["corpus"]]
    assert all(path.startswith("dumps/") for path in paths)


def test_comments_give_the_reasons(drafted):
    text = drafted[2]
    assert "# role: 'train' is in its name\n# format: recognized as format 'spider'" in text
    assert "# role: it is in folder predictions" in text
    assert "# role: format pg_stat_statements contains queries that were really asked" in text
    assert "# role: a guess, as nothing in its name says train, dev, test or predictions" in text
    assert "# dialect: 'postgresql' is in its name or that of its folder" in text
    assert (
        "# target: its name is in the path, it has as many questions as there are answers" in text
    )
    assert text.count("# the model seems to be tuned, by its name: set trained_on") == 1


def test_what_is_left_out_has_a_reason_of_one_line(drafted):
    root, made, text = drafted
    reasons = made.left_out
    assert reasons["boats/database"] == "is a folder of databases, by its name"
    assert reasons["boats/tables.json"].startswith("describes tables, by its name")
    assert reasons["boats/README.md"] == "is a document, by its name"
    assert "does not look like a dump" in reasons["notes.txt"]
    assert "to one of several targets" in reasons["predictions/other.sql"]
    # Four targets have two questions, and the path contains no name of them.
    assert (
        "(boats-dev, boats-dev_gold, boats-mini_dev_postgresql, logs-calls)"
        in reasons["outputs/mid"]
    )
    assert "shards/data/train-*-of-*.parquet" in reasons
    listed = {
        path.removeprefix("# ").split(": ")[0] for path in text.split("# Left out:")[1].splitlines()
    }
    assert {path.replace("\n", "\N{REPLACEMENT CHARACTER}") for path in reasons} <= listed
    taken = {str(one.entry.path.relative_to(root / "dumps")) for one in made.corpora}
    for file in (root / "dumps").rglob("*"):
        name = file.relative_to(root / "dumps").as_posix()
        if file.is_file() and "shards" not in name:
            assert any(name == one or name.startswith(f"{one}/") for one in (*taken, *reasons))


def test_a_file_is_not_overwritten(drafted):
    root, _, text = drafted
    with pytest.raises(ConfigurationError, match="so it is not replaced; choose another file"):
        draft_corpora(root / "dumps", root / "corpora.toml")
    assert (root / "corpora.toml").read_text() == text


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (None, "is not a folder"),
        ({}, r"contains no dump that can be used \(it is empty\)"),
        ({"a.txt": "Dear all"}, r"contains no dump that can be used \(a\.txt: does not look like"),
    ],
)
def test_a_folder_without_dumps_is_an_error(tmp_path, files, problem):
    if files is not None:
        (tmp_path / "dumps").mkdir()
        write(tmp_path / "dumps", files)
    with pytest.raises(ConfigurationError, match=problem):
        draft_corpora(tmp_path / "dumps", tmp_path / "corpora.toml")
    assert not (tmp_path / "corpora.toml").exists()


def test_answers_without_a_target_are_left_out(tmp_path):
    write(tmp_path / "dumps", {"train.json": TRAIN, "outputs/small.sql": ANSWERS})
    made = draft_corpora(tmp_path / "dumps", tmp_path / "corpora.toml")
    assert [one.entry.role for one in made.corpora] == ["train"]
    assert "no target was found" in made.left_out["outputs/small.sql"]
    assert "# No target was found" in (tmp_path / "corpora.toml").read_text()
