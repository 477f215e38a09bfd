"""Readers during runs: they always see the results of one complete run."""

import shutil
import subprocess
import sys
import time

import duckdb
import pytest

from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.faults.steps import run
from tests.faults.test_interruptions import start
from tests.flows.conftest import restore, small_corpora

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("one_parser_process")]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Corpora files that differ in their corpora, or in the dumps of their corpora."""
    corpora = small_corpora(tmp_path_factory.mktemp("corpora") / "dumps")
    found = []
    for number in range(3):
        if number % 2:
            corpora.add(f"more-{number}", [f"SELECT max(a) FROM b LIMIT {number}"], "target")
            # Each file has dumps of its own: runs read them later.
            queries = ["SELECT a FROM b WHERE c > 1"] * number + ["SELECT d ORDER BY e"]
            corpora.add("near", queries, path=f"near-{number}.sql")
        else:
            corpora.entries.pop(f"more-{number - 1}", None)
            corpora.add("far", [f"SELECT {', '.join('a' * (number + 1))} FROM b"], path=f"{number}")
        path = corpora.write()
        found.append(path.rename(path.with_name(f"corpora-{number}.toml")))
    return found


@pytest.fixture(scope="module")
def _first_run(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    run(folder / "warehouse", files[0])
    shutil.copytree(folder / "warehouse", folder / "kept")
    return folder


@pytest.fixture
def warehouse(_first_run):
    """The warehouse after a run of the first file, restored for each test."""
    restore(_first_run / "warehouse", _first_run / "kept")
    return _first_run / "warehouse"


LOOK = """
select
    (select list(corpus order by corpus) from corpora) as names,
    (select list(distinct source order by source) from alignment) as sources,
    (select list(distinct target order by target) from alignment) as targets,
    (select count(*) from alignment) as n_pairs,
    (select list((corpus, n_ngrams, n_distinct_ngrams) order by corpus) from corpora) as listed,
    (
        select list((corpus, n, n_distinct) order by corpus)
        from (
            select corpus, sum(n_occurrences)::bigint as n, count(*) as n_distinct
            from ngram_counts
            group by corpus
        )
    ) as counted,
    (select json_keys(corpora_digests) from runs order by started_at desc limit 1) as recorded
"""


def look(warehouse):
    """Open the results, check that they are of one run, and return their corpora."""
    with duckdb.connect(str(Warehouse(warehouse).database), read_only=True) as con:
        [row] = con.execute(LOOK).fetchall()
    names, sources, targets, n_pairs, listed, counted, recorded = row
    assert names == sources == targets == sorted(recorded)
    assert n_pairs == len(names) ** 2
    assert listed == counted
    return tuple(names), tuple(listed)


def test_a_reader_in_a_loop_sees_one_complete_state_after_another(files, warehouse):
    process = start("run", warehouse, *files[1:3], files[0], stdout=subprocess.DEVNULL)
    seen = []
    while process.poll() is None:
        before = time.monotonic()
        seen.append(look(warehouse))
        time.sleep(2 * (time.monotonic() - before))  # leave the run its share of the processors
    assert process.returncode == 0
    assert len(seen) > 10
    assert len(set(seen)) >= 3, "the reader was too slow to see the states change"


def test_a_reader_that_keeps_the_results_open_sees_them_unchanged(files, warehouse):
    with duckdb.connect(str(Warehouse(warehouse).database), read_only=True) as con:
        before = con.execute(LOOK).fetchall()
        run(warehouse, files[1])
        assert con.execute(LOOK).fetchall() == before
    # The same process sees the new results after it has closed the old file.
    assert look(warehouse)[0] != tuple(before[0][0])


READER = """
import sys
import duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
con.execute("from alignment").fetchall()
print("open", flush=True)
sys.stdin.read()
con.execute("select sum(n_occurrences) from ngram_counts").fetchall()
"""


def test_a_reader_does_not_block_a_run(files, warehouse):
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(Warehouse(warehouse).database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout.readline() == "open\n"
        run(warehouse, files[1])
        reader.stdin.close()
        assert reader.wait(timeout=60) == 0


def test_a_reader_leaves_nothing_beside_the_results(warehouse):
    before = sorted(warehouse.iterdir())
    look(warehouse)
    assert sorted(warehouse.iterdir()) == before
