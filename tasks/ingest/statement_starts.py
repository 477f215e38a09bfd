"""Where a statement starts within prose.

The functions look at words only. They take linear time, because they look only a
bounded length around each word.
"""

import re
from bisect import bisect_left
from typing import Final

from nl2sql_align.tasks.ingest.statements import (
    DATA_CHANGES,
    SQL_WORDS,
    START,
    START_WORDS,
    WITH,
    skip_leading,
)

_EXPLAIN: Final = re.compile(
    r"(?:EXPLAIN|DESCRIBE)\s+(?:QUERY\s+PLAN\s+|ANALYZE\s+)?(?:SELECT|WITH)\b", re.IGNORECASE
)
# DuckDB lets FROM come first.
_FROM_FIRST: Final = re.compile(
    r"FROM\s+(?:[\w.]{1,200}|\"[^\"]{1,200}\"|'[^']{1,200}')\s+SELECT\b", re.IGNORECASE
)
# Within prose, a statement starts on a new line or after a colon or quote; in upper case, anywhere.
_CANDIDATE: Final = re.compile(
    rf"(?:^|[\n:\uff1a`\"'\u201c\u2018])[ \t]*(?P<open>(?:\([ \t]*)*)(?i:(?P<line>{START_WORDS}))"
    rf"|\b(?P<inline>SELECT\s|{WITH}|{DATA_CHANGES})",
    re.MULTILINE,
)
# In other places, a query needs more evidence.
_WEAK_CANDIDATE: Final = re.compile(rf"(?<![A-Za-z0-9_.$@])(?:SELECT\s|{WITH})", re.IGNORECASE)
_FROM: Final = re.compile(r"\bFROM\b", re.IGNORECASE)
_MAX_SELECT_LIST: Final = 5000

_FIRST_WORDS: Final = re.compile(
    r"SELECT\s+(?:(?:DISTINCT|ALL|UNIQUE)\s+)?([^\W\d]\w{0,60})"
    r"(?:[ \t]+(\w{1,60}))?(?:[ \t]+(\w{1,60}))?(?P<end>[.!?](?:\s|\Z))?",
    re.IGNORECASE,
)
_IN_QUOTES: Final = re.compile(r"([\"'`])SELECT\1", re.IGNORECASE)
_ARTICLES: Final = frozenset(
    "the an any each every only which that this these those what how all both".split()
)
_SQL_NOUNS: Final = frozenset(
    "statement statements query queries clause clauses keyword command and or".split()
)
_FROM_PROSE: Final = re.compile(
    r"\s+(?:the|an|this|these|each|every|our|your|my|their|which)\s+[a-z]", re.IGNORECASE
)
_THREE_WORDS: Final = re.compile(
    r"[ \t]+[a-zA-Z]{1,40}[ \t]+[a-z]{1,40}[ \t]+[a-z]{1,40}\b(?![(.])"
)
# Words that may follow a table in a source.
_AFTER_TABLE: Final = SQL_WORDS | frozenset(
    "USE FORCE IGNORE FINAL SAMPLE TABLESAMPLE LATERAL PIVOT UNPIVOT START CONNECT FOR APPLY ASOF "
    "STRAIGHT_JOIN PREWHERE ARRAY GLOBAL ANY SEMI ANTI RETURNING ONLY UNNEST TABLE PARTITION "
    "MATCH_RECOGNIZE VERSION TIMESTAMP SETTINGS FORMAT OPTION WITHIN ROLLUP".split()
)
# Words that may follow one or two plain words in a select list.
_AFTER_COLUMN: Final = frozenset(
    "FROM AS INTO UNION EXCEPT INTERSECT MINUS LIMIT ORDER WHERE GROUP HAVING FETCH BULK AND OR "
    "NOT IN IS LIKE ILIKE GLOB REGEXP RLIKE BETWEEN COLLATE OVER DIV MOD AT WITHIN FILTER".split()
)
# Words that start a select list without being a column.
_BEFORE_COLUMN: Final = frozenset(
    "CASE TOP NOT EXISTS INTERVAL DATE TIME TIMESTAMP ARRAY STRUCT AS ROW CAST DISTINCTROW "
    "STRAIGHT_JOIN SQL_CALC_FOUND_ROWS SQL_NO_CACHE CURRENT NEXT PREVIOUS STREAM".split()
)
# After these, a SELECT belongs to a statement that started before.
_CONTINUED: Final = re.compile(
    r"(?:[(,]|\b(?:UNION|ALL|EXCEPT|INTERSECT|MINUS|AS|IN|EXISTS|ANY|SOME))\s*\Z", re.IGNORECASE
)
_MAX_GAP: Final = 200


