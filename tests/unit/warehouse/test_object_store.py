"""Warehouses on object stores: publishing, reading, conflicts and damage."""

import json
import re
import subprocess
from pathlib import Path

import duckdb
import fsspec
import polars as pl
import pytest

from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.environment import CACHE_VARIABLE
from nl2sql_align.tasks.base.errors import ConfigurationError, ConflictError, WarehouseError
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.read import matrix
from nl2sql_align.tasks.results.record import record_decision
from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.object_store import (
    check_store,
    find_published,
    pull,
    push,
    warehouse_at,
)
from tests.conftest import S3_SECRET
from tests.unit.results.test_publish import ALL, runner
from tests.unit.test_cli import COMMAND
from tests.unit.warehouse.test_placeholders import check_threads_share

ADDRESS = "memory://results/w"
MANIFEST = re.compile(r"manifests/\d{10}\.json")
MANIFEST_TEXT = (
    '{"format": 1, "number": 1, "run_id": null, "written_at": "", "versions": {}, "files": '
    '[{"name": "name/x", "object": "y", "size": 1, "sha256": "0", "mtime_ns": 0}]}'
)
# Files of a working copy that are not published.
PRIVATE = {".lock", "stages/seals.json", "stages/store.json"}


@pytest.fixture
def store():
    """An empty store in memory."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return the warehouse as seen by a machine of that name, which is used from then on."""

    def on(name, address=ADDRESS):
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / name))
        return warehouse_at(address)

    return on


def write(warehouse, **files):
    """Write files of a warehouse: the database, and the counts of corpora by name."""
    for name, content in files.items():
        path = warehouse.database if name == "database" else warehouse.ngrams / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def work(warehouse, **files):
    """Do a run that writes these files."""
    with warehouse.locked():
        pull(warehouse)
        write(warehouse, **files)
        push(warehouse, run_id="a-run", versions={"program": "1"})


def copy_of(warehouse):
    """Return the published files that a run on that machine starts with."""
    with warehouse.locked():
        pull(warehouse)
    files = [path for path in warehouse.folder.rglob("*") if path.is_file()]
    content = {path.relative_to(warehouse.folder).as_posix(): path.read_bytes() for path in files}
    return {name: content[name] for name in content.keys() - PRIVATE}


def objects(store):
    return {path.removeprefix("/results/w/") for path in store.store}


def announced(block):
    texts = []
    with progress.listening(lambda one: texts.append(one.text)):
        block()
    return texts


BOTH = {"alignment.duckdb": b"one", "ngrams/a.parquet": b"counts"}


def test_a_machine_starts_with_what_another_one_has_published(store, machine):
    work(machine("first"), database=b"one", a=b"counts")
    second = machine("second")
    assert copy_of(second) == BOTH
    assert find_published(second).database.read_bytes() == b"one"
    stats = [machine(one).ngrams.joinpath("a.parquet").stat() for one in ("first", "second")]
    assert len({stat.st_mtime_ns for stat in stats}) == 1, "the time when a corpus was ingested"


def test_threads_share_a_published_file(store, machine):
    """DuckDB reads the row groups of a file in several threads."""
    content = bytes(range(256)) * 16
    work(machine("first"), database=b"one", counts=content)
    files = find_published(machine("reader")).files.system
    [address] = files.glob(f"{ADDRESS}/ngrams/*/counts.parquet")
    with files.open(address) as file:
        check_threads_share(file, content, [0, 501, 1002, 4000])


def test_only_changed_files_are_uploaded_and_only_missing_ones_fetched(store, machine):
    work(machine("first"), database=b"one", a=b"counts")
    texts = announced(lambda: work(machine("second"), database=b"two"))
    assert re.match(r"2 of 2 files from memory://results/w, ", texts[0])
    assert re.match(r"1 of 2 files to memory://results/w, ", texts[1])
    texts = announced(lambda: work(machine("first"), database=b"two"))
    assert [line[:6] for line in texts] == ["1 of 2", "0 of 2"]
    numbers = [path for path in objects(store) if MANIFEST.fullmatch(path)]
    assert sorted(numbers) == ["manifests/0000000001.json", "manifests/0000000002.json"]


def test_the_manifest_lists_all_files_and_what_made_them(store, machine):
    work(machine("first"), database=b"one", a=b"counts")
    manifest = json.loads(store.cat_file("/results/w/manifests/0000000001.json"))
    assert (manifest["format"], manifest["run_id"], manifest["versions"]) == (
        1,
        "a-run",
        {"program": "1"},
    )
    assert [(file["name"], file["size"]) for file in manifest["files"]] == [
        ("alignment.duckdb", 3),
        ("ngrams/a.parquet", 6),
    ]
    for file in manifest["files"]:
        assert store.cat_file(f"/results/w/{file['object']}") == BOTH[file["name"]]


