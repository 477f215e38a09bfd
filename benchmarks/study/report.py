"""The tables of ``docs/study.md``, from the committed outcomes.

    python -m benchmarks.study.report [--write]

Print the tables. With ``--write``, also draw the picture and write the records of the package.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.inputs import ROOT
from benchmarks.report import format_table
from benchmarks.study.picture import draw
from benchmarks.study.real import PUBLISHED
from benchmarks.study.tables import (
    BANDS,
    PARTS,
    RATIOS,
    choosing,
    compare_measures,
    compare_pairs,
    count_bands,
    count_covered,
    count_right,
    list_misses,
    moved,
    rank_correlation,
    shown,
    with_shipped_parts,
)

STUDY: Final = Path(__file__).with_name("outcomes.csv")
PICTURE: Final = ROOT / "docs" / "outcomes.svg"
RECORDS: Final = ROOT / "tasks" / "measures" / "records.csv"
KINDS: Final = ("single", "mixture", "narrow", "random")


def read_outcomes(path: Path) -> pl.DataFrame:
    """Return committed outcomes."""
    return pl.read_csv(path, infer_schema_length=None)


def _of(right: float | None, n: int | None) -> str:
    return "" if right is None or n is None else f"{right:,.6g} of {n:,}"


def measures(outcomes: pl.DataFrame, ratios: dict[str, str] = RATIOS) -> str:
    """Return the table of measures."""
    rows = [
        (
            row["measure"],
            "" if row["spearman"] is None else f"{row['spearman']:.2f}",
            _of(row["signs_right"], row["n_signs"]),
            _of(row["far_right"], row["n_far"]),
            _of(row["pairs_right"], row["n_pairs"]),
        )
        for row in compare_measures(outcomes, ratios).iter_rows(named=True)
    ]
    header = ("measure", "Spearman", "sign right", "outside 0.9 to 1.1", "which of two sets")
    return format_table(header, rows)


def _halves(outcomes: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    return [("chose", choosing(outcomes)), ("other", shown(outcomes))]


def kinds(outcomes: pl.DataFrame) -> str:
    """Return how many signs each measure has right, by kind of training set and of model."""
    cases = [(f"{kind} sets", pl.col("kind") == kind) for kind in KINDS]
    cases += [("models tuned before", pl.col("is_tuned")), ("all", pl.lit(True))]
    rows = []
    for name, condition in cases:
        big = moved(outcomes.filter(condition))
        signs = [f"{count_right(big, ratio)[0]:,}" for ratio in RATIOS]
        rows.append((name, f"{big.height:,}", big.filter(pl.col("change") > 0).height, *signs))
    return format_table(("", "changes", 'always "gain"', *RATIOS.values()), rows)


def bands(outcomes: pl.DataFrame, ratio: str) -> str:
    """Return the gains and losses of each band of a ratio, for both halves."""
    halves = [count_bands(some, ratio) for some in (choosing(outcomes), shown(outcomes))]
    rows = []
    for chose, other in zip(*(half.iter_rows(named=True) for half in halves), strict=True):
        n_small = sum(one["n"] - one["n_gained"] - one["n_lost"] for one in (chose, other))
        moves = [f"{one['n_gained']} gained, {one['n_lost']} lost" for one in (chose, other)]
        rows.append((_band(chose["low"], chose["high"]), *moves, f"{n_small:,}"))
    return format_table((ratio, "half that chose", "other half", "changed less, both"), rows)


def _band(low: float, high: float) -> str:
    if low == 0:
        return f"below {high:g}"
    return f"from {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"


def parts(outcomes: pl.DataFrame) -> str:
    """Return how reach by each kind of parts does, by kind of training set, for both halves."""
    rows = []
    for name, some in _halves(with_shipped_parts(outcomes)):
        for kind in ("all", "single", "mixture"):
            of_kind = some if kind == "all" else some.filter(pl.col("kind") == kind)
            big = moved(of_kind)
            cells = []
            for ratio in PARTS:
                r = rank_correlation(of_kind[ratio], of_kind["change"])
                cells.append(f"{count_right(big, ratio)[0]}; {r:.2f}" if r is not None else "")
            rows.append((name, kind, big.height, *cells))
    return format_table(("half", "sets", "changes", *PARTS.values()), rows)


def coverage(outcomes: pl.DataFrame) -> str:
    """Return the gains and losses that the coverage rule keeps and withholds."""
    rows = []
    for half, some in _halves(outcomes):
        for kind, of_kind in (("all", some), ("narrow", some.filter(pl.col("kind") == "narrow"))):
            for ratio in ("alignment_ratio", "reach_ratio"):
                n = count_covered(of_kind, ratio)
                rows.append(
                    (
                        half,
                        kind,
                        ratio,
                        f"{n['kept_gained']} gained, {n['kept_lost']} lost",
                        f"{n['withheld_gained']} gained, {n['withheld_lost']} lost",
                    )
                )
    return format_table(("half", "sets", "above 1", "covered more", "not"), rows)


def by_question(outcomes: pl.DataFrame) -> str:
    """Return how question reach compares with the others."""
    names = {"question_reach": "question reach", **RATIOS}
    rows = []
    for half, some in _halves(outcomes):
        right, n = compare_pairs(some, list(names))
        big = moved(some)
        above = some["question_reach"] - some["before"]
        signs = big.filter(
            (pl.col("question_reach") > pl.col("before")) == (pl.col("change") > 0)
        ).height
        rows.append(
            (
                half,
                "question reach",
                _of(right["question_reach"], n),
                _of(signs, big.height),
                f"{rank_correlation(above, some['change']):.2f}",
            )
        )
        for name, label in RATIOS.items():
            r = rank_correlation(some[name], some["change"])
            rows.append(
                (
                    half,
                    label,
                    _of(right[name], n),
                    _of(count_right(big, name)[0], big.height),
                    f"{r:.2f}",
                )
            )
    return format_table(("half", "measure", "which of two sets", "sign right", "Spearman"), rows)


def misses(outcomes: pl.DataFrame) -> str:
    """Return the outcomes that the reach ratio misjudged, outside the band around 1."""
    rows = [
        (
            row["start"],
            row["set"],
            row["target"],
            f"{row['reach_ratio']:.2f}",
            f"{row['alignment_ratio']:.2f}",
            f"{100 * row['template_coverage']:.0f}%",
            f"{100 * row['before']:.1f}",
            f"{100 * row['change']:+.1f}",
        )
        for row in list_misses(outcomes).sort("change").iter_rows(named=True)
    ]
    header = ("model", "training set", "target", "reach ratio", "AR", "covers", "before", "change")
    return format_table(header, rows)


def records(study: pl.DataFrame, real: pl.DataFrame) -> pl.DataFrame:
    """Return the gains and losses of each band of each ratio, by source and start."""
    found = []
    published = real.with_columns(is_tuned=pl.col("predictions").str.contains("-tuned"))
    for source, outcomes in (("study", study), ("published", published)):
        for measure in ("alignment_ratio", "reach_ratio"):
            for is_tuned in (False, True):
                some = outcomes.filter(pl.col("is_tuned") == is_tuned)
                found.append(
                    count_bands(some, measure, BANDS).select(
                        pl.lit(source).alias("source"),
                        pl.lit(measure).alias("measure"),
                        pl.lit("tuned" if is_tuned else "base").alias("start"),
                        "low",
                        pl.when(pl.col("high").is_finite()).then("high").alias("high"),
                        pl.col("n").alias("n_outcomes"),
                        "n_gained",
                        "n_lost",
                    )
                )
    return pl.concat(found).filter(pl.col("n_outcomes") > 0)


def format_tables(study: pl.DataFrame, real: pl.DataFrame) -> dict[str, str]:
    """Return all tables by title."""
    return {
        "The half that chose": measures(choosing(study)),
        "The other half": measures(shown(study)),
        "All outcomes": measures(study),
        "Signs by kind, the other half": kinds(shown(study)),
        "Signs by kind, all": kinds(study),
        "Parts": parts(study),
        "Bands of AR": bands(study, "alignment_ratio"),
        "Bands of the reach ratio": bands(study, "reach_ratio"),
        "Coverage": coverage(study),
        "By the question": by_question(study),
        "Misses of the reach ratio": misses(study),
        "Published": measures(
            real.with_columns(
                start=pl.col("predictions"), after=pl.col("before") + pl.col("change")
            ),
            {name: label for name, label in RATIOS.items() if name in real.columns},
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {PICTURE} and {RECORDS}")
    given = parser.parse_args()
    study, real = read_outcomes(STUDY), read_outcomes(PUBLISHED)
    blocks = format_tables(study, real).items()
    sys.stdout.write("\n\n".join(f"## {title}\n\n{text}" for title, text in blocks) + "\n")
    if given.write:
        draw(study, real, PICTURE)
        records(study, real).write_csv(RECORDS)


if __name__ == "__main__":
    main()
