"""Warehouses on stores: what is published, by whom, and what becomes of it when things go wrong."""

import json
import re
import subprocess
from pathlib import Path

import duckdb
import fsspec
import polars as pl
import pytest

from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.errors import ConfigurationError, ConflictError, WarehouseError
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.read import matrix
from nl2sql_align.tasks.results.record import record
from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse import object_store
from nl2sql_align.tasks.warehouse.object_store import (
    check_store,
    published,
    pull,
    push,
    warehouse_at,
)
from tests.conftest import S3_SECRET
from tests.unit.results.test_publish import ALL, runner
from tests.unit.test_cli import COMMAND

ADDRESS = "memory://results/w"
MANIFEST = re.compile(r"manifests/\d{10}\.json")


@pytest.fixture
def there():
    """An empty store in memory."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The warehouse as a machine of that name has it, from now on."""

    def on(name, address=ADDRESS):
        monkeypatch.setenv(object_store.CACHE_VARIABLE, str(tmp_path / name))
        return warehouse_at(address)

    return on


def write(warehouse, **files):
    """Writes files of a warehouse: the database, and counts of corpora by name."""
    for name, content in files.items():
        path = warehouse.database if name == "database" else warehouse.ngrams / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def work(warehouse, **files):
    """A run that writes these files."""
    with warehouse.locked():
        pull(warehouse)
        write(warehouse, **files)
        push(warehouse, run_id="a-run", versions={"program": "1"})


def copy_of(warehouse):
    """What a run on that machine starts from."""
    with warehouse.locked():
        pull(warehouse)
    return {
        path.relative_to(warehouse.folder).as_posix(): path.read_bytes()
        for path in object_store._publishable(warehouse)
    }


def objects(there):
    return {path.removeprefix("/results/w/") for path in there.store}


def told(block):
    said = []
    with progress.listening(lambda one: said.append(one.text)):
        block()
    return said


BOTH = {"alignment.duckdb": b"one", "ngrams/a.parquet": b"counts"}


def test_what_one_machine_publishes_another_starts_from(there, machine):
    work(machine("first"), database=b"one", a=b"counts")
    second = machine("second")
    assert copy_of(second) == BOTH
    assert published(second).database.read_bytes() == b"one"
    stats = [machine(one).ngrams.joinpath("a.parquet").stat() for one in ("first", "second")]
    assert len({stat.st_mtime_ns for stat in stats}) == 1, "tells when a corpus was ingested"


def test_only_what_has_changed_goes_up_and_only_what_is_lacking_comes_down(there, machine):
    work(machine("first"), database=b"one", a=b"counts")
    said = told(lambda: work(machine("second"), database=b"two"))
    assert re.match(r"2 of 2 files from memory://results/w, ", said[0])
    assert re.match(r"1 of 2 files to memory://results/w, ", said[1])
    said = told(lambda: work(machine("first"), database=b"two"))
    assert [line[:6] for line in said] == ["1 of 2", "0 of 2"]
    numbers = [path for path in objects(there) if MANIFEST.fullmatch(path)]
    assert sorted(numbers) == ["manifests/0000000001.json", "manifests/0000000002.json"]


def test_the_manifest_names_all_files_and_what_made_them(there, machine):
    work(machine("first"), database=b"one", a=b"counts")
    said = json.loads(there.cat_file("/results/w/manifests/0000000001.json"))
    assert (said["format"], said["run_id"], said["versions"]) == (1, "a-run", {"program": "1"})
    assert [(file["name"], file["size"]) for file in said["files"]] == [
        ("alignment.duckdb", 3),
        ("ngrams/a.parquet", 6),
    ]
    for file in said["files"]:
        assert there.cat_file(f"/results/w/{file['object']}") == BOTH[file["name"]]


