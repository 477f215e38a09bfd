"""Templates of the real dumps: no name left in them, and no structure lost."""

from collections import Counter

import polars as pl
import pytest
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from tasks import vocabulary
from tasks.config import load_corpora
from tasks.ingest import ingest_corpus
from tasks.ngrams import split_template
from tasks.templates import Templatizer

pytestmark = pytest.mark.shared
PER_CORPUS = 250
KEYWORDS = set(
    """
    SELECT FROM WHERE JOIN INNER LEFT OUTER CROSS ON USING HAVING UNION ALL EXCEPT INTERSECT CASE
    WHEN THEN ELSE END AND OR NOT IN BETWEEN LIKE LIMIT OFFSET DISTINCT IS EXISTS DESC ASC WITH OVER
    """.split()
) | {"GROUP BY", "ORDER BY", "PARTITION BY"}
OPERATORS = {"=", "==", "<", ">", "<=", ">=", "!=", "<>", "/", "||", "*"}


def queries_of(entry, folder):
    """A sample, spread over the corpus, of the distinct queries that have a template."""
    file = folder / f"{entry.name}.parquet"
    ingest_corpus(entry, file)
    texts = pl.read_parquet(file)["sql"].unique(maintain_order=True)
    templatizer = Templatizer(entry.dialect)
    for sql in texts.gather_every(max(1, len(texts) // PER_CORPUS)):
        if "##" not in sql and (found := templatizer(sql).template) is not None:
            yield sql, found


def read(dialect, sql):
    """The query's tokens, and the places and spellings of the names in its tree."""
    tokens = dialect.tokenize(sql)
    [tree] = [tree for tree in dialect.parser().parse(tokens, sql) if tree is not None][:1]
    names = [(name._meta or {}, name.name.upper()) for name in tree.find_all(exp.Identifier)]
    return tokens, {meta.get("start") for meta, _ in names}, {name for _, name in names}


@pytest.fixture(scope="module")
def sampled(shared_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("queries")
    found = []
    for entry in load_corpora(shared_folder / "corpora" / "corpora.toml"):
        dialect = Dialect.get_or_raise(entry.dialect)
        for sql, template in queries_of(entry, folder):
            try:
                found.append((entry, sql, split_template(template), *read(dialect, sql)))
            except Exception:  # parsed only after its comments were blanked
                continue
    assert len(found) > 6000
    return found


def test_no_name_is_left(sampled):
    known = vocabulary.TEXT_KEYWORDS | vocabulary.DATE_PARTS | vocabulary.SHORT_DATE_PARTS
    by_dialect = {}
    leaks = Counter()
    for entry, sql, template, _, _, names in sampled:
        if entry.dialect not in by_dialect:
            lexed = Dialect.get_or_raise(entry.dialect).tokenizer_class.KEYWORDS
            by_dialect[entry.dialect] = known | {word for key in lexed for word in key.split()}
        for i, word in enumerate(template):
            is_function = template[i + 1 : i + 2] == ["("]
            if word[0].isalpha() and word in names - by_dialect[entry.dialect] and not is_function:
                leaks[entry.name, word, sql[:200]] += 1
    assert not leaks


def test_no_literal_is_left(sampled):
    assert not [
        (entry.name, sql[:200])
        for entry, sql, template, *_ in sampled
        if any(word[0] in "'\"`" or word[0].isdigit() for word in template)
    ]


def test_no_keyword_and_no_operator_is_lost(sampled):
    lost = []
    for entry, sql, template, tokens, places, _ in sampled:
        written = Counter(
            {"<>": "!=", "==": "="}.get(text, text)
            for token in tokens
            if token.start not in places
            and token.token_type.name not in ("STRING", "IDENTIFIER")
            and (text := " ".join(token.text.upper().split())) in KEYWORDS | OPERATORS
        )
        kept = Counter(word for word in template if word in KEYWORDS | OPERATORS)
        if written != kept:
            lost.append((entry.name, written - kept, kept - written, sql[:300]))
    assert not lost
