"""The warehouse folder: atomic writes, names of files, and the lock."""

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically

HOLD = """
import sys
from pathlib import Path
from nl2sql_align.tasks.warehouse.folder import Warehouse

with Warehouse(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(folder):
    """Run a process that holds a warehouse until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"locked\n"
            yield process
        finally:
            process.kill()


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# Files


def test_a_file_appears_once_it_is_complete(tmp_path):
    destination = tmp_path / "new" / "folder" / "file.txt"
    with write_atomically(destination) as temporary:
        temporary.write_text("half")
        assert temporary.parent == destination.parent
        assert not destination.exists()
        temporary.write_text("complete")
    assert destination.read_text() == "complete"
    assert files_of(destination.parent) == ["file.txt"]


def test_a_file_is_replaced_once_the_new_one_is_complete(tmp_path):
    destination = tmp_path / "file.txt"
    destination.write_text("old")
    with destination.open() as reader:
        with write_atomically(destination) as temporary:
            temporary.write_text("new")
            assert destination.read_text() == "old"
        assert reader.read() == "old"
    assert destination.read_text() == "new"


@pytest.mark.parametrize("is_started", [True, False], ids=["half written", "not started"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path, is_started, error):
    destination = tmp_path / "file.txt"
    destination.write_text("old")
    with pytest.raises(error), write_atomically(destination) as temporary:
        if is_started:
            temporary.write_text("half")
        raise error
    assert destination.read_text() == "old"
    assert files_of(tmp_path) == ["file.txt"]


def test_a_block_that_writes_nothing_fails(tmp_path):
    with pytest.raises(FileNotFoundError), write_atomically(tmp_path / "file.txt"):
        pass
    assert files_of(tmp_path) == []


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path):
    destination = tmp_path / "file.txt"
    with write_atomically(destination) as one, write_atomically(destination) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert destination.read_text() == "one"
    assert files_of(tmp_path) == ["file.txt"]


# Names


def test_a_stage_key_is_the_same_in_every_process_and_version():
    # Fixed values: with other keys, every warehouse would be rebuilt.
    assert stage_key(digest="0a", n=1, columns=None) == "c65d9f314bd8fae8f6ceb2321465f630"
    assert stage_key(columns=None, n=1, digest="0a") == "c65d9f314bd8fae8f6ceb2321465f630"


def test_a_stage_key_depends_on_every_part():
    keys = [
        stage_key(),
        stage_key(a="1"),
        stage_key(a=1),
        stage_key(a=None),
        stage_key(b="1"),
        stage_key(a="1", b=""),
        stage_key(a={"sql": "é"}),
        stage_key(a=["sql", "é"]),
    ]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)


def test_files_of_other_stages_and_keys_have_other_names(tmp_path):
    warehouse = Warehouse(tmp_path)
    files = [
        warehouse.database,
        warehouse.queries_file("k"),
        warehouse.templates_file("k"),
        warehouse.ngrams_file("corpus", "k"),
        warehouse.ngrams_file("corpus", "l"),
        warehouse.ngrams_file("corpus-2", "k"),
    ]
    assert len(set(files)) == len(files)
    assert warehouse.ngrams_file("corpus", "k").relative_to(tmp_path).as_posix() == (
        "ngrams/corpus-k.parquet"
    )
    assert warehouse.database == tmp_path / "alignment.duckdb"
    assert files_of(tmp_path) == []


# The lock


def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path):
    with holding(tmp_path) as holder:
        with (
            pytest.raises(WarehouseError, match=rf"is in use by process {holder.pid} on \S+; wait"),
            Warehouse(tmp_path).locked(),
        ):
            pytest.fail("the warehouse is locked")
        # The refused process changes nothing for the holder.
        with pytest.raises(WarehouseError, match=f"process {holder.pid} "):
            Warehouse(tmp_path).locked().__enter__()
        assert holder.poll() is None


def test_a_second_run_of_the_same_process_is_refused(tmp_path):
    warehouse = Warehouse(tmp_path)
    with (
        warehouse.locked(),
        pytest.raises(WarehouseError, match=f"is in use by process {os.getpid()} "),
    ):
        warehouse.locked().__enter__()
    with warehouse.locked():
        pass


