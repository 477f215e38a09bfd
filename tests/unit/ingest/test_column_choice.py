"""Choice of the column with the queries, by role, names and texts."""

import json

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from tests.unit.ingest.test_dumps import as_lines, entry, ingest

ANSWERS = [
    "SELECT name FROM harbour WHERE depth > 5",
    "SELECT COUNT(*) FROM boat GROUP BY kind",
    "SELECT a.name, b.fee FROM boat a JOIN berth b ON a.id = b.boat",
]
FENCED = [f"Here it is:\n```sql\n{answer}\n```" for answer in ANSWERS]
GOLD = "SELECT gold FROM t"


def recognized(tmp_path, rows, role="predictions"):
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines(rows))
    keys = {"target": "t", "model": "m"} if role == "predictions" else {}
    return resolve_format(entry(path, "auto", role=role, **keys))


# Rows with one answer, and the column of the answer.
PREDICTIONS = {
    "label beside a fenced answer": (
        lambda n: {"prompt": "schema and question", "prediction": FENCED[n], "label": GOLD},
        "prediction",
    ),
    "samples of an evaluation harness": (
        lambda n: {
            "doc": {"question": "q", "query": GOLD, "db_id": "port"},
            "target": GOLD,
            "arguments": {"gen_args_0": {"arg_0": "schema ... Question: q"}},
            "resps": [[FENCED[n]]],
            "filtered_resps": [ANSWERS[n]],
        },
        "filtered_resps",
    ),
    "the data set's answer": (
        lambda n: {
            "question": "q",
            "context": "CREATE TABLE t",
            "answer": GOLD,
            "pred": ANSWERS[n],
        },
        "pred",
    ),
    "the data set's output": (
        lambda n: {"instruction": "q", "input": "", "output": GOLD, "prediction": ANSWERS[n]},
        "prediction",
    ),
    "a query beside a fenced answer": (
        lambda n: {"question": "q", "db_id": "port", "query": GOLD, "response": FENCED[n]},
        "response",
    ),
    "a list of statements": (
        lambda n: {"task": n, "pred_sqls": [ANSWERS[n], "SELECT 1 + 1"]},
        "pred_sqls",
    ),
    "choices": (
        lambda n: {"gold": GOLD, "choices": [{"message": {"content": FENCED[n]}}]},
        "$.choices[0].message.content",
    ),
    "lists in a list": (lambda n: {"resps": [[FENCED[n]]], "label": GOLD}, "$.resps[0]"),
    "a tool call": (
        lambda n: {
            "sql": GOLD,
            "pred": {
                "content": None,
                "tool_calls": [{"function": {"name": "run", "arguments": {"query": ANSWERS[n]}}}],
            },
        },
        "$.pred.tool_calls[0].function.arguments.query",
    ),
    "an answer beside an empty refusal": (
        lambda n: {"query": GOLD, "response": {"content": FENCED[n], "refusal": None, "calls": []}},
        "$.response.content",
    ),
    "one model of a known name": (lambda n: {"sql": GOLD, "gpt4": ANSWERS[n]}, "gpt4"),
    "the second block of each answer": (
        lambda n: {
            "sql": GOLD,
            "response": [{"type": "thought", "thought": "We ask."}, {"text": ANSWERS[n]}],
        },
        "$.response[1].text",
    ),
    "the best of several beams": (
        lambda n: {"gold": GOLD, "beams": [{"code": ANSWERS[n], "score": 1}, {"code": "x"}]},
        "$.beams[0].code",
    ),
    "an answer further in": (
        lambda n: {"extra_info": {"answer": ANSWERS[n]}, "reward_model": {"ground_truth": GOLD}},
        "$.extra_info.answer",
    ),
}


@pytest.mark.parametrize("name", PREDICTIONS)
def test_the_answer_is_taken_and_never_the_reference(tmp_path, name):
    make, column = PREDICTIONS[name]
    found, reason = recognized(tmp_path, [make(n) for n in range(3)])
    assert found.columns.sql == column
    assert f"SQL in '{column}'" in reason
    cleaned = entry(found.path, found.format, columns=found.columns, clean="none")
    for (text, *_), answer in zip(ingest(cleaned, tmp_path), ANSWERS, strict=True):
        assert answer in text


