"""Intervals from replicates, and verdicts from intervals and further evidence."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.measures.doubts import LEAKED

CONFIDENCE: Final = 0.95
"""The share of intervals that should contain the true value."""

UNDECIDED_RATIOS: Final = (0.8, 1.1)
"""A study found gains and losses between these Alignment Ratios: see ``docs/how-sure.md``."""

UNDECIDED_REACH_RATIOS: Final = (0.9, 1.1)
"""The same for reach ratios. Parts unlike the target do not count against a mixture in these."""

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
    estimate: float, replicates: Floats, n_units: float, confidence: float = CONFIDENCE
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
        n_units: The number of units in the smallest of the sets, by weight.
        confidence: The share of intervals that should contain the true value.

    Returns:
        The ends, the standard error and the bias (the mean of the replicates minus the estimate).
    """
    drawn = replicates[np.isfinite(replicates)]
    if n_units <= 1 or len(drawn) < 2:
        return Interval()
    deviations = drawn - estimate
    bias = math.fsum(deviations) / len(drawn)
    error = math.sqrt(math.fsum((deviations - bias) ** 2) / (len(drawn) - 1))
    half_width = _quantile(n_units, confidence) * error
    return Interval(
        estimate + min(0.0, -bias) - half_width,
        estimate + max(0.0, -bias) + half_width,
        error,
        bias,
    )


def _quantile(n_units: float, confidence: float) -> float:
    """Return the t quantile for this many units; one degree of freedom is the least."""
    from scipy.special import stdtrit

    return float(stdtrit(max(1.0, n_units - 1), (1 + confidence) / 2))


def verdict_of(interval: Interval) -> str:
    """Return ``gain`` for a ratio above 1, ``no gain`` below 1, and otherwise ``undecided``."""
    if interval.low is None or interval.high is None:
        return "undecided"
    return "gain" if interval.low > 0 else "no gain" if interval.high < 0 else "undecided"


def is_doubtful(interval: Interval, n_replicates: int, n_units: float) -> bool:
    """Return whether more replicates could change a verdict: an end is close to a ratio of 1."""
    if interval.low is None or interval.high is None or interval.standard_error is None:
        return False
    t = _quantile(n_units, CONFIDENCE)
    # The variances of the mean and of the standard deviation of n normal numbers.
    noise = interval.standard_error * math.sqrt((1 + t * t / 2) / n_replicates)
    return min(abs(interval.low), abs(interval.high)) < _SAFE_DISTANCE * noise


@dataclass(frozen=True)
class Evidence:
    """The evidence on which a verdict depends, besides its interval.

    Attributes:
        covered_share: The share of the target's queries whose template the training set has.
        right_share: The share of them whose template the answers have: each in its place, if
            questions are known, or anywhere among them.
        is_in_place: Whether the answers were compared in their places.
        has_reasoning: Whether the training set has answers with reasoning (``style = "cot"``).
        is_grouped: Whether the parts of the training set are groups of templates.
        copied_share: The share of the target's queries whose text the training set has; 0 if it is
            unknown.
    """

    covered_share: float
    right_share: float
    is_in_place: bool
    has_reasoning: bool
    is_grouped: bool
    copied_share: float = 0.0


def judge_ratio(verdict: str, ln_ratio: float, known: Evidence) -> tuple[str, list[str]]:
    """Withhold the verdict of an Alignment Ratio where it has not been shown to hold.

    Args:
        verdict: The verdict of the interval.
        ln_ratio: The logarithm of the ratio.
        known: The further evidence.

    Returns:
        The verdict, or ``undecided``, and why it was withheld, a sentence for each reason.
    """
    return _withhold(
        verdict, [*_near_one(ln_ratio, UNDECIDED_RATIOS, ""), *_find_reasons(verdict, known)]
    )


def judge_reach_ratio(
    verdict: str, ln_reach_ratio: float, ln_ratio: float, known: Evidence
) -> tuple[str, list[str]]:
    """Withhold the verdict of a reach ratio where it has not been shown to hold.

    Args:
        verdict: The verdict of the interval.
        ln_reach_ratio: The logarithm of the reach ratio.
        ln_ratio: The logarithm of the Alignment Ratio.
        known: The further evidence.

    Returns:
        As ``judge_ratio``.
    """
    reasons = _near_one(ln_reach_ratio, UNDECIDED_REACH_RATIOS, "reach ")
    if known.is_grouped and verdict == "gain" and ln_ratio <= 0:
        reasons.append(
            "the reach ratio is above 1 by groups of templates only, which flatter a training set "
            "of one source; if it has several, name them (columns.part)"
        )
    return _withhold(verdict, [*reasons, *_find_reasons(verdict, known)])


def _near_one(ln_ratio: float, bounds: tuple[float, float], kind: str) -> list[str]:
    low, high = bounds
    if not math.log(low) <= ln_ratio < math.log(high):
        return []
    return [f"a study found gains and losses at {kind}ratios from {low} to {high}"]


def _find_reasons(verdict: str, known: Evidence) -> list[str]:
    reasons = []
    if verdict == "gain" and known.covered_share <= known.right_share:
        already = "get right already" if known.is_in_place else "contain"
        reasons.append(
            f"the training set has the templates of {known.covered_share:.1%} of the target, "
            f"and the answers {already} {known.right_share:.1%}"
        )
    if verdict == "gain" and known.copied_share >= LEAKED:
        reasons.append(
            "the training set is close to the target by copies of its queries, which says nothing "
            "about other queries"
        )
    if known.has_reasoning:
        reasons.append(
            'the training set has answers with reasoning (style = "cot"), which also teach skills '
            "that structure does not show"
        )
    return reasons


def _withhold(verdict: str, reasons: list[str]) -> tuple[str, list[str]]:
    if verdict == "undecided" or not reasons:
        return verdict, []
    return "undecided", reasons
