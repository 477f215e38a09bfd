"""Choices of rows, checked against plain references: their divergences and their limits."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from nl2sql_align.tasks.decisions.selection_methods import (
    Cells,
    Target,
    choose_by_key,
    choose_directly,
    choose_greedily,
    divergence,
    ensure_templates,
    gumbel_noise,
    importance_weights,
)
from nl2sql_align.tasks.measures.bootstrap import uniforms, unit_keys
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.measures.mixtures import (
    mixture_divergence,
    nearest_mixture,
    nearest_mixtures,
)
from tests import reference

# How often each of four n-grams occurs in a template. Only the pool has the last one.
_counts = st.lists(st.integers(0, 3), min_size=4, max_size=4)


@st.composite
def pools(draw):
    """Return templates from two sources, and a target."""
    counts = draw(st.lists(_counts.filter(any), min_size=1, max_size=5))
    rows = draw(
        st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=len(counts), max_size=len(counts))
    )
    if not any(map(sum, rows)):
        rows[0] = (1, 0)
    target = draw(_counts.filter(lambda some: any(some[:3])))
    return counts, rows, target[:3]


def cells_of(counts, rows, limits=None):
    of_cells = [(t, s, n) for t, of in enumerate(rows) for s, n in enumerate(of) if n]
    template, source, n_rows = (np.array(x, np.int64) for x in zip(*of_cells, strict=True))
    full = np.array(counts, float)
    most = np.array(limits or [10**6, 10**6], np.int64)
    return Cells(
        csr_array(full[:, :3]), np.ones(3), full.sum(axis=1), template, source, n_rows, most
    )


def target_of(counts):
    shares = np.array(counts, float) / sum(counts)
    return Target(shares, shares[None, :])


def plain_divergence(counts, target, per_template):
    sums = [sum(n * of[v] for n, of in zip(per_template, counts, strict=True)) for v in range(4)]
    p = {v: n / sum(sums) for v, n in enumerate(sums) if n}
    q = {v: n / sum(target) for v, n in enumerate(target) if n}
    return reference.skew_divergence(p, q)


@given(pools())
def test_the_divergence_follows_the_specification(pool):
    counts, rows, target = pool
    cells = cells_of(counts, rows)
    found = divergence(cells, cells.n_rows, target_of(target))
    expected = plain_divergence(counts, target, list(map(sum, rows)))
    assert found == pytest.approx(expected, abs=1e-12)
    assert alignment(found) == pytest.approx(reference.kl_alignment(expected), abs=1e-12)


@given(pools(), st.integers(1, 12), st.integers(1, 8))
def test_every_choice_respects_budget_rows_and_limits(pool, budget, limit):
    counts, rows, target = pool
    cells = cells_of(counts, rows, [limit, 10**6])
    aim = target_of(target)
    expected = min(budget, cells.n_available)
    row_cells = np.repeat(np.arange(len(cells.template)), cells.n_rows)
    keys = np.arange(len(row_cells), dtype=float)[::-1].copy()
    for taken in (
        choose_directly(cells, aim, [budget])[-1],
        choose_greedily(cells, aim, [budget]).choices[-1],
        choose_by_key(cells, row_cells, keys, [budget])[-1],
    ):
        assert taken.sum() == expected
        assert (taken <= cells.n_rows).all() and (taken >= 0).all()
        assert (cells.left(taken) >= 0).all()


@given(pools(), st.integers(1, 4))
def test_a_direct_choice_is_nearly_the_best_possible(pool, budget):
    counts, rows, target = pool
    cells, aim = cells_of(counts, rows), target_of(target)
    budget = min(budget, cells.n_available)
    capacities = list(map(sum, rows))
    best = min(
        plain_divergence(counts, target, some)
        for some in itertools.product(*(range(n + 1) for n in capacities))
        if sum(some) == budget
    )
    [taken] = choose_directly(cells, aim, [budget])
    # Single exchanges do not lead out of every local minimum.
    assert divergence(cells, taken, aim) <= best + 0.1


@given(pools(), st.integers(1, 6))
def test_lazy_greedy_choices_equal_those_of_the_plain_search(pool, budget):
    counts, rows, target = pool
    cells, aim = cells_of(counts, rows), target_of(target)
    budget = min(budget, cells.n_available)
    greedy = choose_greedily(cells, aim, range(1, budget + 1))
    full, left = np.array(counts, float), np.array(list(map(sum, rows)))
    average = left @ full / left.sum()
    c, total = 30 * average[:3], 30 * average.sum()
    q = np.where(c > 0, np.array(target, float), 0)
    q = q / max(q.sum(), 1)
    at = q > 0

    def change(t):
        gain = q[at] * np.log((c[at] + full[t, :3][at]) / c[at])
        return math.log((total + full[t].sum()) / total) - gain.sum()

    entropy, before = 0.0, np.zeros(len(counts), int)
    for choice, nats in zip(greedy.choices, greedy.nats, strict=True):
        [t] = np.flatnonzero(cells.per_template(choice) - before)
        assert change(t) <= min(change(t) for t in range(len(counts)) if left[t]) + 1e-9
        entropy += change(t)
        assert nats == pytest.approx(entropy, abs=1e-9)
        left[t] -= 1
        c, total = c + full[t, :3], total + full[t].sum()
        before = cells.per_template(choice)


@given(pools(), st.integers(1, 5))
def test_a_choice_has_the_least_number_of_templates_if_possible(pool, least):
    counts, rows, target = pool
    cells, aim = cells_of(counts, rows), target_of(target)
    n_distinct = sum(map(bool, map(sum, rows)))
    budget = min(cells.n_available, max(least, 3))
    [taken] = choose_directly(cells, aim, [budget], least)
    assert taken.sum() == budget
    assert (cells.per_template(taken) > 0).sum() >= min(least, n_distinct, budget)


def test_importance_weights_are_sums_of_log_ratios():
    cells = cells_of([[2, 0, 0, 1], [0, 1, 0, 0]], [(1, 0), (2, 0)])
    p, q = [2 / 5, 2 / 5, 0, 1 / 5], [1, 0, 0, 0]
    weight = [math.log(0.99 * b / a + 0.01) if a else 0 for a, b in zip(p, q, strict=True)]
    expected = [2 * weight[0] + weight[3], weight[1]]
    assert importance_weights(cells, target_of([1, 0, 0])) == pytest.approx(expected)


def test_gumbel_top_k_draws_by_weight():
    noise = uniforms(unit_keys("gumbel", ["a", "b"]), range(20_000)).T
    keys = np.log([3.0, 1.0])[:, None] + gumbel_noise(noise)
    assert (keys[0] > keys[1]).mean() == pytest.approx(0.75, abs=0.02)


def test_templates_are_added_within_a_source_that_is_full():
    cells = cells_of([[3, 0, 0, 0], [0, 3, 0, 0]], [(4, 0), (4, 0)], [2, 0])
    taken = ensure_templates(cells, np.array([2, 0]), 2, np.zeros(2))
    assert taken.tolist() == [1, 1]


@given(
    st.lists(_counts.filter(any), min_size=2, max_size=4),
    _counts.filter(lambda some: any(some[:3])),
)
def test_no_mixture_is_closer(corpora, target):
    from scipy.optimize import minimize

    shares = csr_array(np.array([np.array(c, float) / sum(c) for c in corpora])[:, :3])
    q = np.array(target[:3], float) / sum(target[:3])
    found = nearest_mixture(shares, q, np.ones(3))
    assert found.weights.sum() == pytest.approx(1) and (found.weights >= 0).all()
    assert found.gap_nats <= 1e-4
    other = min(
        minimize(
            lambda w: mixture_divergence(np.abs(w) / np.abs(w).sum(), shares, q, np.ones(3)),
            start,
            method="Nelder-Mead",
        ).fun
        for start in (np.ones(len(corpora)), *(np.eye(len(corpora)) + 0.01))
    )
    assert found.kl_nats <= other + 1e-4


def test_the_nearest_mixtures_of_many_targets_equal_those_one_by_one():
    rng = np.random.default_rng(3)
    # The last n-gram is in no source.
    shares = csr_array(
        np.append(0.9 * rng.dirichlet(np.full(40, 0.3), 5), np.zeros((5, 1)), axis=1)
    )
    targets, multiplicity = rng.dirichlet(np.full(41, 0.3), 6), np.ones(41)
    at_once = nearest_mixtures(shares, targets, multiplicity)
    in_blocks = nearest_mixtures(shares, targets, multiplicity, numbers_per_block=100)
    one_by_one = [nearest_mixture(shares, target, multiplicity) for target in targets]
    for some in (at_once, in_blocks):
        for found, alone in zip(some, one_by_one, strict=True):
            assert found.weights.tobytes() == alone.weights.tobytes()
            assert (found.kl_nats, found.gap_nats) == (alone.kl_nats, alone.gap_nats)