def test_the_second_of_two_runs_at_a_time_is_refused_but_loses_nothing(store, machine):
    work(machine("first"), database=b"one")
    slow = machine("slow")
    with slow.locked():
        pull(slow)
        write(slow, database=b"mine", mine=b"counts")
        work(machine("first"), database=b"two")
        with pytest.raises(ConflictError, match=r"another run has published to memory://results/w"):
            push(slow)
    assert find_published(slow).database.read_bytes() == b"two"
    assert copy_of(slow) == {"alignment.duckdb": b"two", "ngrams/mine.parquet": b"counts"}
    work(slow, database=b"three")
    assert copy_of(machine("first"))["ngrams/mine.parquet"] == b"counts"


def test_the_number_of_a_removed_manifest_is_not_reused(store, machine):
    work(machine("first"), database=b"one")
    slow = machine("slow")
    with slow.locked():
        pull(slow)
        write(slow, database=b"mine")
        for content in (b"two", b"three", b"four"):
            work(machine("first"), database=content)
        assert "manifests/0000000002.json" not in objects(store)
        with pytest.raises(ConflictError):
            push(slow)
    assert find_published(slow).database.read_bytes() == b"four"


def test_the_store_refuses_one_of_two_runs_that_create_the_same_manifest(
    store, machine, monkeypatch
):
    # Both runs have checked that the number is free.
    work(machine("first"), database=b"one")
    slow = machine("slow")
    create = type(store).pipe_file

    def create_second(self, path, content, **how):
        if "manifests" in path:
            monkeypatch.setattr(type(store), "pipe_file", create)
            work(machine("first"), database=b"two")
        create(self, path, content, **how)

    with slow.locked():
        pull(slow)
        write(slow, database=b"mine")
        monkeypatch.setattr(type(store), "pipe_file", create_second)
        with pytest.raises(ConflictError):
            push(slow)
    assert find_published(slow).database.read_bytes() == b"two"


def test_a_manifest_is_published_even_if_the_answer_of_the_store_is_lost(
    store, machine, monkeypatch
):
    create = type(store).pipe_file

    def lose(self, path, content, **how):
        create(self, path, content, **how)
        raise OSError("connection reset")

    monkeypatch.setattr(type(store), "pipe_file", lose)
    work(machine("first"), database=b"one")
    assert find_published(machine("reader")).database.read_bytes() == b"one"


def test_a_run_killed_before_its_manifest_changes_nothing(store, machine, monkeypatch):
    work(machine("first"), database=b"one", a=b"counts")
    before = objects(store)

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "pipe_file", die)  # creates manifests
        with pytest.raises(KeyboardInterrupt):
            work(machine("second"), database=b"half", b=b"more")
    left = objects(store) - before
    assert {path.rpartition("/")[2] for path in left} == {"alignment.duckdb", "b.parquet"}
    assert find_published(machine("reader")).database.read_bytes() == b"one"
    work(machine("second"), database=b"two")
    assert not left & objects(store)
    assert copy_of(machine("third")) == {
        "alignment.duckdb": b"two",
        "ngrams/a.parquet": b"counts",
        "ngrams/b.parquet": b"more",
    }


def test_files_that_two_manifests_no_longer_list_are_removed_and_no_others(store, machine):
    foreign = {"readme.txt", "ngrams/theirs.parquet", "published/20260101/report.html"}
    for path in foreign:
        store.pipe_file(f"/results/w/{path}", b"theirs")
    warehouse = machine("first")
    work(warehouse, database=b"one", a=b"counts", b=b"counts of b")
    first = objects(store)
    with warehouse.locked():
        pull(warehouse)
        (warehouse.ngrams / "b.parquet").unlink()
        write(warehouse, database=b"two")
        push(warehouse)
    assert first <= objects(store), "readers may still use the manifest before"
    work(warehouse, database=b"three")
    gone = first - objects(store)
    assert {path.rpartition("/")[2] for path in gone} == {
        "0000000001.json",
        "alignment.duckdb",
        "b.parquet",
    }
    assert foreign <= objects(store)
    assert "ngrams/b.parquet" not in copy_of(machine("second"))


def test_a_run_that_cannot_remove_old_files_still_publishes(store, machine, monkeypatch):
    warehouse = machine("first")
    for content in (b"one", b"two"):
        work(warehouse, database=content)

    def refuse(*_):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(store), "rm_file", refuse)
    texts = announced(lambda: work(warehouse, database=b"three"))
    assert "old files could not be removed (PermissionError: Access Denied)" in texts
    assert find_published(warehouse).database.read_bytes() == b"three"


