"""Small samples of models' outputs, of training files and of recent benchmarks."""

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import ALIASES, list_formats
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from tests.unit.ingest.test_dumps import DUMPS, as_json, as_lines, as_parquet, entry
from tests.unit.ingest.test_formats import SAMPLES, ingested
from tests.unit.ingest.test_query_logs import LOGS, PG_LOGS
from tests.unit.ingest.test_tool_formats import TOOL_SAMPLES

DEEP = "SELECT name FROM harbor WHERE depth > 5"
COUNT = "SELECT COUNT(*) FROM boat GROUP BY kind"
GOLD = "SELECT gold FROM t"
FENCED = f"Here it is:\n```sql\n{DEEP}\n```"
USER = [{"role": "system", "content": "You write SQL."}, {"role": "user", "content": "Deep?"}]
PREDICTIONS = {"role": "predictions", "target": "t", "model": "m"}


def chat_line(custom_id, *choices):
    messages = [{"index": n, "message": message} for n, message in enumerate(choices)]
    body = {"id": "chatcmpl-1", "object": "chat.completion", "choices": messages}
    return {
        "id": "batch_req_1",
        "custom_id": custom_id,
        "response": {"status_code": 200, "request_id": "r", "body": body},
        "error": None,
    }


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def message(custom_id, *blocks):
    made = {"id": "msg_1", "role": "assistant", "content": list(blocks), "stop_reason": "end_turn"}
    return {"custom_id": custom_id, "result": {"type": "succeeded", "message": made}}


def candidate(*parts):
    return {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}


def task(number, **more):
    return {
        "instance_id": f"port_{number}",
        "selected_database": "port",
        "query": f"Question {number}?",
        "preprocess_sql": [],
        "category": "Query",
        **more,
    }


SAMPLE = {"doc_id": 0, "doc": {"question": "q", "query": GOLD, "db_id": "port"}, "target": GOLD}
VERL = {
    "data_source": "bird",
    "prompt": USER,
    "ability": "text2sql",
    "extra_info": {"index": 7, "split": "train"},
}

