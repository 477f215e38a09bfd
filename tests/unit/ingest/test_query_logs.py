"""Query logs: which rows are queries, how often each counts, and texts that their log cut."""

import json

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.dumps import ingest_corpus, read_row_counts
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from tests.unit.ingest.test_dumps import as_csv, as_json, as_lines, as_parquet, entry
from tests.unit.ingest.test_formats import ingested

FAST = "SELECT name FROM harbour WHERE depth > 5"
COUNT = "SELECT COUNT(*) FROM boat GROUP BY kind"
LONG = "SELECT a.name, b.fee FROM boat a JOIN berth b ON a.id = b.boat ORDER BY b.fee DESC LIMIT 3"


def in_pieces(text, size, **keys):
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [{**keys, "sequence": n, "text": piece} for n, piece in enumerate(pieces)]


WIDE = "SELECT " + ", ".join(f"column_{n}" for n in range(40)) + "\\nFROM harbour"
assert 400 < len(WIDE) < 600

# Format, file, content, the sql, db_id and n_occurrences of each row, and what is left out.
LOGS = {
    "ClickHouse, JSONEachRow": (
        "clickhouse_query_log",
        "query_log.jsonl",
        as_lines(
            [
                {"type": "QueryStart", "query": FAST, "current_database": "port"},
                {"type": "QueryFinish", "query": FAST, "current_database": "port"},
                {"type": "QueryFinish", "query": COUNT, "is_initial_query": 1},
                {"type": "QueryFinish", "query": "SELECT 1", "is_initial_query": 0},
                {"type": "ExceptionBeforeStart", "query": "SELEC broken"},
                {"type": "ExceptionWhileProcessing", "query": FAST},
            ]
        ),
        [(FAST, "port", 1), (COUNT, None, 1)],
        {"failed": 2, "internal": 1, "starts of queries, which their ends repeat": 1},
    ),
    "ClickHouse, JSON": (
        "clickhouse_query_log",
        "query_log.json",
        as_json({"meta": [{"name": "type"}], "data": [{"type": "QueryFinish", "query": FAST}]}),
        [(FAST, None, 1)],
        {},
    ),
    "ClickHouse, TSV": (
        "clickhouse_query_log",
        "query_log.tsv",
        b"type\tquery\nQueryStart\tSELECT 1\n"
        b"QueryFinish\tSELECT \"a\" -- \\\\n\\nFROM b WHERE c = \\'\\t\\'\n",
        [("SELECT \"a\" -- \\n\nFROM b WHERE c = ' '", None, 1)],
        {"starts of queries, which their ends repeat": 1},
    ),
    "ClickHouse, Parquet with numbers for types": (
        "clickhouse_query_log",
        "query_log.parquet",
        as_parquet(
            [
                {"type": 1, "query": FAST, "is_initial_query": True},
                {"type": 2, "query": FAST, "is_initial_query": True},
                {"type": 4, "query": FAST, "is_initial_query": True},
                {"type": 2, "query": FAST, "is_initial_query": False},
            ]
        ),
        [(FAST, None, 1)],
        {"failed": 1, "internal": 1, "starts of queries, which their ends repeat": 1},
    ),
    "Redshift's history": (
        "redshift_history",
        "history.csv",
        as_csv(
            [
                {"user_id": 100, "status": "success   ", "query_text": FAST + "  "},
                {"user_id": 100, "status": "failed", "query_text": FAST},
                {"user_id": 100, "status": "running", "query_text": FAST},
                {"user_id": 1, "status": "success", "query_text": FAST},
                {"user_id": 100, "status": "success", "query_text": "SELECT a -- b\\nFROM c"},
                {"user_id": 100, "status": "success", "query_text": "SELECT " + "a" * 3993},
            ]
        ),
        [(FAST, None, 1), ("SELECT a -- b\nFROM c", None, 1), ("", None, 1)],
        {"failed": 1, "internal": 1, "not finished": 1},
    ),
    "Redshift's STL_QUERY": (
        "redshift_history",
        "stl_query.csv",
        as_csv(
            [
                {"userid": 100, "querytxt": FAST, "database": "port   ", "aborted": 0},
                {"userid": 100, "querytxt": FAST, "database": "port", "aborted": 1},
            ]
        ),
        [(FAST, "port", 1)],
        {"failed": 1},
    ),
    "Redshift's pieces of 200 characters": (
        "redshift_text",
        "stl_querytext.csv",
        as_csv(
            [
                *reversed(in_pieces(WIDE, 200, userid=100, query=7)),
                # The first piece is missing, then the second.
                *in_pieces(WIDE, 200, userid=100, query=8)[1:],
                *in_pieces(WIDE, 200, userid=100, query=9)[::2],
                *in_pieces(FAST, 200, userid=1, query=10),
                # A client trimmed the blank at the end of the first piece.
                *in_pieces("SELECT " + "a" * 192 + " FROM b", 199, userid=100, query=11),
            ]
        ),
        [
            (WIDE.replace("\\n", "\n"), None, 1),
            ("", None, 1),
            ("", None, 1),
            ("SELECT " + "a" * 192 + " " + " FROM b", None, 1),
        ],
        {"internal": 1},
    ),
    "Redshift's pieces of a short width": (
        "redshift_text",
        "sys_query_text.jsonl",
        as_lines(
            [
                {"QUERY_ID": 2, "SEQUENCE": 1, "TEXT": "ECT name FROM har"},
                {"QUERY_ID": 1, "SEQUENCE": 0, "TEXT": FAST},
                {"QUERY_ID": 2, "SEQUENCE": 0, "TEXT": "SEL"},
                {"QUERY_ID": 2, "SEQUENCE": 2, "TEXT": "bour"},
                {"QUERY_ID": 2, "SEQUENCE": 2, "TEXT": "bour"},
            ]
        ),
        [("SELECT name FROM harbour", None, 1), (FAST, None, 1)],
        {},
    ),
    "Databricks": (
        "databricks_history",
        "history.json",
        as_json(
            [
                {"execution_status": "FINISHED", "statement_text": FAST},
                {"execution_status": "FAILED", "statement_text": FAST},
                {"execution_status": "CANCELED", "statement_text": FAST},
                {"execution_status": "FINISHED", "statement_text": None},
            ]
        ),
        [(FAST, None, 1)],
        {"failed": 2, "without a text": 1},
    ),
    "Databricks' API": (
        "databricks_history",
        "response.json",
        as_json(
            {
                "res": [
                    {"status": "FINISHED", "query_text": FAST},
                    {"status": "RUNNING", "query_text": FAST},
                ],
                "has_next_page": False,
            }
        ),
        [(FAST, None, 1)],
        {"not finished": 1},
    ),
    "SQL Server's Query Store": (
        "sqlserver_query_store",
        "query_store.csv",
        as_csv(
            [
                {
                    "query_sql_text": "(@p0 int)SELECT [a] FROM [b] WHERE [c] = @p0",
                    "count_executions": 50,
                    "execution_type_desc": "Regular",
                },
                {
                    "query_sql_text": FAST,
                    "count_executions": 7,
                    "execution_type_desc": "Exception",
                },
                {"query_sql_text": FAST, "count_executions": 0, "execution_type_desc": "Regular"},
            ]
        ),
        [("(@p0 int)SELECT [a] FROM [b] WHERE [c] = @p0", None, 50)],
        {"failed": 1, "never executed": 1},
    ),
    "Oracle's V$SQL": (
        "oracle_sql",
        "vsql.csv",
        as_csv(
            [
                {"SQL_TEXT": FAST, "SQL_FULLTEXT": FAST, "EXECUTIONS": 4, "S": "a"},
                {"SQL_TEXT": LONG[:40], "SQL_FULLTEXT": LONG, "EXECUTIONS": 3, "S": "a"},
                {
                    "SQL_TEXT": "SELECT " + "a" * 993,
                    "SQL_FULLTEXT": "",
                    "EXECUTIONS": 2,
                    "S": "a",
                },
                {"SQL_TEXT": "SELECT 1", "SQL_FULLTEXT": "", "EXECUTIONS": 0, "S": "a"},
                {"SQL_TEXT": "SELECT 1", "SQL_FULLTEXT": "", "EXECUTIONS": 9, "S": "SYS"},
            ]
        ).replace(b",S\n", b",PARSING_SCHEMA_NAME\n"),
        [(FAST, "a", 4), (LONG, "a", 3), ("", "a", 2)],
        {"internal": 1, "never executed": 1},
    ),
    "Oracle's history": (
        "oracle_sql",
        "dba_hist_sqltext.csv",
        as_csv([{"sql_id": "a", "sql_text": "SELECT " + "a" * 2000}]),
        [("SELECT " + "a" * 2000, None, 1)],
        {},
    ),
    "Oracle's pieces": (
        "oracle_sqltext",
        "vsqltext.csv",
        as_csv(
            [{"SQL_ID": "a", "PIECE": n, "SQL_TEXT": LONG[64 * n : 64 * n + 64]} for n in (1, 0)]
            + [{"SQL_ID": "b", "PIECE": 1, "SQL_TEXT": "FROM b"}]
        ),
        [(LONG, None, 1), ("", None, 1)],
        {},
    ),
    "MySQL's digests": (
        "mysql_digests",
        "digests.csv",
        as_csv(
            [
                {"SCHEMA_NAME": "port", "DIGEST_TEXT": text, "COUNT_STAR": n, "SUM_ERRORS": errors}
                for text, n, errors in [
                    ("SELECT `a` FROM `b` WHERE `c` IN (...)", 5, 0),
                    ("SELECT `a` FROM `b` LIMIT ?, ...", 3, 1),
                    ("SELECT `a` FROM `b` WHERE `c` = ? AND ...", 7, 0),
                    ("SELECT `a` FROM `missing`", 2, 2),
                    ("", 8, 0),
                ]
            ]
        ),
        [
            ("SELECT `a` FROM `b` WHERE `c` IN (...)", "port", 5),
            ("SELECT `a` FROM `b` LIMIT ?, ...", "port", 2),
            ("", "port", 7),
        ],
        {"failed": 1, "without a text": 1},
    ),
    "Trino": (
        "trino_history",
        "queries.csv",
        as_csv(
            [
                {"query_id": 1, "state": "FINISHED", "query": FAST},
                {"query_id": 2, "state": "FAILED", "query": FAST},
                {"query_id": 3, "state": "FINISHING", "query": FAST},
            ]
        ),
        [(FAST, None, 1)],
        {"failed": 1, "not finished": 1},
    ),
    "Trino's events": (
        "trino_history",
        "events.jsonl",
        as_lines(
            [
                {
                    "metadata": {"query": FAST, "queryState": state},
                    "context": {"schema": "port"},
                }
                for state in ("FINISHED", "FAILED")
            ]
        ),
        [(FAST, "port", 1)],
        {"failed": 1},
    ),
    "Athena's API": (
        "athena_history",
        "executions.json",
        as_json(
            {
                "QueryExecutions": [
                    {
                        "Query": FAST,
                        "QueryExecutionContext": {"Database": "port"},
                        "Status": {"State": state},
                    }
                    for state in ("SUCCEEDED", "FAILED", "CANCELLED", "RUNNING")
                ]
            }
        ),
        [(FAST, "port", 1)],
        {"failed": 2, "not finished": 1},
    ),
    "Athena's executions, one per line": (
        "athena_history",
        "executions.jsonl",
        as_lines([{"QueryExecution": {"Query": FAST, "Status": {"State": "SUCCEEDED"}}}]),
        [(FAST, None, 1)],
        {},
    ),
    "Athena's executions, flattened": (
        "athena_history",
        "executions.csv",
        as_csv(
            [
                {"Query": FAST, "Status.State": "SUCCEEDED", "QueryExecutionContext.Database": "d"},
                {"Query": FAST, "Status.State": "FAILED", "QueryExecutionContext.Database": "d"},
            ]
        ),
        [(FAST, "d", 1)],
        {"failed": 1},
    ),
    "pg_stat_statements": (
        "pg_stat_statements",
        "statements.csv",
        as_csv(
            [
                {"query": FAST, "calls": 1500, "toplevel": "t"},
                {"query": "<insufficient privilege>", "calls": 99999, "toplevel": "t"},
                {"query": FAST, "calls": 3, "toplevel": "f"},
                {"query": "BEGIN", "calls": 50000, "toplevel": "t"},
            ]
        ),
        [(FAST, None, 1500), ("BEGIN", None, 50000)],
        {"internal": 1, "without the privilege to see the text": 1},
    ),
    "pg_stat_statements, JSON": (
        "pg_stat_statements",
        "statements.json",
        as_json([{"query": FAST, "calls": 1500, "datname": "port"}]),
        [(FAST, "port", 1500)],
        {},
    ),
    "BigQuery": (
        "bigquery_jobs",
        "jobs.jsonl",
        as_lines(
            [
                {"job_id": "a", "state": "DONE", "error_result": None, "query": FAST},
                {"job_id": "b", "state": "RUNNING", "error_result": None, "query": FAST},
                {"job_id": "c", "state": "DONE", "error_result": {"reason": "x"}, "query": FAST},
                {"job_id": "d", "state": "DONE", "query": "SELECT 1; SELECT 2"},
                {"job_id": "e", "state": "DONE", "query": "SELECT 1", "parent_job_id": "d"},
            ]
        ),
        [(FAST, None, 1), ("SELECT 1", None, 1)],
        {"failed": 1, "not finished": 1, "scripts whose statements have rows of their own": 1},
    ),
    "BigQuery, Parquet": (
        "bigquery_jobs",
        "jobs.parquet",
        as_parquet(
            [
                {"state": "DONE", "error_result": None, "query": FAST},
                {"state": "DONE", "error_result": {"reason": "x"}, "query": FAST},
            ]
        ),
        [(FAST, None, 1)],
        {"failed": 1},
    ),
    "Snowflake": (
        "snowflake_history",
        "history.csv",
        as_csv(
            [
                {"QUERY_TEXT": FAST, "EXECUTION_STATUS": "SUCCESS"},
                {"QUERY_TEXT": FAST, "EXECUTION_STATUS": "FAILED_WITH_ERROR"},
                {"QUERY_TEXT": FAST, "EXECUTION_STATUS": "RUNNING"},
                {"QUERY_TEXT": "<redacted>", "EXECUTION_STATUS": "SUCCESS"},
            ]
        ),
        [(FAST, None, 1)],
        {"failed": 1, "not finished": 1, "without the privilege to see the text": 1},
    ),
    "MySQL's slow log with errors": (
        "mysql_slow_log",
        "slow.log",
        f"""# Time: 2026-01-01T10:00:00.000000Z
# User@Host: app[app] @ localhost []  Id:     8
# Schema: port  Last_errno: 1146  Killed: 0
# Query_time: 2.5  Lock_time: 0.0  Rows_sent: 1  Rows_examined: 0
SET timestamp=1767261600;
SELECT a FROM missing;
# User@Host: app[app] @ localhost []  Id:     8
# Schema: dock  Last_errno: 0  Killed: 0
# Query_time: 2.5  Lock_time: 0.0  Rows_sent: 1  Rows_examined: 0
SET timestamp=1767261601;
{FAST};
# User@Host: app[app] @ localhost []  Id:     8
# Query_time: 2.5  Lock_time: 0.0  Rows_sent: 1  Thread_id: 8 Errno: 1064 Killed: 0
SET timestamp=1767261602;
SELEC;
""".encode(),
        [(f"{FAST};", "dock", 1)],
        {"failed": 2},
    ),
}


