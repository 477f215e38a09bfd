"""How well a target could be aligned at best: the alignment of two samples of its population."""

import math
from typing import Any, Final

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.measures.bootstrap import (
    replicates_at_a_time,
    skew_divergences,
    uniforms,
)
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.measures.units import (
    Sample,
    shared_by,
)

N_SPLITS: Final = 200
"""How often a target is split into halves for its ceiling."""


LEAST_SPLITS: Final = 20
"""So often where a target has a million classes of n-grams: its halves hardly differ."""


_NUMBERS_IN_SPLITS: Final = 20_000_000


def ceiling_row(sample: Sample, name: str) -> dict[str, Any]:
    """How well halves of a target are aligned, and what that says of the whole.

    The divergence of two samples of one population falls as a power of their size; which power,
    quarters and halves tell. Carried on, it gives that of two samples of the target's full size.
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
        "n_splits": n_splits(sample),
    }


def n_splits(sample: Sample) -> int:
    """How often a target is split: seldom where it is large, and one split like another."""
    return min(N_SPLITS, max(LEAST_SPLITS, _NUMBERS_IN_SPLITS // max(1, sample.n_classes)))


def split_divergences(sample: Sample, parts: int) -> Floats:
    """The divergence between two random parts of a sample, for each of many splits.

    Args:
        sample: A corpus as it is resampled: units stay whole.
        parts: Each of the two has one unit in so many.

    Returns:
        Nats; empty where there are too few units.
    """
    size = len(sample.keys) // parts
    if not size:
        return np.zeros(0)
    shared = shared_by(sample, sample)
    divergences = []
    splits = range(n_splits(sample))
    at_a_time = replicates_at_a_time(2 * sample.n_classes)
    for start in splits[::at_a_time]:
        # Another constant than 0, so that splits are not the replicates' weights by another name.
        drawn = uniforms(
            sample.keys ^ np.uint64(0x5DEECE66D5DEECE6), splits[start : start + at_a_time]
        )
        place = drawn.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        one, other = (
            sample.counts(((place >= first) & (place < first + size)).astype(np.float64))
            for first in (0, size)
        )
        divergences.append(skew_divergences(one, other, shared))
    made = np.concatenate(divergences)
    return made[np.isfinite(made)]


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 12)


def _mean(values: Floats) -> float | None:
    return math.fsum(values) / len(values) if len(values) else None
