"""The answer in the output of a model: after its reasoning, in tags, tool calls and fences."""

import pytest

from nl2sql_align.tasks.ingest.answers import clean_answer, explain_cleaning
from nl2sql_align.tasks.ingest.statements import choose_statements, split_statements
from tests.timing import fastest_seconds

S = "SELECT name FROM boat WHERE id = 3"
DRAFT = "SELECT draft FROM harbour"
DIALECTS = (None, "sqlite", "mysql", "postgres", "tsql")

REASONING = {
    "thought": (f"<think>\n{DRAFT}\n</think>\n\n{S}", S),
    "thought, then a fence": (f"<think>{DRAFT}</think>\n```sql\n{S};\n```", S),
    "the prompt opened the thought": (f"Okay:\n{DRAFT};\nNo.\n</think>\n\n{S}", S),
    "fences in the thought": (f"```sql\n{DRAFT}\n```\nNo.\n</think>\n```sql\n{S}\n```", S),
    "two thoughts": (f"<think>a</think>{DRAFT}<think>b</think>{S}", S),
    "cut within the thought": (f"<think>We try\n```sql\n{DRAFT}\n```\nand then", ""),
    "cut after the thought": (f"{DRAFT}\n</think>", ""),
    "a thought after the answer": (f"{S}\n<think>was it right?</think>", S),
    "a thought after the answer, cut": (f"{S}\n<think>was it", S),
    "no answer after the thought": (f"<think>{DRAFT}</think>\n\nI cannot.", "I cannot."),
    "a thought in a string": (
        "<think>x</think>\nSELECT a FROM log WHERE line LIKE '%</think>%'",
        "SELECT a FROM log WHERE line LIKE '%</think>%'",
    ),
    "strings and a thought on one line": (
        "boats' kinds like '%x%'</think>SELECT a FROM boat WHERE kind LIKE '%tug'",
        "SELECT a FROM boat WHERE kind LIKE '%tug'",
    ),
    "an apostrophe before the thought ends": (
        "I don't know.</think>SELECT a FROM boat WHERE kind = 'tug'",
        "SELECT a FROM boat WHERE kind = 'tug'",
    ),
    "capitals": (f"<THINK>{DRAFT}</THINK>{S}", S),
    "thinking": (f"<thinking>{DRAFT}</thinking>{S}", S),
    "other marks": (f"\u25c1think\u25b7{DRAFT}\u25c1/think\u25b7{S}", S),
    "marks in brackets": (f"[THINK]{DRAFT}[/THINK]{S}", S),
    "thought and solution": (
        f"<|begin_of_thought|>{DRAFT}<|end_of_thought|>\n<|begin_of_solution|>{S}"
        "<|end_of_solution|>",
        S,
    ),
    "names with a prefix": (f"<mm:think>{DRAFT}</mm:think>{S}<eos>", S),
    "reflection": (f"<thinking>a</thinking><reflection>{DRAFT}</reflection>\n{S}", S),
    "Cohere's marks": (
        f"<|START_THINKING|>We {DRAFT}<|END_THINKING|><|START_RESPONSE|>{S}<|END_RESPONSE|>",
        S,
    ),
    "Cohere's action": (
        f'<|START_THINKING|>We {DRAFT}<|END_THINKING|><|START_ACTION|>[{{"tool_name": "run", '
        f'"parameters": {{"query": "{S}"}}}}]<|END_ACTION|>',
        S,
    ),
    "Gemma's marks": (f"<|channel>thought\n{DRAFT}<channel|>{S}<turn|>", S),
    "Gemma's tool call": (
        f'<|channel>thought\n{DRAFT}<channel|><|tool_call>call:run{{query:<|"|>{S}<|"|>}}'
        "<tool_call|>",
        S,
    ),
    "Gemma's turns": (f"<|turn>user\n{DRAFT}<turn|>\n<|turn>model\n{S}<turn|>", S),
    "marks around a name": (f"<|think:start|>{DRAFT}<|think:end|>{S}", S),
    "marks with a name on both sides": (
        f"<|plamo:begin_think:plamo|>{DRAFT}<|plamo:end_think:plamo|>{S}",
        S,
    ),
    "marks for the inner": (f"<|inner_prefix|>{DRAFT}<|inner_suffix|>{S}", S),
    "unused tokens as marks": (f"[unused16]{DRAFT}[unused17]{S}", S),
    "sentences as marks": (
        f"Here is my thought process:\n{DRAFT}\nHere is my response:\n{S}",
        S,
    ),
    "the last action of an agent": (
        f"Thought: We {DRAFT}\nAction: run\nAction Input: {DRAFT}\nObservation: error\n"
        f"Thought: again\nAction: run\nAction Input: {S}\nObservation: [(1,)]\n"
        "Final Answer: three",
        S,
    ),
    "a draft in a sentence": (f"{DRAFT} would be wrong.\n\nFinal answer:\n\n{S}", S),
    "the final channel": (
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final"
        f"<|message|>{S}<|return|>",
        S,
    ),
    "the final channel without its marks": (f"analysisWe need {DRAFT}.assistantfinal{S}", S),
    "cut before the final channel": (f"<|channel|>analysis<|message|>{DRAFT}", ""),
    "a tool call for a channel": (
        "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>commentary "
        f'to=functions.run <|constrain|>json<|message|>{{"sql": "{S}"}}<|call|>',
        S,
    ),
}
TAGS = {
    "answer": (f"I put it in <answer> tags.\n{DRAFT}\n<answer>\n{S}\n</answer>", S),
    "answer around a fence": (f"<think>t</think><answer>```sql\n{S}\n```</answer>", S),
    "the last answer": (f"<answer>{DRAFT}</answer> wait <answer>{S}</answer>", S),
    "an answer that is cut": (f"{DRAFT}\n<answer>{S}", S),
    "an answer that the prompt opened": (f"{S}</answer>", S),
    "an answer in an open thought": (f"<think>{DRAFT} <answer>{S}</answer>", S),
    "solution": (f"{DRAFT}\n<solution>{S}</solution>", S),
    "an answer in words": (f"<sql>{S}</sql>\n<answer>It lists boats.</answer>", S),
    "final_sql": (f"<final_sql>\n{S}\n</final_sql>", S),
    "boxed": (rf"\boxed{{{S}}}", S),
    "a tag in a string": (
        "SELECT a FROM b WHERE c = '<answer>SELECT 1</answer>'",
        "SELECT a FROM b WHERE c = '<answer>SELECT 1</answer>'",
    ),
}
JSON = {
    "tool call": (
        f'<tool_call>\n{{"name": "run", "arguments": {{"sql": "{S}"}}}}\n</tool_call>',
        S,
    ),
    "arguments in a string": (
        r'<tool_call>{"name": "run", "arguments": "{\"sql\": \"SELECT \\\"a\\\" FROM t\"}"}',
        'SELECT "a" FROM t',
    ),
    "in a sentence": (f'I will SELECT the name. {{"sql": "{S}"}} Good.', S),
    "in a fence": (f'```json\n{{"reasoning": "{DRAFT}", "sql": "{S}"}}\n```', S),
    "line breaks": (r'{"sql": "SELECT a\nFROM b"}', "SELECT a\nFROM b"),
    "Python": (r"""{'sql': 'SELECT a FROM b WHERE c = \'x\''}""", "SELECT a FROM b WHERE c = 'x'"),
    "cut": (f'{{"sql": "{S}', S),
    "the question as query": (f'{{"query": "how many boats?", "sql": "{S}"}}', S),
    "an action": (f'{{"action": "sql_db_query", "action_input": "{S}"}}', S),
    "in a string": (
        """SELECT '{"sql": "SELECT 1"}' FROM t""",
        """SELECT '{"sql": "SELECT 1"}' FROM t""",
    ),
}
FENCES = {
    "the last of two": (f"```sql\n{DRAFT}\n```\nBetter:\n```sql\n{S}\n```", S),
    "a program after": (f'```sql\n{S}\n```\n```python\nrun("{DRAFT}")\n```', S),
    "a result after": (f"```sql\n{S}\n```\n```\n| name |\n| SELECT |\n```", S),
    "parts after": (f"```sql\n{S}\n```\n```sql\nSELECT name\n```\n```sql\nWHERE id\n```", S),
    "apostrophes around": (
        "It's:\n```sql\nSELECT a FROM b WHERE c = 'x'\n```\nIt's done.",
        "SELECT a FROM b WHERE c = 'x'",
    ),
    "tildes": (f"~~~sql\n{S}\n~~~\nDone", S),
    "cut": (f"Here: ```sql\n{S}", S),
    "one line": (f"```{S}```", S),
    "capitals": (f"```SQL {S}```", S),
    "another language": (f"```postgresql\n{S}\n```", S),
    "cited": (f"> ```sql\n> {S}\n> ```", S),
    "four marks": (f"````sql\n{S}\n````", S),
    "only a program": (f'```python\nquery = """{S}"""\n```', S),
    "code within a line": (f"Take ```sql {S}; ``` or ```sql {DRAFT}; ```.", S),
    "talk after it": (f"{S}\n```sql\n\nThis SQL query lists names.\n```", S),
}


