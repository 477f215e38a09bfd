"""A flipped bit in a file of a warehouse: readers give the right numbers or name the damage."""

import os
import random
import re
import shutil

import duckdb
import pytest

from nl2sql_align.flows.cli import invoke
from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.faults.steps import run
from tests.flows.conftest import small_corpora
from tests.flows.warehouses import tables

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("one_parser_process")]

# The readers of each kind of file.
READERS = {
    "ngrams/*.parquet": [
        ("explain", "near", "dev", "--format", "json"),
        ("sample-size", "--target", "dev", "--trials", "5", "--format", "json"),
    ],
    "stages/templates/*.parquet": [
        ("select", "--target", "dev", "--from", "near,far", "--budget", "3", "--out", "OUT"),
        ("mix", "--target", "dev", "--from", "near,far", "--format", "json"),
    ],
    "alignment.duckdb": [
        ("matrix", "--format", "json"),
        ("ratio", "--format", "json"),
        ("rejects", "far", "--format", "json"),
    ],
}
N_FLIPS = 3


def flip_bit(path, chance):
    """Flip one bit of a file, and leave its times as they are."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    corpora = small_corpora(folder / "dumps").write()
    run(folder / "warehouse", corpora)
    shutil.copytree(folder / "warehouse", folder / "kept")
    return corpora, folder / "warehouse", folder / "kept"


@pytest.fixture
def settled(made):
    """The small corpora, their warehouse, restored for each test, and a copy of it."""
    corpora, warehouse, kept = made
    shutil.rmtree(warehouse)
    shutil.copytree(kept, warehouse)
    return corpora, warehouse, kept


def read(reader, warehouse, out, capsys):
    """Return the exit status of a command, its output, and its messages."""
    command, *options = reader
    shutil.rmtree(out, ignore_errors=True)
    options = [str(out) if one == "OUT" else one for one in options]
    status = invoke([command, str(warehouse), *options])
    output = capsys.readouterr()
    chosen = (out / "selection.jsonl").read_text() if status == 0 and "--out" in options else ""
    return status, re.sub(r'_at": "[^"]+"', "", output.out) + chosen, output.err


@pytest.mark.parametrize("pattern", READERS)
def test_readers_never_give_other_numbers(settled, tmp_path, capsys, pattern):
    _, warehouse, kept = settled
    chance = random.Random(pattern)
    n_refused = 0
    for reader in READERS[pattern]:
        whole = read(reader, warehouse, tmp_path / "out", capsys)
        assert whole[0] == 0, whole
        shutil.rmtree(warehouse)
        shutil.copytree(kept, warehouse)
        for _ in range(N_FLIPS):
            path = chance.choice(sorted(warehouse.glob(pattern)))
            flip_bit(path, chance)
            status, output, messages = read(reader, warehouse, tmp_path / "out", capsys)
            if status == 0:
                assert output == whole[1], (reader, path)
            else:
                n_refused += 1
                assert status == 1
                assert messages.count("\n") == 1
                assert "run again" in messages, messages
            shutil.rmtree(warehouse)
            shutil.copytree(kept, warehouse)
    assert n_refused > 0


def test_a_run_without_changes_finds_a_database_that_is_not_as_published(settled):
    corpora, warehouse, _ = settled
    before = tables(warehouse)
    flip_bit(Warehouse(warehouse).database, random.Random(0))
    announced = []
    with progress.listening(announced.append):
        run(warehouse, corpora)
    [text] = [one.text for one in announced if "alignment.duckdb" in one.text]
    assert "publishing a new one with the history of 1 runs from its backup" in text
    assert tables(warehouse) == before
    with duckdb.connect(str(Warehouse(warehouse).database), read_only=True) as con:
        assert con.execute("select count(*) from runs").fetchall() == [(2,)]


def test_a_decision_is_not_added_to_a_damaged_database(settled, capsys):
    _, warehouse, _ = settled
    database = Warehouse(warehouse).database
    with database.open("ab") as file:  # DuckDB does not look there
        file.write(b"\0")
    before = database.read_bytes()
    assert invoke(["mix", str(warehouse), "--target", "dev", "--from", "near,far"]) == 1
    assert "alignment.duckdb is not as it was published; run again" in capsys.readouterr().err
    assert database.read_bytes() == before


def test_decisions_keep_the_database_intact_for_the_next_run(settled, capsys):
    corpora, warehouse, _ = settled
    assert invoke(["mix", str(warehouse), "--target", "dev", "--from", "near,far"]) == 0
    announced = []
    with progress.listening(announced.append):
        run(warehouse, corpora)
    assert [one.text for one in announced if "alignment.duckdb" in one.text] == []