# Format, role, file, content, and the id, sql, db_id and question of each row.
MODEL_SAMPLES = {
    "OpenAI batch": (
        "openai_batch",
        "predictions",
        "batch_output.jsonl",
        as_lines(
            [
                chat_line("q-2", assistant(FENCED), assistant(COUNT)),
                chat_line("q-1", assistant([{"type": "text", "text": COUNT}])),
                chat_line(
                    "q-3",
                    assistant(
                        None,
                        tool_calls=[{"function": {"arguments": '{"sql": "SELECT 1"}'}}],
                    ),
                ),
                chat_line(
                    "q-8",
                    assistant(
                        "I look at the tables, then run the query.",
                        tool_calls=[
                            {"function": {"arguments": '{"table": "boat"}'}},
                            {"function": {"arguments": '{"sql_query": "SELECT 8"}'}},
                        ],
                    ),
                ),
                chat_line(
                    "q-9", assistant("", function_call={"arguments": '{"query":"SELECT 9"}'})
                ),
                chat_line("q-4", assistant(None, refusal="No.", reasoning_content=DEEP)),
                chat_line(
                    "q-5",
                    assistant(None, tool_calls=[{"function": {"arguments": '{"sql": "SEL'}}]),
                ),
                {
                    "id": "batch_req_6",
                    "custom_id": "q-6",
                    "response": None,
                    "error": {"code": "batch_expired", "message": "This request expired."},
                },
                {
                    "custom_id": "q-7",
                    "response": {"status_code": 400, "body": {"error": {"message": "Too long."}}},
                    "error": None,
                },
            ]
        ),
        [
            ("q-2", DEEP, None, None),
            ("q-1", COUNT, None, None),
            ("q-3", "SELECT 1", None, None),
            ("q-8", "SELECT 8", None, None),
            ("q-9", "SELECT 9", None, None),
            ("q-4", "", None, None),
            ("q-5", "", None, None),
            ("q-6", "", None, None),
            ("q-7", "", None, None),
        ],
    ),
    "OpenAI batch of completions": (
        "openai_batch",
        "predictions",
        "batch_output.jsonl",
        as_lines(
            [
                {
                    "custom_id": "q-1",
                    "response": {"body": {"choices": [{"index": 0, "text": f"{DEEP};"}]}},
                }
            ]
        ),
        [("q-1", f"{DEEP};", None, None)],
    ),
    "OpenAI batch of the Responses API": (
        "openai_batch",
        "predictions",
        "batch_output.jsonl",
        as_lines(
            [
                {
                    "custom_id": "q-1",
                    "response": {
                        "status_code": 200,
                        "body": {
                            "object": "response",
                            "output": [
                                {
                                    "type": "reasoning",
                                    "summary": [],
                                    "content": [{"type": "reasoning_text", "text": COUNT}],
                                },
                                {
                                    "type": "message",
                                    "role": "assistant",
                                    "content": [{"type": "output_text", "text": FENCED}],
                                },
                            ],
                        },
                    },
                },
                {
                    "custom_id": "q-2",
                    "response": {
                        "body": {
                            "output": [
                                {"type": "reasoning", "summary": []},
                                {
                                    "type": "function_call",
                                    "name": "run",
                                    "arguments": '{"query": "SELECT 2"}',
                                },
                            ]
                        }
                    },
                },
                {"custom_id": "q-3", "response": {"body": {"output": []}}},
            ]
        ),
        [
            ("q-1", DEEP, None, None),
            ("q-2", "SELECT 2", None, None),
            ("q-3", "", None, None),
        ],
    ),
    "chat completions, one per line": (
        "openai_batch",
        "predictions",
        "responses.jsonl",
        as_lines(
            [
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "choices": [{"index": 0, "message": assistant(FENCED)}],
                }
            ]
        ),
        [(None, DEEP, None, None)],
    ),
    "Anthropic batch": (
        "anthropic_batch",
        "predictions",
        "results.jsonl",
        as_lines(
            [
                message(
                    "q-2",
                    {"type": "thinking", "thinking": COUNT, "signature": "s"},
                    {"type": "text", "text": "Here it is:\n"},
                    {"type": "text", "text": f"```sql\n{DEEP}\n```"},
                ),
                message(
                    "q-1",
                    {"type": "thinking", "thinking": DEEP},
                    {"type": "tool_use", "id": "t", "name": "run", "input": {"sql": "SELECT 1"}},
                ),
                message("q-5", {"type": "tool_use", "name": "run", "input": {"query": "SELECT 2"}}),
                message(
                    "q-7",
                    {"type": "text", "text": "I run `SELECT draft FROM t` first."},
                    {"type": "tool_use", "name": "list", "input": {}},
                    {"type": "tool_use", "name": "run", "input": {"sql": COUNT}},
                ),
                {"custom_id": "q-3", "result": {"type": "errored", "error": {"type": "error"}}},
                {"custom_id": "q-4", "result": {"type": "expired"}},
                {"custom_id": "q-6", "result": {"type": "canceled"}},
            ]
        ),
        [
            ("q-2", DEEP, None, None),
            ("q-1", "SELECT 1", None, None),
            ("q-5", "SELECT 2", None, None),
            ("q-7", COUNT, None, None),
            ("q-3", "", None, None),
            ("q-4", "", None, None),
            ("q-6", "", None, None),
        ],
    ),
    "Anthropic batch by Bedrock": (
        "anthropic_batch",
        "predictions",
        "results.jsonl.out",
        as_lines(
            [
                {
                    "recordId": "q-1",
                    "modelInput": {"messages": USER},
                    "modelOutput": {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": COUNT},
                            {"type": "text", "text": FENCED},
                        ],
                    },
                },
                {"recordId": "q-2", "modelInput": {"messages": USER}, "error": {"errorCode": 400}},
            ]
        ),
        [("q-1", DEEP, None, None), ("q-2", "", None, None)],
    ),
    "Gemini batch": (
        "gemini_batch",
        "predictions",
        "results.jsonl",
        as_lines(
            [
                {
                    "key": "q-2",
                    "response": {
                        "candidates": [
                            candidate({"text": COUNT, "thought": True}, {"text": FENCED})
                        ]
                    },
                },
                {
                    "key": "q-1",
                    "response": {
                        "candidates": [
                            candidate(
                                {"functionCall": {"name": "run", "args": {"sql": "SELECT 1"}}}
                            )
                        ]
                    },
                },
                {"key": "q-3", "response": {"candidates": [{"finishReason": "MAX_TOKENS"}]}},
                {"key": "q-4", "response": {"candidates": [{"content": {"role": "model"}}]}},
                {"key": "q-5", "error": {"code": 4, "message": "Deadline."}},
                {"key": "q-6", "response": {"promptFeedback": {"blockReason": "OTHER"}}},
            ]
        ),
        [
            ("q-2", DEEP, None, None),
            ("q-1", "SELECT 1", None, None),
            ("q-3", "", None, None),
            ("q-4", "", None, None),
            ("q-5", "", None, None),
            ("q-6", "", None, None),
        ],
    ),
    "Vertex AI batch": (
        "gemini_batch",
        "predictions",
        "prediction-model.jsonl",
        as_lines(
            [
                {
                    "status": "",
                    "request": {"contents": [{"role": "user", "parts": [{"text": "Deep?"}]}]},
                    "response": {"candidates": [candidate({"text": "```sql\n"}, {"text": DEEP})]},
                }
            ]
        ),
        [(None, DEEP, None, "Deep?")],
    ),
    "vLLM outputs": (
        "vllm",
        "predictions",
        "outputs.jsonl",
        as_lines(
            [
                {
                    "request_id": "0",
                    "prompt": "Deep?",
                    "outputs": [{"index": 0, "text": FENCED}, {"index": 1, "text": COUNT}],
                    "finished": True,
                },
                {"request_id": "1", "prompt": "How many?", "outputs": []},
            ]
        ),
        [("0", DEEP, None, "Deep?"), ("1", "", None, "How many?")],
    ),
    "vLLM benchmark": (
        "vllm",
        "predictions",
        "vllm-1qps-model.json",
        as_json(
            {
                "backend": "vllm",
                "num_prompts": 3,
                "input_lens": [1, 2, 3],
                "output_lens": [9, 0, 9],
                "errors": ["", "timed out", ""],
                "generated_texts": [FENCED, "", COUNT],
            }
        ),
        [
            (None, DEEP, None, None),
            (None, "", None, None),
            (None, COUNT, None, None),
        ],
    ),
    "LLaMA-Factory": (
        "llama_factory",
        "predictions",
        "generated_predictions.jsonl",
        as_lines([{"prompt": "Deep?", "predict": FENCED, "label": GOLD}]),
        [(None, DEEP, None, "Deep?")],
    ),
    "LLaMA-Factory, references": (
        "llama_factory_gold",
        "target",
        "generated_predictions.jsonl",
        as_lines([{"prompt": "Deep?", "predict": FENCED, "label": GOLD}]),
        [(None, GOLD, None, "Deep?")],
    ),
    "DB-GPT-Hub": (
        "llama_factory",
        "predictions",
        "generated_predictions.jsonl",
        as_lines([{"label": GOLD, "predict": DEEP}]),
        [(None, DEEP, None, None)],
    ),
    "lm-evaluation-harness": (
        "lm_eval",
        "predictions",
        "samples_spider_2026-01-01.jsonl",
        as_lines(
            [
                {**SAMPLE, "resps": [[FENCED, COUNT]], "filtered_resps": [DEEP], "filter": "none"},
                {**SAMPLE, "resps": [[FENCED, COUNT]], "filtered_resps": ["x"], "filter": "strict"},
                {**SAMPLE, "doc_id": 1, "resps": [[COUNT]], "filtered_resps": [], "filter": "none"},
            ]
        ),
        [("0", DEEP, "port", "q"), ("1", COUNT, "port", "q")],
    ),
    "lm-evaluation-harness, references": (
        "lm_eval_gold",
        "target",
        "samples_spider_2026-01-01.jsonl",
        as_lines(
            [
                {**SAMPLE, "resps": [[FENCED]], "filtered_resps": [DEEP]},
                {**SAMPLE, "doc_id": 1, "target": [COUNT, DEEP], "resps": [[DEEP]]},
            ]
        ),
        [("0", GOLD, "port", "q"), ("1", COUNT, "port", "q")],
    ),
    "TRL prompts and completions": (
        "trl",
        "train",
        "train.jsonl",
        as_lines([{"prompt": "Deep?", "completion": FENCED}, {"prompt": "Two", "completion": "x"}]),
        [(None, DEEP, None, "Deep?"), (None, "x", None, "Two")],
    ),
    "TRL conversations": (
        "trl",
        "train",
        "train.jsonl",
        as_lines(
            [
                {"prompt": USER, "completion": [assistant(FENCED)]},
                {"prompt": USER, "completion": [assistant([{"type": "text", "text": COUNT}])]},
                {"prompt": USER, "completion": []},
            ]
        ),
        [
            (None, DEEP, None, "Deep?"),
            (None, COUNT, None, "Deep?"),
            (None, "", None, "Deep?"),
        ],
    ),
    "TRL preferences": (
        "trl",
        "train",
        "train.jsonl",
        as_lines(
            [
                {"prompt": "Deep?", "chosen": DEEP, "rejected": COUNT, "db_id": "port"},
                {"prompt": USER, "chosen": [assistant(DEEP)], "rejected": [assistant(COUNT)]},
                {"chosen": [*USER, assistant(DEEP)], "rejected": [*USER, assistant(COUNT)]},
                {"prompt": "Deep?", "chosen": {"from": "gpt", "value": DEEP}},
                {"chosen": DEEP, "rejected": COUNT},
            ]
        ),
        [
            (None, DEEP, "port", "Deep?"),
            (None, DEEP, None, "Deep?"),
            (None, DEEP, None, "Deep?"),
            (None, DEEP, None, "Deep?"),
            (None, DEEP, None, None),
        ],
    ),
    "TRL completions with labels": (
        "trl",
        "train",
        "train.jsonl",
        as_lines(
            [
                {"prompt": "Deep?", "completion": COUNT, "label": False},
                {"prompt": "Deep?", "completion": DEEP, "label": True},
            ]
        ),
        [(None, DEEP, None, "Deep?")],
    ),
    "TRL conversations as Parquet": (
        "trl",
        "train",
        "train.parquet",
        as_parquet(
            [
                {"prompt": USER, "completion": [assistant(COUNT)], "label": False},
                {"prompt": USER, "completion": [assistant(FENCED)], "label": True},
            ]
        ),
        [(None, DEEP, None, "Deep?")],
    ),
    "TRL preferences as Parquet": (
        "trl",
        "train",
        "train.parquet",
        as_parquet([{"prompt": "Deep?", "chosen": FENCED, "rejected": COUNT}]),
        [(None, DEEP, None, "Deep?")],
    ),
    "verl": (
        "verl",
        "train",
        "train.jsonl",
        as_lines(
            [
                {**VERL, "reward_model": {"style": "rule", "ground_truth": truth}}
                for truth in (
                    DEEP,
                    {"db_id": "port", "sql": DEEP},
                    '{"db_id": "port", "sql": "SELECT 1"}',
                    [DEEP, COUNT],
                )
            ]
            + [{"prompt": USER, "reward_spec": {"ground_truth": DEEP}, "db_id": "port"}]
        ),
        [
            ("7", DEEP, None, "Deep?"),
            ("7", DEEP, "port", "Deep?"),
            ("7", "SELECT 1", "port", "Deep?"),
            ("7", DEEP, None, "Deep?"),
            (None, DEEP, "port", "Deep?"),
        ],
    ),
    "verl as Parquet": (
        "verl",
        "train",
        "train.parquet",
        as_parquet(
            [{**VERL, "reward_model": {"ground_truth": {"db_id": "port", "sql": DEEP}}}] * 2
        ),
        [("7", DEEP, "port", "Deep?")] * 2,
    ),
    "verl for supervised training": (
        "verl",
        "train",
        "train.parquet",
        as_parquet([{"data_source": "bird", "prompt": "Deep?", "response": FENCED}]),
        [(None, DEEP, None, "Deep?")],
    ),
    "verl, generated": (
        "verl_predictions",
        "predictions",
        "generated.parquet",
        as_parquet(
            [
                {
                    **VERL,
                    "reward_model": {"ground_truth": {"db_id": "port", "sql": GOLD}},
                    "responses": [FENCED, COUNT],
                }
            ]
        ),
        [("7", DEEP, "port", "Deep?")],
    ),
    "verl, generated, as JSON lines": (
        "verl_predictions",
        "predictions",
        "generated.jsonl",
        as_lines(
            [
                {**VERL, "reward_model": {"ground_truth": GOLD}, "responses": [FENCED, COUNT]},
                {**VERL, "reward_model": {"ground_truth": GOLD}, "responses": FENCED},
                {"prompt": "Deep?", "response": FENCED},
            ]
        ),
        [
            ("7", DEEP, None, "Deep?"),
            ("7", DEEP, None, "Deep?"),
            (None, DEEP, None, "Deep?"),
        ],
    ),
    "OmniSQL": (
        "omnisql_sft",
        "train",
        "train_synsql.json",
        as_json([{"input_seq": "Deep?", "output_seq": f"I think.\n{FENCED}", "db_id": "port"}]),
        [(None, DEEP, "port", "Deep?")],
    ),
    "OmniSQL as Parquet": (
        "omnisql_sft",
        "train",
        "train.parquet",
        as_parquet([{"input_seq": "Deep?", "output_seq": FENCED}]),
        [(None, DEEP, None, "Deep?")],
    ),
    "OmniSQL, predictions": (
        "omnisql_predictions",
        "predictions",
        "dev_spider.json",
        as_json(
            [
                {
                    "input_seq": "schema",
                    "output_seq": GOLD,
                    "question": "Deep?",
                    "question_id": 3,
                    "db_id": "port",
                    "responses": ["Here it is: ...", "Or: ..."],
                    "pred_sqls": [DEEP, COUNT],
                },
                {"input_seq": "schema", "output_seq": GOLD, "responses": [FENCED]},
            ]
        ),
        [("3", DEEP, "port", "Deep?"), (None, DEEP, None, "schema")],
    ),
    "BIRD-CRITIC": (
        "bird_critic",
        "target",
        "bird_critic.jsonl",
        as_lines(
            [
                {
                    "dialect": "PostgreSQL",
                    "instance_id": 1,
                    "db_id": "port",
                    "query": "My query returns duplicates, how to fix?",
                    "issue_sql": ["SELECT name FROM harbor, boat"],
                    "sol_sql": [f"{DEEP};"],
                },
                {
                    "instance_id": 2,
                    "db_id": "port",
                    "query": "An index?",
                    "sol_sql": [
                        "CREATE INDEX i ON boat (kind); ",
                        "SELECT 1 -- one",
                        " ",
                        f"{COUNT}\n",
                    ],
                },
                {
                    "instance_id": 3,
                    "db_id": "port",
                    "query": "As text?",
                    "sol_sql": f"{DEEP};[split]\n{COUNT}",
                },
            ]
        ),
        [
            ("1", f"{DEEP};", "port", "My query returns duplicates, how to fix?"),
            (
                "2",
                f"CREATE INDEX i ON boat (kind);\nSELECT 1 -- one\n;\n{COUNT}",
                "port",
                "An index?",
            ),
            ("3", f"{DEEP};\n\n{COUNT}", "port", "As text?"),
        ],
    ),
    "LiveSQLBench": (
        "livesqlbench",
        "target",
        "livesqlbench_data.jsonl",
        as_lines([task(1, sol_sql=[DEEP], test_cases=[]), task(2, sol_sql=[])]),
        [("port_1", DEEP, "port", "Question 1?"), ("port_2", "", "port", "Question 2?")],
    ),
    "BIRD-Interact": (
        "bird_interact",
        "target",
        "bird_interact_data.jsonl",
        as_lines(
            [
                task(
                    1,
                    amb_user_query="Vague?",
                    sol_sql=[DEEP],
                    follow_up={"query": "And how many?", "sol_sql": COUNT},
                ),
                task(2, sol_sql=[COUNT], follow_up=None),
            ]
        ),
        [
            ("port_1", DEEP, "port", "Question 1?"),
            ("port_1/follow_up", COUNT, "port", "And how many?"),
            ("port_2", COUNT, "port", "Question 2?"),
        ],
    ),
    "BIRD-CRITIC, answers": (
        "bird_critic_predictions",
        "predictions",
        "flash.jsonl",
        as_lines(
            [
                {"instance_id": "PostgreSQL_1", "pred_sqls": [DEEP]},
                {"instance_id": "PostgreSQL_2", "pred_sqls": []},
            ]
        ),
        [("PostgreSQL_1", DEEP, None, None), ("PostgreSQL_2", "", None, None)],
    ),
    "LiveSQLBench, answers": (
        "livesqlbench_predictions",
        "predictions",
        "final_output.jsonl",
        as_lines([task(1, sol_sql=[GOLD], response=FENCED, pred_sqls=[DEEP])]),
        [("port_1", DEEP, "port", "Question 1?")],
    ),
    "text2sql-eval-toolkit": (
        "text2sql_eval_toolkit",
        "target",
        "beaver.json",
        as_json(
            [
                {"id": "a", "question": "q", "db_id": "dw", "sql": [DEEP, COUNT], "meta": {}},
                {"id": "b", "utterance": "r", "db_id": "dw", "sql": COUNT, "oracle_sql": GOLD},
            ]
        ),
        [("a", DEEP, "dw", "q"), ("b", COUNT, "dw", "r")],
    ),
}


