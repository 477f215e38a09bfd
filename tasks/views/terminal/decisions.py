"""Decisions in the terminal."""

import json
import sys
from typing import TYPE_CHECKING

from rich.markup import escape

from nl2sql_align.tasks.views.digits import ends, shown
from nl2sql_align.tasks.views.terminal.console import (
    Format,
    count_noun,
    distinct,
    format_number,
    make_table,
    names_width,
    out,
    print_rows,
    printable,
    say,
    shortened,
)

if TYPE_CHECKING:
    import polars as pl

    from nl2sql_align.tasks.decisions.calibration import Calibration
    from nl2sql_align.tasks.decisions.mixture import Mixture
    from nl2sql_align.tasks.decisions.selection import Selection


def print_sample_sizes(rows: "pl.DataFrame", recommendation: str) -> None:
    """For each size and smoothing, how stable the ranking of training sets is."""
    smoothings = list(dict.fromkeys(rows["smoothing"]))
    measures = ("tau", "best", "two")
    heads = [f"{one if name == 'tau' else ''}\n{name}" for one in smoothings for name in measures]
    table = make_table("queries", *heads)
    table.columns[0].justify = "right"
    for (size,), group in rows.group_by("n_queries", maintain_order=True):
        cells = [f"{size:,}"]
        for row in group.iter_rows(named=True):
            shares = (row["same_winner_share"], row["same_first_two_share"])
            cells += [f"{row['kendall_tau']:.2f}", *(f"{share:.0%}" for share in shares)]
        table.add_row(*cells)
    out.print(table)
    out.print()
    say(
        "tau: Kendall's correlation with the ranking by all queries; best, two: how often the "
        "first, and the first two in their order, are the same."
    )
    say(escape(recommendation))


def print_selection(made: "Selection") -> None:
    """What was taken from where, and how near it is to the target, at steps of the budget."""
    say(
        f"[bold]{made.n_taken:,} rows[/] with {made.n_templates:,} templates for "
        f"[bold]{escape(made.target)}[/], by {made.options.method}: "
        f"aligned at [bold]{shown(made.kl_alignment)}[/]"
    )
    whole = made.sources.drop_nulls("source_alignment").sort("source_alignment", descending=True)
    best = whole.row(0, named=True) if len(whole) else None
    before = f"; the best whole corpus, {escape(best['source'])}, at " if best else ""
    value = shown(best["source_alignment"]) if best else ""
    say(f"all candidates at {shown(made.pool_alignment)}{before}{value}", 2)
    license = ["license"] if made.sources["license"].count() else []
    table = make_table("  source", "taken", "candidates", "overlap", "alone", "without", *license)
    names = distinct(made.sources["source"].to_list(), names_width(57))
    for row in made.sources.sort("n_taken_from_source", descending=True).iter_rows(named=True):
        table.add_row(
            f"  {escape(names[row['source']])}",
            f"{row['n_taken_from_source']:,}",
            f"{row['n_candidates']:,}",
            f"{row['n_overlapping']:,}",
            format_number(row["source_alignment"]),
            format_number(row["alignment_without_source"]),
            *(escape(shortened(printable(row[name] or ""), 16)) for name in license),
            style="" if row["n_taken_from_source"] else "dim",
        )
    out.print(table)
    steps = make_table("  rows", "templates", "alignment", "at random")
    for row in made.curve.iter_rows(named=True):
        steps.add_row(
            f"  {row['n_rows']:,}",
            f"{row['n_templates']:,}",
            shown(row["kl_alignment"]),
            shown(row["random_alignment"]),
        )
    out.print(steps)
    if made.best_size is not None:
        say(f"The cross-entropy was lowest after {made.best_size:,} rows.", 2)
    for note in made.notes:
        say(f"Note: {escape(note)}", 2)
    out.print(f"  Written to {escape(str(made.folder))}/selection.jsonl", soft_wrap=True)


def print_mixture(made: "Mixture") -> None:
    """The share of rows to draw from each corpus, with intervals."""
    say(
        f"The mixture nearest to [bold]{escape(made.target)}[/] is aligned at "
        f"[bold]{shown(made.kl_alignment)}[/]; all rows of these corpora at "
        f"{shown(made.pool_alignment)}"
    )
    table = make_table("  corpus", "share of rows", "95 % interval", "alone")
    names = distinct(made.sources["source"].to_list(), names_width(40))
    for row in made.sources.iter_rows(named=True):
        interval = (row["row_weight_low"], row["row_weight_high"])
        table.add_row(
            f"  {escape(names[row['source']])}",
            shown(row["row_weight"], *interval),
            ends(*interval),
            shown(row["source_alignment"]),
            style="" if row["row_weight"] >= 0.0005 else "dim",
        )
    out.print(table)


