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
    columns = shares.T
    n = shares.shape[0]
    weights = np.full(n, 1.0 / n)
    if start is not None:
        weights = 0.99 * start + 0.01 * weights
    step = 1.0
    nats, gradient = _divergence_and_gradient(weights, shares, columns, target, multiplicity)
    gap = _gap(weights, gradient)
    for _ in range(_STEPS):
        if gap <= gap_nats:
            break
        moved = weights * np.exp(-step * (gradient - gradient.min()))
        # A weight of 0 could never grow again.
        moved = np.maximum(moved / moved.sum(), _LEAST_WEIGHT)
        moved /= moved.sum()
        new, new_gradient = _divergence_and_gradient(moved, shares, columns, target, multiplicity)
        if new <= nats:
            weights, nats, gradient = moved, new, new_gradient
            gap = _gap(weights, gradient)
            step *= 1.5
        else:
            step /= 2
            if step < 1e-12:
                break
    return Weights(weights, nats, gap)


def mixture_divergence(
    weights: Floats, shares: "csr_array", target: Floats, multiplicity: Floats
) -> float:
    """Return the skew divergence of a mixture from a target, in nats."""
    return _divergence_and_gradient(weights, shares, shares.T, target, multiplicity)[0]


def _divergence_and_gradient(
    weights: Floats, shares: "csr_array", columns: "csc_array", target: Floats, multiplicity: Floats
) -> tuple[float, Floats]:
    # A sparse matrix times a vector sums on one thread, in a fixed order.
    p = columns @ weights
    at = slice(None) if p.all() else np.flatnonzero(p)
    terms, slopes = skew_terms_and_slopes(p[at], target[at])
    nats = sum_terms(terms, p[at], multiplicity[at])
    slopes_of_all = np.zeros(len(p))
    slopes_of_all[at] = (slopes - LARGEST_NATS) * multiplicity[at]
    gradient: Floats = LARGEST_NATS + shares @ slopes_of_all
    return max(nats, 0.0), gradient


def _gap(weights: Floats, gradient: Floats) -> float:
    return float((weights * gradient).sum() - gradient.min())
