"""Faults in the structure of answers in sentences, and the remedy for them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.results.features import FEATURES, are_alike
from nl2sql_align.tasks.views.digits import format_percent

if TYPE_CHECKING:
    import duckdb

_MOST: Final = 5
_OUTCOMES: Final = ("right_template", "other_template", "no_template")
# Rarer faults are not mentioned.
_NOTABLE_SHARE: Final = 0.005
_FAULTS: Final = {"lacks": "Needed, but missing", "adds": "Not needed, but used"}


def read_answer_errors(con: "duckdb.DuckDBPyConnection") -> dict[tuple[str, str], list[str]]:
    """Return the sentences about predictions whose questions are known.

    Args:
        con: A connection to the results.

    Returns:
        The sentences by the names of the predictions and of their target.
    """
    by_pair: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in query_sql(con, "views/explain/answer_errors").pl().iter_rows(named=True):
        by_pair.setdefault((row["predictions"], row["target"]), []).append(row)
    return {pair: describe_answer_errors(rows) for pair, rows in by_pair.items()}


def describe_answer_errors(rows: Sequence[Mapping[str, Any]], most: int = _MOST) -> list[str]:
    """Describe how answers differ from the queries of their questions.

    Args:
        rows: The rows of table ``answer_errors`` for some predictions.
        most: How many structures to name as missing, and how many as not needed.
    """
    shares = {row["kind"]: row["share"] for row in rows if row["feature"] is None}
    n_answers = sum(row["n_answers"] for row in rows if row["kind"] in _OUTCOMES)
    right, other, unparsed = (shares.get(kind, 0.0) for kind in _OUTCOMES)
    compared = count_noun(n_answers, "answer")
    sentences = [
        f"{format_percent(right)} of the {compared} whose question's query has a template have "
        f"that template, {format_percent(other)} have another one, and {format_percent(unparsed)} "
        "do not parse."
    ]
    for kind, words in _FAULTS.items():
        named = _choose_notable([row for row in rows if row["kind"] == kind], most)
        if named:
            listed = ", ".join(
                f"{FEATURES[row['feature']]} in {format_percent(row['share'])}" for row in named
            )
            sentences.append(f"{words}, as a share of these answers: {listed}.")
    if "same_structures" in shares:
        sentences.append(
            f"{format_percent(shares['same_structures'])} of these answers have another template "
            "with the same structures, such as another comparison or another order."
        )
    if other:
        sentences.append(
            f"Wrong structure ({format_percent(other)}) asks for training data aligned with the "
            f"target. Right structure ({format_percent(right)}) with a wrong result asks for "
            "better linking of names and values."
        )
    return sentences


def _choose_notable(rows: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """Return the most frequent faults; of those that are one fault under two names, the first."""
    chosen: list[Mapping[str, Any]] = []
    for row in rows:
        is_known = any(
            are_alike(row["feature"], one["feature"]) and row["n_answers"] == one["n_answers"]
            for one in chosen
        )
        if row["share"] >= _NOTABLE_SHARE and not is_known:
            chosen.append(row)
    return chosen[:most]
