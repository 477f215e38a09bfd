"""Faults in the structure of answers, in sentences."""

from nl2sql_align.tasks.views.answer_errors import describe_answer_errors


def fault(kind, share, feature=None):
    return {"kind": kind, "feature": feature, "n_answers": round(1000 * share), "share": share}


def test_faults_are_shares_of_the_answers_that_can_be_compared_with_the_remedy_for_each_kind():
    rows = [
        fault("right_template", 0.5),
        fault("other_template", 0.44),
        fault("no_template", 0.06),
        fault("same_structures", 0.2),
        fault("lacks", 0.09, "grouping"),
        fault("lacks", 0.07, "joins"),
        fault("lacks", 0.004, "having"),
        fault("adds", 0.03, "distinct_values"),
    ]
    assert describe_answer_errors(rows) == [
        "50% of the 1,000 answers whose question's query has a template have that template, 44% "
        "have another one, and 6.0% do not parse.",
        "Needed, but missing, as a share of these answers: GROUP BY in 9.0%, joins in 7.0%.",
        "Not needed, but used, as a share of these answers: DISTINCT in 3.0%.",
        "20% of these answers have another template with the same structures, such as another "
        "comparison or another order.",
        "Wrong structure (44%) asks for training data aligned with the target. Right structure "
        "(50%) with a wrong result asks for better linking of names and values.",
    ]


def test_one_fault_is_named_once_and_only_the_most_frequent_ones():
    rows = [
        fault("other_template", 1.0),
        fault("lacks", 0.5, "joins"),
        fault("lacks", 0.5, "plain_join"),
        fault("lacks", 0.4, "row_limit"),
        fault("lacks", 0.3, "ordering_with_limit"),
        fault("lacks", 0.2, "having"),
    ]
    _, missing, _ = describe_answer_errors(rows, most=3)
    assert missing.endswith("joins in 50%, LIMIT or TOP in 40%, ORDER BY with LIMIT or TOP in 30%.")


def test_right_answers_need_no_advice():
    assert describe_answer_errors([fault("right_template", 1.0)]) == [
        "100% of the 1,000 answers whose question's query has a template have that template, 0% "
        "have another one, and 0% do not parse."
    ]