def test_files_that_another_machine_has_removed_are_removed_here_too(store, machine):
    work(machine("first"), database=b"one", a=b"counts", b=b"counts")
    second = machine("second")
    copy_of(second)
    write(second, own=b"never published")
    first = machine("first")
    with first.locked():
        pull(first)
        (first.ngrams / "b.parquet").unlink()
        push(first)
    assert copy_of(machine("second")).keys() == {
        "alignment.duckdb",
        "ngrams/a.parquet",
        "ngrams/own.parquet",
    }


def test_a_run_starts_from_nothing_if_the_store_has_been_emptied(store, machine):
    warehouse = machine("first")
    work(warehouse, database=b"one", a=b"counts")
    store.rm("/results", recursive=True)
    assert copy_of(warehouse) == {}


@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_file_that_the_store_has_damaged_is_reported_and_uploaded_again(store, machine, how):
    work(machine("first"), database=b"one", a=b"counts")
    [path] = [path for path in store.store if path.endswith("a.parquet")]
    [database] = [path for path in store.store if path.endswith(".duckdb")]
    for one in (path, database):
        if how == "missing":
            store.rm(one)
        else:
            store.pipe_file(one, b"x" * store.size(one))
    with pytest.raises(WarehouseError, match=rf"w/published/\S+/alignment.duckdb is {how}; remove"):
        find_published(machine("reader"))
    second = machine("second")
    with second.locked():
        texts = announced(lambda: pull(second))
        assert sum(f"is {how}; it is rebuilt" in text for text in texts) == 2
        write(second, database=b"one", a=b"counts")
        push(second)
    assert copy_of(machine("third")) == BOTH
    assert find_published(machine("reader")).database.read_bytes() == b"one"


def test_a_reader_starts_again_if_two_runs_have_published_meanwhile(store, machine, monkeypatch):
    work(machine("first"), database=b"one", a=b"counts")
    read = type(store).cat_file

    def read_old(self, path, *arguments, **options):
        content = read(self, path, *arguments, **options)
        if "manifests" in path:
            monkeypatch.setattr(type(store), "cat_file", read)
            for database in (b"two", b"three"):
                work(machine("first"), database=database)
            machine("reader")
        return content

    for start in (lambda warehouse: find_published(warehouse).database.read_bytes(), copy_of):
        monkeypatch.setattr(type(store), "cat_file", read_old)
        assert start(machine("reader")) in (b"three", {**BOTH, "alignment.duckdb": b"three"})


def test_a_folder_can_be_a_store(machine, tmp_path):
    address = f"file://{tmp_path}/shared/w"
    work(machine("first", address), database=b"one", a=b"counts")
    assert copy_of(machine("second", address)) == BOTH
    assert find_published(machine("reader", address)).database.read_bytes() == b"one"


def test_a_working_copy_is_reset_to_the_published_files(store, machine):
    warehouse = machine("first")
    work(warehouse, database=b"one", a=b"counts")
    write(warehouse, database=b"of a run that failed", a=b"changed")
    assert copy_of(warehouse) == BOTH


