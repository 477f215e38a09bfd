"""Workloads in the files of tools: semantic models, dbt's manifest and saved queries."""

import json
import re
from itertools import pairwise

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import check_dialect
from nl2sql_align.tasks.ingest.dialect_names import name_dialect, suggest_dialect
from nl2sql_align.tasks.ingest.dumps import ingest_corpus, read_row_counts
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.ingest.yaml_documents import convert_yaml
from nl2sql_align.tasks.templates.dialect_choice import choose_dialect, list_own_dialects
from tests.unit.ingest.test_dumps import as_json, as_lines, entry
from tests.unit.ingest.test_formats import as_zip, ingested

DEEP = "SELECT name FROM harbor WHERE depth > 5"
COUNT = "SELECT COUNT(*) FROM boat"
MANY = "SELECT kind, COUNT(*)\nFROM boat\nGROUP BY kind\n"


def node(kind="model", **keys):
    return {"resource_type": kind, "language": "sql", "raw_code": "{{ ref('boat') }}", **keys}


def manifest(version=12, adapter="postgres", **nodes):
    schema = f"https://schemas.getdbt.com/dbt/manifest/v{version}.json"
    return {
        "metadata": {"dbt_schema_version": schema, "adapter_type": adapter, "project_name": "port"},
        "nodes": {name.replace("__", "."): one for name, one in nodes.items()},
        "disabled": {"model.port.old": [node()], "test.port.off": [node("test")]},
        "macros": {},
    }


def card(number, query, archived=False, **more):
    return {
        "id": number,
        "name": f"Card {number}",
        "archived": archived,
        "dataset_query": {"database": 2, **query},
        **more,
    }


def native(text):
    return {"type": "native", "native": {"query": text, "template-tags": {}}}


CARDS = [
    card(1, native(f"{DEEP} [[AND port = {{{{port}}}}]]")),
    card(2, native("SELECT 1"), archived=True),
    card(3, {"type": "query", "query": {"source-table": 4}}),
    card(
        4,
        {
            "lib/type": "mbql/query",
            "stages": [{"lib/type": "mbql.stage/native", "native": COUNT, "template-tags": {}}],
        },
    ),
    card(5, {"stages": [{"lib/type": "mbql.stage/mbql", "source-table": 4}]}),
    card(6, {"type": "native", "native": {"query": "[]", "collection": "boats"}}),
]
CARD_ROWS = [
    ("1", f"{DEEP} [[AND port = {{{{port}}}}]]", "2", "Card 1"),
    ("4", COUNT, "2", "Card 4"),
]
CARDS_LEFT_OUT = {"without SQL, made in the query editor": 2, "archived": 1, "of MongoDB": 1}


def saved(number, text, is_archived=False, is_draft=False):
    return {
        "id": number,
        "name": f"Query {number}",
        "query": text,
        "data_source_id": 3,
        "is_archived": is_archived,
        "is_draft": is_draft,
        "options": {"parameters": []},
    }


SAVED = [
    saved(1, "SELECT a FROM boat WHERE day > '{{ since }}'"),
    saved(2, "SELECT old FROM boat", is_archived=True),
    saved(3, "SELECT unfinished FROM boat", is_draft=True),
    saved(4, COUNT),
]
SAVED_ROWS = [("1", SAVED[0]["query"], "3", "Query 1"), ("4", COUNT, "3", "Query 4")]
SAVED_LEFT_OUT = {"archived": 1, "not published (drafts)": 1}

SEMANTIC_MODEL = f"""\
name: fleet
tables:
- name: boat
  base_table: {{database: PORT, schema: PUBLIC, table: BOAT}}
verified_queries:
- name: boats by kind
  question: How many boats of each kind?
  verified_at: 1715187400
  verified_by: no
  use_as_onboarding_question: true
  sql: |
    SELECT kind, COUNT(*)
    FROM boat
    GROUP BY kind
- name: "deep harbors"
  question: Which harbors are deep?
  sql: {DEEP}
"""
SEMANTIC_ROWS = [
    ("boats by kind", MANY, "fleet", "How many boats of each kind?"),
    ("deep harbors", DEEP, "fleet", "Which harbors are deep?"),
]
SPACE = {
    "version": 2,
    "instructions": {
        "example_question_sqls": [
            {"id": "a1", "question": ["Deep?"], "sql": ["SELECT name\n", "FROM harbor"]}
        ]
    },
    "benchmarks": {
        "questions": [
            {"id": "b1", "question": ["All?"], "answer": [{"format": "SQL", "content": [COUNT]}]},
            {"id": "b2", "question": ["None?"]},
        ]
    },
}
SPACE_ROWS = [("a1", "SELECT name\n\nFROM harbor", None, "Deep?"), ("b1", COUNT, None, "All?")]