def test_of_two_runs_at_a_time_the_second_is_told_and_loses_nothing(there, machine):
    work(machine("first"), database=b"one")
    slow = machine("slow")
    with slow.locked():
        pull(slow)
        write(slow, database=b"mine", mine=b"counts")
        work(machine("first"), database=b"two")
        with pytest.raises(ConflictError, match=r"another run has published to memory://results/w"):
            push(slow)
    assert published(slow).database.read_bytes() == b"two"
    assert copy_of(slow) == {"alignment.duckdb": b"two", "ngrams/mine.parquet": b"counts"}
    work(slow, database=b"three")
    assert copy_of(machine("first"))["ngrams/mine.parquet"] == b"counts"


def test_a_number_that_has_been_removed_again_is_not_taken(there, machine):
    work(machine("first"), database=b"one")
    slow = machine("slow")
    with slow.locked():
        pull(slow)
        write(slow, database=b"mine")
        for content in (b"two", b"three", b"four"):
            work(machine("first"), database=content)
        assert "manifests/0000000002.json" not in objects(there)
        with pytest.raises(ConflictError):
            push(slow)
    assert published(slow).database.read_bytes() == b"four"


def test_two_that_create_the_same_manifest_at_once(there, machine, monkeypatch):
    """The store decides: both have looked, and seen none of that number."""
    work(machine("first"), database=b"one")
    slow = machine("slow")
    create = type(there).pipe_file

    def meet(self, path, content, **how):
        if "manifests" in path:
            monkeypatch.setattr(type(there), "pipe_file", create)
            work(machine("first"), database=b"two")
        create(self, path, content, **how)

    with slow.locked():
        pull(slow)
        write(slow, database=b"mine")
        monkeypatch.setattr(type(there), "pipe_file", meet)
        with pytest.raises(ConflictError):
            push(slow)
    assert published(slow).database.read_bytes() == b"two"


def test_a_manifest_whose_answer_is_lost_is_published(there, machine, monkeypatch):
    create = type(there).pipe_file

    def lose(self, path, content, **how):
        create(self, path, content, **how)
        raise OSError("connection reset")

    monkeypatch.setattr(type(there), "pipe_file", lose)
    work(machine("first"), database=b"one")
    assert published(machine("reader")).database.read_bytes() == b"one"


def test_a_run_that_is_killed_before_its_manifest_changes_nothing(there, machine, monkeypatch):
    work(machine("first"), database=b"one", a=b"counts")
    before = objects(there)
    with monkeypatch.context() as patch:
        patch.setattr(
            object_store._Store, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            work(machine("second"), database=b"half", b=b"more")
    left = objects(there) - before
    assert {path.rpartition("/")[2] for path in left} == {"alignment.duckdb", "b.parquet"}
    assert published(machine("reader")).database.read_bytes() == b"one"
    work(machine("second"), database=b"two")
    assert not left & objects(there)
    assert copy_of(machine("third")) == {
        "alignment.duckdb": b"two",
        "ngrams/a.parquet": b"counts",
        "ngrams/b.parquet": b"more",
    }


def test_what_two_manifests_no_longer_name_is_removed_and_nothing_else(there, machine):
    foreign = {"readme.txt", "ngrams/theirs.parquet", "published/20260101/report.html"}
    for path in foreign:
        there.pipe_file(f"/results/w/{path}", b"theirs")
    warehouse = machine("first")
    work(warehouse, database=b"one", a=b"counts", b=b"counts of b")
    first = objects(there)
    with warehouse.locked():
        pull(warehouse)
        (warehouse.ngrams / "b.parquet").unlink()
        write(warehouse, database=b"two")
        push(warehouse)
    assert first <= objects(there), "readers of the manifest before may be at work"
    work(warehouse, database=b"three")
    gone = first - objects(there)
    assert {path.rpartition("/")[2] for path in gone} == {
        "0000000001.json",
        "alignment.duckdb",
        "b.parquet",
    }
    assert foreign <= objects(there)
    assert "ngrams/b.parquet" not in copy_of(machine("second"))


def test_a_run_that_may_not_remove_what_is_old_has_published(there, machine, monkeypatch):
    warehouse = machine("first")
    for content in (b"one", b"two"):
        work(warehouse, database=content)

    def refuse(*_):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(there), "rm_file", refuse)
    said = told(lambda: work(warehouse, database=b"three"))
    assert "old files could not be removed (PermissionError: Access Denied)" in said
    assert published(warehouse).database.read_bytes() == b"three"


