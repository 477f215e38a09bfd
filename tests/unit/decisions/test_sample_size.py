"""Sample sizes at which a target ranks training sets as all of its queries do."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions import sample_size as module
from nl2sql_align.tasks.decisions.sample_size import (
    MOST_DRAWN,
    draw_queries,
    kendall_taus,
    recommend_size,
    sample_size,
    sizes_up_to,
)
from nl2sql_align.tasks.measures.bootstrap import group_ngrams
from nl2sql_align.tasks.measures.matrix import Content, compute_matrix
from nl2sql_align.tasks.ngrams.count import ngram_incidence
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.publish import RunRecord, publish
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests import reference

PLAIN, JOINED, NESTED = (
    "SELECT FROM",
    "SELECT FROM JOIN ON =",
    "SELECT FROM WHERE IN ( SELECT FROM )",
)
TARGET = [PLAIN, JOINED] * 20
CANDIDATES = {
    "near": [PLAIN, JOINED, JOINED, "SELECT COUNT ( * ) FROM"],
    "middle": [PLAIN, NESTED, NESTED],
    "far": ["DELETE FROM WHERE ="],
}


def warehouse_with(folder, make_corpus, target, **keys):
    corpora = [make_corpus(folder, name, some) for name, some in CANDIDATES.items()]
    corpora.append(make_corpus(folder, "dev", target, role="target", **keys))
    contents = [
        Content(c.content_key, c.entry.name, c.ngrams, c.templates, c.entry.role == "target")
        for c in corpora
    ]
    matrix = compute_matrix(contents, folder / "stages" / "pairs")
    said = RunRecord("a-run", datetime(2026, 1, 1, tzinfo=UTC), {}, {})
    publish(Warehouse(folder), corpora, matrix.pairs, matrix.contributions, said)
    return folder


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, make_corpus):
    queries = [*((f"-- {i}", template) for i, template in enumerate(TARGET)), ("broken", None)]
    return warehouse_with(tmp_path_factory.mktemp("sampled"), make_corpus, queries)


def test_all_queries_rank_as_the_matrix_does(warehouse):
    rows = sample_size(warehouse, "dev", n_trials=20)
    assert set(rows["smoothing"]) == {"skew", "additive", "js"}
    assert rows["n_queries"].unique().sort().to_list() == [10, 15, 20, 30, 40]
    whole = rows.filter(pl.col("n_queries") == 40)
    for column in ("kendall_tau", "tau_low", "same_winner_share", "same_first_two_share"):
        assert set(whole[column]) == {1.0}, column
    with open_results(warehouse) as con:
        ranked = con.execute(
            "select source from alignment where target = 'dev' and source != 'dev' order by kl_nats"
        ).fetchall()
    [skew] = whole.filter(pl.col("smoothing") == "skew")["candidates"].to_list()
    assert [(name,) for name in skew] == ranked


def test_divergences_from_a_sample_equal_those_of_the_reference(warehouse):
    with open_results(warehouse) as con:
        queries, sets = module._read_sets(con, warehouse, "dev", None)
    distinct = queries["template"].unique().sort()
    incidence = ngram_incidence(distinct)
    found = [module._match_ngrams(one, row, incidence.ngrams) for row, one in sets]
    # The second sample lacks a template of the target, and so some of its n-grams.
    samples = [{JOINED: 3, PLAIN: 2}, {PLAIN: 4}]
    weights = np.array([[float(one.get(t, 0)) for t in distinct] for one in samples])
    divergences = module._divergences(group_ngrams(incidence.counts), found, weights)
    for row, sample in enumerate(samples):
        q = reference.distribution(
            reference.ngram_counts([t for t, n in sample.items() for _ in range(n)])
        )
        for column, candidate in enumerate(found):
            p = reference.distribution(reference.ngram_counts(CANDIDATES[candidate.corpus]))
            for smoothing, wanted in (
                ("skew", reference.skew_divergence(p, q)),
                ("additive", reference.additive_divergence(p, q)),
                ("js", reference.jensen_shannon(p, q)),
            ):
                assert divergences[smoothing][row, column] == pytest.approx(wanted, abs=1e-9)


def test_the_result_is_recorded_and_replaces_the_last_one(warehouse):
    first = sample_size(warehouse, "dev", n_trials=20)
    again = sample_size(warehouse, "dev", n_trials=20)
    assert first.equals(again)
    fewer = sample_size(warehouse, "dev", ["far", "near"], n_trials=30, seed=1)
    assert set(fewer["n_candidates"]) == {2}
    with open_results(warehouse) as con:
        recorded = con.sql("from sample_size").pl()
    assert recorded.select(fewer.columns).equals(fewer)
    assert set(recorded["run_id"]) == {"a-run"}


def test_sizes():
    assert sizes_up_to(100) == [10, 15, 20, 30, 40, 60, 80, 100]
    assert sizes_up_to(7) == [7]
    assert sizes_up_to(1034)[-4:] == [600, 800, 1000, 1034]

    large = sizes_up_to(10**9)
    assert large[-3:] == [80_000, MOST_DRAWN, 10**9]


def test_kendall_tau_equals_that_of_scipy():
    from scipy.stats import kendalltau

    whole = np.array([0.3, 0.1, 0.2, 0.2, 0.9])
    samples = np.array([[3, 1, 2, 2, 9], [9, 2, 2, 1, 0], [1, 2, 3, 4, 5]], float)
    wanted = [kendalltau(whole, one).statistic for one in samples]
    assert kendall_taus(whole, samples) == pytest.approx(wanted, abs=1e-12)
    assert kendall_taus(whole, np.ones((1, 5))).tolist() == [0.0]


def test_queries_of_a_log_are_drawn_as_often_as_they_occur():
    small = draw_queries(np.array([1, 0, 3, 2]), 6, 50, "dev")
    assert {tuple(sorted(one)) for one in small.tolist()} == {(0, 2, 2, 2, 3, 3)}
    assert len({tuple(one) for one in small.tolist()}) > 20
    # Too many to shuffle: each is still drawn at most once.
    large = draw_queries(np.array([10**12, 400_000, 3 * 10**12]), 1000, 20, "dev")
    assert np.bincount(large.ravel(), minlength=3)[1] == 0
    assert np.mean(large == 2) == pytest.approx(0.75, abs=0.02)
    most = MOST_DRAWN
    rows = draw_queries(np.ones(4 * most + 1, int), most, 1, "dev")
    assert len(np.unique(rows)) == most
    assert rows.tolist() == draw_queries(np.ones(4 * most + 1, int), most, 1, "dev").tolist()


def test_a_frequent_query_counts_as_often_as_it_occurs(tmp_path, make_corpus):
    once = [("-- a", PLAIN), ("-- b", JOINED)]
    copies = [query for query in once for _ in range(20)]
    as_rows = warehouse_with(tmp_path / "rows", make_corpus, copies)
    as_log = warehouse_with(tmp_path / "log", make_corpus, once, frequencies=[20, 20])
    assert sample_size(as_log, "dev").equals(sample_size(as_rows, "dev"))


def stability(taus, winners, twos):
    sizes = sizes_up_to(60)
    assert len(sizes) == len(taus)
    return pl.DataFrame(
        {
            "smoothing": ["skew"] * len(sizes),
            "target": ["dev"] * len(sizes),
            "n_queries": sizes,
            "kendall_tau": taus,
            "same_winner_share": winners,
            "same_first_two_share": twos,
            "candidates": [["a", "b", "c"]] * len(sizes),
        }
    )


def test_the_recommendation_names_the_sizes_from_which_it_holds():
    rows = stability(
        [0.95, 0.8, 0.9, 0.92, 0.95, 1], [0.5, 0.9, 0.94, 0.95, 1, 1], [0.5, 0.6, 0.7, 0.8, 0.9, 1]
    )
    assert recommend_size(rows) == (
        "By skew divergence, 20 queries of dev suffice to rank these 3 candidates as all 60 do "
        "(a mean tau of 0.9 or more), and 30 to find the best, a (in 95% of the samples or more); "
        "the first two, a and b, cannot be told apart with fewer than all 60."
    )
    rows = stability([1.0] * 6, [1.0] * 6, [0.5, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert recommend_size(rows) == (
        "By skew divergence, 10 queries of dev suffice to rank these 3 candidates as all 60 do "
        "(a mean tau of 0.9 or more), and 10 to find the best, a (in 95% of the samples or more); "
        "the first two, a and b, cannot be told apart with fewer than 15."
    )
    assert recommend_size(stability([1.0] * 6, [1.0] * 6, [1.0] * 6)) == (
        "By skew divergence, 10 queries of dev suffice to rank these 3 candidates as all 60 do "
        "(a mean tau of 0.9 or more), and 10 to find the best, a (in 95% of the samples or more); "
        "10 tell the first two, a and b, apart."
    )


@pytest.mark.parametrize(
    ("target", "candidates", "words"),
    [
        ("near", None, "no target 'near'"),
        ("dev", ["nothing"], "no training set 'nothing'"),
        ("dev", ["near"], "fewer than two"),
    ],
)
def test_errors_say_why_nothing_can_be_ranked(warehouse, target, candidates, words):
    with pytest.raises(ConfigurationError, match=words):
        sample_size(warehouse, target, candidates)
