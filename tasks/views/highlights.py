"""The few things worth knowing of a run's results, in words, and where to look next."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nl2sql_align.tasks.results.read import matrix, ratio
from nl2sql_align.tasks.views.digits import ends, shown

if TYPE_CHECKING:
    import polars as pl

_LEAKING: Final = 0.005
_FEW_PARSE: Final = 0.9
_MOST_NAMES: Final = 3


@dataclass(frozen=True)
class Highlights:
    """What a run ends with.

    Attributes:
        sentences: At most three: the closest training sets, the verdicts, and what to beware of.
        next_steps: Commands, with what each of them shows, for the results at hand.
    """

    sentences: list[str]
    next_steps: list[tuple[str, str]]


def highlights(place: Path | str) -> Highlights:
    """What is worth knowing of a warehouse's results, and where to look next.

    Raises:
        WarehouseError: There are no results.
    """
    pairs, ratios = matrix(place), ratio(place)
    told = [_closest(pairs), _verdicts(ratios), _beware(pairs)]
    return Highlights(
        [sentence for sentence in told if sentence],
        _next_steps(shlex.quote(str(place)), pairs, ratios),
    )


def _next_steps(
    warehouse: str, pairs: "pl.DataFrame", ratios: "pl.DataFrame"
) -> list[tuple[str, str]]:
    steps = [(f"nl2sql-align matrix {warehouse}", "how close each corpus is to each target")]
    if len(ratios):
        steps.insert(
            0, (f"nl2sql-align ratio {warehouse}", "which training set should help which model")
        )
    candidates = _candidates(pairs)
    if len(candidates):
        best = candidates.row(0, named=True)
        source, target = best["source"], best["target"]
        steps += [
            (
                f"nl2sql-align explain {warehouse} {source} {target}",
                "what still differs between the closest two",
            ),
            (
                f"nl2sql-align select {warehouse} --target {target} --budget 500 --out chosen",
                "the 500 training rows that are most like it",
            ),
        ]
    share, worst = _worst_parsed(pairs)
    if worst and share < _FEW_PARSE:
        steps.append((f"nl2sql-align rejects {warehouse} {worst}", "why so much does not parse"))
    return steps


def _candidates(pairs: "pl.DataFrame") -> "pl.DataFrame":
    """The training sets of each target, the closest first."""
    import polars as pl

    return pairs.filter(
        (pl.col("source_role") == "train")
        & (pl.col("target_role") == "target")
        & (pl.col("source") != pl.col("target"))
    ).sort("kl_alignment", "source", descending=[True, False], maintain_order=True)


def _closest(pairs: "pl.DataFrame") -> str:
    best = _candidates(pairs).unique("target", keep="first", maintain_order=True)
    named = [
        f"{row['source']} to {row['target']} "
        f"({shown(row['kl_alignment'], row['ci_low'], row['ci_high'])})"
        for row in best.head(_MOST_NAMES).iter_rows(named=True)
    ]
    more = f", and {len(best) - len(named)} more" if len(best) > len(named) else ""
    return f"Closest training sets: {', '.join(named)}{more}." if named else ""


def _verdicts(ratios: "pl.DataFrame") -> str:
    import polars as pl

    untuned = ratios.filter(pl.col("trained_on").is_null() & pl.col("verdict").is_not_null())
    if untuned.is_empty():
        return ""
    counts = dict.fromkeys(("gain", "undecided", "no gain"), 0)
    counts |= dict(untuned["verdict"].value_counts().iter_rows())
    said = (
        f"Alignment Ratios of untuned models: {counts['gain']} gain, "
        f"{counts['undecided']} undecided, {counts['no gain']} no gain"
    )
    gains = untuned.filter(pl.col("verdict") == "gain").sort(
        "ci_low", "predictions", "train", descending=[True, False, False]
    )
    if gains.is_empty():
        return f"{said}."
    first = gains.row(0, named=True)
    interval = (first["ci_low"], first["ci_high"], 1.0)
    return (
        f"{said}; the surest gain: {first['train']} for {first['predictions']}, "
        f"{shown(first['alignment_ratio'], *interval)} ({ends(*interval)})."
    )


def _beware(pairs: "pl.DataFrame") -> str:
    import polars as pl

    candidates = _candidates(pairs)
    leaking = candidates.filter(pl.col("exact_overlap") >= _LEAKING).sort(
        "exact_overlap", "source", descending=[True, False]
    )
    if len(leaking):
        first = leaking.row(0, named=True)
        return (
            f"Beware: {first['source']} holds {first['exact_overlap']:.1%} of the queries of "
            f"{first['target']}; {len(leaking)} of {len(candidates)} training sets and targets "
            f"share at least {_LEAKING:.1%}."
        )
    share, worst = _worst_parsed(pairs)
    if worst and share < _FEW_PARSE:
        return f"Beware: only {share:.0%} of {worst} parses; see nl2sql-align rejects."
    if candidates.is_empty():
        return ""
    return (
        f"Nothing to beware of: at least {share:.0%} of every corpus parses, and no training set "
        f"holds {_LEAKING:.1%} of a target's queries."
    )


def _worst_parsed(pairs: "pl.DataFrame") -> tuple[float, str]:
    """The lowest share of queries that parse, and the first corpus that has it."""
    shares = dict(pairs.select("source", "source_parsed_share").iter_rows())
    worst = min(shares, key=lambda name: shares[name], default="")
    return shares.get(worst, 1.0), worst