@pytest.mark.parametrize("sample", MODEL_SAMPLES)
def test_each_format_gives_its_queries(tmp_path, sample):
    format, role, name, content, expected = MODEL_SAMPLES[sample]
    path = tmp_path / name
    path.write_bytes(content)
    # Several answers are tested with the lists.
    keys = PREDICTIONS | {"answers": "first"} if role == "predictions" else {"role": role}
    rows = ingested(entry(path, format, **keys), tmp_path)
    found = [(row["id"], row["sql"], row["db_id"], row["question"]) for row in rows]
    assert found == expected


def test_all_formats_are_tested():
    samples = {**DUMPS, **SAMPLES, **MODEL_SAMPLES, **TOOL_SAMPLES, **LOGS, **PG_LOGS}.values()
    tested = {ALIASES.get(format, format) for format, *_ in samples}
    elsewhere = {"dbt", "ehrsql_2024", "fingerprint", "spider2", "sql_files", "tsv"}
    assert set(list_formats()) - tested == elsewhere


def test_ehrsql_2024_joins_labels_with_their_questions(tmp_path):
    folder = tmp_path / "valid"
    folder.mkdir()
    labels = {"b7": "select count(*) from boat", "a1": "null", "c9": "select 1"}
    (folder / "label.json").write_bytes(as_json(labels))
    rows = [{"id": "a1", "question": "Who?"}, {"id": "b7", "question": "How many?"}]
    (folder / "data.json").write_bytes(as_json({"version": "demo", "data": rows}))
    (folder / "answer.json").write_bytes(as_json({"b7": "3"}))
    found = ingested(entry(folder, "ehrsql_2024"), tmp_path)
    assert [(row["id"], row["sql"], row["question"]) for row in found] == [
        ("b7", "select count(*) from boat", "How many?"),
        ("a1", "null", "Who?"),
        ("c9", "select 1", None),
    ]
    assert resolve_format(entry(folder, "auto", role="target"))[0].format == "ehrsql_2024"
    found = ingested(entry(folder / "label.json", "ehrsql_2024"), tmp_path)
    assert [(row["sql"], row["question"]) for row in found][:1] == [
        ("select count(*) from boat", None)
    ]


