"""The measures of random corpora equal those of the reference, however they are computed."""

import hashlib
import itertools
import math
import random
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nl2sql_align.tasks.base.connections import MEMORY_LIMIT_VARIABLE
from nl2sql_align.tasks.base.environment import THREADS_VARIABLE
from nl2sql_align.tasks.measures.matrix import (
    CONTRIBUTIONS_PER_PAIR,
    Division,
    choose_partitions,
    compute_matrix,
)
from nl2sql_align.tasks.warehouse.part_files import count_distinct_ngrams
from tests import reference
from tests.properties.contents import bits_of, rows_of, templated, write_content
from tests.properties.strategies import TOKENS, some_templates

# Few texts, so that corpora share some of them too.
queries = some_templates.flatmap(
    lambda templates: st.lists(
        st.sampled_from(["a", "b", "c", "d"]),
        min_size=len(templates),
        max_size=len(templates),
    ).map(lambda texts: _with_texts(texts, templates))
)


def _with_texts(texts, templates):
    # Equal texts have equal templates.
    pairs = zip(texts, templates, strict=True)
    return [(f"{text} {template}", template) for text, template in pairs]


corpora = st.lists(st.tuples(queries, st.booleans()), min_size=2, max_size=4)


def has_ngrams(queries):
    return bool(reference.ngram_counts(templated(queries).templates))


def measure(folder, contents):
    """Return the rows of both tables; pairs by the names of their corpora."""
    report = compute_matrix(contents, folder)
    names = {content.key: content.corpus for content in contents}
    pairs = {
        (names[row.pop("source_key")], names[row.pop("target_key")]): row
        for row in rows_of(report.pairs)
    }
    return pairs, rows_of(report.contributions)


@settings(max_examples=15)
@given(corpora)
def test_measures_equal_those_of_the_reference(tmp_path_factory, corpora):
    folder = tmp_path_factory.mktemp("matrix")
    contents = [
        write_content(folder, f"corpus-{i}", queries, is_target)
        for i, (queries, is_target) in enumerate(corpora)
    ]
    pairs, contributions = measure(folder / "pairs", contents)
    taken = {
        content: queries
        for content, (queries, _) in zip(contents, corpora, strict=True)
        if has_ngrams(queries)
    }
    assert pairs.keys() == {(a.corpus, b.corpus) for a in taken for b in taken}
    assert {key for row in contributions for key in (row["source_key"], row["target_key"])} <= {
        content.key for content in taken
    }
    for source, target in itertools.product(taken, repeat=2):
        row = pairs[source.corpus, target.corpus]
        p, q = templated(taken[source]), templated(taken[target])
        assert row == pytest.approx(reference.measures(p, q), rel=0, abs=1e-9)
        assert 1 / math.e <= row["kl_alignment"] <= 1
        for metric, value in row.items():
            assert value >= 0, metric
            assert value <= 1 or metric.endswith("_nats"), metric
        assert row["js_nats"] <= math.log(2)
        assert row["js_nats"] == pairs[target.corpus, source.corpus]["js_nats"]
        assert row["reverse_kl_nats"] == pairs[target.corpus, source.corpus]["kl_nats"]
        found = [
            term
            for term in contributions
            if (term["source_key"], term["target_key"]) == (source.key, target.key)
        ]
        if target.is_target and source != target:
            check_contributions(found, p, q)
        else:
            assert not found


def check_contributions(found, source, target):
    p = reference.distribution(reference.ngram_counts(source.templates))
    q = reference.distribution(reference.ngram_counts(target.templates))
    for direction, one, other in (("over", p, q), ("under", q, p)):
        rows = [row for row in found if row["direction"] == direction]
        values = [row["contribution_nats"] for row in rows]
        terms = reference.skew_terms(one, other)
        wanted = sorted((value for value in terms.values() if value > 1e-12), reverse=True)
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert values == sorted(values, reverse=True)
        assert values == pytest.approx(wanted[:CONTRIBUTIONS_PER_PAIR], abs=1e-12)
        for row in rows:
            assert row["contribution_nats"] == pytest.approx(terms[row["ngram"]], abs=1e-12)
            assert row["source_probability"] == p.get(row["ngram"], 0.0)
            assert row["target_probability"] == q.get(row["ngram"], 0.0)