EXPORT = {
    "saved_query_export__metadata.yaml": "version: 1.0.0\ntype: SavedQuery\n",
    "saved_query_export__databases__port.yaml": "database_name: port\nuuid: d-1\nversion: 1.0.0\n"
    "sqlalchemy_uri: mssql+pymssql://reader:XXXXXXXXXX@db/port\n",
    "saved_query_export__queries__port__sea__deep_test.yaml": "catalog: null\nschema: sea\n"
    f"label: Deep harbors\ndescription: ''\nsql: |-\n  {DEEP}\n  AND port = '{{{{ port }}}}'\n"
    "uuid: q-1\nversion: 1.0.0\ndatabase_uuid: d-1\n",
    "saved_query_export__queries__port__untitled_dev.yaml": "schema: null\nlabel: Boats\n"
    f"sql: '{COUNT}'\nuuid: q-2\nversion: 1.0.0\ndatabase_uuid: d-1\n",
}
EXPORT_ROWS = [
    ("q-1", f"{DEEP}\nAND port = '{{{{ port }}}}'", "sea", "Deep harbors"),
    ("q-2", COUNT, "port", "Boats"),
]
DATASETS = {
    "e__charts__kinds_1.yaml": "slice_name: Kinds\nviz_type: pie\nuuid: c-1\ndataset_uuid: t-2\n",
    "e__datasets__port__boat.yaml": "table_name: boat\nschema: sea\nsql: null\nuuid: t-1\n"
    "columns: []\ndatabase_uuid: d-1\n",
    "e__datasets__port__kinds.yaml": "table_name: kinds\nschema: sea\nsql: |\n"
    "  SELECT kind, COUNT(*)\n  FROM boat\n  GROUP BY kind\nuuid: t-2\ndatabase_uuid: d-1\n",
}
API_QUERY = {
    "id": 5,
    "label": "Boats",
    "sql": COUNT,
    "schema": None,
    "database": {"id": 1, "database_name": "port"},
}
MANIFEST = manifest(
    model__port__boats=node(compiled_code=MANY, compiled=True),
    analysis__port__deep=node("analysis", compiled_code=DEEP),
    model__port__raw=node(compiled_code=None),
    model__port__view=node(),
    model__port__forecast=node(language="python", compiled_code="def model(dbt, session): ..."),
    model__package__counts=node(compiled_code=COUNT),
    test__port__unique=node("test", compiled_code="select 1"),
    seed__port__kinds=node("seed"),
)
MANIFEST_ROWS = [
    ("model.port.boats", MANY, None, None),
    ("analysis.port.deep", DEEP, None, None),
    ("model.package.counts", COUNT, None, None),
]
MANIFEST_LEFT_OUT = {
    "not compiled (run dbt compile)": 2,
    "disabled": 1,
    "in Python": 1,
    "of type seed": 1,
    "of type test": 1,
}