READINGS = [
    ("bird_critic", "bird_critic_predictions"),
    ("llama_factory_gold", "llama_factory"),
    ("lm_eval_gold", "lm_eval"),
    ("omnisql_sft", "omnisql_predictions"),
    ("verl", "verl_predictions"),
]


@pytest.mark.parametrize(("references", "answers"), READINGS)
def test_a_reading_that_does_not_go_with_the_role_is_refused(references, answers):
    with pytest.raises(ValueError, match=f"'{references}' reads references.*; use '{answers}'"):
        entry("a.jsonl", references, **PREDICTIONS)
    for role in ("train", "target"):
        with pytest.raises(ValueError, match=f"'{answers}' reads a model.*; use '{references}'"):
            entry("a.jsonl", answers, role=role)


def test_predictions_of_the_toolkit_are_read_by_a_path(tmp_path):
    with pytest.raises(ValueError, match=r"use 'jsonl' with columns\.sql = '\$\.predictions"):
        entry("a.json", "text2sql_eval_toolkit", **PREDICTIONS)
    made = {"wx:m/l-3.1": {"predicted_sql": FENCED}, "other": {"predicted_sql": COUNT}}
    rows = [{"id": "a", "question": "q", "db_id": "dw", "sql": [GOLD], "predictions": made}]
    (tmp_path / "a.json").write_bytes(as_json(rows))
    columns = {"sql": '$.predictions."wx:m/l-3.1".predicted_sql', "db_id": "db_id"}
    [row] = ingested(entry(tmp_path / "a.json", "jsonl", columns=columns, **PREDICTIONS), tmp_path)
    assert (row["sql"], row["db_id"]) == (DEEP, "dw")