@settings(max_examples=8)
@given(queries, st.integers(1, 7), st.integers(1, 7))
def test_equal_distributions_are_aligned_exactly(tmp_path_factory, queries, times, other_times):
    assume(has_ngrams(queries))
    folder = tmp_path_factory.mktemp("matrix")
    contents = [
        write_content(folder, "once", queries * times, is_target=True),
        write_content(folder, "again", queries * other_times),
    ]
    pairs, contributions = measure(folder / "pairs", contents)
    assert len(pairs) == 4
    assert not contributions
    for row in pairs.values():
        assert row["kl_nats"] == row["reverse_kl_nats"] == row["js_nats"] == 0
        assert row["kl_alignment"] == row["js_alignment"] == 1
        assert row["additive_kl_nats"] == pytest.approx(0, abs=1e-12)
        assert row["ngram_coverage"] == row["template_coverage"] == row["exact_overlap"] == 1
    for name in ("once", "again"):
        assert pairs[name, name]["additive_kl_nats"] == 0
        assert pairs[name, name]["additive_kl_alignment"] == 1


@settings(max_examples=8)
@given(queries, queries)
def test_disjoint_corpora_have_the_lowest_alignment(tmp_path_factory, queries, others):
    assume(has_ngrams(queries))
    # The other corpus has the same structure in other words.
    others = [(f"other {sql}", _in_other_words(template)) for sql, template in others]
    folder = tmp_path_factory.mktemp("matrix")
    contents = [write_content(folder, "one", queries), write_content(folder, "other", others)]
    pairs, _ = measure(folder / "pairs", contents)
    for pair in (("one", "other"), ("other", "one")):
        row = pairs[pair]
        assert row["kl_nats"] == row["reverse_kl_nats"] == math.log(100)
        assert row["kl_alignment"] == math.exp(-1)
        assert row["js_nats"] == math.log(2)
        assert row["js_alignment"] == 0
        assert row["ngram_coverage"] == row["template_coverage"] == row["exact_overlap"] == 0


def _in_other_words(template):
    words = (
        f"OTHER_{token.replace(' ', '_')}" if token[0].isalpha() or token[0] == "_" else token
        for token in reference.tokens_of(template)
    )
    return " ".join(["OTHER", *words])


@settings(max_examples=8)
@given(corpora, st.randoms(use_true_random=False))
def test_order_and_names_change_no_bit(tmp_path_factory, corpora, random):
    folder = tmp_path_factory.mktemp("matrix")
    contents = [
        write_content(folder, f"corpus-{i}", queries, is_target, key=f"key-{i}")
        for i, (queries, is_target) in enumerate(corpora)
    ]
    (folder / "again").mkdir()
    shuffled = [
        write_content(
            folder / "again",
            f"named-{i}",
            random.sample(queries, len(queries)),
            is_target,
            key=f"key-{i}",
        )
        for i, (queries, is_target) in enumerate(corpora)
    ]
    random.shuffle(shuffled)
    assert_same_bits(
        compute_matrix(contents, folder / "one"), compute_matrix(shuffled, folder / "other")
    )


def assert_same_bits(one, other):
    assert bits_of(one.pairs) == bits_of(other.pairs)
    assert bits_of(one.contributions) == bits_of(other.contributions)
    assert one.pairs.name == other.pairs.name
    assert one.contributions.name == other.contributions.name


@settings(max_examples=8)
@given(
    st.lists(queries, min_size=3, max_size=4),
    # Each run has some of the corpora, as targets or not.
    st.lists(st.dictionaries(st.integers(0, 3), st.booleans(), min_size=1), min_size=2, max_size=4),
    st.integers(1, 40),
    st.integers(1, 200),
    st.integers(1, 2),
)
def test_measuring_new_pairs_gives_the_result_of_measuring_all(
    tmp_path_factory, corpora, runs, n_candidates, matches_per_block, n_partitions
):
    """Also with few candidates, small blocks of pairs, and partitions."""
    division = Division(n_candidates, matches_per_block, n_partitions)
    folder = tmp_path_factory.mktemp("matrix")
    for i, roles in enumerate(runs):
        contents = [
            write_content(folder, f"corpus-{number}", corpora[number], is_target)
            for number, is_target in roles.items()
            if number < len(corpora)
        ]
        if not contents:
            continue
        grown = compute_matrix(contents, folder / "grown", division=division)
        assert_same_bits(grown, compute_matrix(contents, folder / f"scratch-{i}"))
        values = grown.pairs.with_name(grown.pairs.name.replace("pairs", "values"))
        assert {*(folder / "grown").iterdir()} == {grown.pairs, grown.contributions, values}
        assert compute_matrix(contents, folder / "grown").n_new == 0


