"""The limit on how long a store may be silent."""

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError, WarehouseError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.fetch import fetch_dump
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.warehouse import store_files
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.object_store import pull, push, warehouse_at
from nl2sql_align.tasks.warehouse.store_files import SECONDS_VARIABLE, StoreFiles

SILENT = rf"TimeoutError: it has been silent for 0\.\d+ s, the limit in {SECONDS_VARIABLE}"
PIECE = b"SELECT 1\n" * 1000


class SlowStore(MemoryFileSystem):
    """A store that falls silent at a method, or transfers files in small pieces."""

    protocol = "slow"
    store: dict = {}  # noqa: RUF012 - as in the driver in memory
    pseudo_dirs = [""]  # noqa: RUF012
    silent_at = None
    end = threading.Event()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("slow://", "memory://"))

    def __getattribute__(self, name):
        method = super().__getattribute__(name)
        if name != SlowStore.silent_at:
            return method
        return lambda *args, **keys: SlowStore.end.wait(30) and method(*args, **keys)

    def get_file(self, rpath, lpath, **_):
        with Path(lpath).open("wb") as file:
            for _ in range(6):
                time.sleep(0.1)
                file.write(PIECE)
                file.flush()

    def put_file(self, lpath, rpath, **_):
        time.sleep(0.5)
        super().put_file(lpath, rpath)


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    """The slow store, with a limit of 0.3 s, and a file."""
    fsspec.register_implementation("slow", SlowStore, clobber=True)
    monkeypatch.setenv(SECONDS_VARIABLE, "0.3")
    monkeypatch.setenv("NL2SQL_ALIGN_CACHE", str(tmp_path / "cache"))
    SlowStore.store.clear()
    SlowStore().pipe_file("/boats/a.sql", PIECE)
    yield monkeypatch
    SlowStore.end.set()  # threads left behind go on
    SlowStore.end = threading.Event()


@contextmanager
def ends_soon():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 5


def entry(path):
    keys = {"name": "boats", "role": "train", "format": "lines", "dialect": "sqlite"}
    return CorpusEntry.model_validate({**keys, "path": path})


@pytest.mark.parametrize("method", ["isdir", "exists", "info", "get_file"])
def test_a_dump_on_a_silent_store_is_set_aside(store, tmp_path, method):
    store.setattr(SlowStore, "silent_at", method)
    warehouse = Warehouse(tmp_path / "w")
    with warehouse.locked(), ends_soon(), pytest.raises(CorpusError, match=SILENT):
        fetch_dump(entry("slow://boats/a.sql"), warehouse)


def test_readers_and_runs_leave_a_silent_store(store):
    warehouse = warehouse_at("slow://results/w")
    store.setattr(SlowStore, "silent_at", "ls")
    with ends_soon(), warehouse.locked(), pytest.raises(WarehouseError, match=SILENT):
        pull(warehouse)
    with ends_soon(), pytest.raises(WarehouseError, match=SILENT), open_results(warehouse.address):
        pass
    store.setattr(SlowStore, "silent_at", None)
    with warehouse.locked():
        pull(warehouse)
        warehouse.database.write_bytes(b"results")
        with ends_soon(), pytest.raises(WarehouseError, match=SILENT):
            push(warehouse)


def test_a_download_may_take_long_while_it_goes_on(tmp_path):
    StoreFiles("slow://boats").get_file("/boats/a.sql", tmp_path / "a.sql")
    assert (tmp_path / "a.sql").read_bytes() == PIECE * 6


def test_a_large_upload_has_more_time(store, tmp_path):
    (tmp_path / "a.sql").write_bytes(PIECE)
    with pytest.raises(TimeoutError, match=r"silent for 0\.3 s"):
        StoreFiles("slow://boats").put_file(tmp_path / "a.sql", "/boats/b.sql")
    store.setattr(store_files, "_BYTES_PER_LIMIT", len(PIECE) // 5)
    StoreFiles("slow://boats").put_file(tmp_path / "a.sql", "/boats/c.sql")
    assert SlowStore().cat_file("/boats/c.sql") == PIECE


def test_a_server_that_accepts_and_never_answers_is_left(tmp_path):
    warehouse = Warehouse(tmp_path / "w")
    with socket.create_server(("127.0.0.1", 0)) as server, warehouse.locked(), ends_soon():
        address = f"ftp://127.0.0.1:{server.getsockname()[1]}/a.sql"
        with pytest.raises(CorpusError, match=SILENT):
            fetch_dump(entry(address), warehouse)


def test_errors_of_the_driver_stay_as_they_are():
    with pytest.raises(FileNotFoundError):
        StoreFiles("slow://boats").info("/boats/missing.sql")


def test_a_limit_that_is_not_a_number_is_a_mistake_of_the_run(store, tmp_path):
    store.setenv(SECONDS_VARIABLE, "soon")
    warehouse = Warehouse(tmp_path / "w")
    with warehouse.locked(), pytest.raises(ConfigurationError, match=f"set {SECONDS_VARIABLE} to"):
        fetch_dump(entry("slow://boats/a.sql"), warehouse)
