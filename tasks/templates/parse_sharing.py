"""Equal shapes share one parse: a key of a query's text, from which its template follows.

Two queries that differ only in plain names and literals have the same tree but for these, and so
the same template. The key keeps everything else: keywords, operators, function names, every word
that some parser might match by its text, and whether there is a gap where a parser asks for one.
It does not tell a number from a string where a comparison ends with it, nor whether a name behind a
dot is quoted, or a common name of a column that is a keyword elsewhere.

It is made from the text, in two thirds of the time that its tokens take: where two texts have one
key, the tokenizer, which goes by kinds of characters and by the words kept, splits both alike.
Texts that hold what makes a tokenizer look further (comments, escapes, prefixes of literals,
parameters, letters other than ASCII outside of literals) have no key.
"""

import os
import re
from typing import Final

from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import Tokenizer

from nl2sql_align.tasks.templates.keywords import (
    BARE_FUNCTIONS,
    COLUMN_NAMES,
    DATE_FUNCTIONS,
    DATE_PARTS,
    JOINED_KEYWORDS,
    PAIRED_KEYWORDS,
    TEXT_KEYWORDS,
)

SHARE_PARSES_VARIABLE: Final = "NL2SQL_ALIGN_SHARE_PARSES"

ENDS: Final = " \t\r\n;"
"""What may stand before and behind a query and is no part of it."""

# Statements whose parsing turns on few words. Others (DDL above all) match many that are common
# names of columns, and are rare.
_CACHED_STATEMENTS: Final = re.compile(r"[ \t\r\n;]*(?:SELECT|WITH)\b", re.ASCII | re.IGNORECASE)
# A piece of a text, with the white space about it; a character alone is one that nothing is known
# of. Words take another behind a dot, a bracket that follows, which makes them functions, or a
# quote, whose prefix they are; numbers all that touches them, and is none. A comparison takes the
# literal that it ends with.
_SPACE: Final = " \t\r\n"
_PIECE: Final = r"""
    [ \t\r\n]*+ (?:
        [A-Za-z_]\w* (?: \. (?: [A-Za-z_]\w* {names} ) )? (?: [ \t\r\n]*\( | ['"`] )?
      | (?: <> | [<>!]?= | [<>] ) [ \t\r\n]*+ (?: \d+ (?: \.\d+ )? | {compared} )
        (?= [ \t\r\n]*+ (?: \) | \Z | (?<= [ \t\r\n] ) {after} \b ) )
      | (?: [(),;] | :: | [-+*/<>=!|^~.]+ ) (?: [ \t\r\n]++ (?! [-.] ) )?
      | \d [\w.]* ['"`]?
      | {quoted}
    )
    | .
"""
_QUOTED: Final = r"""{quote} {inside} {quote} (?! [\w'"`] | [ \t\r\n]*\( )"""
_AFTER_COMPARISON: Final = (
    "(?i: AND | OR | THEN | GROUP | HAVING | ORDER | LIMIT | UNION | INTERSECT | EXCEPT )"
)
_QUOTES: Final = frozenset("'\"`")
_SEPARATORS: Final = frozenset(["", "(", ")", ",", ";", "::"])
_OPERATORS: Final = "-+*/<>=!|^~."
_COMPARISON: Final = re.compile(r"([<>=!]+)\s*['\"\d]", re.ASCII)
_PLAIN_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_COMMENTS: Final = ("--", "/*", "//")
_JOIN_MARKER: Final = re.compile(r"\(\s*\+\s*\)")
# Where a parser asks for a gap, or where words and signs are one keyword (USER-DEFINED).
_ASKED_FOR_A_GAP: Final = "-."
_NAME: Final = "a"  # Words kept in a key are upper-cased: none can be taken for these.
_NUMBER: Final = "n"
_COMPARED: Final = "l"
_PAIRED: Final = "p"  # Before a word that is kept after certain others only.
# Pieces are noted, so that each is looked at once: this many, to bound their memory.
_MAX_NOTED: Final = 50_000


def parses_are_shared() -> bool:
    """Whether a run shares parses: unless ``NL2SQL_ALIGN_SHARE_PARSES`` is 0.

    Results are the same; without, each distinct query is parsed for itself.
    """
    return os.environ.get(SHARE_PARSES_VARIABLE) != "0"