# Format, file, content, the id, sql, db_id and question of each row, and the rows left out.
TOOL_SAMPLES = {
    "dbt manifest": (
        "dbt_manifest",
        "manifest.json",
        as_json(MANIFEST),
        MANIFEST_ROWS,
        MANIFEST_LEFT_OUT,
    ),
    "dbt manifest, indented": (
        "dbt_manifest",
        "a.json",
        json.dumps(MANIFEST, indent=2).encode(),
        MANIFEST_ROWS,
        MANIFEST_LEFT_OUT,
    ),
    "dbt manifest before version 1.3": (
        "dbt_manifest",
        "manifest.json",
        as_json(manifest(4, model__port__boats={"resource_type": "model", "compiled_sql": COUNT})),
        [("model.port.boats", COUNT, None, None)],
        {"disabled": 1},
    ),
    "Snowflake semantic model": (
        "snowflake_semantic_model",
        "fleet.yaml",
        SEMANTIC_MODEL.encode(),
        SEMANTIC_ROWS,
        {},
    ),
    "Genie space": ("genie", "space.json", as_json(SPACE), SPACE_ROWS, {"without SQL": 1}),
    "Genie space of the API": (
        "genie",
        "space.json",
        as_json({"space_id": "1", "title": "Fleet", "serialized_space": json.dumps(SPACE)}),
        [(number, text, "Fleet", question) for number, text, _, question in SPACE_ROWS],
        {"without SQL": 1},
    ),
    "Metabase list": ("metabase", "cards.json", as_json(CARDS), CARD_ROWS, CARDS_LEFT_OUT),
    "Metabase lines": ("metabase", "cards.jsonl", as_lines(CARDS), CARD_ROWS, CARDS_LEFT_OUT),
    "Metabase page": (
        "metabase",
        "page.json",
        as_json({"total": 6, "data": CARDS}),
        CARD_ROWS,
        CARDS_LEFT_OUT,
    ),
    "Metabase card": ("metabase", "card.json", as_json(CARDS[0]), CARD_ROWS[:1], {}),
    "Metabase table": (
        "metabase",
        "report_card.json",
        as_json([{**one, "dataset_query": json.dumps(one["dataset_query"])} for one in CARDS]),
        CARD_ROWS,
        CARDS_LEFT_OUT,
    ),
    "Metabase serialization": (
        "metabase",
        "export.zip",
        as_zip(
            **{
                "e__collections__cards__deep.yaml": "name: Deep\nentity_id: e1\narchived: false\n"
                f"dataset_query:\n  type: native\n  native:\n    query: |-\n      {DEEP}\n"
                "  database: Port\n",
                "e__collections__cards__old.yaml": "name: Old\nentity_id: e2\narchived: true\n"
                "dataset_query:\n  database: Port\n  stages:\n  - native: SELECT 1\n",
                "e__collections__fleet.yaml": "name: Fleet\nslug: fleet\n",
                "e__databases__Port__Port.yaml": "name: Port\nengine: sqlserver\n",
            }
        ),
        [("e1", DEEP, "Port", "Deep")],
        {"archived": 1},
    ),
    "Redash page": (
        "redash",
        "queries.json",
        as_json({"count": 4, "page": 1, "page_size": 25, "results": SAVED}),
        SAVED_ROWS,
        SAVED_LEFT_OUT,
    ),
    "Redash list": ("redash", "queries.json", as_json(SAVED), SAVED_ROWS, SAVED_LEFT_OUT),
    "Redash pages": (
        "redash",
        "queries.jsonl",
        as_lines([{"page": n, "results": [one]} for n, one in enumerate(SAVED)]),
        SAVED_ROWS,
        SAVED_LEFT_OUT,
    ),
    "Superset saved queries": ("superset", "export.zip", as_zip(**EXPORT), EXPORT_ROWS, {}),
    "Superset datasets": (
        "superset",
        "export.zip",
        as_zip(**DATASETS),
        [("t-2", MANY, "sea", "kinds")],
        {"of type chart": 1, "of type table": 1},
    ),
    "Redash page of several": (
        "redash",
        "queries.json",
        as_json({"count": 250, "page": 1, "page_size": 4, "results": SAVED}),
        SAVED_ROWS,
        {**SAVED_LEFT_OUT, "on pages that the dump lacks": 246},
    ),
    "Superset page of several": (
        "superset",
        "queries.json",
        as_json({"count": 3, "ids": [5, 6, 7], "result": [API_QUERY]}),
        [("5", COUNT, "port", "Boats")],
        {"on pages that the dump lacks": 2},
    ),
    "Superset API": (
        "superset",
        "queries.json",
        as_json({"count": 1, "ids": [5], "result": [API_QUERY]}),
        [("5", COUNT, "port", "Boats")],
        {},
    ),
}


@pytest.mark.parametrize("name", TOOL_SAMPLES)
def test_files_of_tools_are_recognized_and_read(tmp_path, name):
    format, file, content, expected, left_out = TOOL_SAMPLES[name]
    (tmp_path / file).write_bytes(content)
    found, reason = resolve_format(entry(tmp_path / file, "auto", role="target"))
    assert (found.format, reason.split(": ")[0]) == (format, f"recognized as format '{format}'")
    rows = ingested(found, tmp_path)
    assert [(row["id"], row["raw_sql"], row["db_id"], row["question"]) for row in rows] == expected
    assert read_row_counts(tmp_path / "stage" / "queries.parquet").left_out == left_out


