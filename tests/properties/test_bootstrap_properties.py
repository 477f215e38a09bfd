"""Replicates equal those that are drawn by hand from databases or queries."""

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nl2sql_align.tasks.measures.bootstrap import (
    Counts,
    Shared,
    group_ngrams,
    poisson_weights,
    skew_divergences,
    unit_keys,
)
from nl2sql_align.tasks.measures.intervals import compute_intervals
from nl2sql_align.tasks.measures.matrix import Content, compute_matrix
from nl2sql_align.tasks.measures.options import Resampling, Unit
from nl2sql_align.tasks.measures.units import digest_templates
from nl2sql_align.tasks.ngrams.count import ngram_incidence
from tests import reference
from tests.properties.strategies import some_templates, templates

REPLICATES = 6
databases = st.sampled_from(["one", "two", "three", None])


@st.composite
def corpora(draw):
    """Return training set, target and predictions: the template and database of each query."""
    few = draw(some_templates)
    template = st.sampled_from([*few, None])
    rows = st.lists(st.tuples(template, databases), min_size=1, max_size=10)
    train, target = draw(rows), draw(rows)
    size = len(target) if draw(st.booleans()) else draw(st.integers(1, 10))
    answers = draw(st.lists(st.tuples(template, databases), min_size=size, max_size=size))
    return {"train": train, "dev": target, "base": answers}


def weights_by_hand(rows, asked, owner, unit):
    """Return how often each query is drawn in each replicate.

    Its unit is that of the query at its place in ``asked``.
    """
    named = [
        f"database {asked[i][1]}" if unit == "database" and asked[i][1] else f"query {i}"
        for i in range(len(rows))
    ]
    drawn = {
        name: poisson_weights(unit_keys(owner, [name]), range(REPLICATES))[:, 0]
        for name in set(named)
    }
    return [[int(drawn[name][r]) for name in named] for r in range(REPLICATES)]


def is_by_database(rows):
    known = [database for template, database in rows if template is not None]
    named = [database for database in known if database is not None]
    return len(set(named)) > 1 and len(named) >= 0.9 * len(known)


@settings(max_examples=8)
@given(corpora(), st.sampled_from(Unit))
def test_replicates_equal_those_made_by_hand(tmp_path_factory, make_corpus, corpora, wanted):
    for rows in corpora.values():
        assume(reference.ngram_counts(template for template, _ in rows if template))
    folder = tmp_path_factory.mktemp("resampled")
    roles = {"train": {}, "dev": {"role": "target"}}
    roles["base"] = {"role": "predictions", "target": "dev"}
    made = [
        make_corpus(folder, name, [t for t, _ in rows], db_ids=[d for _, d in rows], **roles[name])
        for name, rows in corpora.items()
    ]
    contents = [
        Content(c.content_key, c.entry.name, c.ngrams, c.templates, c.entry.role == "target")
        for c in made
    ]
    pairs = compute_matrix(contents, folder / "pairs").pairs
    how = Resampling(REPLICATES, wanted)
    report = compute_intervals(made, pairs, folder / "intervals", how)
    [file] = (folder / "intervals").glob("replicates-*")
    found = pl.read_parquet(file).rows(named=True)

    stems = {corpus.entry.name: corpus.queries.stem for corpus in made}
    owners = {corpus.entry.name: digest_templates(corpus.templates) for corpus in made}
    is_paired = len(corpora["base"]) == len(corpora["dev"])
    replicates = {}
    for name, rows in corpora.items():
        asked = "dev" if name == "base" and is_paired else name
        by_database = wanted == "database" and is_by_database(corpora[asked])
        unit = "database" if by_database else "query"
        drawn = weights_by_hand(rows, corpora[asked], owners[asked], unit)
        replicates[name] = unit, [distribution(rows, weights) for weights in drawn]
    published = pl.read_parquet(report.intervals).rows(named=True)
    expected = {}
    for source in ("train", "base"):
        if stems[source] == stems["dev"]:
            continue
        of_source, of_target = replicates[source], replicates["dev"]
        expected[source] = [
            reference.skew_divergence(p, q) if p and q else None
            for p, q in zip(of_source[1], of_target[1], strict=True)
        ]
        [row] = [row for row in published if row["source"] == source]
        assert (row["source_unit"], row["target_unit"]) == (of_source[0], of_target[0])
        assert row["is_paired"] == (source == "base" and is_paired)
    values = [[None if v != v else v for v in row["kl_nats"]] for row in found]
    for row in expected.values():
        assert any(
            all(
                a is b is None or (a is not None and b == pytest.approx(a, abs=1e-9))
                for a, b in zip(row, other, strict=True)
            )
            for other in values
        )


def distribution(rows, weights):
    drawn = [t for (t, _), n in zip(rows, weights, strict=True) if t is not None for _ in range(n)]
    counts = reference.ngram_counts(drawn)
    return reference.distribution(counts) if counts else None


@given(st.lists(templates, min_size=1, max_size=6, unique=True), st.integers(1, 6))
def test_classes_have_the_counts_of_their_ngrams(some, rows_per_block):
    incidence = ngram_incidence(pl.Series(some))
    classes = group_ngrams(incidence.counts, rows_per_block)
    counts = incidence.counts.toarray()
    assert (classes.counts.toarray()[:, classes.of_ngram] == counts).all()
    assert classes.counts.shape[1] == len({tuple(column) for column in counts.T})
    assert (classes.totals == counts.sum(axis=1)).all()


def test_replicates_at_once_equal_those_one_by_one():
    rng = np.random.default_rng(3)
    source, target = (
        Counts(some, some.sum(axis=0) + 1) for some in rng.poisson(2, (2, 500, 7)).astype(float)
    )
    shared = Shared(*rng.integers(0, 500, (2, 700)), rng.integers(1, 4, 700).astype(float))
    at_once = skew_divergences(source, target, shared)
    one_by_one = [
        skew_divergences(
            *(Counts(c.by_class[:, [i]], c.totals[[i]]) for c in (source, target)), shared
        )
        for i in range(7)
    ]
    assert at_once.tobytes() == np.concatenate(one_by_one).tobytes()
