"""The main findings of a run in a few sentences, with commands for a closer look."""

import math
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.measures.doubts import is_second_opinion
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.views.digits import format_interval, format_value
from nl2sql_align.tasks.views.labels import label_predictions, list_doubts

if TYPE_CHECKING:
    import polars as pl

# Warn about a training set that contains this share of a target's queries, and about a corpus of
# which less than this share parses.
_LEAKING: Final = 0.005
_RARELY_PARSED: Final = 0.9
_MAX_NAMES: Final = 3


@dataclass(frozen=True)
class Highlights:
    """The main findings of a run.

    Attributes:
        sentences: At most three: the closest training sets, the verdicts, and a warning.
        next_steps: Commands for these results, each with a short description of its output.
    """

    sentences: list[str]
    next_steps: list[tuple[str, str]]


def find_highlights(place: Path | str) -> Highlights:
    """Return the main findings of a warehouse's results.

    Args:
        place: The folder of the results, or their address on an object store.

    Raises:
        WarehouseError: The results are missing.
    """
    with open_results(place) as con:
        pairs = query_sql(con, "results/read/matrix").pl()
        ratios = query_sql(con, "results/read/ratio").pl()
    return describe_results(pairs, ratios, place)


def describe_results(
    pairs: "pl.DataFrame", ratios: "pl.DataFrame", place: Path | str
) -> Highlights:
    """Return the main findings of these results.

    Args:
        pairs: The result of ``tasks.results.read.matrix``.
        ratios: The result of ``tasks.results.read.ratio``.
        place: The warehouse's name in the commands.
    """
    sentences = [
        _describe_closest(pairs),
        _describe_verdicts(ratios),
        _describe_warnings(pairs, ratios),
    ]
    return Highlights(
        [sentence for sentence in sentences if sentence],
        _suggest_commands(shlex.quote(str(place)), pairs, ratios),
    )


def _suggest_commands(
    warehouse: str, pairs: "pl.DataFrame", ratios: "pl.DataFrame"
) -> list[tuple[str, str]]:
    steps = [(f"nl2sql-align matrix {warehouse}", "how close each corpus is to each target")]
    if len(ratios):
        steps.insert(
            0, (f"nl2sql-align ratio {warehouse}", "which training set should help which model")
        )
    candidates = _rank_candidates(pairs)
    if len(candidates):
        best = candidates.row(0, named=True)
        source, target = best["source"], best["target"]
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
    share, worst = _find_least_parsed(pairs)
    if worst and share < _RARELY_PARSED:
        steps.append(
            (f"nl2sql-align rejects {warehouse} {worst}", "why so many queries do not parse")
        )
    return steps


def _rank_candidates(pairs: "pl.DataFrame") -> "pl.DataFrame":
    """Return the pairs of a training set and a target, the closest first."""
    import polars as pl

    return pairs.filter(
        (pl.col("source_role") == "train")
        & (pl.col("target_role") == "target")
        & (pl.col("source") != pl.col("target"))
    ).sort("kl_alignment", "source", descending=[True, False], maintain_order=True)


def _describe_closest(pairs: "pl.DataFrame") -> str:
    best = _rank_candidates(pairs).unique("target", keep="first", maintain_order=True)
    named = [
        f"{row['source']} to {row['target']} "
        f"({format_value(row['kl_alignment'], row['ci_low'], row['ci_high'])})"
        for row in best.head(_MAX_NAMES).iter_rows(named=True)
    ]
    if not named:
        return ""
    more = f", and {len(best) - len(named)} more" if len(best) > len(named) else ""
    others = [doubt for doubt in list_doubts(best) if is_second_opinion(doubt)]
    other = f"; {others[0]}" if others else ""
    also = f", and so for {len(others) - 1} more" if len(others) > 1 else ""
    return f"Closest training sets: {', '.join(named)}{more}{other}{also}."


def _describe_verdicts(ratios: "pl.DataFrame") -> str:
    import polars as pl

    untuned = ratios.filter(pl.col("trained_on").is_null() & pl.col("verdict").is_not_null())
    if untuned.is_empty():
        return ""
    counts = dict.fromkeys(("gain", "undecided", "no gain"), 0)
    counts |= dict(untuned["verdict"].value_counts().iter_rows())
    summary = (
        f"Alignment Ratios of untuned models: {counts['gain']} gain, "
        f"{counts['undecided']} undecided, {counts['no gain']} no gain"
    )
    gains = untuned.filter(pl.col("verdict") == "gain").sort(
        "ci_low", "predictions", "train", descending=[True, False, False]
    )
    if gains.is_empty():
        return f"{summary}."
    first = gains.row(0, named=True)
    interval = (first["ci_low"], first["ci_high"], 1.0)
    return (
        f"{summary}; the surest gain: {first['train']} for {label_predictions(first)}, "
        f"{format_value(first['alignment_ratio'], *interval)} ({format_interval(*interval)})."
    )


def _describe_warnings(pairs: "pl.DataFrame", ratios: "pl.DataFrame") -> str:
    candidates = _rank_candidates(pairs)
    warnings = [_describe_warning(pairs, candidates), _describe_doubts(candidates, ratios)]
    if any(warnings) or candidates.is_empty():
        return " ".join(filter(None, warnings))
    share, _ = _find_least_parsed(pairs)
    return (
        f"No warnings: at least {math.floor(100 * share)}% of every corpus parses, and no training "
        f"set contains {_LEAKING:.1%} or more of a target's queries."
    )


def _describe_doubts(candidates: "pl.DataFrame", ratios: "pl.DataFrame") -> str:
    """Return the doubt that concerns most numbers, and the number of other doubts."""
    counts = Counter(
        doubt for frame in (candidates, ratios) for doubts in frame["doubts"] for doubt in doubts
    )
    if not counts:
        return ""
    (first, _), *others = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    more = f"; {len(others)} more in the notes of matrix and ratio" if others else ""
    return f"Doubtful: {first}{more}."


def _describe_warning(pairs: "pl.DataFrame", candidates: "pl.DataFrame") -> str:
    import polars as pl

    leaking = candidates.filter(pl.col("exact_overlap") >= _LEAKING).sort(
        "exact_overlap", "source", descending=[True, False]
    )
    if len(leaking):
        first = leaking.row(0, named=True)
        return (
            f"Warning: {first['source']} contains {first['exact_overlap']:.1%} of the queries of "
            f"{first['target']}; {len(leaking)} of {len(candidates)} pairs of training set and "
            f"target share at least {_LEAKING:.1%}."
        )
    share, worst = _find_least_parsed(pairs)
    if worst and share < _RARELY_PARSED:
        return f"Warning: only {share:.0%} of {worst} parses; see nl2sql-align rejects."
    return ""


def _find_least_parsed(pairs: "pl.DataFrame") -> tuple[float, str]:
    """Return the lowest share of queries that parse, and the first corpus that has it."""
    shares = dict(pairs.select("source", "source_parsed_share").iter_rows())
    worst = min(shares, key=lambda name: shares[name], default="")
    return shares.get(worst, 1.0), worst
