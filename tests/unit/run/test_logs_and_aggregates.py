"""A raw log, and the same log aggregated by its database: the same template counts."""

from collections import Counter

import pytest

from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.sql_signs import looks_like_sql
from nl2sql_align.tasks.templates.commands import explain_reject
from nl2sql_align.tasks.templates.templatizer import Templatizer
from tests.unit.ingest.test_dumps import as_csv, entry
from tests.unit.ingest.test_formats import ingested

# The statement as it was sent, as PostgreSQL aggregates it, and how often it ran.
POSTGRES = [
    (
        "SELECT name FROM harbour WHERE depth > {n} AND kind = 'deep'",
        "SELECT name FROM harbour WHERE depth > $1 AND kind = $2",
        3,
    ),
    (
        "SELECT count(*) FROM boat WHERE berth IN ({n}, 2, 3) AND sold IS NULL",
        "SELECT count(*) FROM boat WHERE berth IN ($1 /*, ... */) AND sold IS NULL",
        2,
    ),
    (
        "SELECT id FROM boat WHERE length > -{n} ORDER BY id LIMIT 5",
        "SELECT id FROM boat WHERE length > $1 ORDER BY id LIMIT $2",
        2,
    ),
    (
        "SELECT date_trunc('day', landed), sum(weight)\nFROM catch -- daily\n"
        "WHERE landed > now() - interval '{n} day' GROUP BY 1",
        "SELECT date_trunc($1, landed), sum(weight)\nFROM catch -- daily\n"
        "WHERE landed > now() - interval $2 GROUP BY $3",
        2,
    ),
    ("UPDATE boat SET name = 'x{n}' WHERE id = 7", "UPDATE boat SET name = $1 WHERE id = $2", 1),
    ("INSERT INTO boat VALUES ({n}, 'a')", "INSERT INTO boat VALUES ($1, $2)", 4),
    ("BEGIN", "BEGIN", 5),
]
# The same for MySQL's digests.
MYSQL = [
    (
        "select name from harbour where depth > {n}",
        "SELECT NAME FROM `harbour` WHERE `depth` > ?",
        3,
    ),
    (
        "SELECT COUNT(*) FROM boat b WHERE b.berth IN ({n}, 2, 3) LIMIT 5, 10",
        "SELECT COUNT ( * ) FROM `boat` `b` WHERE `b` . `berth` IN (...) LIMIT ?, ...",
        2,
    ),
    ("INSERT INTO boat (id) VALUES ({n})", "INSERT INTO `boat` ( `id` ) VALUES (?)", 2),
]


def count_templates(path, format, dialect, folder):
    """Return how often each template occurs, and each reason for a reject."""
    templatizer = Templatizer(dialect)
    counts = Counter()
    for row in ingested(entry(path, format, dialect=dialect), folder):
        found = templatizer(row["sql"])
        counts[found.template or found.reject_reason] += row["n_occurrences"]
    return counts


def repeat(workload):
    return [sent.format(n=n) for sent, _, n_times in workload for n in range(1, n_times + 1)]


def test_postgresql(tmp_path):
    log, aggregate = tmp_path / "postgresql.log", tmp_path / "statements.csv"
    lines = [f"LOG:  duration: 0.1 ms  statement: {sql}" for sql in repeat(POSTGRES)]
    # A failed statement is logged before it runs, and never aggregated.
    lines += ["LOG:  statement: SELECT a FROM gone", "ERROR:  no such relation"]
    lines += ["STATEMENT:  SELECT a FROM gone"]
    log.write_text(
        "".join(
            f"2026-01-01 10:00:00 UTC [7] app@port {line}".replace("\n", "\n\t") + "\n"
            for line in lines
        )
    )
    rows = [{"query": query, "calls": n} for _, query, n in POSTGRES]
    rows += [{"query": "<insufficient privilege>", "calls": 9}]
    aggregate.write_bytes(as_csv(rows))
    raw = count_templates(log, "pg_log", "postgres", tmp_path)
    assert raw == count_templates(aggregate, "pg_stat_statements", "postgres", tmp_path)
    assert sorted(raw.values()) == sorted(n for *_, n in POSTGRES)


def test_mysql(tmp_path):
    log, aggregate = tmp_path / "slow.log", tmp_path / "digests.csv"
    log.write_text(
        "".join(
            "# User@Host: app[app] @ localhost []  Id: 8\n# Query_time: 1  Lock_time: 0\n"
            f"SET timestamp=1767261600;\n{sql};\n"
            for sql in repeat(MYSQL)
        )
    )
    rows = [{"digest_text": query, "count_star": n + 1, "sum_errors": 1} for _, query, n in MYSQL]
    aggregate.write_bytes(as_csv(rows))
    raw = count_templates(log, "mysql_slow_log", "mysql", tmp_path)
    assert raw == count_templates(aggregate, "mysql_digests", "mysql", tmp_path)
    assert sorted(raw.values()) == sorted(n for *_, n in MYSQL)


