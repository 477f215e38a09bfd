"""Dumps and rejected queries in the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.templates.rules import NOT_A_QUERY
from nl2sql_align.tasks.views.terminal.console import (
    ROWS_FROM_0,
    format_line,
    out,
    printable,
    say,
    shorten_name,
)

if TYPE_CHECKING:
    import polars as pl

    from nl2sql_align.tasks.run.corpora_draft import CorporaDraft
    from nl2sql_align.tasks.run.inspection import Inspection
    from nl2sql_align.tasks.templates.fingerprints import Fingerprint, Manifest

_LONGEST_TEXT: Final = 300


def print_inspection(found: "Inspection") -> None:
    """Print how a dump was read, its first queries with their templates, and its entry."""
    out.print(f"[bold]{escape(printable(str(found.path)))}[/]", soft_wrap=True)
    out.print(f"  {escape(printable(found.format_reason))}", soft_wrap=True)
    encoding = "" if found.encoding.name == "utf-8" else f", encoded in {found.encoding.name}"
    if found.encoding.n_replaced:
        encoding += f", {count_noun(found.encoding.n_replaced, 'character')} could not be decoded"
    out.print(f"  {count_noun(found.n_queries, 'query', 'queries')}{encoding}")
    rows = found.rows
    for text in filter(None, (rows.text, rows.odd_frequencies, rows.reading, found.lists)):
        out.print(f"  {escape(printable(text))}", soft_wrap=True)
    if found.n_cleaned:
        rules = ", ".join(f"{rule} {count:,}" for rule, count in found.cleaned_by.items())
        text = f"{count_noun(found.n_cleaned, 'text')} cleaned{f' ({rules})' if rules else ''}"
        out.print(f"  {text}", soft_wrap=True)
    ranked = sorted(
        found.dialect_shares.items(), key=lambda pair: (pair[0] != found.dialect, -pair[1])
    )
    shares = ", ".join(f"{name} {share:.1%}" for name, share in ranked[:4])
    why = "is the dump's own" if found.has_own_dialect else "parses the most queries"
    reason = f", which {why} ({shares})" if shares else ""
    if shares and not any(found.dialect_shares.values()):
        reason = ", because no dialect parses any of the sampled queries"
    out.print(f"  dialect {found.dialect}{reason}", soft_wrap=True)
    if rows.mixture:
        out.print(f"  {escape(printable(rows.mixture))}", soft_wrap=True)
    n_rejected = sum(found.reject_reasons.values())
    n_commands = sum(
        n for reason, n in found.reject_reasons.items() if reason.startswith(NOT_A_QUERY)
    )
    out.print(
        f"  {found.n_parsed - n_rejected:,} of the first {found.n_parsed:,} queries have a template"
        + (
            f"; {n_commands:,} of the others are statements that are not queries"
            if n_commands
            else ""
        )
    )
    for reason, count in list(found.reject_reasons.items())[:10]:
        out.print(f"  [bold]{count:>7,}[/]  {escape(printable(reason))}", soft_wrap=True)
    for hint in found.hints:
        out.print(f"  [yellow]{escape(printable(hint))}[/]", soft_wrap=True)
    if found.examples:
        out.print(f"\nThe first queries; {ROWS_FROM_0}:")
    for example in found.examples:
        out.print()
        text = format_line(example["sql"], _LONGEST_TEXT) or "(empty)"
        out.print(f"[dim]{example['ordinal']}:[/] {text}", soft_wrap=True)
        outcome = example["template"] or f"rejected: {example['reject_reason']}"
        out.print(f"   [bold]{format_line(outcome, _LONGEST_TEXT)}[/]", soft_wrap=True)
    out.print("\nEntry for the corpora file:\n")
    out.print(escape(found.entry), soft_wrap=True)


def print_manifest(manifest: "Manifest") -> None:
    """Print how a fingerprint was made, and the queries that it leaves out."""
    out.print(
        f"{count_noun(manifest.n_templates, 'template')} of "
        f"{count_noun(manifest.n_occurrences, 'query', 'queries')} "
        f"({count_noun(manifest.n_rows, 'row')}), dialect {escape(manifest.dialect)}"
    )
    for reason, n_queries in manifest.n_left_out.items():
        out.print(f"  [bold]{n_queries:>7,}[/]  {escape(printable(reason))}", soft_wrap=True)
    for gap in manifest.describe_gaps():
        out.print(f"  {escape(printable(gap))}", soft_wrap=True)


def print_fingerprint(found: "Fingerprint") -> None:
    """Print all that a fingerprint contains, a line each."""
    for name, value in asdict(found.manifest).items():
        out.print(f"{name}: {escape(printable(str(value)))}", soft_wrap=True)
    out.print("\n[bold]queries    rows  template[/]")
    for line in found.lines.to_pylist():
        text = line["template"] or f"({line['left_out']})"
        counts = f"{line['n_occurrences']:>7,} {line['n_rows']:>7,}"
        out.print(f"{counts}  {escape(printable(text))}", soft_wrap=True)


def print_catalog(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print public data sets, and how to use them."""
    for row in rows:
        license = row["license"] or "license not stated"
        dialect = "" if row["dialect"] == "auto" else f", {row['dialect']}"
        out.print(f"[bold]{row['corpus']}[/]  {row['role']}, {row['format']}{dialect}, {license}")
        out.print(f"  {row['path']}", markup=False, soft_wrap=True)
    first = rows[0]["corpus"]
    out.print(f"The entry for a corpora file: nl2sql-align catalog {first}", soft_wrap=True)


