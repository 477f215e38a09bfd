"""A comparison of a few files in the terminal."""

from typing import TYPE_CHECKING, Final

from rich.markup import escape

from nl2sql_align.tasks.views.comparison import format_alignment
from nl2sql_align.tasks.views.labels import list_doubts
from nl2sql_align.tasks.views.options import ComparisonFormat
from nl2sql_align.tasks.views.terminal.console import (
    add_numbers,
    err,
    make_table,
    name_width,
    out,
    print_object,
    printable,
    say,
    shorten_names,
)
from nl2sql_align.tasks.views.terminal.ratios import print_ratios

if TYPE_CHECKING:
    import polars as pl

    from nl2sql_align.tasks.views.comparison import Comparison

# The heads of ``format_alignment`` that are shown, each with a shorter one.
_HEADS: Final = {
    "KL-alignment": "KL",
    "95% interval": "95% interval",
    "reach": "reach",
    "JS": "JS",
    "templates covered": "covered",
    "same queries": "same SQL",
    "parsed": "parsed",
}
# The columns below these heads at their widest, and the spaces between.
_OTHER_COLUMNS: Final = 6 + 14 + 6 + 5 + 7 + 8 + 6 + 16


def print_comparison(comparison: "Comparison", form: ComparisonFormat) -> None:
    """Print how close training sets are to a target, and whether tuning on them should help."""
    if form is ComparisonFormat.JSON:
        print_object(comparison.as_dict())
        return
    if form is not ComparisonFormat.TABLE:
        is_html = form is ComparisonFormat.HTML
        text = comparison.as_html() if is_html else comparison.as_markdown()
        out.file.write(text)
        return
    for line in [*comparison.notes, *comparison.set_aside.values()]:
        err.print(escape(printable(line)), soft_wrap=True)
    out.print(f"KL-alignment with [bold]{escape(comparison.target)}[/]", soft_wrap=True)
    _print_alignments(comparison.alignment)
    for doubt in list_doubts(comparison.alignment["doubts"]):
        say(f"[yellow]Doubtful: {escape(printable(doubt))}.[/]", 2)
    for train, sentences in comparison.sentences.items():
        out.print()
        out.print(f"[bold]{escape(train)}[/] and {escape(comparison.target)}", soft_wrap=True)
        for sentence in sentences:
            say(escape(printable(sentence)), 2)
    if len(comparison.ratios):
        out.print()
        print_ratios(comparison.ratios)


def _print_alignments(pairs: "pl.DataFrame") -> None:
    table = make_table("  training set")
    names = shorten_names(pairs["source"].to_list(), name_width(_OTHER_COLUMNS))
    rows = [format_alignment(row) for row in pairs.iter_rows(named=True)]
    columns = [
        add_numbers(table, shown, [row[head] for row in rows]) for head, shown in _HEADS.items()
    ]
    for name, *cells in zip(pairs["source"], *columns, strict=True):
        table.add_row(f"  {escape(names[name])}", *cells)
    out.print(table)
