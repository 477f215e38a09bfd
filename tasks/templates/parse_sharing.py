"""Keys of queries that can share one parse.

Two queries that differ only in plain names and literals have the same tree except for these, so
the same template. They have the same *shape*: a key made from each text is equal. The key keeps
everything else: keywords, operators, function names, every word that a parser might compare with
something, and gaps where a parser looks for them.

The key is made from the text, which takes two thirds of the time that tokens take. It is safe
because a tokenizer goes by classes of characters and by the words kept: if two texts have the same
key, it splits both alike. Texts with anything that makes a tokenizer look further (comments,
escapes, prefixes of literals, parameters, letters beyond ASCII outside literals) have no key.

``docs/architecture.md`` derives these rules, and says how to change them.
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
    OPENING_KEYWORDS,
    PAIRED_KEYWORDS,
    RESERVED_FUNCTIONS,
    TEXT_KEYWORDS,
)
from nl2sql_align.tasks.templates.unknown_syntax import RULE_WORDS

SHARE_PARSES_VARIABLE: Final = "NL2SQL_ALIGN_SHARE_PARSES"

ENDS: Final = " \t\r\n;"
"""Characters that may surround a query without being part of it."""

# Parsing these depends on few words. Other statements, DDL above all, compare many words that are
# common column names, and are rare.
_KEYED_STATEMENTS: Final = re.compile(r"[ \t\r\n;]*(?:SELECT|WITH)\b", re.ASCII | re.IGNORECASE)

_SPACE: Final = " \t\r\n"
# A piece of a text, with the white space around it, is one of:
# - a word; with a name behind a dot; with the parenthesis that makes it a function; with a quote
#   that it is a prefix of
# - a comparison with the literal that ends it
# - a separator or operators
# - a number, with everything that touches it
# - a quoted part that nothing touches
# - any other character, which means that the query has no key
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
_JOIN_MARKER: Final = re.compile(r"\(\s*\+\s*\)")
# Queries with these have no key, because parsers compare words near them that are common names
# elsewhere, such as the date part d, DISTANCE or STATEMENT. No template keeps most of these words,
# but with others in their place the query is rejected.
_UNKEYED_FUNCTIONS: Final = frozenset(
    {
        *DATE_FUNCTIONS,
        *OPENING_KEYWORDS.values(),
        *"AT BEFORE CHANGES EXTRACT OPTION SEMANTIC_VIEW TRANSFORM TRANSLATE".split(),
    }
)
_UNKEYED_WORDS: Final = frozenset(
    """
    ANALYZER INTERVAL MATCH_ALL MATCH_ANY MATCH_PHRASE MATCH_PHRASE_EDGE MATCH_PHRASE_PREFIX
    MATCH_REGEXP NEAREST OF SQL_BIG_RESULT SQL_BUFFER_RESULT SQL_NO_CACHE SQL_SMALL_RESULT STRUCT
    """.split()
)
_UNKEYED_SIGNS: Final = ("--", "/*", "//", "|>")
# Parsers ask whether these touch their neighbors.
_GAPPED: Final = "-."
# Parts of keys. Words in keys are upper case, so that none equals these.
_NAME: Final = "a"
_NUMBER: Final = "n"
_COMPARED: Final = "l"
_PAIRED: Final = "p"  # followed by a word of PAIRED_KEYWORDS, until its neighbors are known
# Bounds the memory of a process.
_MAX_PIECES: Final = 50_000


def parses_are_shared() -> bool:
    """Return whether a run shares parses: yes, unless ``NL2SQL_ALIGN_SHARE_PARSES`` is 0.

    Results do not depend on it. If it is 0, each distinct query is parsed.
    """
    return os.environ.get(SHARE_PARSES_VARIABLE) != "0"


class ShapeKeys:
    """Makes the keys of one dialect's queries."""

    def __init__(self, dialect: Dialect) -> None:
        tokenizer = dialect.tokenizer_class
        self._split = re.compile(
            _piece_pattern(tokenizer), re.ASCII | re.DOTALL | re.VERBOSE
        ).findall
        self._parts = _Parts(dialect)
        self._has_join_marker = "(+)" in tokenizer.KEYWORDS
        # Athena has two tokenizers, and picks one by the statement.
        self._has_one_tokenizer = tokenizer.tokenize is Tokenizer.tokenize

    def key_of(self, text: str) -> str | None:
        """Return the key of a query's shape; None if the query must be parsed by itself."""
        if not self._has_one_tokenizer or not _KEYED_STATEMENTS.match(text):
            return None
        if self._has_join_marker and _JOIN_MARKER.search(text):
            return None
        if len(self._parts) >= _MAX_PIECES:
            self._parts.clear()
        parts = self._parts
        try:
            key = "\x00".join([parts[piece] for piece in self._split(text.strip(ENDS))])
        except KeyError:
            return None
        return _resolve_pairs(key) if _PAIRED in key else key