@pytest.mark.parametrize("group", [REASONING, TAGS, JSON, FENCES])
def test_the_final_answer_is_taken(group):
    for dialect in DIALECTS:
        for name, (text, expected) in group.items():
            assert clean_answer(text, dialect) == expected, (name, dialect)


def test_the_first_block_is_taken_on_demand():
    text = f"<think>x</think>\n```sql\n{S}\n```\nOr:\n```sql\n{DRAFT}\n```"
    assert clean_answer(text, "sqlite", block="first") == S
    assert clean_answer(text, "sqlite") == DRAFT
    tagged = f"<answer>{S}</answer> or <answer>{DRAFT}</answer>"
    assert clean_answer(tagged, "sqlite", block="first") == S


PROMPTS = {
    "turns": (
        f"<|im_start|>system\n{DRAFT}<|im_end|>\n<|im_start|>user\nname?<|im_end|>\n"
        f"<|im_start|>assistant\n{S}<|im_end|>",
        S,
    ),
    "headers": (
        f"<|start_header_id|>user<|end_header_id|>\n\n{DRAFT}<|eot_id|><|start_header_id|>assistant"
        f"<|end_header_id|>\n\n{S}<|eot_id|>",
        S,
    ),
    "instruction": (f"<s>[INST] CREATE TABLE boat (id int) name? [/INST] {S}</s>", S),
    "instruction without its mark": (f"CREATE TABLE boat (id int);\nname? [/INST] {S}", S),
    "turns of a model": (f"<start_of_turn>user\nx<end_of_turn>\n<start_of_turn>model\n{S}", S),
    "turns without marks": (f"system\nx\nuser\n{DRAFT}\nassistant\n{S}", S),
    "headings": (f"### Instruction:\nUse {DRAFT}\n\n### Response:\n{S}", S),
    "headings and a schema": (
        f"### Task\nx\n### Database Schema\nCREATE TABLE boat (id int);\n### Answer\n[SQL]\n{S}",
        S,
    ),
    "a turn that follows": (f"{S}<|im_end|>\n<|im_start|>user\n```sql\n{DRAFT}\n```", S),
    "prose": (
        "the id of the boat is the primary key select t1.name from boat as t1 where t1.id = 3",
        "select t1.name from boat as t1 where t1.id = 3",
    ),
    "prose and a query in a query": (
        "boat : id | id is the key select a from boat where id in (\nselect id from berth )",
        "select a from boat where id in (\nselect id from berth )",
    ),
    "a question": (f"Select the names of all boats:\n{S}", S),
    "a sentence about SQL": (f"We SELECT the name column and filter.\n\n{S}", S),
    "an insertion": ("Use INSERT INTO boat SELECT a FROM b", "INSERT INTO boat SELECT a FROM b"),
    "schema": (f"CREATE TABLE boat (id int, kind text)\n\n/*\n2 rows\n*/\n\n{S}", S),
    "schema of two tables": (f"CREATE TABLE a (b int)\nCREATE TABLE c (d int)\n\n{S}", S),
    "schema and options": (f"CREATE TABLE boat (id int) ENGINE=InnoDB\n{S}", S),
    "schema and rows": (f"CREATE TABLE boat (id int);\nINSERT INTO boat VALUES (1);\n{S}", S),
    "schema and question": (f"CREATE TABLE a (b int);\n\n### How many boats?\n\n{S}", S),
    "schema and label": (f"CREATE TABLE a (b int);\nQuestion: how many?\nSQL: {S}", S),
    "schema and CTE": (
        "CREATE TABLE boat (id int)\nWITH x AS (SELECT 1) SELECT * FROM x",
        "WITH x AS (SELECT 1) SELECT * FROM x",
    ),
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_an_echoed_prompt_is_cut(prompt):
    text, expected = PROMPTS[prompt]
    for dialect in DIALECTS:
        assert clean_answer(text, dialect) == expected, dialect


def test_a_schema_is_kept_where_several_statements_count():
    text = f"CREATE TABLE boat (id int)\n\n{S}"
    expected = [text.partition("\n")[0], S]
    cleaned = clean_answer(text, "sqlite", takes_first=False)
    assert choose_statements(cleaned, "each") == expected
    assert choose_statements(cleaned, "last") == expected[1:]
    script = f"CREATE TABLE boat (id int);\nINSERT INTO boat VALUES (1);\n{S}"
    assert clean_answer(script, "sqlite", takes_first=False) == script


def test_a_line_with_a_slash_ends_a_statement_of_sqlplus():
    script = "SELECT a\n/ b FROM c;\n/\nSELECT d FROM e\n/\nSELECT f FROM g\n/\n"
    expected = ["SELECT a\n/ b FROM c", "SELECT d FROM e", "SELECT f FROM g"]
    assert split_statements(script, "oracle") == expected


def test_a_schema_before_a_query_is_a_statement_of_its_own():
    text = f"CREATE TABLE boat (id int)\n{S}"
    assert split_statements(text, "sqlite") == [text]
    assert split_statements(text, "sqlite", splits_definitions=True) == [text.partition("\n")[0], S]


ENDS = [
    "<|im_end|>",
    "</s>",
    "<|eot_id|>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<turn|>",
    "<seed:eos>",
    "<EOD>",
    "<extra_id_0>",
    "<end_of_sentence>",
    "[EOS]",
    " [PAD][PAD]\n[PAD]",
    " [/SQL]",
    "\n[/SQL]",
    " [/INST]",
    "\n</final_sql>",
    "\nSQLResults: [('a',)]",
    "\nSQLResult: 3\nAnswer: 3",
    "\n\n**Explanation:** lists.",
    "\n\n## Notes\n- names",
    "\n\n1. First we filter.",
    "\n\n- The name",
    "\nIt returns the name.",
    "\n\nthis query returns the name",
    ". This query returns the name.",
    "\n\nDiese Abfrage liefert den Namen.",
    "\nCette requ\u00eate liste le nom.",
    "\nEsta consulta devuelve el nombre.",
    "\n\n\u8bf4\u660e\uff1a\u8be5\u67e5\u8be2\u8fd4\u56de\u8239\u540d\u3002",
    "\n\u8fd9\u4e2a\u67e5\u8be2\u8fd4\u56de\u8239\u540d",
    "\n\uc774 \ucffc\ub9ac\ub294 \uc774\ub984",
    "\n\u8fd9\u6761\u8bed\u53e5\u67e5\u8be2\u8239\u3002",
    "\n\n\u042d\u0442\u043e \u0437\u0430\u043f\u0440\u043e\u0441.",
    "\uff1b",
    "\n+------+\n| name |\n+------+",
]


@pytest.mark.parametrize("end", ENDS)
def test_the_text_after_the_statement_is_cut(end):
    for dialect in DIALECTS:
        assert clean_answer(S + end, dialect) == S, dialect


@pytest.mark.parametrize(
    "text",
    [
        "SELECT [SQL] FROM [t]",
        "SELECT [PAD], [EOS] FROM [t]",
        "SELECT COUNT(*) FROM \u8239\n\u522b\u540d\nWHERE a = 1",
        "SELECT TOP 10\n  Id as [Post Link],\n  Score\nFROM Posts p\nOrder By Score",
        "SELECT --TOP 20\n  Name,\n  Kind\nFROM\n  Boats\nWHERE\n  Kind = 1",
        "Select Name\nFrom Boat B\nInner Join Berth On B.Id = Berth.Id\nWhere Name Is Not Null",
        "SELECT\n\u8239\u540d,\n\u5428\u4f4d\nFROM \u8239\nORDER BY\n\u8239\u540d",
        "SELECT a\n  - b\n  * c\nFROM d\n\n-- one\n# two\n",
        "SELECT men\u2019s_name FROM a WHERE women\u2019s_name = 'x'",
        "SELECT \u51c0\u503c\uff08\u5143\uff09 FROM \u8239",
        "SELECT '\uff08\uff1b\uff09 \u201cx\u201d \\_' FROM boat",
        "CREATE TABLE boat AS (SELECT a FROM b) UNION SELECT c FROM d",
        "CREATE TABLE boat (id, name) AS SELECT a, b FROM c",
        "CREATE TABLE boat (id int, kind text)",
        "WITH\n-- boats\nx AS (SELECT 1)\nSELECT * FROM x",
        "SELECT the_name, statement FROM query",
        "SELECT all_names n FROM boat WHERE a = 3.",
        "SELECT\u00a0a FROM b",
        "FROM boat SELECT name",
        "SELECT boat.a FROM boat JOIN berth ON berth.a = boat.",
        "INSERT INTO post VALUES ('<p>\n<s>x</s>\n<answer>SELECT 1</answer></p>')",
        "SELECT a FROM b /*\n\nThis query lists\n*/ WHERE c = 1",
        "CREATE VIEW v AS\nSELECT a\nFROM b",
        "SELECT a FROM b WHERE c LIKE '%```%' AND d = 'SELECT e' AND f = '[/SQL]'",
        "select distinct t1.name  from  boat as t1 join berth as t2 on t1.id = t2.id",
        "SELECT date of birth FROM crew WHERE id IN (\nSELECT id FROM boat)",
    ],
)
def test_statements_that_look_like_more_stay_unchanged(text):
    assert clean_answer(text, "tsql" if "[" in text else "mysql") == text


CHARACTERS = {
    r"SELECT COUNT(\*) FROM boat\_1k WHERE a = 'x\_y' AND b \> 3": (
        r"SELECT COUNT(*) FROM boat_1k WHERE a = 'x\_y' AND b > 3"
    ),
    "SELECT COUNT\uff08*\uff09\uff0cMAX(a) FROM boat\uff1b": "SELECT COUNT(*),MAX(a) FROM boat",
    "SELECT a FROM b WHERE c = \u2018tug\u2019": "SELECT a FROM b WHERE c = 'tug'",
    "SELECT a FROM b WHERE c = \u2018it\u2019s\u2019": "SELECT a FROM b WHERE c = 'it\u2019s'",
    "SELECT a FROM b WHERE c = \u201ca tug\u201d": 'SELECT a FROM b WHERE c = "a tug"',
    "SELECT a FROM\u200b b": "SELECT a FROM b",
    "\ufeffselect a from b": "select a from b",
    r"SELECT \"a\" FROM t WHERE b = \"x\"": 'SELECT "a" FROM t WHERE b = "x"',
    r'"SELECT \"a\" FROM t"': 'SELECT "a" FROM t',
    '"SELECT ""a"" FROM t"': 'SELECT "a" FROM t',
    r"'SELECT a FROM b WHERE c = \'x\''": "SELECT a FROM b WHERE c = 'x'",
    "'SELECT a FROM b WHERE c = ''x'''": "SELECT a FROM b WHERE c = 'x'",
    f"The query `{S}` reads `boat`.": S,
    "The query is `SELECT `a` FROM `t``.": "SELECT `a` FROM `t`",
    "``SELECT `a` FROM t``": "SELECT `a` FROM t",
    f'sql = "{S}"': S,
    f"\u201c{S}\u201d": S,
    f"\u00ab{S}\u00bb": S,
    f"\u300c{S}\u300d": S,
    f"**{S}**": S,
    f"$${S}$$": S,
    f"[{S}]": S,
    f"[SQL: {S}]": S,
    r"SELECT \`a\` FROM t WHERE b \^ c = \$1": "SELECT `a` FROM t WHERE b ^ c = $1",
    f'query = """\n{S}\n"""': S,
    f"'''sql\n{S}\n'''": S,
    "The answer: (SELECT a FROM b) UNION (SELECT c FROM d)": (
        "(SELECT a FROM b) UNION (SELECT c FROM d)"
    ),
}


@pytest.mark.parametrize("text", CHARACTERS)
def test_characters_of_chats_are_repaired(text):
    for dialect in DIALECTS:
        assert clean_answer(text, dialect) == CHARACTERS[text], dialect


def test_the_rules_are_reported():
    assert explain_cleaning(S).rules == ()
    assert explain_cleaning(f"  {S};\n").rules == ()
    assert explain_cleaning(f"<think>x</think>{S}").rules == ("reasoning",)
    assert explain_cleaning(f"So:\n```sql\n{S}\n```").rules == ("fenced block",)
    assert explain_cleaning(f"So: {S}\n\nThis lists.").rules == ("text before", "text after")
    assert explain_cleaning(f"{S}; {DRAFT}").rules == ("further statements",)


@pytest.mark.parametrize(
    "unit",
    [
        "<think>",
        "</think>",
        "'</think>'",
        "<answer>",
        "Action Input: SELECT a FROM b\n",
        "\nHere is my thought process:",
        "<|START_THINKING|>",
        "[PAD]",
        "\n/\n",
        "```sql\nSELECT a\n",
        "`",
        "CREATE TABLE a (b int)\n",
        "CREATE TABLE a (",
        "select a from ",
        "WITH /* ",
        '{"sql": "',
        r"\"arguments\": \"{",
        "<|im_start|>user\n",
        "<|channel|>final<|message|>",
        "[/INST]",
        r"\_",
        "\uff08",
        "\u2018",
        "\n\u8239",
        "\nThe a",
        "\\boxed{SELECT a",
    ],
)
def test_four_times_the_text_takes_about_four_times_as_long(unit):
    def measure(n_characters):
        text = "x\nSELECT a FROM 'b " + unit * (n_characters // len(unit))
        return fastest_seconds(lambda: clean_answer(text, "tsql"))

    # A quadratic step takes sixteen times as long.
    assert measure(24_000) < 10 * max(measure(6_000), 0.005)


def test_dollar_quotes_of_many_kinds_take_linear_time():
    text = "".join(f"$t{n}$ " for n in range(20_000))
    assert fastest_seconds(lambda: split_statements(text, "postgres")) < 2
    assert split_statements(f"SELECT 'a;b', {text}, 'c;d'; SELECT 2")[1:] == ["SELECT 2"]
