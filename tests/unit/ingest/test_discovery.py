"""Discovery of dumps in folders: new, changed, incomplete and vanished ones."""

import json
import os
import tomllib
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, format_corpora, load_corpora
from nl2sql_align.tasks.ingest.discovery import SETTLE_SECONDS, discover_dumps
from nl2sql_align.tasks.warehouse.folder import Warehouse

SPIDER = [
    {"query": f"SELECT a FROM b WHERE c = {i}", "db_id": "d", "question": "?"} for i in (1, 2)
]
BIRD = [{"SQL": "SELECT a FROM b WHERE c = 1", "db_id": "d", "question": "?"}]
LATER = timedelta(hours=1)


@pytest.fixture
def dumps(tmp_path):
    folder = tmp_path / "dumps"
    folder.mkdir()
    return folder


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / "warehouse")


def put(path, content=SPIDER):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def look(folder, warehouse, after=LATER, **options):
    """Search a folder some time after the last file was put there."""
    return discover_dumps([folder], warehouse, now=datetime.now(UTC) + after, **options)


def listed(found):
    return {entry.name: entry for entry in load_corpora(found.corpora)} if found.corpora else {}


def take(warehouse, found):
    """Write the file that the main job writes after it took these corpora."""
    cards = {
        name: {
            "entry": entry.model_dump(mode="json", exclude_defaults=True) | {"format": "spider"},
            "digest": "0" * 64,
        }
        for name, entry in listed(found).items()
    }
    warehouse.last_corpora_file.parent.mkdir(parents=True, exist_ok=True)
    warehouse.last_corpora_file.write_text(json.dumps(cards))


# Search


def test_files_that_are_not_taken_are_named(dumps, warehouse):
    put(dumps / "spider" / "train_spider.json")
    put(dumps / "spider" / "tables.json", [{"db_id": "d", "column_names": []}])
    put(dumps / "spider" / "README.md", "# Spider")
    put(dumps / "spider" / "_SUCCESS", "")
    put(dumps / "logs" / "pg_stat.csv", "query,calls\nSELECT 1,2\n")
    put(dumps / "logs" / "history.sql", "SELECT 1;\n")
    os.mkfifo(dumps / "logs" / "pipe")
    put(dumps / "shop" / "log.sql", "SELECT a FROM b\n")
    put(dumps / "shop" / "log.corpus.toml", 'role = "train"\nformat = "lines"')
    put(dumps / "empty" / "train-00000-of-00001.parquet", pa.table({"text": ["no SQL"]}))
    found = look(dumps, warehouse)
    assert {*listed(found)} == {"spider-train", "log"}
    assert (found.problems, found.waiting) == ((), ())
    assert found.skipped == tuple(
        f"{dumps / name}: not recognized as a data set; to use it, describe it in a corpus.toml"
        for name in ("empty/train-*-of-*.parquet", "logs/history.sql", "logs/pg_stat.csv")
    )


def test_a_spider_release_is_recognized(dumps, warehouse):
    put(dumps / "spider" / "train_spider.json")
    put(dumps / "spider" / "train_others.json")
    put(dumps / "spider" / "dev.json")
    put(dumps / "spider" / "tables.json", [{"db_id": "d", "column_names": []}])
    put(dumps / "spider" / "database" / "d" / "rows.json", SPIDER)
    found = look(dumps, warehouse)
    assert {name: entry.role for name, entry in listed(found).items()} == {
        "spider-dev": "target",
        "spider-train": "train",
        "spider-train_others": "train",
    }
    assert found.new == ("spider-dev", "spider-train_others", "spider-train")
    assert found.problems == ()


def test_a_bird_release_is_recognized(dumps, warehouse):
    put(dumps / "bird" / "train" / "train.json", BIRD)
    put(dumps / "bird" / "train" / "train_tables.json", [{"db_id": "d"}])
    put(dumps / "bird" / "dev" / "dev.json", BIRD)
    roles = {name: entry.role for name, entry in listed(look(dumps, warehouse)).items()}
    assert roles == {"bird-dev": "target", "bird-train": "train"}


