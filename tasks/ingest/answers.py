"""SQL out of what models answer and scripts hold: one statement where one is wanted.

Works on words and quotes alone, without a parser: in time that grows with the text, on any text,
and alike in every version of the parser. A text that is one statement is never changed.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, Literal

Statements = Literal["first", "last", "each", "reject"]
Kind = Literal["query", "dml", "ddl"]
KINDS: Final[tuple[Kind, ...]] = ("query", "dml", "ddl")

# A longer text is no answer to a question, and a longer one no script.
_MAX_CHARACTERS: Final = 200_000
_MAX_SCRIPT_CHARACTERS: Final = 50_000_000

# Lengths are bounded, so that no text takes time by the square of its length.
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
_ABOUT_A_STATEMENT: Final = re.compile(
    r"(?:EXPLAIN|DESCRIBE)\s+(?:QUERY\s+PLAN\s+|ANALYZE\s+)?(?:SELECT|WITH)\b", re.IGNORECASE
)
# Where a statement may start within prose: a new line, after a colon or an opening quote; or, in
# upper case, anywhere.
_START_AFTER_PROSE: Final = re.compile(
    rf"(?:(?:^|[\n:`])[ \t(]*(?i:({_START_WORDS}))|\b(SELECT\s|{_WITH}))", re.MULTILINE
)
_LEADING: Final = re.compile(r"(?:\s|;|\(|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*")
_ONLY_COMMENTS: Final = re.compile(r"(?:\s|;|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*\Z")

_THOUGHT: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_FENCE: Final = re.compile(r"```[ \t]*[\w+.-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_TOKEN: Final = r"<\|[^|<>\n]{1,40}\|>|</s>|<(?:eos|pad|unk|end_of_turn|start_of_turn)>|\[/?INST\]"
_TOKENS_AT_START: Final = re.compile(rf"\s*(?:(?:{_TOKEN}|<s>|<bos>)\s*)+")
# What can only come after the statement: a model's marks, headings, and talk on a line of its own.
_AFTERWARDS: Final = re.compile(
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

# Before these a SELECT does not start a statement of its own.
_JOINS_SELECT: Final = frozenset(
    "UNION ALL EXCEPT INTERSECT DISTINCT MINUS AS EXPLAIN THEN".split()
)
_QUERY_WORDS: Final = frozenset("SELECT WITH VALUES FROM TABLE PIVOT UNPIVOT".split())
_DML_WORDS: Final = frozenset("INSERT UPDATE DELETE MERGE REPLACE UPSERT".split())
_DDL_WORDS: Final = frozenset("CREATE DROP ALTER TRUNCATE COMMENT RENAME".split())
# Start a statement in T-SQL without a semicolon before them.
_BATCH_WORDS: Final = frozenset(
    "DECLARE SET PRINT USE IF EXEC EXECUTE INSERT UPDATE DELETE CREATE DROP ALTER TRUNCATE".split()
)
_TSQL: Final = frozenset({"tsql", "fabric"})
# What only T-SQL has, where nobody says what a script is written in.
_LIKE_TSQL: Final = re.compile(r"^[ \t]*(?:DECLARE\s+@|GO[ \t\r]*$)", re.IGNORECASE | re.MULTILINE)
_REST_OF_LINE: Final = re.compile(r"[ \t\r]*(?:\n|\Z)")
_WITHIN: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP"})

_LEXEME: Final = re.compile(r"""['"`\[]|--|/\*|\$\w*\$|[();]|[A-Za-z_@#][\w$#@]*""")
_OPENING: Final = frozenset({"'", '"', "`", "[", "--", "/*", "$$"})
_BACKSLASHED: Final = frozenset(
    "mysql bigquery snowflake databricks spark spark2 hive clickhouse doris starrocks "
    "singlestore".split()
)
_BRACKETED: Final = frozenset({"tsql", "fabric", "sqlite"})


def clean_answer(text: str, dialect: str | None = None, *, takes_first: bool = True) -> str:
    """The first SQL statement of a model's answer; the answer itself, where it is one or has none.

    Left out are thoughts, Markdown fences, talk before and after, end marks, further statements,
    and an echo of the prompt: definitions of tables that a query follows.

    Args:
        text: The answer.
        dialect: Its SQL's dialect where known: how quotes are escaped.
        takes_first: Leave out statements after the first.
    """
    if len(text) > _MAX_CHARACTERS:
        return text
    found = _unwrapped(text, dialect)
    start = _find_start(found)
    if start is None:
        return text
    found = found[start:]
    if "\n" not in found and _ESCAPED_BREAK.search(found):
        found = _with_breaks(found, dialect)
    end = _find_end(found, dialect)
    found = found[:end]
    if takes_first:
        pieces = split_statements(found, dialect)
        if pieces:
            found = _after_echo(pieces)
    return _unless_same(found, text)


def _unless_same(found: str, text: str) -> str:
    """The text itself, where what was found is all of it but for closing comments."""
    stripped = found.strip()
    at = text.find(stripped)
    if not stripped or (at >= 0 and not text[:at].strip() and not _tail(text, at + len(stripped))):
        return text
    return stripped


def _tail(text: str, start: int) -> bool:
    return _ONLY_COMMENTS.match(text, start) is None


def _unwrapped(text: str, dialect: str | None) -> str:
    """The answer without thoughts, marks at its start, fences, and JSON around it."""
    if "<think" in text:
        text = _THOUGHT.sub("", text)
    if (match := _TOKENS_AT_START.match(text)) is not None:
        text = text[match.end() :]
    if "```" in text and not _is_quoted(text, text.find("```"), dialect):
        before = text.partition("```")[0]
        # The answer goes on where a prompt has opened the fence.
        if _START.match(before, _leading(before)):
            return before
        blocks = [match[1] for match in _FENCE.finditer(text)]
        text = next(filter(_find_any, blocks), text.replace("```", "\n"))
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


def _find_any(text: str) -> bool:
    return _find_start(text) is not None


def _leading(text: str) -> int:
    match = _LEADING.match(text)
    return match.end() if match else 0


def _find_start(text: str) -> int | None:
    """Where the first statement starts, with the brackets and comments before it."""
    leading = _leading(text)
    if _START.match(text, leading) or _ABOUT_A_STATEMENT.match(text, leading):
        return 0
    match = _START_AFTER_PROSE.search(text)
    return None if match is None else match.start(1 if match[1] is not None else 2)


def _with_breaks(text: str, dialect: str | None) -> str:
    """Line breaks and tabs for what stands for them outside quotes."""
    parts, last = [], 0
    quoted = list(_quoted_spans(text, dialect))
    starts = [start for start, _ in quoted]
    for match in _ESCAPED_BREAK.finditer(text):
        at = bisect_right(starts, match.start()) - 1
        if at >= 0 and match.start() < quoted[at][1]:
            continue
        parts += [text[last : match.start()], "\t" if match[0] == "\\t" else "\n"]
        last = match.end()
    return "".join([*parts, text[last:]])


def _find_end(text: str, dialect: str | None) -> int:
    """Where the answer stops being SQL."""
    ends = []
    quoted = list(_quoted_spans(text, dialect))
    starts = [start for start, _ in quoted]

    def is_quoted(position: int) -> bool:
        at = bisect_right(starts, position) - 1
        return at >= 0 and position < quoted[at][1]

    for match in _AFTERWARDS.finditer(text):
        if match.start() > 0 and not is_quoted(match.start()):
            ends.append(match.start())
            break
    for match in _PARAGRAPH.finditer(text):
        if match[1].upper() not in _SQL_WORDS and not is_quoted(match.start()):
            ends.append(match.start())
            break
    return min(ends, default=len(text))


def _after_echo(pieces: list[str]) -> str:
    """The first statement, or the first query after definitions that a prompt has held."""
    if first_word(pieces[0]) == "CREATE":
        for piece in pieces[1:]:
            if kind_of(piece) == "query":
                return piece
    return pieces[0]


def _is_quoted(text: str, position: int, dialect: str | None) -> bool:
    return any(start < position < end for start, end in _quoted_spans(text, dialect))


def _quoted_spans(text: str, dialect: str | None) -> Iterator[tuple[int, int]]:
    for start, end, lexeme in _lexemes(text, dialect):
        if end - start > 1 and lexeme in _OPENING:
            yield start, end


def _lexemes(text: str, dialect: str | None) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of each lexeme: a quote or comment by how it opens, others as they are.

    A quote that nothing closes is a character like others, and left out.
    """
    position = 0
    has_backslash = dialect in _BACKSLASHED and "\\" in text
    has_brackets = dialect in _BRACKETED
    # What does not come any more is not looked for again.
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
            end = _closing(text, position, closer, lexeme in ("'", '"', "`"), is_escaped)
            if end:
                position = end
                yield start, end, lexeme if lexeme[0] != "$" else "$$"
            else:
                absent.add(closer)


_CLOSERS: Final = {"'": "'", '"': '"', "`": "`", "[": "]", "/*": "*/"}


def _closing(text: str, position: int, closer: str, is_doubled: bool, is_escaped: bool) -> int:
    """Behind what closes a quote; 0 where nothing does. A doubled quote stands for itself."""
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
    """The statements of a text, each as it stands there, without those that are only comments.

    They are apart by semicolons outside quotes and brackets, by a query that starts where another
    is complete, and in T-SQL by ``GO`` and by words that only start a statement.
    """
    if len(text) > _MAX_SCRIPT_CHARACTERS:
        return [text]
    is_tsql = dialect in _TSQL or (dialect is None and _LIKE_TSQL.search(text) is not None)
    pieces: list[str] = []
    piece_start = depth = 0
    first = last = ""
    has_main = False
    for start, end, lexeme in _lexemes(text, dialect):
        if lexeme in ("--", "/*"):
            continue
        word = lexeme.upper() if lexeme[:1].isalpha() else lexeme
        cut = None
        if lexeme == ";" and depth <= 0:
            cut, resume = start, end
        elif depth <= 0 and first:
            if word == "SELECT" and has_main and last not in _JOINS_SELECT and last != "(":
                cut = resume = start
            elif is_tsql and _starts_line(text, start):
                if word == "GO" and _ends_line(text, end):
                    cut, resume = start, end
                elif (
                    first not in _WITHIN
                    and (word in _BATCH_WORDS or _is_start(text, start, word))
                    and not (word == "SELECT" and not has_main and first == "WITH")
                    and last not in _JOINS_SELECT
                    and not (word == "SET" and last in {"UPDATE"})
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
    return [piece.strip() for piece in pieces if _tail(piece, 0)]


def _is_start(text: str, start: int, word: str) -> bool:
    return word in {"SELECT", "WITH"} and _START.match(text, start) is not None


def _starts_line(text: str, position: int) -> bool:
    while position and text[position - 1] in " \t\r":
        position -= 1
    return not position or text[position - 1] == "\n"


def _ends_line(text: str, position: int) -> bool:
    return _REST_OF_LINE.match(text, position) is not None


def first_word(statement: str) -> str:
    """The word that a statement starts with, in upper case."""
    match = re.match(r"[A-Za-z]+", statement[_leading(statement) :])
    return match[0].upper() if match else ""


def kind_of(statement: str) -> Kind | None:
    """What a statement is by its first word; None for settings, variables and what is no SQL."""
    word = first_word(statement)
    if word in _QUERY_WORDS:
        return "query"
    if word in _DML_WORDS:
        return "dml"
    return "ddl" if word in _DDL_WORDS else None


def chosen_statements(
    text: str, which: Statements, kinds: tuple[Kind, ...] = KINDS, dialect: str | None = None
) -> list[str]:
    """The statements of a script that count as queries; the script itself, where it has none.

    Variables and settings (``DECLARE``, ``SET``, ``USE``) are not among them.

    Args:
        text: The script.
        which: The first or last statement of these kinds, or each statement of any.
        kinds: See ``which``; where none is of these kinds, one of the others is taken.
        dialect: Its dialect where known.
    """
    if which == "reject":
        return [text]
    pieces = split_statements(text, dialect)
    statements = [piece for piece in pieces if kind_of(piece) is not None]
    if len(pieces) <= 1 or not statements:
        return [text]
    if which == "each":
        return statements
    wanted = [piece for piece in statements if kind_of(piece) in kinds] or statements
    return [wanted[0] if which == "first" else wanted[-1]]