def test_a_target_gets_the_contributions_of_sources_added_while_it_was_not_a_target(tmp_path):
    a, b, t = (
        [(template, template)] for template in ("SELECT FROM", "SELECT WHERE", "SELECT LIMIT")
    )

    def contents(roles):
        corpora = {"a": a, "b": b, "t": t}
        return [write_content(tmp_path, n, corpora[n], role) for n, role in roles.items()]

    compute_matrix(contents({"a": False, "t": True}), tmp_path / "grown")
    compute_matrix(contents({"a": False, "b": False, "t": False}), tmp_path / "grown")
    last = contents({"a": False, "b": False, "t": True})
    assert_same_bits(
        compute_matrix(last, tmp_path / "grown"), compute_matrix(last, tmp_path / "scratch")
    )


@pytest.fixture(scope="module")
def large_contents(tmp_path_factory):
    """Return corpora with enough n-grams for DuckDB to use several threads."""
    folder = tmp_path_factory.mktemp("large")
    generator = random.Random(0)
    contents = []
    for i in range(3):
        frequencies = [generator.random() ** 6 for _ in TOKENS]
        templates = [
            " ".join(generator.choices(TOKENS, frequencies, k=generator.randint(1, 40)))
            for _ in range(2500)
        ]
        queries = [(template, template) for template in templates]
        contents.append(write_content(folder, f"corpus-{i}", queries, is_target=i > 0))
    return contents


@pytest.fixture(scope="module")
def large_report(large_contents, tmp_path_factory):
    """The measures of the large corpora by three threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(THREADS_VARIABLE, "3")
        return compute_matrix(large_contents, tmp_path_factory.mktemp("measured"))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_number_of_threads_changes_no_bit(
    large_contents, large_report, tmp_path, monkeypatch, threads
):
    monkeypatch.setenv(THREADS_VARIABLE, str(threads))
    assert_same_bits(large_report, compute_matrix(large_contents, tmp_path))


def test_partitions_by_the_hash_of_the_ngram_change_no_bit(large_contents, large_report, tmp_path):
    divided = compute_matrix(large_contents, tmp_path, division=Division(n_partitions=8))
    assert_same_bits(large_report, divided)


def in_partitions(content, folder, n_partitions):
    """Return the content with its counts in a folder of files, by the hash of the n-gram."""
    table = pq.read_table(content.ngrams)
    digests = [hashlib.md5(ngram.encode()).hexdigest() for ngram in table["ngram"].to_pylist()]
    places = pa.array([int(digest[:4], 16) % n_partitions for digest in digests])
    ngrams = folder / f"{content.ngrams.stem}-{n_partitions}"
    ngrams.mkdir()
    for place in range(n_partitions):
        path = ngrams / f"part-{place:03}-of-{n_partitions:03}.parquet"
        pq.write_table(table.filter(pc.equal(places, place)), path)
    return replace(content, ngrams=ngrams)


@pytest.mark.parametrize("n_partitions", [1, 8])
def test_counts_in_partitions_change_no_bit(large_contents, large_report, tmp_path, n_partitions):
    first, second, third = large_contents
    contents = [in_partitions(first, tmp_path, 2), in_partitions(second, tmp_path, 16), third]
    division = Division(n_partitions=n_partitions)
    measured = compute_matrix(contents, tmp_path / "measured", division=division)
    assert_same_bits(large_report, measured)


def test_the_number_of_partitions_follows_from_rows_and_memory(
    large_contents, tmp_path, monkeypatch
):
    first, *others = large_contents
    contents = [in_partitions(first, tmp_path, 2), *others]
    n_counts = sum(count_distinct_ngrams(content.ngrams) for content in contents)
    assert n_counts == sum(count_distinct_ngrams(content.ngrams) for content in large_contents)
    n_rows = n_counts + sum(pq.read_metadata(content.templates).num_rows for content in contents)
    for memory_limit, n_partitions in (("100GB", 1), ("1GB", 8)):
        monkeypatch.setenv(MEMORY_LIMIT_VARIABLE, memory_limit)
        bytes_per_row = 1 + 6_000_000_000 // n_rows
        assert choose_partitions(contents, bytes_per_row) == n_partitions
        known = {content.key for content in contents}
        assert choose_partitions(contents, bytes_per_row, known=known) == 1
        known.remove(first.key)
        few = choose_partitions(contents, bytes_per_row, bytes_per_known_row=0, known=known)
        many = choose_partitions(contents, bytes_per_row, bytes_per_row, known=known)
        assert few <= many <= n_partitions, "texts of known n-grams are not loaded"