def test_statements_of_an_answer_are_kept_together(tmp_path):
    rows = [{"instance_id": "a", "pred_sqls": ["CREATE INDEX i ON boat (kind)", COUNT]}]
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    [row] = ingested(
        entry(tmp_path / "a.jsonl", "bird_critic_predictions", **PREDICTIONS), tmp_path
    )
    assert row["sql"] == f"CREATE INDEX i ON boat (kind);\n{COUNT}"
    rows = [{"instance_id": "a", "sol_sql": ["CREATE INDEX i ON boat (kind);", COUNT]}]
    (tmp_path / "b.jsonl").write_bytes(as_lines(rows))
    found = ingested(entry(tmp_path / "b.jsonl", "bird_critic", statements="each"), tmp_path)
    assert [row["sql"] for row in found] == ["CREATE INDEX i ON boat (kind)", COUNT]
    last = {**PREDICTIONS, "statements": "last"}
    [row] = ingested(entry(tmp_path / "a.jsonl", "bird_critic_predictions", **last), tmp_path)
    assert row["sql"] == COUNT


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        ("lm-evaluation-harness", "1 row is left out: 1 of further filters"),
        ("TRL completions with labels", "1 row is left out: 1 labeled as bad"),
        ("TRL conversations as Parquet", "1 row is left out: 1 labeled as bad"),
    ],
)
def test_rows_that_are_not_read_are_counted(tmp_path, sample, reason):
    format, role, name, content, _ = MODEL_SAMPLES[sample]
    (tmp_path / name).write_bytes(content)
    keys = PREDICTIONS if role == "predictions" else {"role": role}
    report = ingest_corpus(entry(tmp_path / name, format, **keys), tmp_path / "q.parquet")
    assert report.rows.text == reason


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_earlier_answers_of_chats_are_counted(tmp_path, suffix):
    turns = [
        {"role": "user", "content": "How many?"},
        assistant(COUNT),
        {"role": "user", "content": "Really?"},
        assistant("I select them from the table."),
        assistant(FENCED),
        assistant(DEEP),
    ]
    rows = [{"messages": turns}, {"messages": turns[:2]}]
    dump = tmp_path / f"chat{suffix}"
    dump.write_bytes((as_lines if suffix == ".jsonl" else as_parquet)(rows))
    report = ingest_corpus(entry(dump, "chat"), tmp_path / "q.parquet")
    assert report.rows.text == "2 rows are left out: 2 of earlier turns"
    found = ingested(entry(dump, "chat"), tmp_path)
    assert [(row["sql"], row["question"]) for row in found] == [
        (DEEP, "Really?"),
        (COUNT, "How many?"),
    ]


