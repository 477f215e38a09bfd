"""Doubts about alignments, ratios and verdicts, a sentence each, in the words of every view.

``docs/how-sure.md`` has the reasons of the limits.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from nl2sql_align.tasks.measures.parts import PartsBy
from nl2sql_align.tasks.measures.verdicts import Evidence, judge_ratio, judge_reach_ratio

if TYPE_CHECKING:
    from nl2sql_align.tasks.measures.intervals import IntervalsReport
    from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus

MOSTLY_COPIED: Final = 0.95
"""Models do not repeat more than this share of a target's queries word for word."""

LEAKED: Final = 0.5
"""A training set with this share of a target's queries shows that it contains the target."""

FEW_QUERIES: Final = 20
"""Rankings were studied with at least this many queries of a target: see ``docs/how-sure.md``."""

RARELY_PARSED: Final = 0.9
"""If less than this share of a corpus parses, its numbers are about a selection of its queries."""

MOSTLY_ANSWERED: Final = 0.95
"""A model that answers less than this share of the questions is judged on a part of the target."""

# No other doubt can start like this: names of corpora have no spaces.
_SECOND_OPINION: Final = "by JS alignment, "

_SCHEMA: Final[dict[str, Any]] = {
    "train": pl.String,
    "predictions": pl.String,
    "verdict": pl.String,
    "reach_verdict": pl.String,
    "doubts": pl.List(pl.String),
    "template_coverage": pl.Float64,
    "right_template_share": pl.Float64,
}


def list_doubts(pair: Mapping[str, Any]) -> list[str]:
    """Return the doubts about the alignment of a training set, or about one of its ratios.

    Args:
        pair: A row of ``sql/results/publish/doubt_facts.sql``. ``predictions`` is null if it is
            about an alignment. ``exact_overlap`` and ``copied_share`` are null without texts.
    """
    train, target, predictions = pair["train"], pair["target"], pair["predictions"]
    doubts = []
    if (pair["exact_overlap"] or 0.0) >= LEAKED:
        doubts.append(f"{train} contains {pair['exact_overlap']:.1%} of the queries of {target}")
    if pair["n_compared"] < FEW_QUERIES:
        compared = "1 query" if pair["n_compared"] == 1 else f"{pair['n_compared']} queries"
        doubts.append(f"only {compared} of {target} can be compared")
    for name, share in (
        (train, pair["train_parsed_share"]),
        (target, pair["target_parsed_share"]),
        (predictions, pair["predictions_parsed_share"]),
    ):
        if share is not None and share < RARELY_PARSED:
            doubts.append(f"only {share:.1%} of {name} parses")
    if pair["is_closest"] and pair["js_alignment"] < pair["closest_js_alignment"]:
        doubts.append(
            f"{_SECOND_OPINION}{pair['closest_by_js']} is closer to {target} than {train} "
            f"({pair['closest_js_alignment']:.4f} and {pair['js_alignment']:.4f})"
        )
    if predictions is None:
        return doubts
    if pair["n_answered"] < MOSTLY_ANSWERED * pair["n_questions"]:
        doubts.append(
            f"{predictions} answers only {pair['n_answered']:,} of "
            f"{pair['n_questions']:,} questions of {target}"
        )
    if (pair["copied_share"] or 0.0) > MOSTLY_COPIED:
        doubts.append(
            f"{predictions} may be the reference queries: {pair['copied_share']:.1%} of the "
            f"answers are texts of {target}"
        )
    return doubts


def is_second_opinion(doubt: str) -> bool:
    """Return whether a doubt says that JS alignment ranks another training set first."""
    return doubt.startswith(_SECOND_OPINION)


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
    columns = ["source_key", "target_key", "template_coverage"]
    known = pl.read_parquet(pairs, columns=columns, glob=False).iter_rows()
    coverages = {(source, target): coverage for source, target, coverage in known}
    rows = []
    for row in pl.read_parquet(intervals.ratios, glob=False).iter_rows(named=True):
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
