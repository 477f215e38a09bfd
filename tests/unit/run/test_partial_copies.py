"""Runs on a machine without a copy of a warehouse on a store fetch only the files they need."""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.environment import CACHE_VARIABLE
from nl2sql_align.tasks.base.errors import ConflictError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.executor import LocalExecutor
from nl2sql_align.tasks.run.job import Job
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.templates.parser_pool import stop_workers
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.object_store import pull, push, warehouse_at
from nl2sql_align.tasks.warehouse.placeholders import is_placeholder
from tests.flows.warehouses import tables

pytestmark = pytest.mark.usefixtures("one_parser_process")

ADDRESS = "memory://partial/w"
TRAINS = [f"train-{number}" for number in range(4)]


def write_corpora(folder):
    """Write dumps of four training sets, a target and answers; return their entries by name."""
    texts = {
        name: [
            f"SELECT a{number} FROM boats WHERE b > {number}",
            "SELECT count(*) FROM harbours" + " JOIN boats" * number,
            "SELECT 1 GROUP",
        ]
        for number, name in enumerate(TRAINS)
    }
    texts["dev"] = ["SELECT a FROM boats", "SELECT max(b) FROM harbours GROUP BY c", "SELECT 2"]
    texts["answers"] = ["```sql\nSELECT a FROM boats\n```", "SELECT b FROM harbours", "SELECT 2"]
    entries = {}
    for name, queries in texts.items():
        role = {"dev": "target", "answers": "predictions"}.get(name, "train")
        keys = {"target": "dev", "model": "one"} if role == "predictions" else {}
        path = folder / f"{name}.jsonl"
        write_dump(path, queries)
        entries[name] = CorpusEntry(
            name=name,
            role=role,
            format="jsonl",
            dialect="sqlite",
            path=path,
            columns={"sql": "sql"},
            **keys,
        )
    return entries


def change(entries):
    write_dump(entries["train-1"].path, ["SELECT a, b FROM boats", "SELECT 1 GROUP"])


def write_dump(path, queries):
    path.write_text("".join(json.dumps({"sql": text}) + "\n" for text in queries))


def run(warehouse, entries):
    """Do a run; return its summary."""
    with (
        warehouse.locked() as lock,
        bounded(2, None, warehouse.scratch),
        ThreadPoolExecutor(4) as pool,
    ):
        warehouse.remove_damaged()
        pull(warehouse)
        try:
            _, summary = Job(warehouse, lock, LocalExecutor(pool)).run(
                [*entries.values()],
                report=lambda: write_report(warehouse.folder, only_if_changed=True),
            )
        finally:
            stop_workers()
        push(warehouse, run_id=summary.run_id, versions=list_versions())
    return summary


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The objects that a first run has published, and its corpora; tests change neither."""
    fs, folder = fsspec.filesystem("memory"), tmp_path_factory.mktemp("partial")
    fs.store.clear()
    entries = write_corpora(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "first"))
        run(warehouse_at(ADDRESS), entries)
    return {path: file.getvalue() for path, file in fs.store.items()}, entries, folder


@pytest.fixture
def store(published):
    """The store in memory after the first run."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    for path, content in published[0].items():
        fs.pipe_file(path, content)
    yield fs
    fs.store.clear()


@pytest.fixture
def machine(tmp_path, monkeypatch, published):
    """Return a function that switches to a machine, and returns the warehouse as seen there."""

    def on(name):
        folder = published[2] if name == "first" else tmp_path
        monkeypatch.setenv(CACHE_VARIABLE, str(folder / name))
        return warehouse_at(ADDRESS)

    return on


