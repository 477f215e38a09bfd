"""Equal shapes share one parse: a key of a query's tokens, from which its template follows.

Two queries that differ only in plain names and literals have the same tree but for these, and so
the same template. The key keeps everything else: keywords, operators, function names, every word
that some parser might match by its text, and whether there is a gap where a parser asks for one.
"""

import os
import re
from typing import Final

from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import Token, TokenType

from tasks.vocabulary import (
    BARE_FUNCTIONS,
    DATE_FUNCTIONS,
    DATE_PARTS,
    PAIRED_KEYWORDS,
    TEXT_KEYWORDS,
)

SHARE_PARSES_VARIABLE: Final = "NL2SQL_ALIGN_SHARE_PARSES"

# Statements whose parsing turns on few words. Others (DDL above all) match many that are common
# names of columns, and are rare.
_CACHED_STATEMENTS: Final = (TokenType.SELECT, TokenType.WITH)
# Comments and numbered parameters change what the tokens mean.
_ASIDE: Final = re.compile(r"--|/\*|//|[#?]")
_LITERALS: Final = ("STRING", "NUMBER")
_ASKED_FOR_A_GAP: Final = ("DASH", "DOT", "PARAMETER", "DOLLAR", "COLON", "HASH")
_NAME: Final = "a"  # Words kept in a key are upper-cased: none can be taken for these.
_STRING: Final = "s"
_NUMBER: Final = "n"


def parses_are_shared() -> bool:
    """Whether a run shares parses: unless ``NL2SQL_ALIGN_SHARE_PARSES`` is 0.

    Results are the same; without, each distinct query is parsed for itself.
    """
    return os.environ.get(SHARE_PARSES_VARIABLE) != "0"


class Shapes:
    """Makes the keys of one dialect's queries."""

    def __init__(self, dialect: Dialect) -> None:
        parser, tokenizer = dialect.parser_class, dialect.tokenizer_class
        # The short date parts, many of them aliases in other queries, matter to functions of dates
        # only, and queries that call these are parsed for themselves.
        matched = set(TEXT_KEYWORDS | DATE_PARTS | BARE_FUNCTIONS)
        for words in (parser.NO_PAREN_FUNCTION_PARSERS, tokenizer.KEYWORDS):
            for word in words:
                matched.update(word.upper().split())
        self._matched = frozenset(matched)
        self._keeps = [True] * (max(TokenType) + 1)
        for name in ("VAR", "IDENTIFIER", *_LITERALS):
            self._keeps[TokenType[name]] = False
        self._asks = [False] * (max(TokenType) + 1)
        for name in _ASKED_FOR_A_GAP:
            self._asks[TokenType[name]] = True
        # T-SQL's CONVERT takes its third argument, a number, for a format: the wrong ones fail.
        self._keeps_numbers = tokenizer.__module__.endswith(("tsql", "fabric"))

    def key(self, text: str, tokens: list[Token]) -> str | None:
        """The key of a query's shape; None where the query is to be parsed for itself.

        Args:
            text: The query.
            tokens: Its tokens, without closing semicolons.
        """
        if tokens[0].token_type not in _CACHED_STATEMENTS or _ASIDE.search(text):
            return None
        keeps, asks, matched = self._keeps, self._asks, self._matched
        var, string, opening = TokenType.VAR, TokenType.STRING, TokenType.L_PAREN
        parts: list[str] = []
        function = ""  # the word just seen, a function's name if a bracket follows
        end = -1
        is_asked = False
        for token in tokens:
            kind = token.token_type
            if is_asked:
                is_asked = False
                parts.append("<" if token.start == end + 1 else "_")
            if keeps[kind]:
                if kind == opening and function:
                    if function in DATE_FUNCTIONS or function == "EXTRACT":
                        return None
                    parts[-1] = function
                elif kind == TokenType.INTERVAL:
                    return None  # INTERVAL '1 day' and INTERVAL '1' DAY parse apart
                function = ""
                parts.append(token.text.upper())
                if asks[kind]:
                    is_asked = True
                    parts.append("<" if token.start == end + 1 else "_")
            elif kind == string:
                parts.append(_STRING)
                function = ""
            elif kind == TokenType.NUMBER:
                parts.append(token.text if self._keeps_numbers else _NUMBER)
                function = ""
            else:
                function = token.text.upper()
                is_kept = function in matched or (
                    function in PAIRED_KEYWORDS and parts[-1] in PAIRED_KEYWORDS[function]
                )
                if kind == var:
                    parts.append(function if is_kept else _NAME)
                else:  # the kind of quote tells: SQLite takes "x" for a string, `x` never
                    function = f"{text[token.start]}{function}"
                    parts.append(function if is_kept else text[token.start])
            end = token.end
        return "\x00".join(parts)
