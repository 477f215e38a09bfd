"""Recognition of statements that end early, such as ``SELECT a FROM t WHERE b IN``.

The parser accepts many of them. They are typical of answers of models that were cut off.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

# A statement, or the content of a bracket, cannot end with these.
_UNFINISHED: Final = frozenset(
    TokenType[name]
    for name in (
        "ALIAS AND ARROW BETWEEN CASE CLUSTER_BY DARROW DASH DCOLON DISTINCT DISTRIBUTE_BY DIV DOT "
        "DPIPE ELSE EQ EXCEPT EXISTS FETCH FROM GLOB GROUP_BY GTE HAVING ILIKE IN INTERSECT INTO "
        "IS JOIN LIKE LIMIT LTE NEQ NOT NULLSAFE_EQ ON OR ORDER_BY OVER PARTITION_BY PLUS QUALIFY "
        "RETURNING RLIKE SELECT SET SIMILAR_TO SLASH SORT_BY THEN UNION USING WHEN "
        "WHERE WITH XOR"
    ).split()
)
# Some dialects allow a comma before a closing bracket, and before FROM.
_UNFINISHED_AT_END: Final = _UNFINISHED | {TokenType.COMMA}
# As the end of a path to a stage, ``FROM @stage/year=``.
_ENDS_OF_PATHS: Final = frozenset({TokenType.DASH, TokenType.DOT, TokenType.EQ, TokenType.SLASH})
# Reserved everywhere: without quotes, these are never names, although the parser may say so.
_NEVER_NAMES: Final = frozenset({TokenType.EXISTS, TokenType.IS})
# After an operand, the parser takes these for an alias, though their clause is cut off.
_CUT_CLAUSES: Final = frozenset({"GROUP", "OFFSET", "ORDER"})
_AFTER_OPERANDS: Final = frozenset(
    {TokenType.NUMBER, TokenType.STRING, TokenType.R_PAREN, TokenType.R_BRACKET}
)
# Looking up a member of an enumeration for each token would take a third of the time.
_COMMA: Final = TokenType.COMMA
_FROM: Final = TokenType.FROM
_OPEN: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSE: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})


def find_loose_end(
    tokens: Sequence[Token],
    names: AbstractSet[int],
    *,
    has_stages: bool = False,
    allows_trailing_commas: bool = False,
) -> str | None:
    """Return which part of a statement or a bracket is missing; None if all are there.

    Args:
        tokens: The tokens of a statement that the parser accepts.
        names: The offsets of tokens that are names, however they are spelled.
        has_stages: Whether ``@x/y=`` is a stage with a path.
        allows_trailing_commas: Whether a comma may precede FROM.
    """
    opened: list[int] = []
    previous: TokenType | None = None
    for i, token in enumerate(tokens):
        kind = token.token_type
        if kind in _OPEN:
            opened.append(i)
        elif kind in _CLOSE:
            before = tokens[opened.pop() - 1].text.upper() if opened else ""
            # OPTION (LOOP JOIN)
            if before != "OPTION" and _is_cut_off(tokens, i - 1, _UNFINISHED, names, has_stages):
                return f"incomplete after {tokens[i - 1].text.upper()}"
        elif previous == _COMMA and (
            kind == _COMMA or (kind == _FROM and not allows_trailing_commas)
        ):
            return "nothing follows a comma"
        previous = kind
    if opened:
        return "a bracket is not closed"
    last = len(tokens) - 1
    if _is_cut_off(tokens, last, _UNFINISHED_AT_END, names, has_stages):
        return f"incomplete after {tokens[last].text.upper()}"
    return None


def _is_cut_off(
    tokens: Sequence[Token],
    i: int,
    unfinished: AbstractSet[TokenType],
    names: AbstractSet[int],
    has_stages: bool,
) -> bool:
    """Return whether something is missing after a token that ends a statement or a bracket."""
    if tokens[i].token_type in unfinished:
        return not _is_finished(tokens, i, names, has_stages)
    before = tokens[max(0, i - 1)]
    return (
        tokens[i].token_type != TokenType.IDENTIFIER
        and tokens[i].text.upper() in _CUT_CLAUSES
        and (before.start in names or before.token_type in _AFTER_OPERANDS)
    )


def _is_finished(
    tokens: Sequence[Token], i: int, names: AbstractSet[int], has_stages: bool
) -> bool:
    """Return whether a token needs nothing after it, although tokens of its type do."""
    kind, before = tokens[i].token_type, tokens[max(0, i - 1)].token_type
    return (
        (tokens[i].start in names and kind not in _NEVER_NAMES)
        or (has_stages and kind in _ENDS_OF_PATHS)
        or (kind == TokenType.PLUS and before != TokenType.L_PAREN)  # PATTERN (a b+)
        or (i >= 2 and tokens[i - 2].text.upper() == "OPERATOR")  # a OPERATOR(+) b
    )
