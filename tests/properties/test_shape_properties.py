"""Where two texts have one key, every dialect's tokenizer splits them alike."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlglot.dialects.dialect import Dialect, Dialects
from sqlglot.errors import TokenError

from tasks.shapes import Shapes
from tasks.vocabulary import DATE_PARTS, PAIRED_KEYWORDS, TEXT_KEYWORDS

NAMES = [dialect.value for dialect in Dialects]
DIALECTS = [Dialect.get_or_raise(name) for name in NAMES]
SHAPES = [Shapes(dialect) for dialect in DIALECTS]
TOKENIZERS = [dialect.tokenizer() for dialect in DIALECTS]
LITERALS = ("VAR", "IDENTIFIER", "STRING", "NUMBER")
KEYWORDS = sorted(
    {word for dialect in DIALECTS for word in dialect.tokenizer_class.KEYWORDS}
    | TEXT_KEYWORDS
    | DATE_PARTS
    | PAIRED_KEYWORDS.keys()
)

gaps = st.sampled_from(["", "", " ", "\n", "  ", "\t"])
letters = st.sampled_from("abnxqruNX_é²")
# Names that begin, or end, like keywords, and prefixes of literals.
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


@st.composite
def pairs_of_texts(draw):
    """Two texts of the same kinds of pieces, with other names, literals and gaps."""
    one, other = "SELECT ", "select "
    for kind in draw(st.lists(st.sampled_from([names, quoted, numbers, signs, keywords]))):
        piece = draw(kind)
        is_kept = kind in (signs, keywords) or draw(st.booleans())
        one += piece + draw(gaps)
        other += (piece if is_kept else draw(kind)) + draw(gaps)
    return one, other


def structure(number, text):
    """What a parse can turn on: all but the texts of plain names and literals."""
    try:
        tokens = TOKENIZERS[number].tokenize(text)
    except TokenError:
        return None
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    found = []
    for i, token in enumerate(tokens):
        kind = token.token_type.name
        is_called = i + 1 < len(tokens) and tokens[i + 1].text == "("
        is_kept = kind not in LITERALS or (kind in ("VAR", "IDENTIFIER") and is_called)
        found.append((kind, " ".join(token.text.upper().split()) if is_kept else ""))
        if kind in ("DASH", "DOT"):
            before = i > 0 and tokens[i - 1].end + 1 == token.start
            after = i + 1 < len(tokens) and token.end + 1 == tokens[i + 1].start
            found.append(("GAPS", (before, after)))
    return found


@settings(max_examples=400)
@given(pairs_of_texts(), st.integers(0, len(DIALECTS) - 1))
@example(("SELECT nº FROM t", "SELECT n º FROM t"), 0)
@example(("SELECT 1e5", "SELECT 1 e5"), 0)
@example(("SELECT u&'a'", "SELECT x & 'a'"), NAMES.index("postgres"))
@example(("SELECT ``", "SELECT `1`"), NAMES.index("athena"))
def test_equal_keys_are_of_equal_tokens(texts, number):
    one, other = texts
    keys = [SHAPES[number].key(text) for text in texts]
    if keys[0] is not None and keys[0] == keys[1]:
        assert structure(number, one) == structure(number, other)


@settings(max_examples=200)
@given(pairs_of_texts(), st.integers(0, len(DIALECTS) - 1))
def test_white_space_between_words_is_of_no_matter(texts, number):
    text = texts[0]
    respaced = re.sub(r"(?<=\w) (?=\w)", "\n  ", text)
    key = SHAPES[number].key(text)
    if not re.search("['\"`]", text):
        assert SHAPES[number].key(respaced) == key


def test_keys_are_told_for_common_queries():
    one = "SELECT T1.title, count(*) FROM a AS T1 WHERE x = 'it is' AND y > 1.5 GROUP BY T1.title;"
    other = "select b . q , COUNT ( * )\nfrom c as b where z = '' and w >1.5 group  by b . r"
    touching = other.replace(" . ", ".")
    for number, dialect in enumerate(NAMES):
        key = SHAPES[number].key
        assert (key(one) is None) == (dialect == "athena"), dialect
        assert key(one) == key(touching), dialect
        assert key(one) is None or key(one) != key(other), dialect
