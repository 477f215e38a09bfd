"""The parts of training sets, and the mixture of them that is closest to a target."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array

from nl2sql_align.tasks.measures import parts
from nl2sql_align.tasks.measures.bootstrap import group_ngrams, skew_divergences, unit_keys
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.measures.mixtures import mixture_divergence
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.parts import PartsBy, divide_rows, group_templates
from nl2sql_align.tasks.measures.reach import (
    GAP_NATS,
    _distributions,
    find_reach,
    mixture_counts,
    weigh_units,
)
from nl2sql_align.tasks.measures.units import Sample, find_shared
from nl2sql_align.tasks.ngrams.count import ngram_incidence

TEMPLATES = pl.Series(
    [
        "SELECT FROM",
        "SELECT FROM WHERE =",
        "SELECT FROM JOIN ON = WHERE =",
        "SELECT COUNT ( * ) FROM GROUP BY",
        "SELECT FROM ORDER BY DESC LIMIT",
        "SELECT FROM WHERE IN ( SELECT FROM WHERE > )",
        "SELECT FROM WHERE LIKE UNION SELECT FROM",
        "SELECT MAX ( ) , MIN ( ) FROM HAVING >",
    ]
).sort()
INCIDENCE = ngram_incidence(TEMPLATES)
CLASSES = group_ngrams(INCIDENCE.counts)


def rows_of(queries):
    """Return rows of (template, part, unit) as they are read from a corpus."""
    table = pl.DataFrame(
        queries,
        schema={"template_number": pl.Int64, "part": pl.String, "unit_number": pl.Int64},
        orient="row",
    )
    return table.with_columns(db_id=pl.lit(None, pl.String), n_queries=pl.lit(1, pl.Int64))


def sample(queries):
    rows = divide_rows(rows_of(queries), TEMPLATES)
    n_units = max(unit for *_, unit in queries) + 1
    names = [f"query {unit}" for unit in range(n_units)]
    of_units = coo_array(
        (rows.n_queries, (rows.units, rows.templates)), shape=(n_units, len(TEMPLATES))
    ).tocsr()
    ngrams = np.arange(INCIDENCE.counts.shape[1])
    return Sample(Unit.QUERY, unit_keys("set", names), of_units, CLASSES, ngrams, names, rows)


def plain_nats(train, target):
    counts = [one.counts(np.ones((1, len(one.keys)))) for one in (train, target)]
    return float(skew_divergences(*counts, find_shared(train, target))[0])


def part(name, shares, n, first_unit=0):
    """Return n queries of a part, with templates in these proportions."""
    cells = np.repeat(
        np.arange(len(shares)), np.round(np.array(shares) / sum(shares) * n).astype(int)
    )
    return [(int(template), name, first_unit + i) for i, template in enumerate(cells)]


NEAR = [4, 2, 1, 1, 0, 1, 0, 1]
FAR = [0, 0, 0, 0, 5, 0, 4, 0]
TARGET = sample(part(None, NEAR, 60))


def test_a_set_of_one_part_reaches_what_it_is_aligned_with():
    train = sample(part("near", [1, 0, 0, 0, 0, 0, 0, 0], 40))
    found = find_reach(train, TARGET)
    assert found.nats == found.chosen_nats == pytest.approx(plain_nats(train, TARGET))
    assert (found.parted_by, found.n_parts, found.is_mixed) == (PartsBy.NONE, 1, False)


def test_a_mixture_reaches_as_far_as_its_best_part():
    near, far = part("near", NEAR, 50), part("far", FAR, 90, 50)
    alone = find_reach(sample(near), TARGET)
    found = find_reach(sample(near + far), TARGET)
    assert (found.parted_by, found.n_parts, found.is_mixed) == (PartsBy.SOURCE, 2, True)
    assert found.nats == pytest.approx(plain_nats(sample(near), TARGET), abs=2 * GAP_NATS)
    assert plain_nats(sample(near + far), TARGET) > 10 * found.nats
    assert alone.nats <= found.nats + GAP_NATS


shares = st.lists(st.integers(0, 5), min_size=8, max_size=8).filter(any)


@settings(max_examples=15)
@given(st.lists(shares, min_size=2, max_size=4), shares, shares, st.integers(10, 400))
def test_rows_that_are_added_as_a_part_never_lower_reach(given_parts, added, target, n_added):
    queries = [row for i, one in enumerate(given_parts) for row in part(f"{i}", one, 80, 80 * i)]
    of_target = sample(part(None, target, 300))
    first_unit = max(unit for *_, unit in queries) + 1
    more = part("more", added, n_added, first_unit)
    before, after = (find_reach(sample(some), of_target) for some in (queries, queries + more))
    # Not exactly: the gain of weights on the queries that choose them is estimated.
    assert alignment(after.nats) >= 0.98 * alignment(before.nats)


def test_what_weights_gain_on_the_queries_that_choose_them_is_charged():
    rng = np.random.default_rng(5)
    taste = np.array([8, 5, 3, 2, 2, 1, 1, 1]) / 23

    def draw(n, p=taste, name=None, first_unit=0):
        some = rng.choice(8, size=n, p=p)
        return [(int(template), name, first_unit + i) for i, template in enumerate(some)]

    def judge(weights, target):
        shared = find_shared(train, target)
        shares = train.part_shares[:, shared.of_source].tocsr()
        [of_target] = _distributions(target.whole, shared.of_target)
        return mixture_divergence(weights, shares, of_target, shared.n_ngrams)

    tastes = [*rng.dirichlet(taste * 8, 9), np.array(FAR) / sum(FAR)]
    sizes = [50] * 9 + [400]
    drawn = enumerate(zip(sizes, tastes, strict=True))
    train = sample([row for i, (n, p) in drawn for row in draw(n, p, f"{i}", 50 * i)])
    others = [sample(draw(200)) for _ in range(10)]
    found = [find_reach(train, sample(draw(200))) for _ in range(10)]
    assert all(one.is_mixed for one in found)
    gained = np.mean([one.chosen_nats for one in found])
    reached = np.mean([one.nats for one in found])
    judged = np.mean([judge(one.weights, other) for one in found for other in others])
    assert judged - gained > 0.02
    assert reached == pytest.approx(judged, abs=0.3 * (judged - gained))


def test_a_mixture_has_the_counts_of_its_parts_by_weight():
    train = sample(part("near", NEAR, 50) + part("far", FAR, 90, 50))
    weights = np.array([0.25, 0.75])
    found = mixture_counts(train, weigh_units(train, weights), np.ones((1, len(train.keys))))
    expected = weights @ train.part_shares.toarray()
    assert found.by_class[:, 0] / found.totals[0] == pytest.approx(expected)


def labels(**columns):
    n = len(next(iter(columns.values())))
    table = {"unit_number": range(n), "template_number": [0] * n, "n_queries": [20] * n}
    given = {"part": [None] * n, "db_id": [None] * n, **columns}
    types = {"part": pl.String, "db_id": pl.String}
    return divide_rows(pl.DataFrame(table | given, schema_overrides=types), TEMPLATES)


def test_parts_are_sources_else_databases_else_groups_of_templates():
    both = labels(part=["a", "a", "b"], db_id=["x", "y", "z"])
    assert (both.parted_by, both.parts.tolist()) == (PartsBy.SOURCE, [0, 0, 1])
    one_source = labels(part=["a", "a", "a"], db_id=["x", "y", None])
    assert (one_source.parted_by, one_source.n_parts) == (PartsBy.DATABASE, 3)
    mostly_unknown = labels(db_id=["x", "y", None, None, None])
    assert (mostly_unknown.parted_by, mostly_unknown.n_parts) == (PartsBy.NONE, 1)
    by_words = labels(template_number=[0, 1, 1])
    assert (by_words.parted_by, by_words.parts.tolist()) == (PartsBy.TEMPLATE, [0, 1, 1])


def test_small_parts_and_the_smallest_of_too_many_are_joined(monkeypatch):
    few = labels(part=["a", "b", "c", None], n_queries=[30, 9, 3, 1])
    assert few.parts.tolist() == [1, 0, 0, 0]
    monkeypatch.setattr(parts, "MOST_PARTS", 2)
    many = labels(part=["a", "b", "c"], n_queries=[30, 20, 10])
    assert many.parts.tolist() == [1, 0, 0]


def test_templates_with_the_same_words_are_one_group():
    some = ["SELECT FROM WHERE =", "SELECT FROM WHERE > AND =", "SELECT , FROM WHERE = AND <"]
    words = group_templates(pl.Series(some))["words"].to_list()
    assert words == ["FROM SELECT WHERE", "AND FROM SELECT WHERE", "AND FROM SELECT WHERE"]
    clauses = group_templates(pl.Series([*some, "SELECT FROM JOIN ON GROUP BY UNION SELECT FROM"]))
    assert clauses["clauses"].to_list() == [*["# 1 0 0 0 0"] * 3, "# 2 1 1 0 1"]
