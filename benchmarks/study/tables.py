"""Counts and correlations of each measure: pure functions of the table of outcomes."""

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

PARTS: Final = {
    "alignment_ratio": "none (AR)",
    "reach_ratio_sources": "sources",
    "reach_ratio": "databases, else sources",
    "reach_ratio_shipped": "sources, else databases",
    "reach_ratio_groups": "groups of templates",
}
"""The parts by which reach can judge a set."""

BANDS: Final = (0.0, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, np.inf)
NEAR: Final = (0.9, 1.1)
"""Between these ratios a verdict is withheld."""


_SCHEMA: Final = {
    "measure": pl.String,
    "spearman": pl.Float64,
    "signs_right": pl.Int64,
    "n_signs": pl.Int64,
    "far_right": pl.Int64,
    "n_far": pl.Int64,
    "pairs_right": pl.Float64,
    "n_pairs": pl.Int64,
}


def choosing(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes that choose rules."""
    return outcomes.filter(pl.col("target").is_in(CHOOSING))


def shown(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes on which the rules are shown."""
    return outcomes.filter(~pl.col("target").is_in(CHOOSING))


def with_shipped_parts(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Add the ratio by the program's parts: the sources of a mixture, else databases."""
    of_mixture = pl.when(pl.col("kind") == "mixture").then("reach_ratio_sources")
    return outcomes.with_columns(of_mixture.otherwise("reach_ratio").alias("reach_ratio_shipped"))


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


def count_bands(outcomes: pl.DataFrame, ratio: str, bands: Sequence[float] = BANDS) -> pl.DataFrame:
    """Return the gains and losses of each band of a ratio: a row each.

    ``n`` outcomes in all; ``n_gained`` and ``n_lost`` of those that changed by two points or more.
    """
    rows = []
    for low, high in pairwise(bands):
        some = outcomes.filter((pl.col(ratio) >= low) & (pl.col(ratio) < high))
        big = moved(some)
        n_gained = big.filter(pl.col("change") > 0).height
        rows.append((low, high, some.height, n_gained, big.height - n_gained))
    return pl.DataFrame(rows, ["low", "high", "n", "n_gained", "n_lost"], orient="row")


def is_covered() -> pl.Expr:
    """Return whether a set covers more templates of the target than the answers get right."""
    return pl.col("template_coverage") > pl.col("before")


def count_covered(outcomes: pl.DataFrame, ratio: str) -> dict[str, int]:
    """Return the gains and losses of a ratio above 1, with and without coverage."""
    big = moved(outcomes).filter(pl.col(ratio) > 1)
    return {
        f"{kind}_{end}": big.filter(condition & sign).height
        for kind, condition in (("kept", is_covered()), ("withheld", ~is_covered()))
        for end, sign in (("gained", pl.col("change") > 0), ("lost", pl.col("change") < 0))
    }


def list_misses(
    outcomes: pl.DataFrame, ratio: str = "reach_ratio", near: tuple[float, float] = NEAR
) -> pl.DataFrame:
    """Return the outcomes outside the band around 1 whose sign the ratio has wrong."""
    wrong = (pl.col(ratio) > 1) != (pl.col("change") > 0)
    return moved(outcomes).filter(wrong & ~pl.col(ratio).is_between(*near))


def compare_measures(
    outcomes: pl.DataFrame, ratios: Mapping[str, str] = RATIOS, near: tuple[float, float] = NEAR
) -> pl.DataFrame:
    """Return a row per measure: correlation, signs, signs far from 1, and pairs."""
    big = moved(outcomes)
    right, n_pairs = compare_pairs(outcomes, [*ratios, "train_rows"])
    rows: list[dict[str, object]] = []
    for name, label in ratios.items():
        far = big.filter(~pl.col(name).is_between(*near))
        signs, fars = count_right(big, name), count_right(far, name)
        rows.append(
            {
                "measure": label,
                "spearman": rank_correlation(outcomes[name], outcomes["change"]),
                "signs_right": signs[0],
                "n_signs": signs[1],
                "far_right": fars[0],
                "n_far": fars[1],
                "pairs_right": right[name],
                "n_pairs": n_pairs,
            }
        )
    rows += [
        {
            "measure": "size of the set",
            "spearman": rank_correlation(outcomes["train_rows"], outcomes["change"]),
            "pairs_right": right["train_rows"],
            "n_pairs": n_pairs,
        },
        {
            "measure": "score before",
            "spearman": rank_correlation(-outcomes["before"], outcomes["change"]),
        },
        {
            "measure": 'always "gain"',
            "signs_right": big.filter(pl.col("change") > 0).height,
            "n_signs": big.height,
        },
    ]
    return pl.DataFrame([{key: row.get(key) for key in _SCHEMA} for row in rows], schema=_SCHEMA)
