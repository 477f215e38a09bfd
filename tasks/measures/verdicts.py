"""From replicates to an interval, and from an interval to a verdict."""

import math
from typing import Final, NamedTuple

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats

CONFIDENCE: Final = 0.95


# How many standard errors of resampling lie between an interval's end and 0 that are no doubt.
_DOUBT: Final = 3.0


class Interval(NamedTuple):
    """An interval for a logarithm. Equal to ``Interval()`` where nothing can be resampled."""

    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    bias: float | None = None


def student_interval(
    estimate: float, replicates: Floats, n_units: int, confidence: float = CONFIDENCE
) -> Interval:
    """A t interval about an estimate, that reaches on to where its bias would put it.

    Resampling leaves some n-grams out, and so lowers an alignment once more, as drawing the sets
    did: the replicates' mean lies as far below the estimate as, in the best case, the estimate lies
    below the alignment of the populations. Quantiles of the replicates (percentile interval) have
    that bias twice; reflected ones (basic) hold the populations' value at best, not the one at the
    sets' sizes. This interval holds both where any does: see ``docs/how-sure.md``.

    Args:
        estimate: The logarithm of an alignment or ratio.
        replicates: What it is in each replicate; NaN where nothing was drawn.
        n_units: How many units the smallest of the sets has.
        confidence: The share of intervals that should hold the truth.

    Returns:
        The ends, the standard error and the bias (the replicates' mean minus the estimate).
    """
    from scipy.special import stdtrit

    drawn = replicates[np.isfinite(replicates)]
    if n_units < 2 or len(drawn) < 2:
        return Interval()
    deviations = drawn - estimate
    bias = math.fsum(deviations) / len(drawn)
    error = math.sqrt(math.fsum((deviations - bias) ** 2) / (len(drawn) - 1))
    reach = float(stdtrit(n_units - 1, (1 + confidence) / 2)) * error
    return Interval(
        estimate + min(0.0, -bias) - reach, estimate + max(0.0, -bias) + reach, error, bias
    )


def verdict_of(interval: Interval) -> str:
    """``gain`` where a ratio's interval is above 1, ``no gain`` where below, else ``undecided``."""
    if interval.low is None or interval.high is None:
        return "undecided"
    return "gain" if interval.low > 0 else "no gain" if interval.high < 0 else "undecided"


def is_doubtful(interval: Interval, n_replicates: int, n_units: int) -> bool:
    """Whether more replicates could change a verdict: an end lies too close to a ratio of 1."""
    from scipy.special import stdtrit

    if interval.low is None or interval.high is None or interval.standard_error is None:
        return False
    t = float(stdtrit(n_units - 1, (1 + CONFIDENCE) / 2))
    # Variances of a mean and of a standard deviation of n normal numbers.
    noise = interval.standard_error * math.sqrt((1 + t * t / 2) / n_replicates)
    return min(abs(interval.low), abs(interval.high)) < _DOUBT * noise
