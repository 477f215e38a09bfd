"""The measures of a pair, computed by hand (specification, section 4)."""

import math
from math import log

import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.environment import THREADS_VARIABLE
from nl2sql_align.tasks.measures.matrix import (
    Content,
    compute_matrix,
    divide_pairs,
    has_many_pairs,
    measures_key,
    sum_partition,
)
from tests.properties.contents import bits_of, rows_of, write_content

E = 1e-8


def corpus(*templates):
    return [(f"text of {template}", template) for template in templates]


# Half of the source equals the target.
SOURCE = corpus("SELECT", "FROM")
TARGET = corpus("SELECT", "SELECT", "SELECT")


@pytest.fixture
def measured(tmp_path):
    contents = [
        write_content(tmp_path, "source", SOURCE, key="s"),
        write_content(tmp_path, "target", TARGET, is_target=True, key="t"),
    ]
    report = compute_matrix(contents, tmp_path / "pairs")
    pairs = {(row["source_key"], row["target_key"]): row for row in rows_of(report.pairs)}
    return pairs, rows_of(report.contributions), report


def test_every_ordered_pair_has_a_row(measured):
    pairs, _, report = measured
    assert pairs.keys() == {(a, b) for a in "st" for b in "st"}
    assert (report.n_pairs, report.n_new) == (4, 4)


def test_the_skew_divergence(measured):
    pairs, _, _ = measured
    there = 0.5 * log(0.5 / (0.99 * 1 + 0.01 * 0.5)) + 0.5 * log(100)
    back = log(1 / (0.99 * 0.5 + 0.01))
    assert pairs["s", "t"]["kl_nats"] == pytest.approx(there, abs=1e-12)
    assert pairs["s", "t"]["reverse_kl_nats"] == pytest.approx(back, abs=1e-12)
    assert pairs["t", "s"]["kl_nats"] == pairs["s", "t"]["reverse_kl_nats"]
    assert pairs["t", "s"]["reverse_kl_nats"] == pairs["s", "t"]["kl_nats"]
    for pair, divergence in (("st", there), ("ts", back)):
        aligned = pytest.approx(math.exp(-divergence / log(100)), abs=1e-12)
        assert pairs[tuple(pair)]["kl_alignment"] == aligned


def test_the_additive_divergence(measured):
    pairs, _, _ = measured
    total = 1 + 2 * E
    there = ((0.5 + E) * log((0.5 + E) / (1 + E)) + (0.5 + E) * log((0.5 + E) / E)) / total
    back = ((1 + E) * log((1 + E) / (0.5 + E)) + E * log(E / (0.5 + E))) / total
    for pair, divergence in (("st", there), ("ts", back)):
        row = pairs[tuple(pair)]
        assert row["additive_kl_nats"] == pytest.approx(divergence, abs=1e-12)
        aligned = math.exp(-divergence / log((1 + E) / E))
        assert row["additive_kl_alignment"] == pytest.approx(aligned, abs=1e-12)


def test_the_jensen_shannon_divergence(measured):
    pairs, _, _ = measured
    nats = (0.5 * log(0.5 / 0.75) + 0.5 * log(0.5 / 0.25) + log(1 / 0.75)) / 2
    for pair in (("s", "t"), ("t", "s")):
        assert pairs[pair]["js_nats"] == pytest.approx(nats, abs=1e-12)
        assert pairs[pair]["js_alignment"] == pytest.approx(1 - nats / log(2), abs=1e-12)


def test_shares_are_shares_of_the_target(measured):
    pairs, _, _ = measured
    for share in ("ngram_coverage", "template_coverage", "exact_overlap"):
        assert pairs["s", "t"][share] == 1
        assert pairs["t", "s"][share] == 0.5


