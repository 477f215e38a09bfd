"""Extraction of SQL statements from the answers of models.

The functions look at words and quotes only, not at parse trees: they take linear time on any text,
and give the same result with every version of the parser. A text that is one statement is never
changed.
"""

import json
import re
from typing import Final

from nl2sql_align.tasks.ingest.statements import (
    START,
    START_WORDS,
    WITH,
    classify_statement,
    find_first_word,
    has_statement,
    is_within_quotes,
    make_quote_test,
    skip_leading,
    split_statements,
)

# Longer texts are left as they are.
_MAX_ANSWER_CHARACTERS: Final = 200_000

_EXPLAIN: Final = re.compile(
    r"(?:EXPLAIN|DESCRIBE)\s+(?:QUERY\s+PLAN\s+|ANALYZE\s+)?(?:SELECT|WITH)\b", re.IGNORECASE
)
# Within prose, a statement starts on a new line or after a colon or backtick; in upper case,
# anywhere.
_START_AFTER_PROSE: Final = re.compile(
    rf"(?:(?:^|[\n:`])[ \t(]*(?i:({START_WORDS}))|\b(SELECT\s|{WITH}))", re.MULTILINE
)

_THOUGHT: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_FENCE: Final = re.compile(r"```[ \t]*[\w+.-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_TOKEN: Final = r"<\|[^|<>\n]{1,40}\|>|</s>|<(?:eos|pad|unk|end_of_turn|start_of_turn)>|\[/?INST\]"
_TOKENS_AT_START: Final = re.compile(rf"\s*(?:(?:{_TOKEN}|<s>|<bos>)\s*)+")
# Text that only follows a statement: end marks, headings, and sentences on a line of their own.
_AFTER_SQL: Final = re.compile(
    rf"{_TOKEN}|```|\\end\{{|\\\]|\#\#\#|\[/?SQL\]|</?(?:sql|answer|query)>"
    r"|\b(?:Comment|Explanation|Note|Answer|Question|Output|Response|Result|SQLResult|SQL|Human"
    r"|User|Assistant)\s*:(?=\s|$)"
    r"|\n[ \t]*(?:This\ (?:query|SQL|will|statement)|The\ (?:query|above|SQL)|Here(?:'s|\ is|,)"
    r"|Note\ that|In\ this|Explanation\b|I\ hope|Please\ |Let\ me"
    r"|Alternatively\b|However,|Or,?\ if|We\ )",
    re.VERBOSE,
)
_PARAGRAPH: Final = re.compile(r"\n[ \t]*\n[ \t]*([A-Z][a-z]+(?:'[a-z]+)?)[ ,:]")
_SQL_WORDS: Final = frozenset(
    "SELECT FROM WHERE AND OR NOT ORDER GROUP HAVING LIMIT UNION EXCEPT INTERSECT JOIN LEFT RIGHT "
    "INNER OUTER FULL CROSS NATURAL ON USING WITH AS CASE WHEN THEN ELSE END IN IS LIKE BETWEEN "
    "EXISTS DISTINCT ALL VALUES SET INTO OFFSET FETCH WINDOW PARTITION OVER BY INSERT UPDATE "
    "DELETE CREATE DROP ALTER DECLARE MINUS QUALIFY".split()
)
_ESCAPED_BREAK: Final = re.compile(r"\\r\\n|\\[nrt]")


def clean_answer(text: str, dialect: str | None = None, *, takes_first: bool = True) -> str:
    """Return the first SQL statement of a model's answer.

    Drops thoughts, Markdown fences, prose before and after, end marks, further statements, and
    table definitions that the model repeats from the prompt before its query. An answer that is one
    statement, or contains none, is returned unchanged.

    Args:
        text: The answer.
        dialect: The SQL dialect if known; it decides how quotes are escaped.
        takes_first: Drop the statements after the first.
    """
    if len(text) > _MAX_ANSWER_CHARACTERS:
        return text
    found = _unwrap_answer(text, dialect)
    start = _find_start(found)
    if start is None:
        return text
    found = found[start:]
    if "\n" not in found and _ESCAPED_BREAK.search(found):
        found = _restore_line_breaks(found, dialect)
    end = _find_end(found, dialect)
    found = found[:end]
    if takes_first:
        pieces = split_statements(found, dialect)
        if pieces:
            found = _skip_echo(pieces)
    return _keep_if_equal(found, text)


def _keep_if_equal(found: str, text: str) -> str:
    """Return the text unchanged if the statement is all of it, apart from closing comments."""
    stripped = found.strip()
    at = text.find(stripped)
    is_all = at >= 0 and not text[:at].strip() and not has_statement(text, at + len(stripped))
    return text if is_all or not stripped else stripped


def _unwrap_answer(text: str, dialect: str | None) -> str:
    """Remove thoughts, marks at the start, fences, and a JSON object around the answer."""
    if "<think" in text:
        text = _THOUGHT.sub("", text)
    if (match := _TOKENS_AT_START.match(text)) is not None:
        text = text[match.end() :]
    if "```" in text and not is_within_quotes(text, text.find("```"), dialect):
        before = text.partition("```")[0]
        # The prompt opened the fence, so that the answer starts with SQL.
        if START.match(before, skip_leading(before)):
            return before
        blocks = [match[1] for match in _FENCE.finditer(text)]
        with_sql = (block for block in blocks if _find_start(block) is not None)
        text = next(with_sql, text.replace("```", "\n"))
    stripped = text.strip()
    if stripped.startswith("{") and stripped.endswith("}"):
        try:
            fields = json.loads(stripped)
        except (ValueError, RecursionError):
            return text
        for key, value in fields.items() if isinstance(fields, dict) else ():
            if key.lower() in {"sql", "query", "sql_query", "answer"} and isinstance(value, str):
                return value
    elif len(stripped) > 2 and stripped[0] == stripped[-1] == "`" and "`" not in stripped[1:-1]:
        return stripped[1:-1]
    return text


def _find_start(text: str) -> int | None:
    """Return where the first statement starts, including the parentheses and comments before it."""
    leading = skip_leading(text)
    if START.match(text, leading) or _EXPLAIN.match(text, leading):
        return 0
    match = _START_AFTER_PROSE.search(text)
    return None if match is None else match.start(1 if match[1] is not None else 2)


def _restore_line_breaks(text: str, dialect: str | None) -> str:
    """Replace escaped line breaks and tabs outside quotes by real ones."""
    parts, last = [], 0
    is_quoted = make_quote_test(text, dialect)
    for match in _ESCAPED_BREAK.finditer(text):
        if is_quoted(match.start()):
            continue
        parts += [text[last : match.start()], "\t" if match[0] == "\\t" else "\n"]
        last = match.end()
    return "".join([*parts, text[last:]])


def _find_end(text: str, dialect: str | None) -> int:
    """Return where the answer stops being SQL."""
    ends = []
    is_quoted = make_quote_test(text, dialect)
    for match in _AFTER_SQL.finditer(text):
        if match.start() > 0 and not is_quoted(match.start()):
            ends.append(match.start())
            break
    for match in _PARAGRAPH.finditer(text):
        if match[1].upper() not in _SQL_WORDS and not is_quoted(match.start()):
            ends.append(match.start())
            break
    return min(ends, default=len(text))


def _skip_echo(pieces: list[str]) -> str:
    """Return the first statement, or the first query after table definitions from the prompt."""
    if find_first_word(pieces[0]) == "CREATE":
        for piece in pieces[1:]:
            if classify_statement(piece) == "query":
                return piece
    return pieces[0]
