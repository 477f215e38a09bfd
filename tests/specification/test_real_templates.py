"""Templates of the real dumps keep no name and lose no structure."""

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError

from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ngrams.count import split_template
from nl2sql_align.tasks.templates.keywords import DATE_PARTS, SHORT_DATE_PARTS, TEXT_KEYWORDS
from nl2sql_align.tasks.templates.templatizer import Templatizer

pytestmark = pytest.mark.shared

PER_CORPUS = 250
PER_CORPUS_READ_SLOWLY = 60
# Words that queries also use as names.
KEYWORDS = set(
    """
    SELECT FROM WHERE JOIN INNER LEFT OUTER CROSS ON USING HAVING UNION ALL EXCEPT INTERSECT CASE
    WHEN THEN ELSE END AND OR NOT IN BETWEEN LIKE LIMIT OFFSET DISTINCT IS EXISTS DESC ASC WITH OVER
    """.split()
) | {"GROUP BY", "ORDER BY", "PARTITION BY"}
OPERATORS = {"=", "<", ">", "<=", ">=", "!=", "/", "||", "*", "+"}


class Sampled(NamedTuple):
    """A query of a real corpus and its template."""

    corpus: str
    dialect: str
    sql: str
    template: str | None


@pytest.fixture(scope="module")
def sampled(shared_folder, tmp_path_factory):
    """Return the queries with the smallest digests of each corpus, the same in all runs."""
    file = tmp_path_factory.mktemp("dumps") / "queries.parquet"
    found = []
    for entry in load_corpora(shared_folder / "corpora" / "corpora.toml"):
        ingest_corpus(entry, file)
        texts = set(pq.read_table(file, columns=["sql"])["sql"].to_pylist())
        chosen = sorted(texts, key=lambda text: hashlib.md5(text.encode()).digest())[:PER_CORPUS]
        templatizer = Templatizer(entry.dialect)
        found += [
            Sampled(entry.name, entry.dialect, sql, templatizer(sql).template) for sql in chosen
        ]
    assert len(found) > 6000
    return found


@pytest.fixture(scope="module")
def templated(sampled):
    """Return those with a template, except WikiSQL's, of which many parse only by accident."""
    return [one for one in sampled if one.template is not None and one.corpus != "wikisql"]


def text_as_parsed(one: Sampled) -> str:
    """Return the query with Stack Exchange's parameters replaced by ones that parse."""
    pattern = r"##\w+(:\w+)?(\?[^#\n]*)?##"
    return re.sub(pattern, lambda found: "@" + "p" * (len(found[0]) - 1), one.sql)


def names_of(one: Sampled) -> tuple[set[int], set[str]]:
    """Return the offsets and the spellings of names in the tree; none if it does not parse.

    (The program parses a text again without its comments if it does not parse with them.)
    """
    try:
        trees = Dialect.get_or_raise(one.dialect).parse(text_as_parsed(one))
    except ParseError:
        return set(), set()
    names = [name for tree in trees if tree for name in tree.find_all(exp.Identifier)]
    return {name.meta.get("start") for name in names}, {name.name.upper() for name in names}


def test_templates_match_the_slow_reader(templated):
    """The slow reader asks the parser which tokens are names, types or lists."""
    counts: Counter[str] = Counter()
    chosen = []
    for one in templated:
        counts[one.corpus] += 1
        if counts[one.corpus] <= PER_CORPUS_READ_SLOWLY:
            chosen.append(one)
    command = [sys.executable, "-m", "tests.specification.slow_reader"]
    lines = [json.dumps([one.dialect, text_as_parsed(one)]) for one in chosen]
    run = subprocess.run(
        command, input="\n".join(lines), capture_output=True, check=True, encoding="utf-8"
    )
    read = [json.loads(line) for line in run.stdout.splitlines()]
    different = [
        (one.corpus, one.sql, one.template, slow)
        for one, slow in zip(chosen, read, strict=True)
        if one.template != slow
    ]
    # A few texts that are not queries parse by accident, such as `8(68 - 72 = 280)`.
    assert len(different) <= len(chosen) / 1000, different[:5]
    assert len(chosen) > 2000


def test_sharing_parses_changes_nothing(sampled):
    shared: dict[str, Templatizer] = {}
    for one in sampled:
        if one.dialect not in shared:
            shared[one.dialect] = Templatizer(one.dialect, shares_parses=True)
        assert shared[one.dialect](one.sql).template == one.template, one.sql


def test_no_name_and_no_literal_is_left(templated):
    known = TEXT_KEYWORDS | DATE_PARTS | SHORT_DATE_PARTS
    leaks = []
    for one in templated:
        tokenizer = Dialect.get_or_raise(one.dialect).tokenizer_class
        words = split_template(one.template)
        suspects = {
            word
            for word, follower in zip(words, [*words[1:], ""], strict=True)
            if word[0].isalpha() and word not in known and follower != "("
        }
        suspects -= {word for keyword in tokenizer.KEYWORDS for word in [keyword, *keyword.split()]}
        if suspects:
            suspects &= names_of(one)[1]
        suspects |= {word for word in words if word[0] in "'\"`" or word[0].isdigit()}
        if suspects:
            leaks.append((one.corpus, suspects, one.sql, one.template))
    assert not leaks


def test_no_keyword_and_no_operator_is_lost(templated):
    lost = []
    for one in templated:
        places, names = names_of(one)
        if not names:
            continue
        written: Counter[str] = Counter()
        for token in Dialect.get_or_raise(one.dialect).tokenize(text_as_parsed(one)):
            word = " ".join(token.text.upper().split())
            if token.start not in places and token.token_type.name not in ("STRING", "IDENTIFIER"):
                written[{"<>": "!=", "==": "="}.get(word, word)] += 1
        kept = Counter(split_template(one.template))
        for word in KEYWORDS | OPERATORS:
            if written[word] != kept[word]:
                lost.append((one.corpus, word, one.sql, one.template))
    assert not lost


def test_wikisql_as_far_as_it_parses(sampled):
    """Of WikiSQL, 43% does not parse, and some parses by accident and keeps parts of names."""
    found = [one for one in sampled if one.corpus == "wikisql"]
    n_rejected = sum(one.template is None for one in found)
    fragments = [
        one
        for one in found
        if one.template is not None
        and any(
            word not in KEYWORDS | {"COUNT", "MAX", "MIN", "SUM", "AVG"}
            for word in split_template(one.template)
            if word[0].isalpha() or word[0] == "_"
        )
    ]
    assert 0.36 < n_rejected / len(found) < 0.50
    assert 0 < len(fragments) / (len(found) - n_rejected) < 0.08
