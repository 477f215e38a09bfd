"""A moved warehouse: this program reads it, and other DuckDB clients do after ``relocate``."""

import shutil
from pathlib import Path

import duckdb
import pytest

from nl2sql_align.flows.cli import invoke
from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.read import rejects
from nl2sql_align.tasks.results.record import relocate
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.part_files import name_below
from tests.unit.results.test_read import QUERIES, publish_results

COUNTS = "select corpus, count(*) from {} group by corpus order by corpus"


@pytest.fixture(scope="module")
def published(tmp_path_factory, make_corpus):
    folder = tmp_path_factory.mktemp("published") / "ware [1] *house"
    publish_results(folder, make_corpus)
    Warehouse(folder).record_digests()
    return folder


@pytest.fixture
def moved(published, tmp_path):
    """A copy of a warehouse whose original is not there."""
    shutil.copytree(published, tmp_path / "it's moved [2] *")
    hidden = published.with_name("hidden")
    published.rename(hidden)
    yield tmp_path / "it's moved [2] *"
    hidden.rename(published)


def ask(folder, query):
    """Ask the database as another DuckDB client does."""
    with duckdb.connect(str(Warehouse(folder).database), read_only=True) as con:
        return con.execute(query).fetchall()


def test_this_program_reads_a_moved_warehouse(moved):
    assert rejects(moved, "base")["raw_sql"].to_list() == ["first", ""]
    with open_results(moved) as con:
        found = con.execute(COUNTS.format("queries")).fetchall()
        assert found == sorted((name, len(some)) for name, some in QUERIES.items())
        assert len(con.execute(COUNTS.format("ngram_counts")).fetchall()) == len(QUERIES)


def test_other_clients_read_it_after_it_is_relocated(moved):
    comments = "select column_name, comment from duckdb_columns() where table_name = 'queries'"
    before = ask(moved, comments)
    for view in ("queries", "ngram_counts"):
        with pytest.raises(duckdb.IOException, match="No files found"):
            ask(moved, f"from {view}")
    assert relocate(moved) == 2 * len(QUERIES)
    found = ask(moved, COUNTS.format("queries"))
    assert found == sorted((name, len(some)) for name, some in QUERIES.items())
    assert len(ask(moved, COUNTS.format("ngram_counts"))) == len(QUERIES)
    assert ask(moved, comments) == before and before[0] == ("corpus", "The corpus of the query")
    for named in ask(moved, "select ngrams_file, queries_file, templates_file from corpora"):
        assert all(Path(file).is_file() and Path(file).is_relative_to(moved) for file in named)
    assert Warehouse(moved).is_database_intact()
    assert not list(moved.glob(".tmp*"))


def test_relocating_again_changes_nothing(moved, capsys):
    assert invoke(["relocate", str(moved)]) == 0
    assert "The views now name 8 files in" in " ".join(capsys.readouterr().out.split())
    before = Warehouse(moved).database.read_bytes()
    link = moved.with_name("link")
    link.symlink_to(moved)
    for folder in (moved, link):
        assert invoke(["relocate", str(folder)]) == 0
        assert "The views already name the files" in " ".join(capsys.readouterr().out.split())
    assert Warehouse(moved).database.read_bytes() == before


@pytest.mark.parametrize("kind", ["queries", "ngrams"])
def test_a_missing_file_is_named_and_nothing_changes(moved, kind):
    [file] = (moved / kind).glob("animals-*")
    file.unlink()
    before = Warehouse(moved).database.read_bytes()
    with pytest.raises(WarehouseError) as error:
        relocate(moved)
    assert str(error.value).startswith(f"{file} is missing: copy it there from the folder ")
    assert Warehouse(moved).database.read_bytes() == before


def test_the_database_alone_says_which_file_is_missing(moved, tmp_path, capsys):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(Warehouse(moved).database, alone)
    assert invoke(["matrix", str(alone), "--format", "csv"]) == 0
    assert "zoo-train" in capsys.readouterr().out
    assert invoke(["rejects", str(alone), "base"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "/queries/" in line and line.endswith(
        "which is missing or in another folder; copy the whole folder of the results, or run again"
    )
    assert invoke(["relocate", str(alone)]) == 1
    assert [path.name for path in alone.iterdir()] == ["alignment.duckdb"]


def test_what_cannot_be_relocated_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="only a warehouse in a folder can be relocated"):
        relocate("s3://bucket/alignment")
    with pytest.raises(WarehouseError, match="does not exist"):
        relocate(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("published", "below"),
    [
        ("/old/ngrams/boats-0a.parquet", "boats-0a.parquet"),
        ("/old/ngrams/boats-0a/part-003-of-008.parquet", "boats-0a/part-003-of-008.parquet"),
        ("s3://bucket/queries/1/boats-0a.parquet", "boats-0a.parquet"),
        ("/old/queries/part-003-of-008-0a.parquet", "part-003-of-008-0a.parquet"),
    ],
)
def test_files_keep_their_names_below_the_folder_of_their_stage(published, below):
    assert name_below(published) == below