@pytest.fixture
def entries(published, tmp_path):
    """The corpora of the first run, of which the second training set has changed since."""
    found = write_corpora(tmp_path)
    assert {one.name: one.path.read_bytes() for one in found.values()} == {
        one.name: one.path.read_bytes() for one in published[1].values()
    }
    change(found)
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The tables that a warehouse on disk has after the change."""
    folder = tmp_path_factory.mktemp("disk")
    entries = write_corpora(folder)
    change(entries)
    run_locally([*entries.values()], Warehouse(folder / "warehouse"))
    return tables(folder / "warehouse")


@pytest.fixture
def fetched(monkeypatch):
    """The names of the objects that are fetched, without their uploads."""
    names = []
    get_file = MemoryFileSystem.get_file

    def record(self, remote, *others, **keys):
        names.append(remote)
        return get_file(self, remote, *others, **keys)

    monkeypatch.setattr(MemoryFileSystem, "get_file", record)
    return names


def shorten(objects):
    """Return the names of files by their objects."""
    return {re.sub(r"^/partial/w/|\d{8}T\d{6}Z-[0-9a-f]{8}/", "", one) for one in objects}


def manifest(store):
    """Return the files of the newest manifest by name, and check that their objects exist."""
    newest = max(store.ls("/partial/w/manifests", detail=False))
    files = {one["name"]: one for one in json.loads(store.cat_file(newest))["files"]}
    for one in files.values():
        content = store.cat_file(f"/partial/w/{one['object']}")
        assert hashlib.sha256(content).hexdigest() == one["sha256"], one["name"]
    return files


def find_object(store, name):
    [path] = [path for path in store.store if re.search(name, path)]
    return path


ALWAYS = {
    *("published/alignment.duckdb", "published/report.html"),
    *("stages/corpora.json", "stages/index.parquet", "stages/kept.duckdb"),
}
"""The files that every machine fetches."""


def test_a_run_without_changes_fetches_neither_texts_nor_counts(store, machine, published, fetched):
    before = manifest(store)
    summary = run(machine("new"), published[1])
    assert (summary.n_ingested, summary.n_parsed, summary.n_new_pairs) == (0, 0, 0)
    assert shorten(fetched) == ALWAYS
    assert len(fetched) == len(ALWAYS)
    after = manifest(store)
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name]["object"] != before[name]["object"]}
    assert changed == {"alignment.duckdb", "stages/kept.duckdb"}


def test_a_run_with_a_changed_corpus_fetches_what_its_pairs_need(
    store, machine, entries, fetched, expected
):
    warehouse = machine("new")
    summary = run(warehouse, entries)
    assert (summary.n_ingested, summary.n_new_pairs) == (1, 11)
    others = ["answers", "dev", "train-0", "train-2", "train-3"]
    names = sorted(shorten(fetched) - ALWAYS)
    assert len(fetched) == len(names) + len(ALWAYS)
    stages = [re.sub(r"-?[0-9a-f]{12}-[0-9a-f]{32}|-?[0-9a-f]{32}", "", name) for name in names]
    assert stages == [
        *(f"ngrams/{name}.parquet" for name in others),
        *(f"queries/{name}.parquet" for name in others),  # the examples of the report
        "stages/as_written/pairs/pairs.parquet",
        *(f"stages/intervals/{kind}.parquet" for kind in ("ceilings", "reaches", "replicates")),
        *(f"stages/pairs/{kind}.parquet" for kind in ("contributions", "pairs", "values")),
        "stages/queries/.parquet",  # the units of the target
        *("stages/templates/.parquet" for _ in others),
    ]
    machine("reader")
    assert tables(ADDRESS) == expected
    here = {path for path in warehouse.folder.rglob("*.parquet") if is_placeholder(path)}
    assert {path.relative_to(warehouse.folder).as_posix() for path in here} < {*manifest(store)}
    fetched.clear()
    run(machine("other"), {name: one for name, one in entries.items() if name != "train-1"})
    assert sum(name.startswith("ngrams/") for name in shorten(fetched)) <= 1, "a file to read"
    remaining = tables(ADDRESS)
    assert remaining == {
        table: [row for row in expected[table] if "train-1" not in row] for table in remaining
    } | {"templates": remaining["templates"]}
    assert len(remaining["templates"]) == len(expected["templates"]) - 1


@pytest.mark.parametrize(
    "what, how, is_killed",
    [
        ("/w/ngrams/.*train-2", "missing", False),
        ("/w/ngrams/.*train-2", "other content", True),
        (r"/w/stages/[^/]*/pairs/values", "other content", False),
        ("/w/queries/.*dev", "other content", False),
    ],
)
def test_a_damaged_file_is_made_again_when_it_is_needed(
    store, machine, entries, expected, what, how, is_killed
):
    path = find_object(store, what)
    store.rm_file(path) if how == "missing" else store.pipe_file(path, b"x" * store.size(path))
    warehouse, texts = machine("new"), []
    with progress.listening(lambda one: texts.append(one.text)):
        if is_killed:  # after it has made the file again
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(f"{__name__}.push", lambda *_, **keys: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    run(warehouse, entries)
        summary = run(warehouse, entries)
    assert summary.n_parsed == (0 if is_killed else 2), "also those before it started again"
    [reported] = [text for text in texts if text.endswith("; it is rebuilt")]
    assert path.removeprefix("/partial/w/") in reported
    manifest(store)
    machine("reader")
    assert tables(ADDRESS) == expected
    check_history(summary)


def check_history(summary):
    """Check that the history consists of the first run and this one."""
    with open_results(ADDRESS) as con:
        for table in ("runs", "alignment_history", "alignment_ratio_history"):
            run_ids = con.sql(f"select run_id from {table} group by all order by min(rowid)")
            assert run_ids.fetchall()[1:] == [(summary.run_id,)], table
        pairs = con.sql("select run_number, source, target from alignment_history").fetchall()
    assert len(set(pairs)) == len(pairs)
    assert {number for number, *_ in pairs} == {1, 2}


def test_a_file_that_only_the_report_lacks_is_made_again(store, machine, published, monkeypatch):
    path = find_object(store, "/w/queries/.*train-3")
    store.pipe_file(path, b"x" * store.size(path))
    monkeypatch.setattr("nl2sql_align.tasks.views.report.REPORT_VERSION", 1_000)
    summary = run(machine("new"), published[1])
    manifest(store)
    machine("reader")
    check_history(summary)


def test_a_file_that_counting_lacks_is_made_again(store, machine, entries):
    """The first attempt ingests and parses the corpus that has changed."""
    renamed = {**entries, "train-2": entries["train-2"].model_copy(update={"name": "train-9"})}
    machine("reader")
    with open_results(ADDRESS) as con:
        query = "select templates_file from corpora where corpus = 'train-2'"
        [(address,)] = con.sql(query).fetchall()
    store.pipe_file(address, b"x" * store.size(address))
    summary = run(machine("new"), renamed)
    assert summary.n_ingested == 1
    assert summary.n_parsed == 2 + 3


def test_a_killed_run_leaves_a_copy_that_the_next_one_uses(
    store, machine, entries, fetched, monkeypatch
):
    warehouse = machine("new")
    with monkeypatch.context() as patch:
        patch.setattr("nl2sql_align.tasks.results.publish._insert_run", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(warehouse, entries)
    n_first = len(fetched)
    run(warehouse, entries)
    assert {*fetched[n_first:]} & {*fetched[:n_first]} == set(), "nothing is fetched twice"
    assert {name for name in manifest(store) if name.startswith("queries/train-1-")}


def test_a_run_that_others_have_overtaken_twice_says_so(store, machine, entries, monkeypatch):
    slow, measure_pairs = machine("slow"), steps.measure_pairs

    def overtaken(*given, **keys):
        for name in ("one", "two"):
            other = machine(name)
            with other.locked():
                pull(other)
                for path in other.ngrams.glob("train-*"):
                    path.unlink()
                other.backup_file.write_text(name)
                push(other)
        machine("slow")
        return measure_pairs(*given, **keys)

    with monkeypatch.context() as patch:
        patch.setattr(steps, "measure_pairs", overtaken)
        with pytest.raises(ConflictError, match=r"another run has published .* run again"):
            run(slow, entries)
    run(slow, entries)
    assert sum(name.startswith("ngrams/train-") for name in manifest(store)) == len(TRAINS)
