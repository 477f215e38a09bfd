"""Results in the terminal: tables for people, JSON and CSV for programs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nl2sql_align.tasks.views.digits import ends, shown

if TYPE_CHECKING:
    import polars as pl

    from nl2sql_align.tasks.decisions.calibration import Calibration
    from nl2sql_align.tasks.decisions.mixture import Mixture
    from nl2sql_align.tasks.decisions.selection import Selection
    from nl2sql_align.tasks.run.inspection import Inspection
    from nl2sql_align.tasks.views.explain import Direction, Explanation


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command line what becomes of a reader that has gone."""
        raise BrokenPipeError


# No emoji: the `:date:` of `x::date::text` is none.
out: Final = _Console(highlight=False, emoji=False)
err: Final = _Console(stderr=True, highlight=False, emoji=False)

# However wide the terminal is; and however narrow.
_LONGEST_NAME: Final = 40
_SHORTEST_NAME: Final = 12
_LONGEST_EXAMPLE: Final = 160
# How long names of a matrix's columns may be: the most that lets all stand side by side, or the
# least.
_COLUMN_WIDTHS: Final = (40, 26, 18, 12)
# A matrix in more blocks than these is not read: the training sets are ranked instead.
_MOST_BLOCKS: Final = 3
_MOST_RANKED: Final = 5
_MOST_LISTED: Final = 3
_VERDICT_STYLES: Final = {"gain": "bold cyan", "undecided": "yellow", "no gain": "dim"}
# An interval by databases is rough where it rests on fewer than these.
FEW_DATABASES: Final = 30


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class LogFormat(StrEnum):
    """How a run says what it does, on standard error."""

    TEXT = "text"
    JSON = "json"


def print_rows(rows: "pl.DataFrame", form: Format) -> None:
    """Prints rows for programs: JSON, a list of objects, or CSV with a header.

    In CSV, a list is its values apart by spaces: names of corpora hold none.
    """
    if form is Format.JSON:
        json.dump(rows.to_dicts(), sys.stdout, ensure_ascii=False, indent=1, default=str)
        sys.stdout.write("\n")
    else:
        lists = [name for name, kind in rows.schema.items() if kind.is_nested()]
        joined = [rows[name].list.join(" ") for name in lists]
        sys.stdout.write(rows.with_columns(joined).write_csv())


def print_object(value: dict[str, Any]) -> None:
    """Prints one object as JSON."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1, default=str)
    sys.stdout.write("\n")


def print_inspection(found: "Inspection") -> None:
    """What a dump was taken for, its first queries with their templates, and its entry."""
    out.print(f"[bold]{escape(printable(str(found.path)))}[/]", soft_wrap=True)
    out.print(f"  {escape(printable(found.format_reason))}", soft_wrap=True)
    encoding = "" if found.encoding.name == "utf-8" else f", in {found.encoding.name}"
    if found.encoding.n_replaced:
        encoding += f", {found.encoding.n_replaced:,} characters could not be told"
    out.print(f"  {found.n_queries:,} queries{encoding}")
    if found.n_cleaned:
        out.print(f"  {found.n_cleaned:,} texts cleaned: their first SQL statement is taken")
    ranked = sorted(
        found.dialect_shares.items(), key=lambda pair: (-pair[1], pair[0] != found.dialect)
    )
    shown = ", ".join(f"{name} {share:.1%}" for name, share in ranked[:4])
    told = f", which parses most ({shown})" if shown else ""
    out.print(f"  dialect {found.dialect}{told}", soft_wrap=True)
    n_rejected = sum(found.reject_reasons.values())
    out.print(
        f"  {found.n_parsed - n_rejected:,} of the first {found.n_parsed:,} queries have a template"
    )
    for reason, count in list(found.reject_reasons.items())[:10]:
        out.print(f"  [bold]{count:>7,}[/]  {escape(printable(reason))}", soft_wrap=True)
    for example in found.examples:
        out.print()
        one_line = " ".join(example["sql"].split()) or "(empty)"
        out.print(f"[dim]{example['ordinal']}:[/] {escape(printable(one_line))}", soft_wrap=True)
        became = example["template"] or f"rejected: {example['reject_reason']}"
        out.print(f"   [bold]{escape(printable(became))}[/]", soft_wrap=True)
    out.print("\nFor the corpora file:\n")
    out.print(escape(found.entry), soft_wrap=True)


def say(text: str, indent: int = 0, mark: str = "") -> None:
    """Prints prose, with markup, broken at words where the terminal ends.

    A mark stands before the first line; the others are indented by its length.
    """
    before = " " * indent + mark
    whole = Text.from_markup(text.replace(" %", f"{_NO_BREAK}%"), emoji=False)
    for line in whole.wrap(out, max(20, out.width - len(before))):
        line.rstrip()
        line.plain = line.plain.replace(_NO_BREAK, " ")
        out.print(Text(before) + line, soft_wrap=True)
        before = " " * len(before)


# A character of no text, as wide as the space that it stands for: Rich breaks lines at any space.
_NO_BREAK: Final = "\ue000"


def shortened(name: str, width: int = _LONGEST_NAME) -> str:
    """A long name without its middle."""
    return _cut(name, width, "…")


def _cut(name: str, width: int, gap: str) -> str:
    if len(name) <= width:
        return name
    after = (width - len(gap)) // 2
    return f"{name[: width - len(gap) - after]}{gap}{name[len(name) - after :]}"


def distinct(names: "list[str]", width: int) -> dict[str, str]:
    """Names shortened to a width; those that would look alike then have numbers in their gaps."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(shortened(name, width), []).append(name)
    return {
        name: short if len(group) == 1 else _cut(name, width, f"…{n}…")
        for short, group in alike.items()
        for n, name in enumerate(group, 1)
    }


