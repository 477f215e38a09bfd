"""The matrix of alignments in the terminal."""

from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from nl2sql_align.tasks.views.digits import ends, shown
from nl2sql_align.tasks.views.terminal.console import (
    LONGEST_NAME,
    NARROW,
    SHORTEST_NAME,
    add_columns,
    add_numbers,
    distinct,
    format_number,
    make_table,
    names_width,
    out,
    say,
)

if TYPE_CHECKING:
    import polars as pl


# How long names of a matrix's columns may be: the most that lets all stand side by side, or the
# least.
_COLUMN_WIDTHS: Final = (40, 26, 18, 12)


# A matrix in more blocks than these is not read: the training sets are ranked instead.
_MOST_BLOCKS: Final = 3


_MOST_RANKED: Final = 5


def print_matrix(
    rows: "pl.DataFrame", metric: str, is_all: bool, is_ranked: bool | None = None
) -> None:
    """One row per source and one column per target, in blocks as wide as the terminal.

    The last row of alignments is what another sample of each target would reach.

    Args:
        rows: The result of ``tasks.results.read.matrix``.
        metric: One of ``METRICS``.
        is_all: Show every corpus as a target, not only those with that role.
        is_ranked: Show the closest training sets of each target instead; by default, where the
            targets would take more than three blocks, and not all corpora are asked for.
    """
    if rows.is_empty():
        out.print("No alignment: no corpus has a query with a template.")
        return
    seen = rows if is_all else rows.filter(rows["target_role"] == "target")
    if seen.is_empty():
        out.print("No target can be compared with: all corpora are shown.")
        seen, is_all = rows, True
    sources = dict(zip(seen["source"], seen["source_role"], strict=True))
    targets = list(dict.fromkeys(seen["target"]))
    names = distinct([*sources], max(SHORTEST_NAME, min(LONGEST_NAME, out.width // 3)))
    label = max(map(len, [f"{metric} of …", *names.values()])) + _ROLE_AND_PARSED
    heads, blocks = _blocks(targets, out.width - label)
    if is_ranked or (is_ranked is None and not is_all and len(blocks) > _MOST_BLOCKS):
        _print_ranking(seen, metric)
        return
    cells = {
        (row["source"], row["target"]): _cell(row, metric) for row in seen.iter_rows(named=True)
    }
    best = _closest(seen, metric)
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
        # The last value of each column may be the ceiling.
        for (source, role), *values in zip(sources.items(), *columns, strict=False):
            marked = [
                _marked(value, best[target] == source)
                for target, value in zip(block, values, strict=True)
            ]
            table.add_row(escape(names[source]), role, f"{parsed[source]:.1%}", *marked)
        if has_ceilings:
            table.add_row("(ceiling)", "", "", *(column[-1] for column in columns), style="dim")
        out.print(table)
    if any("*" in cell for cell in cells.values()):
        say("* The shares of queries that parse differ by more than 0.1: see nl2sql-align rejects.")


# "predictions" and "100.0%", with the spaces between columns
_ROLE_AND_PARSED: Final = 23


def _blocks(targets: list[str], room: int) -> tuple[dict[str, str], list[list[str]]]:
    """The heads of a matrix's columns, and which targets stand side by side."""
    for width in _COLUMN_WIDTHS:
        heads = distinct(targets, width)
        blocks: list[list[str]] = [[]]
        left = room
        for target in targets:
            # A value such as 0.8478*
            taken = max(len(heads[target]), 7) + 2
            if blocks[-1] and taken > left:
                blocks.append([])
                left = room
            blocks[-1].append(target)
            left -= taken
        if len(blocks) == 1 and left >= 0:
            break
    return heads, blocks


def _cell(row: dict[str, Any], metric: str) -> str:
    """A value of the matrix, with a mark where one of the two parses much less than the other."""
    return _value(row, metric) + ("*" if row["is_unevenly_parsed"] else " ")


def _value(row: dict[str, Any], metric: str) -> str:
    if metric != "kl_alignment":  # the only measure with an interval
        return shown(row[metric])
    return shown(row[metric], row["ci_low"], row["ci_high"])


def _marked(cell: str, is_best: bool) -> str:
    return f"[bold cyan]{cell}[/]" if is_best else cell


def _ranked(rows: "pl.DataFrame", metric: str) -> "pl.DataFrame":
    """The training sets of each target, or else all sources, the closest first."""
    others = rows.filter(rows["source"] != rows["target"])
    trains = others.filter(others["source_role"] == "train")
    is_distance = metric.endswith("_nats")
    return (trains if len(trains) else others).sort(
        metric, descending=not is_distance, maintain_order=True
    )


def _closest(rows: "pl.DataFrame", metric: str) -> dict[str, str | None]:
    best = _ranked(rows, metric).unique("target", keep="first", maintain_order=True)
    return dict.fromkeys(rows["target"]) | dict(best.select("target", "source").iter_rows())


def _print_ranking(rows: "pl.DataFrame", metric: str) -> None:
    """The closest training sets of each target, one below the other."""
    ranked = _ranked(rows, metric)
    has_interval = metric == "kl_alignment" and ranked["ci_low"].count() > 0
    extra = ["95 % interval"] if has_interval else []
    if out.width >= NARROW:
        extra.append("parsed")
    room = names_width(sum(map(len, extra)) + len(metric) + 2 * (len(extra) + 2), names=2)
    names = distinct([*rows["target"], *rows["source"]], room)
    table = make_table("target", "training set")
    targets = list(dict.fromkeys(rows["target"]))
    groups = [ranked.filter(ranked["target"] == target) for target in targets]
    most = max(map(len, groups))
    best = [row for group in groups for row in group.head(_MOST_RANKED).iter_rows(named=True)]
    values = add_numbers(table, metric, [_cell(row, metric) for row in best])
    add_columns(table, *extra)
    last = None
    for row, value in zip(best, values, strict=True):
        more = {
            "95 % interval": ends(row["ci_low"], row["ci_high"]),
            "parsed": f"{row['source_parsed_share']:.1%}",
        }
        is_first, last = row["target"] != last, row["target"]
        table.add_row(
            escape(names[row["target"]]) if is_first else "",
            escape(names[row["source"]]),
            _marked(value, is_first),
            *(more[name] for name in extra),
        )
    out.print(table)
    if ranked["is_unevenly_parsed"].any():
        say("* The shares of queries that parse differ by more than 0.1: see nl2sql-align rejects.")
    say(
        f"The {min(most, _MOST_RANKED)} closest of {most} training sets; --whole shows the matrix "
        f"of {rows['source'].n_unique()} corpora and {len(targets)} targets, --format csv all "
        "measures."
    )
