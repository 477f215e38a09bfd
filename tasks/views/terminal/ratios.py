"""Alignment Ratios in the terminal, for targets and for their slices."""

from collections.abc import Iterable
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.measures.records import list_records
from nl2sql_align.tasks.views.digits import format_interval, format_value
from nl2sql_align.tasks.views.labels import describe_part
from nl2sql_align.tasks.views.terminal.console import (
    MAX_ANSWERS,
    MAX_DETAILED,
    add_columns,
    add_numbers,
    make_table,
    name_width,
    out,
    printable,
    say,
    shorten_name,
    shorten_names,
)

if TYPE_CHECKING:
    import polars as pl

FEW_DATABASES: Final = 30
"""Intervals from fewer resampled databases than this, by weight, are called rough."""

_MAX_LISTED: Final = 3
_VERDICT_STYLES: Final = {"gain": "bold cyan", "undecided": "yellow", "no gain": "dim"}
# Both alignments, ratio, and ratio by reach at their widest, the indent, and the spaces between.
_RATIO_COLUMNS: Final = 6 + 5 + 6 + 8 + 2 + 12
# The indent, ratio, interval and verdict at their widest, and the spaces between.
_BEST_COLUMNS: Final = 2 + 6 + 16 + 13 + 8
# Queries, alignment, reach, ratio, ratio by reach and notes at their widest, and the spaces
# between.
_SLICE_COLUMNS: Final = 2 + 9 + 9 + 6 + 6 + 8 + 4 + 14
_MAX_SLICES: Final = 30


def print_ratios(rows: "pl.DataFrame", *, is_all: bool = False) -> None:
    """Print the Alignment Ratios: untuned models first, and those with the best ratio first.

    Args:
        rows: The result of ``tasks.results.read.ratio``.
        is_all: Print all training sets for each set of answers. Otherwise, only the best one of
            each is printed if there are more than a few sets of answers.
    """
    if rows.is_empty():
        out.print(
            "No Alignment Ratios: they need a corpus with the role train and one with the role "
            "predictions."
        )
        return
    groups = [group for _, group in rows.group_by("target", "predictions", maintain_order=True)]
    groups.sort(key=_rank_answers)
    if is_all or len(groups) <= MAX_DETAILED:
        for group in groups:
            _print_answers(group)
        _warn_of_few_databases(rows)
    else:
        _print_best(groups)
    if rows["trained_on"].count():
        say(
            "A model that is already tuned can gain even with an AR below 1: nl2sql-align headroom "
            "has a second ratio for this case."
        )


def _rank_answers(group: "pl.DataFrame") -> tuple[bool, float]:
    best = group.row(0, named=True)
    return best["trained_on"] is not None, -best["alignment_ratio"]


def _print_best(groups: list["pl.DataFrame"]) -> None:
    """Print the training set with the highest ratio for each set of answers."""
    best = [group.row(0, named=True) for group in groups[:MAX_ANSWERS]]
    for target in dict.fromkeys(row["target"] for row in best):
        say(f"The closest training set to [bold]{escape(target)}[/] for each set of answers")
        _print_best_of([row for row in best if row["target"] == target])
        out.print()
    n_hidden = len(groups) - len(best)
    hidden = f"{count_noun(n_hidden, 'more set')} of answers, and " if n_hidden else ""
    say(
        f"--all shows {hidden}all training sets; --target, --model, --train and --top choose among "
        "them."
    )


def _print_best_of(rows: list[dict[str, Any]]) -> None:
    """Print one ratio for each set of answers to a target."""
    room = name_width(_BEST_COLUMNS, 2)
    answers = shorten_names([row["predictions"] for row in rows], room)
    trains = shorten_names([row["train"] for row in rows], room)
    ends = [(row["ci_low"], row["ci_high"], 1.0) for row in rows]
    table = make_table("  answers", "training set")
    ratios = [
        format_value(row["alignment_ratio"], *end) for row, end in zip(rows, ends, strict=True)
    ]
    ratios = add_numbers(table, "AR", ratios)
    add_columns(table, "95% interval", "verdict")
    notes = _Notes()
    for row, ratio, interval in zip(rows, ratios, ends, strict=True):
        table.add_row(
            f"  {escape(answers[row['predictions']])}",
            escape(trains[row["train"]]),
            ratio,
            format_interval(*interval),
            (row["verdict"] or "") + notes.mark(row["doubts"]),
            style=_VERDICT_STYLES.get(row["verdict"], ""),
        )
    out.print(table)
    notes.print_all()