def test_readers_do_not_see_the_working_copy_of_a_run(store, machine):
    warehouse = machine("first")
    work(warehouse, database=b"one")
    with warehouse.locked():
        pull(warehouse)
        write(warehouse, database=b"two")
        assert find_published(warehouse).database.read_bytes() == b"one"
        assert warehouse.database.read_bytes() == b"two"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not a manifest"),
        ('{"format": 2}', "was written by a newer nl2sql-align"),
        ('{"format": 1}', "is not a manifest"),
        ("[" * 100_000, "is not a manifest"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(store, machine, text, problem):
    store.pipe_file("/results/w/manifests/0000000001.json", text.encode())
    warehouse = machine("first")
    with warehouse.locked(), pytest.raises(WarehouseError, match=f"0000000001.json {problem}"):
        pull(warehouse)


@pytest.mark.parametrize(
    ("true", "false", "reason"),
    [
        ("name/x", "../x", "it names ../x"),
        ('"number": 1', '"number": 7', "it has the number 7"),
        ('"number": 1', '"number": "1"', "number is '1', not of type int"),
        ('"number": 1', '"number": 1.0', "number is 1.0, not of type int"),
        ('"size": 1', '"size": "1"', "size is '1', not of type int"),
        ('"mtime_ns": 0', '"mtime_ns": 1e300', "mtime_ns is 1e"),
        ('"mtime_ns": 0', f'"mtime_ns": {10**30}', "name/x has the time 1000"),
        ('"versions": {}', '"versions": 0', "versions is 0, not of type dict"),
    ],
)
def test_a_manifest_with_a_false_value_is_refused(store, machine, true, false, reason):
    text = MANIFEST_TEXT.replace(true, false)
    store.pipe_file("/results/w/manifests/0000000001.json", text.encode())
    with pytest.raises(WarehouseError, match=rf"is not a manifest \({reason}.*; remove it from"):
        find_published(machine("first"))


def test_without_a_false_manifest_the_one_before_it_counts_again(store, machine):
    work(machine("first"), database=b"one")
    true = store.cat_file("/results/w/manifests/0000000001.json")
    for name, text in (
        ("0000000009", true),  # runs would publish numbers below 9, and conflict for ever
        ("9999999999", true.replace(b'"number": 1', b'"number": 9999999999')),
    ):
        store.pipe_file(f"/results/w/manifests/{name}.json", text)
        with pytest.raises(WarehouseError, match=f"{name}.json .* remove it from the store, and "):
            work(machine("second"), database=b"two")
        store.rm_file(f"/results/w/manifests/{name}.json")
        assert find_published(machine("third")).database.read_bytes() == b"one"
    work(machine("second"), database=b"two")
    assert find_published(machine("third")).database.read_bytes() == b"two"


@pytest.mark.parametrize(
    "address",
    [f"s3://key:{S3_SECRET}@bucket/w", f"https://host/w?signature={S3_SECRET}"],
)
def test_an_address_with_credentials_is_refused_without_showing_them(address):
    with pytest.raises(ConfigurationError, match="may contain credentials") as caught:
        warehouse_at(address)
    assert S3_SECRET not in str(caught.value)


@pytest.mark.parametrize("address", ["s3://", "s3://bucket/*", "s3://bucket/it's"])
def test_a_text_that_is_not_an_address_of_a_warehouse_is_refused(address):
    with pytest.raises(ConfigurationError, match="is not the address of a warehouse"):
        warehouse_at(address)


def test_an_address_as_a_path_is_refused():
    with pytest.raises(ConfigurationError, match="pass addresses as str"):
        warehouse_at(Path("s3://bucket/w"))


def test_a_folder_is_a_warehouse_without_an_address(tmp_path):
    for place in (tmp_path, str(tmp_path)):
        warehouse = warehouse_at(place)
        assert (warehouse.folder, warehouse.address, warehouse.place) == (tmp_path, None, tmp_path)
        assert not pull(warehouse) and not push(warehouse)


def test_the_database_names_its_warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (tmp_path / "w" / "alignment.duckdb", "~/w/alignment.duckdb", Path("~/w")):
        assert warehouse_at(place).place == tmp_path / "w"
    address = "s3://bucket/w"
    assert warehouse_at(f"{address}/alignment.duckdb") == warehouse_at(address)
    (tmp_path / "alignment.duckdb").mkdir()  # a folder is a folder, whatever its name
    assert warehouse_at("~/alignment.duckdb").place == tmp_path / "alignment.duckdb"


def test_a_store_that_cannot_be_reached_is_reported_in_one_line(machine, monkeypatch):
    warehouse = machine("first", "nosuch://x/y")
    with (
        warehouse.locked(),
        pytest.raises(WarehouseError, match=r"nosuch://x/y cannot be used \(Val"),
    ):
        pull(warehouse)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3_SECRET)
    monkeypatch.setattr(
        "fsspec.core.url_to_fs", lambda *_: (_ for _ in ()).throw(OSError(f"key {S3_SECRET}"))
    )
    with pytest.raises(WarehouseError, match=r"OSError: key \*\*\*"):
        matrix(ADDRESS)


# ---- on an S3 server ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_s3(s3, make_corpus, tmp_path_factory):
    """A warehouse on S3 with the results of a run, and without copies for readers."""
    s3.mkdir("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("maker")))
        warehouse = warehouse_at("s3://results/w")
        with warehouse.locked():
            pull(warehouse)
            runner(warehouse, make_corpus)(*ALL)
            push(warehouse, run_id="run-1")
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("reader")))
        yield warehouse


def test_readers_fetch_the_database_and_counts_only_when_needed(on_s3, s3):
    assert matrix(on_s3.address).height == 16
    cache = Path(warehouse_at(on_s3.address).folder).parent
    assert [path.name for path in cache.rglob("*.*")] == ["alignment.duckdb"]
    with open_results(on_s3.address) as con:
        counts = con.sql("select corpus, sum(n_occurrences) from ngram_counts group by all").pl()
        [(file,)] = con.sql("select ngrams_file from corpora where corpus = 'dev'").fetchall()
    assert counts.height == 4
    assert s3.exists(file)
    assert sum(path.suffix == ".parquet" for path in cache.rglob("*-*.parquet")) == 4
    assert explain(on_s3.address, "train", "dev").sums