def test_what_another_machine_has_removed_goes_here_too(there, machine):
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


def test_a_run_starts_anew_where_the_store_has_been_emptied(there, machine):
    warehouse = machine("first")
    work(warehouse, database=b"one", a=b"counts")
    there.rm("/results", recursive=True)
    assert copy_of(warehouse) == {}


@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_a_file_that_the_store_has_damaged_is_told_and_put_there_anew(there, machine, how):
    work(machine("first"), database=b"one", a=b"counts")
    [path] = [path for path in there.store if path.endswith("a.parquet")]
    [database] = [path for path in there.store if path.endswith(".duckdb")]
    for one in (path, database):
        if how == "gone":
            there.rm(one)
        else:
            there.pipe_file(one, b"x" * there.size(one))
    with pytest.raises(WarehouseError, match=rf"w/published/\S+/alignment.duckdb is {how}; remove"):
        published(machine("reader"))
    second = machine("second")
    with second.locked():
        said = told(lambda: pull(second))
        assert sum(f"is {how}: made anew" in line for line in said) == 2
        write(second, database=b"one", a=b"counts")
        push(second)
    assert copy_of(machine("third")) == BOTH
    assert published(machine("reader")).database.read_bytes() == b"one"


def test_what_two_runs_have_replaced_meanwhile_is_looked_for_again(there, machine, monkeypatch):
    work(machine("first"), database=b"one", a=b"counts")
    current = object_store._Store.current

    def overtaken(self):
        manifest = current(self)
        monkeypatch.setattr(object_store._Store, "current", current)
        for content in (b"two", b"three"):
            work(machine("first"), database=content)
        machine("reader")
        return manifest

    for start in (lambda warehouse: published(warehouse).database.read_bytes(), copy_of):
        monkeypatch.setattr(object_store._Store, "current", overtaken)
        assert start(machine("reader")) in (b"three", {**BOTH, "alignment.duckdb": b"three"})


def test_a_folder_may_be_such_a_store(machine, tmp_path):
    address = f"file://{tmp_path}/shared/w"
    work(machine("first", address), database=b"one", a=b"counts")
    assert copy_of(machine("second", address)) == BOTH
    assert published(machine("reader", address)).database.read_bytes() == b"one"


def test_a_copy_is_brought_back_to_what_is_published(there, machine):
    warehouse = machine("first")
    work(warehouse, database=b"one", a=b"counts")
    write(warehouse, database=b"of a run that failed", a=b"changed")
    assert copy_of(warehouse) == BOTH