def test_a_waiting_run_gets_the_lock_once_it_is_free(tmp_path):
    with holding(tmp_path) as holder:
        threading.Timer(1.0, holder.stdin.close).start()  # ends the holder later
        announced = []
        with progress.listening(announced.append), Warehouse(tmp_path).locked(seconds=60):
            [one] = announced
            assert re.fullmatch(rf".* is in use by process {holder.pid} on \S+", one.text)
            assert f"process {os.getpid()} " in (tmp_path / ".lock-holder").read_text()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    with holding(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert (tmp_path / ".lock-holder").exists()
    with Warehouse(tmp_path).locked():
        pass


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_the_lock_is_free_after_the_block(tmp_path, error):
    warehouse = Warehouse(tmp_path)
    try:
        with warehouse.locked():
            (warehouse.scratch / "part.parquet").write_text("")
            if error:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        pass
    assert not warehouse.scratch.exists()
    assert not (tmp_path / ".lock-holder").exists()
    with warehouse.locked():
        pass


def test_two_warehouses_can_be_locked_at_a_time(tmp_path):
    with Warehouse(tmp_path / "one").locked(), Warehouse(tmp_path / "other").locked():
        assert (tmp_path / "one").is_dir()


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    warehouse = Warehouse(tmp_path)
    kept = [warehouse.database, warehouse.queries_file("k"), warehouse.ngrams_file("corpus", "k")]
    kept += [warehouse.ngrams_file(".tmp-0123456789ab-corpus", "k"), tmp_path / ".tmp-mine"]
    left = [
        tmp_path / ".tmp+0123456789ab+alignment.duckdb",
        tmp_path / ".tmp+0123456789ab+alignment.duckdb.wal",
        warehouse.ngrams / ".tmp+0123456789ab+corpus-k.parquet",
        warehouse.ngrams / ".tmp+0123456789ab+corpus-k.parquet-1",
        warehouse.templates_file("k").with_name(".tmp+0123456789ab+k.parquet"),
        warehouse.copies / ".tmp+0123456789ab+k.digest",
        tmp_path / "nightly" / ".tmp+0123456789ab+corpora.toml",
        warehouse.scratch / "k-7.parquet",
        warehouse.scratch / "folder" / "file",
    ]
    for path in (*kept, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    with warehouse.locked():
        assert all(path.exists() for path in kept)
        assert not any(path.exists() for path in left)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_reported(tmp_path, name):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(WarehouseError, match=r"cannot be written \(.+\); choose another"),
        Warehouse(tmp_path / name).locked(),
    ):
        pytest.fail("the path is not a folder")


def test_a_question_mark_in_the_path_is_refused(tmp_path):
    with (
        pytest.raises(
            WarehouseError, match=r"a\?b: .* cannot contain '\?'; choose another --warehouse"
        ),
        Warehouse(tmp_path / "a?b").locked(),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_database_is_recorded_as_it_was_when_it_was_published(tmp_path):
    """A bit flips between publishing and the record; the times of the file stay."""
    with Warehouse(tmp_path).locked():
        warehouse = Warehouse(tmp_path)
        with write_atomically(warehouse.database) as temporary:
            temporary.write_bytes(b"boats")
            warehouse.record_next_database(temporary)
        times = warehouse.database.stat()
        warehouse.database.write_bytes(b"coats")
        os.utime(warehouse.database, ns=(times.st_atime_ns, times.st_mtime_ns))
        warehouse.record_digests()
        assert not warehouse.is_database_intact()
        warehouse.database.write_bytes(b"boats")
        assert warehouse.is_database_intact()


def test_recording_stage_files_does_not_take_a_changed_database_for_the_published_one(tmp_path):
    warehouse = Warehouse(tmp_path)
    with warehouse.locked():
        warehouse.database.write_bytes(b"boats")
        warehouse.record_digests()
        warehouse.database.write_bytes(b"coast")
        counts = warehouse.ngrams_file("a", "0" * 32)
        counts.parent.mkdir()
        counts.write_bytes(b"counts")
        warehouse.record_stages()
        assert not warehouse.is_database_intact()
        assert warehouse.find_damaged() == []  # by its digest: it is not a Parquet file
        counts.write_bytes(b"others")
        assert warehouse.find_damaged() == [counts]