@pytest.mark.parametrize("log", LOGS)
def test_finished_queries_count_as_often_as_they_ran(tmp_path, log):
    format, name, content, expected, left_out = LOGS[log]
    path = tmp_path / name
    path.write_bytes(content)
    found, _ = resolve_format(entry(path, "auto"))
    assert found.format == format
    rows = ingested(found, tmp_path)
    assert [(row["sql"], row["db_id"], row["n_occurrences"]) for row in rows] == expected
    for row in rows:
        assert row["reject_reason"] == (None if row["sql"] else "cut off by its log")
        assert row["raw_sql"]
    assert read_row_counts(tmp_path / "stage" / "queries.parquet").left_out == left_out


def csv_entry(session, severity, message, failed_sql="", command="SELECT"):
    fields = ["2026-01-01 10:00:00 UTC", "app", "port", "1", "", session, "1", command, "", "3/4"]
    fields += ["0", severity, "00000", message, "", "", "", "", "", failed_sql, "", "", "psql"]
    return fields


def quote(field):
    return '"' + field.replace('"', '""') + '"' if field else ""


def as_json_entry(fields):
    return {
        "user": fields[1],
        "dbname": fields[2],
        "session_id": fields[5],
        "ps": fields[7],
        "error_severity": fields[11],
        "message": fields[13],
        **({"statement": fields[19]} if fields[19] else {}),
    }