def find_start(text: str) -> int | None:
    """Return where the first statement starts, including the parentheses and comments before it.

    A sentence about SQL ("we SELECT the name and filter") is passed over if a statement follows.
    """
    leading = skip_leading(text)
    is_leading = START.match(text, leading) is not None
    is_other = _EXPLAIN.match(text, leading) or _FROM_FIRST.match(text, leading)
    if is_other or (is_leading and not is_prose(text, leading)):
        return 0
    sources = [match.start() for match in _FROM.finditer(text)]
    matches = list(_CANDIDATE.finditer(text))
    words = [match.start("line" if match["line"] else "inline") for match in matches]
    for match, word, end in zip(matches, words, [*words, len(text)][1:], strict=True):
        start = match.start("open") if match["line"] else word
        if word == leading or is_prose(text, word) or _is_continued(text, start):
            continue
        if match["line"]:
            return start
        if match["inline"][:6] != "SELECT" or _find_next(sources, word, end) is not None:
            return word
    if is_leading:
        return 0
    for match in _WEAK_CANDIDATE.finditer(text):
        source = _find_next(sources, match.start(), match.start() + _MAX_SELECT_LIST)
        if source is not None and not is_prose(text, match.start()):
            return match.start()
    return words[0] if words else None


def holds_statement(text: str) -> bool:
    """Return whether a statement starts anywhere in a text."""
    return find_start(text) is not None


def starts_with_statement(text: str) -> bool:
    """Return whether a text starts with a statement, apart from comments and parentheses."""
    start = skip_leading(text)
    return START.match(text, start) is not None and not is_prose(text, start)


def is_prose(text: str, start: int) -> bool:
    """Return whether the SELECT at a position is a word of a sentence, as in "select the names"."""
    match = _FIRST_WORDS.match(text, start)
    if match is None:
        return _IN_QUOTES.match(text, max(0, start - 1)) is not None
    first, second, third = (word or "" for word in match.group(1, 2, 3))
    if match["end"] or _has_prose_source(text, start):
        return True
    following = second.upper()
    if first.lower() in _ARTICLES:
        return bool(second) and following not in _AFTER_COLUMN
    if first.lower() in _SQL_NOUNS:
        is_column = text[match.end(1) : match.end(1) + 1] in ("", ",", ".", ";", "(")
        return not is_column and following not in _AFTER_COLUMN
    return (
        bool(third)
        and first.isalpha()
        and second.isalpha()
        and first.upper() not in _BEFORE_COLUMN
        and following not in _AFTER_COLUMN
        and third.upper() not in _AFTER_COLUMN
    )


def _has_prose_source(text: str, start: int) -> bool:
    """Return whether the words after the next FROM are prose, as in "from the table"."""
    source = _FROM.search(text, start, start + _MAX_GAP)
    if source is None:
        return False
    words = _THREE_WORDS.match(text, source.end())
    return _FROM_PROSE.match(text, source.end()) is not None or (
        words is not None and not _AFTER_TABLE.intersection(words[0].upper().split())
    )


def _is_continued(text: str, start: int) -> bool:
    before = text[max(0, start - _MAX_GAP) : start]
    is_after_comment = "--" in before.rstrip().rpartition("\n")[2]
    return not is_after_comment and _CONTINUED.search(before) is not None


def _find_next(positions: list[int], start: int, end: int) -> int | None:
    """Return the first of some sorted positions between two others."""
    at = bisect_left(positions, start)
    return positions[at] if at < len(positions) and positions[at] < end else None
