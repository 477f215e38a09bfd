"""Doubts about predictions and verdicts (``docs/how-sure.md``)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.measures.intervals import IntervalsReport
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.parts import PartsBy
from nl2sql_align.tasks.measures.units import paired_sample_key
from nl2sql_align.tasks.measures.verdicts import Evidence, judge_ratio, judge_reach_ratio
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus

MOSTLY_COPIED: Final = 0.95
"""Models do not repeat more than this share of a target's queries word for word."""


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
    corpora: Sequence[CountedCorpus], pairs: Path, intervals: IntervalsReport
) -> pl.DataFrame:
    """Decide on the verdicts of ratios.

    Args:
        corpora: All corpora of a run.
        pairs: The measures of all pairs of contents.
        intervals: Intervals and reach.

    Returns:
        A row for each training set and predictions: ``train``, ``predictions``, ``verdict``,
        ``reach_verdict``, ``doubts`` (why a verdict is withheld, a sentence each),
        ``template_coverage`` (of the training set) and ``right_template_share`` (of the
        predictions; null if their questions are unknown).
    """
    of_name = {one.entry.name: one for one in corpora}
    of_name |= {one.answered.entry.name: one.answered for one in corpora if one.answered}
    columns = ["source_key", "target_key", "template_coverage"]
    known = pl.read_parquet(pairs, columns=columns, glob=False).iter_rows()
    coverages = {(source, target): coverage for source, target, coverage in known}
    shares: dict[str, float | None] = {}
    rows = []
    for row in pl.read_parquet(intervals.ratios, glob=False).iter_rows(named=True):
        names = ("train", "predictions", "compared_with")
        train, predictions, target = (of_name[row[name]] for name in names)
        if predictions.entry.name not in shares:
            shares[predictions.entry.name] = measure_right_share(predictions, target)
        share = shares[predictions.entry.name]
        of_train, of_predictions = (
            coverages[one.content_key, target.content_key] for one in (train, predictions)
        )
        evidence = Evidence(
            of_train,
            of_predictions if share is None else share,
            share is not None,
            train.entry.style == "cot",
            row["parted_by"] == PartsBy.TEMPLATE,
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


def measure_right_share(predictions: CountedCorpus, target: CountedCorpus) -> float | None:
    """Return the share of answers that have the template of their question's query.

    Args:
        predictions: The answers.
        target: Their target, or the part of it that they answer.

    Returns:
        The share of the answers to questions whose own query has a template. None if the questions
        of the answers are unknown, or none of them has a template.
    """
    if not paired_sample_key(predictions, target, Unit.QUERY).is_paired:
        return None
    with connected() as con:
        [(share,)] = query_sql(
            con,
            "measures/doubts/right_templates",
            answers=str(predictions.queries),
            answer_templates=str(predictions.templates),
            asked=str(target.queries),
            asked_templates=str(target.templates),
        ).fetchall()
    return None if share is None else float(share)


def find_doubts(
    corpora: Sequence[CountedCorpus], pairs: Path, mostly_copied: float = MOSTLY_COPIED
) -> dict[str, list[str]]:
    """Return doubts about predictions by their names, a sentence each.

    Args:
        corpora: All corpora of a run.
        pairs: The measures of all pairs of contents.
        mostly_copied: The share of a target's own texts among the answers that is still plausible.
    """
    keys = {one.entry.name: one.content_key for one in corpora}
    predictions = [one for one in corpora if one.entry.target in keys]
    if not predictions:
        return {}
    with connected() as con:
        rows = query_sql(
            con,
            "measures/doubts/copied_shares",
            pairs=str(pairs),
            answers=[one.content_key for one in predictions],
            references=[keys[one.entry.target] for one in predictions if one.entry.target],
        ).fetchall()
    shares = {(answers, references): share for answers, references, share in rows}
    doubts = {}
    for one in predictions:
        assert one.entry.target is not None
        # Null if a text is unknown.
        share = shares.get((one.content_key, keys[one.entry.target])) or 0.0
        if share > mostly_copied:
            doubts[one.entry.name] = [
                f"these may be the reference queries: {share:.0%} of the answers are texts of "
                f"{one.entry.target}"
            ]
    return doubts
