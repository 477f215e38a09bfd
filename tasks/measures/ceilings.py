"""The highest alignment to expect with a target: that of two samples of its population."""

import math
from typing import Any, Final

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.measures.bootstrap import (
    replicates_per_batch,
    skew_divergences,
    uniforms,
)
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.measures.units import Sample, find_shared

N_SPLITS: Final = 200
"""How often a target is split into halves for its ceiling."""

_FEWEST_SPLITS: Final = 20
_NUMBERS_IN_SPLITS: Final = 20_000_000
# Keeps the splits independent of the replicates' weights.
_KEY_MASK: Final = np.uint64(0x5DEECE66D5DEECE6)


def ceiling_row(sample: Sample, name: str) -> dict[str, Any]:
    """Return the row of a target in the table of ceilings.

    The divergence of two samples of one population falls as a power of their size. Halves and
    quarters of the target give the power, from which the ceiling is extrapolated to two samples of
    the target's full size.
    """
    halves = split_divergences(sample, 2)
    quarters = split_divergences(sample, 4)
    half = _mean(halves)
    quarter = _mean(quarters)
    ceiling = None
    if half is not None and quarter is not None:
        ceiling = alignment(half * min(1.0, half / quarter if quarter else 1.0))
    ends = np.quantile(alignment(halves), [0.025, 0.975]) if half is not None else [None] * 2
    return {
        "target_sample": name,
        "ceiling": _round(ceiling),
        "half_alignment": _round(None if half is None else alignment(half)),
        "half_low": _round(ends[0]),
        "half_high": _round(ends[1]),
        "quarter_alignment": _round(None if quarter is None else alignment(quarter)),
        "unit": sample.unit,
        "n_units": len(sample.keys),
        "n_queries": sample.n_queries,
        "n_splits": _count_splits(sample),
    }


def _count_splits(sample: Sample) -> int:
    """Return how often to split a target: less often if it is large, as its splits hardly vary."""
    return min(N_SPLITS, max(_FEWEST_SPLITS, _NUMBERS_IN_SPLITS // max(1, sample.n_classes)))


def split_divergences(sample: Sample, parts: int) -> Floats:
    """Return the divergences between two random parts of a sample, one for each split.

    Args:
        sample: The corpus. Its units stay whole.
        parts: Each of the two parts has one in this many units.

    Returns:
        Nats; empty if there are too few units.
    """
    size = len(sample.keys) // parts
    if not size:
        return np.zeros(0)
    shared = find_shared(sample, sample)
    divergences = []
    splits = range(_count_splits(sample))
    per_batch = replicates_per_batch(2 * sample.n_classes)
    for start in splits[::per_batch]:
        drawn = uniforms(sample.keys ^ _KEY_MASK, splits[start : start + per_batch])
        place = np.empty(drawn.shape, np.int64)
        np.put_along_axis(
            place, drawn.argsort(axis=1, kind="stable"), np.arange(len(sample.keys))[None], axis=1
        )
        one, other = (
            sample.counts(((place >= first) & (place < first + size)).astype(np.float64))
            for first in (0, size)
        )
        divergences.append(skew_divergences(one, other, shared))
    drawn = np.concatenate(divergences)
    return drawn[np.isfinite(drawn)]


def _round(value: float | None) -> float | None:
    # To 12 digits, because processors differ in the last bits of a logarithm.
    return None if value is None else round(float(value), 12)


def _mean(values: Floats) -> float | None:
    return math.fsum(values) / len(values) if len(values) else None
