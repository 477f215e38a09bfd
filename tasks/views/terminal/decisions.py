"""Sample sizes, selections, mixtures, gaps and the health of data sets in the terminal."""

from typing import TYPE_CHECKING

from rich.markup import escape

from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.decisions.options import LEAST_WEIGHT
from nl2sql_align.tasks.views.digits import format_interval, format_value
from nl2sql_align.tasks.views.terminal.console import (
    ROWS_FROM_0,
    format_line,
    format_number,
    make_table,
    name_width,
    out,
    printable,
    say,
    shorten_name,
    shorten_names,
)

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from nl2sql_align.tasks.decisions.gaps import Gaps
    from nl2sql_align.tasks.decisions.health import Health
    from nl2sql_align.tasks.decisions.mixture import Mixture
    from nl2sql_align.tasks.decisions.selection import Selection
    from nl2sql_align.tasks.decisions.training_files import TrainingFiles


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
            style="bold" if row["n_rows"] == selection.best_size else "",
        )
    out.print(steps)
    for note in selection.notes:
        say(f"[yellow]Note: {escape(note)}[/]", 2)
    out.print(f"  Written to {escape(str(selection.folder))}/selection.jsonl", soft_wrap=True)
    _print_training(selection.training)


def _print_training(training: "TrainingFiles | None") -> None:
    if training is not None:
        for name, path in training.files.items():
            rows = count_noun(training.n_rows[name], "row")
            out.print(f"  For a trainer: {escape(str(path))}, {rows}", soft_wrap=True)


def print_mixture(mixture: "Mixture", place: "Path | str") -> None:
    """Print the share of rows to draw from each corpus, with intervals, and the next command.

    Args:
        mixture: The mixture.
        place: The warehouse, for the next command.
    """
    say(
        f"The best mixture for [bold]{escape(mixture.target)}[/] has a KL-alignment of "
        f"[bold]{format_value(mixture.kl_alignment)}[/]; using all rows of these corpora gives "
        f"{format_value(mixture.pool_alignment)}"
    )
    table = make_table("  corpus", "share of rows", "95% interval", "alone")
    names = shorten_names(mixture.sources["source"].to_list(), name_width(40))
    rows = mixture.sources.to_dicts()
    used = [row for row in rows if max(row["row_weight"], row["row_weight_high"]) >= LEAST_WEIGHT]
    unused = [row["source"] for row in rows if row not in used]
    for row in used:
        interval = (row["row_weight_low"], row["row_weight_high"])
        table.add_row(
            f"  {escape(names[row['source']])}",
            format_value(row["row_weight"], *interval),
            format_interval(*interval),
            format_value(row["source_alignment"]),
            style="" if row["row_weight"] >= LEAST_WEIGHT else "dim",
        )
    out.print(table)
    if unused:
        say(f"no rows of {escape(', '.join(unused))}", 2)
    for note in mixture.notes:
        say(f"[yellow]Note: {escape(note)}[/]", 2)
    _print_training(mixture.training)
    if mixture.training is not None:
        file = next(iter(mixture.training.files.values())).with_name("training.md")
        out.print(f"  How to mix them: {escape(str(file))}", soft_wrap=True)
    sources = ",".join(row["source"] for row in used if row["source"] in mixture.selectable)
    if not sources:
        return
    say("Next, choose single rows, which come closer to the target than shares of whole corpora:")
    out.print(
        f"  [bold]nl2sql-align select {escape(str(place))} --target {escape(mixture.target)} "
        f"--from {escape(sources)} --budget 500 --out chosen[/]",
        soft_wrap=True,
    )


def print_gaps(gaps: "Gaps", out_file: "Path | None" = None, most: int = 15) -> None:
    """Print the first templates that a training set lacks rows of, each with its structure."""
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
            query = format_line(row["example_sql"], 2 * out.width)
            out.print(f"    [dim]{escape(row['example_corpus'])}: {query}[/]", soft_wrap=True)
    if len(gaps.templates) > most:
        more = count_noun(len(gaps.templates) - most, "more template")
        say(f"and {more}; --format json lists all", 2)
    if gaps.n_rows:
        say(
            "rows: to add with this template; so far, alignment: with those above; target, source: "
            "how many have it now; pool: how many rows that could be added have it.",
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
            noun = "row" if len(group) == 1 else "rows"
            say(f"{kind}: {len(group):,} ({noun} {rows}{more})", 2)
    if len(health.findings):
        say(f"{ROWS_FROM_0.capitalize()}.")
