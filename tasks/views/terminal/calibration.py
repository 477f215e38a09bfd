"""The calibration of the ratios by real outcomes in the terminal."""

from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.views.digits import format_estimate, format_interval, format_value
from nl2sql_align.tasks.views.terminal.console import (
    Format,
    make_table,
    out,
    print_object,
    print_rows,
    printable,
    say,
)

if TYPE_CHECKING:
    import polars as pl

    from nl2sql_align.tasks.decisions.calibration import Calibration

_MAX_MISSES: Final = 20
_FRAMES: Final = ("rows", "summary", "misses", "parts", "tuning")


def print_calibration(calibration: "Calibration", form: Format) -> None:
    """Print the outcomes that contradict their ratios, remarks, and how often ratios were right.

    JSON contains everything, CSV the outcomes with their ratios.
    """
    if form is Format.JSON:
        print_object(vars(calibration) | {n: getattr(calibration, n).to_dicts() for n in _FRAMES})
        return
    if form is Format.CSV:
        print_rows(calibration.rows, form)
        return
    _print_misses(calibration)
    out.print("[bold]What these outcomes do and do not show[/]")
    for remark in calibration.remarks:
        _say_item(remark)
    if calibration.left_out:
        hints = calibration.hints
        listed = (f"{n} ({hints[n]})" if n in hints else n for n in calibration.left_out)
        _say_item(
            f"Left out: {count_noun(calibration.n_left_out, 'outcome')}, because these results "
            f"have no ratio for {', '.join(listed)}. To include them, correct these names, or add "
            "the corpora to the corpora file and run again."
        )
    for (metric,), part in calibration.summary.group_by(["metric"], maintain_order=True):
        out.print(f"[bold]{escape(printable(str(metric)))}[/]")
        for (case,), group in part.group_by(["outcome_case"], maintain_order=True):
            _print_case(str(case), group)
    say(
        "right: ratios above 1 with a gain, and others without one; Spearman, Pearson: correlation "
        "with the gain, with 95% intervals."
    )
    _print_parts(calibration.parts)
    _print_tuning(calibration.tuning)


def _say_item(text: str) -> None:
    say(escape(printable(text)), 2, "- ")


def _print_case(case: str, group: "pl.DataFrame") -> None:
    first = group.row(0, named=True)
    say(
        f"[bold]{escape(case)}[/]: {count_noun(first['n_rows'], 'outcome')} from "
        f"{count_noun(first['n_starting_points'], 'starting point')}, {first['n_gained']} gained",
        2,
    )
    table = make_table("    measure", "right", "Spearman", "Pearson")
    cuts = []
    for row in group.iter_rows(named=True):
        is_ratio = row["n_true_gain"] is not None
        right = f"{row['n_true_gain'] + row['n_true_none']}/{row['n_rows']}" if is_ratio else ""
        correlations = [_format_correlation(row, name) for name in ("spearman", "pearson")]
        if right or any(correlations):
            table.add_row(f"    {row['measure']}", right, *correlations)
        if row["cut"] is not None:
            cut = format_estimate(row["cut"], row["cut_low"], row["cut_high"])
            cuts.append(f"best cut of {row['measure']}: {cut}")
    out.print(table)
    for cut in cuts:
        say(escape(cut), 4)


def _format_correlation(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return ""
    interval = format_interval(row[f"{name}_low"], row[f"{name}_high"])
    return f"{row[name]:.2f} ({interval})" if interval else f"{row[name]:.2f}"


def _print_misses(calibration: "Calibration") -> None:
    misses, n_outcomes = calibration.misses, len(calibration.rows)
    if len(misses):
        head = f"{len(misses)} of {count_noun(n_outcomes, 'outcome')} "
        verb = "contradicts its" if len(misses) == 1 else "contradict their"
    elif n_outcomes == 1:
        head, verb = "1 outcome ", "agrees with its"
    else:
        head, verb = f"All {n_outcomes:,} outcomes ", "agree with their"
    n_left_out = calibration.n_left_out
    left_out = f"; {n_left_out:,} left out, without a ratio" if n_left_out else ""
    say(f"[bold]{head}{verb} Alignment Ratio{left_out}[/]")
    for row in misses.head(_MAX_MISSES).iter_rows(named=True):
        rows = "" if row["train_rows"] is None else f" ({count_noun(row['train_rows'], 'row')})"
        headroom = row["headroom_ratio"]
        shown = "" if headroom is None else f", headroom {format_value(headroom, border=1.0)}"
        _say_item(
            f"{row['model']}, from {row['predictions']} on {row['train']}{rows}, {row['metric']}: "
            f"AR {format_value(row['alignment_ratio'], border=1.0)}{shown}, "
            f"{row['before']:.3f} to {row['after']:.3f}"
        )
    if len(misses) > _MAX_MISSES:
        say(f"and {len(misses) - _MAX_MISSES:,} more; --format json lists all", 2)


def _print_parts(parts: "pl.DataFrame") -> None:
    if parts.is_empty():
        return
    say("[bold]Random parts of a training set[/]: alignment (standard deviation)")
    for row in parts.iter_rows(named=True):
        say(
            f"{escape(row['train'])}, {count_noun(row['train_rows'], 'row')}: "
            f"{row['alignment_mean']:.3f} ({row['alignment_sd']:.3f}); "
            f"whole training set: {row['alignment_whole']:.3f}",
            2,
        )


def _print_tuning(tuning: "pl.DataFrame") -> None:
    if tuning.is_empty():
        return
    say("[bold]Predictions before and after tuning[/]: alignment with the target")
    for row in tuning.iter_rows(named=True):
        say(
            f"{escape(row['predictions_before'])} to {escape(row['predictions_after'])}: "
            f"{row['alignment_before']:.3f} to {row['alignment_after']:.3f}",
            2,
        )
