"""Intervals from replicates, and verdicts from intervals and what is known beside them."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats

CONFIDENCE: Final = 0.95
"""The share of intervals that should contain the true value."""

COIN_FLIP_RATIO: Final = 1.1
"""Between this ratio and its inverse, studied changes went either way: see ``docs/how-sure.md``."""

# A verdict is safe if the interval's end is at least this many resampling errors away from 0.
_SAFE_DISTANCE: Final = 3.0


class Interval(NamedTuple):
    """An interval for a logarithm. Equal to ``Interval()`` if nothing can be resampled."""

    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    bias: float | None = None

    def shifted(self, by: float) -> "Interval":
        """Return the interval with its ends moved."""
        if self.low is None or self.high is None:
            return self
        return self._replace(low=self.low + by, high=self.high + by)


def student_interval(
    estimate: float, replicates: Floats, n_units: int, confidence: float = CONFIDENCE
) -> Interval:
    """Return a t interval around an estimate and its bias-corrected value.

    Resampling omits some n-grams and so lowers an alignment, just as drawing the sets from their
    populations did. At best, the mean of the replicates is as far below the estimate as the
    estimate is below the alignment of the populations. Percentile intervals contain this bias
    twice. Basic (reflected) intervals contain the value of the populations at best, but not the
    value at the sets' sizes. This interval contains both if any interval does: see
    ``docs/how-sure.md``.

    Args:
        estimate: The logarithm of an alignment or a ratio.
        replicates: Its value in each replicate; NaN where nothing was drawn.
        n_units: The number of units in the smallest of the sets.
        confidence: The share of intervals that should contain the true value.

    Returns:
        The ends, the standard error and the bias (the mean of the replicates minus the estimate).
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
    """Return ``gain`` for a ratio above 1, ``no gain`` below 1, and otherwise ``undecided``."""
    if interval.low is None or interval.high is None:
        return "undecided"
    return "gain" if interval.low > 0 else "no gain" if interval.high < 0 else "undecided"


def is_doubtful(interval: Interval, n_replicates: int, n_units: int) -> bool:
    """Return whether more replicates could change a verdict: an end is close to a ratio of 1."""
    from scipy.special import stdtrit

    if interval.low is None or interval.high is None or interval.standard_error is None:
        return False
    t = float(stdtrit(n_units - 1, (1 + CONFIDENCE) / 2))
    # The variances of the mean and of the standard deviation of n normal numbers.
    noise = interval.standard_error * math.sqrt((1 + t * t / 2) / n_replicates)
    return min(abs(interval.low), abs(interval.high)) < _SAFE_DISTANCE * noise


@dataclass(frozen=True)
class Evidence:
    """What a verdict depends on beside its interval.

    Attributes:
        covered_share: The share of the target's queries whose template the training set has.
        right_share: The share of them whose template the answers have: each in its place, if
            questions are known, or anywhere among them.
        is_in_place: Whether the former.
        has_reasoning: Whether the training set has answers with reasoning (``style = "cot"``).
    """

    covered_share: float
    right_share: float
    is_in_place: bool
    has_reasoning: bool


def judge(verdict: str, ln_ratio: float, evidence: Evidence, noun: str) -> tuple[str, list[str]]:
    """Withhold the verdict of an interval where it has not been shown to hold.

    Args:
        verdict: The verdict of the interval.
        ln_ratio: The logarithm of the ratio.
        evidence: What is known beside it.
        noun: The name of the ratio, for the reasons.

    Returns:
        The verdict, or ``undecided``, and why it was withheld, a sentence for each reason.
    """
    if verdict == "undecided":
        return verdict, []
    reasons = []
    if evidence.has_reasoning:
        reasons.append(
            'the training set has answers with reasoning (style = "cot"), which also teach what '
            "structure does not show"
        )
    if abs(ln_ratio) < math.log(COIN_FLIP_RATIO):
        reasons.append(
            f"a {noun} from {1 / COIN_FLIP_RATIO:.2f} to {COIN_FLIP_RATIO:.2f} was a coin flip in "
            "studied changes"
        )
    if verdict == "gain" and evidence.covered_share < evidence.right_share:
        already = "get right already" if evidence.is_in_place else "contain"
        reasons.append(
            f"the training set has the templates of {evidence.covered_share:.1%} of the target, "
            f"and the answers {already} {evidence.right_share:.1%}"
        )
    return ("undecided" if reasons else verdict), reasons
