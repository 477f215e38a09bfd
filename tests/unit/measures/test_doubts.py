"""Doubts about alignments and ratios, and verdicts that are withheld."""

import math

import pytest

from nl2sql_align.tasks.measures.doubts import is_second_opinion, list_doubts
from nl2sql_align.tasks.measures.verdicts import Evidence, judge_ratio, judge_reach_ratio

ALIGNMENT = {
    "train": "fleet",
    "target": "harbour",
    "exact_overlap": 0.49,
    "n_compared": 20,
    "train_parsed_share": 0.9,
    "target_parsed_share": 0.9,
    "predictions": None,
    "predictions_parsed_share": None,
    "n_answered": None,
    "n_questions": None,
    "copied_share": None,
    "is_closest": True,
    "js_alignment": 0.5,
    "closest_by_js": "fleet",
    "closest_js_alignment": 0.5,
}
RATIO = ALIGNMENT | {
    "predictions": "answers",
    "predictions_parsed_share": 0.9,
    "n_answered": 95,
    "n_questions": 100,
    "copied_share": 0.95,
}


def test_ordinary_alignments_and_ratios_are_not_doubted():
    assert list_doubts(ALIGNMENT) == list_doubts(RATIO) == []
    assert list_doubts(RATIO | {"exact_overlap": None, "copied_share": None}) == []


@pytest.mark.parametrize(
    ("facts", "doubt"),
    [
        ({"exact_overlap": 0.5}, "fleet contains 50.0% of the queries of harbour"),
        ({"exact_overlap": 0.999}, "fleet contains 99.9% of the queries of harbour"),
        ({"exact_overlap": 1.0}, "fleet contains 100.0% of the queries of harbour"),
        ({"n_compared": 19}, "only 19 queries of harbour can be compared"),
        ({"n_compared": 1}, "only 1 query of harbour can be compared"),
        ({"train_parsed_share": 0.67}, "only 67.0% of fleet parses"),
        ({"target_parsed_share": 0.89}, "only 89.0% of harbour parses"),
        (
            {"closest_by_js": "staff", "closest_js_alignment": 0.525},
            "by JS alignment, staff is closer to harbour than fleet (0.5250 and 0.5000)",
        ),
    ],
)
def test_an_alignment_and_its_ratios_have_the_same_doubts(facts, doubt):
    assert list_doubts(ALIGNMENT | facts) == list_doubts(RATIO | facts) == [doubt]


@pytest.mark.parametrize(
    ("facts", "doubt"),
    [
        ({"predictions_parsed_share": 0.07}, "only 7.0% of answers parses"),
        (
            {"n_answered": 200, "n_questions": 1034},
            "answers answers only 200 of 1,034 questions of harbour",
        ),
        (
            {"copied_share": 0.96},
            "answers may be the reference queries: 96.0% of the answers are texts of harbour",
        ),
    ],
)
def test_a_ratio_is_doubted_for_its_answers(facts, doubt):
    assert list_doubts(RATIO | facts) == [doubt]


def test_js_alignment_is_a_second_opinion_on_the_closest_training_set_only():
    other = {"closest_by_js": "staff", "closest_js_alignment": 0.6}
    assert list_doubts(RATIO | other | {"is_closest": False}) == []
    doubts = list_doubts(RATIO | other | {"exact_overlap": 0.5})
    assert [is_second_opinion(doubt) for doubt in doubts] == [False, True]


def test_all_doubts_are_listed():
    worst = {
        "exact_overlap": 1.0,
        "n_compared": 8,
        "train_parsed_share": 0.0,
        "target_parsed_share": 0.0,
        "predictions_parsed_share": 0.0,
        "n_answered": 8,
        "copied_share": 1.0,
        "closest_js_alignment": 1.0,
    }
    assert len(list_doubts(RATIO | worst)) == 8


# Verdicts that are withheld


def evidence(covered=0.5, right=0.3, in_place=True, reasoning=False, grouped=False, copied=0.0):
    return Evidence(covered, right, in_place, reasoning, grouped, copied)


NARROW = "4.0% of the target, and the answers get right already 30.0%"


@pytest.mark.parametrize(
    ("verdict", "ratio", "known", "expected", "reason"),
    [
        ("gain", 1.3, evidence(), "gain", None),
        ("no gain", 0.7, evidence(), "no gain", None),
        ("gain", 1.05, evidence(), "undecided", "gains and losses at ratios from 0.8 to 1.1"),
        ("no gain", 0.85, evidence(), "undecided", "gains and losses at ratios from 0.8 to 1.1"),
        ("gain", 1.3, evidence(0.04, 0.3), "undecided", NARROW),
        ("gain", 1.3, evidence(0.3, 0.3), "undecided", "30.0% of the target"),
        ("gain", 1.3, evidence(0.04, 0.3, False), "undecided", "and the answers contain 30.0%"),
        ("no gain", 0.7, evidence(0.04, 0.3), "no gain", None),
        ("gain", 1.3, evidence(reasoning=True), "undecided", 'style = "cot"'),
        ("no gain", 0.7, evidence(reasoning=True), "undecided", 'style = "cot"'),
        ("undecided", 1.0, evidence(reasoning=True), "undecided", None),
        ("gain", 1.3, evidence(copied=0.5), "undecided", "by copies of its queries"),
        ("gain", 1.3, evidence(copied=0.49), "gain", None),
        ("no gain", 0.7, evidence(copied=1.0), "no gain", None),
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
