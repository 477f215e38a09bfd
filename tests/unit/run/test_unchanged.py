"""Runs that would change nothing are recognized by their inputs."""

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.unchanged import find_same_run, record_inputs
from nl2sql_align.tasks.warehouse.folder import Warehouse, digest_file

pytestmark = pytest.mark.usefixtures("one_parser_process")

SETTINGS = (Resampling(), 0.02)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unchanged")
    entries = []
    for name, role in (("boats", "train"), ("dev", "target")):
        dump = folder / f"{name}.sql"
        dump.write_text(f"SELECT {name} FROM b\nSELECT count(*) FROM {name}\n")
        keys = {"name": name, "role": role, "format": "lines", "dialect": "sqlite"}
        entries.append(CorpusEntry(path=dump, **keys))
    warehouse = Warehouse(folder / "warehouse")
    run_locally(entries, warehouse)
    return entries, warehouse


@pytest.fixture
def recorded(published):
    entries, warehouse = published
    record_inputs(
        entries, {one.name: digest_file(one.path) for one in entries}, *SETTINGS, warehouse
    )
    return entries, warehouse


def test_the_same_inputs_are_recognized(recorded):
    entries, warehouse = recorded
    at = find_same_run(entries, *SETTINGS, warehouse)
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


def test_other_inputs_are_recognized(recorded):
    entries, warehouse = recorded
    other = dataclasses.replace(SETTINGS[0], replicates=10)
    assert find_same_run(entries, other, SETTINGS[1], warehouse) is None
    assert find_same_run(entries, SETTINGS[0], 0.5, warehouse) is None
    assert find_same_run(entries[:1], *SETTINGS, warehouse) is None
    renamed = [entries[0].model_copy(update={"name": "ships"}), entries[1]]
    assert find_same_run(renamed, *SETTINGS, warehouse) is None
    remote = [entries[0].model_copy(update={"url": "s3://bucket/boats.sql"}), entries[1]]
    assert find_same_run(remote, *SETTINGS, warehouse) is None


def test_a_moved_warehouse_is_recognized(recorded):
    entries, warehouse = recorded
    moved = Warehouse(warehouse.folder.with_name("moved"))
    warehouse.folder.rename(moved.folder)
    assert find_same_run(entries, *SETTINGS, moved) is None
    moved.folder.rename(warehouse.folder)
    assert find_same_run(entries, *SETTINGS, warehouse) is not None


def test_a_changed_or_missing_dump_is_recognized(recorded):
    entries, warehouse = recorded
    dump = entries[0].path
    before = dump.read_text()
    dump.write_text(before + "SELECT 1\n")
    assert find_same_run(entries, *SETTINGS, warehouse) is None
    dump.unlink()
    assert find_same_run(entries, *SETTINGS, warehouse) is None
    dump.write_text(before)
    assert find_same_run(entries, *SETTINGS, warehouse) is not None


def test_a_damaged_warehouse_is_recognized(recorded):
    entries, warehouse = recorded
    file = warehouse.stage_files()[0]
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert find_same_run(entries, *SETTINGS, warehouse) is None
    file.write_bytes(before)
    assert find_same_run(entries, *SETTINGS, warehouse) is not None
    for folder in (warehouse.packed_queries, warehouse.ngrams):
        folder.rename(hidden := folder.with_name("hidden"))
        assert find_same_run(entries, *SETTINGS, warehouse) is None
        hidden.rename(folder)
    assert find_same_run(entries, *SETTINGS, warehouse) is not None
    warehouse.inputs_file.write_text("{")
    assert find_same_run(entries, *SETTINGS, warehouse) is None


def test_publishing_forgets_the_inputs_of_the_last_run(recorded):
    entries, warehouse = recorded
    run_locally(entries, warehouse)
    assert find_same_run(entries, *SETTINGS, warehouse) is None


def test_recognizing_a_run_and_its_findings_loads_no_slow_library():
    modules = "nl2sql_align.tasks.run.unchanged, nl2sql_align.tasks.views.highlights"
    code = f"import sys, {modules}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert not {b"polars", b"prefect", b"scipy"} & {*loaded.split()}