def test_gretel_and_hugging_face_folders_are_recognized(dumps, warehouse):
    gretel = pa.table({"sql": ["SELECT a FROM b"], "sql_prompt": ["?"], "id": [1]})
    put(dumps / "gretel" / "synthetic_text_to_sql_train.snappy.parquet", gretel)
    rows = pa.table({"sql": ["SELECT a FROM b"], "text": ["?"]})
    for number in range(2):
        put(dumps / "hub" / "data" / f"train-0000{number}-of-00002.parquet", rows)
    put(dumps / "hub" / "data" / "validation-00000-of-00001.parquet", rows)
    found = listed(look(dumps, warehouse))
    assert {name: entry.role for name, entry in found.items()} == {
        "gretel-train": "train",
        "hub-train": "train",
        "hub-validation": "target",
    }
    assert found["hub-train"].glob == "train-*-of-*.parquet"


def test_other_files_need_a_description(dumps, warehouse):
    put(dumps / "logs.csv", "statement,asked\nSELECT a FROM b,?\n")
    put(dumps / "notes.json", [{"text": "no SQL"}])
    without_description = look(dumps, warehouse)
    assert (without_description.corpora, without_description.new) == (None, ())
    put(dumps / "logs.corpus.toml", 'role = "target"\nformat = "csv"\ncolumns = {sql="statement"}')
    [entry] = listed(look(dumps, warehouse)).values()
    assert (entry.name, entry.role, entry.path) == ("logs", "target", dumps / "logs.csv")
    assert entry.columns.sql == "statement"


def test_a_corpus_toml_describes_the_dump_beside_it(dumps, warehouse):
    put(dumps / "shop" / "queries.sql", "SELECT a FROM b\n")
    put(dumps / "shop" / "corpus.toml", 'role = "target"\nformat = "lines"\ndialect = "mysql"')
    put(dumps / "shop" / "README.md", "about it")
    many = """
        [[corpus]]
        name = "base"
        role = "predictions"
        target = "shop"
        model = "m"
        format = "lines"
        dialect = "mysql"
        path = "base.sql"
    """
    put(dumps / "answers" / "corpus.toml", many)
    put(dumps / "answers" / "base.sql", "SELECT a FROM b\n")
    found = listed(look(dumps, warehouse))
    assert found["shop"].path == dumps / "shop" / "queries.sql"
    assert (found["shop"].dialect, found["base"].target) == ("mysql", "shop")


def test_a_corpora_toml_lists_all_corpora_of_its_folder(dumps, warehouse):
    put(dumps / "a.sql", "SELECT a FROM b\n")
    put(dumps / "b.json")
    one = '[[corpus]]\nname="a"\nrole="train"\nformat="lines"\ndialect="sqlite"\npath="a.sql"\n'
    put(dumps / "corpora.toml", one)
    assert list(listed(look(dumps, warehouse))) == ["a"]


def test_a_faulty_dump_does_not_stop_the_others(dumps, warehouse):
    put(dumps / "spider" / "dev.json")
    put(dumps / "bad" / "x.sql", "SELECT a FROM b\n")
    put(dumps / "bad" / "corpus.toml", 'role = "trane"')
    put(dumps / "lost" / "corpus.toml", 'role = "train"\npath = "gone.sql"\nformat = "lines"')
    put(dumps / "lone.sql", "SELECT a FROM b\n")
    put(
        dumps / "lone.corpus.toml",
        'role = "predictions"\ntarget = "nowhere"\nmodel = "m"\nformat = "lines"',
    )
    put(dumps / "twice" / "spider" / "dev.json")
    found = discover_dumps([dumps, dumps / "not-there"], warehouse, now=datetime.now(UTC) + LATER)
    assert list(listed(found)) == ["spider-dev"]
    problems = "\n".join(found.problems)
    assert len(found.problems) == 5
    for words in (
        f"{dumps}/not-there: does not exist",
        "bad/corpus.toml: corpus 'bad': key 'role'",
        "corpus 'lost'",
        "its target 'nowhere' is missing",
        "corpus 'spider-dev' is also in",
    ):
        assert words in problems