def print_headroom(rows: "pl.DataFrame") -> None:
    """For each set of predictions, the training sets in the order of their Headroom Ratio."""
    for (target, predictions), group in rows.group_by(
        ["target", "predictions"], maintain_order=True
    ):
        first = group.row(0, named=True)
        say(
            f"[bold]{escape(str(predictions))}[/] on [bold]{escape(str(target))}[/] "
            f"(halves share no {'database' if first['split_by'] == 'databases' else 'query'})"
        )
        if group["headroom_ratio"].null_count() == len(group):
            out.print("  no Headroom Ratio: the predictions are not one per question")
            continue
        table = make_table("  training set", "AR", "headroom", "best weight")
        names = distinct(group["train"].to_list(), names_width(34))
        for row in group.sort(
            "headroom_ratio", "train", descending=[True, False], nulls_last=True
        ).iter_rows(named=True):
            table.add_row(
                f"  {escape(names[row['train']])}",
                shown(row["alignment_ratio"]),
                shown(row["headroom_ratio"]),
                f"{row['best_weight']:.0%}",
                style="" if row["headroom_ratio"] > 1 else "dim",
            )
        out.print(table)


def print_calibration(calibration: "Calibration", form: Format) -> None:
    """How often the ratios were right, what went against them, and what that is worth."""
    frames = ("rows", "summary", "misses", "parts", "tuning")
    if form is Format.JSON:
        parts = {**vars(calibration), **{n: getattr(calibration, n).to_dicts() for n in frames}}
        json.dump(parts, sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
        return
    if form is Format.CSV:
        print_rows(calibration.rows, form)
        return
    summary = calibration.summary
    for (metric,), part in summary.group_by(["metric"], maintain_order=True):
        out.print(f"[bold]{escape(printable(str(metric)))}[/]")
        for (case,), group in part.group_by(["outcome_case"], maintain_order=True):
            _print_case(str(case), group)
        out.print()
    _print_misses(calibration)
    if calibration.parts.height:
        out.print("[bold]Random parts of a training set[/]: alignment (standard deviation)")
        for row in calibration.parts.iter_rows(named=True):
            out.print(
                f"  {escape(row['train'])}, {row['train_rows']:,} rows: "
                f"{row['alignment_mean']:.3f} ({row['alignment_sd']:.3f}); "
                f"the whole: {row['alignment_whole']:.3f}",
                soft_wrap=True,
            )
    if calibration.tuning.height:
        out.print("[bold]How tuning moved the predictions[/]: alignment with the target")
        for row in calibration.tuning.iter_rows(named=True):
            out.print(
                f"  {escape(row['predictions_before'])} to {escape(row['predictions_after'])}: "
                f"{row['alignment_before']:.3f} to {row['alignment_after']:.3f}",
                soft_wrap=True,
            )
    out.print("[bold]What these outcomes say, and what not[/]")
    for remark in calibration.remarks:
        out.print(f"  {escape(printable(remark))}", soft_wrap=True)
    for name, n in calibration.left_out.items():
        out.print(
            f"  Left out: {count_noun(n, 'outcome')} of {escape(printable(name))}, "
            "without a ratio in these results.",
            soft_wrap=True,
        )


def _print_case(case: str, group: "pl.DataFrame") -> None:
    first = group.row(0, named=True)
    out.print(
        f"  [bold]{escape(case)}[/]: {count_noun(first['n_rows'], 'outcome')} from "
        f"{count_noun(first['n_starting_points'], 'starting point')}, {first['n_gained']} gained",
        soft_wrap=True,
    )
    for row in group.iter_rows(named=True):
        parts = []
        if row["n_true_gain"] is not None:
            parts.append(
                f"above 1: {row['n_true_gain']} gained, {row['n_false_gain']} not; "
                f"else: {row['n_missed_gain']} gained, {row['n_true_none']} not"
            )
            parts.append(
                "nothing to separate"
                if row["cut"] is None
                else f"best cut {shown(row['cut'], row['cut_low'], row['cut_high'])}"
                f"{_interval(row, 'cut')}"
            )
        if row["spearman"] is not None:
            parts.append(f"Spearman {row['spearman']:.2f}{_interval(row, 'spearman')}")
            parts.append(f"Pearson {row['pearson']:.2f}{_interval(row, 'pearson')}")
        if parts:
            out.print(f"    {row['measure']}: {'; '.join(parts)}", soft_wrap=True)


def _interval(row: "dict[str, float | None]", name: str) -> str:
    told = ends(row[f"{name}_low"], row[f"{name}_high"])
    return f" ({told})" if told else ""


def _print_misses(calibration: "Calibration") -> None:
    misses = calibration.misses
    if misses.is_empty():
        out.print("Every outcome went as the Alignment Ratio said.")
        return
    out.print(
        f"[bold]{len(misses)} of {len(calibration.rows)} outcomes went against the Alignment "
        "Ratio[/]",
        soft_wrap=True,
    )
    for row in misses.iter_rows(named=True):
        second = row["headroom_ratio"]
        rows = "" if row["train_rows"] is None else f" ({row['train_rows']:,} rows)"
        told = (
            f"  {row['predictions']} on {row['train']}{rows}, {row['metric']}: AR "
            f"{row['alignment_ratio']:.3f}"
            + ("" if second is None else f", headroom {second:.4f}")
            + f", {row['before']:.3f} to {row['after']:.3f}"
        )
        out.print(escape(printable(told)), soft_wrap=True)
