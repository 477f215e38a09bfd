"""Results in the terminal: tables for people, JSON and CSV for programs."""

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import polars as pl

    from tasks.calibration import Calibration
    from tasks.explain import Direction, Explanation
    from tasks.inspection import Inspection
    from tasks.mixture import Mixture
    from tasks.selection import Selection


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command line what becomes of a reader that has gone."""
        raise BrokenPipeError


# No emoji: the `:date:` of `x::date::text` is none.
out: Final = _Console(highlight=False, emoji=False)
err: Final = _Console(stderr=True, highlight=False, emoji=False)

_LONGEST_NAME: Final = 26
_LONGEST_EXAMPLE: Final = 160
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


def shortened(name: str, width: int = _LONGEST_NAME) -> str:
    """A long name without its middle."""
    if len(name) <= width:
        return name
    half = (width - 1) // 2
    return f"{name[: width - 1 - half]}…{name[len(name) - half :]}"


def print_matrix(rows: "pl.DataFrame", metric: str, is_all: bool) -> None:
    """One row per source and one column per target, in blocks as wide as the terminal.

    The last row of alignments is what another sample of each target would reach.

    Args:
        rows: The result of ``tasks.results.matrix``.
        metric: One of ``METRICS``.
        is_all: Show every corpus as a target, not only those with that role.
    """
    if rows.is_empty():
        out.print("No alignment: no corpus has a query with a template.")
        return
    shown = rows if is_all else rows.filter(rows["target_role"] == "target")
    targets = list(dict.fromkeys(shown["target"]))
    if not targets:
        out.print("No target can be compared with: all corpora are shown.")
        print_matrix(rows, metric, is_all=True)
        return
    sources = list(dict.fromkeys(zip(shown["source"], shown["source_role"], strict=True)))
    values = {(s, t): v for s, t, v in shown.select("source", "target", metric).iter_rows()}
    parsed = dict(rows.select("source", "source_parsed_share").iter_rows())
    ceilings = dict(rows.select("target", "target_ceiling").iter_rows())
    marked = shown.filter(shown["is_unevenly_parsed"])
    uneven = set(marked.select("source", "target").iter_rows())
    name_width = max(len(shortened(source)) for source, _ in sources) + 2
    fitting = max(1, (out.width - name_width - 22) // 12)
    for start in range(0, len(targets), fitting):
        block = targets[start : start + fitting]
        table = Table(box=None, pad_edge=False, title_justify="left", header_style="bold")
        table.add_column(f"{metric} of …", no_wrap=True)
        table.add_column("role", no_wrap=True)
        table.add_column("parsed", justify="right", no_wrap=True)
        for target in block:
            table.add_column(escape(shortened(target)), justify="right", overflow="fold")
        for source, role in sources:
            cells = [
                ""
                if source == t
                else f"{values[source, t]:.3f}{'*' if (source, t) in uneven else ' '}"
                for t in block
            ]
            table.add_row(escape(shortened(source)), role, f"{parsed[source]:.1%}", *cells)
        if metric == "kl_alignment" and any(ceilings[t] is not None for t in block):
            cells = [f"{_number(ceilings[t])} " for t in block]
            table.add_row("(ceiling)", "", "", *cells, style="dim")
        out.print(table)
        if start + fitting < len(targets):
            out.print()
    if any((source, target) in uneven for source, _ in sources for target in targets):
        out.print(
            "* The shares of queries that parse differ by more than 0.1: see nl2sql-align rejects."
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
        out.print(
            f"[bold]{escape(str(predictions))}[/] on [bold]{escape(str(target))}[/] "
            f"(model {escape(printable(first['model'] + tuned))})",
            soft_wrap=True,
        )
        out.print(
            f"  its answers are aligned at {first['predictions_alignment']:.3f}; "
            f"{first['predictions_parsed_share']:.1%} of them parse"
        )
        if first["target_ceiling"] is not None:
            out.print(
                f"  the ceiling of {escape(str(target))} is {first['target_ceiling']:.3f}, an AR "
                f"of {first['target_ceiling'] / first['predictions_alignment']:.3f}",
                soft_wrap=True,
            )
        if first["n_cleaned"]:
            out.print(f"  {_cleaning_words(group)}", soft_wrap=True)
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("  training set", no_wrap=True)
        table.add_column("alignment", justify="right")
        table.add_column("AR", justify="right")
        table.add_column("95 % interval", justify="right")
        table.add_column("verdict")
        for row in group.iter_rows(named=True):
            table.add_row(
                f"  {escape(shortened(row['train']))}",
                f"{row['train_alignment']:.3f}",
                f"{row['alignment_ratio']:.3f}",
                _ends(row["ci_low"], row["ci_high"]),
                row["verdict"] or "",
                style="dim" if row["verdict"] == "no gain" else "",
            )
        out.print(table)
        out.print()
    _print_few(rows)


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _print_few(rows: "pl.DataFrame") -> None:
    """Says which intervals rest on few databases."""
    few = {
        row[name]: row[f"n_{side}_units"]
        for side, name in (("train", "train"), ("target", "target"))
        for row in rows.iter_rows(named=True)
        if row[f"{side}_unit"] == "database" and row[f"n_{side}_units"] < FEW_DATABASES
    }
    if few:
        named = ", ".join(f"{escape(name)} ({n})" for name, n in sorted(few.items()))
        out.print(
            f"Intervals rest on fewer than {FEW_DATABASES} databases of {named}: "
            "read them as rough."
        )


def print_sample_sizes(rows: "pl.DataFrame", recommendation: str) -> None:
    """For each size and smoothing, how stable the ranking of training sets is."""
    smoothings = list(dict.fromkeys(rows["smoothing"]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("queries", justify="right")
    for smoothing in smoothings:
        table.add_column(f"{smoothing}\ntau", justify="right")
        table.add_column("\nwinner", justify="right")
        table.add_column("\ntop two", justify="right")
    for (size,), group in rows.group_by("n_queries", maintain_order=True):
        cells = [f"{size:,}"]
        for row in group.iter_rows(named=True):
            shares = (row["same_winner_share"], row["same_first_two_share"])
            cells += [f"{row['kendall_tau']:.2f}", *(f"{share:.0%}" for share in shares)]
        table.add_row(*cells)
    out.print(table)
    out.print()
    out.print(escape(recommendation), soft_wrap=True)


def print_selection(made: "Selection") -> None:
    """What was taken from where, and how near it is to the target, at steps of the budget."""
    out.print(
        f"[bold]{made.n_taken:,} rows[/] with {made.n_templates:,} templates for "
        f"[bold]{escape(made.target)}[/], by {made.options.method}: "
        f"aligned at [bold]{made.kl_alignment:.3f}[/]",
        soft_wrap=True,
    )
    whole = made.sources.drop_nulls("source_alignment").sort("source_alignment", descending=True)
    best = whole.row(0, named=True) if len(whole) else None
    before = f"; the best whole corpus, {escape(best['source'])}, at " if best else ""
    value = f"{best['source_alignment']:.3f}" if best else ""
    out.print(f"  all candidates at {made.pool_alignment:.3f}{before}{value}", soft_wrap=True)
    table = _plain_table(
        "  source", "taken", "candidates", "overlap", "alone", "without", "license"
    )
    for row in made.sources.sort("n_taken_from_source", descending=True).iter_rows(named=True):
        table.add_row(
            f"  {escape(shortened(row['source']))}",
            f"{row['n_taken_from_source']:,}",
            f"{row['n_candidates']:,}",
            f"{row['n_overlapping']:,}",
            _number(row["source_alignment"]),
            _number(row["alignment_without_source"]),
            escape(printable(row["license"] or "")),
            style="" if row["n_taken_from_source"] else "dim",
        )
    out.print(table)
    steps = _plain_table("  rows", "templates", "alignment", "at random")
    for row in made.curve.iter_rows(named=True):
        steps.add_row(
            f"  {row['n_rows']:,}",
            f"{row['n_templates']:,}",
            f"{row['kl_alignment']:.3f}",
            f"{row['random_alignment']:.3f}",
        )
    out.print(steps)
    if made.best_size is not None:
        out.print(f"  The cross-entropy was lowest after {made.best_size:,} rows.")
    for note in made.notes:
        out.print(f"  Note: {escape(note)}", soft_wrap=True)
    out.print(f"  Written to {escape(str(made.folder))}/selection.jsonl", soft_wrap=True)


def print_mixture(made: "Mixture") -> None:
    """The share of rows to draw from each corpus, with intervals."""
    out.print(
        f"The mixture nearest to [bold]{escape(made.target)}[/] is aligned at "
        f"[bold]{made.kl_alignment:.3f}[/]; all rows of these corpora at {made.pool_alignment:.3f}",
        soft_wrap=True,
    )
    table = _plain_table("  corpus", "share of rows", "95 % interval", "alone")
    for row in made.sources.iter_rows(named=True):
        table.add_row(
            f"  {escape(shortened(row['source']))}",
            f"{row['row_weight']:.3f}",
            f"{row['row_weight_low']:.3f} to {row['row_weight_high']:.3f}",
            f"{row['source_alignment']:.3f}",
            style="" if row["row_weight"] >= 0.0005 else "dim",
        )
    out.print(table)


def _plain_table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="left" if other == "license" else "right")
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


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
    out.print(
        f"[bold]{source}[/] is aligned with [bold]{target}[/] at {explanation.kl_alignment:.3f}",
        soft_wrap=True,
    )
    for sentence in explanation.sentences:
        out.print(f"  {escape(sentence)}", soft_wrap=True)
    for total in explanation.sums:
        more, less = (source, target) if total.direction == "over" else (target, source)
        out.print(
            f"\n[bold]What {more} has more of than {less}[/]: "
            f"KL({more} || {less}) = {total.divergence_nats:.3f} nats",
            soft_wrap=True,
        )
        _print_ngrams(ngrams.filter(ngrams["direction"] == total.direction))
        out.print(_sum_in_words(total), soft_wrap=True, style="dim")


def _print_ngrams(rows: "pl.DataFrame") -> None:
    # One line for each n-gram, and one for a query that has it: a table would break both.
    out.print("     nats  share   source   target  n-gram, and a query that has it", style="bold")
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
                told = escape(shortened(one_line, _LONGEST_EXAMPLE))
                out.print(f"{'':11}[dim]{side}: {told}[/]", soft_wrap=True)


def _sum_in_words(total: "Direction") -> str:
    share = total.shown_nats / total.divergence_nats if total.divergence_nats > 0 else 0.0
    return (
        f"  shown: {total.shown_nats:.4f} ({share:.1%}, {total.n_shown:,} n-grams); "
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
        out.print(
            f"[bold]{escape(str(predictions))}[/] on [bold]{escape(str(target))}[/] "
            f"(halves share no {'database' if first['split_by'] == 'databases' else 'query'})",
            soft_wrap=True,
        )
        if group["headroom_ratio"].null_count() == len(group):
            out.print("  no Headroom Ratio: the predictions are not one per question")
            continue
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("AR", "headroom", "best weight"):
            if not table.columns:
                table.add_column("  training set", no_wrap=True)
            table.add_column(name, justify="right")
        for row in group.sort(
            "headroom_ratio", "train", descending=[True, False], nulls_last=True
        ).iter_rows(named=True):
            table.add_row(
                f"  {escape(shortened(row['train']))}",
                f"{row['alignment_ratio']:.3f}",
                f"{row['headroom_ratio']:.4f}",
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
                else f"best cut {row['cut']:.4f}{_interval(row, 'cut')}"
            )
        if row["spearman"] is not None:
            parts.append(f"Spearman {row['spearman']:.2f}{_interval(row, 'spearman')}")
            parts.append(f"Pearson {row['pearson']:.2f}{_interval(row, 'pearson')}")
        if parts:
            out.print(f"    {row['measure']}: {'; '.join(parts)}", soft_wrap=True)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _interval(row: "dict[str, float | None]", name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    digits = 4 if name == "cut" else 2
    return "" if low is None or high is None else f" ({low:.{digits}f} to {high:.{digits}f})"


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