def test_tasks_and_answers_name_their_dialect(tmp_path):
    rows = [
        {"instance_id": 1, "dialect": "PostgreSQL", "sol_sql": [DEEP], "pred_sqls": [COUNT]},
        {"instance_id": "SQLServer_2", "sol_sql": [DEEP], "pred_sqls": [COUNT]},
        {"instance_id": "MySQL_3", "sol_sql": [DEEP], "pred_sqls": [COUNT]},
        {"instance_id": "alien_4", "sol_sql": [DEEP], "pred_sqls": [COUNT]},
    ]
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    for format, keys in [("bird_critic", {}), ("bird_critic_predictions", PREDICTIONS)]:
        report = ingest_corpus(entry(tmp_path / "a.jsonl", format, **keys), tmp_path / "q.parquet")
        assert report.rows.dialects == {"mysql": 1, "postgres": 1, "tsql": 1}


def test_public_tasks_without_solutions_are_refused(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(as_lines([task(1, sol_sql=[]), task(2, sol_sql=[])]))
    with pytest.raises(CorpusError, match="has no queries where format 'bird_critic' stores them"):
        ingested(entry(tmp_path / "a.jsonl", "bird_critic", role="target"), tmp_path)


@pytest.mark.parametrize("sample", sorted(MODEL_SAMPLES))
def test_each_format_is_recognized_for_its_role(tmp_path, sample):
    format, role, name, content, _ = MODEL_SAMPLES[sample]
    (tmp_path / name).write_bytes(content)
    keys = PREDICTIONS if role == "predictions" else {"role": role}
    found, note = resolve_format(entry(tmp_path / name, "auto", **keys))
    assert found.format == ALIASES.get(format, format)
    assert note.startswith(f"recognized as format '{found.format}': ")


BOTH = {
    "lm-evaluation-harness": "lm_eval_gold",
    "LLaMA-Factory": "llama_factory_gold",
    "OmniSQL, predictions": "omnisql_sft",
    "verl, generated": "verl",
    "LiveSQLBench, answers": "bird_critic",
}


@pytest.mark.parametrize("sample", BOTH)
def test_references_are_read_for_a_target(tmp_path, sample):
    _, _, name, content, _ = MODEL_SAMPLES[sample]
    (tmp_path / name).write_bytes(content)
    found, _ = resolve_format(entry(tmp_path / name, "auto", role="target"))
    assert found.format == BOTH[sample]
    assert {row["sql"] for row in ingested(found, tmp_path)} == {GOLD}


@pytest.mark.parametrize("sample", ["LiveSQLBench", "OmniSQL", "verl", "TRL preferences"])
def test_references_are_not_taken_for_predictions(tmp_path, sample):
    _, _, name, content, _ = MODEL_SAMPLES[sample]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError):
        resolve_format(entry(tmp_path / name, "auto", **PREDICTIONS))