def print_draft(draft: "CorporaDraft") -> None:
    """Print the corpora of a drafted corpora file, the files left out, and the next command."""
    width = max(len(shorten_name(one.entry.name)) for one in draft.corpora)
    for one in draft.corpora:
        entry = one.entry
        role = f"{entry.role} on {entry.target}" if entry.target else entry.role
        text = f"{role}, {entry.format}, {entry.dialect}, {one.n_queries:,} queries"
        out.print(f"{shorten_name(entry.name):<{width}}  {text}", markup=False, soft_wrap=True)
    for path, why in draft.left_out.items():
        out.print(f"[dim]left out: {escape(printable(f'{path}: {why}'))}[/]", soft_wrap=True)
    place = escape(printable(str(draft.path)))
    out.print(f"Corpora file: {place} (its comments explain the guesses)", soft_wrap=True)
    out.print(f"Check it, then: nl2sql-align run {place}", soft_wrap=True)


def print_rejects(rows: "pl.DataFrame", corpus: str, n_examples: int) -> None:
    """Print why queries were rejected, the most frequent reason first, with examples.

    Args:
        rows: The result of ``tasks.results.read.rejects``.
        corpus: The name of the corpus.
        n_examples: How many queries to show for each reason.
    """
    if rows.is_empty():
        out.print(f"{escape(corpus)}: no rejected queries")
        return
    # Drop the position at which parsing failed, which differs from query to query.
    kinds = rows["reject_reason"].str.replace(r" \(line \d+, column \d+\)$", "")
    counted = rows.with_columns(kinds.alias("kind"))
    n_rejected = int(rows["n_occurrences"].sum())
    n_commands = int(
        rows.filter(rows["reject_reason"].str.starts_with(NOT_A_QUERY))["n_occurrences"].sum()
    )
    more = f", of which {n_commands:,} are statements that are not queries" if n_commands else ""
    shown = f"; {ROWS_FROM_0}" if n_examples else ""
    rejected = count_noun(n_rejected, "query", "queries")
    say(f"[bold]{escape(corpus)}[/]: {rejected} rejected{more}{shown}")
    groups = [
        (int(group["n_occurrences"].sum()), str(kind), group)
        for (kind,), group in counted.group_by("kind", maintain_order=True)
    ]
    for n_queries, kind, group in sorted(groups, key=lambda one: (-one[0], one[1])):
        out.print(f"[bold]{n_queries:>7,}[/]  {escape(printable(kind))}")
        for ordinal, text in group.select("ordinal", "raw_sql").head(n_examples).iter_rows():
            one_line = " ".join((text or "(none)").split()) or "(empty)"
            out.print(
                f"         [dim]{ordinal}:[/] {escape(printable(one_line))}",
                overflow="ellipsis",
                no_wrap=True,
                crop=True,
            )
