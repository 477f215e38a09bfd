"""The divergences and the KL-alignment: the only Python module that spells out their formulas.

``sql/measures/matrix`` computes the same measures for all pairs of corpora. Property tests check
both against a plain reference.
"""

import math
from typing import Final, overload

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats

SKEW: Final = 0.01
"""The share of the source that is mixed into the target that it is compared with."""

EPSILON: Final = 1e-8
"""The amount that the additive divergence adds to each probability."""


def largest_nats(skew: float = SKEW) -> float:
    """Return the skew divergence of two distributions that share nothing, in nats."""
    return math.log(1 / skew)


LARGEST_NATS: Final = largest_nats()
"""The largest skew divergence, in nats, and the scale of the KL-alignment."""


@overload
def alignment(nats: float) -> float: ...


@overload
def alignment(nats: Floats) -> Floats: ...


def alignment(nats: float | Floats) -> float | Floats:
    """Return the KL-alignment ``exp(-D / ln(1 / skew))`` of skew divergences in nats.

    It is 1 for equal distributions and 1/e for distributions that share nothing. Source: the
    section on KL-alignment in arXiv 2510.04919; the scale is that of specification, section 4.
    """
    if isinstance(nats, float):
        return float(np.exp(log_alignment(nats)))
    return np.exp(log_alignment(nats))


@overload
def log_alignment(nats: float) -> float: ...


@overload
def log_alignment(nats: Floats) -> Floats: ...


def log_alignment(nats: float | Floats) -> float | Floats:
    """Return the natural logarithm of the KL-alignment of skew divergences in nats."""
    return -nats / LARGEST_NATS


def skewed_ratios(
    p: Floats,
    q: Floats,
    p_total: float | Floats = 1.0,
    q_total: float | Floats = 1.0,
    skew: float = SKEW,
    out: Floats | None = None,
) -> Floats:
    """Return ``((1 - skew) q + skew p) / p`` for each n-gram.

    All uses of the skew divergence D = sum p ln(p / ((1 - skew) q + skew p)) start here. Source:
    Lee 1999, "Measures of Distributional Similarity" (ACL), and Lee 2001 (AISTATS).

    Args:
        p: The source: probabilities, or counts that sum to ``p_total``. Where it is 0, the result
            is infinite, or NaN if ``q`` is 0 too.
        q: The target, in the same form. Shapes broadcast.
        p_total: The sum of the source's counts.
        q_total: The sum of the target's counts.
        skew: The share of the source that is mixed into the target.
        out: Where to put the result. It may be ``q``.
    """
    ratios: Floats = np.divide(q, p, out=out)
    ratios *= (1 - skew) * p_total / q_total
    ratios += skew
    return ratios


def skew_terms(p: Floats, q: Floats, skew: float = SKEW) -> Floats:
    """Return the term of each n-gram in the skew divergence, in nats; 0 where ``p`` is 0.

    Args:
        p: The probabilities of n-grams in one or several sources (rows).
        q: Those in the target, or in several targets (rows) if there is one source: then terms are
            means over the targets.
        skew: The share of the source that is mixed into the target.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = skewed_ratios(p, q, skew=skew)
        np.log(terms, out=terms)
        if q.ndim > p.ndim:
            terms = terms.mean(axis=0)
        terms *= -p
    np.putmask(terms, p == 0, 0.0)
    return terms


def skew_terms_and_slopes(p: Floats, q: Floats, skew: float = SKEW) -> tuple[Floats, Floats]:
    """Return the terms of n-grams with ``p > 0``, in nats, and their derivatives in ``p``.

    Args:
        p: The probabilities of n-grams in the source, above 0; or in several sources (rows).
        q: Those in the target, or in the target of each source (row). If there is one source, it
            may have several targets (rows): then results are means over these.
        skew: The share of the source that is mixed into the target.
    """
    ratios = skewed_ratios(p, q, skew=skew)
    logs = np.log(ratios)
    shares = np.divide(skew, ratios, out=ratios)
    if q.ndim > p.ndim:
        logs, shares = logs.mean(axis=0), shares.mean(axis=0)
    return -p * logs, 1 - logs - shares


def sum_terms(terms: Floats, p: Floats, n_ngrams: Floats) -> Floats:
    """Return the skew divergence, in nats, from the terms of n-grams that the target may have.

    N-grams of the source that are not among these add ``ln(1 / skew)`` times their probability.

    Args:
        terms: The term of each n-gram (column), in one or several sources (rows).
        p: Its probability in the source.
        n_ngrams: How many n-grams have this term and probability.

    Returns:
        A number for each source.
    """
    sums: Floats = ((terms - LARGEST_NATS * p) * n_ngrams).sum(axis=-1)
    return LARGEST_NATS + sums


def add_unshared(shared_nats: Floats, shared_p: Floats, skew: float = SKEW) -> Floats:
    """Return skew divergences, in nats, from the sums over n-grams that the target may have.

    N-grams of the source that are not among these add ``ln(1 / skew)`` times their probability.

    Args:
        shared_nats: The sums of the terms.
        shared_p: The sums of the source's probabilities.
        skew: The share of the source that is mixed into the target.
    """
    # -ln(skew) and ln(1 / skew) differ in the last bit, on which stored replicates depend.
    return -math.log(skew) * (1 - shared_p) + shared_nats


def additive_alone_as_target(q: Floats, n_ngrams: Floats) -> Floats:
    """Return the part of a target in the additive divergence from a source that shares nothing.

    Args:
        q: The probabilities in the target: a row per sample, a column per class of n-grams.
        n_ngrams: How many n-grams each class has.

    Returns:
        Nats, one number per sample, not yet divided by the total of the smoothed probabilities.
    """
    return _weighted_sums(EPSILON * (math.log(EPSILON) - np.log(q + EPSILON)), n_ngrams)


def additive_divergences(
    p: Floats, q: Floats, n_ngrams: Floats, alone: Floats, n_union: Floats
) -> Floats:
    """Return the additive divergence of a source from each sample of a target, in nats.

    Source: specification, section 4; ``sql/measures/matrix/divergences.sql`` has the closed form.

    Args:
        p: The probabilities in the source of each class of shared n-grams.
        q: Those in the target, a row per sample.
        n_ngrams: How many n-grams each class has.
        alone: The sum of the parts of source and sample if they shared nothing.
        n_union: How many n-grams either has.
    """
    to_target = math.log(EPSILON) - np.log(q + EPSILON)
    corrections = (p + EPSILON) * to_target - EPSILON * to_target
    total: Floats = alone + _weighted_sums(corrections, n_ngrams)
    return total / (1 + EPSILON * n_union)


def jensen_shannon_divergences(p: Floats, q: Floats, n_ngrams: Floats) -> Floats:
    """Return the Jensen-Shannon divergence of a source and each sample of a target, in nats.

    Args:
        p: The probabilities in the source of each class of n-grams that both may have.
        q: Those in the target, a row per sample.
        n_ngrams: How many n-grams each class has.
    """
    middle = np.log((p + q) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(q > 0, p * (np.log(p) - middle) + q * (np.log(q) - middle), 0.0)
    both = _weighted_sums((q > 0) * p + q, n_ngrams)
    result: Floats = (math.log(2) * (2 - both) + _weighted_sums(terms, n_ngrams)) / 2
    return result


def _weighted_sums(values: Floats, weights: Floats) -> Floats:
    """Sum the weighted values of each row in a fixed order, unlike BLAS with several threads."""
    sums: Floats = (values * weights).sum(axis=-1)
    return sums
