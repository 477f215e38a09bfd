"""The mixture of distributions that is closest to a target."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.measures.divergence import (
    LARGEST_NATS,
    skew_terms_and_slopes,
    sum_terms,
)

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

GAP_NATS: Final = 1e-5
"""How far the divergence of a mixture may be above the lowest possible, by default."""

_LEAST_WEIGHT: Final = 1e-9
_STEPS: Final = 5000
_LEAST_STEP: Final = 1e-12


@dataclass(frozen=True)
class Weights:
    """The weights of a mixture.

    Attributes:
        weights: The share of n-grams from each distribution.
        kl_nats: The skew divergence of the mixture from the target.
        gap_nats: A bound for how far the divergence is above the lowest possible.
    """

    weights: Floats
    kl_nats: float
    gap_nats: float


def nearest_mixture(
    shares: "csr_array",
    target: Floats,
    multiplicity: Floats,
    start: Floats | None = None,
    gap_nats: float = GAP_NATS,
) -> Weights:
    """Find the weights whose mixture has the lowest skew divergence from a target.

    The divergence D(sum_k w_k P_k || Q) is convex in w, because its terms are convex in p and p is
    linear in w. This is exponentiated gradient descent (Kivinen and Warmuth 1997), with a step that
    halves when it fails and grows when it succeeds. It ends when the Frank-Wolfe gap, an upper
    bound of how much lower the divergence can get, is small enough.

    Args:
        shares: The n-gram distribution of each source (row), over the n-grams that the target has.
            Its other n-grams are the rest of its probability.
        target: The n-gram distribution of the target.
        multiplicity: The number of n-grams that share each column.
        start: Weights to start from; by default all equal.
        gap_nats: The gap at which to end.
    """
    [found] = nearest_mixtures(shares, target[None], multiplicity, start, gap_nats)
    return found


def nearest_mixtures(
    shares: "csr_array",
    targets: Floats,
    multiplicity: Floats,
    start: Floats | None = None,
    gap_nats: float = GAP_NATS,
    numbers_per_block: int = 500_000,
) -> list[Weights]:
    """Find the nearest mixture for each of several targets (rows), in less time than one by one.

    Args:
        shares: As for ``nearest_mixture``.
        targets: The n-gram distribution of each target.
        multiplicity: As for ``nearest_mixture``.
        start: Likewise.
        gap_nats: Likewise.
        numbers_per_block: How many probabilities of targets to process at a time. Limits memory,
            and changes no bit.
    """
    # All weights stay positive, so that only n-grams that no source has keep the probability 0.
    in_any = np.flatnonzero(shares.sum(axis=0))
    if len(in_any) < shares.shape[1]:
        shares, targets, multiplicity = shares[:, in_any], targets[:, in_any], multiplicity[in_any]
    step = max(1, numbers_per_block // max(1, len(in_any)))
    return [
        found
        for first in range(0, len(targets), step)
        for found in _descend(shares, targets[first : first + step], multiplicity, start, gap_nats)
    ]


def _descend(
    shares: "csr_array",
    targets: Floats,
    multiplicity: Floats,
    start: Floats | None,
    gap_nats: float,
) -> list[Weights]:
    """Descend for all targets (rows) at once, each with a step of its own."""
    n = shares.shape[0]
    weights = np.full((len(targets), n), 1.0 / n)
    if start is not None:
        weights = 0.99 * start + 0.01 * weights
    columns = shares.T
    nats, gradients = _divergences_and_gradients(weights, shares, columns, targets, multiplicity)
    gaps = _gaps(weights, gradients)
    steps = np.ones(len(targets))
    for _ in range(_STEPS):
        open_ = np.flatnonzero((gaps > gap_nats) & (steps >= _LEAST_STEP))
        if not len(open_):
            break
        slopes = gradients[open_]
        moved = weights[open_] * np.exp(
            -steps[open_, None] * (slopes - slopes.min(axis=1, keepdims=True))
        )
        # A weight of 0 could never grow again.
        moved = np.maximum(moved / moved.sum(axis=1, keepdims=True), _LEAST_WEIGHT)
        moved /= moved.sum(axis=1, keepdims=True)
        some = targets if len(open_) == len(targets) else targets[open_]
        new, new_gradients = _divergences_and_gradients(moved, shares, columns, some, multiplicity)
        is_better = new <= nats[open_]
        better = open_[is_better]
        weights[better], nats[better] = moved[is_better], new[is_better]
        gradients[better] = new_gradients[is_better]
        gaps[better] = _gaps(weights[better], gradients[better])
        steps[open_] *= np.where(is_better, 1.5, 0.5)
    return [Weights(*row) for row in zip(weights, nats.tolist(), gaps.tolist(), strict=True)]


def mixture_divergence(
    weights: Floats, shares: "csr_array", target: Floats, multiplicity: Floats
) -> float:
    """Return the skew divergence of a mixture from a target, in nats."""
    p = shares.T @ weights
    at = np.flatnonzero(p)
    terms, _ = skew_terms_and_slopes(p[at], target[at])
    return max(float(sum_terms(terms, p[at], multiplicity[at])), 0.0)


def _divergences_and_gradients(
    weights: Floats,
    shares: "csr_array",
    columns: "csc_array",
    targets: Floats,
    multiplicity: Floats,
) -> tuple[Floats, Floats]:
    """Return the divergence of each mixture (row) from its target, and the gradient (row).

    All mixtures have each n-gram.
    """
    # A sparse times a dense matrix sums on one thread, in a fixed order.
    p = np.ascontiguousarray((columns @ weights.T).T)
    nats, slopes = np.empty(len(p)), np.empty_like(p)
    # Row by row: the many intermediate arrays of all rows are too large for the processor's cache.
    for row, (of_mixture, target) in enumerate(zip(p, targets, strict=True)):
        terms, slopes[row] = skew_terms_and_slopes(of_mixture, target)
        nats[row] = sum_terms(terms, of_mixture, multiplicity)
    slopes -= LARGEST_NATS
    slopes *= multiplicity
    gradients = LARGEST_NATS + np.ascontiguousarray((shares @ slopes.T).T)
    return np.maximum(nats, 0.0), gradients


def _gaps(weights: Floats, gradients: Floats) -> Floats:
    gaps: Floats = (weights * gradients).sum(axis=1) - gradients.min(axis=1)
    return gaps
