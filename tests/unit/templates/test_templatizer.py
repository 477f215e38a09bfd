"""Properties of all texts: templatizing raises no exception, and templates hold only structure."""

import re
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError

from nl2sql_align.tasks.templates.templatizer import Templatizer
from tests.specification.pairs import PAIRS, templatizer

ALL_QUERIES = [(pair["dialect"], pair["sql"]) for pair in PAIRS if pair["template"] is not None]
# Queries whose template does not depend on a spelling that these tests change.
QUERIES = [
    (dialect, sql) for dialect, sql in ALL_QUERIES if not re.search(r"##|{{|{%|\.\.\.|\(@", sql)
]
MANY = settings(max_examples=400)


@cache
def tokens_of(dialect: str, sql: str):
    """Return the tokens; of those with the same place (``5L`` in Spark is three), the first."""
    tokens = {token.start: token for token in reversed(Dialect.get_or_raise(dialect).tokenize(sql))}
    return sorted(tokens.values(), key=lambda token: token.start)


def pieces_of(dialect: str, sql: str) -> list[str]:
    """Cut the text at its tokens: a gap, a token, a gap, and so on to a last gap."""
    pieces, done = [], 0
    for token in tokens_of(dialect, sql):
        pieces += [sql[done : token.start], sql[token.start : token.end + 1]]
        done = token.end + 1
    return [*pieces, sql[done:]]


def check(dialect: str, sql: str) -> None:
    """Check what holds for every text."""
    templated = templatizer(dialect)(sql)
    assert (templated.template is None) == (templated.reject_reason is not None)
    assert (templated.template is None) == (templated.comparable_text is None)
    assert templatizer(dialect)(sql) == templated
    if templated.template is None:
        assert 0 < len(templated.reject_reason) < 200
        assert "\n" not in templated.reject_reason
        return
    words = templated.template.split(" ") if templated.template else []
    assert all(words)
    assert templated.template.isprintable()
    assert not re.search("['\"`;]", templated.template)
    assert not any(word[0].isdigit() for word in words)
    assert templated.template == templated.template.upper()


# Broken texts -----------------------------------------------------------------------------------

ODD = """
    ß “ ” 😀 、 \\ ' " ` [ ] ( ) { } -- /* */ /*+ # $ $$ @ @@ : :: ? ?? % %s ## ##x## ; . ..
    => := -> < << ! !~ ~ - + * , |> SELECT FROM WHERE AS CASE END IN( CAST( CONVERT( VALUES INTERVAL
    {{ }} {{x}} {% %} {%if%} {%else%} {%endif%} [[ ]] [[AND ... (...) ${x} (@x|> REPLACE INTO !>
    ARRAY< DATE' COLLATE RETURNS TYPE SET 1e 0x N' E' NULL TRUE
    """.split()
ODD += [
    "",
    " ",
    "\x00",
    "\ufeff",
    "\u00a0",
    "\u2028",
    "\u200b",
    "\u0301",
    "\u202e",
    "\x1a",
    "\ud800",
]
ODD += ["CHARACTER SET", "ORDER BY", "AT TIME ZONE", " AS INT)", "::int[]", "\n-- a\n", "/* a */"]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["delete", "double", "swap", "cut", "insert", "inside"]),
        st.integers(0, 10_000),
        st.sampled_from(ODD),
    ),
    min_size=1,
    max_size=4,
)


def edited(pieces: list[str], edits: list[tuple[str, int, str]]) -> str:
    pieces = list(pieces)
    for edit, place, odd in edits:
        i = place % len(pieces)
        if edit == "delete":
            pieces[i] = ""
        elif edit == "double":
            pieces[i] = f"{pieces[i]} {pieces[i]}"
        elif edit == "swap":
            pieces[i], pieces[-i] = pieces[-i], pieces[i]
        elif edit == "cut":
            pieces = pieces[: i + 1]
        elif edit == "insert":
            pieces[i] += odd
        else:
            middle = len(pieces[i]) // 2
            pieces[i] = pieces[i][:middle] + odd + pieces[i][middle:]
    return "".join(pieces)


@settings(max_examples=800)
@given(st.sampled_from(ALL_QUERIES), EDITS)
def test_broken_queries_do_no_harm(query, edits):
    dialect, sql = query
    try:
        pieces = pieces_of(dialect, sql)
    except TokenError:  # of placeholders
        pieces = re.findall(r"\w+|\W", sql)
    check(dialect, edited(pieces, edits))


