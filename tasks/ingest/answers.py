"""Extraction of SQL statements from the answers of models and from scripts.

The functions look at words and quotes only, not at parse trees: they take linear time on any text,
and give the same result with every version of the parser. A text that is one statement is never
changed.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Final, Literal

Statements = Literal["first", "last", "each", "reject"]
Kind = Literal["query", "dml", "ddl"]
KINDS: Final[tuple[Kind, ...]] = ("query", "dml", "ddl")

# Longer texts are left as they are.
_MAX_ANSWER_CHARACTERS: Final = 200_000
_MAX_SCRIPT_CHARACTERS: Final = 50_000_000

# Bounded lengths prevent quadratic time.
_NAME: Final = r"""(?:[\w$#@]{1,200}|"[^"]{1,200}"|`[^`]{1,200}`|\[[^\]]{1,200}\])"""
_WITH: Final = (
    rf"WITH\s+(?:RECURSIVE\s+)?{_NAME}\s*(?:\([^()]{{0,2000}}\)\s*)?"
    r"AS\s*(?:(?:NOT\s+)?MATERIALIZED\s*)?\("
)
_DATA_CHANGES: Final = (
    r"INSERT\s+(?:INTO|OR|OVERWRITE|IGNORE)\b|UPDATE\s+(?:OR\s+\w+\s+)?[^\s,]{1,200}\s+(?:AS\s+)?"
    r"(?:\w+\s+)?SET\b|DELETE\s+FROM\b|MERGE\s+INTO\b|REPLACE\s+INTO\b"
)
_DEFINITIONS: Final = (
    r"(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:(?:TEMP|TEMPORARY|UNIQUE|EXTERNAL|"
    r"MATERIALIZED|RECURSIVE)\s+)?(?:TABLE|VIEW|INDEX|SCHEMA|DATABASE|FUNCTION|PROCEDURE|TRIGGER|"
    r"SEQUENCE|TYPE)\b|TRUNCATE\s+TABLE\b"
)
_START_WORDS: Final = rf"SELECT\b|{_WITH}|VALUES\s*\(|{_DATA_CHANGES}|{_DEFINITIONS}"
_START: Final = re.compile(rf"(?:{_START_WORDS})", re.IGNORECASE)
_EXPLAIN: Final = re.compile(
    r"(?:EXPLAIN|DESCRIBE)\s+(?:QUERY\s+PLAN\s+|ANALYZE\s+)?(?:SELECT|WITH)\b", re.IGNORECASE
)
# Within prose, a statement starts on a new line or after a colon or backtick; in upper case,
# anywhere.
_START_AFTER_PROSE: Final = re.compile(
    rf"(?:(?:^|[\n:`])[ \t(]*(?i:({_START_WORDS}))|\b(SELECT\s|{_WITH}))", re.MULTILINE
)
_LEADING: Final = re.compile(r"(?:\s|;|\(|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*")
_ONLY_COMMENTS: Final = re.compile(r"(?:\s|;|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*\Z")

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

# After these words, a SELECT continues the statement.
_BEFORE_SELECT: Final = frozenset(
    "UNION ALL EXCEPT INTERSECT DISTINCT MINUS AS EXPLAIN THEN".split()
)
_QUERY_WORDS: Final = frozenset("SELECT WITH VALUES FROM TABLE PIVOT UNPIVOT".split())
_DML_WORDS: Final = frozenset("INSERT UPDATE DELETE MERGE REPLACE UPSERT".split())
_DDL_WORDS: Final = frozenset("CREATE DROP ALTER TRUNCATE COMMENT RENAME".split())
# In T-SQL, these words start a statement without a semicolon before them.
_TSQL_START_WORDS: Final = frozenset(
    "DECLARE SET PRINT USE IF EXEC EXECUTE INSERT UPDATE DELETE CREATE DROP ALTER TRUNCATE".split()
)
_TSQL: Final = frozenset({"tsql", "fabric"})
# Signs of T-SQL in scripts of unknown dialect.
_LIKE_TSQL: Final = re.compile(r"^[ \t]*(?:DECLARE\s+@|GO[ \t\r]*$)", re.IGNORECASE | re.MULTILINE)
_REST_OF_LINE: Final = re.compile(r"[ \t\r]*(?:\n|\Z)")
# Statements that contain other start words, as in UPDATE ... SET.
_MAY_CONTAIN_STARTS: Final = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP"}
)

_LEXEME: Final = re.compile(r"""['"`\[]|--|/\*|\$\w*\$|[();]|[A-Za-z_@#][\w$#@]*""")
_OPENING: Final = frozenset({"'", '"', "`", "[", "--", "/*", "$$"})
# Dialects in which a backslash escapes a quote, and those in which brackets quote a name.
_BACKSLASH_DIALECTS: Final = frozenset(
    "mysql bigquery snowflake databricks spark spark2 hive clickhouse doris starrocks "
    "singlestore".split()
)
_BRACKET_DIALECTS: Final = frozenset({"tsql", "fabric", "sqlite"})


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
    is_all = at >= 0 and not text[:at].strip() and not _has_statement(text, at + len(stripped))
    return text if is_all or not stripped else stripped


def _has_statement(text: str, start: int = 0) -> bool:
    """Tell whether anything but comments and semicolons follows a position."""
    return _ONLY_COMMENTS.match(text, start) is None


def _unwrap_answer(text: str, dialect: str | None) -> str:
    """Remove thoughts, marks at the start, fences, and a JSON object around the answer."""
    if "<think" in text:
        text = _THOUGHT.sub("", text)
    if (match := _TOKENS_AT_START.match(text)) is not None:
        text = text[match.end() :]
    if "```" in text and not _is_within_quotes(text, text.find("```"), dialect):
        before = text.partition("```")[0]
        # The prompt opened the fence, so that the answer starts with SQL.
        if _START.match(before, _skip_leading(before)):
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


def _skip_leading(text: str) -> int:
    """Return the position after leading white space, comments, semicolons and parentheses."""
    match = _LEADING.match(text)
    return match.end() if match else 0


def _find_start(text: str) -> int | None:
    """Return where the first statement starts, including the parentheses and comments before it."""
    leading = _skip_leading(text)
    if _START.match(text, leading) or _EXPLAIN.match(text, leading):
        return 0
    match = _START_AFTER_PROSE.search(text)
    return None if match is None else match.start(1 if match[1] is not None else 2)


def _restore_line_breaks(text: str, dialect: str | None) -> str:
    """Replace escaped line breaks and tabs outside quotes by real ones."""
    parts, last = [], 0
    is_quoted = _make_quote_test(text, dialect)
    for match in _ESCAPED_BREAK.finditer(text):
        if is_quoted(match.start()):
            continue
        parts += [text[last : match.start()], "\t" if match[0] == "\\t" else "\n"]
        last = match.end()
    return "".join([*parts, text[last:]])


def _find_end(text: str, dialect: str | None) -> int:
    """Return where the answer stops being SQL."""
    ends = []
    is_quoted = _make_quote_test(text, dialect)
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


def _is_within_quotes(text: str, position: int, dialect: str | None) -> bool:
    """Tell whether a position is within a quote or comment, but not at its start."""
    return any(start < position < end for start, end in _find_quoted_spans(text, dialect))


def _make_quote_test(text: str, dialect: str | None) -> Callable[[int], bool]:
    """Return a function that tells whether a position is in a quote or comment of the text."""
    spans = list(_find_quoted_spans(text, dialect))
    starts = [start for start, _ in spans]

    def is_quoted(position: int) -> bool:
        at = bisect_right(starts, position) - 1
        return at >= 0 and position < spans[at][1]

    return is_quoted


def _find_quoted_spans(text: str, dialect: str | None) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each quote and comment."""
    for start, end, lexeme in _scan_lexemes(text, dialect):
        if end - start > 1 and lexeme in _OPENING:
            yield start, end


def _scan_lexemes(text: str, dialect: str | None) -> Iterator[tuple[int, int, str]]:
    """Yield the start, end and text of each lexeme; for a quote or comment, its opening mark.

    Quotes that are never closed are skipped, like other characters.
    """
    position = 0
    has_backslash = dialect in _BACKSLASH_DIALECTS and "\\" in text
    has_brackets = dialect in _BRACKET_DIALECTS
    # Closers known to be absent from here on; avoids quadratic rescans.
    absent: set[str] = set()
    while (match := _LEXEME.search(text, position)) is not None:
        start, lexeme = match.start(), match[0]
        position = match.end()
        if lexeme == "--":
            end = text.find("\n", position)
            yield start, len(text) if end < 0 else end, lexeme
            position = len(text) if end < 0 else end
            continue
        closer = _CLOSERS.get(lexeme, lexeme if lexeme[0] == "$" else None)
        if closer is None:
            yield start, position, lexeme
        elif closer not in absent and (lexeme != "[" or has_brackets):
            is_escaped = has_backslash and lexeme in ("'", '"')
            end = _find_closer(text, position, closer, lexeme in ("'", '"', "`"), is_escaped)
            if end:
                position = end
                yield start, end, lexeme if lexeme[0] != "$" else "$$"
            else:
                absent.add(closer)


_CLOSERS: Final = {"'": "'", '"': '"', "`": "`", "[": "]", "/*": "*/"}


def _find_closer(text: str, position: int, closer: str, is_doubled: bool, is_escaped: bool) -> int:
    """Return the position after a quote's closing mark, or 0; doubled marks do not close it."""
    while (end := text.find(closer, position)) >= 0:
        before = end
        while is_escaped and before > position and text[before - 1] == "\\":
            before -= 1
        if (end - before) % 2:
            position = end + 1
        elif is_doubled and text.startswith(closer, end + 1):
            position = end + 2
        else:
            return end + len(closer)
    return 0


def split_statements(text: str, dialect: str | None = None) -> list[str]:
    """Split a text into its statements, and drop those that are only comments.

    Statements end at semicolons outside quotes and parentheses, where another query starts after a
    complete one, and in T-SQL at ``GO`` and before words that only start a statement.
    """
    if len(text) > _MAX_SCRIPT_CHARACTERS:
        return [text]
    is_tsql = dialect in _TSQL or (dialect is None and _LIKE_TSQL.search(text) is not None)
    pieces: list[str] = []
    piece_start = depth = 0
    first = last = ""
    has_main = False
    for start, end, lexeme in _scan_lexemes(text, dialect):
        if lexeme in ("--", "/*"):
            continue
        word = lexeme.upper() if lexeme[:1].isalpha() else lexeme
        cut = None
        if lexeme == ";" and depth <= 0:
            cut, resume = start, end
        elif depth <= 0 and first:
            if word == "SELECT" and has_main and last not in _BEFORE_SELECT and last != "(":
                cut = resume = start
            elif is_tsql and _is_at_line_start(text, start):
                if word == "GO" and _is_at_line_end(text, end):
                    cut, resume = start, end
                elif (
                    first not in _MAY_CONTAIN_STARTS
                    and (word in _TSQL_START_WORDS or _starts_query(text, start, word))
                    and not (word == "SELECT" and not has_main and first == "WITH")
                    and last not in _BEFORE_SELECT
                    and not (word == "SET" and last == "UPDATE")
                ):
                    cut = resume = start
        if cut is not None:
            pieces.append(text[piece_start:cut])
            piece_start, depth, first, last, has_main = resume, 0, "", "", False
            if resume == end:
                continue
        depth += (lexeme == "(") - (lexeme == ")")
        first = first or ("" if word == "(" else word)
        has_main = has_main or (word == "SELECT" and depth <= 0)
        last = word
    pieces.append(text[piece_start:])
    return [piece.strip() for piece in pieces if _has_statement(piece)]


def _starts_query(text: str, start: int, word: str) -> bool:
    return word in {"SELECT", "WITH"} and _START.match(text, start) is not None


def _is_at_line_start(text: str, position: int) -> bool:
    while position and text[position - 1] in " \t\r":
        position -= 1
    return not position or text[position - 1] == "\n"


def _is_at_line_end(text: str, position: int) -> bool:
    return _REST_OF_LINE.match(text, position) is not None


def find_first_word(statement: str) -> str:
    """Return the first word of a statement in upper case, or an empty text."""
    match = re.match(r"[A-Za-z]+", statement[_skip_leading(statement) :])
    return match[0].upper() if match else ""


def classify_statement(statement: str) -> Kind | None:
    """Return a statement's kind by its first word; None for settings, variables and other text."""
    word = find_first_word(statement)
    if word in _QUERY_WORDS:
        return "query"
    if word in _DML_WORDS:
        return "dml"
    return "ddl" if word in _DDL_WORDS else None


def choose_statements(
    text: str, which: Statements, kinds: tuple[Kind, ...] = KINDS, dialect: str | None = None
) -> list[str]:
    """Choose the statements of a script that count as queries.

    Variables and settings (``DECLARE``, ``SET``, ``USE``) never count. A script that has one
    statement, or none that counts, is returned unchanged.

    Args:
        text: The script.
        which: ``first`` or ``last``: one statement of the given kinds. ``each``: all statements of
            any kind. ``reject``: the script unchanged.
        kinds: The preferred kinds; if no statement is of these kinds, any other is taken.
        dialect: The SQL dialect if known.
    """
    if which == "reject":
        return [text]
    pieces = split_statements(text, dialect)
    statements = [piece for piece in pieces if classify_statement(piece) is not None]
    if len(pieces) <= 1 or not statements:
        return [text]
    if which == "each":
        return statements
    wanted = [piece for piece in statements if classify_statement(piece) in kinds] or statements
    return [wanted[0] if which == "first" else wanted[-1]]
