"""The divergences, wherever they are computed, equal those of the plain reference."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from nl2sql_align.tasks.decisions.selection_methods import Cells, Target, divergence
from nl2sql_align.tasks.measures.bootstrap import Counts, shared_classes, skew_divergences
from nl2sql_align.tasks.measures.divergence import (
    EPSILON,
    LARGEST_NATS,
    SKEW,
    add_unshared,
    additive_alone_as_target,
    additive_divergences,
    alignment,
    jensen_shannon_divergences,
    largest_nats,
    log_alignment,
    skew_terms,
    skew_terms_and_slopes,
    sum_terms,
)
from nl2sql_align.tasks.measures.matrix import compute_matrix
from nl2sql_align.tasks.measures.mixtures import mixture_divergence
from tests import reference
from tests.properties.contents import rows_of, write_content
from tests.properties.strategies import some_templates

NAMES = "abcdefgh"
counts_of_ngrams = st.lists(st.integers(0, 9), min_size=len(NAMES), max_size=len(NAMES)).filter(any)
skews = st.sampled_from([SKEW, 0.1, 0.5])


def plain(counts):
    return reference.distribution({n: c for n, c in zip(NAMES, counts, strict=True) if c})


def shares(counts):
    return np.array(counts, float) / sum(counts)


def test_constants_are_those_of_the_specification():
    assert (SKEW, EPSILON) == (reference.SKEW, reference.EPSILON)
    assert math.log(100) == LARGEST_NATS == largest_nats()
    assert alignment(0.0) == 1
    assert alignment(LARGEST_NATS) == math.exp(-1)


@given(counts_of_ngrams, counts_of_ngrams, skews)
def test_terms_and_their_sums(source, target, skew):
    p, q = shares(source), shares(target)
    expected = reference.skew_terms(plain(source), plain(target), skew)
    terms = skew_terms(p, q, skew)
    assert terms == pytest.approx([expected.get(name, 0.0) for name in NAMES], abs=1e-12)
    has_both = (p > 0) & (q > 0)
    nats = math.fsum(expected.values())
    closed = add_unshared(terms[has_both].sum(), p[has_both].sum(), skew)
    assert closed == pytest.approx(nats, abs=1e-12)
    assert nats <= largest_nats(skew) + 1e-12
    if skew == SKEW:
        n_ngrams = has_both.astype(float)
        assert sum_terms(terms, p, n_ngrams) == pytest.approx(nats, abs=1e-12)
        assert alignment(nats) == pytest.approx(reference.kl_alignment(nats), abs=1e-12)
        assert np.exp(log_alignment(np.array([nats]))) == pytest.approx(alignment(nats), abs=1e-12)


@given(counts_of_ngrams, st.lists(counts_of_ngrams, min_size=1, max_size=3), skews)
def test_terms_and_slopes_are_means_over_several_targets(source, targets, skew):
    p, q = shares(source), np.stack([shares(one) for one in targets])
    each = [reference.skew_terms(plain(source), plain(one), skew) for one in targets]
    expected = [math.fsum(one.get(n, 0.0) for one in each) / len(each) for n in NAMES]
    assert skew_terms(p, q, skew) == pytest.approx(expected, abs=1e-12)
    at = p > 0
    terms, slopes = skew_terms_and_slopes(p[at], q[:, at], skew)
    assert terms == pytest.approx(np.array(expected)[at], abs=1e-12)
    step = 1e-6 * p[at]
    rise = skew_terms(p[at] + step, q[:, at], skew) - skew_terms(p[at] - step, q[:, at], skew)
    assert slopes == pytest.approx(rise / (2 * step), abs=1e-6)


@given(st.lists(counts_of_ngrams, min_size=1, max_size=3), counts_of_ngrams)
def test_several_sources_have_a_row_each(sources, target):
    at = np.array(target) > 0
    p, q = np.stack([shares(one) for one in sources])[:, at], shares(target)[at]
    found = add_unshared(skew_terms(p, q).sum(axis=1), p.sum(axis=1))
    expected = [reference.skew_divergence(plain(one), plain(target)) for one in sources]
    assert found == pytest.approx(expected, abs=1e-12)


@given(counts_of_ngrams, counts_of_ngrams)
def test_the_other_divergences(source, target):
    p, q = shares(source), shares(target)
    expected = [f(plain(source), plain(target)) for f in (reference.additive_divergence,)]
    shared = p > 0
    ones = np.ones(len(NAMES))
    alone_as_source = sum((x + EPSILON) * math.log((x + EPSILON) / EPSILON) for x in p[shared])
    alone = alone_as_source + additive_alone_as_target(q[None, :], ones)
    n_union = np.array([((p > 0) | (q > 0)).sum()])
    arrays = p[shared], q[None, shared], ones[shared]
    assert additive_divergences(*arrays, alone, n_union) == pytest.approx(expected, abs=1e-9)
    expected = [reference.jensen_shannon(plain(source), plain(target))]
    assert jensen_shannon_divergences(*arrays) == pytest.approx(expected, abs=1e-12)


@given(counts_of_ngrams, counts_of_ngrams)
def test_replicates_selections_and_mixtures(source, target):
    expected = pytest.approx(reference.skew_divergence(plain(source), plain(target)), abs=1e-12)
    a, b = np.array(source, float), np.array(target, float)
    both = np.flatnonzero((a > 0) & (b > 0))
    counts = [Counts(one[:, None], one.sum(keepdims=True)) for one in (a, b)]
    assert skew_divergences(*counts, shared_classes(both, both)) == expected
    at = np.flatnonzero(b)
    p, q, ones, one = shares(source)[at], shares(target)[at], np.ones(len(at)), np.array([1])
    cells = Cells(csr_array(a[None, at]), ones, np.array([a.sum()]), one - 1, one - 1, one, one)
    assert divergence(cells, one, Target(q, q[None, :])) == expected
    assert mixture_divergence(np.ones(1), csr_array(p[None, :]), q, ones) == expected


@settings(max_examples=15)
@given(some_templates, some_templates, skews)
def test_sql(tmp_path_factory, source, target, skew):
    queries = [[(template, template) for template in one] for one in (source, target)]
    p, q = (reference.ngram_counts(one) for one in (source, target))
    assume(p and q)
    folder = tmp_path_factory.mktemp("matrix")
    contents = [
        write_content(folder, name, some, key=name)
        for name, some in zip("st", queries, strict=True)
    ]
    rows = rows_of(compute_matrix(contents, folder / "pairs", skew=skew).pairs)
    [row] = [row for row in rows if (row["source_key"], row["target_key"]) == ("s", "t")]
    names = sorted({*p, *q})
    arrays = [np.array([one[name] for name in names]) / sum(one.values()) for one in (p, q)]
    ours = float(skew_terms(*arrays, skew).sum())
    plain_nats = reference.skew_divergence(
        reference.distribution(p), reference.distribution(q), skew
    )
    assert row["kl_nats"] == pytest.approx(ours, abs=1e-9)
    assert row["kl_nats"] == pytest.approx(plain_nats, abs=1e-9)
    assert row["kl_alignment"] == pytest.approx(reference.kl_alignment(plain_nats, skew), abs=1e-9)