def _piece_pattern(tokenizer: type[Tokenizer]) -> str:
    """Return the regular expression that splits a dialect's texts into pieces."""
    quotes = _QUOTES.intersection(
        one for one in (*tokenizer.QUOTES, *tokenizer.IDENTIFIERS) if isinstance(one, str)
    )
    inside = {quote: rf"[^{quote}\\]*" for quote in sorted(quotes)}
    if "'" in tokenizer.STRING_ESCAPES:
        # Bounded, because a string that is not closed is searched from each of its quotes on.
        inside["'"] = r"(?: [^'\\]*+ '' ){0,20}+ [^'\\]*+"
    quoted = {one: _QUOTED.format(quote=one, inside=inside[one]) for one in inside}
    names = quoted.keys() & set(tokenizer.IDENTIFIERS) - set(tokenizer.QUOTES)
    return _PIECE.format(
        names="".join(f" | {quoted[one]}" for one in sorted(names)),
        compared=" | ".join(f"{one} {inside[one]} {one}" for one in inside if one != "`"),
        after=_AFTER_COMPARISON,
        quoted=" | ".join(quoted.values()),
    )


class _Parts(dict[str, str]):
    """A cache of the parts that pieces add to a key.

    Literals are not cached, because few occur again. A piece raises ``KeyError`` if its query has
    no key.
    """

    def __init__(self, dialect: Dialect) -> None:
        parser, tokenizer = dialect.parser_class, dialect.tokenizer_class
        matched = set(TEXT_KEYWORDS | DATE_PARTS | BARE_FUNCTIONS | RULE_WORDS)
        matched.update(" ".join(RESERVED_FUNCTIONS.values()).split())
        gapped = set(_GAPPED)
        for keywords in (parser.NO_PAREN_FUNCTION_PARSERS, tokenizer.KEYWORDS):
            for keyword in keywords:
                words = re.findall(r"\w+", keyword.upper())
                matched.update(words)
                if words:  # signs within a keyword, such as USER-DEFINED
                    gapped.update(re.sub(r"[\w\s]", "", keyword))
        self._matched = frozenset(matched)
        self._gapped = frozenset(gapped)
        # T-SQL's parser computes with some numbers (days since 1900), and fails on large ones.
        self._keeps_numbers = tokenizer.__module__.endswith(("tsql", "fabric"))

    def __missing__(self, piece: str) -> str:
        sign = piece.strip(_SPACE)
        first = sign[:1]
        if not first.isascii() or (first in _QUOTES and len(sign) == 1):
            raise KeyError(piece)
        if first in _QUOTES:
            if first == "'":
                return first
            # The quote is kept because SQLite takes "x" for a string in a list, and never `x`.
            word = sign[1:-1].upper()
            return first + word if word in self._matched or word in PAIRED_KEYWORDS else first
        if first.isdigit():
            if not _PLAIN_NUMBER.fullmatch(sign):
                raise KeyError(piece)
            return sign if self._keeps_numbers else _NUMBER
        if found := _COMPARISON.match(sign):
            return f"{found[1]}\x00{_COMPARED}"
        is_word = first.isalpha() or first == "_"
        part = self[piece] = self._part_of_word(sign) if is_word else self._part_of_sign(piece)
        return part

    def _part_of_word(self, text: str) -> str:
        before, dot, after = text.partition(".")
        if dot:
            is_name = after[0] in _QUOTES or after.upper() in COLUMN_NAMES
            behind = _NAME if is_name else self._part_of_word(after)
            return f"{self._part_of_word(before)}\x00.\x00{behind}"
        word = text.upper()
        if word[-1] == "(":
            function = word[:-1].rstrip(_SPACE)
            if function in _UNKEYED_FUNCTIONS:
                raise KeyError(text)
            return f"{function}("
        if word in _UNKEYED_WORDS or not word.isidentifier():  # the prefix of a literal
            raise KeyError(text)
        if word in self._matched:
            return word
        return _PAIRED + word if word in PAIRED_KEYWORDS else _NAME

    def _part_of_sign(self, piece: str) -> str:
        sign = piece.strip(_SPACE)
        if sign in _SEPARATORS:
            return sign
        if sign.strip(_OPERATORS) or any(one in sign for one in _UNKEYED_SIGNS):
            raise KeyError(piece)
        if self._gapped.isdisjoint(sign):
            return sign
        before, after = piece[0] in _SPACE, piece[-1] in _SPACE
        return f"{' ' * before}{sign}{' ' * after}"


def _resolve_pairs(key: str) -> str:
    """Keep words of ``PAIRED_KEYWORDS`` after the words that make them keywords, and only there."""
    parts = key.split("\x00")
    for i, part in enumerate(parts):
        if part[:1] == _PAIRED:
            word, before = part[1:], parts[i - 1]
            is_kept = before in PAIRED_KEYWORDS[word]
            if " ".join(parts[max(0, i - 2) : i]) in JOINED_KEYWORDS:
                is_kept = False  # the token before is ORDER BY, not BY
            parts[i] = word if is_kept else _NAME
    return "\x00".join(parts)
