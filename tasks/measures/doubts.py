"""Doubts about predictions, from the measures of pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus

MOSTLY_COPIED: Final = 0.95
"""Models do not repeat more than this share of a target's queries word for word."""


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
        share = shares.get((one.content_key, keys[one.entry.target]), 0.0)
        if share > mostly_copied:
            doubts[one.entry.name] = [
                f"these may be the reference queries: {share:.0%} of the answers are texts of "
                f"{one.entry.target}"
            ]
    return doubts