def test_a_missing_folder_is_an_error(tmp_path, warehouse):
    with pytest.raises(ConfigurationError, match="found no folder to search"):
        discover_dumps([tmp_path / "nothing"], warehouse)
    assert not warehouse.folder.exists()


def test_a_warehouse_in_use_is_left_alone(dumps, warehouse):
    put(dumps / "spider" / "dev.json")
    with warehouse.locked(), pytest.raises(WarehouseError, match="is in use by process"):
        look(dumps, warehouse)


# Completeness


def test_a_dump_that_has_just_changed_waits_for_the_next_run(dumps, warehouse):
    put(dumps / "spider" / "dev.json")
    first = look(dumps, warehouse, timedelta(0))
    assert (first.corpora, first.waiting, first.new) == (None, ("spider-dev",), ())
    second = look(dumps, warehouse, timedelta(seconds=SETTLE_SECONDS + 1))
    assert (second.waiting, second.new) == ((), ("spider-dev",))


@pytest.mark.parametrize(
    "name", ["dev.json.part", "train.json.crdownload", ".dev.json.a1b2c3", "x.tmp"]
)
def test_a_dump_with_a_partial_file_waits(dumps, warehouse, name):
    put(dumps / "shop" / "corpus.toml", 'role = "train"\nformat = "sql_files"\npath = "."')
    put(dumps / "shop" / "a.sql", "SELECT a FROM b")
    part = put(dumps / "shop" / name, "[")
    assert look(dumps, warehouse).waiting == ("shop",)
    part.unlink()
    assert look(dumps, warehouse).new == ("shop",)


def test_a_marker_file_completes_a_dump_until_it_changes_again(dumps, warehouse):
    dump = put(dumps / "spider" / "dev.json")
    mark = put(dumps / "spider" / "_SUCCESS", "")
    os.utime(mark, (dump.stat().st_mtime + 5,) * 2)
    assert look(dumps, warehouse, timedelta(0)).new == ("spider-dev",)
    os.utime(mark, (dump.stat().st_mtime - 5,) * 2)
    assert look(dumps, warehouse, timedelta(0)).waiting == ("spider-dev",)


def test_a_dump_does_not_wait_after_the_clock_was_set_back(dumps, warehouse):
    """The times of its files are in the future, so only the time without changes counts."""
    put(dumps / "spider" / "dev.json")
    year = timedelta(days=365)
    assert look(dumps, warehouse, -year).waiting == ("spider-dev",)
    assert look(dumps, warehouse, -year + LATER).new == ("spider-dev",)


def test_a_dump_keeps_its_results_while_it_is_copied_again(dumps, warehouse):
    put(dumps / "spider" / "dev.json")
    take(warehouse, look(dumps, warehouse))
    put(dumps / "spider" / "dev.json", SPIDER * 3)
    found = look(dumps, warehouse, timedelta(0))
    assert found.waiting == ("spider-dev",)
    kept = listed(found)["spider-dev"]
    assert (kept.digest, kept.format, kept.retired_at) == ("0" * 64, "spider", None)
    after = look(dumps, warehouse, LATER)
    assert (after.changed, listed(after)["spider-dev"].digest) == (("spider-dev",), None)
    take(warehouse, after)
    assert look(dumps, warehouse, 2 * LATER).changed == ()


# Vanished dumps


def test_a_dump_that_is_gone_is_retired_until_it_is_pruned_or_comes_back(dumps, warehouse):
    path = put(dumps / "spider" / "dev.json")
    put(dumps / "bird" / "dev.json", BIRD)
    take(warehouse, look(dumps, warehouse))
    path.unlink()
    second = look(dumps, warehouse)
    assert (second.retired, second.problems) == (("spider-dev",), ())
    since = listed(second)["spider-dev"].retired_at
    take(warehouse, second)
    third = look(dumps, warehouse, 2 * LATER)
    assert listed(third)["spider-dev"].retired_at == since
    assert listed(third)["spider-dev"].digest == "0" * 64
    take(warehouse, third)
    put(path)
    back = look(dumps, warehouse, 3 * LATER)
    assert (back.retired, listed(back)["spider-dev"].digest) == ((), None)
    take(warehouse, back)
    path.unlink()
    pruned = look(dumps, warehouse, 4 * LATER, prune=True)
    assert (pruned.pruned, pruned.retired, list(listed(pruned))) == (
        ("spider-dev",),
        (),
        ["bird-dev"],
    )


