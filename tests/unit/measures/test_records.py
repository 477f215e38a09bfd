"""The sentences beside verdicts that say how studied scores changed at similar ratios."""

import pytest

from nl2sql_align.tasks.measures.records import list_records, summarize_record


def row(ratio, verdict, trained_on=None, **reach):
    return {"alignment_ratio": ratio, "verdict": verdict, "trained_on": trained_on, **reach}


@pytest.mark.parametrize(
    ("ratio", "trained_on", "record"),
    [
        (
            1.2,
            None,
            "Fine-tuning an untuned model at a ratio of 1.2 to 1.4 gained 2 points or more in 57 "
            "of 111 studied cases, and lost as much in 0; in 21 published cases, 21 and 0.",
        ),
        (
            0.7999,
            None,
            "Fine-tuning an untuned model at a ratio below 0.8 gained 2 points or more in 15 of "
            "316 studied cases, and lost as much in 194.",
        ),
        (
            7.5,
            "boats",
            "Fine-tuning a tuned model at a ratio above 1.4 gained 2 points or more in 33 of 38 "
            "studied cases, and lost as much in 0.",
        ),
    ],
)
def test_a_verdict_has_the_record_of_similar_ratios(ratio, trained_on, record):
    assert list_records([row(ratio, "gain", trained_on)]) == [record]


def test_reach_has_a_record_of_its_own_where_its_verdict_differs():
    reach = {"reach_ratio": 1.15, "reach_verdict": "gain"}
    assert len(list_records([row(1.15, "gain", **reach)])) == 1
    [_, of_reach] = list_records([row(0.9, "undecided", **reach)])
    assert of_reach == (
        "Fine-tuning an untuned model at a reach ratio of 1.1 to 1.2 gained 2 points or more in 18 "
        "of 66 studied cases, and lost as much in 1."
    )


def test_equal_records_are_listed_once_and_ratios_without_a_verdict_have_none():
    assert len(list_records([row(1.0, "gain"), row(1.09, "undecided")])) == 1
    assert list_records([row(1.0, None, reach_ratio=None, reach_verdict=None)]) == []


def test_a_record_in_a_few_words_has_the_same_counts():
    assert summarize_record(row(1.2, "gain")) == (
        "57 of 111 gained, 0 lost; published: 21 of 21, 0 lost"
    )
    assert summarize_record(row(7.5, "gain", "boats")) == "33 of 38 gained, 0 lost"
    assert summarize_record(row(1.0, None)) == ""