def test_results_of_queries_are_not_taken_for_queries(tmp_path):
    rows = [{**VERL, "reward_model": {"ground_truth": "42"}, "gold_sql": DEEP}] * 2
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    found, _ = resolve_format(entry(tmp_path / "a.jsonl", "auto"))
    assert (found.format, found.columns.sql) == ("jsonl", "gold_sql")


@pytest.mark.parametrize("keys", [("prompt", "completion"), ("prompt", "response")])
def test_a_query_beside_a_prompt_is_not_left_for_its_completion(tmp_path, keys):
    rows = [{**dict.fromkeys(keys, "Deep?"), "sql": DEEP}] * 2
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    found, _ = resolve_format(entry(tmp_path / "a.jsonl", "auto"))
    assert (found.format, found.columns.sql) == ("jsonl", "sql")


def test_the_only_row_of_a_dump_is_not_taken_for_the_object_around_rows(tmp_path):
    row = {"id": "a", "question": "q", "sql": [GOLD], "response": DEEP}
    (tmp_path / "a.json").write_bytes(as_json([row]))
    found, _ = resolve_format(entry(tmp_path / "a.json", "auto", **PREDICTIONS))
    assert found.columns.sql == "response"
    found, _ = resolve_format(entry(tmp_path / "a.json", "auto"))
    assert (found.columns.sql, found.columns.rows) == ("sql", None)


