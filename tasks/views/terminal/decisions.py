"""Sample sizes, selections, mixtures, gaps, headroom and calibration in the terminal."""

from typing import TYPE_CHECKING

from rich.markup import escape

from nl2sql_align.tasks.views.digits import format_interval, format_value
from nl2sql_align.tasks.views.terminal.console import (
    Format,
    count_noun,
    format_number,
    make_table,
    name_width,
    out,
    print_object,
    print_rows,
    printable,
    say,
    shorten_name,
    shorten_names,
)

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from nl2sql_align.tasks.decisions.calibration import Calibration
    from nl2sql_align.tasks.decisions.gaps import Gaps
    from nl2sql_align.tasks.decisions.health import Health
    from nl2sql_align.tasks.decisions.mixture import Mixture
    from nl2sql_align.tasks.decisions.selection import Selection


def print_sample_sizes(rows: "pl.DataFrame", recommendation: str) -> None:
    """Print how stable the ranking of training sets is, for each sample size and smoothing.

    Args:
        rows: The result of ``tasks.decisions.sample_size.sample_size``.
        recommendation: A sentence to print below the table.
    """
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
        "tau: Kendall's rank correlation with the ranking by all queries. best, two: how often "
        "the best training set, and the best two in order, are the same."
    )
    say(escape(recommendation))


def print_selection(selection: "Selection") -> None:
    """Print the rows taken from each source, and the alignment at steps of the budget."""
    say(
        f"[bold]{count_noun(selection.n_taken, 'row')}[/] with "
        f"{count_noun(selection.n_templates, 'template')} selected for "
        f"[bold]{escape(selection.target)}[/] by method {selection.options.method}: "
        f"KL-alignment [bold]{format_value(selection.kl_alignment)}[/]"
    )
    sources = selection.sources
    whole = sources.drop_nulls("source_alignment").sort("source_alignment", descending=True)
    closest = ""
    if len(whole):
        name, alignment = whole.select("source", "source_alignment").row(0)
        closest = f"; closest whole corpus, {escape(name)}: {format_value(alignment)}"
    say(f"all candidates: {format_value(selection.pool_alignment)}{closest}", 2)
    license = ["license"] if sources["license"].count() else []
    table = make_table("  source", "taken", "candidates", "overlap", "alone", "without", *license)
    names = shorten_names(sources["source"].to_list(), name_width(57))
    for row in sources.sort("n_taken_from_source", descending=True).iter_rows(named=True):
        table.add_row(
            f"  {escape(names[row['source']])}",
            f"{row['n_taken_from_source']:,}",
            f"{row['n_candidates']:,}",
            f"{row['n_overlapping']:,}",
            format_number(row["source_alignment"]),
            format_number(row["alignment_without_source"]),
            *(escape(shorten_name(printable(row[name] or ""), 16)) for name in license),
            style="" if row["n_taken_from_source"] else "dim",
        )
    out.print(table)
    say(
        "overlap: left out because the target contains them; alone: the KL-alignment of the whole "
        "source; without: of the selection without this source.",
        2,
    )
    steps = make_table("  rows", "templates", "alignment", "at random")
    for row in selection.curve.iter_rows(named=True):
        steps.add_row(
            f"  {row['n_rows']:,}",
            f"{row['n_templates']:,}",
            format_value(row["kl_alignment"]),
            format_value(row["random_alignment"]),
        )
    out.print(steps)
    if selection.best_size is not None:
        say(f"The cross-entropy is lowest after {count_noun(selection.best_size, 'row')}.", 2)
    for note in selection.notes:
        say(f"Note: {escape(note)}", 2)
    out.print(f"  Written to {escape(str(selection.folder))}/selection.jsonl", soft_wrap=True)
    if selection.training is not None:
        for name, path in selection.training.files.items():
            rows = count_noun(selection.training.n_rows[name], "row")
            out.print(f"  For a trainer: {escape(str(path))}, {rows}", soft_wrap=True)


