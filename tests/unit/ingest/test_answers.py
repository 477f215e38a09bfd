"""Extraction of SQL from the answers of models and from scripts."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nl2sql_align.tasks.ingest.answers import clean_answer, is_plain
from nl2sql_align.tasks.ingest.statements import (
    choose_statements,
    classify_statement,
    list_statements,
    split_statements,
)
from nl2sql_align.tasks.templates.templatizer import Templatizer

A = "SELECT a FROM b WHERE c = 'x;y' -- d;"
ANSWERS = {
    "fence": ("Sure:\n```sql\nSELECT a\nFROM b;\n```\nIt reads b.", "SELECT a\nFROM b"),
    "fence without a language": ("```\nSELECT a\n```", "SELECT a"),
    "fence that never closes": ("Here:\n```sql\nSELECT a FROM b", "SELECT a FROM b"),
    "fence that the prompt opened": ("SELECT a FROM b\n```\nThis query", "SELECT a FROM b"),
    "second fence holds the SQL": ("```\nstep 1\n```\n```sql\nSELECT a\n```", "SELECT a"),
    "prose before": ("The answer is: SELECT a FROM b", "SELECT a FROM b"),
    "prose with a quote": ("It's easy.\nselect a from b", "select a from b"),
    "prose after": ("SELECT a FROM b\n\nThis query reads b.", "SELECT a FROM b"),
    "prose after, one line": ("SELECT a FROM b \\end{code}  Comment: it's b", "SELECT a FROM b"),
    "explanation": ("SELECT a FROM b Explanation: we read b", "SELECT a FROM b"),
    "several statements": ("SELECT a; SELECT b; SELECT c", "SELECT a"),
    "several without semicolons": ("SELECT a FROM b  SELECT c FROM d", "SELECT a FROM b"),
    "end mark": ("SELECT a FROM b<|im_end|>\n<|im_start|>user", "SELECT a FROM b"),
    "begin mark": ("<s> [INST] SELECT a", "SELECT a"),
    "end of sequence": ("SELECT a FROM b</s>", "SELECT a FROM b"),
    "thought": ("<think>SELECT wrong?</think>\nSELECT a FROM b", "SELECT a FROM b"),
    "label": ("SQL: SELECT a FROM b", "SELECT a FROM b"),
    "question echoed": ("How many?\nSQLQuery: SELECT count(*) FROM b\nSQLResult: 3", None),
    "schema echoed": (
        "CREATE TABLE b (a int);\n-- Using SQLite, how many?\nSELECT count(*) FROM b;",
        "-- Using SQLite, how many?\nSELECT count(*) FROM b",
    ),
    "JSON": ('{"reasoning": "b", "sql": "SELECT a FROM b"}', "SELECT a FROM b"),
    "inline code": ("`SELECT a FROM b`", "SELECT a FROM b"),
    "escaped breaks": ("SELECT a\\nFROM b\\nWHERE c = '\\n' Note: d", None),
    "with": ("Answer:\nWITH x AS (SELECT 1) SELECT * FROM x; done", None),
    "union stays": ("SELECT a UNION ALL SELECT b; SELECT c", "SELECT a UNION ALL SELECT b"),
    "bracket left open": ("SELECT a FROM (SELECT b; SELECT c", None),
    "DML": ("Run:\nINSERT INTO a SELECT b FROM c; COMMIT", "INSERT INTO a SELECT b FROM c"),
}
EXPECTED = {
    "question echoed": "SELECT count(*) FROM b",
    "escaped breaks": "SELECT a\nFROM b\nWHERE c = '\\n'",
    "with": "WITH x AS (SELECT 1) SELECT * FROM x",
    "bracket left open": "SELECT a FROM (SELECT b",
}


# Pieces of queries, and of texts that rules change.
PIECES = [
    *("SELECT a", "SELECT ", " FROM t ", "WHERE b < 3", " UNION SELECT c FROM d", "(SELECT 1)"),
    *("select the name from the table", "SELECT", "DELETE FROM t ", "CREATE TABLE t (a int) "),
    *("1.5", "x", "'", '"', ".", ". This ", ";", "; ", "\n", "\nGO", "--", "/*", "<s>", "<think>"),
    *("Note: ", " Final answer", "[", "`", "```", "&lt;", "\\", ")", "ALL SELECT b", "GO"),
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join))
@example("SELECT a, count(*) FROM t WHERE b = 'x' AND c <= 1.5 UNION SELECT d FROM e;")
@settings(max_examples=1000)
def test_no_rule_changes_a_plain_query(text):
    if is_plain(text):
        # The mark, which is dropped, keeps the text from being taken for plain.
        assert clean_answer("\u200b" + text, "tsql") == text.strip().rstrip("; ")
        assert clean_answer(text) == text


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_first_statement_is_extracted(answer):
    text, expected = ANSWERS[answer]
    assert clean_answer(text, "sqlite") == (expected or EXPECTED[answer])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "error",
        "0",
        "I cannot answer that with this database.",
        A,
        f"  {A}\n",
        "SELECT a FROM b ; -- done; really",
        "/* SELECT */ (SELECT a) UNION (SELECT b)",
        "SELECT `a``b`, \"c;d\", 'it''s; SELECT' FROM e",
        "SELECT a AS Note FROM b",
        "SELECT '```' || 'Comment: x' FROM b",
        "WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM a UNION SELECT * FROM b",
        "CREATE TABLE a AS SELECT b FROM c",
        "SELECT a\n\nFROM b\n\nWHERE c = 1",
        "EXPLAIN SELECT a",
        "PRAGMA table_info(a)",
        "SELECT CASE WHEN a THEN (SELECT 1) ELSE (SELECT 2) END FROM b",
    ],
)
def test_one_statement_and_other_text_stay_unchanged(text):
    assert clean_answer(text, "sqlite") == text


def test_the_dialect_decides_how_quotes_are_escaped():
    text = r"SELECT 'it\'s; SELECT' FROM a; SELECT b"
    assert clean_answer(text, "mysql") == r"SELECT 'it\'s; SELECT' FROM a"
    assert clean_answer(r"SELECT 'C:\'; SELECT b", "sqlite") == r"SELECT 'C:\'"
    assert split_statements("SELECT $a$ ; $a$; SELECT 2", "postgres") == [
        "SELECT $a$ ; $a$",
        "SELECT 2",
    ]
    assert split_statements("SELECT [a;b]; SELECT 2", "tsql") == ["SELECT [a;b]", "SELECT 2"]


SCRIPTS = {
    "semicolons": ("SELECT 1; SELECT ';'; -- end;\n", None, ["SELECT 1", "SELECT ';'"]),
    "variables": (
        "DECLARE @x int = ##X:int?5##\nDECLARE @y int\nSET @y = 2\n\nSELECT @x FROM a",
        "tsql",
        ["DECLARE @x int = ##X:int?5##", "DECLARE @y int", "SET @y = 2", "SELECT @x FROM a"],
    ),
    "batches": ("SELECT 1\nGO\nSELECT 2\ngo\n", "tsql", ["SELECT 1", "SELECT 2"]),
    "two queries": (
        "SELECT a FROM b\n\nSELECT c FROM d",
        "tsql",
        ["SELECT a FROM b", "SELECT c FROM d"],
    ),
    "update": ("UPDATE a\nSET b = 1\nWHERE c = 2", "tsql", ["UPDATE a\nSET b = 1\nWHERE c = 2"]),
    "hints": ("SELECT a FROM b\nWITH (NOLOCK)", "tsql", ["SELECT a FROM b\nWITH (NOLOCK)"]),
    "with": (
        "DECLARE @x int;\nWITH c AS (SELECT 1)\nSELECT * FROM c",
        "tsql",
        ["DECLARE @x int", "WITH c AS (SELECT 1)\nSELECT * FROM c"],
    ),
    "union": ("SELECT 1\nUNION\nSELECT 2", "tsql", ["SELECT 1\nUNION\nSELECT 2"]),
    "nothing": (" ; -- x\n;", None, []),
    "parenthesis left open": (
        "SELECT f(a FROM t; SELECT b FROM u;\nSELECT (c, d);\n-- e\nWITH f AS (SELECT 1) SELECT 2",
        None,
        [
            "SELECT f(a FROM t",
            "SELECT b FROM u",
            "SELECT (c, d)",
            "-- e\nWITH f AS (SELECT 1) SELECT 2",
        ],
    ),
    "batch with a parenthesis left open": (
        "SELECT f(a\nGO\nSELECT b\nGO",
        "tsql",
        ["SELECT f(a", "SELECT b"],
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_split(script):
    text, dialect, expected = SCRIPTS[script]
    assert split_statements(text, dialect) == expected


def test_statements_are_chosen():
    text = "CREATE TABLE a (b int); INSERT INTO a VALUES (1); SET c = 1; SELECT 1; SELECT 2;"
    assert choose_statements(text, "reject") == [text]
    assert choose_statements(text, "first") == ["CREATE TABLE a (b int)"]
    assert choose_statements(text, "first", ("query",)) == ["SELECT 1"]
    assert choose_statements(text, "last") == ["SELECT 2"]
    assert choose_statements(text, "last", ("dml",)) == ["INSERT INTO a VALUES (1)"]
    assert len(choose_statements(text, "each")) == 4
    assert choose_statements("SET a = 1; SET b = 2", "each") == ["SET a = 1; SET b = 2"]
    assert choose_statements("SELECT 1;", "each") == ["SELECT 1;"]
    others = ["SELCT c FROM v", "foo bar", "SHOW TABLES", "CALL p(1)", "/* open\nSELECT d FROM w"]
    script = "; ".join(["SELECT 1", *others])
    assert choose_statements(script, "each") == ["SELECT 1", *others]
    assert list_statements(f"USE a; SET b = 1; {script}") == (["SELECT 1", *others], 2)
    assert list_statements("SET a = 1; SET b = 2") == (["SET a = 1; SET b = 2"], 0)
    assert (
        classify_statement("(select 1)") == "query"
        and classify_statement("-- x\nMERGE INTO a") == "dml"
    )


WORDS = st.sampled_from(
    "SELECT a FROM b ( ) ; ' \" ` -- /* */ \n ``` \\ $x$ [ ] WITH AS UNION Note: <|x|> {".split(" ")
)


@given(st.lists(WORDS, max_size=60).map(" ".join))
def test_a_cleaned_text_is_never_longer(text):
    found = clean_answer(text, "mysql")
    assert found == text or found.split() == [] or len(found) <= len(text)
    assert "".join("".join(split_statements(text)).split()) in "".join(text.split()) or ";" in text
    assert clean_answer(found, "mysql") is not None


@pytest.mark.parametrize(
    "unit",
    [
        "'",
        "/*",
        "$a$",
        "[",
        "\n",
        "```",
        "SELECT ",
        "WITH [",
        "(",
        "\\",
        ";",
        "<think>",
        "a ",
        ": ",
        '""',
    ],
)
def test_time_is_linear_in_the_length_of_the_text(unit):
    text = unit * (20_000 // len(unit))
    started = time.process_time()
    for one in (text, f"SELECT {text}", f"x\nSELECT 'a {text}"):
        clean_answer(one, "tsql")
        split_statements(one, "mysql")
    assert time.process_time() - started < 2


def test_a_cleaned_answer_has_a_template():
    templatize = Templatizer("sqlite")
    for answer, (text, expected) in ANSWERS.items():
        template = templatize(clean_answer(text, "sqlite")).template
        assert (template is None) == (answer == "bracket left open"), (answer, expected)


def test_long_scripts_are_split():
    script = ";\n".join(f"SELECT a FROM b WHERE c = {n}" for n in range(20_000))
    statements = choose_statements(script, "each", dialect="sqlite")
    assert len(statements) == 20_000
    assert statements[-1] == "SELECT a FROM b WHERE c = 19999"
    one_line = "SELECT a FROM b WHERE c IN (" + "1 OR SET " * 20_000 + ") UNION SELECT 2"
    assert choose_statements(one_line, "each", dialect="tsql") == [one_line]


def test_t_sql_is_recognized_by_words_that_only_it_has():
    script = "DECLARE @a int = 5\nSELECT TOP 3 b FROM c WHERE d > @a\nGO\nSELECT 2"
    expected = ["SELECT TOP 3 b FROM c WHERE d > @a", "SELECT 2"]
    assert choose_statements(script, "each") == expected
    assert choose_statements("SELECT a AS go\nFROM b", "each") == ["SELECT a AS go\nFROM b"]


BACKSLASHES = [
    (None, ["SELECT a FROM t WHERE b = 'it\\'s; ok'", "SELECT c\nFROM u"]),
    (None, ["SELECT a FROM t WHERE b = 'it\\'s; ok' OR b = 'it\\'s'", "SELECT 'c'"]),
    (None, ['SELECT a FROM t WHERE b = "so \\"it; is\\""', "SELECT 'c'"]),
    (None, ["SELECT a FROM t WHERE b = 'c:\\'", "SELECT c FROM u WHERE d = 'x'"]),
    (None, ["SELECT a FROM t WHERE b = 'c:\\' OR b = 'd:\\'", "SELECT c FROM u"]),
    ("sqlite", ["SELECT a FROM t WHERE b = 'c:\\'", "SELECT c FROM u WHERE d = 'x'"]),
    ("mysql", ["SELECT a FROM t WHERE b = 'it\\'s; ok'", "SELECT c\nFROM u"]),
    ("postgres", ["SELECT a FROM t WHERE b = E'it\\'s; ok'", "SELECT name'c:\\'", "SELECT 'd'"]),
]


@pytest.mark.parametrize(("dialect", "statements"), BACKSLASHES)
def test_backslashes_are_read_as_the_statements_fit(dialect, statements):
    assert split_statements(";\n".join(statements), dialect) == statements


SAID = "SELECT a FROM b WHERE c = 'x'"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            "SELECT a FROM b WHERE c &gt; 5 AND d = &#39;x&#39;",
            "SELECT a FROM b WHERE c > 5 AND d = 'x'",
        ),
        ("SELECT a<br>FROM b<br/>WHERE c = 'x'<br />", "SELECT a\nFROM b\nWHERE c = 'x'"),
        ("SELECT a FROM b WHERE c = 'x &amp; y<br>'", "SELECT a FROM b WHERE c = 'x &amp; y<br>'"),
        (f"```sql\n{SAID}\n```\nIt reads\n```sql\nCREATE TABLE b (a INT);\n```", SAID),
        (f"```sql\n{SAID}\n```\nFor speed:\n```sql\nCREATE INDEX i ON b (c);\n```", SAID),
        ("```sql\nCREATE TABLE b (a INT)\n```", "CREATE TABLE b (a INT)"),
        (
            "```sql\nSELECT 1 FROM b\n```\n```sql\nCREATE TABLE d AS SELECT a FROM b\n```",
            "CREATE TABLE d AS SELECT a FROM b",
        ),
        (f"Action Input: SELECT z FROM y\nObservation: []\nFinal Answer: {SAID}", SAID),
        (f"Draft:\nSELECT z FROM y\n\n**Final SQL:** `{SAID}`", SAID),
        (f"{SAID}\nFinal answer: we SELECT from b", SAID),
        (f"{SAID}\nexplanation: we do", SAID),
        (f"{SAID}\n\nWhere:\n- b is", SAID),
        (f"{SAID}\n\n(Note: it reads b)", SAID),
        (f"[ANSWER]{SAID}[/ANSWER]", SAID),
        (f"<sql><![CDATA[{SAID}]]></sql>", SAID),
        (f"Intermediate_representation: SELECT z FROM y\nSQL: {SAID}\n\nQ: z\nSQL: SELECT 1", SAID),
        (f"sql: |\n  {SAID}\nexplanation: names", SAID),
        (f"{SAID}\nor\nSELECT z FROM y", SAID),
        (f"{SAID}\n\nOr alternatively:\n\nSELECT z FROM y", SAID),
        (
            f"<|start_of_role|>user<|end_of_role|>SELECT?<|end_of_text|>\n"
            f"<|start_of_role|>assistant<|end_of_role|>{SAID}<|end_of_text|>",
            SAID,
        ),
    ],
)
def test_talk_in_the_forms_of_pages_agents_and_documents_is_left_out(answer, expected):
    assert clean_answer(answer, "sqlite") == expected


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM b WHERE c = 1\nOR\n d = 2",
        "SELECT a FROM b WHERE c = 1\nOR EXISTS (\nSELECT 1 FROM d)",
        "SELECT\n  total: SUM(a),\n  names: b\nFROM c",
        "SELECT {\n  name: 'x',\n  age: a\n} FROM b",
        "FROM b\nSELECT {\n  name: 'x'\n}",
        "SELECT a FROM b\nWHERE c = :d\nLIMIT :e",
        "SELECT a[1:2][b[1]]>c FROM d",
        "SELECT a & b, c FROM d WHERE a < b AND b > c",
    ],
)
def test_clauses_that_look_like_talk_stay(query):
    assert clean_answer(query, "duckdb") == query
