"""Texts with the same key have the same tokens but for names and literals, and the same template.

See "How parses are shared" in ``docs/architecture.md``.
"""

import re
from collections import defaultdict

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlglot.dialects.dialect import Dialect, Dialects
from sqlglot.errors import TokenError

from nl2sql_align.tasks.templates.keywords import (
    COLUMN_NAMES,
    DATE_PARTS,
    PAIRED_KEYWORDS,
    RESERVED_FUNCTIONS,
    TEXT_KEYWORDS,
)
from nl2sql_align.tasks.templates.parse_sharing import ShapeKeys
from nl2sql_align.tasks.templates.templatizer import Templatizer

NAMES = [dialect.value for dialect in Dialects]
DIALECTS = [Dialect.get_or_raise(name) for name in NAMES]
KEYS = [ShapeKeys(dialect) for dialect in DIALECTS]
TOKENIZERS = [dialect.tokenizer() for dialect in DIALECTS]
LITERALS = ("VAR", "IDENTIFIER", "STRING", "NUMBER")
COMPARISONS = ("=", "<", ">", "<=", ">=", "!=", "<>")
AFTER_COMPARISONS = ") AND OR THEN GROUP HAVING ORDER LIMIT UNION INTERSECT EXCEPT".split()
KEYWORDS = sorted(
    {word for dialect in DIALECTS for word in dialect.tokenizer_class.KEYWORDS}
    | TEXT_KEYWORDS
    | DATE_PARTS
    | PAIRED_KEYWORDS.keys()
    | {*" ".join(RESERVED_FUNCTIONS.values()).split()}
)

gaps = st.sampled_from(["", "", " ", "\n", "  ", "\t"])
letters = st.sampled_from("abnxqruNX_é²")
# Names that begin or end like keywords, or are prefixes of literals.
names = st.one_of(
    st.text(letters, min_size=1, max_size=3),
    st.builds("{}{}".format, st.sampled_from(KEYWORDS), letters),
    st.builds("{}{}".format, letters, st.sampled_from(KEYWORDS)),
    st.sampled_from(sorted(PAIRED_KEYWORDS)),
)
quoted = st.builds(
    "{0}{1}{0}".format, st.sampled_from("'\"`"), st.text(st.sampled_from("a 1-'\"\\$é"), max_size=3)
)
numbers = st.from_regex(r"[0-9]{1,2}(\.[0-9])?|0x1|1e5|\.5|5\.|1_0|7L|0b1", fullmatch=True)
signs = st.sampled_from([*"-+*/<>=!|^~.(),;:?@#$&%[]{}", "::", "<=", "!=", "||", "->", "->>"])
keywords = st.sampled_from(KEYWORDS)
columns = st.builds(
    "{}.{}".format,
    st.sampled_from(["", "a", "a"]),
    st.one_of(names, quoted, st.sampled_from(sorted(COLUMN_NAMES))),
)
compared = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(COMPARISONS),
    gaps,
    st.one_of(names, quoted, numbers),
    st.sampled_from(["", *(f" {word} " for word in AFTER_COMPARISONS)]),
)


@st.composite
def pairs_of_texts(draw):
    """Draw two texts of the same kinds of pieces, with different names, literals and gaps."""
    one, other = "SELECT ", "select "
    kinds = st.sampled_from([names, quoted, numbers, signs, keywords, columns, compared])
    for kind in draw(st.lists(kinds)):
        piece = draw(kind)
        is_kept = kind in (signs, keywords) or draw(st.booleans())
        one += piece + draw(gaps)
        other += (piece if is_kept else draw(kind)) + draw(gaps)
    return one, other


def structure(number, text):
    """Return all that a parse can depend on; None if the text does not tokenize.

    This leaves out the texts of plain names and literals. For literals that end comparisons, and
    for names behind dots, it leaves out their kind as well.
    """
    try:
        tokens = TOKENIZERS[number].tokenize(text)
    except TokenError:
        return None
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    found = []
    for i, token in enumerate(tokens):
        kind = token.token_type.name
        before = tokens[i - 1].text.upper() if i else ""
        is_called = i + 1 < len(tokens) and tokens[i + 1].text == "("
        if kind in LITERALS[1:] and before in COMPARISONS and ends_comparison(tokens[i + 1 :]):
            kind = "COMPARED"
        is_column = kind == "IDENTIFIER" or token.text.upper() in COLUMN_NAMES
        if before == "." and is_column and not is_called:
            kind = "VAR"
        is_kept = kind not in (*LITERALS, "COMPARED") or (
            kind in ("VAR", "IDENTIFIER") and is_called
        )
        found.append((kind, " ".join(token.text.upper().split()) if is_kept else ""))
        if kind in ("DASH", "DOT"):
            before = i > 0 and tokens[i - 1].end + 1 == token.start
            after = i + 1 < len(tokens) and token.end + 1 == tokens[i + 1].start
            found.append(("GAPS", (before, after)))
    return found


def ends_comparison(rest):
    """Return whether a literal before these tokens is the whole right side of a comparison."""
    if not rest or rest[0].token_type.name in LITERALS[1:]:
        return not rest
    return rest[0].text.upper().split()[0] in AFTER_COMPARISONS


@settings(max_examples=250)
@given(pairs_of_texts(), st.integers(0, len(DIALECTS) - 1))
@example(("SELECT nº FROM t", "SELECT n º FROM t"), 0)
@example(("SELECT 1e5", "SELECT 1 e5"), 0)
@example(("SELECT u&'a'", "SELECT x & 'a'"), NAMES.index("postgres"))
@example(("SELECT ``", "SELECT `1`"), NAMES.index("athena"))
def test_texts_with_equal_keys_have_equal_tokens(texts, number):
    one, other = texts
    keys = [KEYS[number].key_of(text) for text in texts]
    if keys[0] is not None and keys[0] == keys[1]:
        assert structure(number, one) == structure(number, other)


