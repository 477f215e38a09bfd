"""Extraction of SQL statements from the answers of models.

The functions look at words and quotes only, not at parse trees: they take linear time on any text,
and give the same result with every version of the parser. An answer that is one statement stays as
it is, apart from characters that are not SQL in any dialect.
"""

import html
import re
from collections.abc import Callable
from typing import Final

from nl2sql_align.tasks.ingest.final_answers import Block, Part, find_final_answer, unescape
from nl2sql_align.tasks.ingest.statement_ends import find_end
from nl2sql_align.tasks.ingest.statement_starts import find_start, is_prose
from nl2sql_align.tasks.ingest.statements import (
    MAX_CHARACTERS,
    Scan,
    classify_statement,
    find_first_word,
    has_statement,
    skip_leading,
    split_statements,
)

_INVISIBLE: Final = "\ufeff\u200b\u2060"
# One query on one line of ASCII, without a mark, a sentence or a second query for any rule to find.
_PLAIN: Final = re.compile(
    r"""
    \s*+ (?P<start> SELECT ) [ ]
    (?: \b(?: UNION | ALL | EXCEPT | INTERSECT ) [ ]++ SELECT \b | \( [ ]*+ SELECT \b
      | (?! SELECT \b ) (?: [A-Za-z_]\w*+ | \d++ (?! [A-Za-z_] ) | [ ,()*=%+>'"] )
      | < (?= [ =>\d'"] ) | - (?! - ) | / (?! \* ) | \. (?= [\w*"] ) | ! (?= = ) )*+
    [\s;]*+ \Z
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


def clean_answer(
    text: str, dialect: str | None = None, *, takes_first: bool = True, block: Block = "last"
) -> str:
    """Return the SQL statement that a model gives as its answer; see :func:`explain_cleaning`."""
    return explain_cleaning(text, dialect, takes_first=takes_first, block=block).text


def explain_cleaning(
    text: str, dialect: str | None = None, *, takes_first: bool = True, block: Block = "last"
) -> Part:
    """Return the SQL statement that a model gives as its answer, and the rules that found it.

    Drops an echoed prompt, reasoning, Markdown, JSON, prose before and after, end marks, further
    statements, and table definitions that the model repeats from the prompt before its query. An
    answer of one statement, or without a statement, is returned unchanged. An answer that was cut
    within its reasoning is returned empty.

    Args:
        text: The answer.
        dialect: The SQL dialect if known; it decides how quotes are escaped.
        takes_first: Drop the statements after the first.
        block: The fenced block to take if several hold a statement.
    """
    if len(text) > MAX_CHARACTERS or is_plain(text):
        return Part(text)
    return _apply_rules(text, dialect, takes_first, block)


def is_plain(text: str) -> bool:
    """Return whether a text is one query that no rule changes. This is cheap, and misses a few."""
    match = _PLAIN.match(text)
    return match is not None and not is_prose(text, match.start("start"))


def _apply_rules(text: str, dialect: str | None, takes_first: bool, block: Block) -> Part:
    found, found_rules = find_final_answer(text.lstrip(_INVISIBLE), block)
    rules = dict.fromkeys(found_rules)
    if find_start(found) is None:
        is_final = "reasoning" in rules or "final channel" in rules
        return Part(found.strip(), found_rules) if is_final else Part(text)
    for rule, step in (
        ("quotes", _unwrap_quotes),
        ("text before", _cut_before),
        ("echoed schema", _skip_schema if takes_first else _separate_schema),
        ("text after", _cut_after),
        ("escapes", _repair),
    ):
        before, found = found, step(found, dialect)
        if found.strip() != before.strip():
            rules[rule] = None
    if takes_first and (pieces := split_statements(found, dialect)):
        if has_statement(found.replace(pieces[0], "", 1)):
            rules["further statements"] = None
        found = pieces[0]
    found = _keep_if_equal(found, text)
    return Part(found, tuple(rules) if found != text else ())


def _keep_if_equal(found: str, text: str) -> str:
    """Return the text unchanged if the statement is all of it, apart from closing comments."""
    stripped = found.strip()
    at = text.find(stripped)
    is_all = at >= 0 and not text[:at].strip() and not has_statement(text, at + len(stripped))
    return text if is_all or not stripped else stripped


# ---- before the statement -----------------------------------------------------------------------

_QUOTES: Final[dict[str, str]] = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u201c": "\u201d",
    "\u2018": "\u2019",
    "\u00ab": "\u00bb",
    "\u300c": "\u300d",
    "\u300e": "\u300f",
}
_OPENING: Final = re.compile(
    r"(?:(\"\"\"|\'\'\')(?:sql)?\s*|(\"{1,2}|'{1,2}|`{1,3}|[\u201c\u2018\u00ab\u300c\u300e]|\*\*|\$\$))\Z",
    re.IGNORECASE,
)
_BRACE: Final = re.compile(r"\\(?:boxed|text|texttt|mathrm)\{\s*\Z")
_BRACKET: Final = re.compile(r"\[(?:SQL:\s*)?\Z")
_MAX_COMMAND: Final = 20
# Before a quote that opens within a quoted statement, as in `SELECT "a" FROM b`.
_BEFORE_OPENING: Final = frozenset(" \t\n(,=<>.|+")


def _cut_before(text: str, dialect: str | None) -> str:
    start = find_start(text)
    return text[start or 0 :]


def _cut_after(text: str, dialect: str | None) -> str:
    return text[: find_end(text, dialect)]


def _repair(text: str, dialect: str | None) -> str:
    repaired = _repair_characters(text, dialect)
    return text if repaired == text else _cut_after(repaired, dialect)


def _unwrap_quotes(text: str, dialect: str | None) -> str:
    """Take a statement out of the quotes around it, and undo the escapes of quotes in it."""
    start = find_start(text)
    if start is None:
        return text
    first = skip_leading(text, start)
    if _BRACKET.search(text, max(0, first - _MAX_COMMAND), first) and text.rstrip().endswith("]"):
        return text[first : text.rindex("]")]
    if (brace := _BRACE.search(text, max(0, first - _MAX_COMMAND), first)) is not None:
        end = text.find("}", first)
        return text[brace.end() : end] if end >= 0 else text
    mark = _OPENING.search(text, max(0, first - _MAX_COMMAND), first)
    if start != first or mark is None:
        return text
    # Two quotes are an empty string, or the first of them is part of the text around.
    quotes = mark[1] or mark[2]
    opening = quotes[0] if quotes in ('""', "''") else quotes
    closed = _find_closing(text, first, opening)
    return text if closed is None else _undo_escapes(text[first:closed], opening[0])


def _find_closing(text: str, position: int, opening: str) -> int | None:
    """Return where the quote around a statement closes; quotes within it come in pairs."""
    closing = _QUOTES.get(opening, opening)
    is_within = False
    while (at := text.find(closing, position)) >= 0:
        position = at + len(closing)
        if text[at - 1] == "\\":
            continue
        if is_within:
            is_within = False
        elif len(opening) == 1 and text.startswith(closing, position):
            position += 1
        elif opening == closing and len(opening) == 1 and text[at - 1] in _BEFORE_OPENING:
            is_within = True
        else:
            return at
    return None


def _undo_escapes(body: str, quote: str) -> str:
    if f"\\{quote}" in body or ("\\n" in body and "\n" not in body):
        return unescape(body, quote)
    n_quotes = body.count(quote)
    return body.replace(quote * 2, quote) if n_quotes == 2 * body.count(quote * 2) else body


# ---- characters ---------------------------------------------------------------------------------

_MARKUP: Final = re.compile(
    r"&(?:gt|lt|amp|quot|apos|nbsp|\#39|\#34|\#x27);|<br ?/?>", re.IGNORECASE
)
_ESCAPED_BREAK: Final = re.compile(r"\\r\\n|\\[nrt]")
# Outside of quotes, a backslash before one of these is not SQL in any dialect: Markdown escapes
# them.
_MARKDOWN_ESCAPE: Final = r"\\[_*<>=()\[\]#+|&~{}.!`$%^-]"
_ZERO_WIDTH: Final = "\ufeff\u200b\u200c\u200d\u2060"
# Full-width forms of the ASCII characters, which follow each other in the same order.
_WIDE: Final = {chr(ord(one) + 0xFEE0): one for one in "!\"%&'()*+,-./:;<=>"}
_CURLY: Final = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"'}
_WIDE_OPEN, _WIDE_CLOSE = "\uff08", "\uff09"
_CURLY_PAIR: Final = re.compile(
    r"\u2018((?:[^\u2018\u2019\n]|(?<=\w)\u2019(?=\w))*)\u2019|\u201c([^\u201c\u201d\n]*)\u201d"
)
# An apostrophe is part of a name.
_CURLY_QUOTE: Final = re.compile(
    r"(?<!\w)[\u2018\u2019]|[\u2018\u2019](?!\w)|[\u201c\u201d\u201e\uff02\uff07]"
)
_FOREIGN: Final = re.compile(
    "(" + _MARKDOWN_ESCAPE + ")|([" + _ZERO_WIDTH + "])|([" + "".join(_WIDE) + "])"
)


def _repair_characters(text: str, dialect: str | None) -> str:
    """Restore SQL's characters where a chat has replaced them outside of quotes."""
    scan = Scan(text, dialect)
    if any(not scan.is_quoted(match.start()) for match in _MARKUP.finditer(text)):
        text = _MARKUP.sub(_read_markup, text)
    if "\\" in text:
        for quote in ('"', "'", "`"):
            if 0 < text.count(quote) == text.count(f"\\{quote}"):
                text = text.replace(f"\\{quote}", quote)
        if "\n" not in text:
            text = _replace_outside(text, dialect, _ESCAPED_BREAK, _restore_break)
    if _CURLY_QUOTE.search(text) is not None:
        text = _replace_outside(text, dialect, _CURLY_PAIR, _straighten_pair)
        text = _replace_outside(text, dialect, _CURLY_QUOTE, lambda one: (_CURLY | _WIDE)[one[0]])
    if _FOREIGN.search(text) is not None:
        text = _replace_outside(text, dialect, _FOREIGN, _Narrowing(text).replace)
    return text


def _read_markup(match: re.Match[str]) -> str:
    """Return the character of an entity of HTML, or the line break of a tag."""
    return html.unescape(match[0].lower()).replace("\xa0", " ") if match[0][0] == "&" else "\n"


def _restore_break(match: re.Match[str]) -> str:
    return "\t" if match[0] == "\\t" else "\n"


def _straighten_pair(match: re.Match[str]) -> str:
    if match[1] is not None:
        return "'" + match[1].replace("'", "''") + "'"
    return '"' + match[2].replace('"', '""') + '"'


class _Narrowing:
    """Replacements of Markdown's escapes, characters without width, and full-width forms.

    Parentheses within a name, as in that of a column with its unit, stay as they are.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._kept: list[bool] = []

    def replace(self, match: re.Match[str]) -> str:
        """Return the replacement of one character."""
        one = match[0]
        if match[1] is not None:
            return one[1:]
        if match[2] is not None:
            return ""
        if one == _WIDE_OPEN:
            before = self._text[match.start() - 1 : match.start()]
            self._kept.append(before.isalnum() and not before.isascii())
            return one if self._kept[-1] else "("
        if one == _WIDE_CLOSE and self._kept:
            return one if self._kept.pop() else ")"
        return one if self._kept and self._kept[-1] else _WIDE[one]


def _replace_outside(
    text: str, dialect: str | None, pattern: re.Pattern[str], make: Callable[[re.Match[str]], str]
) -> str:
    """Replace the matches of a pattern that are outside of quotes and comments."""
    scan = Scan(text, dialect)
    parts: list[str] = []
    last = 0
    for match in pattern.finditer(text):
        if not scan.is_quoted(match.start()):
            parts += [text[last : match.start()], make(match)]
            last = match.end()
    return "".join([*parts, text[last:]])


# ---- the prompt's schema ------------------------------------------------------------------------


# The text between the schema and the query of a prompt: a heading, a comment, or the question.
_TO_QUERY: Final = re.compile(r"#|--|/\*|[?\uff1f]|\w[\w \t]{0,40}[:\uff1a]\s*\Z")


def _skip_schema(text: str, dialect: str | None) -> str:
    """Skip the prompt's table definitions before the query."""
    if find_first_word(text) != "CREATE":
        return text
    pieces = split_statements(text, dialect, splits_definitions=True)
    for n, piece in enumerate(pieces[1:], 1):
        if classify_statement(piece) == "query":
            return ";\n".join(pieces[n:])
        if classify_statement(piece) is None and (start := find_start(piece)) is not None:
            is_query = classify_statement(piece[start:]) == "query"
            if is_query and _TO_QUERY.search(piece, 0, start) is not None:
                return ";\n".join([piece[start:], *pieces[n + 1 :]])
    return text


def _separate_schema(text: str, dialect: str | None) -> str:
    """End table definitions that lack a semicolon, so that they are statements of their own."""
    if find_first_word(text) != "CREATE":
        return text
    pieces = split_statements(text, dialect, splits_definitions=True)
    return ";\n".join(pieces) if len(pieces) > len(split_statements(text, dialect)) else text
