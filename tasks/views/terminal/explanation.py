"""Why two corpora differ, in the terminal."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.views.digits import format_estimate, format_value
from nl2sql_align.tasks.views.terminal.console import (
    Format,
    format_line,
    out,
    print_object,
    print_rows,
    printable,
    say,
)

if TYPE_CHECKING:
    import polars as pl

    from nl2sql_align.tasks.views.explain import Direction, Explanation

_LONGEST_EXAMPLE: Final = 160


def print_explanation(explanation: "Explanation", form: Format) -> None:
    """Print why two corpora differ: in sentences, as n-grams, and as sums of their terms.

    JSON contains everything, CSV only the n-grams.
    """
    if form is Format.JSON:
        print_object(
            {
                **vars(explanation),
                "sums": [asdict(one) for one in explanation.sums],
                "ngrams": explanation.ngrams.to_dicts(),
                "features": explanation.features.to_dicts(),
            }
        )
        return
    ngrams = explanation.ngrams
    if form is Format.CSV:
        print_rows(ngrams.with_columns(ngrams["folded"].list.join(" | ")), form)
        return
    source, target = escape(explanation.source), escape(explanation.target)
    interval = (explanation.ci_low, explanation.ci_high)
    say(
        f"KL-alignment of [bold]{source}[/] with [bold]{target}[/]: "
        f"{format_estimate(explanation.kl_alignment, *interval)}"
    )
    for sentence in explanation.sentences:
        say(escape(sentence), 2)
    if explanation.answer_errors:
        out.print()
        say("[bold]Question by question[/]")
        for sentence in explanation.answer_errors:
            say(escape(sentence), 2)
    for total in explanation.sums:
        more, less = (source, target) if total.direction == "over" else (target, source)
        out.print()
        say(
            f"[bold]More frequent in {more} than in {less}[/]: "
            f"KL({more} || {less}) = {format_value(total.divergence_nats)} nats"
        )
        if not total.n_shown + total.n_rest:
            say("no n-gram", 2)
            continue
        _print_ngrams(ngrams.filter(ngrams["direction"] == total.direction))
        say(f"[dim]{_describe_sum(total)}[/]", 2)


def _print_ngrams(rows: "pl.DataFrame") -> None:
    # Not a table, which would wrap n-grams and queries.
    out.print("     nats  share   source   target  n-gram and example query", style="bold")
    longest = min(_LONGEST_EXAMPLE, 2 * out.width)
    for row in rows.iter_rows(named=True):
        folded = f"  [dim](+ {len(row['folded'])} nested)[/]" if row["folded"] else ""
        out.print(
            f"  {row['group_nats']:7.4f} {row['share']:6.1%} {row['source_probability']:8.3%} "
            f"{row['target_probability']:8.3%}  {escape(printable(row['ngram']))}{folded}",
            soft_wrap=True,
        )
        for side in ("source", "target"):
            if row[f"{side}_sql"] is not None:
                query = format_line(row[f"{side}_sql"], longest)
                out.print(f"{'':11}[dim]{side}: {query}[/]", soft_wrap=True)


def _describe_sum(total: "Direction") -> str:
    share = total.shown_nats / total.divergence_nats if total.divergence_nats > 0 else 0.0
    return (
        f"Sum of the terms shown: {total.shown_nats:.4f} "
        f"({share:.1%}, {count_noun(total.n_shown, 'n-gram')}); "
        f"of other more frequent n-grams: {total.rest_nats:.4f} ({total.n_rest:,}); "
        f"of all others: {total.opposite_nats:.4f} ({total.n_opposite:,}); "
        f"total: {total.divergence_nats:.4f}"
    )
