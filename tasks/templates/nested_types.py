"""Functions and columns named like types, within each other.

The parser first takes ``DATE(`` for a type with parameters. It reads these again when it finds a
function, and so does each function among them: a query with 24 within each other takes 25 seconds.
It does the same at ``DATE[``. Unlike other parts that it reads again, these leave no nodes that
could be counted.
"""

from collections.abc import Collection
from itertools import pairwise
from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

MOST_LEVELS: Final = 6
"""How many may be within each other: the parser reads the innermost 64 times."""

# In casts.
_BEFORE_TYPE: Final = frozenset({TokenType.ALIAS, TokenType.DCOLON})


def mark_functions(
    tokens: list[Token], types: Collection[TokenType], most_levels: int = MOST_LEVELS
) -> list[Token] | None:
    """Show the parser functions named like types as functions, where they nest deeply.

    Args:
        tokens: The tokens of a query.
        types: The token types that the parser takes for types.
        most_levels: How many of them may be within each other.

    Returns:
        The tokens for the parser; None if ``ARRAY[`` and the like nest too deeply to be parsed.
    """
    if _count_levels(tokens, types, TokenType.L_BRACKET, TokenType.R_BRACKET) > most_levels:
        return None
    if _count_levels(tokens, types, TokenType.L_PAREN, TokenType.R_PAREN) <= most_levels:
        return tokens
    marked = list(tokens)
    for i, (before, token) in enumerate(pairwise(tokens), 1):
        if (
            token.token_type in types
            and token.token_type != TokenType.NULL  # never a function
            and before.token_type not in _BEFORE_TYPE
            and i + 1 < len(tokens)
            and tokens[i + 1].token_type == TokenType.L_PAREN
        ):
            marked[i] = Token(
                TokenType.VAR, token.text, token.line, token.col, token.start, token.end
            )
    n_left = _count_levels(marked, types, TokenType.L_PAREN, TokenType.R_PAREN)
    return marked if n_left <= most_levels else None


def _count_levels(
    tokens: list[Token], types: Collection[TokenType], opening: TokenType, closing: TokenType
) -> int:
    """Return how many brackets that follow a type are at most within each other."""
    follows_type: list[bool] = []
    level = deepest = 0
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.token_type == opening:
            follows_type.append(before is not None and before.token_type in types)
            level += follows_type[-1]
            deepest = max(deepest, level)
        elif token.token_type == closing and follows_type:
            level -= follows_type.pop()
    return deepest
