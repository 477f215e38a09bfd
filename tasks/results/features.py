"""Structural features of templates in words."""

from collections.abc import Sequence
from typing import Final

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import run_sql

FEATURES: Final = {
    "joins": "joins",
    "plain_join": "JOIN without INNER",
    "inner_join": "INNER JOIN",
    "outer_join": "outer joins",
    "cross_join": "CROSS JOIN",
    "comma_join": "joins by a comma",
    "nesting_depth": "subqueries",
    "cte": "common table expressions",
    "set_operation": "set operations",
    "aggregate": "aggregate functions",
    "grouping": "GROUP BY",
    "having": "HAVING",
    "distinct_values": "DISTINCT",
    "case_expression": "CASE",
    "window_function": "window functions",
    "type_conversion": "type conversions",
    "arithmetic": "arithmetic",
    "predicates": "conditions",
    "text_pattern": "LIKE or regular expressions",
    "membership": "IN or EXISTS",
    "alternative": "OR",
    "null_value": "NULL",
    "ordering": "ORDER BY",
    "row_limit": "LIMIT or TOP",
    "ordering_with_limit": "ORDER BY with LIMIT or TOP",
}
"""The name of each structural feature in a sentence."""

RELATED: Final = {
    **dict.fromkeys(
        ("joins", "plain_join", "inner_join", "outer_join", "cross_join", "comma_join"), "joins"
    ),
    **dict.fromkeys(("nesting_depth", "cte", "membership"), "subqueries"),
    **dict.fromkeys(("aggregate", "grouping", "having"), "groups"),
    **dict.fromkeys(("ordering", "row_limit", "ordering_with_limit"), "order"),
}
"""Features that one structure of a query can cause together, and the name of that structure."""

HARDNESS: Final = ("easy", "medium", "hard", "extra")
"""The hardness classes of Spider's official evaluation, the easiest first."""

# Features that say no more than another one of the same template.
_IMPLIED: Final = {
    "joins": ("plain_join", "inner_join", "outer_join", "cross_join", "comma_join"),
    "ordering": ("ordering_with_limit",),
    "row_limit": ("ordering_with_limit",),
}


def are_alike(feature: str, other: str) -> bool:
    """Return whether one of two features is a kind of the other, such as outer joins of joins."""
    return other in _IMPLIED.get(feature, ()) or feature in _IMPLIED.get(other, ())


def describe_templates(templates: Sequence[str]) -> list[str]:
    """Describe the structure of templates in words, such as ``joins: 2, GROUP BY``.

    A number is the number of occurrences, or of nested levels for subqueries, if above 1.
    """
    if not templates:
        return []
    with connected() as con:
        run_sql(con, "results/publish/templates_as_corpora", templates=list(templates))
        numbers = list(range(1, len(templates) + 1))
        run_sql(con, "results/publish/template_features", corpora=numbers)
        run_sql(con, "results/publish/structural_features", new_corpora=numbers)
        found: list[dict[str, int]] = [{} for _ in templates]
        for number, feature, mean in con.execute(
            "select corpus, feature, mean::bigint from structural_features where mean > 0"
        ).fetchall():
            found[number - 1][feature] = mean
    return [_describe_features(features) for features in found]


def _describe_features(features: dict[str, int]) -> str:
    words = [
        name if features[feature] == 1 else f"{name}: {features[feature]}"
        for feature, name in FEATURES.items()
        if feature in features and not any(other in features for other in _IMPLIED.get(feature, ()))
    ]
    return ", ".join(words) or "a plain query"