def print_mixture(mixture: "Mixture") -> None:
    """Print the share of rows to draw from each corpus, with intervals."""
    say(
        f"The best mixture for [bold]{escape(mixture.target)}[/] has a KL-alignment of "
        f"[bold]{format_value(mixture.kl_alignment)}[/]; using all rows of these corpora gives "
        f"{format_value(mixture.pool_alignment)}"
    )
    table = make_table("  corpus", "share of rows", "95% interval", "alone")
    names = shorten_names(mixture.sources["source"].to_list(), name_width(40))
    for row in mixture.sources.iter_rows(named=True):
        interval = (row["row_weight_low"], row["row_weight_high"])
        table.add_row(
            f"  {escape(names[row['source']])}",
            format_value(row["row_weight"], *interval),
            format_interval(*interval),
            format_value(row["source_alignment"]),
            style="" if row["row_weight"] >= 0.0005 else "dim",
        )
    out.print(table)
    for note in mixture.notes:
        say(f"Note: {escape(note)}", 2)


def print_gaps(gaps: "Gaps", out_file: "Path | None" = None, most: int = 15) -> None:
    """Print the first templates of which a training set lacks rows, each with its structure."""
    source, target = escape(gaps.source), escape(gaps.target)
    if gaps.n_rows:
        say(
            f"[bold]{count_noun(gaps.n_rows, 'row')}[/] of "
            f"{count_noun(len(gaps.templates), 'template')} raise the KL-alignment of "
            f"[bold]{source}[/] with [bold]{target}[/] from {format_value(gaps.source_alignment)} "
            f"to [bold]{format_value(gaps.kl_alignment)}[/]"
        )
        # Not a table, which would wrap the structures.
        out.print("   rows  so far  alignment  target  source    pool", style="bold")
    for row in gaps.templates.head(most).iter_rows(named=True):
        out.print(
            f"  {row['n_rows']:5,} {row['n_rows_so_far']:7,} {row['kl_alignment']:10.4f} "
            f"{row['n_in_target']:7,} {row['n_in_source']:7,} {row['n_in_pool']:7,}",
            soft_wrap=True,
        )
        say(escape(row["structure"]), 4)
        if row["example_sql"] is not None:
            one_line = printable(" ".join(row["example_sql"].split()))
            corpus = escape(row["example_corpus"])
            query = escape(shorten_name(one_line, 2 * out.width))
            out.print(f"    [dim]{corpus}: {query}[/]", soft_wrap=True)
    if len(gaps.templates) > most:
        more = count_noun(len(gaps.templates) - most, "more template")
        say(f"and {more}; --format json lists all", 2)
    if gaps.n_rows:
        say(
            "rows: to add with this template; so far, alignment: with those above; target, source, "
            "pool: how many have it now.",
            2,
        )
    for note in gaps.notes:
        say(f"Note: {escape(note)}", 2)
    if out_file is not None:
        out.print(f"  Written to {escape(str(out_file))}", soft_wrap=True)


def print_health(health: "Health", n_rows: int = 3) -> None:
    """Print the number of findings of each kind in each corpus, and the rows of the first ones."""
    for row in health.checked.iter_rows(named=True):
        checked = (
            f"; names checked in {row['n_checked']:,}" if row["n_checked"] else "; no schema known"
        )
        say(
            f"[bold]{escape(row['corpus'])}[/]: {count_noun(row['n_queries'], 'query', 'queries')}"
            f"{checked}"
        )
        found = health.findings.filter(health.findings["corpus"] == row["corpus"])
        for (kind,), group in found.group_by(["kind"], maintain_order=True):
            rows = ", ".join(map(str, group["ordinal"].head(n_rows)))
            more = ", ..." if len(group) > n_rows else ""
            say(f"{kind}: {len(group):,} (rows {rows}{more})", 2)


def print_headroom(rows: "pl.DataFrame") -> None:
    """Print for each set of predictions the training sets, by decreasing Headroom Ratio."""
    for (target, predictions), group in rows.group_by(
        ["target", "predictions"], maintain_order=True
    ):
        first = group.row(0, named=True)
        say(
            f"[bold]{escape(str(predictions))}[/] on [bold]{escape(str(target))}[/] "
            f"(the halves share no {'database' if first['split_by'] == 'databases' else 'query'})"
        )
        if group["headroom_ratio"].null_count() == len(group):
            out.print("  no Headroom Ratio: it needs one prediction for each question")
            continue
        table = make_table("  training set", "AR", "headroom", "best weight")
        names = shorten_names(group["train"].to_list(), name_width(34))
        for row in group.sort(
            "headroom_ratio", "train", descending=[True, False], nulls_last=True
        ).iter_rows(named=True):
            table.add_row(
                f"  {escape(names[row['train']])}",
                format_value(row["alignment_ratio"]),
                format_value(row["headroom_ratio"]),
                f"{row['best_weight']:.0%}",
                style="" if row["headroom_ratio"] > 1 else "dim",
            )
        out.print(table)


