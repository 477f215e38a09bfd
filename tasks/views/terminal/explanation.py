"""What makes two corpora differ, in the terminal."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from nl2sql_align.tasks.views.digits import ends, shown
from nl2sql_align.tasks.views.terminal.console import (
    Format,
    out,
    print_rows,
    printable,
    say,
    shortened,
)

if TYPE_CHECKING:
    import polars as pl

    from nl2sql_align.tasks.views.explain import Direction, Explanation


_LONGEST_EXAMPLE: Final = 160


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
