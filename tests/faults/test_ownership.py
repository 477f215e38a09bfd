"""Folders with other things: runs keep them, and only one run is in a folder."""

import errno
import fcntl
import os
import shutil
import stat

import pytest

from nl2sql_align import load
from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.record import record_decision
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.ownership import MARK
from nl2sql_align.tasks.warehouse.part_files import remove_unused
from tests.unit.results.test_read import publish_results
from tests.unit.warehouse.test_folder import holding

pytestmark = pytest.mark.fault

OTHERS = (
    "notes.txt",
    ".tmp-notes",
    "photos/.tmp-1",
    "photos/.tmp+0123456789ab+2",
    "ngrams/mine.parquet",
    "ngrams/mine/part-1.parquet",
    "stages/queries/mine.parquet",
    "stages/pairs/pairs.parquet",
    "dumps/mine.digest",
)
"""Files of a user in a warehouse, some with names much like those of the program."""


def write_others(folder):
    for name in OTHERS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"../../{name}")
    (folder / ".tmp-folder").mkdir()
    (folder / ".tmp+0123456789ab+folder").mkdir()


def check_others(folder):
    assert [name for name in OTHERS if (folder / name).read_text() != f"../../{name}"] == []
    assert (folder / ".tmp-folder").is_dir()
    assert (folder / ".tmp+0123456789ab+folder").is_dir()


def make_entry(folder, name, text):
    path = folder / f"{name.strip('.')}.sql"
    path.write_text(text)
    return CorpusEntry(name=name, role="train", format="lines", dialect="sqlite", path=path)


def test_runs_keep_what_is_not_theirs(tmp_path):
    first = make_entry(tmp_path, ".tmp-harbour", "SELECT a FROM boat\n")
    other = make_entry(tmp_path, "crew", "SELECT count(*) FROM crew WHERE age > 3\n")
    warehouse = Warehouse(tmp_path / "warehouse")
    run_locally([first, other], warehouse)
    write_others(warehouse.folder)
    run_locally([first], warehouse)
    check_others(warehouse.folder)
    with open_results(warehouse.folder) as con:
        counts = con.sql("select distinct corpus from ngram_counts").fetchall()
    assert counts == [(".tmp-harbour",)]
    assert len(list((warehouse.folder / "stages" / "queries").iterdir())) == 1 + 1


def test_unused_counts_are_removed_without_what_is_beside_them(tmp_path):
    key = "0123456789abcdef" * 2
    own = [f"crew-{key}.parquet", f"fleet-{key}/part-000-of-001.parquet", f"{key}.parquet"]
    own += [f"harbour~{key[:12]}.parquet", f"left-{key}/part-000-of-001.parquet"]
    others = ["crew.parquet", f"crew-{key}.csv", f"crew-{key[1:]}.parquet", f"x{key}.parquet"]
    others += ["mine/part-000-of-001.parquet", f"left-{key}/notes.parquet"]
    used = [f"used-{key}.parquet", f"parts-{key}/part-000-of-001.parquet"]
    for name in (*own, *others, *used):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / f"linked-{key}.parquet").symlink_to(tmp_path / "crew.parquet")
    remove_unused(tmp_path, {tmp_path / used[0], (tmp_path / used[1]).parent})
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert left == {*others, *used, f"linked-{key}.parquet"}
    assert not (tmp_path / f"fleet-{key}").exists()


@pytest.mark.parametrize("name", ["notes.txt", "photos", "ngrams", "stages", "report.html"])
def test_a_folder_with_other_things_is_refused_unless_forced(tmp_path, name):
    (tmp_path / name).mkdir()
    warehouse = Warehouse(tmp_path)
    with pytest.raises(WarehouseError, match=rf"contains other files \({name}\); .* add --force"):
        warehouse.locked().__enter__()
    assert [path.name for path in tmp_path.rglob("*")] == [name]
    with warehouse.locked(force=True):
        pass
    with warehouse.locked():  # it is marked now
        assert (tmp_path / name).exists()


@pytest.mark.parametrize(
    "names",
    [
        [],
        [".gitignore", ".tmp-folder"],
        ["alignment.duckdb", "ngrams", "stages", "notes.txt"],
        ["alignment.duckdb", "report.html", "nightly"],
    ],
)
def test_a_warehouse_without_the_mark_is_taken_over(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
    with Warehouse(tmp_path).locked():
        assert (tmp_path / MARK).is_file()


def test_a_decision_is_recorded_beside_other_things(tmp_path, make_corpus):
    publish_results(tmp_path, make_corpus)
    shutil.rmtree(tmp_path / "stages")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(WarehouseError, match=r"contains other files \(notes.txt\)"):
        Warehouse(tmp_path).locked().__enter__()
    record_decision(tmp_path, "mixtures", load(tmp_path).table("mixtures"), {"target": "dev"})
    assert (tmp_path / "notes.txt").exists()


def test_a_second_run_is_refused_after_the_lock_file_was_removed(tmp_path):
    folder = tmp_path / "warehouse"
    with holding(folder) as holder:
        (folder / ".lock").unlink()
        with pytest.raises(WarehouseError, match=f"is in use by process {holder.pid} "):
            Warehouse(folder).locked().__enter__()


def test_a_run_publishes_nothing_in_a_folder_that_was_replaced(tmp_path):
    warehouse = Warehouse(tmp_path / "warehouse")
    with warehouse.locked() as lock:
        lock.check()
        warehouse.folder.rename(tmp_path / "moved")
        with warehouse.locked() as other:
            other.check()
            with pytest.raises(WarehouseError, match="was removed or replaced during this run; "):
                lock.check()


def test_a_lock_file_guards_where_folders_cannot_be_locked(tmp_path, monkeypatch):
    lock_file = fcntl.flock

    def refuse_folders(descriptor, operation):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock_file(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", refuse_folders)
    with Warehouse(tmp_path).locked() as lock:
        lock.check()
        (tmp_path / ".lock").unlink()
        with pytest.raises(WarehouseError, match=r"\.lock was removed or replaced"):
            lock.check()
        (tmp_path / ".lock").touch()
        with pytest.raises(WarehouseError, match=r"\.lock was removed or replaced"):
            lock.check()
