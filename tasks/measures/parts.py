"""The parts of a training set, whose best mixture is its reach (``docs/definitions.md``).

Parts are the sources that a dump names, else databases, else groups of templates with the same
words. The rule that groups templates looks at one template alone, so that rows that are added to a
set do not move its other rows to other parts.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats, Integers

PARTS_VERSION: Final = 1
"""Raise it with every change that can alter the parts of a training set."""

LEAST_QUERIES: Final = 10
"""Smaller parts are joined to one: a few queries match a target by chance."""

MOST_PARTS: Final = 1_000
"""The smallest of more parts are joined to one. Limits memory and time."""

# Databases are parts if at least this share of the queries has one.
_KNOWN_SHARE: Final = 0.5
_WORD: Final = r"[\p{L}_]\S*"
_SET_OPERATION: Final = r"\b(UNION|INTERSECT|EXCEPT)\b"


class PartsBy(StrEnum):
    """The ways to divide a training set into parts."""

    SOURCE = "source"
    """The sources that the dump names (``columns.part``)."""

    DATABASE = "database"
    """The databases of its queries."""

    TEMPLATE = "template"
    """Groups of templates with the same words."""

    NONE = "none"
    """The whole set, because it has one part only."""


@dataclass(frozen=True)
class Rows:
    """The queries of a set, by unit, template and part.

    Attributes:
        units: The number of each row's unit.
        templates: The number of its template.
        n_queries: The number of queries that it represents.
        parts: The number of its part.
        parted_by: How the set was divided.
    """

    units: Integers
    templates: Integers
    n_queries: Floats
    parts: Integers
    parted_by: PartsBy

    @property
    def n_parts(self) -> int:
        """The number of parts."""
        return int(self.parts.max(initial=-1)) + 1


def divide_rows(rows: pl.DataFrame, templates: pl.Series) -> Rows:
    """Divide the queries of a set into parts.

    Args:
        rows: ``unit_number``, ``template_number``, ``part``, ``db_id`` and ``n_queries`` of queries
            that have these in common.
        templates: The set's templates by their numbers.
    """
    by, parts = _choose_parts(rows, templates)
    return Rows(
        rows["unit_number"].to_numpy().astype(np.int64),
        rows["template_number"].to_numpy().astype(np.int64),
        rows["n_queries"].to_numpy().astype(np.float64),
        parts,
        by if parts.max(initial=0) > 0 else PartsBy.NONE,
    )


def _choose_parts(rows: pl.DataFrame, templates: pl.Series) -> tuple[PartsBy, Integers]:
    """Choose how to divide a set, and return the number of each row's part."""
    n_queries = rows["n_queries"]
    n_known = int(n_queries.filter(rows["db_id"].is_not_null()).sum())
    choices = {PartsBy.SOURCE: "part"}
    if n_known >= _KNOWN_SHARE * int(n_queries.sum()):
        choices[PartsBy.DATABASE] = "db_id"
    for by, column in choices.items():
        parts = _number_labels(_join_small(rows[column].fill_null(""), n_queries))
        if parts.max(initial=0) > 0:
            return by, parts
    of_templates = np.bincount(rows["template_number"], n_queries, len(templates))
    used = np.flatnonzero(of_templates)
    parts = np.zeros(len(templates), np.int64)
    parts[used] = _number_labels(_label_templates(templates[used], pl.Series(of_templates[used])))
    return PartsBy.TEMPLATE, parts[rows["template_number"]]


def _number_labels(labels: pl.Series) -> Integers:
    """Return the number of each label, in their order."""
    return labels.unique().sort().search_sorted(labels).to_numpy().astype(np.int64)


def _label_templates(templates: pl.Series, n_queries: pl.Series) -> pl.Series:
    """Return the label of each template's part, by its words or else by its clauses."""
    groups = group_templates(templates)
    by_words = _join_small(groups["words"], n_queries)
    labels = pl.when(by_words == "").then(groups["clauses"]).otherwise(by_words)
    return _join_small(pl.select(labels).to_series(), n_queries)


def group_templates(templates: pl.Series) -> pl.DataFrame:
    """Return two labels of each template: its set of words, and its clauses."""
    text = pl.col("template")

    def count(word: str, most: int) -> pl.Expr:
        return pl.min_horizontal(text.str.count_matches(rf"\b{word}\b"), most).cast(pl.String)

    words = text.str.extract_all(_WORD).list.unique().list.sort().list.join(" ")
    clauses = pl.format(
        "# {} {} {} {} {}",
        count("SELECT", 3),
        count("JOIN", 2),
        count("GROUP BY", 1),
        count("ORDER BY", 1),
        pl.min_horizontal(text.str.count_matches(_SET_OPERATION), 1).cast(pl.String),
    )
    return pl.DataFrame({"template": templates}).select(words=words, clauses=clauses)


def _join_small(labels: pl.Series, n_queries: pl.Series) -> pl.Series:
    """Return the labels, with an empty one for rows of small parts."""
    sizes = pl.DataFrame({"label": labels, "n": n_queries}).group_by("label").agg(pl.col("n").sum())
    large = sizes.filter((pl.col("n") >= LEAST_QUERIES) & (pl.col("label") != ""))
    kept = large.sort(["n", "label"], descending=[True, False])["label"].head(MOST_PARTS - 1)
    is_kept = labels.is_in(kept.implode())
    return pl.select(pl.when(is_kept).then(labels).otherwise(pl.lit(""))).to_series()
