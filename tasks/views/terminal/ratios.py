"""Alignment Ratios in the terminal."""

from itertools import repeat
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from nl2sql_align.tasks.views.digits import ends, shown
from nl2sql_align.tasks.views.terminal.console import (
    add_columns,
    add_numbers,
    distinct,
    make_table,
    names_width,
    out,
    printable,
    say,
    shortened,
)

if TYPE_CHECKING:
    import polars as pl


_MOST_LISTED: Final = 3


_VERDICT_STYLES: Final = {"gain": "bold cyan", "undecided": "yellow", "no gain": "dim"}


# An interval by databases is rough where it rests on fewer than these.
FEW_DATABASES: Final = 30


def print_ratios(rows: "pl.DataFrame") -> None:
    """For each set of predictions, the training sets in the order of their Alignment Ratio."""
    if rows.is_empty():
        out.print(
            "No Alignment Ratio: it needs a corpus with the role train and one with predictions."
        )
        return
    for (target, predictions), group in rows.group_by(
        ["target", "predictions"], maintain_order=True
    ):
        first = group.row(0, named=True)
        tuned = f" tuned on {first['trained_on']}" if first["trained_on"] else ""
        say(
            f"[bold]{escape(str(predictions))}[/] on [bold]{escape(str(target))}[/] "
            f"(model {escape(printable(first['model'] + tuned))})"
        )
        alignment = shown(
            first["predictions_alignment"],
            first["predictions_ci_low"],
            first["predictions_ci_high"],
        )
        say(
            f"its answers are aligned at {alignment}; "
            f"{first['predictions_parsed_share']:.1%} of them parse",
            2,
        )
        if first["target_ceiling"] is not None:
            say(
                f"the ceiling of {escape(str(target))} is {shown(first['target_ceiling'])}, an AR "
                f"of {shown(first['target_ceiling'] / first['predictions_alignment'])}",
                2,
            )
        if first["n_cleaned"]:
            say(_cleaning_words(group), 2)
        if words := _verdict_words(group):
            say(words, 2)
        table = make_table("  training set")
        names = distinct(group["train"].to_list(), names_width(_RATIO_COLUMNS))
        of = {name: group[name].to_list() for name in group.columns}
        interval = (of["ci_low"], of["ci_high"], repeat(1.0))
        train_interval = (of["train_ci_low"], of["train_ci_high"])
        columns = (
            [f"  {escape(names[train])}" for train in of["train"]],
            add_numbers(table, "alignment", [*map(shown, of["train_alignment"], *train_interval)]),
            add_numbers(table, "AR", [*map(shown, of["alignment_ratio"], *interval)]),
            map(ends, *interval),
            (verdict or "" for verdict in of["verdict"]),
        )
        add_columns(table, "95 % interval", "verdict")
        for *cells, verdict in zip(*columns, strict=True):
            table.add_row(*cells, verdict, style=_VERDICT_STYLES.get(verdict, ""))
        out.print(table)
        out.print()
    _print_few(rows)
    if rows["trained_on"].count():
        say(
            "A model that is tuned already may gain below 1, too: nl2sql-align headroom has a "
            "second ratio for it."
        )


# Alignment, ratio, interval and verdict at their widest, the indent, and the spaces between
_RATIO_COLUMNS: Final = 9 + 6 + 16 + 9 + 2 + 8


def _verdict_words(group: "pl.DataFrame") -> str:
    """What the verdicts on training sets for one model come to; empty where there are none."""
    said: list[str] = []
    for verdict, modal in (
        ("gain", "should"),
        ("undecided", "may or may not"),
        ("no gain", "should not"),
    ):
        names = group.filter(group["verdict"] == verdict)["train"].to_list()
        if names:
            said.append(f"on {_listed(names)} " + (f"it {modal}" if said else f"{modal} help"))
    return f"Fine-tuning {'; '.join(said)}." if said else ""


def _listed(names: list[str]) -> str:
    """The first of some names, and how many others there are."""
    named = names if len(names) <= _MOST_LISTED else names[: _MOST_LISTED - 1]
    others = [f"{len(names) - len(named)} others"] if len(named) < len(names) else []
    *some, last = [escape(shortened(name)) for name in named] + others
    return f"{', '.join(some)} and {last}" if some else last


def _print_few(rows: "pl.DataFrame") -> None:
    """Says which intervals rest on few databases."""
    few = {
        row[name]: row[f"n_{side}_units"]
        for side, name in (("train", "train"), ("target", "target"))
        for row in rows.iter_rows(named=True)
        if row[f"{side}_unit"] == "database" and row[f"n_{side}_units"] < FEW_DATABASES
    }
    if few:
        named = ", ".join(f"{escape(shortened(name))} ({n})" for name, n in sorted(few.items()))
        say(
            f"Intervals rest on fewer than {FEW_DATABASES} databases of {named}: "
            "read them as rough."
        )


def _cleaning_words(group: "pl.DataFrame") -> str:
    """How many answers of some predictions were cleaned, and what that changes."""
    n_cleaned = group["n_cleaned"][0]
    told = f"{n_cleaned:,} of them cleaned"
    before = group["alignment_ratio_as_written"]
    if before.is_null().all():
        return f"{told}; as they were written, none parses"
    changes = (group["alignment_ratio"] - before).drop_nulls()
    change = max(abs(value) for value in changes.to_list())
    if f"{change:.3f}" == "0.000":
        return f"{told}: no ratio changes by 0.001"
    sides = ((group["alignment_ratio"] > 1) != (before > 1)).sum()
    crossed = f", {sides} of them to the other side of 1" if sides else ""
    return f"{told}: ratios change by up to {change:.3f}{crossed}"
