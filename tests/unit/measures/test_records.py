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
            "Of 111 studied changes of an untuned model with a ratio of 1.2 to 1.4, 57 gained 2 "
            "points or more and 0 lost as much; of 21 published, 21 and 0.",
        ),
        (
            0.7999,
            None,
            "Of 316 studied changes of an untuned model with a ratio below 0.8, 15 gained 2 points "
            "or more and 194 lost as much.",
        ),
        (
            7.5,
            "boats",
            "Of 38 studied changes of a tuned model with a ratio above 1.4, 33 gained 2 points or "
            "more and 0 lost as much.",
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
        "Of 66 studied changes of an untuned model with a reach ratio of 1.1 to 1.2, 18 gained 2 "
        "points or more and 1 lost as much."
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
