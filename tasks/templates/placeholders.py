"""Placeholders of query tools, which are bind parameters.

=======================  =======================================================================
``{{ x }}``              a value or a name, in Jinja, dbt, Redash, Superset, and Metabase
``{% if x %}``           a statement of Jinja; of several branches, the first is read
``{# x #}``              a comment of Jinja
``[[AND a = {{ x }}]]``  an optional condition of Metabase, read without the brackets
``${x}``                 a value or a name, in Hive, Zeppelin, and Grafana
``{x}``                  a value or a name, in Python's format strings
``##x##``                a value, in Stack Exchange
``%s``, ``%(x)s``        a value, in Python's database drivers
``(...)``, ``?, ...``    values, in the query digests of MySQL
``(@p0 int)SELECT``      declared parameters before a statement, in SQL Server's plans
=======================  =======================================================================

The parser gets a text without them: a name or a number of the same length stands for a value, so
that offsets stay, and spaces for all else. Strings, quoted names and comments are left alone.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlglot.dialects.dialect import Dialect

from nl2sql_align.tasks.ingest.statements import DECLARATION

# The quotes of a call in a string, as in '{{ var('x') }}', do not end the string.
_CALL: Final = r"\{\{ [^{}()'\"]* \( [^{}()]* \) [^{}()'\"]* \}\}"
_DRIVER_MARK: Final = r"% (?: s | \( \w+ \) s ) \b"
_MARKS: Final = r"""
    (?P<value> \{\{ [^{}]* (?: \{ [^{}]* \} [^{}]* )*+ \}\} | \$\{ [^{}]* \}
              | \{ \s* \w+ \s* \} )
  | (?P<statement> \{% [^{}]* (?: \{ [^{}]* \} [^{}]* )* %\} | \{\# [^{}]* \#\} )
  | (?P<optional> \[\[ (?= \s* (?: AND | OR | WHERE | HAVING | ORDER | GROUP | LIMIT ) \b
                         | [^\[\]]* \{\{ ) )
  | (?P<closing> \]\] (?! \] ) )
  | (?P<list> \( \s* \.\.\. (?= \s* \) ) | \? \s* , \s* \.\.\. )
"""
_DRIVER: Final = re.compile(_DRIVER_MARK, re.VERBOSE | re.IGNORECASE)
_DECLARED: Final = re.compile(rf"\s*{DECLARATION}(?=\s*\w)", re.IGNORECASE)
_FIRST_WORD: Final = re.compile(r"\{%-?\s*(\w+)")
# Words that a value follows. After other words and signs that end an operand, a placeholder rather
# stands for a clause that may be missing, such as a sort direction.
_BEFORE_VALUE: Final = frozenset(
    """
    ALL AND ANY AS BETWEEN BY CASE DATE DISTINCT ELSE EXCEPT FROM HAVING ILIKE IN INTERSECT INTERVAL
    INTO IS JOIN LIKE NOT ON OR OVER QUALIFY REGEXP RETURNING RLIKE SELECT SET SOME TABLE THEN TIME
    TIMESTAMP UNION UPDATE USING VALUES WHEN WHERE WITH
    """.split()
)
_BEFORE_NUMBER: Final = frozenset({"FIRST", "LIMIT", "NEXT", "OFFSET", "TOP"})
_OPENS_NUMBER: Final = re.compile(r"\b(?:SAMPLE|TABLESAMPLE|TOP)\s*\(\Z", re.IGNORECASE)
_LAST_WORD: Final = re.compile(r"\w+\Z")
_ENDS_NAME: Final = re.compile(r"[\w.]\Z")
_LOOKED_BACK: Final = 100
_NAME, _NUMBER, _NOTHING = "p", "0", " "


def mentions_placeholder(text: str) -> bool:
    """Return whether a text may have placeholders."""
    if "{" in text or "[[" in text or "..." in text or "(@" in text:
        return True
    return "%" in text and _DRIVER.search(text) is not None


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
    """A part of a text, and what the parser likeliest gets in its place."""

    start: int
    end: int
    filler: str
    is_value: bool


class Placeholders:
    """Finds the placeholders in texts of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._marks = re.compile(
            f"(?P<comment> {_comments(dialect)} ) | {_MARKS} | (?P<driver> {_DRIVER_MARK} )"
            f" | (?P<quoted> {_quoted(dialect)} )",
            re.VERBOSE | re.IGNORECASE | re.DOTALL,
        )

    def fill(self, text: str) -> Iterator[Filled]:
        """Yield the text as it may parse, the likeliest first; nothing if it has no placeholder."""
        spans = self._find_spans(text)
        if not spans:
            return
        as_written = _replace(text, [span for span in spans if not span.is_value])
        tried: set[str] = set()
        for filler in (None, _NAME, _NUMBER, _NOTHING):
            filled = [_choose_filler(span, filler) for span in spans]
            replaced = _replace(text, filled)
            if replaced not in tried:
                tried.add(replaced)
                values = (span.start for span in filled if span.filler != _NOTHING)
                yield Filled(replaced, frozenset(values), as_written)

    def _find_spans(self, text: str) -> list[_Span]:
        spans: list[_Span] = []
        statements: list[tuple[str, int, int]] = []
        declaration = _DECLARED.match(text)
        done = declaration.end() if declaration else 0
        if declaration:
            spans.append(_blank(0, done))
        is_first = True  # whether the statement has not begun
        n_open = 0
        before = ""  # the end of the text so far, without comments, with brackets for values
        for found in self._marks.finditer(text, done):
            kind, (start, end) = found.lastgroup, found.span()
            is_first = is_first and not text[done:start].strip()
            before = (before + text[done:start])[-_LOOKED_BACK:]
            shown = found[0] if kind == "quoted" else " "
            if kind == "value" and is_first:
                spans.append(_blank(start, end))  # dbt's {{ config(...) }} has no value
            elif kind == "value":
                filler = _guess_filler(before, text[end : end + 1])
                shown = ")" if filler != _NOTHING else " "
                spans.append(_Span(start, end, filler, True))
            elif kind == "driver":
                # After an operand, the sign is that of a remainder.
                filler = _guess_filler(before, "")
                if filler != _NOTHING and not _ENDS_NAME.search(before):
                    spans.append(_Span(start, end, filler, True))
                shown = ")"
            elif kind == "statement":
                word = _FIRST_WORD.match(text, start)
                statements.append((word[1].lower() if word else "", start, end))
                spans.append(_blank(start, end))
            elif kind == "optional" or (kind == "closing" and n_open):
                n_open += 1 if kind == "optional" else -1
                spans.append(_blank(start, end))
            elif kind == "list":
                spans.append(_Span(end - len("..."), end, _NAME, True))
            elif kind == "quoted":
                is_first = False
                spans += [
                    _blank(start + call.start(), start + call.end())
                    for call in _CALLS.finditer(found[0])
                ]
            done = end
            before += shown
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
    for span in sorted([*spans, *(_blank(start, end) for start, end in branches)]):
        if not found or span.start >= found[-1].end:
            found.append(span)
        elif span.end > found[-1].end:
            found[-1] = _blank(found[-1].start, span.end)
    return found


def _blank(start: int, end: int) -> _Span:
    return _Span(start, end, _NOTHING, False)


def _guess_filler(before: str, after: str) -> str:
    """Return what a placeholder likeliest stands for.

    Args:
        before: The end of the text before it, without comments.
        after: The character after it.
    """
    code = before.rstrip()
    if not code or after in (".", "(") or _ENDS_NAME.search(before):
        return _NAME  # or a part of one
    if _OPENS_NUMBER.search(code):
        return _NUMBER
    if (word := _LAST_WORD.search(code)) is None:
        return _NOTHING if code[-1] in ")]'\"`" else _NAME
    if word[0].upper() in _BEFORE_NUMBER:
        return _NUMBER
    return _NAME if word[0].upper() in _BEFORE_VALUE else _NOTHING


def _choose_filler(span: _Span, filler: str | None) -> _Span:
    """Return a part with a filler, if it is a value; a number stays one, which needs a number."""
    if filler is None or not span.is_value or (filler == _NOTHING and span.filler == _NUMBER):
        return span
    return span._replace(filler=filler)


def _replace(text: str, spans: list[_Span]) -> str:
    pieces: list[str] = []
    done = 0
    for span in spans:
        pieces += (text[done : span.start], span.filler * (span.end - span.start))
        done = span.end
    return "".join([*pieces, text[done:]])
