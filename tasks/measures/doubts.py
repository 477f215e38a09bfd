"""Doubts about alignments, ratios and verdicts, a sentence each, in the words of every view.

``docs/how-sure.md`` has the reasons of the limits.
"""

from collections.abc import Mapping
from typing import Any, Final

MOSTLY_COPIED: Final = 0.95
"""Models do not repeat more than this share of a target's queries word for word."""

LEAKED: Final = 0.5
"""A training set with this share of a target's queries shows that it contains the target."""

LEAKING: Final = 0.005
"""The least share of a target's queries in a training set to mention."""

FEW_QUERIES: Final = 20
"""Rankings were studied with at least this many queries of a target: see ``docs/how-sure.md``."""

RARELY_PARSED: Final = 0.9
"""If less than this share of a corpus parses, its numbers are about a selection of its queries."""

MOSTLY_ANSWERED: Final = 0.95
"""A model that answers less than this share of the questions is judged on a part of the target."""

# No other doubt can start like this: names of corpora have no spaces.
_SECOND_OPINION: Final = "by JS alignment, "


def list_doubts(pair: Mapping[str, Any]) -> list[str]:
    """Return the doubts about the alignment of a training set, or about one of its ratios.

    Args:
        pair: A row of ``sql/results/publish/doubt_facts.sql``. ``predictions`` is null if it is
            about an alignment. ``exact_overlap`` and ``copied_share`` are null without texts.
    """
    train, target, predictions = pair["train"], pair["target"], pair["predictions"]
    doubts = []
    if (pair["exact_overlap"] or 0.0) >= LEAKED:
        doubts.append(describe_overlap(train, target, pair["exact_overlap"]))
    doubts += _doubt_size(target, pair["n_compared"])
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


def describe_overlap(train: str, target: str, exact_overlap: float) -> str:
    """Describe the share of a target's queries that a training set contains, in a clause."""
    return f"{train} contains {exact_overlap:.1%} of the queries of {target}"


def is_second_opinion(doubt: str) -> bool:
    """Return whether a doubt says that JS alignment ranks another training set first."""
    return doubt.startswith(_SECOND_OPINION)


def list_slice_doubts(row: Mapping[str, Any]) -> list[str]:
    """Return the doubts about the measures of a slice.

    Args:
        row: A row of ``tasks.measures.slices.measure_slices``.
    """
    doubts = _doubt_size("the slice", row["n_templated"])
    if row["n_templated"] < RARELY_PARSED * row["n_queries"]:
        doubts.append(f"only {row['n_templated'] / row['n_queries']:.1%} of the slice parses")
    predictions, share = row["predictions"], row["predictions_parsed_share"]
    if row["are_questions_known"] is False:
        doubts.append(f"the questions that the answers of {predictions} belong to are unknown")
    elif share is not None and share < RARELY_PARSED:
        doubts.append(f"only {share:.1%} of the answers of {predictions} to the slice parse")
    return doubts


def _doubt_size(name: str, n_compared: int) -> list[str]:
    if n_compared >= FEW_QUERIES:
        return []
    compared = "1 query" if n_compared == 1 else f"{n_compared} queries"
    return [f"only {compared} of {name} can be compared"]
