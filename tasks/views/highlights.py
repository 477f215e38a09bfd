"""The main findings of a run in a few sentences, with commands for a closer look."""

import json
import math
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.measures.doubts import (
    LEAKED,
    LEAKING,
    RARELY_PARSED,
    describe_overlap,
    is_second_opinion,
)
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.views.digits import format_estimate, format_value
from nl2sql_align.tasks.views.labels import label_predictions, list_doubts

_MAX_NAMES: Final = 3
# The pairs that sentences are about, and each corpus once; all pairs of many corpora fill memory.
_NEEDED: Final = "source_role = 'train' and target_role = 'target' or source = target"

_Row = dict[str, Any]


@dataclass(frozen=True)
class Highlights:
    """The main findings of a run.

    Attributes:
        sentences: At most three: the closest training sets, the verdicts, and a warning.
        next_steps: Commands for these results, each with a short description of its output.
        notes: The notes of the last run about the corpora.
        warning: The warning among the sentences; an empty text if the results need none.
    """

    sentences: list[str]
    next_steps: list[tuple[str, str]]
    notes: list[str]
    warning: str


def find_highlights(place: Path | str) -> Highlights:
    """Return the main findings of a warehouse's results.

    Args:
        place: The folder of the results, or their address on an object store.

    Raises:
        WarehouseError: The results are missing.
    """
    with open_results(place) as con:
        pairs = query_sql(con, "results/read/matrix").filter(_NEEDED).to_arrow_table().to_pylist()
        ratios = query_sql(con, "results/read/ratio").to_arrow_table().to_pylist()
        last_first = "select notes from runs order by started_at desc"
        [notes] = con.execute(last_first).fetchone() or ["[]"]
    return describe_results(pairs, ratios, place, json.loads(notes))


def describe_results(
    pairs: Sequence[_Row], ratios: Sequence[_Row], place: Path | str, notes: Sequence[str] = ()
) -> Highlights:
    """Return the main findings of these results.

    Args:
        pairs: The rows of ``tasks.results.read.matrix``; those of a training set with a target are
            enough, and one of each other corpus as the source.
        ratios: The rows of ``tasks.results.read.ratio``.
        place: The warehouse's name in the commands.
        notes: The notes of the run.
    """
    candidates = _rank_candidates(pairs)
    least_parsed = _find_least_parsed(pairs)
    warnings = (_describe_warning(candidates, *least_parsed), _describe_doubts(candidates, ratios))
    warning = " ".join(filter(None, warnings))
    sentences = [
        _describe_closest(candidates),
        _describe_verdicts(ratios),
        warning or _describe_health(candidates, least_parsed[0]),
    ]
    return Highlights(
        [sentence for sentence in sentences if sentence],
        _suggest_commands(shlex.quote(str(place)), candidates, ratios, *least_parsed),
        list(notes),
        warning,
    )


def _suggest_commands(
    warehouse: str, candidates: Sequence[_Row], ratios: Sequence[_Row], share: float, worst: str
) -> list[tuple[str, str]]:
    steps = [(f"nl2sql-align matrix {warehouse}", "how close each corpus is to each target")]
    if ratios:
        steps.insert(
            0, (f"nl2sql-align ratio {warehouse}", "which training set should help which model")
        )
    # Copies of the target differ in nothing, and select leaves out all their rows.
    others = [row for row in candidates if (row["exact_overlap"] or 0.0) < LEAKED]
    if others:
        source, target = others[0]["source"], others[0]["target"]
        steps += [
            (
                f"nl2sql-align explain {warehouse} {source} {target}",
                "how the closest training set still differs from its target",
            ),
            (
                f"nl2sql-align select {warehouse} --target {target} --budget 500 --out chosen",
                f"the 500 training rows that together match {target} best",
            ),
        ]
    if worst and share < RARELY_PARSED:
        steps.append(
            (f"nl2sql-align rejects {warehouse} {worst}", "why so many queries do not parse")
        )
    return steps


def _rank_candidates(pairs: Sequence[_Row]) -> list[_Row]:
    """Return the pairs of a training set and a target, the closest first."""
    candidates = [
        row
        for row in pairs
        if (row["source_role"], row["target_role"]) == ("train", "target")
        and row["source"] != row["target"]
    ]
    return sorted(candidates, key=lambda row: (-row["kl_alignment"], row["source"]))