def _print_answers(group: "pl.DataFrame") -> None:
    """Print all training sets for one set of answers."""
    first = group.row(0, named=True)
    target = escape(first["target"])
    part = f", {describe_part(first)}" if first["is_part"] else ""
    tuned = f", tuned on {first['trained_on']}" if first["trained_on"] else ""
    say(
        f"[bold]{escape(first['predictions'])}[/] on [bold]{target}[/]{part} "
        f"(model {escape(printable(first['model'] + tuned))})"
    )
    alignment = format_value(
        first["predictions_alignment"], first["predictions_ci_low"], first["predictions_ci_high"]
    )
    say(
        f"KL-alignment of its answers: {alignment}; "
        f"{first['predictions_parsed_share']:.1%} of them parse",
        2,
    )
    if (ceiling := first["target_ceiling"]) is not None:
        ratio = format_value(ceiling / first["predictions_alignment"], border=1.0)
        say(f"ceiling for {target}{part}: {format_value(ceiling)}, or an AR of {ratio}", 2)
    if first["n_cleaned"]:
        say(_describe_cleaning(group), 2)
    common = [doubt for doubt in first["doubts"] if all(doubt in one for one in group["doubts"])]
    for doubt in common:
        say(f"[yellow]Doubtful: {escape(printable(doubt))}.[/]", 2)
    if verdicts := _describe_verdicts(group, "verdict"):
        say(f"Fine-tuning {verdicts}.", 2)
    has_reach = "reach_ratio" in group.columns and group["reach_ratio"].count() > 0
    if has_reach:
        others = group.filter(group["reach_verdict"] != group["verdict"])
        if verdicts := _describe_verdicts(others, "reach_verdict"):
            say(
                "By reach, which judges a training set by its best parts and was right more often "
                f"in the study, fine-tuning {verdicts}.",
                2,
            )
    of = {name: group[name].to_list() for name in group.columns}
    interval = (of["ci_low"], of["ci_high"], repeat(1.0))
    train_interval = (of["train_ci_low"], of["train_ci_high"])
    intervals = [*map(format_interval, *interval)]
    notes = _Notes()
    marked = [
        (verdict or "") + notes.mark(doubt for doubt in doubts if doubt not in common)
        for verdict, doubts in zip(of["verdict"], of["doubts"], strict=True)
    ]
    room = name_width(_RATIO_COLUMNS + max(map(len, intervals)) + max(map(len, marked)))
    names = shorten_names(of["train"], room)
    table = make_table("  training set")
    columns = (
        [f"  {escape(names[train])}" for train in of["train"]],
        add_numbers(table, "KL", [*map(format_value, of["train_alignment"], *train_interval)]),
        add_numbers(table, "JS", [*map(format_value, of["train_js_alignment"])]),
        add_numbers(table, "AR", [*map(format_value, of["alignment_ratio"], *interval)]),
        intervals,
        *([map(_show_reach, group.iter_rows(named=True))] if has_reach else []),
        marked,
    )
    add_columns(table, "95% interval", *(["by reach"] if has_reach else []), "verdict")
    for style, *cells in zip(map(_VERDICT_STYLES.get, of["verdict"]), *columns, strict=True):
        table.add_row(*cells, style=style)
    out.print(table)
    notes.print_all()
    for record in list_records(group.iter_rows(named=True)):
        say(record, 2)
    out.print()


