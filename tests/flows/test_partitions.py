"""Runs that count their corpora in partitions, like large ones."""

import pytest

from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.warehouse.count_files import count_files
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.flows.warehouses import leftovers, read, stage_files, tables

pytestmark = pytest.mark.flow


@pytest.fixture
def in_partitions(align, corpora, first, tmp_path, limit_counting):
    """The summary of a run on the small corpora, with limits that each of them exceeds."""
    limit_counting(part_bytes=30, partition_bytes=30, templates_at_a_time=1)
    return align(corpora.write(), tmp_path / "warehouse", threads=2)


def test_partitions_change_no_bit_of_the_results(in_partitions, first):
    assert tables(in_partitions.warehouse) == tables(first.warehouse)
    assert leftovers(in_partitions.warehouse) == []
    folders = sorted(Warehouse(in_partitions.warehouse).ngrams.iterdir())
    assert [folder.name.split("-")[0] for folder in folders] == ["base", "dev", "far", "near"]
    assert [len(count_files(folder)) for folder in folders] == [2, 4, 2, 4]
    named = read(in_partitions.warehouse, "select ngrams_file from corpora order by all")
    assert named == [(str(folder),) for folder in folders]


def test_commands_read_partitions(in_partitions, first):
    pair = ("near", "dev", 5)
    found, expected = (explain(summary.warehouse, *pair) for summary in (in_partitions, first))
    assert found.ngrams.equals(expected.ngrams)
    assert found.sums == expected.sums


def test_partitions_are_not_counted_again_unless_one_is_damaged_or_lost(
    align, corpora, in_partitions
):
    warehouse = Warehouse(in_partitions.warehouse)
    before, results = stage_files(warehouse.folder), tables(warehouse.folder)
    align(corpora.path, warehouse.folder)
    assert stage_files(warehouse.folder) == before
    base, _, _, near = sorted(warehouse.ngrams.iterdir())
    count_files(base)[0].write_bytes(b"damaged")
    count_files(near)[1].unlink()
    said = []
    with progress.listening(said.append):
        align(corpora.path, warehouse.folder)
    assert [one.text for one in said if one.stage == "check"] == [
        f"{count_files(base)[0]} is damaged; it is rebuilt"
    ]
    assert tables(warehouse.folder) == results
    assert [len(count_files(folder)) for folder in (base, near)] == [2, 4]


def test_partitions_are_removed_when_no_database_names_them(align, corpora, in_partitions):
    ngrams = Warehouse(in_partitions.warehouse).ngrams
    del corpora.entries["far"]
    for left in (4, 3):
        align(corpora.write(), in_partitions.warehouse)
        assert len(list(ngrams.iterdir())) == left