class Shapes:
    """Makes the keys of one dialect's queries."""

    def __init__(self, dialect: Dialect) -> None:
        tokenizer = dialect.tokenizer_class
        quotes = _QUOTES.intersection(
            one for one in (*tokenizer.QUOTES, *tokenizer.IDENTIFIERS) if isinstance(one, str)
        )
        inside = {quote: rf"[^{quote}\\]*" for quote in sorted(quotes)}
        if "'" in tokenizer.STRING_ESCAPES:
            # Not all: one that is not closed would be tried from each of its quotes to its end.
            inside["'"] = r"(?: [^'\\]*+ '' ){0,20}+ [^'\\]*+"
        quoted = {one: _QUOTED.format(quote=one, inside=inside[one]) for one in inside}
        names = quoted.keys() & set(tokenizer.IDENTIFIERS) - set(tokenizer.QUOTES)
        compared = " | ".join(f"{one} {inside[one]} {one}" for one in inside if one != "`")
        pattern = _PIECE.format(
            names="".join(f" | {quoted[one]}" for one in sorted(names)),
            compared=compared,
            after=_AFTER_COMPARISON,
            quoted=" | ".join(quoted.values()),
        )
        self._pieces = re.compile(pattern, re.ASCII | re.DOTALL | re.VERBOSE).findall
        self._parts = _Parts(dialect)
        self._has_join_marker = "(+)" in tokenizer.KEYWORDS
        # Athena has two tokenizers, and tells by the statement which one to use.
        self._has_one_tokenizer = tokenizer.tokenize is Tokenizer.tokenize

    def key(self, text: str) -> str | None:
        """The key of a query's shape; None where the query is to be parsed for itself."""
        if not self._has_one_tokenizer or not _CACHED_STATEMENTS.match(text):
            return None
        if self._has_join_marker and _JOIN_MARKER.search(text):
            return None
        if len(self._parts) >= _MAX_NOTED:
            self._parts.clear()
        parts = self._parts
        try:
            key = "\x00".join([parts[piece] for piece in self._pieces(text.strip(ENDS))])
        except KeyError:
            return None
        return _paired(key) if _PAIRED in key else key


class _Parts(dict[str, str]):
    """What a key keeps of a piece; ``KeyError`` where its query is to be parsed for itself.

    Literals are not noted: few come again.
    """

    def __init__(self, dialect: Dialect) -> None:
        parser, tokenizer = dialect.parser_class, dialect.tokenizer_class
        # The short date parts, many of them aliases in other queries, matter to functions of dates
        # only, and queries that call these are parsed for themselves.
        matched = set(TEXT_KEYWORDS | DATE_PARTS | BARE_FUNCTIONS)
        gapped = set(_ASKED_FOR_A_GAP)
        for keywords in (parser.NO_PAREN_FUNCTION_PARSERS, tokenizer.KEYWORDS):
            for keyword in keywords:
                words = re.findall(r"\w+", keyword.upper())
                matched.update(words)
                if words:  # USER-DEFINED
                    gapped.update(re.sub(r"[\w\s]", "", keyword))
        self._matched = frozenset(matched)
        self._gapped = frozenset(gapped)
        # T-SQL's CONVERT takes its third argument, a number, for a format: the wrong ones fail.
        self._keeps_numbers = tokenizer.__module__.endswith(("tsql", "fabric"))

    def __missing__(self, piece: str) -> str:
        sign = piece.strip(_SPACE)
        first = sign[:1]
        if not first.isascii() or (first in _QUOTES and len(sign) == 1):
            raise KeyError(piece)
        if first in _QUOTES:
            if first == "'":
                return first
            # The kind of quote tells: SQLite takes "x" for a string, `x` never.
            word = sign[1:-1].upper()
            return first + word if word in self._matched or word in PAIRED_KEYWORDS else first
        if first.isdigit():
            if not _PLAIN_NUMBER.fullmatch(sign):
                raise KeyError(piece)
            return sign if self._keeps_numbers else _NUMBER
        if found := _COMPARISON.match(sign):
            return f"{found[1]}\x00{_COMPARED}"
        is_word = first.isalpha() or first == "_"
        part = self[piece] = self._of_word(sign) if is_word else self._of_sign(piece, sign)
        return part

    def _of_word(self, sign: str) -> str:
        before, dot, after = sign.partition(".")
        if dot:
            is_name = after[0] in _QUOTES or after.upper() in COLUMN_NAMES
            behind = _NAME if is_name else self._of_word(after)
            return f"{self._of_word(before)}\x00.\x00{behind}"
        word = sign.upper()
        if word[-1] == "(":
            function = word[:-1].rstrip(_SPACE)
            if function in DATE_FUNCTIONS or function == "EXTRACT":
                raise KeyError(sign)
            return f"{function}("
        # INTERVAL '1 day' and INTERVAL '1' DAY parse apart.
        if word == "INTERVAL" or not word.isidentifier():
            raise KeyError(sign)
        if word in self._matched:
            return word
        return _PAIRED + word if word in PAIRED_KEYWORDS else _NAME

    def _of_sign(self, piece: str, sign: str) -> str:
        if sign in _SEPARATORS:
            return sign
        if sign.strip(_OPERATORS) or any(comment in sign for comment in _COMMENTS):
            raise KeyError(sign)
        if self._gapped.isdisjoint(sign):
            return sign
        before, after = piece[0] in _SPACE, piece[-1] in _SPACE
        return f"{' ' * before}{sign}{' ' * after}"


def _paired(key: str) -> str:
    """The key with words that are kept after certain others only as they are to be kept."""
    parts = key.split("\x00")
    for i, part in enumerate(parts):
        if part[:1] == _PAIRED:
            word, before = part[1:], parts[i - 1]
            is_kept = before in PAIRED_KEYWORDS[word]
            if " ".join(parts[max(0, i - 2) : i]) in JOINED_KEYWORDS:
                is_kept = False  # ORDER BY is one word, not BY
            parts[i] = word if is_kept else _NAME
    return "\x00".join(parts)
