"""Auto never reads the reference in place of a model's answer, in whatever wrapping."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.format_recognition import ANSWER_FORMATS, resolve_format
from tests.unit.ingest.test_dumps import entry
from tests.unit.ingest.test_formats import ingested

GOLD = "SELECT gold FROM t"
ANSWER = "SELECT name FROM harbour WHERE depth > 5"
REFERENCES = (
    "gold label target reference ground_truth expected expected_output output_seq solution query "
    "SQL sql answer output gold_sql gold_query ground_truth_sql true_sql ref_sql correct_sql "
    "expected_sql golden_sql std_sql target_sql labels goldSQL completion groundTruth ideal "
    "reference_answer canonical_sql human_sql original_sql final_gold_sql"
).split()
ANSWERS = (
    "predicted_sql pred_sql pred prediction predict generated_sql generated_query model_output "
    "response responses outputs_text output_text final_sql sql_pred llm_output raw_output "
    "candidates resps predSQL PREDICTED generated_text system_output inferred_sql sampled_sql "
    "assistant hypothesis generations"
).split()
WRAPPINGS = {
    "bare": lambda sql: sql,
    "fence": lambda sql: f"Here it is:\n```sql\n{sql}\n```\nIt reads harbours.",
    "thought": lambda sql: f"<think>Which table?</think>\n{sql};",
    "fence without a name": lambda sql: f"```\n{sql}\n```",
    "prose": lambda sql: f"The query is: {sql}",
    "JSON": lambda sql: json.dumps({"sql": sql}),
    "list": lambda sql: [sql, f"{sql} LIMIT 1"],
    "list in a list": lambda sql: [[f"```sql\n{sql}\n```"]],
    "object": lambda sql: {"sql": sql, "tokens": 12},
    "JSON in a fence": lambda sql: f"```json\n{json.dumps({'thought': 'x', 'sql': sql})}\n```",
    "the prompt opened the thought": lambda sql: f"```sql\nSELECT a FROM b\n```</think>\n{sql}",
    "final channel": lambda sql: (
        "<|channel|>analysis<|message|>SELECT a FROM b<|end|><|start|>assistant<|channel|>final"
        f"<|message|>{sql}<|return|>"
    ),
    "text in a list": lambda sql: [{"text": sql, "logprob": -1.5}],
    "list in a text": lambda sql: repr([sql]),
    "tool call": lambda sql: {
        "content": None,
        "tool_calls": [{"function": {"name": "run", "arguments": json.dumps({"query": sql})}}],
    },
    "reference in the answer": lambda sql: {"sql": sql, "gold": GOLD},
    "no items": lambda sql: [],
    "no keys": lambda sql: {},
    "choices": lambda sql: {"choices": [{"message": {"role": "assistant", "content": sql}}]},
    "refusal": lambda sql: "I cannot answer this question.",
    "nothing": lambda sql: None,
    "empty": lambda sql: "",
}


NOTHING = ("refusal", "nothing", "empty", "no items", "no keys")


ROWS = st.fixed_dictionaries(
    {
        "reference": st.sampled_from(REFERENCES),
        "answer": st.sampled_from(ANSWERS),
        "wrapping": st.sampled_from(sorted(WRAPPINGS)),
        "is_inside": st.booleans(),
        "is_first": st.booleans(),
        "others": st.dictionaries(
            st.sampled_from(
                "db_id question instruction context difficulty score system prompt input".split()
            ),
            st.sampled_from(
                ["port", "Select the names of all boats", "CREATE TABLE boat (id INT)"]
            ),
        ),
    }
)


def recognized(tmp_path, reference, answer, wrapping, is_inside, is_first, others):
    """Return the recognized corpus, or nothing if it is set aside because it has no answers."""
    gold = {"doc": {reference: GOLD}} if is_inside else {reference: GOLD}
    made = {answer: WRAPPINGS[wrapping](ANSWER)}
    row = {**others, **(gold | made if is_first else made | gold)}
    (tmp_path / "a.jsonl").write_text((json.dumps(row) + "\n") * 3)
    keys = {"role": "predictions", "target": "t", "model": "m"}
    try:
        return resolve_format(entry(tmp_path / "a.jsonl", "auto", **keys))[0]
    except CorpusError:
        assert wrapping in NOTHING
        return None


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ROWS)
def test_auto_always_takes_the_column_of_the_answer(tmp_path, row):
    found = recognized(tmp_path, **row)
    if found is not None:
        path = found.columns.sql if found.columns else None
        key = row["answer"]
        is_named = found.format in ANSWER_FORMATS
        assert is_named or path == key or path.startswith((f"$.{key}.", f"$.{key}["))
        assert path is None or "gold" not in path


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ROWS)
def test_auto_never_yields_the_reference(tmp_path, row):
    found = recognized(tmp_path, **row)
    if found is None:
        return
    read = {query["sql"] for query in ingested(found, tmp_path)}
    if row["wrapping"] in NOTHING:
        assert not any("SELECT" in (text or "") for text in read)
        return
    assert ANSWER in read
    assert read <= {ANSWER, f"{ANSWER} LIMIT 1"}