def _room(others: int, names: int = 1) -> int:
    """How wide each of so many columns of names may be beside others of this width."""
    return max(_SHORTEST_NAME, min(_LONGEST_NAME, (out.width - others) // names))


def _table(first: str, *others: str) -> Table:
    """A table whose first column is of names, and the others of numbers."""
    # One space apart where two would cut a column off.
    table = Table(
        box=None, pad_edge=False, header_style="bold", collapse_padding=out.width < _NARROW
    )
    table.add_column(first, no_wrap=True)
    _add_columns(table, *others)
    return table


def _add_columns(table: Table, *heads: str) -> None:
    for head in heads:
        is_text = head in _TEXT_COLUMNS
        table.add_column(escape(head), justify="left" if is_text else "right", no_wrap=True)


_NARROW: Final = 72
_TEXT_COLUMNS: Final = {"license", "verdict", "role", "training set"}


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
    names = distinct([*sources], max(_SHORTEST_NAME, min(_LONGEST_NAME, out.width // 3)))
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
        table = _table(f"{metric} of …", "role", "parsed")
        has_ceilings = metric == "kl_alignment" and any(
            ceilings[target] is not None for target in block
        )
        columns = [
            _add_numbers(
                table,
                heads[target],
                ["" if source == target else cells[source, target] for source in sources]
                + [f"{_number(ceilings[target])} "] * has_ceilings,
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


def _add_numbers(table: Table, head: str, texts: Sequence[str]) -> list[str]:
    """Adds a column, and gives its numbers with spaces that put their points below each other."""
    after = [len(text.partition(".")[2]) for text in texts]
    padded = [text + " " * (max(after) - n) for text, n in zip(texts, after, strict=True)]
    width = max(map(len, [head, *padded]))
    # Rich takes the spaces off what it justifies to the right.
    table.add_column(escape(head.rjust(width)), no_wrap=True)
    return [text.rjust(width) for text in padded]


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
    if out.width >= _NARROW:
        extra.append("parsed")
    room = _room(sum(map(len, extra)) + len(metric) + 2 * (len(extra) + 2), names=2)
    names = distinct([*rows["target"], *rows["source"]], room)
    table = _table("target", "training set")
    targets = list(dict.fromkeys(rows["target"]))
    groups = [ranked.filter(ranked["target"] == target) for target in targets]
    most = max(map(len, groups))
    best = [row for group in groups for row in group.head(_MOST_RANKED).iter_rows(named=True)]
    values = _add_numbers(table, metric, [_cell(row, metric) for row in best])
    _add_columns(table, *extra)
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
        table = _table("  training set")
        names = distinct(group["train"].to_list(), _room(_RATIO_COLUMNS))
        of = {name: group[name].to_list() for name in group.columns}
        interval = (of["ci_low"], of["ci_high"], repeat(1.0))
        train_interval = (of["train_ci_low"], of["train_ci_high"])
        columns = (
            [f"  {escape(names[train])}" for train in of["train"]],
            _add_numbers(table, "alignment", [*map(shown, of["train_alignment"], *train_interval)]),
            _add_numbers(table, "AR", [*map(shown, of["alignment_ratio"], *interval)]),
            map(ends, *interval),
            (verdict or "" for verdict in of["verdict"]),
        )
        _add_columns(table, "95 % interval", "verdict")
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


def print_sample_sizes(rows: "pl.DataFrame", recommendation: str) -> None:
    """For each size and smoothing, how stable the ranking of training sets is."""
    smoothings = list(dict.fromkeys(rows["smoothing"]))
    measures = ("tau", "best", "two")
    heads = [f"{one if name == 'tau' else ''}\n{name}" for one in smoothings for name in measures]
    table = _table("queries", *heads)
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
    table = _table("  source", "taken", "candidates", "overlap", "alone", "without", *license)
    names = distinct(made.sources["source"].to_list(), _room(57))
    for row in made.sources.sort("n_taken_from_source", descending=True).iter_rows(named=True):
        table.add_row(
            f"  {escape(names[row['source']])}",
            f"{row['n_taken_from_source']:,}",
            f"{row['n_candidates']:,}",
            f"{row['n_overlapping']:,}",
            _number(row["source_alignment"]),
            _number(row["alignment_without_source"]),
            *(escape(shortened(printable(row[name] or ""), 16)) for name in license),
            style="" if row["n_taken_from_source"] else "dim",
        )
    out.print(table)
    steps = _table("  rows", "templates", "alignment", "at random")
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
    table = _table("  corpus", "share of rows", "95 % interval", "alone")
    names = distinct(made.sources["source"].to_list(), _room(40))
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


def _number(value: float | None) -> str:
    return "" if value is None else shown(value)


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


def print_rejects(rows: "pl.DataFrame", corpus: str, n_examples: int) -> None:
    """The reasons for rejection in the order of their frequency, each with examples."""
    if rows.is_empty():
        out.print(f"{escape(corpus)}: no query was rejected.")
        return
    # Where in the text the parser gave up differs from query to query: not a reason of its own.
    kinds = rows["reject_reason"].str.replace(r" \(line \d+, column \d+\)$", "")
    counted = rows.with_columns(kinds.alias("kind"))
    out.print(f"[bold]{escape(corpus)}[/]: {len(rows):,} queries rejected")
    groups = sorted(
        counted.group_by("kind", maintain_order=True), key=lambda group: (-len(group[1]), group[0])
    )
    for (kind,), group in groups:
        out.print(f"[bold]{len(group):>7,}[/]  {escape(printable(str(kind)))}")
        for ordinal, text in group.select("ordinal", "raw_sql").head(n_examples).iter_rows():
            one_line = " ".join((text or "(none)").split()) or "(empty)"
            out.print(
                f"         [dim]{ordinal}:[/] {escape(printable(one_line))}",
                overflow="ellipsis",
                no_wrap=True,
                crop=True,
            )


def print_explanation(explanation: "Explanation", form: Format) -> None:
    """Why two corpora differ: in words, as n-grams, and how these sum to the divergence."""
    if form is Format.JSON:
        parts = {
            **vars(explanation),
            "sums": [asdict(one) for one in explanation.sums],
            "ngrams": explanation.ngrams.to_dicts(),
            "features": explanation.features.to_dicts(),
        }
        json.dump(parts, sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
        return
    ngrams = explanation.ngrams
    if form is Format.CSV:
        print_rows(ngrams.with_columns(ngrams["folded"].list.join(" | ")), form)
        return
    source, target = escape(explanation.source), escape(explanation.target)
    interval = (explanation.ci_low, explanation.ci_high)
    known = f" ({ends(*interval)})" if ends(*interval) else ""
    say(
        f"[bold]{source}[/] is aligned with [bold]{target}[/] at "
        f"{shown(explanation.kl_alignment, *interval)}{known}"
    )
    for sentence in explanation.sentences:
        say(escape(sentence), 2)
    for total in explanation.sums:
        more, less = (source, target) if total.direction == "over" else (target, source)
        out.print()
        say(
            f"[bold]What {more} has more of than {less}[/]: "
            f"KL({more} || {less}) = {shown(total.divergence_nats)} nats"
        )
        _print_ngrams(ngrams.filter(ngrams["direction"] == total.direction))
        say(f"[dim]{_sum_in_words(total)}[/]", 2)


def _print_ngrams(rows: "pl.DataFrame") -> None:
    # One line for each n-gram, and one for a query that has it: a table would break both.
    out.print("     nats  share   source   target  n-gram, and a query", style="bold")
    longest = min(_LONGEST_EXAMPLE, 2 * out.width)
    for row in rows.iter_rows(named=True):
        folded = f"  [dim](+ {len(row['folded'])} inside it)[/]" if row["folded"] else ""
        out.print(
            f"  {row['group_nats']:7.4f} {row['share']:6.1%} {row['source_probability']:8.3%} "
            f"{row['target_probability']:8.3%}  {escape(printable(row['ngram']))}{folded}",
            soft_wrap=True,
        )
        for side in ("source", "target"):
            if row[f"{side}_sql"] is not None:
                one_line = printable(" ".join(row[f"{side}_sql"].split()))
                told = escape(shortened(one_line, longest))
                out.print(f"{'':11}[dim]{side}: {told}[/]", soft_wrap=True)


def _sum_in_words(total: "Direction") -> str:
    share = total.shown_nats / total.divergence_nats if total.divergence_nats > 0 else 0.0
    return (
        f"shown: {total.shown_nats:.4f} ({share:.1%}, {total.n_shown:,} n-grams); "
        f"others it has more of: {total.rest_nats:.4f} ({total.n_rest:,}); "
        f"what it has less of: {total.opposite_nats:.4f} ({total.n_opposite:,}); "
        f"together {total.divergence_nats:.4f}"
    )


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
        table = _table("  training set", "AR", "headroom", "best weight")
        names = distinct(group["train"].to_list(), _room(34))
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
            f"  Left out: {_counted(n, 'outcome')} of {escape(printable(name))}, "
            "without a ratio in these results.",
            soft_wrap=True,
        )


def _print_case(case: str, group: "pl.DataFrame") -> None:
    first = group.row(0, named=True)
    out.print(
        f"  [bold]{escape(case)}[/]: {_counted(first['n_rows'], 'outcome')} from "
        f"{_counted(first['n_starting_points'], 'starting point')}, {first['n_gained']} gained",
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


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


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


def printable(text: str) -> str:
    """Text from a dump without what a terminal would obey: control and direction characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