def test_equal_templates_are_not_equal_texts(tmp_path):
    contents = [
        write_content(tmp_path, "source", [("a", "SELECT"), ("b", None)], key="s"),
        write_content(tmp_path, "target", [("a", "SELECT"), ("c", "SELECT"), ("d", None)], key="t"),
    ]
    rows = rows_of(compute_matrix(contents, tmp_path / "pairs").pairs)
    [row] = [row for row in rows if (row["source_key"], row["target_key"]) == ("s", "t")]
    assert (row["template_coverage"], row["exact_overlap"]) == (1, 0.5)
    assert row["kl_nats"] == 0


def test_a_text_that_reads_like_a_template_is_not_one(tmp_path):
    contents = [
        write_content(tmp_path, "source", [("SELECT FROM", "SELECT")], key="s"),
        write_content(tmp_path, "target", [("SELECT", "SELECT FROM")], key="t"),
    ]
    for row in rows_of(compute_matrix(contents, tmp_path / "pairs").pairs):
        share = float(row["source_key"] == row["target_key"])
        assert (row["template_coverage"], row["exact_overlap"]) == (share, share)


def test_a_corpus_with_itself(measured):
    pairs, _, _ = measured
    for key in "st":
        row = pairs[key, key]
        assert {row[column] for column in row if column.endswith("_nats")} == {0.0}
        assert {row[column] for column in row if column.endswith("_alignment")} == {1.0}
        shares = ("ngram_coverage", "template_coverage", "exact_overlap")
        assert {row[share] for share in shares} == {1.0}


def test_contributions_exist_for_targets_and_are_ordered_by_size(measured):
    _, contributions, _ = measured
    rows = [tuple(row.values()) for row in contributions]
    assert rows == [
        ("s", "t", "over", 1, "FROM", 0.5, 0.0, pytest.approx(0.5 * log(100))),
        ("s", "t", "under", 1, "SELECT", 0.5, 1.0, pytest.approx(log(1 / 0.505))),
    ]


def test_equal_contributions_are_ordered_by_their_ngrams(tmp_path):
    words = [f"W{i:02d}" for i in range(30)]
    contents = [
        write_content(tmp_path, "source", corpus(*reversed(words)), key="s"),
        write_content(tmp_path, "target", corpus("OTHER"), is_target=True, key="t"),
    ]
    rows = rows_of(compute_matrix(contents, tmp_path / "pairs").contributions)
    over = [(row["rank"], row["ngram"]) for row in rows if row["direction"] == "over"]
    assert over == list(enumerate(words[:20], start=1))


def test_a_corpus_without_ngrams_has_no_row(tmp_path):
    contents = [
        write_content(tmp_path, "source", SOURCE, key="s"),
        write_content(tmp_path, "empty", [("a", "*"), ("b", None)], is_target=True, key="e"),
    ]
    report = compute_matrix(contents, tmp_path / "pairs")
    assert [row["target_key"] for row in rows_of(report.pairs)] == ["s"]
    assert rows_of(report.contributions) == []
    alone = compute_matrix(contents[1:], tmp_path / "none")
    assert rows_of(alone.pairs) == rows_of(alone.contributions) == []


@pytest.mark.parametrize("first_is_target", [True, False])
def test_equal_content_is_a_target_if_one_of_its_corpora_is(tmp_path, first_is_target):
    contents = [
        write_content(tmp_path, "source", SOURCE, key="s"),
        write_content(tmp_path, "one", TARGET, is_target=first_is_target, key="t"),
        write_content(tmp_path, "other", TARGET, is_target=not first_is_target, key="t"),
    ]
    report = compute_matrix(contents, tmp_path / "pairs")
    assert report.n_pairs == 4
    assert {row["target_key"] for row in rows_of(report.contributions)} == {"t"}


def test_only_pairs_with_new_content_are_measured(tmp_path):
    contents = [
        write_content(tmp_path, name, corpus(f"SELECT {name}", "FROM"), is_target=name == "A")
        for name in "ABC"
    ]
    folder = tmp_path / "pairs"
    assert compute_matrix(contents[:2], folder).n_new == 4
    assert compute_matrix(contents, folder).n_new == 9 - 4
    assert compute_matrix(contents, folder).n_new == 0
    assert compute_matrix(contents[1:], folder).n_new == 0
    assert len(list(folder.iterdir())) == 3