def _describe_closest(candidates: Sequence[_Row]) -> str:
    best: dict[str, _Row] = {}
    for row in candidates:
        best.setdefault(row["target"], row)
    named = [
        f"{row['source']} to {target} "
        f"({format_value(row['kl_alignment'], row['ci_low'], row['ci_high'])})"
        for target, row in [*best.items()][:_MAX_NAMES]
    ]
    if not named:
        return ""
    more = f", and {len(best) - len(named)} more" if len(best) > len(named) else ""
    doubts = list_doubts(row["doubts"] for row in best.values())
    others = [*filter(is_second_opinion, doubts)]
    other = f"; {others[0]}" if others else ""
    also = f", and so for {len(others) - 1} more" if len(others) > 1 else ""
    return f"Closest training sets: {', '.join(named)}{more}{other}{also}."


def _describe_verdicts(ratios: Sequence[_Row]) -> str:
    untuned = [row for row in ratios if row["trained_on"] is None and row["verdict"] is not None]
    if not untuned:
        return ""
    counts = Counter(row["verdict"] for row in untuned)
    summary = (
        f"Alignment Ratios of untuned models: {counts['gain']} gain, "
        f"{counts['undecided']} undecided, {counts['no gain']} no gain"
    )
    gains = [row for row in untuned if row["verdict"] == "gain"]
    if not gains:
        return f"{summary}."
    first = min(gains, key=lambda row: (-row["ci_low"], row["predictions"], row["train"]))
    ratio = format_estimate(first["alignment_ratio"], first["ci_low"], first["ci_high"], 1.0)
    return f"{summary}; the surest gain: {first['train']} for {label_predictions(first)}, {ratio}."


def _describe_health(candidates: Sequence[_Row], share: float) -> str:
    """Describe the checks that found nothing; return "" without training sets to check."""
    if not candidates:
        return ""
    least = "every query" if share == 1 else f"at least {math.floor(100 * share)}%"
    parsed = f"No warnings: {least} of every corpus parses"
    n_unknown = sum(row["exact_overlap"] is None for row in candidates)
    if n_unknown == len(candidates):
        return f"{parsed}; whether training sets contain queries of a target is unknown."
    pairs = (
        f", as far as texts are kept ({n_unknown} of {len(candidates)} pairs are unknown)"
        if n_unknown
        else ""
    )
    return (
        f"{parsed}, and no training set contains {LEAKING:.1%} or more of a target's queries"
        f"{pairs}."
    )


def _describe_doubts(candidates: Sequence[_Row], ratios: Sequence[_Row]) -> str:
    """Return the doubt that concerns most numbers, and the number of other doubts."""
    counts = Counter(
        doubt for rows in (candidates, ratios) for row in rows for doubt in row["doubts"]
    )
    if not counts:
        return ""
    (first, _), *others = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    more = f"; {len(others)} more in the notes of matrix and ratio" if others else ""
    return f"Doubtful: {first}{more}."


def _describe_warning(candidates: Sequence[_Row], share: float, worst: str) -> str:
    # Without texts, the overlap is unknown.
    leaking = [row for row in candidates if (row["exact_overlap"] or 0.0) >= LEAKING]
    if leaking:
        first = min(leaking, key=lambda row: (-row["exact_overlap"], row["source"]))
        overlap = describe_overlap(first["source"], first["target"], first["exact_overlap"])
        return (
            f"Warning: {overlap}; {len(leaking)} of {len(candidates)} pairs of training set and "
            f"target share at least {LEAKING:.1%}."
        )
    if worst and share < RARELY_PARSED:
        return f"Warning: only {share:.0%} of {worst} parses; see nl2sql-align rejects."
    return ""


def _find_least_parsed(pairs: Sequence[_Row]) -> tuple[float, str]:
    """Return the lowest share of queries that parse, and the first corpus that has it."""
    shares = {row["source"]: row["source_parsed_share"] for row in pairs}
    worst = min(shares, key=lambda name: shares[name], default="")
    return shares.get(worst, 1.0), worst
