"""Labels of corpora beside numbers, and doubts about them."""

from collections.abc import Iterable, Mapping
from typing import Any


def label_predictions(row: Mapping[str, Any]) -> str:
    """Return the name of the predictions of a ratio, with the part of the target they answer.

    Args:
        row: A row of table ``alignment_ratio``.
    """
    part = describe_part(row)
    return f"{row['predictions']} ({part})" if part else str(row["predictions"])


def describe_part(row: Mapping[str, Any]) -> str:
    """Return ``200 of 1,034 questions`` for a ratio of a part of the target, else ""."""
    if not row["is_part"]:
        return ""
    return f"{row['n_answered']:,} of {row['n_questions']:,} questions"


def list_doubts(of_rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the doubts about alignments or ratios, each once, in the order of the rows.

    Args:
        of_rows: The doubts of each row.
    """
    return list(dict.fromkeys(doubt for doubts in of_rows for doubt in doubts))