def test_a_folder_that_lost_all_of_its_dumps_is_a_problem(dumps, warehouse):
    path, other = put(dumps / "spider" / "dev.json"), put(dumps / "bird" / "dev.json", BIRD)
    take(warehouse, look(dumps, warehouse))
    path.unlink()
    one_is_left = look(dumps, warehouse)
    [line] = one_is_left.gone
    assert line.startswith("spider-dev: its dump has been gone since 20")
    assert (one_is_left.problems, len(line.splitlines())) == ((), 1)
    take(warehouse, one_is_left)
    other.unlink()
    found = look(dumps, warehouse, LATER)
    assert found.problems == (
        f"{dumps}: contains none of its 2 known dumps any more; check that it is mounted, or drop "
        "their results with --prune",
    )
    take(warehouse, found)
    assert look(dumps, warehouse, 2 * LATER).problems == found.problems
    assert look(dumps, warehouse, 3 * LATER, prune=True).problems == ()


def test_a_description_without_its_dump_is_retired_too(dumps, warehouse):
    dump = put(dumps / "shop" / "a.sql", "SELECT a FROM b\n")
    put(dumps / "shop" / "corpus.toml", 'role = "train"\nformat = "lines"\npath = "a.sql"')
    take(warehouse, look(dumps, warehouse))
    dump.unlink()
    found = look(dumps, warehouse)
    assert found.retired == ("shop",)
    assert ["does not exist" in problem for problem in found.problems] == [True]


def test_corpora_are_kept_when_their_description_becomes_invalid(dumps, warehouse):
    put(dumps / "shop" / "a.sql", "SELECT a FROM b\n")
    description = put(dumps / "shop" / "corpus.toml", 'role = "train"\nformat = "lines"')
    take(warehouse, look(dumps, warehouse))
    description.write_text("role = ")
    found = look(dumps, warehouse)
    assert (found.retired, len(found.problems)) == ((), 1)
    assert listed(found)["shop"].digest == "0" * 64


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        '{"corpora": []}',
        '{"corpora": {"spider-dev": {"looked_at": 7}}}',
        '{"corpora": {"spider-dev": {"retired_at": "2026-01-01T00:00:00"}}}',
    ],
)
def test_no_corpus_is_lost_when_the_state_is_damaged(dumps, warehouse, damaged):
    path = put(dumps / "spider" / "dev.json")
    put(dumps / "bird" / "dev.json", BIRD)
    take(warehouse, look(dumps, warehouse))
    path.unlink()
    (warehouse.folder / "nightly" / "state.json").write_text(damaged)
    found = look(dumps, warehouse)
    assert found.retired == ("spider-dev",)
    assert "it is ignored and written again" in found.problems[0]
    assert set(listed(found)) == {"spider-dev", "bird-dev"}


def test_corpora_of_other_corpora_files_are_ignored(dumps, warehouse):
    put(dumps / "spider" / "dev.json")
    found = look(dumps, warehouse)
    take(warehouse, found)
    cards = json.loads(warehouse.last_corpora_file.read_text())
    cards["other"] = cards["spider-dev"] | {}
    warehouse.last_corpora_file.write_text(json.dumps(cards))
    assert look(dumps, warehouse).retired == ()


def test_a_written_corpora_file_loads_as_the_same_entries(tmp_path):
    odd = CorpusEntry(
        name="a.b",
        role="train",
        format="jsonl",
        dialect="sqlite",
        path=tmp_path / 'it\'s "odd"\\ \t\x7f é',
        license="line\nbreak\x01",
        columns={"sql": '$.a."b c"', "question": "q"},
        kinds=("query",),
        keep_sql=False,
        digest="a" * 64,
        retired_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    )
    text = format_corpora([odd])
    [table] = tomllib.loads(text)["corpus"]
    assert table["keep_sql"] is False
    (tmp_path / "corpora.toml").write_text(text)
    assert load_corpora(tmp_path / "corpora.toml") == [odd]