def print_calibration(calibration: "Calibration", form: Format) -> None:
    """Print how often the ratios were right, the outcomes that contradict them, and remarks.

    JSON contains everything, CSV the outcomes with their ratios.
    """
    frames = ("rows", "summary", "misses", "parts", "tuning")
    if form is Format.JSON:
        print_object(vars(calibration) | {n: getattr(calibration, n).to_dicts() for n in frames})
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
    _print_misses(calibration.misses, len(calibration.rows))
    if calibration.parts.height:
        out.print("[bold]Random parts of a training set[/]: alignment (standard deviation)")
        for row in calibration.parts.iter_rows(named=True):
            out.print(
                f"  {escape(row['train'])}, {count_noun(row['train_rows'], 'row')}: "
                f"{row['alignment_mean']:.3f} ({row['alignment_sd']:.3f}); "
                f"whole training set: {row['alignment_whole']:.3f}",
                soft_wrap=True,
            )
    if calibration.tuning.height:
        out.print("[bold]Predictions before and after tuning[/]: alignment with the target")
        for row in calibration.tuning.iter_rows(named=True):
            out.print(
                f"  {escape(row['predictions_before'])} to {escape(row['predictions_after'])}: "
                f"{row['alignment_before']:.3f} to {row['alignment_after']:.3f}",
                soft_wrap=True,
            )
    out.print("[bold]What these outcomes do and do not show[/]")
    for remark in calibration.remarks:
        out.print(f"  {escape(printable(remark))}", soft_wrap=True)
    for name, n in calibration.left_out.items():
        out.print(
            f"  Left out: {count_noun(n, 'outcome')} of {escape(printable(name))}, because these "
            "results have no ratio for it.",
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
        findings = []
        if row["n_true_gain"] is not None:
            findings.append(
                f"above 1: {row['n_true_gain']} gained, {row['n_false_gain']} did not; "
                f"otherwise: {row['n_missed_gain']} gained, {row['n_true_none']} did not"
            )
            findings.append(
                "no cut, because all outcomes are alike"
                if row["cut"] is None
                else f"best cut {format_value(row['cut'], row['cut_low'], row['cut_high'])}"
                f"{_format_interval_of(row, 'cut')}"
            )
        if row["spearman"] is not None:
            findings.append(f"Spearman {row['spearman']:.2f}{_format_interval_of(row, 'spearman')}")
            findings.append(f"Pearson {row['pearson']:.2f}{_format_interval_of(row, 'pearson')}")
        if findings:
            out.print(f"    {row['measure']}: {'; '.join(findings)}", soft_wrap=True)


def _format_interval_of(row: "dict[str, float | None]", name: str) -> str:
    interval = format_interval(row[f"{name}_low"], row[f"{name}_high"])
    return f" ({interval})" if interval else ""


def _print_misses(misses: "pl.DataFrame", n_outcomes: int) -> None:
    if misses.is_empty():
        out.print("Every outcome agrees with its Alignment Ratio.")
        return
    out.print(
        f"[bold]{len(misses)} of {count_noun(n_outcomes, 'outcome')} contradict their Alignment "
        "Ratio[/]",
        soft_wrap=True,
    )
    for row in misses.iter_rows(named=True):
        headroom = row["headroom_ratio"]
        rows = "" if row["train_rows"] is None else f" ({count_noun(row['train_rows'], 'row')})"
        line = (
            f"  {row['predictions']} on {row['train']}{rows}, {row['metric']}: AR "
            f"{row['alignment_ratio']:.3f}"
            + ("" if headroom is None else f", headroom {headroom:.4f}")
            + f", {row['before']:.3f} to {row['after']:.3f}"
        )
        out.print(escape(printable(line)), soft_wrap=True)
