"""Reach: the KL-alignment with a target of the best mixture of a training set's parts.

In a divergence, queries unlike the target's count against a training set. A tuned model answers the
question before it, so such queries cost little: published models that were tuned on mixtures keep
the gain of the best source. See ``docs/definitions.md``.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.measures.bootstrap import (
    Counts,
    Shared,
    replicate_counts,
    skew_divergences,
)
from nl2sql_align.tasks.measures.mixtures import (
    mixture_divergence,
    nearest_mixture,
    nearest_mixtures,
)
from nl2sql_align.tasks.measures.parts import PartsBy
from nl2sql_align.tasks.measures.units import Sample, find_shared

if TYPE_CHECKING:
    from scipy.sparse import csr_array

GAP_NATS: Final = 0.01
"""The search for weights ends this close to the lowest divergence: 0.2% of a ratio."""


@dataclass(frozen=True)
class Reach:
    """The best mixture of a training set's parts.

    Attributes:
        nats: The divergence of the mixture from the target, on queries that did not choose it.
        chosen_nats: The same on the queries that chose it.
        parted_by: How the training set was divided into parts.
        n_parts: The number of parts.
        is_mixed: Whether a mixture is closer than the training set itself.
        weights: The share of n-grams from each part; None if they are not needed.
    """

    nats: float
    chosen_nats: float
    parted_by: PartsBy
    n_parts: int
    is_mixed: bool
    weights: Floats | None = None


def find_reach(train: Sample, target: Sample, shared: Shared | None = None) -> Reach:
    """Weigh the parts of a training set so that they are as close as possible to a target.

    Weights gain on the queries that choose them. How much is measured by halves of the target, each
    judged by its own weights and by those of the other half. Weights from a half gain twice as much
    as those from the whole target, so half of the difference is added to the divergence. The set
    itself is one of the mixtures: reach is never below its alignment.

    Args:
        train: The training set, with its rows.
        target: The target. Its units (databases or queries) stay whole in a split.
        shared: The n-grams that both have, if they are known.
    """
    rows = train.rows
    shared = shared or find_shared(train, target)
    plain_nats = round(float(skew_divergences(train.whole, target.whole, shared)[0]), 12)
    if rows is None or rows.n_parts < 2 or len(target.keys) < 2:
        by, n_parts = (PartsBy.NONE, 1) if rows is None else (rows.parted_by, rows.n_parts)
        return Reach(plain_nats, plain_nats, by, n_parts, False)
    totals = train.part_totals
    used = np.flatnonzero(totals)
    shares = train.part_shares[:, shared.of_source].tocsr()
    whole = _distributions(target.whole, shared.of_target)[0]
    best = nearest_mixture(shares, whole, shared.n_ngrams, gap_nats=GAP_NATS)
    # To 12 digits, because processors differ in the last bits of a logarithm.
    chosen_nats = nats = round(best.kl_nats, 12)
    if nats < plain_nats:
        halves = _distributions(target.halves, shared.of_target)
        nats = round(best.kl_nats + measure_optimism(shares, halves, shared.n_ngrams) / 2, 12)
    if nats >= plain_nats:
        return Reach(plain_nats, plain_nats, rows.parted_by, rows.n_parts, False)
    weights = np.zeros(len(totals))
    weights[used] = best.weights
    return Reach(nats, chosen_nats, rows.parted_by, rows.n_parts, True, weights)


def _distributions(counts: Counts, classes: Integers) -> Floats:
    """Return the share of each n-gram of some classes (column) in each sample (row).

    It is NaN where a sample has no n-gram.
    """
    totals = np.where(counts.totals > 0, counts.totals, np.nan)
    return np.ascontiguousarray((counts.by_class[classes] / totals).T)


def measure_optimism(shares: "csr_array", halves: Floats, n_ngrams: Floats) -> float:
    """Return how much lower the divergence is on the half that chose the weights, in nats.

    Args:
        shares: The n-gram distribution of each part (row), over the n-grams that the target has.
        halves: Those of both halves of the target (rows) for each split, in turn. NaN marks a half
            without n-grams.
        n_ngrams: The number of n-grams that share each column.
    """
    pairs = halves.reshape(-1, 2, halves.shape[1])
    pairs = pairs[np.isfinite(pairs).all(axis=(1, 2))]  # drop halves without n-grams
    halves = pairs.reshape(-1, halves.shape[1])
    best = nearest_mixtures(shares, halves, n_ngrams, gap_nats=GAP_NATS)
    differences = [
        mixture_divergence(best[place ^ 1].weights, shares, half, n_ngrams) - best[place].kl_nats
        for place, half in enumerate(halves)
    ]
    return max(0.0, math.fsum(differences) / len(differences)) if differences else 0.0


def weigh_units(train: Sample, weights: Floats) -> "csr_array":
    """Return the queries of each unit (row) with each template (column) in a mixture of parts.

    Args:
        train: The training set.
        weights: The share of n-grams from each part.
    """
    from scipy.sparse import coo_array

    assert train.rows is not None
    rows = train.rows
    totals = train.part_totals
    with np.errstate(divide="ignore", invalid="ignore"):
        per_query = np.where(totals > 0, weights / totals, 0.0)
    of_units = coo_array(
        (rows.n_queries * per_query[rows.parts], (rows.units, rows.templates)),
        shape=train.of_units.shape,
    )
    return of_units.tocsr()


def mixture_counts(train: Sample, mixed: "csr_array", weights: Floats) -> Counts:
    """Return the n-gram counts of a mixture of parts.

    Args:
        train: The training set.
        mixed: Its units in the mixture, from ``weigh_units``.
        weights: The weights of units (columns) in each replicate (row).
    """
    return replicate_counts(train.classes, mixed.T @ weights.T)