@pytest.mark.parametrize("given", [EXPORT, DATASETS])
def test_an_unpacked_export_is_read_as_its_archive(tmp_path, given):
    for name, text in given.items():
        path = tmp_path.joinpath("export", *name.split("__"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "export.zip").write_bytes(as_zip(**given))
    corpora = [entry(tmp_path / name, "auto") for name in ("export", "export.zip")]
    found = [resolve_format(corpus)[0] for corpus in corpora]
    assert {corpus.format for corpus in found} == {"superset"}
    folder, archive = (ingested(corpus, tmp_path) for corpus in found)
    assert folder == archive


@pytest.mark.parametrize(
    ("adapter", "dialect"),
    [
        ("postgres", "postgres"),
        ("sqlserver", "tsql"),
        ("synapse", "tsql"),
        ("fabric", "fabric"),
        ("bigquery", "bigquery"),
        ("databricks", "databricks"),
        ("glue", "spark"),
        ("athena", "athena"),
        ("trino", "trino"),
        ("clickhouse", "clickhouse"),
        ("bigquery-cloud-sdk", "bigquery"),
        ("presto-jdbc", "presto"),
        ("postgresql+psycopg2", "postgres"),
        ("mssql+pyodbc", "tsql"),
        ("MySQL", "mysql"),
        ("vertica", None),
        ("", None),
    ],
)
def test_names_of_databases_are_dialects(adapter, dialect):
    assert name_dialect(adapter) == dialect


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("mssql", "did you mean 'tsql'?"),
        ("SQL-Server", "did you mean 'tsql'?"),
        ("plsql", "did you mean 'oracle'?"),
        ("psql", "did you mean 'postgres'?"),
        ("pg", "did you mean 'postgres'?"),
        ("postgresql", "did you mean 'postgres'?"),
        ("mariadb", "did you mean 'mysql'?"),
        ("snowflak", "did you mean 'snowflake'?"),
        ("hana", "use one of athena, bigquery, "),
    ],
)
def test_another_name_of_a_dialect_is_answered_with_its_own(name, remedy):
    assert suggest_dialect(name).startswith(remedy)
    with pytest.raises(ValueError, match=re.escape(f"unknown dialect '{name}'; {remedy}")):
        check_dialect(name)


def ingest_all(corpus, folder):
    queries = folder / "queries.parquet"
    ingest_corpus(corpus, queries)
    return queries


def test_the_dialect_of_a_manifest_is_its_adapter(tmp_path):
    nodes = {f"model__port__m{n}": node(compiled_code=f"select a{n} from b") for n in range(3)}
    (tmp_path / "manifest.json").write_bytes(as_json(manifest(adapter="sqlserver", **nodes)))
    queries = ingest_all(entry(tmp_path / "manifest.json", "dbt_manifest"), tmp_path)
    own = list_own_dialects("dbt_manifest", queries)
    choice = choose_dialect(queries, own)
    assert (own, choice.dialect, choice.is_own) == (["tsql"], "tsql", True)
    assert choice.reason.startswith("dialect 'tsql' is the dump's own")


def test_another_dialect_is_chosen_if_it_parses_clearly_more(tmp_path):
    text = "SELECT `a b`, c FROM `x`.`y` LIMIT 3"
    nodes = {f"model__port__m{n}": node(compiled_code=f"{text}{n}") for n in range(3)}
    (tmp_path / "manifest.json").write_bytes(as_json(manifest(adapter="oracle", **nodes)))
    queries = ingest_all(entry(tmp_path / "manifest.json", "dbt_manifest"), tmp_path)
    choice = choose_dialect(queries, ["oracle"])
    assert choice.dialect != "oracle"
    assert not choice.is_own
    assert "parses most" in choice.reason


def test_a_mixture_of_dialects_is_reported(tmp_path):
    given = {
        **EXPORT,
        "saved_query_export__databases__x.yaml": "uuid: d-2\nsqlalchemy_uri: bigquery://x\n",
        "saved_query_export__queries__x__a.yaml": "label: a\nschema: s\nsql: SELECT 1\nuuid: q-3\n"
        "database_uuid: d-2\n",
    }
    (tmp_path / "export.zip").write_bytes(as_zip(**given))
    queries = ingest_all(entry(tmp_path / "export.zip", "superset"), tmp_path)
    rows = read_row_counts(queries)
    assert rows.dialects == {"tsql": 2, "bigquery": 1}
    assert rows.mixture.startswith("its queries are of several dialects (tsql 2, bigquery 1)")
    assert list_own_dialects("superset", queries) == ["tsql", "bigquery"]


def test_a_dump_of_left_out_rows_says_why(tmp_path):
    (tmp_path / "queries.json").write_bytes(as_json(SAVED[1:3]))
    with pytest.raises(CorpusError, match="2 rows are left out: 1 archived, 1 not published"):
        ingest_all(entry(tmp_path / "queries.json", "redash"), tmp_path)


def test_other_artifacts_of_dbt_are_not_manifests(tmp_path):
    schema = "https://schemas.getdbt.com/dbt/run-results/v6.json"
    results = {"metadata": {"dbt_schema_version": schema}, "results": [{"compiled_code": DEEP}] * 2}
    (tmp_path / "run_results.json").write_bytes(as_json(results))
    found, _ = resolve_format(entry(tmp_path / "run_results.json", "auto"))
    assert (found.format, found.columns.sql) == ("jsonl", "compiled_code")


