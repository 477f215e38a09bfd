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
# Words are noted, so that each is looked at once: this many, to bound their memory.
_MAX_NOTED: Final = 50_000


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
        self._words: dict[str, str] = {}
        self._names: dict[str, tuple[str, str]] = {}
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
        keeps, asks, words, names = self._keeps, self._asks, self._words, self._names
        var, string, number = TokenType.VAR, TokenType.STRING, TokenType.NUMBER
        opening, interval = TokenType.L_PAREN, TokenType.INTERVAL
        parts: list[str] = []
        function = ""  # the word just seen, a function's name if a bracket follows
        before = tokens[0]
        is_asked = False
        for token in tokens:
            kind = token.token_type
            if is_asked:
                is_asked = False
                parts.append("<" if token.start == before.end + 1 else "_")
            if kind == var:
                name = token.text
                function, part = names.get(name) or self._name(name)
                parts.append(part or (_NAME, function)[parts[-1] in PAIRED_KEYWORDS[function]])
            elif keeps[kind]:
                if kind == opening and function:
                    if function in DATE_FUNCTIONS or function == "EXTRACT":
                        return None
                    parts[-1] = function
                elif kind == interval:
                    return None  # INTERVAL '1 day' and INTERVAL '1' DAY parse apart
                function = ""
                word = token.text
                parts.append(words.get(word) or self._word(word))
                if asks[kind]:
                    is_asked = True
                    parts.append("<" if token.start == before.end + 1 else "_")
            elif kind == string:
                parts.append(_STRING)
                function = ""
            elif kind == number:
                parts.append(token.text if self._keeps_numbers else _NUMBER)
                function = ""
            else:  # the kind of quote tells: SQLite takes "x" for a string, `x` never
                quote = text[token.start]
                word = token.text.upper()
                is_kept = word in self._matched or parts[-1] in PAIRED_KEYWORDS.get(word, ())
                function = f"{quote}{word}"
                parts.append(function if is_kept else quote)
            before = token
        return "\x00".join(parts)

    def _word(self, text: str) -> str:
        """What a key keeps of a word or sign; noted for the next time."""
        if len(self._words) >= _MAX_NOTED:
            self._words.clear()
        word = self._words[text] = text.upper()
        return word

    def _name(self, text: str) -> tuple[str, str]:
        """A word in upper case, and what a key keeps of it; noted for the next time.

        The latter is empty where it depends on the word before.
        """
        if len(self._names) >= _MAX_NOTED:
            self._names.clear()
        word = text.upper()
        part = _NAME
        if word in self._matched:
            part = word
        elif word in PAIRED_KEYWORDS:
            part = ""
        self._names[text] = word, part
        return word, part
