"""The measures of real corpora match the reference."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.prepare import Prepared, SharedParts, prepare_corpus
from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests import reference
from tests.properties.contents import rows_of

pytestmark = pytest.mark.shared

NAMES = ("spider-train", "spider-dev", "bird-dev", "codellama-7b-base")


@pytest.fixture(scope="module")
def corpora(shared_folder, tmp_path_factory):
    """Return the corpora after all their stages, and the measures of their pairs."""
    warehouse = Warehouse(tmp_path_factory.mktemp("real") / "warehouse")
    listed = {entry.name: entry for entry in load_corpora(shared_folder / "corpora/corpora.toml")}
    entries = [listed[name] for name in NAMES]
    try:
        with warehouse.locked(), ThreadPoolExecutor(2) as pool:
            prepared = list(pool.map(prepare_corpus, entries, itertools.repeat(warehouse)))
            assert all(isinstance(one, Prepared) for one in prepared)
            parts = SharedParts()
            jobs = [job for one in prepared for job in parts.add(one)]
            reports = list(pool.map(parse_part, jobs))
            finished = list(pool.map(lambda one: steps.count_corpus(one, warehouse), prepared))
            report = steps.measure_pairs(finished, warehouse)
    finally:
        stop_workers()
    assert sum(one.n_crashed for one in reports) == 0
    names = {one.content_key: one.entry.name for one in finished}
    pairs = {
        (names[row.pop("source_key")], names[row.pop("target_key")]): row
        for row in rows_of(report.pairs)
    }
    return {one.entry.name: one for one in finished}, pairs


@pytest.fixture(scope="module")
def expected(corpora):
    """Return the reference's corpora, of the same queries and templates."""
    finished, _ = corpora
    return {name: to_reference(corpus) for name, corpus in finished.items()}


def to_reference(corpus):
    templates = {
        row["sql"]: row["template"]
        for row in pq.read_table(corpus.templates, columns=["sql", "template"]).to_pylist()
    }
    queries = pq.read_table(corpus.queries, columns=["sql"])["sql"].to_pylist()
    kept = [(sql, templates[sql]) for sql in queries if templates[sql] is not None]
    return reference.Corpus(
        [template for _, template in kept], [reference.comparable_text(sql) for sql, _ in kept]
    )


def test_counts_match_the_reference(corpora, expected):
    for name, corpus in corpora[0].items():
        table = pq.read_table(corpus.ngrams, columns=["ngram", "n_occurrences"])
        counts = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
        assert counts == reference.ngram_counts(expected[name].templates)


@pytest.mark.parametrize(("source", "target"), itertools.product(NAMES, repeat=2))
def test_measures_match_the_reference(corpora, expected, source, target):
    _, pairs = corpora
    wanted = reference.measures(expected[source], expected[target])
    assert pairs[source, target] == pytest.approx(wanted, rel=0, abs=1e-9)


def test_spider_is_aligned_as_the_specification_says(corpora):
    _, pairs = corpora
    assert len(pairs) == len(NAMES) ** 2
    assert round(pairs["spider-train", "spider-dev"]["kl_alignment"], 3) == 0.848


def test_ingesting_again_gives_the_same_bytes(corpora, tmp_path):
    for name, corpus in corpora[0].items():
        again = tmp_path / f"{name}.parquet"
        ingest_corpus(corpus.entry, again)
        assert again.read_bytes() == corpus.queries.read_bytes()
