"""Large corpora: a run divides their steps, and publishes the same tables."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from nl2sql_align.tasks.base.child_process import call_apart
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.packed_queries import PackLimits
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.executor import LocalExecutor
from nl2sql_align.tasks.run.job import Job
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.templates.distinct_queries import SplitLimits
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.part_files import count_distinct_ngrams

pytestmark = pytest.mark.usefixtures("one_parser_process")


@pytest.fixture
def entries(tmp_path):
    """A log whose texts are ingested in three row groups, its copy, and a small corpus."""
    log = tmp_path / "log.sql"
    lines = [f"SELECT name FROM boats WHERE length > {i * 7 % 1501};" for i in range(9000)]
    lines[7] = lines[8000] = "not a query at all"
    log.write_text("\n".join(lines), encoding="utf-8")
    small = tmp_path / "small.sql"
    small.write_text("SELECT name FROM boats\n", encoding="utf-8")
    keys = {"format": "lines", "dialect": "sqlite", "role": "train", "statements": "each"}
    return [
        CorpusEntry(name="log-1.5", path=log, **keys),
        CorpusEntry(name="copy", path=log, **keys),
        CorpusEntry(name="small", path=small, **keys | {"role": "target"}),
    ]


def run(entries, warehouse, **limits):
    with (
        warehouse.locked() as lock,
        bounded(2, None, warehouse.scratch),
        ThreadPoolExecutor(2) as pool,
    ):
        job = Job(warehouse, lock, LocalExecutor(pool), **limits)
        return job.publish(job.count(entries), JobSettings(resampling=Resampling(0)))


def read(warehouse, table):
    """Return the rows of a table, without times and places."""
    with open_results(warehouse.folder) as con:
        kept = "columns(lambda c: c not in ('ingested_at', 'path') and c not like '%_file')"
        return con.sql(f"select {kept} from {table} order by all").to_arrow_table()


def test_a_run_with_divided_corpora_publishes_the_same(entries, tmp_path):
    whole, divided = Warehouse(tmp_path / "whole"), Warehouse(tmp_path / "divided")
    first = run(entries, whole)
    limits = {
        "split_limits": SplitLimits(rows_at_once=4000, rows_per_range=4000),
        "pack_limits": PackLimits(rows_per_part=4000),
    }
    second = run(entries, divided, **limits)
    assert first.n_parsed == second.n_parsed == 1501 + 1 + 1
    assert [len([*one.packed_queries.glob("*/*")]) for one in (whole, divided)] == [0, 6]
    for table in ("queries", "templates", "ngram_counts", "alignment", "corpora"):
        rows = read(whole, table)
        assert rows.num_rows and read(divided, table).equals(rows), table
    # A run without changes reuses all files, whatever its limits.
    assert run(entries, divided).n_parsed == 0
    assert len([*divided.packed_queries.glob("*/*")]) == 6
    assert not divided.scratch.exists() or not [*divided.scratch.iterdir()]


def test_much_is_resampled_in_another_process_with_the_same_bits(entries, tmp_path, monkeypatch):
    warehouse, calls, made = Warehouse(tmp_path / "warehouse"), [], []

    def record(function, *given):
        calls.append(function)
        return call_apart(function, *given)

    monkeypatch.setattr(steps, "call_apart", record)
    with (
        warehouse.locked() as lock,
        bounded(2, None, warehouse.scratch),
        ThreadPoolExecutor(2) as pool,
    ):
        corpora = Job(warehouse, lock, LocalExecutor(pool)).count(entries).corpora
        matrix = steps.measure_pairs(corpora, warehouse)
        given = corpora, matrix, warehouse, Resampling(20)
        for pairs_here, n_calls in ((3, 0), (2, 1)):
            assert steps.list_blocks_to_resample(*given, pairs_here) == []  # few of them
            assert len(calls) == n_calls
        calls.clear()
        n_counts = sum(count_distinct_ngrams(one.ngrams) for one in corpora)
        enough = {"queries_here": 18_001, "counts_here": n_counts, "pairs_here": 3}
        less = {"queries_here": 18_000}, {"counts_here": n_counts - 1}, {"pairs_here": 2}
        for n_calls, limits in enumerate([enough, *({**enough, **one} for one in less)]):
            for _ in range(2):  # the second time, nothing is left to do
                report = steps.resample_pairs(*given, **limits)
            assert (len(calls), report.n_pairs) == (n_calls, 2)
            made.append([file.read_bytes() for file in (report.intervals, report.ceilings)])
            shutil.rmtree(report.intervals.parent)
    assert all(files == made[0] for files in made)
