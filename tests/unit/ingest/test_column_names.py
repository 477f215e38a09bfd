"""The meaning of columns by their names."""

import pytest

from nl2sql_align.tasks.ingest.column_names import Meaning, find_meaning

NAMES = {
    Meaning.PREDICTION: "predicted_sql pred_sql pred prediction PREDICTED generated_sql predSQL "
    "generated_query model_output output_text final_sql sql_pred llm_output raw_output predsql "
    "predicted_label filtered_resps predictions system_output sampled_sql infer_sql",
    Meaning.RESPONSE: "response responses resps candidate candidates choices "
    "gpt4_output claude llama3_predicted_sql assistant tool_calls function_call",
    Meaning.COMPLETION: "completion completions",
    Meaning.ANSWER: "answer outputs output sql_answer",
    Meaning.TEXT: "text content",
    Meaning.QUERY: "sql query SQL sql_query statement",
    Meaning.REFERENCE: "gold gold_sql gold_query label labels target target_sql reference ref_sql "
    "ground_truth ground_truth_sql groundtruth true_sql correct_sql expected_sql expected_output "
    "golden_sql std_sql solution sol_sql output_seq goldSQL goldsql gold_answer gt oracle_sql "
    "final_gold_sql generated_reference ideal canonical_sql annotated_sql gpt4_label",
    Meaning.FLAWED: "issue_sql rejected sql_skeleton masked_query query_toks output_tokens",
    Meaning.PROMPT: "question sql_prompt sql_context schema instruction input prompt evidence "
    "answer_type response_time prediction_id generated_question sql_explanation "
    "system systemPrompt gpt4_prompt",
    Meaning.OTHER: "name difficulty kind model boat a1f0c2",
}


@pytest.mark.parametrize(
    ("name", "meaning"), [(name, key) for key, names in NAMES.items() for name in names.split()]
)
def test_a_name_has_its_meaning(name, meaning):
    assert find_meaning((name,)) is meaning


def test_inner_keys_have_the_meaning_of_outer_ones():
    assert find_meaning(("reference_outputs", "sql")) is Meaning.REFERENCE
    assert find_meaning(("choices", 0, "message", "content")) is Meaning.RESPONSE
    assert find_meaning(("inputs", "answer")) is Meaning.PROMPT
    arguments = ("response", "tool_calls", 0, "function", "arguments")
    assert find_meaning(arguments) is Meaning.RESPONSE
    assert find_meaning(("arguments", "response")) is Meaning.PROMPT
    assert find_meaning(()) is Meaning.OTHER
