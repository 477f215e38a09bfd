"""Outcomes of published models, with the measures that a run of the main job gives them.

    python -m benchmarks.study.real --warehouse DIR --outcomes FILE

Write ``published.csv``, which ``benchmarks.study.report`` reads. DIR has the results of a run with
the corpora that the outcomes name.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from benchmarks.study.design import Row
from benchmarks.study.measures import Target, divide
from nl2sql_align.tasks.decisions.calibration import read_outcomes
from nl2sql_align.tasks.ngrams.count import ngram_incidence
from nl2sql_align.tasks.results.database import open_results

if TYPE_CHECKING:
    import duckdb

PUBLISHED: Final = Path(__file__).with_name("published.csv")
METRIC: Final = "exact_match"
_RATIO_COLUMNS: Final = (
    "alignment_ratio", "js_ratio", "reach_ratio", "coverage_ratio", "template_coverage",
)  # fmt: skip
_RATIOS: Final = """
    select ratio.train, ratio.predictions, ratio.predictions_alignment, ratio.alignment_ratio,
        of_train.js_alignment / of_answers.js_alignment as js_ratio, of_train.template_coverage,
        of_train.template_coverage / of_answers.template_coverage as coverage_ratio
    from alignment_ratio as ratio
    join alignment as of_train on (of_train.source, of_train.target) = (ratio.train, ratio.target)
    join alignment as of_answers
        on (of_answers.source, of_answers.target) = (ratio.predictions, ratio.target)
"""


def read_real(
    outcomes: Path, con: "duckdb.DuckDBPyConnection", metric: str = METRIC
) -> pl.DataFrame:
    """Return the outcomes of one metric, with the ratios of whole training sets to 4 digits.

    Args:
        outcomes: A file of outcomes.
        con: A connection to the results of a run with their corpora.
        metric: The score.
    """
    found = (
        pl.DataFrame([one.model_dump() for one in read_outcomes(outcomes) if one.metric == metric])
        .with_columns(change=(pl.col("after") - pl.col("before")).round(4))
        .join(con.sql(_RATIOS).pl(), on=["train", "predictions"], maintain_order="left")
    )
    pairs = found.select("train", "target").unique(maintain_order=True).rows()
    reach = pl.DataFrame(
        [(*pair, _reach(con, *pair)) for pair in pairs], ["train", "target", "reach"], orient="row"
    )
    ratio = pl.max_horizontal(pl.col("reach") / pl.col("predictions_alignment"), "alignment_ratio")
    return (
        found.join(reach, on=["train", "target"], maintain_order="left")
        .with_columns(reach_ratio=ratio)
        .select(
            "model",
            "predictions",
            "train",
            "train_rows",
            "target",
            "before",
            "change",
            pl.col(_RATIO_COLUMNS).round(4),
        )
    )


def _reach(con: "duckdb.DuckDBPyConnection", train: str, target: str) -> float:
    """Return the reach of a training set, its databases being its parts."""
    of_train, of_target = (
        [
            Row("", template, "", "", db_id, corpus)
            for template, db_id in con.execute(
                "select template, db_id from queries join templates using (template_id) "
                "where corpus = ? order by ordinal",
                [corpus],
            ).fetchall()
        ]
        for corpus in (train, target)
    )
    numbers: dict[str, int] = {}
    for row in (*of_train, *of_target):
        numbers.setdefault(row.template, len(numbers))
    words = ngram_incidence(pl.Series(list(numbers)), max_n=1).counts.astype(float)
    return Target(of_target, numbers, words).reach(
        [Counter(p) for p in divide(of_train, "databases")]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--warehouse", type=Path, required=True)
    parser.add_argument("--outcomes", type=Path, required=True, help="as calibrate reads them")
    given = parser.parse_args()
    with open_results(given.warehouse) as con:
        read_real(given.outcomes, con).write_csv(PUBLISHED)


if __name__ == "__main__":
    main()