PREFIXES = {
    "the default": "2026-01-01 10:00:00.123 UTC [{session}] ",
    "pgBadger's": "2026-01-01 10:00:00 UTC [{session}]: [3-1] user=app,db=port,app=x,client=::1 ",
    "of a cloud": "2026-01-01 10:00:00 UTC:10.0.0.5(5432):app@port:[{session}]:",
    "Debian's": "2026-01-01 10:00:00.123 UTC [{session}] app@port ",
    "empty": "",
}


def as_text_entry(prefix, fields):
    prefix = prefix.format(session=fields[5])
    lines = [f"{prefix}{fields[11]}:  {fields[13]}"]
    if fields[19]:
        lines.append(f"{prefix}STATEMENT:  {fields[19]}")
    return "".join(line.replace("\n", "\n\t") + "\n" for line in lines)


TWO_LINES = "SELECT name\nFROM harbour -- LOG:  statement: SELECT 1\nWHERE depth > $1"
ENTRIES = [
    csv_entry("1", "LOG", "connection authorized: user=app"),
    csv_entry("1", "LOG", f"statement: {FAST}"),
    csv_entry("1", "LOG", "duration: 0.9 ms"),
    csv_entry("1", "LOG", f"duration: 0.2 ms  parse <unnamed>: {TWO_LINES}"),
    csv_entry("1", "LOG", f"duration: 0.2 ms  bind <unnamed>: {TWO_LINES}"),
    csv_entry("1", "LOG", f"duration: 0.2 ms  execute <unnamed>: {TWO_LINES}"),
    csv_entry("1", "LOG", f"execute fetch from S_1/C_2: {TWO_LINES}"),
    csv_entry("1", "LOG", f"execute S_1: {COUNT}"),
    # Logged before it ran, and failed.
    csv_entry("1", "LOG", "statement: SELECT missing FROM boat"),
    csv_entry("1", "ERROR", 'column "missing" does not exist', "SELECT missing FROM boat"),
    # Succeeded; a later execution failed, and was not logged before it ran.
    csv_entry("1", "LOG", f"duration: 4.1 ms  statement: {FAST}"),
    csv_entry("1", "ERROR", "canceling statement due to user request", FAST),
    # A long query spills to disk.
    csv_entry("1", "LOG", f"duration: 4.1 ms  statement: {LONG}"),
    csv_entry("1", "LOG", 'temporary file: path "base/pgsql_tmp", size 1', LONG),
    csv_entry("1", "LOG", "statement: BEGIN"),
]
STATEMENTS = [FAST, TWO_LINES, COUNT, FAST, LONG, "BEGIN"]
PG_LOGS = {
    "csvlog": (
        "pg_csvlog",
        "".join(",".join([fields[0], *map(quote, fields[1:])]) + "\n" for fields in ENTRIES),
    ),
    "jsonlog": ("pg_jsonlog", "".join(json.dumps(as_json_entry(e)) + "\n" for e in ENTRIES)),
    **{
        f"text, {name}": ("pg_log", "".join(as_text_entry(prefix, e) for e in ENTRIES))
        for name, prefix in PREFIXES.items()
    },
    "text with Windows line breaks": (
        "pg_log",
        "".join(as_text_entry(PREFIXES["the default"], e) for e in ENTRIES).replace("\n", "\r\n"),
    ),
}


