"""Records: how scores changed in a study, and of published models, at similar ratios.

``benchmarks.study.report`` writes ``records.csv`` from the outcomes of ``docs/study.md``.
"""

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

# The ratios with a record, the column of their verdicts, and their names.
_RATIOS: Final = (
    ("alignment_ratio", "verdict", "ratio"),
    ("reach_ratio", "reach_verdict", "reach ratio"),
)


def list_records(ratios: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the records that belong to the verdicts of some ratios, a sentence each.

    The record of a reach ratio is left out if its verdict is that of the Alignment Ratio.

    Args:
        ratios: Rows of table ``alignment_ratio``.
    """
    found = []
    for row in ratios:
        verdicts = []
        for column, verdict, name in _RATIOS:
            if row.get(verdict) is not None and row[verdict] not in verdicts:
                found.append(_describe_record(column, name, row[column], bool(row["trained_on"])))
                verdicts.append(row[verdict])
    return list(dict.fromkeys(found))


def summarize_record(ratio: Mapping[str, Any]) -> str:
    """Return the record of an Alignment Ratio in a few words, to show beside its verdict.

    Args:
        ratio: A row of table ``alignment_ratio``.

    Returns:
        Such as ``20 of 24 gained, 1 lost; published: 15 of 20, 2 lost``; "" without a verdict.
    """
    if ratio["verdict"] is None:
        return ""
    study, published = _find_records(
        "alignment_ratio", ratio["alignment_ratio"], bool(ratio["trained_on"])
    )
    text = f"{study['n_gained']} of {study['n_outcomes']} gained, {study['n_lost']} lost"
    if published is not None:
        text += (
            f"; published: {published['n_gained']} of {published['n_outcomes']}, "
            f"{published['n_lost']} lost"
        )
    return text


def _find_records(
    column: str, ratio: float, is_tuned: bool
) -> tuple[Mapping[str, str], Mapping[str, str] | None]:
    """Return the studied and the published record of similar ratios; the latter may be missing."""
    start = "tuned" if is_tuned else "base"
    of_source = {
        row["source"]: row
        for row in _read_records()
        if (row["measure"], row["start"]) == (column, start)
        and float(row["low"]) <= ratio < float(row["high"] or "inf")
    }
    return of_source["study"], of_source.get("published")


def _describe_record(column: str, name: str, ratio: float, is_tuned: bool) -> str:
    model = "a tuned model" if is_tuned else "an untuned model"
    study, published = _find_records(column, ratio, is_tuned)
    text = (
        f"Fine-tuning {model} at a {name} {_describe_band(study)} gained 2 points or more in "
        f"{study['n_gained']} of {study['n_outcomes']} studied cases, and lost as much in "
        f"{study['n_lost']}"
    )
    if published is not None:
        text += (
            f"; in {published['n_outcomes']} published cases, {published['n_gained']} and "
            f"{published['n_lost']}"
        )
    return f"{text}."


def _describe_band(record: Mapping[str, str]) -> str:
    if not float(record["low"]):
        return f"below {record['high']}"
    return f"of {record['low']} to {record['high']}" if record["high"] else f"above {record['low']}"


@cache
def _read_records() -> tuple[dict[str, str], ...]:
    text = files("nl2sql_align.tasks.measures").joinpath("records.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
