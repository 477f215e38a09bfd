"""Outcomes of published models, with the measures that a run of the main job gives them."""

import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from benchmarks.study.design import Row
from benchmarks.study.measures import Target, divide
from nl2sql_align.tasks.ngrams.count import ngram_incidence

if TYPE_CHECKING:
    import duckdb

METRIC: Final = "exact_match"
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
    """Return the outcomes of one metric, with the ratios of whole training sets.

    Args:
        outcomes: A file of outcomes.
        con: A connection to the results of a run with their corpora.
        metric: The score.
    """
    with outcomes.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == metric]
    found = pl.DataFrame(
        {
            **{
                name: [row[name] for row in rows]
                for name in ("model", "predictions", "train", "target")
            },
            "train_rows": [int(row["train_rows"]) for row in rows],
            "before": [float(row["before"]) for row in rows],
            "change": [round(float(row["after"]) - float(row["before"]), 4) for row in rows],
        }
    )
    found = found.join(
        con.sql(_RATIOS).pl(), on=["train", "predictions"], how="inner", maintain_order="left"
    )
    pairs = found.select("train", "target").unique(maintain_order=True).rows()
    reach = pl.DataFrame(
        [(*pair, _reach(con, *pair)) for pair in pairs], ["train", "target", "reach"], orient="row"
    )
    return found.join(reach, on=["train", "target"], maintain_order="left").with_columns(
        reach_ratio=pl.max_horizontal(
            pl.col("reach") / pl.col("predictions_alignment"), "alignment_ratio"
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
