"""Small samples of the formats of data sets, fine-tuning data and query logs."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.archives import UnpackLimits
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import ingest_corpus, read_row_counts
from tests.unit.ingest.test_dumps import as_csv, as_json, as_lines, as_parquet, entry

FENCED = "The query is:\n```sql\nSELECT a FROM b\n```\nIt reads b."


def as_arrow(rows, is_file=False):
    table = pa.Table.from_pylist(rows)
    sink = io.BytesIO()
    opened = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with opened(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def as_zip(**members):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return sink.getvalue()


# Format, file, content, and the sql, db_id, question and n_occurrences of each row.
SAMPLES = {
    "SParC and CoSQL": (
        "sparc",
        "train.json",
        as_json(
            [
                {
                    "database_id": "pets",
                    "interaction": [
                        {"query": "SELECT a FROM b", "utterance": "One?", "sql": {"from": {}}},
                        {"query": "SELECT c FROM b", "utterance": "And c?"},
                    ],
                    "final": {"query": "SELECT c FROM b", "utterance": "All?"},
                },
                {"database_id": "cars", "interaction": []},
            ]
        ),
        [("SELECT a FROM b", "pets", "One?", 1), ("SELECT c FROM b", "pets", "And c?", 1)],
    ),
    "KaggleDBQA": (
        "kaggledbqa",
        "GeoNuclearData_test.json",
        as_json([{"db_id": "Geo", "query": "SELECT 1", "question": "q", "query_toks": []}]),
        [("SELECT 1", "Geo", "q", 1)],
    ),
    "BULL": (
        "bull",
        "dev.json",
        as_json([{"db_name": "ccks_fund", "sql_query": "select 1", "question": "多少?"}]),
        [("select 1", "ccks_fund", "多少?", 1)],
    ),
    "MIMICSQL": (
        "mimicsql",
        "train.json",
        as_lines([{"key": "x", "sql": "SELECT 1", "question_refine": "q", "format": {"sel": [0]}}]),
        [("SELECT 1", None, "q", 1)],
    ),
    "SQaLe shard": (
        "sqale",
        "train-00000.parquet",
        as_parquet([{"schema_id": "s1", "questions": ["q", "r"], "sql": "SELECT 1"}]),
        [("SELECT 1", "s1", "q", 1)],
    ),
    "SQaLe shard of one question": (
        "sqale",
        "train-00000.parquet",
        as_parquet([{"schema_id": "s1", "questions": "q", "sql": "SELECT 1"}]),
        [("SELECT 1", "s1", "q", 1)],
    ),
    "SQaLe as JSON lines": (
        "sqale",
        "train.jsonl",
        as_lines([{"schema_id": "s1", "questions": ["q"], "sql": "SELECT 1"}]),
        [("SELECT 1", "s1", "q", 1)],
    ),
    "SynSQL": (
        "omnisql",
        "data.json",
        as_json([{"db_id": "d", "sql": "SELECT 1", "sql_complexity": "Simple", "question": "q"}]),
        [("SELECT 1", "d", "q", 1)],
    ),
    "SynSQL as Parquet": (
        "synsql",
        "a.parquet",
        as_parquet([{"db_id": "d", "sql": "SELECT 1", "sql_complexity": "Simple"}]),
        [("SELECT 1", "d", None, 1)],
    ),
    "NSText2SQL": (
        "nstext2sql",
        "train.jsonl",
        as_lines(
            [
                {
                    "instruction": "CREATE TABLE t (a text)\n\n-- Using valid SQLite, answer the "
                    "following questions for the tables provided above.\n\n-- how many?",
                    "output": "SELECT COUNT(*) FROM t",
                    "source": "wikisql",
                }
            ]
        ),
        [("SELECT COUNT(*) FROM t", None, "how many?", 1)],
    ),
    "NSText2SQL as Parquet": (
        "nstext2sql",
        "a.parquet",
        as_parquet([{"instruction": "-- q", "output": "SELECT 1"}]),
        [("SELECT 1", None, "q", 1)],
    ),
    "sql-eval": (
        "sql_eval",
        "questions_gen.csv",
        as_csv(
            [
                {
                    "db_name": "d",
                    "query": "SELECT {a.x, a.y}, COUNT(*) FROM a GROUP BY {}; SELECT 2",
                    "question": "q",
                    "query_category": "group_by",
                }
            ]
        ),
        [("SELECT a.x, a.y, COUNT(*) FROM a GROUP BY a.x, a.y", "d", "q", 1)],
    ),
    "DIN-SQL": (
        "din_sql",
        "predicted.csv",
        b',NLQ,PREDICTED SQL,GOLD SQL,DATABASE\n0,q,"SELECT a,b",SELECT c,d\n',
        [("SELECT a,b", "d", "q", 1)],
    ),
    "BIRD as Parquet": (
        "bird",
        "a.parquet",
        as_parquet([{"SQL": "SELECT 1", "db_id": "d", "difficulty": "simple"}]),
        [("SELECT 1", "d", None, 1)],
    ),
    "sql-create-context as Parquet": (
        "sql_create_context",
        "a.parquet",
        as_parquet([{"answer": "SELECT 1", "question": "q", "context": "CREATE TABLE t"}]),
        [("SELECT 1", None, "q", 1)],
    ),
    "chat messages": (
        "chat",
        "train.jsonl",
        as_lines(
            [
                {
                    "messages": [
                        {"role": "system", "content": "You write SQL."},
                        {"role": "user", "content": "Which a?"},
                        {"role": "assistant", "content": "SELECT x"},
                        {"role": "user", "content": "In b."},
                        {"role": "assistant", "content": FENCED},
                    ]
                },
                {
                    "messages": [
                        {"role": "user", "content": [{"type": "text", "text": "q"}]},
                        {"role": "assistant", "content": [{"type": "text", "text": "SELECT 1"}]},
                    ]
                },
                {"messages": [{"role": "user", "content": "no answer"}]},
            ]
        ),
        [
            ("SELECT a FROM b", None, "In b.", 1),
            ("SELECT 1", None, "q", 1),
            ("", None, "no answer", 1),
        ],
    ),
    "ShareGPT": (
        "sharegpt",
        "train.json",
        as_json(
            [
                {
                    "id": "1",
                    "conversations": [
                        {"from": "human", "value": "q"},
                        {"from": "gpt", "value": "SELECT 1"},
                    ],
                }
            ]
        ),
        [("SELECT 1", None, "q", 1)],
    ),
    "chat as Parquet": (
        "chat",
        "a.parquet",
        as_parquet(
            [
                {
                    "messages": [
                        {"role": "user", "content": "q"},
                        {"role": "assistant", "content": FENCED},
                    ]
                }
            ]
        ),
        [("SELECT a FROM b", None, "q", 1)],
    ),
    "Alpaca": (
        "alpaca",
        "train.json",
        as_json([{"instruction": "Write SQL.", "input": "q", "output": FENCED}]),
        [("SELECT a FROM b", None, "Write SQL.\nq", 1)],
    ),
    "Alpaca as Parquet": (
        "alpaca",
        "a.parquet",
        as_parquet([{"instruction": "q", "input": "", "output": "SELECT 1"}]),
        [("SELECT 1", None, "q", 1)],
    ),
    "datasets, Arrow stream": (
        "spider",
        "data-00000-of-00001.arrow",
        as_arrow([{"query": "SELECT 1", "db_id": "d", "question": "q"}]),
        [("SELECT 1", "d", "q", 1)],
    ),
    "datasets, Arrow file": (
        "spider",
        "a.arrow",
        as_arrow([{"query": "SELECT 1"}], is_file=True),
        [("SELECT 1", None, None, 1)],
    ),
    "pg_stat_statements": (
        "pg_stat_statements",
        "statements.csv",
        b"userid,dbid,queryid,query,calls,total_exec_time\n"
        b'10,16384,-5,"SELECT a FROM b WHERE c = $1",1500,3.5\n'
        b"10,16384,6,<insufficient privilege>,0,0\n",
        [("SELECT a FROM b WHERE c = $1", "16384", None, 1500)],
    ),
    "pg_stat_statements with the database's name": (
        "pg_stat_statements",
        "statements.csv",
        b"query,calls,datname\nSELECT 1,3.0,shop\nSELECT 2,many,shop\n",
        [("SELECT 1", "shop", None, 3), ("SELECT 2", "shop", None, 1)],
    ),
    "csvlog": (
        "pg_csvlog",
        "postgresql.csv",
        b"".join(
            b"2026-01-01 10:00:00 UTC,app,shop,1,,s,%d,SELECT,2026-01-01,3/4,0,LOG,00000,%s"
            b",,,,,,,,,psql,client backend,,0\n" % (number, message)
            for number, message in enumerate(
                [
                    b"connection authorized",
                    b'"duration: 0.200 ms  parse <unnamed>: SELECT 1"',
                    b'"duration: 0.123 ms  statement: SELECT ""a"",\nb FROM c"',
                    b"statement: BEGIN",
                    b'"execute S_1: SELECT $1"',
                    b"duration: 0.9 ms",
                ]
            )
        ),
        [
            ('SELECT "a",\nb FROM c', "shop", None, 1),
            ("BEGIN", "shop", None, 1),
            ("SELECT $1", "shop", None, 1),
        ],
    ),
    "slow log": (
        "mysql_slow_log",
        "slow.log",
        b"/usr/sbin/mysqld, Version: 8.0.36. started with:\n"
        b"Tcp port: 3306  Unix socket: /var/run/mysqld/mysqld.sock\n"
        b"Time                 Id Command    Argument\n"
        b"# Time: 2026-01-01T10:00:00.000000Z\n"
        b"# User@Host: app[app] @ localhost []  Id:     8\n"
        b"# Query_time: 2.5  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 0\n"
        b"use shop;\nSET timestamp=1767261600;\nSELECT a\nFROM b\nWHERE c = '# Time: x';\n"
        b"# Time: 2026-01-01T10:00:01.000000Z\n"
        b"# User@Host: app[app] @ localhost []  Id:     8\n"
        b"# Query_time: 3.5  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 0\n"
        b"SET timestamp=1767261601;\n# administrator command: Quit;\n"
        b"# User@Host: app[app] @ localhost []  Id:     9\n"
        b"# Query_time: 3.5  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 0\n"
        b"SET timestamp=1767261602;\nUPDATE b SET c = 1;\n",
        [
            ("SELECT a\nFROM b\nWHERE c = '# Time: x';", "shop", None, 1),
            ("UPDATE b SET c = 1;", "shop", None, 1),
        ],
    ),
    "Snowflake, CSV": (
        "snowflake_history",
        "history.csv",
        b"QUERY_ID,QUERY_TEXT,DATABASE_NAME,QUERY_TYPE\n1,SELECT 1,SHOP,SELECT\n2,,SHOP,OTHER\n",
        [("SELECT 1", "SHOP", None, 1)],
    ),
    "Snowflake, JSON": (
        "snowflake_history",
        "history.json",
        as_json(
            [
                {"QUERY_TEXT": "SELECT 1", "DATABASE_NAME": "SHOP"},
                {"query_text": "SELECT 2", "database_name": None},
            ]
        ),
        [("SELECT 1", "SHOP", None, 1), ("SELECT 2", None, None, 1)],
    ),
    "Snowflake, Parquet": (
        "snowflake_history",
        "history.parquet",
        as_parquet([{"QUERY_TEXT": "SELECT 1", "DATABASE_NAME": "SHOP"}]),
        [("SELECT 1", "SHOP", None, 1)],
    ),
    "BigQuery, JSON lines": (
        "bigquery_jobs",
        "jobs.jsonl",
        as_lines(
            [
                {"project_id": "p", "query": "SELECT 1", "job_type": "QUERY", "labels": []},
                {"project_id": "p", "query": None, "job_type": "LOAD"},
            ]
        ),
        [("SELECT 1", "p", None, 1)],
    ),
    "BigQuery, CSV": (
        "bigquery_jobs",
        "jobs.csv",
        b"project_id,query,statement_type\np,SELECT 1,SELECT\np,,\n",
        [("SELECT 1", "p", None, 1)],
    ),
    "BigQuery, Parquet": (
        "bigquery_jobs",
        "jobs.parquet",
        as_parquet([{"project_id": "p", "query": "SELECT 1"}]),
        [("SELECT 1", "p", None, 1)],
    ),
    "spider, xz": (
        "spider",
        "a.json.xz",
        lzma.compress(as_json([{"query": "SELECT 1"}])),
        [("SELECT 1", None, None, 1)],
    ),
    "spider, zip": (
        "spider",
        "a.zip",
        as_zip(**{"spider/dev.json": as_json([{"query": "SELECT 1"}]), ".DS_Store": b"\0"}),
        [("SELECT 1", None, None, 1)],
    ),
}


def ingested(corpus: CorpusEntry, folder: Path):
    destination = folder / "stage" / "queries.parquet"
    ingest_corpus(corpus, destination)
    assert list(destination.parent.iterdir()) == [destination]
    rows = pq.read_table(destination).to_pylist()
    assert [row["ordinal"] for row in rows] == list(range(len(rows)))
    return rows


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_format_gives_its_queries(tmp_path, sample):
    format, name, content, expected = SAMPLES[sample]
    path = tmp_path / name
    path.write_bytes(content)
    rows = ingested(entry(path, format), tmp_path)
    found = [(row["sql"], row["db_id"], row["question"], row["n_occurrences"]) for row in rows]
    assert found == expected


def test_cleaning_keeps_the_raw_text(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(as_json([{"instruction": "q", "output": FENCED}]))
    [row] = ingested(entry(path, "alpaca"), tmp_path)
    assert (row["raw_sql"], row["sql"]) == (FENCED, "SELECT a FROM b")
    [row] = ingested(entry(path, "alpaca", clean="none"), tmp_path)
    assert (row["raw_sql"], row["sql"]) == (FENCED, FENCED)


def test_spider_2_joins_gold_files_with_their_questions(tmp_path):
    folder = tmp_path / "spider2-lite"
    (folder / "evaluation_suite" / "gold" / "sql").mkdir(parents=True)
    gold = folder / "evaluation_suite" / "gold" / "sql"
    (gold / "bq002.sql").write_bytes(b"\xef\xbb\xbfSELECT 2")
    (gold / "bq001.sql").write_text("SELECT 1")
    (gold / "sf_x.sql").write_text("SELECT 3")
    rows = [{"instance_id": f"bq00{n}", "db": "ga4", "question": f"q{n}"} for n in (1, 2, 3)]
    (folder / "spider2-lite.jsonl").write_bytes(as_lines(rows))
    found = ingested(entry(folder, "spider2"), tmp_path)
    assert [(r["sql"], r["db_id"], r["question"]) for r in found] == [
        ("SELECT 1", "ga4", "q1"),
        ("SELECT 2", "ga4", "q2"),
        ("SELECT 3", None, None),
    ]
    report = ingest_corpus(entry(folder, "spider2"), tmp_path / "queries.parquet")
    assert report.rows.dialects == {"bigquery": 2, "snowflake": 1}
    found = ingested(entry(folder, "spider2", glob="**/bq*.sql"), tmp_path)
    assert [r["question"] for r in found] == ["q1", "q2"]
    (folder / "spider2-lite.jsonl").unlink()
    with pytest.raises(
        CorpusError, match=r"contains no \.jsonl file, which format 'spider2' needs"
    ):
        ingested(entry(folder, "spider2"), tmp_path)


def test_dbt_models_are_read_from_nested_folders(tmp_path):
    for name in ("shop/models/orders.sql", "shop/models/staging/stg_a.sql", "shop/notes.md"):
        (tmp_path / "compiled" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "compiled" / name).write_text(f"select '{name}'")
    rows = ingested(entry(tmp_path / "compiled", "dbt"), tmp_path)
    assert [r["sql"] for r in rows] == [
        "select 'shop/models/orders.sql'",
        "select 'shop/models/staging/stg_a.sql'",
    ]


NESTED = [
    {
        "database": {"name": "d"},
        "turns": [{"meta": {"sql": "SELECT 1"}, "n": 3}, {"meta": {"sql": "SELECT 2"}}],
    },
    {"database": {"name": "e"}, "turns": []},
    {"database": {"name": "f"}, "turns": [{"meta": {"sql": "SELECT 3"}, "n": 2}]},
]
PATHS = {"sql": "$.meta.sql", "db_id": "$.database.name", "frequency": "n", "rows": "$.turns"}
PATHS["part"] = "$.database.name"
FOUND = [("SELECT 1", "d", 3), ("SELECT 2", "d", 1), ("SELECT 3", "f", 2)]


@pytest.mark.parametrize(
    ("format", "name", "content"),
    [
        ("json", "a.json", as_json(NESTED)),
        ("jsonl", "a.jsonl", as_lines(NESTED)),
        ("jsonl", "one.json", as_json({"turns": NESTED[0]["turns"], "database": {"name": "d"}})),
        ("parquet", "a.parquet", as_parquet(NESTED)),
    ],
)
def test_nested_rows_are_found_by_paths(tmp_path, format, name, content):
    (tmp_path / name).write_bytes(content)
    rows = ingested(entry(tmp_path / name, format, columns=PATHS), tmp_path)
    expected = FOUND[:2] if name == "one.json" else FOUND
    assert [(r["sql"], r["db_id"], r["n_occurrences"]) for r in rows] == expected
    assert all(r["part"] == r["db_id"] for r in rows)


def test_a_json_path_without_values_is_a_fault(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(as_lines(NESTED))
    with pytest.raises(CorpusError, match=r"has nothing at '\$\.meta\.query' \(it has database, t"):
        ingested(entry(tmp_path / "a.jsonl", "jsonl", columns={"sql": "$.meta.query"}), tmp_path)


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "parquet"])
def test_parts_name_the_sources_of_a_mixture(tmp_path, format):
    rows = [{"q": "SELECT 1", "of": "harbour"}, {"q": "SELECT 2", "of": ""}]
    content = {
        "csv": as_csv(rows),
        "tsv": b"q\tof\nSELECT 1\tharbour\nSELECT 2\t\n",
        "jsonl": as_lines(rows),
        "parquet": as_parquet(rows),
    }
    (tmp_path / "a").write_bytes(content[format])
    found = ingested(entry(tmp_path / "a", format, columns={"sql": "q", "part": "of"}), tmp_path)
    assert [(r["sql"], r["part"]) for r in found] == [("SELECT 1", "harbour"), ("SELECT 2", None)]


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "parquet"])
def test_frequencies_weigh_queries(tmp_path, format):
    rows = [{"q": "SELECT 1, 2", "n": 7}, {"q": "SELECT 2", "n": None}, {"q": "SELECT 3", "n": -4}]
    content = {
        "csv": as_csv(rows),
        "tsv": b"q\tn\nSELECT 1, 2\t7\nSELECT 2\t\nSELECT 3\t-4\n",
        "jsonl": as_lines(rows),
        "parquet": as_parquet(rows),
    }
    (tmp_path / "a").write_bytes(content[format])
    found = ingested(
        entry(tmp_path / "a", format, columns={"sql": "q", "frequency": "n"}), tmp_path
    )
    assert [(r["sql"], r["n_occurrences"]) for r in found] == [
        ("SELECT 1, 2", 7),
        ("SELECT 2", 1),
        ("SELECT 3", 1),
    ]


@pytest.mark.parametrize(
    ("text", "frequency"),
    [
        ("5,000", 5000),
        ("1,234,567", 1_234_567),
        ("5 000", 5000),
        ("5\N{NO-BREAK SPACE}000", 5000),
        ("5\N{NARROW NO-BREAK SPACE}000", 5000),
        ("5'000", 5000),
        ("5\N{RIGHT SINGLE QUOTATION MARK}000", 5000),
        ("5_000", 5000),
        ("5,000.0", 5000),
        ("5.000", 5),
        ("5", 5),
    ],
)
def test_thousands_of_frequencies_may_be_separated(tmp_path, text, frequency):
    (tmp_path / "a").write_bytes(as_csv([{"q": "SELECT 1", "n": text}]))
    corpus = entry(tmp_path / "a", "csv", columns={"sql": "q", "frequency": "n"})
    [row] = ingested(corpus, tmp_path)
    assert row["n_occurrences"] == frequency


@pytest.mark.parametrize(
    ("texts", "remarks"),
    [
        (["5,000", "", "-4"], []),
        (["12,34"], ["1 frequency is not a number, and counts once"]),
        (["n/a", "0,500", "1 000,000"], ["3 frequencies are not numbers, and count once"]),
    ],
)
@pytest.mark.parametrize(
    ("format", "columns"),
    [
        ("csv", {"sql": "query_sql_text", "frequency": "count_executions"}),
        ("sqlserver_query_store", None),
    ],
)
def test_frequencies_that_are_not_numbers_are_counted(tmp_path, format, columns, texts, remarks):
    rows = [{"query_sql_text": "SELECT 1", "count_executions": text} for text in [*texts, "2"]]
    (tmp_path / "a.csv").write_bytes(as_csv(rows))
    corpus = entry(tmp_path / "a.csv", format, columns=columns)
    kept = [row for row in rows if format == "csv" or row["count_executions"] != "-4"]
    assert len(ingested(corpus, tmp_path)) == len(kept)
    left_out = ["1 row is left out: 1 never executed"] if len(kept) < len(rows) else []
    report = ingest_corpus(corpus, tmp_path / "again.parquet")
    assert report.rows.remarks == left_out + remarks
    assert read_row_counts(tmp_path / "again.parquet").remarks == left_out + remarks


def test_a_blank_question_is_none(tmp_path):
    questions = ["How many?", "", " \t\n", None]
    (tmp_path / "a").write_bytes(as_lines([{"q": "SELECT 1", "asked": one} for one in questions]))
    corpus = entry(tmp_path / "a", "jsonl", columns={"sql": "q", "question": "asked"})
    found = [row["question"] for row in ingested(corpus, tmp_path)]
    assert found == ["How many?", None, None, None]


def test_a_folder_of_shards_needs_no_glob(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    for number in range(3):
        shard = as_arrow([{"query": f"select {number}"}])
        (folder / f"data-0000{number}-of-00003.arrow").write_bytes(shard)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "state.json").write_text("{}")
    rows = ingested(entry(folder, "spider"), tmp_path)
    assert [r["sql"] for r in rows] == ["select 0", "select 1", "select 2"]
    with pytest.raises(CorpusError, match=r"one of its folders \(stage, train\), or add a glob"):
        ingested(entry(tmp_path, "spider"), tmp_path)


def test_splits_and_kinds_are_not_mixed(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train-00000-of-00001.parquet").write_bytes(as_parquet([{"query": "select 1"}]))
    (folder / "test-00000-of-00001.parquet").write_bytes(as_parquet([{"query": "select 2"}]))
    with pytest.raises(
        CorpusError,
        match=r"several splits \(test, train\); choose one split with a glob, such as 't",
    ):
        ingested(entry(folder, "spider"), tmp_path)
    [row] = ingested(entry(folder, "spider", glob="train-*"), tmp_path)
    assert row["sql"] == "select 1"
    (folder / "more.csv").write_text("query\n")
    with pytest.raises(CorpusError, match=r"several kinds of files \(\*\.parquet, \*\.csv\)"):
        ingested(entry(folder, "spider"), tmp_path)


def test_a_path_may_be_a_pattern(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(2):
        (folder / f"train-{number}.jsonl.gz").write_bytes(
            gzip.compress(as_lines([{"query": f"select {number}"}]))
        )
    rows = ingested(entry(tmp_path / "shards" / "train-*.jsonl.gz", "spider"), tmp_path)
    assert [r["sql"] for r in rows] == ["select 0", "select 1"]
    with pytest.raises(CorpusError, match=r"dev-\*.*: does not exist; check path"):
        ingested(entry(tmp_path / "shards" / "dev-*.jsonl.gz", "spider"), tmp_path)


@pytest.mark.parametrize("suffix", [".json.gz", ".json.bz2", ".json.xz", ".json.zst", ".zip"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, suffix):
    zeros = b" " * 5_000_000
    pack = {
        ".json.gz": gzip.compress,
        ".json.bz2": bz2.compress,
        ".json.xz": lzma.compress,
        ".json.zst": lambda data: pa.Codec("zstd").compress(data).to_pybytes(),
    }
    path = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.json", zeros)
    else:
        path.write_bytes(pack[suffix](zeros))
    limits = UnpackLimits(ratio_applies_from=1_000_000)
    with pytest.raises(CorpusError, match=r"it unpacks to more than 0\.0 GB from \d"):
        ingest_corpus(entry(path, "spider"), tmp_path / "stage" / "queries.parquet", limits)
    assert not list(tmp_path.glob("stage/*"))


QUERY = "SELECT name FROM städte WHERE land = 'Österreich' -- für alle Größen, naïve Café"
CHINESE = (
    "SELECT 基金 FROM 表 WHERE 名称 = '上海证券交易所上市公司基本情况' AND 日期 > '二零二零年'"
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (QUERY, "cp1252"),
        (QUERY, "utf-16"),
        (QUERY, "utf-16-le"),
        (QUERY, "utf-32"),
        (CHINESE, "gb18030"),
    ],
)
def test_other_encodings_are_converted(tmp_path, text, encoding):
    path = tmp_path / "a.json"
    rows = [{"query": text, "db_id": "d"}] * 3
    path.write_bytes(json.dumps(rows, ensure_ascii=False).encode(encoding))
    destination = tmp_path / "queries.parquet"
    report = ingest_corpus(entry(path, "spider"), destination)
    assert pq.read_table(destination)["sql"].to_pylist() == [text] * 3
    assert (report.encoding.name, report.encoding.n_replaced) == (encoding, 0)
    assert pq.read_metadata(destination).metadata[b"encoding"] == encoding.encode()


def test_a_few_wrong_bytes_are_replaced_and_counted(tmp_path):
    path = tmp_path / "a.sql"
    path.write_bytes((QUERY + "\n").encode() * 3 + b"select '\xe4'\n")
    report = ingest_corpus(entry(path, "lines"), tmp_path / "queries.parquet")
    assert (report.n_queries, report.encoding.name, report.encoding.n_replaced) == (4, "utf-8", 1)
