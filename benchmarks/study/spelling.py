"""From a template that a model wrote to a query that has it, so that answers can be parsed.

A model of the study answers with templates. Names and values are filled in where a template has
dropped them, and the program's own rules then say whether the query parses, and to which template.
"""

from collections.abc import Iterable
from typing import Final

from nl2sql_align.tasks.ngrams.count import split_template
from nl2sql_align.tasks.templates.templatizer import Templatizer

DIALECT: Final = "sqlite"

# Tokens after which a name or a value, or a token in its place, is expected.
_BEFORE_OPERANDS: Final = frozenset(
    "SELECT DISTINCT ALL WHERE HAVING ON AND OR NOT FROM JOIN LIMIT OFFSET WHEN THEN ELSE LIKE "
    "GLOB BETWEEN , ( = != < > <= >= + - / % || & | * IN".split()
) | {"GROUP BY", "ORDER BY", "PARTITION BY"}
# Tokens that take the place of a name or a value.
_OPERANDS: Final = frozenset(
    "( NULL CASE NOT EXISTS SELECT DISTINCT ALL WITH "
    "CURRENT_TIME CURRENT_DATE CURRENT_TIMESTAMP".split()
)
_BEFORE_NUMBERS: Final = frozenset(("LIMIT", "OFFSET", "IN ("))
_STARS: Final = frozenset(("SELECT", "DISTINCT", "(", ","))
# Tokens before which a NOT follows its operand, as in x NOT IN (1).
_AFTER_NOT: Final = frozenset(("IN", "LIKE", "BETWEEN", "GLOB"))
# Words before a bracket that are not functions.
_NO_FUNCTIONS: Final = _BEFORE_OPERANDS | {"IN", "AND", "OR", "IS", "UNION", "INTERSECT", "EXCEPT"}


class Spelling:
    """Finds the query of a template. Queries that are known go first.

    Args:
        known: Templates with a query of each.
    """

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        self._known = dict(known)
        self._templatize = Templatizer(DIALECT)
        self._found: dict[str, str | None] = {}

    def __call__(self, template: str) -> str | None:
        """Return a query that has this template, in the dialect of answers, or None."""
        if template not in self._found:
            queries = (self._known.get(template), fill(template))
            self._found[template] = next((sql for sql in queries if self._has(sql, template)), None)
        return self._found[template]

    def _has(self, sql: str | None, template: str) -> bool:
        return sql is not None and self._templatize(sql).template == template


def fill(template: str) -> str:
    """Return a template with names and values filled in where they are missing."""
    tokens = split_template(template)
    written: list[str] = []
    functions: list[str] = []
    is_expected, last = False, ""
    for token, following in zip(tokens, [*tokens[1:], ""], strict=False):
        is_star = token == "*" and is_expected and last in _STARS
        is_operand = is_star or (
            following not in _AFTER_NOT
            if token == "NOT"
            else token in _OPERANDS
            or (following == "(" and token.isidentifier() and token not in _NO_FUNCTIONS)
        )
        if is_expected and not is_operand:
            written.append("'x'" if last == "LIKE" else "1" if last in _BEFORE_NUMBERS else "x")
        if token == "(":
            functions.append(last)
        if token == ")" and functions and functions.pop() == "CAST":
            written.append("AS REAL")
        written.append(token)
        if token == "WITH":
            written.append("x AS")
        is_expected = token in _BEFORE_OPERANDS and not is_star and (token, last) != ("(", "OVER")
        is_expected &= not (token == "NOT" and following in _AFTER_NOT)
        # A list of constants is IN ( ) however long it is; IN ( x ) could be one of names.
        last = "IN (" if (last, token) == ("IN", "(") else token
    return " ".join([*written, "x"] if is_expected else written)
