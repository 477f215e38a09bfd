"""Statements in scripts: their words and quotes, where one ends, and which one counts.

The functions look at words and quotes only, not at parse trees: they take linear time on any text,
and give the same result with every version of the parser.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Final, Literal, NamedTuple

Statements = Literal["first", "last", "each", "reject"]
Kind = Literal["query", "dml", "ddl"]
KINDS: Final[tuple[Kind, ...]] = ("query", "dml", "ddl")

MAX_CHARACTERS: Final = 50_000_000

# Bounded lengths prevent quadratic time.
_NAME: Final = r"""(?:[\w$#@]{1,200}|"[^"]{1,200}"|`[^`]{1,200}`|\[[^\]]{1,200}\])"""
_GAP: Final = r"(?:(?:\s++|(?:--|#)[^\n]{0,300}+\n|/\*(?:[^*]|\*(?!/)){0,300}+\*/){1,20}+)"
WITH: Final = (
    rf"WITH\b{_GAP}(?:RECURSIVE\b{_GAP})?{_NAME}\s*(?:\([^()]{{0,2000}}\)\s*)?"
    r"AS\s*(?:(?:NOT\s+)?MATERIALIZED\s*)?\("
)
DATA_CHANGES: Final = (
    r"INSERT\s+(?:INTO|OR|OVERWRITE|IGNORE)\b|UPDATE\s+(?:OR\s+\w+\s+)?[^\s,]{1,200}\s+(?:AS\s+)?"
    r"(?:\w+\s+)?SET\b|DELETE\s+FROM\b|MERGE\s+INTO\b|REPLACE\s+INTO\b"
)
_DEFINITIONS: Final = (
    r"(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:(?:TEMP|TEMPORARY|UNIQUE|EXTERNAL|"
    r"MATERIALIZED|RECURSIVE)\s+)?(?:TABLE|VIEW|INDEX|SCHEMA|DATABASE|FUNCTION|PROCEDURE|TRIGGER|"
    r"SEQUENCE|TYPE)\b|TRUNCATE\s+TABLE\b"
)
START_WORDS: Final = rf"SELECT\b|{WITH}|VALUES\s*\(|{DATA_CHANGES}|{_DEFINITIONS}"
START: Final = re.compile(rf"(?:{START_WORDS})", re.IGNORECASE)
COMMENT: Final = r"--[^\n]*+(?:\n|\Z)|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/"
_DECLARED: Final = r"\s*+@\w++\s++[\w.\[\]]++\s*+(?:\([\w\s,]*+\)\s*+)?(?:(?:OUTPUT|READONLY)\s*+)?"
# SQL Server declares the parameters of a statement in front of it: (@p0 int,@p1 nvarchar(9))SELECT.
DECLARATION: Final = rf"\({_DECLARED}(?:,{_DECLARED})*+\)"
_LEADING: Final = re.compile(rf"(?:[\s;]++|{DECLARATION}|\(|{COMMENT})*+", re.IGNORECASE)
_ONLY_COMMENTS: Final = re.compile(rf"(?:[\s;]++|{COMMENT})*+\Z")
# After these words, a SELECT continues the statement.
_BEFORE_SELECT: Final = frozenset(
    "UNION ALL EXCEPT INTERSECT DISTINCT MINUS AS EXPLAIN THEN".split()
)
_QUERY_WORDS: Final = frozenset("SELECT WITH VALUES FROM TABLE PIVOT UNPIVOT".split())
_DML_WORDS: Final = frozenset("INSERT UPDATE DELETE MERGE REPLACE UPSERT".split())
_DDL_WORDS: Final = frozenset("CREATE DROP ALTER TRUNCATE COMMENT RENAME".split())
_SETTING_WORDS: Final = frozenset("DECLARE SET USE".split())
# In T-SQL, these words start a statement without a semicolon before them.
_TSQL_START_WORDS: Final = frozenset(
    "DECLARE SET PRINT USE IF EXEC EXECUTE INSERT UPDATE DELETE CREATE DROP ALTER TRUNCATE".split()
)
_TSQL: Final = frozenset({"tsql", "fabric"})
# Signs of T-SQL in scripts of unknown dialect.
_LIKE_TSQL: Final = re.compile(r"^[ \t]*(?:DECLARE\s+@|GO[ \t\r]*$)", re.IGNORECASE | re.MULTILINE)
# SQL*Plus runs a statement at such a line.
_SLASH_LINE: Final = re.compile(r"\A\s*+/[ \t\r]*+(?:\n|\Z)|\n[ \t]*+/\s*+\Z")
_REST_OF_LINE: Final = re.compile(r"[ \t\r]*(?:\n|\Z)")
SQL_WORDS: Final = frozenset(
    "SELECT FROM WHERE AND OR NOT ORDER GROUP HAVING LIMIT UNION EXCEPT INTERSECT JOIN LEFT RIGHT "
    "INNER OUTER FULL CROSS NATURAL ON USING WITH AS CASE WHEN THEN ELSE END IN IS LIKE BETWEEN "
    "EXISTS DISTINCT ALL VALUES SET INTO OFFSET FETCH WINDOW PARTITION OVER BY INSERT UPDATE "
    "DELETE CREATE DROP ALTER DECLARE MINUS QUALIFY".split()
)
# Words of SQL with which a statement may end.
_LAST_WORDS: Final = frozenset({"END", "ALL"})
_OPEN_ENDED: Final = frozenset(",(=<>+-/|%&^~!")
_LAST_WORD: Final = re.compile(r"\w+\Z")
_MAX_WORD: Final = 20
# Statements that contain other start words, as in UPDATE ... SET.
_MAY_CONTAIN_STARTS: Final = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP"}
)

_CLOSERS: Final = {"'": "'", '"': '"', "`": "`", "[": "]", "/*": "*/"}
# Marks of prompts, which look like names in brackets.
END_MARK: Final = r"\[(?:EOS|PAD|UNUSED_TOKEN_\d{1,4})\](?=\s{0,9}(?:\[(?:EOS|PAD)\]|\Z))"
"""Tokens that pad an answer; elsewhere, such a name is one."""
_PROMPT_MARK: Final = re.compile(rf"(?i:\[(?:/?(?:SQL|INST)|/(?:ANSWER|QUERY))\])|{END_MARK}")
# Each kind of dollar quote has its own closer: bounds the searches for those that are absent.
_MAX_ABSENT: Final = 64
# As in CREATE OR REPLACE GLOBAL TEMPORARY TABLE.
_MAX_BEFORE_TABLE: Final = 6
_LEXEME: Final = re.compile(r"""['"`\[]|--|/\*|\$\w*\$|[();]|[A-Za-z_@#][\w$#@]*""")
_OPENING: Final = frozenset({"'", '"', "`", "[", "--", "/*", "$$"})
_QUOTE: Final = re.compile("['\"]")
_ESCAPED_QUOTE: Final = re.compile(r"""\\['"]""")
_WITH_BACKSLASHES: Final = "mysql"
# Dialects in which a backslash escapes a quote, and those in which brackets quote a name.
_BACKSLASH_DIALECTS: Final = frozenset(
    "mysql bigquery snowflake databricks spark spark2 hive clickhouse doris starrocks "
    "singlestore".split()
)
_BRACKET_DIALECTS: Final = frozenset({"tsql", "fabric", "sqlite"})


def split_statements(
    text: str, dialect: str | None = None, *, splits_definitions: bool = False
) -> list[str]:
    """Split a text into its statements, and drop those that are only comments.

    Statements end at semicolons outside quotes and parentheses, or before another statement, where
    another query starts after a complete one, and in T-SQL at ``GO`` and before words that only
    start a statement.

    Args:
        text: The script.
        dialect: The SQL dialect if known.
        splits_definitions: Whether a table definition ends with its columns, unless AS follows, so
            that a query behind it is a statement of its own.
    """
    if len(text) > MAX_CHARACTERS:
        return [text]
    split = partial(_split, text, splits_definitions=splits_definitions)
    if dialect is not None or _ESCAPED_QUOTE.search(text) is None:
        return split(dialect)
    # Whether a backslash escapes a quote depends on the dialect: the better reading tells.
    plain, escaped = split(None), split(_WITH_BACKSLASHES)
    if _count_flaws(text, escaped, _WITH_BACKSLASHES) < _count_flaws(text, plain, None):
        return escaped
    return plain


def _count_flaws(text: str, pieces: list[str], dialect: str | None) -> tuple[bool, int]:
    """Return whether a quote is left open, and how many pieces do not start like statements."""
    end, is_open = 0, False
    for start, following, _ in scan_lexemes(text, dialect):
        is_open = is_open or _QUOTE.search(text, end, start) is not None
        end = following
    is_open = is_open or _QUOTE.search(text, end) is not None
    return is_open, sum(classify_statement(piece) is None for piece in pieces)


def _split(text: str, dialect: str | None, *, splits_definitions: bool) -> list[str]:
    is_tsql = dialect in _TSQL or (dialect is None and _LIKE_TSQL.search(text) is not None)
    pieces: list[str] = []
    piece_start = depth = 0
    first = last = ""
    has_main = False
    definition = _Definition()
    for start, end, lexeme in scan_lexemes(text, dialect):
        if lexeme in ("--", "/*"):
            continue
        word = lexeme.upper() if lexeme[:1].isalpha() else lexeme
        cut = None
        # A semicolon or GO within parentheses shows that one of them was never closed.
        is_end = lexeme == ";" and (depth <= 0 or START.match(text, skip_leading(text, end)))
        is_go = word == "GO" and is_tsql and first and _is_alone_on_line(text, start, end)
        if is_end or is_go:
            cut, resume = start, end
        elif depth <= 0 and first:
            starts_query = word == "SELECT" and has_main and last not in _BEFORE_SELECT
            is_defined = splits_definitions and definition.has_columns and last != "AS"
            starts_batch = (
                is_tsql
                and first not in _MAY_CONTAIN_STARTS
                and _is_at_line_start(text, start)
                and (word in _TSQL_START_WORDS or _starts_query(text, start, word))
                and not (word == "SELECT" and not has_main and first == "WITH")
                and last not in _BEFORE_SELECT
                and not (word == "SET" and last == "UPDATE")
            )
            is_after_columns = is_defined and START.match(text, start)
            if (starts_query and last != "(") or is_after_columns or starts_batch:
                cut = resume = start
        if cut is not None:
            pieces.append(text[piece_start:cut])
            piece_start, depth, first, last, has_main = resume, 0, "", "", False
            definition = _Definition()
            if resume == end:
                continue
        depth += (lexeme == "(") - (lexeme == ")")
        first = first or ("" if word == "(" else word)
        has_main = has_main or (word == "SELECT" and depth <= 0)
        if first == "CREATE":
            definition.read(word, depth)
        last = word
    pieces.append(text[piece_start:])
    whole = (_SLASH_LINE.sub("", piece).strip() for piece in pieces)
    return [piece for piece in whole if has_statement(piece)]


class _Definition:
    """How far a table definition has been read."""

    def __init__(self) -> None:
        self.has_columns = False
        self._n_words = 0
        self._is_table = self._is_open = False

    def read(self, word: str, depth: int) -> None:
        """Read the next word, given the depth of parentheses after it."""
        self._n_words += 1
        if word == "TABLE" and self._n_words <= _MAX_BEFORE_TABLE:
            self._is_table = True
        elif word == "AS" and depth <= 0:
            self._is_table = False
        elif word == "(" and depth == 1:
            self._is_open = self._is_table
        elif word == ")" and depth <= 0 and self._is_open:
            self.has_columns = True


def _starts_query(text: str, start: int, word: str) -> bool:
    return word in {"SELECT", "WITH"} and START.match(text, start) is not None


def _is_at_line_start(text: str, position: int) -> bool:
    while position and text[position - 1] in " \t\r":
        position -= 1
    return not position or text[position - 1] == "\n"


def _is_alone_on_line(text: str, start: int, end: int) -> bool:
    return _is_at_line_start(text, start) and _REST_OF_LINE.match(text, end) is not None


def find_first_word(statement: str) -> str:
    """Return the first word of a statement in upper case, or an empty text."""
    match = re.match(r"[A-Za-z]+", statement[skip_leading(statement) :])
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

    Variables and settings (``DECLARE``, ``SET``, ``USE``) never count. A script with one
    statement, or without one that counts, is returned unchanged.

    Args:
        text: The script.
        which: ``first`` or ``last``: one statement of the given kinds. ``each``: see
            ``list_statements``. ``reject``: the script unchanged.
        kinds: The preferred kinds; if no statement is of these kinds, any other is taken.
        dialect: The SQL dialect if known.
    """
    if which == "reject":
        return [text]
    if which == "each":
        return list_statements(text, dialect)[0]
    pieces = split_statements(text, dialect)
    statements = [piece for piece in pieces if classify_statement(piece) is not None]
    if len(pieces) <= 1 or not statements:
        return [text]
    wanted = [piece for piece in statements if classify_statement(piece) in kinds] or statements
    return [wanted[0] if which == "first" else wanted[-1]]


def list_statements(text: str, dialect: str | None = None) -> tuple[list[str], int]:
    """Return the statements of a script, and the number of variables and settings left out.

    The result includes text that is not a query, which is rejected later with a reason. A script
    with a single statement, or with only variables and settings, is returned unchanged.

    Args:
        text: The script.
        dialect: The SQL dialect if known.
    """
    pieces = split_statements(text, dialect)
    statements = [piece for piece in pieces if find_first_word(piece) not in _SETTING_WORDS]
    if len(pieces) <= 1 or not statements:
        return [text], 0
    return statements, len(pieces) - len(statements)


def has_statement(text: str, start: int = 0) -> bool:
    """Return whether anything but comments and semicolons follows a position."""
    return _ONLY_COMMENTS.match(text, start) is None


def skip_leading(text: str, position: int = 0) -> int:
    """Return the position after white space, comments, semicolons and parentheses."""
    match = _LEADING.match(text, position)
    return match.end() if match else position


class _Marks(NamedTuple):
    """The quotes and parentheses of a text, in its order, and its first FROM outside of them."""

    starts: list[int]
    ends: list[int]
    is_comment: list[bool]
    parentheses: list[int]
    depths: list[int]
    first_source: int | None


class Scan:
    """The quotes, comments and parentheses of a text, to ask about its positions.

    The text is read at the first question.
    """

    def __init__(self, text: str, dialect: str | None) -> None:
        self._text = text
        self._dialect = dialect

    @cached_property
    def _marks(self) -> _Marks:
        starts: list[int] = []
        ends: list[int] = []
        is_comment: list[bool] = []
        parentheses: list[int] = []
        depths: list[int] = []
        first_source: int | None = None
        depth = 0
        for start, end, lexeme in scan_lexemes(self._text, self._dialect):
            if lexeme in ("(", ")"):
                depth += 1 if lexeme == "(" else -1
                parentheses.append(start)
                depths.append(depth)
            elif end - start > 1 and lexeme in _OPENING:
                starts.append(start)
                ends.append(end)
                is_comment.append(lexeme in ("--", "/*"))
            elif first_source is None and depth <= 0 and lexeme.upper() == "FROM":
                first_source = start
        return _Marks(starts, ends, is_comment, parentheses, depths, first_source)

    @property
    def first_source(self) -> int | None:
        """The position of the first FROM outside of parentheses."""
        return self._marks.first_source

    def is_quoted(self, position: int) -> bool:
        """Return whether a position is in a quote or comment."""
        at = bisect_right(self._marks.starts, position) - 1
        return at >= 0 and position < self._marks.ends[at]

    def find_depth(self, position: int) -> int:
        """Return how many parentheses are open before a position."""
        at = bisect_left(self._marks.parentheses, position) - 1
        return self._marks.depths[at] if at >= 0 else 0

    def is_complete(self, position: int) -> bool:
        """Return whether a statement may end before a position: not after a comma, as in a list."""
        while True:
            while position and self._text[position - 1].isspace():
                position -= 1
            at = bisect_left(self._marks.starts, position) - 1
            if at < 0 or position > self._marks.ends[at] or not self._marks.is_comment[at]:
                break
            position = self._marks.starts[at]
        if not position or self._text[position - 1] in _OPEN_ENDED:
            return False
        match = _LAST_WORD.search(self._text, max(0, position - _MAX_WORD), position)
        return match is None or match[0].upper() not in SQL_WORDS - _LAST_WORDS


def scan_lexemes(text: str, dialect: str | None) -> Iterator[tuple[int, int, str]]:
    """Yield the start, end and text of each lexeme; for a quote or comment, its opening mark.

    Quotes that are never closed are skipped, like other characters.
    """
    position = 0
    has_backslash = dialect in _BACKSLASH_DIALECTS and "\\" in text
    has_prefixes = "\\" in text
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
        elif lexeme == "[" and (not has_brackets or _PROMPT_MARK.match(text, start)):
            continue
        elif closer not in absent and (lexeme[0] != "$" or len(absent) < _MAX_ABSENT):
            is_escaped = has_backslash and lexeme in ("'", '"')
            if has_prefixes and lexeme == "'" and _is_prefixed(text, start):
                is_escaped = True
            end = _find_closer(text, position, closer, lexeme in ("'", '"', "`"), is_escaped)
            if end:
                position = end
                yield start, end, lexeme if lexeme[0] != "$" else "$$"
            else:
                absent.add(closer)


def _is_prefixed(text: str, quote: int) -> bool:
    """Return whether a quote has PostgreSQL's prefix for escapes, as in ``E'a'``."""
    before = text[max(0, quote - 2) : quote]
    return before[-1:] in ("E", "e") and not before[:-1].isalnum() and before[:-1] != "_"


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