@MANY
@given(st.sampled_from(sorted({dialect for dialect, _ in QUERIES})), st.text(max_size=40))
@example("sqlite", "\ud800")
@example("tsql", "SELECT '\ud800'")
def test_any_text_does_no_harm(dialect, text):
    check(dialect, text)
    check(dialect, f"SELECT {text} FROM t")


# Changes without effect ---------------------------------------------------------------------------


def spaced(draw, dialect: str, sql: str, fillers: list[str]) -> str:
    """Return the query with other white space and comments wherever it has some."""
    filler = st.sampled_from(fillers)
    pieces = pieces_of(dialect, sql)
    for i, piece in enumerate(pieces):
        if i % 2 == 0 and piece.isspace():
            filled = draw(filler)
            # The tokenizer takes signs and the start of a comment for another sign.
            is_joined = filled.startswith("/") and not re.search(r"[\w)\]'\"`]\Z", pieces[i - 1])
            pieces[i] = f" {filled}" if is_joined else filled
        elif " ".join(piece.upper().split()) in ("ORDER BY", "GROUP BY", "PARTITION BY"):
            pieces[i] = draw(filler).join(piece.split())
    return draw(filler).join(["", "".join(pieces), ""])


@MANY
@given(st.sampled_from(QUERIES), st.data())
def test_white_space_and_comments_change_nothing(query, data):
    dialect, sql = query
    before = templatizer(dialect)(sql)
    fillers = [" ", "\n", "\t  ", " /* a, 'b' */ ", "/**/", " -- c\n", "\n-- d; (\n\n"]
    other = spaced(data.draw, dialect, sql, fillers)
    after = templatizer(dialect)(other)
    assert after.template == before.template, other
    assert after.comparable_text == before.comparable_text
    closed = templatizer(dialect)(
        other + data.draw(st.sampled_from([";", " ;; ", "; -- e", ";/**/;"]))
    )
    assert closed == after


@MANY
@given(st.sampled_from(QUERIES), st.sampled_from([str.upper, str.lower, str.swapcase]))
def test_letter_case_changes_nothing(query, change):
    dialect, sql = query
    pieces = pieces_of(dialect, sql)
    for i in range(1, len(pieces), 2):
        if not re.search("['\"`[$]", pieces[i]):
            pieces[i] = change(pieces[i])
    other = "".join(pieces)
    before, after = templatizer(dialect)(sql), templatizer(dialect)(other)
    assert after.template == before.template, other
    if not re.search("[eEnNrRbBxXuU&]+['\"]", sql):  # a prefix keeps its case
        assert after.comparable_text == before.comparable_text


def renamed(dialect: str, sql: str) -> str:
    """Return the query with another name for each plain variable."""
    [tree] = [tree for tree in Dialect.get_or_raise(dialect).parse(sql) if tree]
    functions = {
        node.this.meta.get("start")
        for node in tree.find_all(exp.Anonymous)
        if isinstance(node.this, exp.Identifier)
    }
    places = {name.meta.get("start") for name in tree.find_all(exp.Identifier)} - functions
    tokens, pieces = tokens_of(dialect, sql), pieces_of(dialect, sql)
    names: dict[str, str] = {}
    for i, token in enumerate(tokens):
        if token.start in places and token.token_type.name == "VAR":
            pieces[2 * i + 1] = names.setdefault(token.text, f"zz_{len(names)}")
    return "".join(pieces)


def parser_knows(dialect: str, sql: str) -> bool:
    """Return whether the parser needs no help (see ``tasks.templates.unknown_syntax``)."""
    try:
        return Dialect.get_or_raise(dialect).parse(sql)[0].key != "command"
    except (AttributeError, ParseError):
        return False


PLAIN = [
    (dialect, sql)
    for dialect, sql in QUERIES
    # Names have a meaning in these: date parts, dashes of a project, types, columns of a table.
    if not re.search(
        r"DATE|TIME|-project|CREATE|ALTER|EXTRACT|::|CAST|READ_CSV|COMMENT|SYSDATE|KEEP|QUICK|PRIORITY"
        r"|USER\b",
        sql,
    )
    and not re.search(r"/\*|--|\?\d|^REPLACE|@\S+/", sql)
    and parser_knows(dialect, sql)
]


