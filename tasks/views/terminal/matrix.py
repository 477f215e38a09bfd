"""The matrix of alignments in the terminal."""

from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.views.digits import format_interval, format_value
from nl2sql_align.tasks.views.labels import list_doubts
from nl2sql_align.tasks.views.terminal.console import (
    LONGEST_NAME,
    NARROW,
    SHORTEST_NAME,
    add_columns,
    add_numbers,
    format_number,
    make_table,
    name_width,
    out,
    printable,
    say,
    shorten_names,
)

if TYPE_CHECKING:
    import polars as pl

# Widths to try for the names above columns.
_COLUMN_WIDTHS: Final = (40, 26, 18, 12)
# With more blocks of columns than this, training sets are ranked instead.
_MAX_BLOCKS: Final = 3
_MAX_RANKED: Final = 5
_EXTRA_WIDTHS: Final = {
    "JS": len("0.123"),
    "95% interval": len("0.123 to 0.456"),
    "parsed": len("100.0%"),
}
_MAX_DOUBTS: Final = 10
# "predictions" and "100.0%", with the spaces between columns.
_ROLE_AND_PARSED: Final = 23
_SHARES: Final = {
    "ngram_coverage": "of the target's n-grams that the source has: higher covers more",
    "template_coverage": "of the target's queries whose template the source has: higher covers "
    "more",
    "exact_overlap": "of the target's queries that the source contains: it measures leaks, not "
    "closeness",
}
_UNEVENLY_PARSED: Final = (
    "* The shares of queries that parse differ by more than 10 percentage points between the two "
    "corpora; see nl2sql-align rejects."
)


