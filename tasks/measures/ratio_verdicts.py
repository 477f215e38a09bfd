"""The verdicts of ratios, withheld where the evidence does not carry them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from nl2sql_align.tasks.measures.matrix import read_measure
from nl2sql_align.tasks.measures.parts import PartsBy
from nl2sql_align.tasks.measures.verdicts import Evidence, judge_ratio, judge_reach_ratio

if TYPE_CHECKING:
    from nl2sql_align.tasks.measures.intervals import IntervalsReport
    from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus

_SCHEMA: Final[dict[str, Any]] = {
    "train": pl.String,
    "predictions": pl.String,
    "verdict": pl.String,
    "reach_verdict": pl.String,
    "doubts": pl.List(pl.String),
    "template_coverage": pl.Float64,
    "right_template_share": pl.Float64,
}


def judge_ratios(
    corpora: "Sequence[CountedCorpus]",
    pairs: Path,
    intervals: "IntervalsReport",
    right_shares: Mapping[str, float],
) -> pl.DataFrame:
    """Decide on the verdicts of ratios.

    Args:
        corpora: All corpora of a run.
        pairs: The measures of all pairs of contents.
        intervals: Intervals and reach.
        right_shares: The share of answers that have the template of their question's query, for
            predictions whose questions are known.

    Returns:
        A row for each training set and predictions: ``train``, ``predictions``, ``verdict``,
        ``reach_verdict``, ``doubts`` (why a verdict is withheld, a sentence each),
        ``template_coverage`` (of the training set) and ``right_template_share`` (of the
        predictions; null if their questions are unknown).
    """
    of_name = {one.entry.name: one for one in corpora}
    of_name |= {one.answered.entry.name: one.answered for one in corpora if one.answered}
    ratios = pl.read_parquet(intervals.ratios, glob=False)
    targets = {of_name[name].content_key for name in ratios["compared_with"].unique()}
    coverages = read_measure(pairs, "template_coverage", targets)
    overlaps = read_measure(pairs, "exact_overlap", targets)
    rows = []
    for row in ratios.iter_rows(named=True):
        names = ("train", "predictions", "compared_with")
        train, predictions, target = (of_name[row[name]] for name in names)
        share = right_shares.get(predictions.entry.name)
        of_train, of_predictions = (
            coverages[one.content_key, target.content_key] for one in (train, predictions)
        )
        evidence = Evidence(
            of_train,
            of_predictions if share is None else share,
            share is not None,
            train.entry.style == "cot",
            row["parted_by"] == PartsBy.TEMPLATE,
            overlaps[train.content_key, target.content_key] or 0.0,
        )
        ln_ratio = row["ln_alignment_ratio"]
        verdict, doubts = judge_ratio(row["verdict"], ln_ratio, evidence)
        reach_verdict, reach_doubts = judge_reach_ratio(
            row["reach_verdict"], row["ln_reach_ratio"], ln_ratio, evidence
        )
        rows.append(
            {
                "train": row["train"],
                "predictions": row["predictions"],
                "verdict": verdict,
                "reach_verdict": reach_verdict,
                "doubts": list(dict.fromkeys([*doubts, *reach_doubts])),
                "template_coverage": of_train,
                "right_template_share": share,
            }
        )
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")