@pytest.mark.parametrize(("dialect", "sql"), PLAIN)
def test_names_change_nothing(dialect, sql):
    other = renamed(dialect, sql)
    templated = templatizer(dialect)(other)
    assert templated.template == templatizer(dialect)(sql).template, other


@pytest.mark.parametrize(("dialect", "sql"), PLAIN)
def test_literals_change_nothing(dialect, sql):
    tokens, pieces = tokens_of(dialect, sql), pieces_of(dialect, sql)
    for i, token in enumerate(tokens):
        before = tokens[i - 1].text.upper()
        if token.token_type.name == "NUMBER" and before not in ("$", "?", ":"):
            pieces[2 * i + 1] = "77"
        if token.token_type.name == "STRING" and before != "INTERVAL":
            piece = pieces[2 * i + 1]
            if piece[0] == piece[-1] == "'" and piece[1:2] not in ("$", "{"):
                pieces[2 * i + 1] = "'/ \"another\" one, -- (x'"
    other = "".join(pieces)
    assert templatizer(dialect)(other).template == templatizer(dialect)(sql).template, other


# Comparable texts -------------------------------------------------------------------------------


def comparable(sql: str, dialect: str = "sqlite") -> str | None:
    return templatizer(dialect)(sql).comparable_text


@pytest.mark.parametrize(
    ("one", "other", "dialect"),
    [
        ("SELECT a FROM t", "select  A\n\tfrom T ;", "sqlite"),
        ("SELECT a FROM t", "-- b\nSELECT /* c */ a FROM t -- d\n; -- e", "sqlite"),
        ("SELECT a FROM t", "SELECT a/*b*/FROM t", "sqlite"),
        ("SELECT a FROM t", "SELECT a # b\nFROM t", "mysql"),
        ("SELECT a FROM t", "SELECT /*+ FULL(t) */ a FROM t", "oracle"),
        ("SELECT 'A  b' FROM t", "select  'A  b'  from t", "sqlite"),
        ("SELECT N'A' FROM t", "select n'A' from t -- b", "tsql"),
        ("SELECT [A b] FROM t", "select  [A b] FROM T /* c */", "tsql"),
        ("SELECT $$A  b$$", "select  $$A  b$$ -- c", "postgres"),
        ("SELECT a FROM t GROUP BY a", "SELECT a FROM t GROUP /* b */  BY a", "sqlite"),
    ],
)
def test_texts_that_count_as_the_same(one, other, dialect):
    assert comparable(one, dialect) == comparable(other, dialect) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 'a'", "SELECT 'A'"),
        ("SELECT 'a b'", "SELECT 'a  b'"),
        ("SELECT 'a -- b'", "SELECT 'a'"),
        ('SELECT "a"', 'SELECT "A"'),
        ("SELECT `a`", "SELECT `A`"),
        ("SELECT 1", "SELECT 2"),
        ("SELECT a, b", "SELECT b, a"),
        ("SELECT ab", "SELECT a b"),
        ("SELECT a AS b", "SELECT a b"),
        ("SELECT ?1", "SELECT ?2"),
        ("SELECT ?1 -- a", "SELECT ?2 -- a"),
    ],
)
def test_texts_that_differ(one, other):
    assert None is not comparable(one) != comparable(other) is not None


@MANY
@given(st.sampled_from(QUERIES))
def test_a_comparable_text_is_its_own_comparable_text(query):
    dialect, sql = query
    text = comparable(sql, dialect)
    assert comparable(text, dialect) == text
    # Texts with comments take another path, to the same result.
    assert comparable(f"{sql}\n-- a", dialect) == text


def test_texts_that_do_not_tokenize_are_rejected():
    for dialect in ("sqlite", "postgres", "bigquery"):
        with pytest.raises(TokenError):
            Dialect.get_or_raise(dialect).tokenize("SELECT 'a")
        assert templatizer(dialect)("SELECT 'a").reject_reason == "does not tokenize"


def test_a_text_that_has_no_tokens_without_its_comments_is_rejected():
    """Without the comments, the signs at the ends of the lines open a quote."""
    text = "(" + "DELETE FROM\n### Response\r\n$\n\n" * 6
    assert Templatizer("postgres")(text).reject_reason == "does not tokenize"