def test_any_rows_may_be_yaml(tmp_path):
    (tmp_path / "a.yml").write_text(f"- ask: One?\n  sql: {DEEP}\n- ask: Two?\n  sql: {COUNT}\n")
    found, _ = resolve_format(entry(tmp_path / "a.yml", "auto"))
    assert found.format == "jsonl"
    assert [row["raw_sql"] for row in ingested(found, tmp_path)] == [DEEP, COUNT]


def convert(folder, text, **limits):
    (folder / "a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    convert_yaml(folder / "a.yaml", folder / "a.jsonl", **limits)
    return [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: no\nb: 1e3\nc: 2024-01-01\nd: 0x10\ne: 12:30\n", "no 1e3 2024-01-01 0x10 12:30"),
        ("a: on\nb: 'null'\nc: \"~\"\nd: !!str null\n", "on null ~ null"),
        ("a: !!python/object/apply:os.system [x]\n", None),
        ("a: é\n".encode("utf-16"), "é"),
    ],
)
def test_scalars_of_yaml_stay_texts(tmp_path, text, expected):
    [document] = convert(tmp_path, text)
    assert list(document.values()) == (expected.split() if expected else [["x"]])


def test_yaml_keeps_nulls_aliases_and_merges(tmp_path):
    text = "a: &a {x: 1, y: null, z: }\nb: *a\nc: {<<: *a, y: 2}\n---\n- 1\n- [2, 3]\n"
    one = {"x": "1", "y": None, "z": None}
    expected = [{"a": one, "b": one, "c": {"x": "1", "y": "2", "z": None}}, "1", ["2", "3"]]
    assert convert(tmp_path, text) == expected


LETTERS = "abcdefghij"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in pairwise(LETTERS)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, "more than 1 MB with its aliases written out"),
        ("a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n"
                                     for n in range(1, 40)), "more than 1 MB"),
        ("a: &a [*a]\n", "the alias 'a' has no value before it"),
        ("[" * 100_000, "nest(ed more than 100 deep|ing depth)"),
        ("a:\n" + "? " * 10_000, "nest(ed more than 100 deep|ing depth)"),
        ("".join(f"a{n}: &a{n} [*a{n - 1}]\n" if n else "a0: &a0 [x]\n" for n in range(3000)),
         "aliases"),
        ("sql: SELECT 1\nsql: SELECT 2\n", "the mapping at line 1 has key 'sql' twice"),
        ("? [a]\n: b\n", "a key is not a text"),
        ("a: [1\nb: }", r"not valid YAML: .* \(line 2\)"),
        (b"a: \xff\xfe\x00", "not valid YAML"),
        ("a: " + "b" * 1_000_001, "YAML of more than 1 MB"),
    ],
)  # fmt: skip
def test_harmful_yaml_is_refused(tmp_path, text, problem):
    with pytest.raises(OSError, match=problem):
        convert(tmp_path, text, max_bytes=1_000_000)


PROJECT = {
    "dbt_project.yml": "name: port\n",
    "models/boats.sql": "select * from {{ ref('kinds') }}",
    "target/manifest.json": "{}",
    "target/compiled/port/models/boats.sql": COUNT,
    "target/run/port/models/boats.sql": f"create view boats as {COUNT}",
}


@pytest.mark.parametrize("place", [".", "target", "target/compiled"])
def test_a_dbt_project_is_read_as_its_compiled_files(tmp_path, place):
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found, reason = resolve_format(entry(tmp_path / place, "auto", role="target"))
    assert "compiled" in reason
    assert [row["raw_sql"] for row in ingested(found, tmp_path)] == [COUNT]


def test_a_dbt_project_in_jinja_is_refused(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("dbt_project.yml", "models/boats.sql"):
        (tmp_path / name).write_text(PROJECT[name])
    with pytest.raises(CorpusError, match=r"is not compiled: .*; run dbt compile"):
        resolve_format(entry(tmp_path, "auto", role="target"))


@pytest.mark.parametrize("name", ["export.zip", "export"])
def test_an_export_may_hold_a_log(tmp_path, name):
    members = {"export.log": "started\n", "cards/a.yaml": json.dumps(CARDS[0])}
    if name == "export":
        for member, text in members.items():
            (tmp_path / "export" / member).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "export" / member).write_text(text)
    else:
        (tmp_path / name).write_bytes(as_zip(**members))
    found, _ = resolve_format(entry(tmp_path / name, "auto"))
    assert found.format == "metabase"
    assert [row["id"] for row in ingested(found, tmp_path)] == ["1"]