COMMANDS = {
    "postgres": "BEGIN; START TRANSACTION; SAVEPOINT a; RELEASE SAVEPOINT a; DISCARD ALL; "
    "LISTEN a; UNLISTEN *; CLOSE c; CHECKPOINT; ABORT; RESET ALL; DEALLOCATE ALL; "
    "GRANT SELECT ON a TO b; "
    "EXPLAIN SELECT 1; VACUUM a; COPY a FROM STDIN; SET a = 1; SHOW a; CREATE EXTENSION hstore",
    "mysql": "FLUSH PRIVILEGES; XA START 'a'; USE a; SHOW WARNINGS; KILL 5; SET NAMES utf8mb4",
    "tsql": "DBCC CHECKDB; WAITFOR DELAY '1'; EXEC sp_who; DECLARE @x int; BEGIN TRAN",
    "oracle": "LOCK TABLE a IN EXCLUSIVE MODE; ALTER SESSION SET x = 1",
}


@pytest.mark.parametrize("dialect", COMMANDS)
def test_commands_are_not_queries(dialect):
    templatizer = Templatizer(dialect)
    for sql in COMMANDS[dialect].split("; "):
        reason = templatizer(sql).reject_reason
        assert reason and reason.startswith("not a query, DML or DDL statement: "), (sql, reason)


@pytest.mark.parametrize(
    ("dialect", "sql", "reason"),
    [
        ("oracle", "BEGIN pay(:1); END;", "not a query, DML or DDL statement: BEGIN"),
        ("oracle", "DECLARE n NUMBER; BEGIN pay(n); END;\n/", "not a query, DML or DDL statement"),
        ("postgres", "BEGIN; SELECT 1; COMMIT", "more than one statement"),
        ("postgres", "SELEC broken", "does not parse: an expression (Alias), not a statement"),
        ("postgres", "error", "does not parse: an expression (Column), not a statement"),
        ("postgres", "SELECT a FROM", "does not parse: Expected table name"),
        (
            "postgres",
            "Call the harbour, and ask for the depth.",
            "does not parse: a sentence (CALL ",
        ),
        ("sqlite", "Show me the boats of each harbour?", "does not parse: a sentence (SHOW "),
    ],
)
def test_broken_text_does_not_parse(dialect, sql, reason):
    assert Templatizer(dialect)(sql).reject_reason.startswith(reason)


def test_other_reasons_are_kept():
    for reason in ("empty", "longer than 10 characters", "left out by kinds: ddl"):
        assert explain_reject("BEGIN", reason) == reason


@pytest.mark.parametrize(
    "declared", ["(@p0 int)", "(@P1 nvarchar(4000),@P2 decimal(10, 2) OUTPUT) ", "\n(@1 [sysname])"]
)
def test_declared_parameters_are_not_part_of_a_statement(declared):
    assert looks_like_sql(f"{declared}SELECT a FROM b WHERE c = @p0")
    found = Templatizer("tsql")(f"{declared}SELECT a FROM b WHERE c = @p0")
    assert found.template == "SELECT FROM WHERE ="


@pytest.mark.parametrize(
    ("dialect", "sql", "template"),
    [
        (
            "oracle",
            "SELECT a FROM b WHERE c = :1 AND d IN (:2, :3)",
            "SELECT FROM WHERE = AND IN ( )",
        ),
        ("oracle", "INSERT INTO a VALUES (:1, :2)", "INSERT INTO VALUES ( , )"),
        ("oracle", 'SELECT a FROM b WHERE c = :"SYS_B_0"', "SELECT FROM WHERE ="),
        (
            "oracle",
            "DELETE FROM a WHERE b = :1 LOG ERRORS REJECT LIMIT 5",
            "DELETE FROM WHERE = LOG ERRORS REJECT LIMIT",
        ),
        ("duckdb", "SELECT {'a':1}, x[b:3]", "SELECT { : } , [ : ]"),
        ("postgres", "SELECT a[1:2] FROM b", "SELECT [ : ] FROM"),
    ],
)
def test_numbered_parameters_are_bind_parameters(dialect, sql, template):
    for shares_parses in (False, True):
        assert Templatizer(dialect, shares_parses=shares_parses)(sql).template == template


def test_a_cut_text_has_no_template(tmp_path):
    path = tmp_path / "vsql.csv"
    text = "SELECT a FROM " + "b" * 986
    path.write_bytes(as_csv([{"sql_id": "a", "sql_text": text, "executions": 3}]))
    report = ingest_corpus(entry(path, "oracle_sql"), tmp_path / "queries.parquet")
    assert report.n_queries == 1
    [row] = ingested(entry(path, "oracle_sql"), tmp_path)
    assert (row["sql"], row["raw_sql"], row["reject_reason"]) == ("", text, "cut off by its log")