def test_a_run_that_was_killed_between_its_files_is_repeated(tmp_path):
    contents = [
        write_content(tmp_path, name, corpus(f"SELECT {name}", "FROM"), is_target=name == "A")
        for name in "ABC"
    ]
    whole = compute_matrix(contents, tmp_path / "whole")
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    for written in sorted((tmp_path / "whole").iterdir()):
        folder = tmp_path / written.name
        compute_matrix(contents[:2], folder)
        (folder / written.name).write_bytes(written.read_bytes())
        again = compute_matrix(contents, folder)
        assert again.n_new == 9 - 4
        assert sorted(path.name for path in folder.iterdir()) == names
        assert bits_of(again.pairs) == bits_of(whole.pairs)
        assert bits_of(again.contributions) == bits_of(whole.contributions)


def test_partitions_as_steps_change_no_bit_though_some_run_twice(tmp_path, monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "1")  # partitions are summed in this process
    words = ["SELECT", "FROM", "WHERE =", "JOIN ON", "GROUP BY", "UNION SELECT"]
    contents = [
        write_content(tmp_path, name, corpus(*words[i:], *words[:1] * i), is_target=i == 1)
        for i, name in enumerate("ABCD")
    ]
    whole, folder, scratch = tmp_path / "whole", tmp_path / "divided", tmp_path / "scratch"
    for some in (contents[:2], contents):  # some pairs are known the second time
        compute_matrix(some, whole)
        jobs = divide_pairs(some, folder, scratch, rows_per_step=8)
        assert len(jobs) > 1
        sums = [sum_partition(job) for job in [*jobs[:1], *jobs]][1:]
        compute_matrix(some, folder, sums=sums)
        files = [
            {one.name: one.read_bytes() for one in place.iterdir()} for place in (whole, folder)
        ]
        assert files[0] == files[1]
    assert divide_pairs(contents, folder, scratch, rows_per_step=8) == []
    assert not has_many_pairs(contents, folder, most=1)
    assert has_many_pairs(contents[1:], folder, most=1)
    assert not has_many_pairs(contents[1:], folder)


def test_other_smoothing_gives_other_measures_and_other_files(tmp_path):
    contents = [
        write_content(tmp_path, "source", SOURCE, key="s"),
        write_content(tmp_path, "target", TARGET, key="t"),
    ]
    report = compute_matrix(contents, tmp_path / "pairs", skew=0.1, epsilon=1e-4)
    assert measures_key() != measures_key(skew=0.1) != measures_key(epsilon=1e-4)
    row = next(row for row in rows_of(report.pairs) if row["source_key"] != row["target_key"])
    there = 0.5 * log(0.5 / (0.9 * 1 + 0.1 * 0.5)) + 0.5 * log(10)
    assert row["kl_nats"] == pytest.approx(there, abs=1e-12)
    assert row["kl_alignment"] == pytest.approx(math.exp(-there / log(10)), abs=1e-12)
    assert compute_matrix(contents, tmp_path / "pairs").n_new == 4


def test_folder_names_may_contain_any_characters(tmp_path):
    folder = tmp_path / "it's [1] * {a,b} ?"
    folder.mkdir()
    contents = [write_content(folder, "source", SOURCE), write_content(folder, "target", TARGET)]
    assert len(rows_of(compute_matrix(contents, folder / "pairs").pairs)) == 4


def test_the_files_of_the_stages_are_read(tmp_path, make_corpus):
    made = [make_corpus(tmp_path, name, ["SELECT", name, None]) for name in ("A", "B")]
    contents = [
        Content(one.content_key, one.entry.name, one.ngrams, one.templates, False) for one in made
    ]
    report = compute_matrix(contents, tmp_path / "pairs")
    assert pq.read_table(report.pairs).column("ngram_coverage").to_pylist().count(0.5) == 2
