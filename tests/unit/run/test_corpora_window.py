"""Corpora go through all steps up to their counts a few at a time."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.run.executor import LocalExecutor
from nl2sql_align.tasks.run.job import Job
from nl2sql_align.tasks.run.prepare import prepare_corpus
from nl2sql_align.tasks.warehouse.folder import Warehouse

pytestmark = pytest.mark.usefixtures("one_parser_process")

N_CORPORA = 12
# With one thread: two steps at a time, and two corpora for each.
N_UNDER_WAY = 4


class Recorder(LocalExecutor):
    """Records how many corpora are counted whenever one begins, and may end the run there."""

    def __init__(self, pool, warehouse, last=N_CORPORA):
        super().__init__(pool)
        self.warehouse, self.last, self.n_counted = warehouse, last, []

    def submit(self, step, *args, **options):
        if step is prepare_corpus:
            if len(self.n_counted) == self.last:
                raise KeyboardInterrupt
            self.n_counted.append(len([*self.warehouse.ngrams.glob("*.parquet")]))
        return super().submit(step, *args, **options)


@pytest.fixture
def entries(tmp_path):
    """Corpora of one query each; the last two have the texts of the first one."""
    found = []
    for number in range(N_CORPORA):
        dump = tmp_path / f"{number}.sql"
        limit = number if number < N_CORPORA - 2 else 0
        dump.write_text(f"SELECT name FROM boats LIMIT {limit}\n", encoding="utf-8")
        found.append(
            CorpusEntry(
                name=f"c-{number}", path=dump, role="train", format="lines", dialect="sqlite"
            )
        )
    return found


def count(entries, warehouse, last=N_CORPORA):
    """Count corpora; return the job's summary, what was recorded, and the files that are left."""
    with (
        warehouse.locked() as lock,
        bounded(1, None, warehouse.scratch),
        ThreadPoolExecutor(2) as pool,
    ):
        executor = Recorder(pool, warehouse, last)
        job = Job(warehouse, lock, executor)
        counted = job.count(entries)
        assert [one.entry.name for one in counted.corpora] == [one.name for one in entries]
        left = [path for path in warehouse.scratch.rglob("*") if path.is_file()]
        return job.publish(counted), executor.n_counted, left


def test_a_run_that_is_killed_has_counted_the_corpora_that_it_began_but_for_a_few(
    entries, tmp_path
):
    warehouse = Warehouse(tmp_path / "warehouse")
    with pytest.raises(KeyboardInterrupt):
        count(entries, warehouse, last=8)
    n_templates = len([*warehouse.stage("templates").glob("*.parquet")])
    assert n_templates >= 8 - N_UNDER_WAY
    summary, n_counted, left = count(entries, warehouse)
    assert all(n >= begun - (N_UNDER_WAY - 1) for begun, n in enumerate(n_counted))
    n_texts = N_CORPORA - 2
    assert (summary.n_ingested, summary.n_parsed) == (n_texts - 8, n_texts - n_templates)
    assert left == []