@pytest.mark.parametrize("condition", ["corpus = 'dev'", "corpus in ('dev', 'none')"])
def test_readers_of_a_corpus_fetch_the_texts_of_that_corpus_only(on_s3, machine, condition):
    reader = machine(f"reader-{len(condition)}", on_s3.address)
    with open_results(on_s3.address) as con:
        [(n_queries,)] = con.sql(f"select count(*) from queries where {condition}").fetchall()
        assert n_queries
        texts = con.sql(f"select sql, raw_sql from queries where {condition}").fetchall()
    assert len(texts) == n_queries
    [file] = reader.folder.parent.rglob("*-*.parquet")
    assert file.name.startswith("dev-")


def test_counts_that_the_store_has_damaged_are_reported(s3, make_corpus, machine, tmp_path):
    s3.mkdir("damaged")
    warehouse = machine("first", "s3://damaged/w")
    with warehouse.locked():
        pull(warehouse)
        runner(warehouse, make_corpus)(*ALL)
        push(warehouse)
    [path] = s3.glob("damaged/w/ngrams/*/dev-*.parquet")
    s3.pipe_file(path, b"x" * s3.size(path))
    machine("reader")
    with pytest.raises(duckdb.Error, match=r"s3://damaged/w/ngrams/\S+ is damaged; remove it"):
        explain(warehouse.address, "train", "dev")
    done = subprocess.run(
        [COMMAND, "explain", warehouse.address, "train", "dev"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(r"nl2sql-align: s3://damaged/w/ngrams/\S+ is damaged; .+\n", done.stderr)


def test_a_decision_is_published(on_s3, s3):
    with open_results(on_s3.address) as con:
        rows = con.table("tuning_effect").limit(1).pl().with_columns(model=pl.lit("other"))
    record_decision(on_s3.address, "tuning_effect", rows, {"model": "other"})
    with open_results(on_s3.address) as con:
        assert con.sql("from tuning_effect where model = 'other'").pl().equals(rows)


def test_the_report_of_a_store_needs_a_file_name(on_s3, tmp_path):
    with pytest.raises(ConfigurationError, match="name a local file for the report with"):
        write_report(on_s3.address)
    assert write_report(on_s3.address, tmp_path / "report.html")


def test_s3_refuses_a_second_manifest(on_s3, s3):
    [last] = sorted(s3.ls("results/w/manifests", detail=False))[-1:]
    with pytest.raises(OSError):
        s3.pipe_file(last, b"{}", mode="create")
    assert json.loads(s3.cat_file(last))["format"] == 1


def test_a_missing_bucket_is_reported_before_the_work(on_s3, machine):
    warehouse = machine("first", "s3://nosuch/w")
    for check in (check_store, pull):
        with warehouse.locked(), pytest.raises(WarehouseError, match="nosuch does not exist"):
            check(warehouse)


def test_credentials_are_not_stored_anywhere(on_s3, s3):
    for path in s3.find("results"):
        assert S3_SECRET.encode() not in s3.cat_file(path), path
    for path in on_s3.folder.parent.rglob("*"):
        assert not path.is_file() or S3_SECRET.encode() not in path.read_bytes(), path


def test_the_documented_sql_counts_on_the_store(s3, make_corpus, machine, tmp_path, monkeypatch):
    s3.mkdir("my-bucket")
    warehouse = machine("first", "s3://my-bucket/alignment")
    with warehouse.locked():
        pull(warehouse)
        runner(warehouse, make_corpus)(
            ("my-train", ["SELECT", "FROM"], {}), ("my-workload", ["SELECT", "WHERE"], {})
        )
        push(warehouse)
    machine("reader")
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[3] / "docs" / "scale.md").read_text()
    section = page[page.index("## Querying all counts") : page.index("## What ten")]
    missing, tail = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        names = {}
        exec(code, names)
        with names["con"] as con:
            assert con.sql(missing).fetchall() == [("WHERE", 0.5)]
            assert con.sql(tail).fetchall() == [("my-train", 1, 2), ("my-workload", 1, 2)]
    with duckdb.connect() as con:
        con.register_filesystem(fsspec.filesystem("s3"))
        files = "s3://my-bucket/alignment/ngrams/**/*.parquet"
        assert con.sql(f"select count(*) from read_parquet('{files}')").fetchall() == [(4,)]
