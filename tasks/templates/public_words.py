"""The words that a template may show without revealing anything about its database.

These are the keywords, date parts and functions that sqlglot knows of a dialect: a closed list that
no text of a query can add to.
"""

from typing import Final

from sqlglot.dialects.dialect import Dialect

from nl2sql_align.tasks.templates.keywords import (
    BARE_FUNCTIONS,
    CAST_FUNCTIONS,
    CHARACTER_SET_FUNCTIONS,
    DATE_FUNCTIONS,
    DATE_PARTS,
    DDL_KEYWORDS,
    OPENING_KEYWORDS,
    PAIRED_KEYWORDS,
    SHORT_DATE_PARTS,
    TEXT_KEYWORDS,
    TYPE_FOLLOWERS,
)
from nl2sql_align.tasks.templates.rules import HIDDEN_WORD

_WORDS: Final = frozenset(
    {
        *BARE_FUNCTIONS,
        *CAST_FUNCTIONS,
        *CHARACTER_SET_FUNCTIONS,
        *DATE_FUNCTIONS,
        *DATE_PARTS,
        *DDL_KEYWORDS,
        *OPENING_KEYWORDS,
        *OPENING_KEYWORDS.values(),
        *PAIRED_KEYWORDS,
        *SHORT_DATE_PARTS,
        *TEXT_KEYWORDS,
        *TYPE_FOLLOWERS,
    }
)


class PublicWords:
    """Replaces the words of templates that one dialect does not know.

    Args:
        dialect: A sqlglot dialect name.
    """

    def __init__(self, dialect: str) -> None:
        rules = Dialect.get_or_raise(dialect)
        tokenizer, parser = rules.tokenizer_class, rules.parser_class
        known = (
            *tokenizer.KEYWORDS,
            *parser.FUNCTIONS,
            *parser.FUNCTION_PARSERS,
            *parser.NO_PAREN_FUNCTION_PARSERS,
            *(token_type.name for token_type in parser.NO_PAREN_FUNCTIONS),
        )
        self._known = _WORDS.union(*(text.upper().split() for text in known))

    def hide_others(self, template: str) -> str:
        """Return a template with ``HIDDEN_WORD`` for each word, and each sign, that is not known.

        Signs of ASCII punctuation are known.
        """
        return " ".join(
            token if self._is_public(token) else HIDDEN_WORD for token in template.split(" ")
        )

    def _is_public(self, token: str) -> bool:
        return token in self._known or (
            token.isascii()
            and token.isprintable()
            and not any(c.isalnum() or c == "_" for c in token)
        )