@settings(max_examples=200)
@given(pairs_of_texts(), st.integers(0, len(DIALECTS) - 1))
def test_keys_do_not_depend_on_white_space_between_words(texts, number):
    text = texts[0]
    respaced = re.sub(r"(?<=\w) (?=\w)", "\n  ", text)
    key = KEYS[number].key_of(text)
    if not re.search("['\"`]", text):
        assert KEYS[number].key_of(respaced) == key


def test_common_queries_have_keys():
    one = "SELECT T1.title, count(*) FROM a AS T1 WHERE x = 'it is' AND y > 1.5 GROUP BY T1.title;"
    other = "select b . q , COUNT ( * )\nfrom c as b where z = '' and w >1.5 group  by b . r"
    touching = other.replace(" . ", ".")
    for number, dialect in enumerate(NAMES):
        key = KEYS[number].key_of
        assert (key(one) is None) == (dialect == "athena"), dialect
        assert key(one) == key(touching), dialect
        assert key(one) is None or key(one) != key(other), dialect


def test_no_keyword_of_several_words_begins_with_a_common_column_name():
    for dialect in DIALECTS:
        for keyword in dialect.tokenizer_class.KEYWORDS:
            first, *more = re.findall(r"\w+", keyword.upper()) or [""]
            assert not more or first not in COLUMN_NAMES, (dialect, keyword)


COLUMNS = [
    "SELECT t.{0} FROM t",
    "SELECT t.{0} AS x, COUNT(DISTINCT t.{0}) FROM s.{0} AS t JOIN u ON t.{0} = u.{0} "
    "WHERE t.{0} > 5 AND t.{0} IS NOT NULL GROUP BY t.{0} HAVING MAX(t.{0}) < 3 "
    "ORDER BY t.{0} DESC LIMIT 3",
    "SELECT t.{0} x, t.{0} + 1, -t.{0}, CASE t.{0} WHEN 1 THEN t.{0} ELSE t.{0} END FROM t "
    "WHERE t.{0} IN (1, 2) AND t.{0} BETWEEN t.{0} AND 3 AND NOT t.{0} LIKE 'a'",
    "SELECT SUM(t.{0}) OVER (PARTITION BY t.{0} ORDER BY t.{0} ROWS 1 PRECEDING), f(t.{0}) FROM t "
    "WHERE EXISTS (SELECT u.{0} FROM u WHERE u.{0} = t.{0})",
    "WITH c AS (SELECT t.{0} FROM t) SELECT c.{0} FROM c UNION SELECT d.{0} FROM s.d.{0}",
    "SELECT t.{0} 'x', t.{0} FROM a.{0}, b.{0} x JOIN s.{0} USING (a) ORDER BY t.{0} NULLS LAST",
    *(f"SELECT t.{{0}} {word} FROM t" for word in "SET ZONE KEY BY VARYING DESC VALUE".split()),
    "SELECT CAST(t.{0} AS INT), CAST(1 AS t.{0}) FROM t",
    "SELECT t.{0}::INT, t.{0}[0], x.y.{0} FROM t WHERE t.{0}",
    "SELECT t.{0} AT TIME ZONE 'UTC', t.{0} COLLATE x FROM t",
    "SELECT COUNT(t.{0}) FILTER (WHERE t.{0} > 1) FROM t TABLESAMPLE (10)",
]
CONDITIONS = [
    "SELECT a FROM t WHERE b {0}",
    "SELECT a FROM t WHERE b {0} AND c {0} OR d {0} GROUP BY e HAVING f {0} ORDER BY g LIMIT 1",
    "SELECT CASE WHEN a {0} THEN 1 END, SUM(IF(a {0})), COUNT(*) FILTER (WHERE a {0}) FROM t",
    "SELECT a FROM t JOIN u ON (t.a {0} ) WHERE (b {0} ) UNION SELECT b FROM u WHERE NOT c {0}",
    "WITH c AS (SELECT a FROM t WHERE b {0} ) SELECT a {0} FROM c WHERE EXISTS (SELECT 1 {0})",
    "SELECT a FROM t WHERE b {0} INTERSECT SELECT a {0} UNION SELECT a {0} EXCEPT SELECT a {0}",
    "SELECT SUM(a {0} ) OVER (PARTITION BY b {0} ORDER BY c {0} ) FROM t HAVING a {0} ORDER BY b",
    "SELECT f(x, a {0} ), CAST(a {0} AS INT), a {0} x, a {0} 'x' FROM t ORDER BY a {0} LIMIT 2",
    "SELECT CONVERT(a, b {0} ) FROM t WHERE a IN (b {0} ) AND b BETWEEN c {0} AND 2",
]


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_texts_with_equal_keys_have_equal_templates(number):
    templatize, key = Templatizer(NAMES[number]), KEYS[number].key_of
    literals = ("5", "1.5", "'x'", "'AND'", '"x"', '"BY"')
    names = ("x1", *COLUMN_NAMES, '"x y"', "`x y`", '"group"', "`date`", '"from"', "`5`")
    texts = [[text.format(name) for name in names] for text in COLUMNS]
    texts += [
        [text.format(f"{comparison} {literal}") for literal in literals]
        for text in CONDITIONS
        for comparison in COMPARISONS
    ]
    n_shared = 0
    for alike in texts:
        by_key = defaultdict(list)
        for text in alike:
            by_key[key(text)].append(text)
        by_key.pop(None, None)
        for same in by_key.values():
            assert len({templatize(text).template for text in same}) == 1, same
            n_shared += len(same) - 1
    assert NAMES[number] == "athena" or n_shared > 400