def toolkit_rows(**models):
    made = {model: {"predicted_sql": sql} for model, sql in models.items()}
    row = {"id": "a", "question": "q", "db_id": "dw", "query": GOLD, "sql": [GOLD]}
    return as_json([{**row, "predictions": made}])


def test_predictions_of_one_model_are_recognized(tmp_path):
    (tmp_path / "a.json").write_bytes(toolkit_rows(**{"wx:m/l-3.1": FENCED}))
    found, _ = resolve_format(entry(tmp_path / "a.json", "auto", **PREDICTIONS))
    assert (found.format, found.columns.sql) == (
        "jsonl",
        '$.predictions."wx:m/l-3.1".predicted_sql',
    )
    [row] = ingested(found, tmp_path)
    assert [row[key] for key in ("id", "sql", "db_id", "question")] == ["a", DEEP, "dw", "q"]


def test_predictions_of_several_models_are_not_guessed(tmp_path):
    (tmp_path / "a.json").write_bytes(toolkit_rows(**{"wx:m/l-3.1": FENCED, "other": COUNT}))
    with pytest.raises(CorpusError) as caught:
        resolve_format(entry(tmp_path / "a.json", "auto", **PREDICTIONS))
    assert "holds the answers of several models (wx:m/l-3.1, other)" in str(caught.value)
    assert '$.predictions."wx:m/l-3.1".predicted_sql' in str(caught.value)
    found, _ = resolve_format(entry(tmp_path / "a.json", "auto", role="target"))
    assert found.format == "text2sql_eval_toolkit"
