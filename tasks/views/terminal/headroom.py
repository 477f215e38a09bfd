"""Headroom Ratios in the terminal."""

from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.views.digits import format_value
from nl2sql_align.tasks.views.terminal.console import (
    MAX_ANSWERS,
    MAX_DETAILED,
    make_table,
    name_width,
    out,
    say,
    shorten_names,
)

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

# AR, headroom and weight, the indent, and the spaces between.
_NUMBER_COLUMNS: Final = 34

_Rows = list[dict[str, Any]]


def print_headroom(rows: "pl.DataFrame", place: "Path | str", *, is_all: bool = False) -> None:
    """Print the Headroom Ratios: untuned models first, and those with the best ratio first.

    Args:
        rows: The result of ``tasks.decisions.headroom.headroom``.
        place: The warehouse, for the next command.
        is_all: Print the numbers of all training sets for each set of answers. Otherwise, those
            that cannot help are only named, and only the best one of each is printed if there are
            more than a few sets of answers.
    """
    groups = [_rank(group) for _, group in rows.group_by("target", "predictions")]
    groups.sort(key=lambda group: (group[0]["trained_on"] is not None, *_key(group[0])))
    if is_all or len(groups) <= MAX_DETAILED:
        for group in groups:
            _print_all(group, is_all=is_all)
    else:
        _print_best(groups)
    if not rows["headroom_ratio"].count():
        return
    say(
        "Above 1, answers mixed with the training set (at the best weight) are closer to the "
        "target than the answers alone."
    )
    best = groups[0][0]
    if (best["headroom_ratio"] or 0) > 1:
        say("Next, choose rows:")
        out.print(
            f"  [bold]nl2sql-align select {escape(str(place))} --target {escape(best['target'])} "
            "--budget 500 --out chosen[/]",
            soft_wrap=True,
        )


def _rank(group: "pl.DataFrame") -> _Rows:
    return sorted(group.to_dicts(), key=_key)


def _key(row: dict[str, Any]) -> tuple[float, float, str, str]:
    """Return a key that sorts the highest Headroom Ratio first, and unknown ones last."""
    ratio = row["headroom_ratio"]
    return -(ratio or 0.0), -row["alignment_ratio"], row["predictions"], row["train"]


def _print_all(group: _Rows, *, is_all: bool) -> None:
    """Print the training sets for one set of answers.

    Those that cannot help are named in one line, unless all are to be shown.
    """
    first = group[0]
    _print_head(first, first["predictions"])
    known = [row for row in group if row["headroom_ratio"] is not None]
    if not known:
        say("no Headroom Ratio: it needs one prediction for each question", 2)
        return
    helping = [row for row in known if is_all or row["best_weight"] > 0]
    if helping:
        table = make_table("  training set", "headroom", "AR", "best weight")
        names = shorten_names([row["train"] for row in helping], name_width(_NUMBER_COLUMNS))
        for row in helping:
            numbers = _format_numbers(row)
            table.add_row(f"  {escape(names[row['train']])}", *numbers, style=_style(row))
        out.print(table)
    useless = [row["train"] for row in known if row not in helping]
    if useless:
        say(f"closest without any row of {escape(', '.join(useless))}", 2)


def _print_best(groups: list[_Rows]) -> None:
    """Print the training set with the highest ratio for each set of answers."""
    shown = groups[:MAX_ANSWERS]
    for target in dict.fromkeys(group[0]["target"] for group in shown):
        best = [group[0] for group in shown if group[0]["target"] == target]
        _print_head(best[0], "The best training set for each set of answers")
        room = name_width(_NUMBER_COLUMNS, 2)
        answers = shorten_names([row["predictions"] for row in best], room)
        trains = shorten_names([row["train"] for row in best], room)
        table = make_table("  answers", "training set", "headroom", "AR", "best weight")
        for row in best:
            table.add_row(
                f"  {escape(answers[row['predictions']])}",
                *_describe_best(row, escape(trains[row["train"]])),
                style=_style(row),
            )
        out.print(table)
    hidden = len(groups) - len(shown)
    more = f"{count_noun(hidden, 'more set')} of answers, and " if hidden else ""
    say(f"--all shows {more}all training sets; --target chooses a target.")


def _describe_best(row: dict[str, Any], train: str) -> tuple[str, ...]:
    if row["headroom_ratio"] is None:
        return ("unknown: not an answer each",)
    return (train, *_format_numbers(row)) if row["headroom_ratio"] > 1 else ("none helps",)


def _print_head(row: dict[str, Any], subject: str) -> None:
    say(
        f"[bold]{escape(subject)}[/] on [bold]{escape(row['target'])}[/] "
        f"(halves with different {row['split_by']})"
    )


def _format_numbers(row: dict[str, Any]) -> tuple[str, str, str]:
    return (
        format_value(row["headroom_ratio"], border=1.0),
        format_value(row["alignment_ratio"], border=1.0),
        f"{row['best_weight']:.0%}",
    )


def _style(row: dict[str, Any]) -> str:
    return "" if (row["headroom_ratio"] or 0) > 1 else "dim"
