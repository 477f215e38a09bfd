"""Runs that count their corpora in partitions and divide their pairs, like large ones."""

import shutil
from copy import deepcopy
from functools import partial

import pytest

from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.ngrams.corpus_counts import CountLimits
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.part_files import list_parts
from tests.flows.conftest import dividing_pairs, restore, small_corpora
from tests.flows.warehouses import leftovers, read, stage_files, tables

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("one_parser_process")]


@pytest.fixture(scope="module")
def limited_job(job):
    """The main job, with limits that the small corpora exceed."""
    limits = CountLimits(part_bytes=30, partition_bytes=30, templates_at_a_time=1)
    with pytest.MonkeyPatch.context() as patch, dividing_pairs() as n_steps:
        patch.setattr(steps, "count_corpus", partial(steps.count_corpus, count_limits=limits))
        yield job
        assert min(n_steps[:2]) > 1


@pytest.fixture(scope="module")
def _kept(limited_job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("partitions")
    corpora = small_corpora(folder / "dumps")
    warehouse = limited_job(corpora.write(), folder / "warehouse", threads=2).warehouse
    shutil.copytree(warehouse, folder / "kept")
    return corpora, warehouse, folder / "kept"


@pytest.fixture
def in_partitions(_kept):
    """The small corpora, and the warehouse of a run with the limits."""
    corpora, warehouse, kept = _kept
    restore(warehouse, kept)
    corpora.write()
    return deepcopy(corpora), warehouse


def test_partitions_change_no_bit_of_the_results(in_partitions, first):
    _, warehouse = in_partitions
    assert tables(warehouse) == tables(first.warehouse)
    assert leftovers(warehouse) == []
    folders = sorted(Warehouse(warehouse).ngrams.iterdir())
    assert [folder.name.split("-")[0] for folder in folders] == ["base", "dev", "far", "near"]
    assert [len(list_parts(folder)) for folder in folders] == [2, 4, 2, 4]
    named = read(warehouse, "select ngrams_file from corpora order by all")
    assert named == [(str(folder),) for folder in folders]


def test_commands_read_partitions(in_partitions, first):
    pair = ("near", "dev", 5)
    found, expected = (explain(place, *pair) for place in (in_partitions[1], first.warehouse))
    assert found.ngrams.equals(expected.ngrams)
    assert found.sums == expected.sums


def test_partitions_are_not_counted_again_unless_one_is_damaged_or_lost(limited_job, in_partitions):
    corpora, warehouse = in_partitions[0], Warehouse(in_partitions[1])
    before, results = stage_files(warehouse.folder), tables(warehouse.folder)
    limited_job(corpora.path, warehouse.folder)
    assert stage_files(warehouse.folder) == before
    base, _, _, near = sorted(warehouse.ngrams.iterdir())
    list_parts(base)[0].write_bytes(b"damaged")
    list_parts(near)[1].unlink()
    said = []
    with progress.listening(said.append):
        limited_job(corpora.path, warehouse.folder)
    assert [one.text for one in said if one.stage == "check"] == [
        f"{list_parts(base)[0]} is damaged; it is rebuilt"
    ]
    assert tables(warehouse.folder) == results
    assert [len(list_parts(folder)) for folder in (base, near)] == [2, 4]


def test_partitions_are_removed_when_no_database_names_them(limited_job, in_partitions):
    corpora, warehouse = in_partitions
    ngrams = Warehouse(warehouse).ngrams
    del corpora.entries["far"]
    for left in (4, 3):
        limited_job(corpora.write(), warehouse)
        assert len(list(ngrams.iterdir())) == left