def print_matrix(
    rows: "pl.DataFrame",
    metric: str,
    is_all: bool,
    is_ranked: bool | None = None,
    top: int | None = None,
) -> None:
    """Print one row per source and one column per target, in blocks as wide as the terminal.

    The last row has the ceilings: the alignment that another sample of each target would reach.

    Args:
        rows: The result of ``tasks.results.read.matrix``.
        metric: The measure to show.
        is_all: Show every corpus as a target, not only those with that role.
        is_ranked: Show the closest training sets of each target instead. By default, do so if the
            targets need more than three blocks, unless ``is_all``.
        top: How many of them to show, in any case; ``rows`` may have no others.
    """
    if rows.is_empty():
        out.print("Nothing to compare: no corpus has a query with an n-gram.")
        return
    if not is_all and "target" not in rows["target_role"]:
        out.print("No target to compare with, so all corpora are shown as targets.")
        is_all = True
    seen = _select_pairs(rows, is_all)
    sources = dict(zip(seen["source"], seen["source_role"], strict=True))
    targets = list(dict.fromkeys(seen["target"]))
    names = shorten_names([*sources], max(SHORTEST_NAME, min(LONGEST_NAME, out.width // 3)))
    label = max(map(len, [f"{metric} of …", *names.values()])) + _ROLE_AND_PARSED
    heads, blocks = _split_targets(targets, out.width - label)
    is_long = not is_all and len(blocks) > _MAX_BLOCKS
    if top or is_ranked or (is_ranked is None and is_long):
        _print_ranking(seen, metric, top or _MAX_RANKED, is_chosen=top is not None)
        return
    cells = {
        (row["source"], row["target"]): _format_cell(row, metric)
        for row in seen.iter_rows(named=True)
    }
    best = _find_closest(seen, metric)
    parsed = dict(rows.select("source", "source_parsed_share").iter_rows())
    ceilings = dict(rows.select("target", "target_ceiling").iter_rows())
    for number, block in enumerate(blocks):
        if number:
            out.print()
        table = make_table(f"{metric} of …", "role", "parsed")
        has_ceilings = metric == "kl_alignment" and any(
            ceilings[target] is not None for target in block
        )
        columns = [
            add_numbers(
                table,
                heads[target],
                ["" if source == target else cells[source, target] for source in sources]
                + [f"{format_number(ceilings[target])} "] * has_ceilings,
            )
            for target in block
        ]
        # Not strict, because the last value of a column may be its ceiling.
        for (source, role), *values in zip(sources.items(), *columns, strict=False):
            marked = [
                _highlight(value, best[target] == source)
                for target, value in zip(block, values, strict=True)
            ]
            table.add_row(escape(names[source]), role, f"{parsed[source]:.1%}", *marked)
        if has_ceilings:
            table.add_row("(ceiling)", "", "", *(column[-1] for column in columns), style="dim")
        out.print(table)
    say(f"Rows are sources, columns are targets. {_explain_metric(metric)}")
    _explain_marks(seen)
    for row in seen.filter(seen["n_answered"].is_not_null()).iter_rows(named=True):
        say(
            f"{escape(row['source'])} answers {row['n_answered']:,} of {row['n_questions']:,} "
            f"questions of {escape(row['target'])}, and is compared with all of them here; "
            "nl2sql-align ratio compares it with these."
        )


def list_shown_pairs(rows: "pl.DataFrame", is_all: bool) -> "pl.DataFrame":
    """Return the pairs that ``print_matrix`` shows if it shows all training sets."""
    seen = _select_pairs(rows, is_all or "target" not in rows["target_role"])
    return seen.filter(seen["source"] != seen["target"])


def _select_pairs(rows: "pl.DataFrame", is_all: bool) -> "pl.DataFrame":
    return rows if is_all else rows.filter(rows["target_role"] == "target")


def _split_targets(targets: list[str], room: int) -> tuple[dict[str, str], list[list[str]]]:
    """Return the heads of the targets' columns, and the targets in blocks that fit the room.

    The heads are as wide as they can be without adding a block.
    """
    splits = []
    for width in _COLUMN_WIDTHS:
        heads = shorten_names(targets, width)
        # 7 is the length of a value such as 0.8478*.
        widths = [max(len(heads[target]), 7) + 2 for target in targets]
        blocks: list[list[str]] = [[]]
        left = room
        for target, taken in zip(targets, widths, strict=True):
            if blocks[-1] and taken > left:
                blocks.append([])
                left = room
            blocks[-1].append(target)
            left -= taken
        overhang = max(0, max(widths) - room)
        splits.append((overhang, len(blocks), heads, blocks))
    *_, heads, blocks = min(splits, key=lambda split: split[:2])
    return heads, blocks


def _format_cell(row: dict[str, Any], metric: str) -> str:
    """Format a value, marked if it is doubtful, or one of the corpora parses much less."""
    # kl_alignment is the only measure with an interval.
    interval = (row["ci_low"], row["ci_high"]) if metric == "kl_alignment" else ()
    mark = "!" if row["doubts"] else "*" if row["is_unevenly_parsed"] else " "
    value = "unknown" if row[metric] is None else format_value(row[metric], *interval)
    return value + mark


def _explain_metric(metric: str) -> str:
    """Return which values of a measure are close, in a sentence."""
    if metric in _SHARES:
        return f"{metric} is the share {_SHARES[metric]}."
    if metric.endswith("_nats"):
        return "Lower is closer, and 0 means the same distribution of n-grams."
    return "Higher is closer, and 1 means the same distribution of n-grams."


def _explain_marks(rows: "pl.DataFrame") -> None:
    """Print the reasons of the marks beside values."""
    undoubted = rows.filter(rows["doubts"].list.len() == 0, rows["source"] != rows["target"])
    if undoubted["is_unevenly_parsed"].any():
        say(_UNEVENLY_PARSED)
    doubts = list_doubts(rows["doubts"])
    for doubt in doubts[:_MAX_DOUBTS]:
        say(f"[yellow]{escape(printable(doubt))}[/]", mark="! ")
    if len(doubts) > _MAX_DOUBTS:
        say(f"and {len(doubts) - _MAX_DOUBTS:,} more: see doubts in --format csv", mark="! ")


def _highlight(cell: str, is_best: bool) -> str:
    return f"[bold cyan]{cell}[/]" if is_best else cell


def _find_closest(rows: "pl.DataFrame", metric: str) -> dict[str, str | None]:
    from nl2sql_align.tasks.results.read import rank_pairs  # loads DuckDB

    best = rank_pairs(rows, metric).unique("target", keep="first", maintain_order=True)
    return dict.fromkeys(rows["target"]) | dict(best.select("target", "source").iter_rows())


def _print_ranking(rows: "pl.DataFrame", metric: str, top: int, *, is_chosen: bool) -> None:
    """Print the closest training sets of each target, one below the other."""
    import polars as pl

    from nl2sql_align.tasks.results.read import rank_pairs

    ranked = rank_pairs(rows, metric)
    has_interval = metric == "kl_alignment" and ranked["ci_low"].count() > 0
    extra = ["95% interval"] if has_interval else []
    if metric == "kl_alignment":
        extra.append("JS")
    if out.width >= NARROW:
        extra.append("parsed")
    others = sum(_EXTRA_WIDTHS[name] for name in extra) + len(metric)
    room = name_width(others + 2 * (len(extra) + 2), n_columns=2)
    names = shorten_names([*rows["target"], *rows["source"]], room)
    table = make_table("target", "training set")
    targets = list(dict.fromkeys(rows["target"]))
    groups = [ranked.filter(ranked["target"] == target) for target in targets]
    most = max(map(len, groups))
    best = [row for group in groups for row in group.head(top).iter_rows(named=True)]
    values = add_numbers(table, metric, [_format_cell(row, metric) for row in best])
    add_columns(table, *extra)
    last = None
    for row, value in zip(best, values, strict=True):
        more = {
            "95% interval": format_interval(row["ci_low"], row["ci_high"]),
            "JS": format_value(row["js_alignment"]),
            "parsed": f"{row['source_parsed_share']:.1%}",
        }
        is_first, last = row["target"] != last, row["target"]
        table.add_row(
            escape(names[row["target"]]) if is_first else "",
            escape(names[row["source"]]),
            _highlight(value, is_first),
            *(more[name] for name in extra),
        )
    out.print(table)
    if not metric.endswith("_alignment"):
        say(_explain_metric(metric))
    _explain_marks(pl.DataFrame(best, schema=rows.schema))
    if most <= top and is_chosen:
        order = f"highest {metric} first" if metric in _SHARES else "closest first"
        say(f"At most {top} for each target, {order}; --format csv: all measures.")
        return
    first = f"The first {top}" if metric in _SHARES else f"The {top} closest"
    shown = f"{first} of" if most > top else "All"
    sources = count_noun(rows["source"].n_unique(), "corpus", "corpora")
    say(
        f"{shown} {count_noun(most, 'training set')}; --whole shows the matrix of {sources} and "
        f"{count_noun(len(targets), 'target')}, --format csv all measures."
    )