REFUSED = {
    "only a reference": ({"label": GOLD}, "found SQL only in 'label' (the reference)"),
    "an answer without SQL": (
        {"query": GOLD, "response": "I cannot answer that."},
        "although 'response' should hold the answers",
    ),
    "an empty list of answers": (
        {"sql": GOLD, "predictions": []},
        "although 'predictions' should hold the answers",
    ),
    "two models": (
        {"sql": GOLD, "gpt4_predicted_sql": ANSWERS[0], "claude_predicted_sql": ANSWERS[1]},
        "has 'gpt4_predicted_sql' and 'claude_predicted_sql', and it is unclear which",
    ),
    "two queries": (
        {"tuned": ANSWERS[0], "base": ANSWERS[1]},
        "has 'tuned' and 'base', and it is unclear which of them are the model's answers",
    ),
    "two answers": (
        {"answer": GOLD, "output": ANSWERS[0]},
        "has 'answer' and 'output', and it is unclear which",
    ),
    "a refusal beside an answer": (
        {"output": "I cannot answer.", "extra_info": {"answer": GOLD}},
        "has '$.extra_info.answer' and 'output', and it is unclear which",
    ),
    "a query beside a data set's": (
        {"query": GOLD, "db_id": "d", "sql": ANSWERS[0]},
        "has 'query' and 'sql', and it is unclear which",
    ),
    "a query beside a data set's output": (
        {"instruction": "q", "output": GOLD, "sql": ANSWERS[0]},
        "has 'output' and 'sql', and it is unclear which",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_corpus_with_unclear_answers_is_set_aside(tmp_path, name):
    row, why = REFUSED[name]
    with pytest.raises(CorpusError) as caught:
        recognized(tmp_path, [row] * 3)
    assert why in str(caught.value)
    assert 'set format = "jsonl" and columns = { sql = "..." }' in str(caught.value)


def test_answers_at_different_positions_of_lists_are_not_lost(tmp_path):
    first, second = {"text": ANSWERS[0]}, {"thought": "We ask."}
    rows = [{"response": [first]}, {"response": [second, first]}] * 2
    problem = r"texts of '\$\.response\[0\]\.text' at different positions of a list"
    with pytest.raises(CorpusError, match=problem):
        recognized(tmp_path, rows)


def test_a_chat_is_not_read_beside_another_answer(tmp_path):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": GOLD}]
    found, _ = recognized(tmp_path, [{"messages": turns, "made": FENCED[0]}])
    assert (found.format, found.columns.sql) == ("jsonl", "made")
    found, _ = recognized(tmp_path, [{"messages": turns, "kind": "boats"}])
    assert found.format == "chat"


def test_answers_that_are_kept_as_written_are_recognized(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(as_lines([{"query": GOLD, "response": FENCED[0]}]))
    keys = {"role": "predictions", "target": "t", "model": "m", "clean": "none"}
    found, _ = resolve_format(entry(tmp_path / "a.jsonl", "auto", **keys))
    assert (found.columns.sql, found.clean) == ("response", "none")


def test_a_data_set_takes_its_reference(tmp_path):
    row = {"question": "q", "db_id": "d", "query": ANSWERS[0], "gold": GOLD}
    found, reason = recognized(tmp_path, [row] * 3, "target")
    assert (found.format, found.columns.sql) == ("jsonl", "gold")
    assert reason.endswith("also in 'query' (a query), not taken")
    row = {"question": "q", "db_id": "d", "query": GOLD, "gold": GOLD, "pred": ANSWERS[0]}
    found, reason = recognized(tmp_path, [row] * 3, "target")
    assert (found.format, found.columns) == ("spider", None)
    assert reason.endswith("SQL also in 'pred' (a model's answer), not taken")
    row = {"id": 1, "issue_sql": GOLD, "rejected": GOLD, "statement": ANSWERS[0]}
    assert recognized(tmp_path, [row] * 3, "target")[0].columns.sql == "statement"


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("baseline_sql", "sql"),
        ("original_sql", "SQL"),
        ("previous_query", "query"),
        ("sql_v1", "sqlQuery"),
        ("text", "answer"),
        ("text", "completion"),
        ("y_hat", "y"),
        ("yhat", "y"),
    ],
)
def test_a_data_set_takes_the_plain_name_wherever_it_stands(tmp_path, other, name):
    rows = [{other: f"SELECT {n} FROM t", name: ANSWERS[n]} for n in range(3)]
    rows[0][name] = "to do"
    for given in (rows, [dict(reversed(row.items())) for row in rows]):
        found, note = recognized(tmp_path, given, role="train")
        assert found.columns.sql == name
        assert f"also in '{other}'" in note
    found, _ = recognized(tmp_path, [{"meta": {"sql": GOLD}, "old_sql": ANSWERS[0]}], "train")
    assert found.columns.sql == "old_sql"


def test_items_without_a_question_are_alternatives_for_the_question_around_them(tmp_path):
    rows = [
        {"question": "Deep?", "accepted": [{"sql": answer, "by": "x"}, {"sql": GOLD}]}
        for answer in ANSWERS
    ]
    found, reason = recognized(tmp_path, rows, "target")
    assert (found.columns.sql, found.columns.rows) == ("$.accepted[0].sql", None)
    assert "the first of each list (3 of the first 3 rows have several)" in reason
    with pytest.raises(CorpusError, match="several texts for a question in the list of"):
        recognized(tmp_path, rows)
    for row in rows:
        row["accepted"] = [{"question": "Deep?", **one} for one in row["accepted"]]
    assert recognized(tmp_path, rows, "target")[0].columns.rows == "$.accepted"


def test_a_reference_beside_answers_is_named_even_if_they_are_equal(tmp_path):
    _, reason = recognized(tmp_path, [{"gold": GOLD, "pred": GOLD}] * 3)
    assert reason.endswith("also in 'gold' (the reference), not taken")
    _, reason = recognized(tmp_path, [{"gold": GOLD, "pred": GOLD}] * 3, "target")
    assert reason.endswith("SQL in 'gold'")


def test_a_question_is_named_and_never_taken(tmp_path):
    row = {
        "query": "Select the names of all boats",
        "text": "With which?",
        "sol": GOLD,
        "db_id": "d",
    }
    found, _ = recognized(tmp_path, [row] * 3, "target")
    assert (found.columns.sql, found.columns.question) == ("sol", "query")
    with pytest.raises(CorpusError, match="found no SQL in query, db_id"):
        recognized(tmp_path, [{"query": "Select the names of all boats", "db_id": "d"}], "target")


def test_lists_and_texts_of_lists_are_judged_by_their_items(tmp_path):
    for value in ([GOLD, ANSWERS[0]], json.dumps([GOLD, ANSWERS[0]]), repr([GOLD])):
        found, reason = recognized(tmp_path, [{"accepted": value, "other": "q"}] * 3, "target")
        assert found.columns.sql == "accepted"
        assert ("3 of the first 3 rows have several" in reason) == ("harbour" in str(value))