@pytest.mark.parametrize("log", PG_LOGS)
def test_each_log_of_postgresql_gives_the_statements_that_succeeded(tmp_path, log):
    format, text = PG_LOGS[log]
    path = tmp_path / "postgresql.log"
    path.write_bytes(text.encode())
    found, _ = resolve_format(entry(path, "auto"))
    assert found.format == format
    rows = ingested(found, tmp_path)
    assert [row["sql"] for row in rows] == STATEMENTS
    has_database = "the default" not in log and "Windows" not in log and "empty" not in log
    assert {row["db_id"] for row in rows} == {"port" if has_database else None}
    assert read_row_counts(tmp_path / "stage" / "queries.parquet").left_out == {"failed": 2}


def test_an_error_belongs_to_the_statement_of_its_own_session(tmp_path):
    entries = [
        csv_entry("1", "LOG", f"statement: {FAST}"),
        csv_entry("2", "LOG", f"statement: {FAST}"),
        csv_entry("1", "LOG", f"statement: {COUNT}"),
        csv_entry("2", "ERROR", "deadlock detected", FAST),
        csv_entry("1", "ERROR", "bad parameter", COUNT, "BIND"),
    ]
    path = tmp_path / "postgresql.json"
    path.write_bytes(as_lines([as_json_entry(one) for one in entries]))
    assert [r["sql"] for r in ingested(entry(path, "pg_jsonlog"), tmp_path)] == [FAST, COUNT]


def test_a_log_without_finished_queries_is_refused_with_the_reasons(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [{"type": "QueryStart", "query": FAST}, {"type": "ExceptionBeforeStart", "query": "SEL"}]
    path.write_bytes(as_lines(rows))
    with pytest.raises(CorpusError, match=r"no query: 2 rows are left out: 1 failed, 1 "):
        ingest_corpus(entry(path, "clickhouse_query_log"), tmp_path / "queries.parquet")
    path.write_bytes(as_lines([{"statement": FAST}]))
    with pytest.raises(CorpusError, match=r"where format 'clickhouse_query_log' stores them"):
        ingest_corpus(entry(path, "clickhouse_query_log"), tmp_path / "queries.parquet")
