"""The few things worth knowing of a run's results, in words."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasks.results import matrix, ratio

if TYPE_CHECKING:
    import polars as pl

_LEAKING: Final = 0.005
_MOST_NAMES: Final = 3


def highlights(warehouse: Path | str) -> list[str]:
    """At most three sentences: the closest training sets, the verdicts, and what to beware of.

    Raises:
        WarehouseError: There are no results.
    """
    pairs, ratios = matrix(Path(warehouse)), ratio(Path(warehouse))
    told = [_closest(pairs), _verdicts(ratios), _beware(pairs)]
    return [sentence for sentence in told if sentence]


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
        f"{row['source']} to {row['target']} ({row['kl_alignment']:.3f})"
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
    return (
        f"{said}; the surest gain: {first['train']} for {first['predictions']}, "
        f"{first['alignment_ratio']:.2f} ({first['ci_low']:.2f} to {first['ci_high']:.2f})."
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
    shares = pairs.select("source", "source_parsed_share").unique(maintain_order=True)
    worst = shares.sort("source_parsed_share", maintain_order=True)
    if len(worst) and worst.row(0)[1] < 0.9:
        name, share = worst.row(0)
        return f"Beware: only {share:.0%} of {name} parses; see nl2sql-align rejects."
    return ""