class _Notes:
    """Numbered notes below a table."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, texts: Iterable[str]) -> str:
        """Return the numbers of texts, for the cell that they are about."""
        numbers = [self._numbers.setdefault(text, len(self._numbers) + 1) for text in texts]
        return f" {','.join(map(str, numbers))})" if numbers else ""

    def print_all(self) -> None:
        """Print each text after its number."""
        for text, number in self._numbers.items():
            say(f"[yellow]{escape(printable(text))}[/]", 2, f"{number}) ")


def print_slices(rows: "pl.DataFrame", *, is_all: bool = False) -> None:
    """Print the measures of the slices of targets, a table for each set of answers.

    Args:
        rows: The result of ``tasks.results.read.slices``.
        is_all: Print all sets of answers, slices and training sets. Otherwise, only the closest
            training set of each slice is printed, and not more than a few sets of answers.
    """
    if rows.is_empty():
        out.print(
            "No slices: name a column of a target in columns.slice in the corpora file, and run it."
        )
        return
    groups = [group for _, group in rows.group_by("target", "predictions", maintain_order=True)]
    if is_all:
        for group in groups:
            _print_slices_of(group)
        return
    n_hidden = 0
    for group in groups[:MAX_DETAILED]:
        closest = group.unique("slice", keep="first", maintain_order=True)
        _print_slices_of(closest.head(_MAX_SLICES))
        n_hidden += max(0, len(closest) - _MAX_SLICES)
    hidden = [count_noun(n_hidden, "more slice")] if n_hidden else []
    if len(groups) > MAX_DETAILED:
        hidden.append(f"{count_noun(len(groups) - MAX_DETAILED, 'more set')} of answers")
    if hidden:
        say(f"--all shows {' and '.join(hidden)}; --target, --model and --train choose among them.")


def _print_slices_of(group: "pl.DataFrame") -> None:
    """Print the slices of a target, with the ratios for one set of answers if there is one."""
    first = group.row(0, named=True)
    has_answers = first["predictions"] is not None
    answers = f", for [bold]{escape(first['predictions'])}[/]" if has_answers else ""
    say(f"Slices of [bold]{escape(first['target'])}[/]{answers}")
    table = make_table("  slice")
    room = name_width(_SLICE_COLUMNS, 2)
    slices = shorten_names(list(dict.fromkeys(map(printable, group["slice"]))), room)
    trains = shorten_names(group["train"].unique(maintain_order=True).to_list(), room)
    columns = [
        [f"  {escape(slices[printable(slice)])}" for slice in group["slice"]],
        add_numbers(table, "queries", [f"{n:,}" for n in group["n_queries"]]),
    ]
    add_columns(table, "training set")
    columns.append([escape(trains[train]) for train in group["train"]])
    numbers = {"alignment": "train_alignment", "reach": "reach"}
    if has_answers:
        numbers |= {"AR": "alignment_ratio", "by reach": "reach_ratio"}
    for head, column in numbers.items():
        border = 1.0 if column.endswith("ratio") else None
        texts = ["" if v is None else format_value(v, border=border) for v in group[column]]
        columns.append(add_numbers(table, head, texts))
    add_columns(table, "")
    notes = _Notes()
    for *cells, doubts in zip(*columns, group["doubts"], strict=True):
        table.add_row(*cells, notes.mark(doubts).strip())
    out.print(table)
    notes.print_all()
    out.print()


def _show_reach(row: dict[str, Any]) -> str:
    """Return a ratio by reach in the color of its verdict."""
    if row["reach_ratio"] is None:
        return ""
    value = format_value(row["reach_ratio"], row["reach_ci_low"], row["reach_ci_high"], 1.0)
    style = _VERDICT_STYLES.get(row["reach_verdict"] or "")
    return f"[not bold not dim default][{style}]{value}[/][/]" if style else value


def _describe_verdicts(group: "pl.DataFrame", column: str) -> str:
    """Summarize the verdicts for one model in a clause; return "" without verdicts."""
    clauses: list[str] = []
    for verdict, modal in (
        ("gain", "should"),
        ("undecided", "may or may not"),
        ("no gain", "should not"),
    ):
        names = group.filter(group[column] == verdict)["train"].to_list()
        if names:
            predicate = f"it {modal}" if clauses else f"{modal} help"
            clauses.append(f"on {_list_names(names)} {predicate}")
    return "; ".join(clauses)


def _list_names(names: list[str]) -> str:
    """List names as in "a, b and 3 others"."""
    named = names if len(names) <= _MAX_LISTED else names[: _MAX_LISTED - 1]
    others = [f"{len(names) - len(named)} others"] if len(named) < len(names) else []
    *some, last = [escape(shorten_name(name)) for name in named] + others
    return f"{', '.join(some)} and {last}" if some else last


def _warn_of_few_databases(rows: "pl.DataFrame") -> None:
    few = {}
    for side in ("train", "target"):
        for row in rows.filter(rows[f"{side}_unit"] == "database").iter_rows(named=True):
            n_units = row[f"n_{side}_units"]
            n_effective = row.get(f"n_effective_{side}_units") or n_units
            if n_effective < FEW_DATABASES:
                weighed = f", {n_effective:.0f} by weight" if n_units >= FEW_DATABASES else ""
                few[row[side]] = f"{n_units}{weighed}"
    if few:
        named = ", ".join(f"{escape(shorten_name(name))} ({n})" for name, n in sorted(few.items()))
        say(
            f"Intervals are rough, because they are based on fewer than {FEW_DATABASES} databases "
            f"of {named}."
        )


def _describe_cleaning(group: "pl.DataFrame") -> str:
    """Describe how many answers of a set of predictions were cleaned, and the effect on ratios."""
    cleaned = f"{count_noun(group['n_cleaned'][0], 'answer')} cleaned"
    before = group["alignment_ratio_as_written"]
    if before.is_null().all():
        return f"{cleaned}; without cleaning, no answer parses"
    changes = (group["alignment_ratio"] - before).drop_nulls()
    change = max(abs(value) for value in changes.to_list())
    if f"{change:.3f}" == "0.000":
        return f"{cleaned}, which changes no ratio by 0.001 or more"
    n_crossed = ((group["alignment_ratio"] > 1) != (before > 1)).to_list().count(True)
    crossed = f" and moves {count_noun(n_crossed, 'ratio')} across 1" if n_crossed else ""
    return f"{cleaned}, which changes ratios by up to {change:.3f}{crossed}"