def test_readers_keep_away_from_what_a_run_has_at_work(there, machine):
    warehouse = machine("first")
    work(warehouse, database=b"one")
    with warehouse.locked():
        pull(warehouse)
        write(warehouse, database=b"two")
        assert published(warehouse).database.read_bytes() == b"one"
        assert warehouse.database.read_bytes() == b"two"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no manifest"),
        ('{"format": 2}', "was made by a newer nl2sql-align"),
        ('{"format": 1}', "is no manifest"),
        (
            '{"format": 1, "number": 1, "run_id": null, "written_at": "", "versions": {}, "files": '
            '[{"name": "../x", "object": "y", "size": 1, "sha256": "0", "mtime_ns": 0}]}',
            r"is no manifest \(it names ../x\)",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used(there, machine, text, problem):
    there.pipe_file("/results/w/manifests/0000000001.json", text.encode())
    warehouse = machine("first")
    with warehouse.locked(), pytest.raises(WarehouseError, match=f"0000000001.json {problem}"):
        pull(warehouse)


@pytest.mark.parametrize(
    "address",
    [f"s3://key:{S3_SECRET}@bucket/w", f"https://host/w?signature={S3_SECRET}"],
)
def test_an_address_with_credentials_is_refused_without_showing_them(address):
    with pytest.raises(ConfigurationError, match="may be credentials") as caught:
        warehouse_at(address)
    assert S3_SECRET not in str(caught.value)


@pytest.mark.parametrize("address", ["s3://", "s3://bucket/*", "s3://bucket/it's"])
def test_no_address_of_a_warehouse(address):
    with pytest.raises(ConfigurationError, match="cannot be the address of a warehouse"):
        warehouse_at(address)


def test_an_address_that_became_a_path():
    with pytest.raises(ConfigurationError, match="give a text"):
        warehouse_at(Path("s3://bucket/w"))


def test_a_folder_is_a_warehouse_as_ever(tmp_path):
    for place in (tmp_path, str(tmp_path)):
        warehouse = warehouse_at(place)
        assert (warehouse.folder, warehouse.address, warehouse.place) == (tmp_path, None, tmp_path)
        assert not pull(warehouse) and not push(warehouse)


def test_what_cannot_be_reached_is_told_in_a_line(machine, monkeypatch):
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
    """A warehouse on S3 with a run's results; readers of it have no file yet."""
    s3.mkdir("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(object_store.CACHE_VARIABLE, str(tmp_path_factory.mktemp("maker")))
        warehouse = warehouse_at("s3://results/w")
        with warehouse.locked():
            pull(warehouse)
            runner(warehouse, make_corpus)(*ALL)
            push(warehouse, run_id="run-1")
        patch.setenv(object_store.CACHE_VARIABLE, str(tmp_path_factory.mktemp("reader")))
        yield warehouse


def test_readers_fetch_the_database_and_counts_only_when_asked_for(on_s3, s3):
    assert matrix(on_s3.address).height == 16
    cache = Path(warehouse_at(on_s3.address).folder).parent
    assert [path.name for path in cache.rglob("*.*")] == ["alignment.duckdb"]
    with open_results(on_s3.address) as con:
        counts = con.sql("select corpus, sum(n_occurrences) from ngram_counts group by all").pl()
        [(file,)] = con.sql("select ngrams_file from corpora where corpus = 'dev'").fetchall()
    assert counts.height == 4
    assert s3.exists(file)
    assert sum(path.suffix == ".parquet" for path in cache.rglob("*.*")) == 4
    assert explain(on_s3.address, "train", "dev").sums


def test_counts_that_the_store_has_damaged_are_told(s3, make_corpus, machine, tmp_path):
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


def test_a_decision_is_published_and_lost_to_no_run(on_s3, s3):
    with open_results(on_s3.address) as con:
        rows = con.table("tuning_effect").limit(1).pl().with_columns(model=pl.lit("other"))
    record(on_s3.address, "tuning_effect", rows, {"model": "other"})
    with open_results(on_s3.address) as con:
        assert con.sql("from tuning_effect where model = 'other'").pl().equals(rows)


def test_a_report_of_a_store_needs_a_place(on_s3, tmp_path):
    with pytest.raises(ConfigurationError, match="name one with --out"):
        write_report(on_s3.address)
    assert write_report(on_s3.address, tmp_path / "report.html")


def test_s3_itself_refuses_a_second_manifest(on_s3, s3):
    [last] = sorted(s3.ls("results/w/manifests", detail=False))[-1:]
    with pytest.raises(OSError):
        s3.pipe_file(last, b"{}", mode="create")
    assert json.loads(s3.cat_file(last))["format"] == 1


def test_no_bucket_is_told_before_the_work(on_s3, machine):
    warehouse = machine("first", "s3://nosuch/w")
    for look in (check_store, pull):
        with warehouse.locked(), pytest.raises(WarehouseError, match="there is no nosuch"):
            look(warehouse)


def test_no_credential_stands_anywhere(on_s3, s3):
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
    lacking, tail = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        names = {}
        exec(code, names)
        with names["con"] as con:
            assert con.sql(lacking).fetchall() == [("WHERE", 0.5)]
            assert con.sql(tail).fetchall() == [("my-train", 1, 2), ("my-workload", 1, 2)]
    with duckdb.connect() as con:
        con.register_filesystem(fsspec.filesystem("s3"))
        files = "s3://my-bucket/alignment/ngrams/**/*.parquet"
        assert con.sql(f"select count(*) from read_parquet('{files}')").fetchall() == [(4,)]
