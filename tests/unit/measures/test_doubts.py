"""Doubts about predictions that repeat their target's texts, and verdicts that are withheld."""

import math
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.measures.doubts import find_doubts, measure_right_share
from nl2sql_align.tasks.measures.verdicts import Evidence, judge_ratio, judge_reach_ratio


def counted(name, key, target=None):
    return SimpleNamespace(content_key=key, entry=SimpleNamespace(name=name, target=target))


@pytest.mark.parametrize(
    ("share", "doubt"),
    [(0.95, None), (0.96, "96% of the answers"), (1.0, "100% of the answers")],
)
def test_answers_that_are_mostly_the_targets_texts_are_doubted(tmp_path, share, doubt):
    pairs = tmp_path / "pairs.parquet"
    # The first corpus of a pair is the source: the reference, whose texts the answers repeat.
    rows = [("t", "p", share), ("p", "t", 1.0), ("t", "q", 0.1), ("o", "p", 1.0)]
    names = ("source_key", "target_key", "exact_overlap")
    pq.write_table(pa.Table.from_pylist([dict(zip(names, r, strict=True)) for r in rows]), pairs)
    corpora = [
        counted("asked", "t"),
        counted("other", "o"),
        counted("answers", "p", "asked"),
        counted("better", "q", "asked"),
        counted("of another run", "p", "gone"),
    ]
    found = find_doubts(corpora, pairs)
    assert list(found) == (["answers"] if doubt else [])
    for text in found.get("answers", []):
        assert text.startswith(f"these may be the reference queries: {doubt}")
        assert text.endswith("of asked")


def test_without_predictions_nothing_is_read(tmp_path):
    assert find_doubts([counted("asked", "t")], tmp_path / "missing.parquet") == {}


# Verdicts that are withheld


def evidence(covered=0.5, right=0.3, in_place=True, reasoning=False, grouped=False):
    return Evidence(covered, right, in_place, reasoning, grouped)


NARROW = "4.0% of the target, and the answers get right already 30.0%"


@pytest.mark.parametrize(
    ("verdict", "ratio", "known", "expected", "reason"),
    [
        ("gain", 1.3, evidence(), "gain", None),
        ("no gain", 0.7, evidence(), "no gain", None),
        ("gain", 1.05, evidence(), "undecided", "either way at ratios from 0.8 to 1.1"),
        ("no gain", 0.85, evidence(), "undecided", "either way at ratios from 0.8 to 1.1"),
        ("gain", 1.3, evidence(0.04, 0.3), "undecided", NARROW),
        ("gain", 1.3, evidence(0.3, 0.3), "undecided", "30.0% of the target"),
        ("gain", 1.3, evidence(0.04, 0.3, False), "undecided", "and the answers contain 30.0%"),
        ("no gain", 0.7, evidence(0.04, 0.3), "no gain", None),
        ("gain", 1.3, evidence(reasoning=True), "undecided", 'style = "cot"'),
        ("no gain", 0.7, evidence(reasoning=True), "undecided", 'style = "cot"'),
        ("undecided", 1.0, evidence(reasoning=True), "undecided", None),
    ],
)
def test_a_verdict_is_withheld_with_its_reason_and_never_turned_around(
    verdict, ratio, known, expected, reason
):
    found, reasons = judge_ratio(verdict, math.log(ratio), known)
    assert found == expected
    assert [reason in text for text in reasons] == ([True] if reason else [])


@pytest.mark.parametrize(
    ("verdict", "reach", "ratio", "known", "expected", "reason"),
    [
        ("gain", 1.3, 0.9, evidence(), "gain", None),
        ("no gain", 0.85, 0.8, evidence(), "no gain", None),
        ("no gain", 0.95, 0.8, evidence(), "undecided", "at reach ratios from 0.9 to 1.1"),
        ("gain", 1.3, 0.9, evidence(grouped=True), "undecided", "by groups of templates only"),
        ("gain", 1.3, 1.2, evidence(grouped=True), "gain", None),
        ("no gain", 0.8, 0.7, evidence(grouped=True), "no gain", None),
        ("gain", 1.3, 0.9, evidence(0.04, 0.3), "undecided", NARROW),
    ],
)
def test_reach_has_a_verdict_of_its_own(verdict, reach, ratio, known, expected, reason):
    found, reasons = judge_reach_ratio(verdict, math.log(reach), math.log(ratio), known)
    assert found == expected
    assert [reason in text for text in reasons] == ([True] if reason else [])


def test_the_share_of_right_templates_counts_answers_to_questions_with_a_template(
    tmp_path, make_corpus
):
    asked = [("a", "SELECT FROM"), ("b", "DELETE FROM"), ("c", None), ("a", "SELECT FROM")]
    target = make_corpus(tmp_path, "asked", asked, role="target")
    answers = [("x", "SELECT FROM"), ("x", "SELECT FROM"), ("x", "SELECT FROM"), ("y", None)]
    base = make_corpus(tmp_path, "base", answers, role="predictions", target="asked")
    assert measure_right_share(base, target) == pytest.approx(1 / 3)
    fewer = make_corpus(tmp_path, "fewer", answers[:3], role="predictions", target="asked")
    assert measure_right_share(fewer, target) is None
