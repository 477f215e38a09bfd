"""Placeholders of query tools, which are bind parameters.

=======================  =======================================================================
``{{ x }}``              a value or a name, in Jinja, dbt, Redash, Superset, and Metabase
``{% if x %}``           a statement of Jinja; of several branches, the first is read
``{# x #}``              a comment of Jinja
``[[AND a = {{ x }}]]``  an optional condition of Metabase, read without the brackets
``${x}``                 a value or a name, in Hive, Zeppelin, and Grafana
``##x##``                a value, in Stack Exchange
``(...)``, ``?, ...``    values, in the query digests of MySQL
``(@p0 int)SELECT``      declared parameters before a statement, in SQL Server's plans
=======================  =======================================================================

The parser gets a text without them: a name of the same length stands for a value, so that offsets
stay, and spaces for all else. Strings, quoted names and comments are left alone.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlglot.dialects.dialect import Dialect

from nl2sql_align.tasks.ingest.statements import DECLARATION

# The quotes of a call in a string, as in '{{ var('x') }}', do not end the string.
_CALL: Final = r"\{\{ [^{}()'\"]* \( [^{}()]* \) [^{}()'\"]* \}\}"
_MARKS: Final = r"""
    (?P<value> \{\{ [^{}]* (?: \{ [^{}]* \} [^{}]* )*+ \}\} | \$\{ [^{}]* \} )
  | (?P<statement> \{% [^{}]* (?: \{ [^{}]* \} [^{}]* )* %\} | \{\# [^{}]* \#\} )
  | (?P<optional> \[\[ (?= \s* (?: AND | OR | WHERE | HAVING | ORDER | GROUP | LIMIT ) \b
                         | [^\[\]]* \{\{ ) )
  | (?P<closing> \]\] (?! \] ) )
  | (?P<list> \( \s* \.\.\. (?= \s* \) ) | \? \s* , \s* \.\.\. )
"""
_DECLARED: Final = re.compile(rf"\s*{DECLARATION}(?=\s*\w)", re.IGNORECASE)
_FIRST_WORD: Final = re.compile(r"\{%-?\s*(\w+)")
_FILLERS: Final = ("p", "0", " ")


class Filled(NamedTuple):
    """A text without placeholders.

    Attributes:
        text: The text for the parser, of the same length.
        values: Offsets of the names or numbers that stand for placeholders.
        as_written: The text with its placeholders for values, and without all other marks.
    """

    text: str
    values: frozenset[int]
    as_written: str


class _Span(NamedTuple):
    start: int
    end: int
    is_value: bool


class Placeholders:
    """Finds the placeholders in texts of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._marks = re.compile(
            f"(?P<comment> {_comments(dialect)} ) | {_MARKS} | (?P<quoted> {_quoted(dialect)} )",
            re.VERBOSE | re.IGNORECASE | re.DOTALL,
        )

    def fill(self, text: str) -> Iterator[Filled]:
        """Yield the text as it may parse, the likeliest first; nothing if it has no placeholder."""
        spans = self._find_spans(text)
        if not spans:
            return
        as_written = _replace(text, [span for span in spans if not span.is_value], " ")
        for filler in _FILLERS:
            values = (span.start for span in spans if span.is_value and filler != " ")
            yield Filled(_replace(text, spans, filler), frozenset(values), as_written)

    def _find_spans(self, text: str) -> list[_Span]:
        spans: list[_Span] = []
        statements: list[tuple[str, int, int]] = []
        declaration = _DECLARED.match(text)
        done = declaration.end() if declaration else 0
        if declaration:
            spans.append(_Span(0, done, False))
        is_first = True  # whether the statement has not begun
        n_open = 0
        for found in self._marks.finditer(text, done):
            kind, (start, end) = found.lastgroup, found.span()
            is_first = is_first and not text[done:start].strip()
            done = end
            if kind == "value":
                # dbt's {{ config(...) }} precedes a query, and has no value.
                spans.append(_Span(start, end, not is_first))
            elif kind == "statement":
                word = _FIRST_WORD.match(text, start)
                statements.append((word[1].lower() if word else "", start, end))
                spans.append(_Span(start, end, False))
            elif kind == "optional" or (kind == "closing" and n_open):
                n_open += 1 if kind == "optional" else -1
                spans.append(_Span(start, end, False))
            elif kind == "list":
                spans.append(_Span(end - len("..."), end, True))
            elif kind == "quoted":
                is_first = False
                spans += [
                    _Span(start + call.start(), start + call.end(), False)
                    for call in _CALLS.finditer(found[0])
                ]
        return _without_branches(spans, statements)


_CALLS: Final = re.compile(_CALL, re.VERBOSE)


def _comments(dialect: Dialect) -> str:
    patterns = []
    for comment in dialect.tokenizer_class.COMMENTS:
        if isinstance(comment, str):
            patterns.append(rf"{re.escape(comment)} [^\n]*")
        elif comment[0] == "/*":
            patterns.append(r"/\* (?: [^*] | \* (?! / ) )*+ (?: \*/ | \Z )")
    return " | ".join(patterns)


def _quoted(dialect: Dialect) -> str:
    """Return a pattern for strings and quoted names; one that is not closed goes on to the end."""
    tokenizer = dialect.tokenizer_class
    patterns = []
    for quote in "'\"`":
        if quote not in (*tokenizer.QUOTES, *tokenizer.IDENTIFIERS):
            continue
        is_escaped = "\\" in tokenizer.STRING_ESCAPES and quote in tokenizer.QUOTES
        inside = rf"[^{quote}{{\\] | \\." if is_escaped else rf"[^{quote}{{]"
        patterns.append(
            rf"{quote} (?: {inside} | {quote}{quote} | {_CALL} | \{{ )*+ (?: {quote} | \Z )"
        )
    if ("[", "]") in tokenizer.IDENTIFIERS:
        patterns.append(r"\[ [^\[\]]* \]")
    return " | ".join(patterns)


def _without_branches(spans: list[_Span], statements: list[tuple[str, int, int]]) -> list[_Span]:
    """Blank all branches but the first of each ``{% if %}``."""
    opened: list[int] = []  # for each open statement, where its first branch ends, or -1
    branches: list[tuple[int, int]] = []
    for word, start, end in statements:
        if word in ("if", "for"):
            opened.append(-1)
        elif word in ("else", "elif") and opened and opened[-1] < 0:
            opened[-1] = start
        elif word in ("endif", "endfor") and opened and (first := opened.pop()) >= 0:
            branches.append((first, end))
    found: list[_Span] = []
    for span in sorted([*spans, *(_Span(start, end, False) for start, end in branches)]):
        if not found or span.start >= found[-1].end:
            found.append(span)
        elif span.end > found[-1].end:
            found[-1] = _Span(found[-1].start, span.end, False)
    return found


def _replace(text: str, spans: list[_Span], filler: str) -> str:
    pieces: list[str] = []
    done = 0
    for start, end, is_value in spans:
        pieces += (text[done:start], (filler if is_value else " ") * (end - start))
        done = end
    return "".join([*pieces, text[done:]])
