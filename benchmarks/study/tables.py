"""What the study's outcomes say about each measure: pure functions of the table of outcomes."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Final

import numpy as np
import polars as pl

from benchmarks.study.design import CHOOSING

LEAST_CHANGE: Final = 0.02
"""Changes of a score below this are noise of 400 questions and of the seed of one tuning."""

RATIOS: Final = {
    "alignment_ratio": "AR",
    "js_ratio": "JS ratio",
    "reach_ratio": "reach ratio",
    "coverage_ratio": "template coverage",
    "keyword_ratio": "keyword JS",
}
"""The measures that predict by a ratio of the set to the answers: above 1 a gain."""

BANDS: Final = (0.0, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.4, 2.0, np.inf)


def choosing(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes that choose rules."""
    return outcomes.filter(pl.col("target").is_in(CHOOSING))


def shown(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes on which the rules are shown."""
    return outcomes.filter(~pl.col("target").is_in(CHOOSING))


def moved(outcomes: pl.DataFrame, least: float = LEAST_CHANGE) -> pl.DataFrame:
    """Return the outcomes whose score changed by at least this much."""
    return outcomes.filter(pl.col("change").abs() >= least - 1e-9)


def rank_correlation(x: pl.Series, y: pl.Series) -> float | None:
    """Return Spearman's correlation, or None if one side is constant."""
    from scipy.stats import spearmanr

    if len(x) < 4 or x.n_unique() < 2 or y.n_unique() < 2:
        return None
    return float(spearmanr(x.to_numpy(), y.to_numpy()).statistic)


def count_right(outcomes: pl.DataFrame, ratio: str) -> tuple[int, int]:
    """Return how many signs a ratio has right, and of how many outcomes."""
    right = (pl.col(ratio) > 1) == (pl.col("change") > 0)
    return outcomes.filter(right).height, outcomes.height


def compare_pairs(
    outcomes: pl.DataFrame, measures: Sequence[str], least: float = LEAST_CHANGE
) -> tuple[dict[str, float], int]:
    """Return how often the larger measure belongs to the set after which the score is higher.

    Pairs are those of two sets on which one model was tuned, asked the same target, whose scores
    differ by at least ``least``. Equal measures count as half right.
    """
    right = dict.fromkeys(measures, 0.0)
    n_pairs = 0
    for _, some in outcomes.group_by(["start", "target"], maintain_order=True):
        after = some["after"].to_numpy()
        values = {name: some[name].to_numpy() for name in measures}
        for one, other in combinations(range(len(after)), 2):
            difference = after[one] - after[other]
            if abs(difference) < least - 1e-9:
                continue
            n_pairs += 1
            for name, value in values.items():
                side = np.sign(value[one] - value[other]) * np.sign(difference)
                right[name] += (1 + side) / 2
    return right, n_pairs


def band_table(outcomes: pl.DataFrame, ratio: str, bands: Sequence[float] = BANDS) -> pl.DataFrame:
    """Return the gains and losses of each band of a ratio: a row each.

    ``n`` outcomes in all, ``n_gained`` and ``n_lost`` of those that changed by two points or more.
    """
    rows = []
    for low, high in pairwise(bands):
        some = outcomes.filter((pl.col(ratio) >= low) & (pl.col(ratio) < high))
        big = moved(some)
        gained = big.filter(pl.col("change") > 0).height
        rows.append(
            {
                "low": low,
                "high": high,
                "n": some.height,
                "n_gained": gained,
                "n_lost": big.height - gained,
            }
        )
    return pl.DataFrame(rows)


def measure_table(
    outcomes: pl.DataFrame,
    ratios: Mapping[str, str] = RATIOS,
    near: tuple[float, float] = (0.9, 1.1),
) -> pl.DataFrame:
    """Return the table of the study: a row per measure."""
    big = moved(outcomes)
    names = [*ratios, "train_rows"]
    right, n_pairs = compare_pairs(outcomes, names)
    rows: list[dict[str, object]] = []
    for name in names:
        row: dict[str, object] = {
            "measure": ratios.get(name, "size of the set"),
            "spearman": rank_correlation(outcomes[name], outcomes["change"]),
            "pairs_right": right[name],
            "n_pairs": n_pairs,
        }
        if name in ratios:
            row["signs_right"], row["n_signs"] = count_right(big, name)
            far = big.filter(~pl.col(name).is_between(*near))
            row["far_right"], row["n_far"] = count_right(far, name)
        rows.append(row)
    rows.append(
        {
            "measure": "score before",
            "spearman": rank_correlation(-outcomes["before"], outcomes["change"]),
        }
    )
    rows.append(
        {
            "measure": 'always "gain"',
            "signs_right": big.filter(pl.col("change") > 0).height,
            "n_signs": big.height,
        }
    )
    schema = {
        "measure": pl.String,
        "spearman": pl.Float64,
        "signs_right": pl.Int64,
        "n_signs": pl.Int64,
        "far_right": pl.Int64,
        "n_far": pl.Int64,
        "pairs_right": pl.Float64,
        "n_pairs": pl.Int64,
    }
    return pl.DataFrame([{key: row.get(key) for key in schema} for row in rows], schema=schema)
