"""Loading and running SQL files, and the rules that the project's own files keep."""

import re
from pathlib import Path

import duckdb
import pytest

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.run_sql import (
    declared_parameters,
    list_sql,
    load_sql,
    query_sql,
    run_sql,
)

SQL = Path(__file__).parents[3] / "sql"
NAMES = sorted(str(path.relative_to(SQL).with_suffix("")) for path in SQL.rglob("*.sql"))


@pytest.fixture
def con():
    with connect() as con:
        yield con


@pytest.fixture
def sql_file(tmp_path):
    """Write a SQL file, and return its path without the suffix."""

    def write(text):
        (tmp_path / "file.sql").write_text(text)
        return tmp_path / "file"

    return write


def test_parameters_reach_the_query(con, sql_file):
    file = sql_file("-- A sum.\n-- parameters: a, b\nselect $a + $b")
    assert run_sql(con, file, a=1, b=2).fetchall() == [(3,)]
    assert query_sql(con, file, a=1, b=2).fetchall() == [(3,)]


def test_names_of_files_are_not_patterns(con, sql_file, tmp_path):
    for name in ("a[1]*?'.csv", "a1x.csv"):
        (tmp_path / name).write_text(f'name\n"{name}"\n')
    file = sql_file(
        "-- A file.\n-- parameters: paths\nselect name from read_csv(\n    $paths, header = true)"
    )
    path = str(tmp_path / "a[1]*?'.csv")
    assert query_sql(con, file, paths=path).fetchall() == [("a[1]*?'.csv",)]
    assert query_sql(con, file, paths=[path]).fetchall() == [("a[1]*?'.csv",)]


def test_values_are_never_pasted_into_the_statement(con, sql_file):
    file = sql_file("-- parameters: text\nselect $text")
    assert run_sql(con, file, text="'; drop table x; --").fetchone() == ("'; drop table x; --",)


def test_statements_run_in_order_with_the_parameters_that_each_uses(con, sql_file):
    file = sql_file(
        "-- parameters: n, s\n"
        "create table t as select $n as n;\n-- between\ninsert into t values (2);\n"
        "select n, $s, $s from t order by n; -- end\n"
    )
    assert run_sql(con, file, n=1, s="x").fetchall() == [(1, "x", "x"), (2, "x", "x")]


def test_parameters_may_have_the_names_of_arguments(con, sql_file):
    file = sql_file("-- parameters: con, name\nselect $con, $name")
    assert run_sql(con, file, con=1, name=2).fetchall() == [(1, 2)]


def test_a_file_may_take_no_parameters(con, sql_file):
    file = sql_file("-- One.\n-- parameters: none\nselect 1")
    assert run_sql(con, file).fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("-- parameters: a\nselect $a", {}, "takes a, not no parameters"),
        ("-- parameters: a\nselect $a", {"a": 1, "b": 2}, "takes a, not a, b"),
        ("-- parameters: none\nselect 1", {"a": 1}, "takes no parameters, not a"),
        ("-- parameters: a, b\nselect $a", {"a": 1, "b": 2}, "declares a, b but uses a"),
        ("-- parameters: none\nselect $a", {"a": 1}, "declares no parameters but uses a"),
        ("-- parameters: none\nselect ?", {}, "declares no parameters but uses 1"),
        ("-- A comment.\nselect 1", {}, "the header needs one line '-- parameters: a, b'"),
        ("select 1\n-- parameters: none", {}, "the header needs one line"),
        ("-- parameters: a\n-- parameters: b\nselect $a, $b", {}, "the header needs one line"),
    ],
)
def test_given_declared_and_used_parameters_must_agree(con, sql_file, text, given, message):
    file = sql_file(text)
    for function in (run_sql, query_sql):
        with pytest.raises(ValueError, match=f"^{re.escape(str(file))}\\.sql") as caught:
            function(con, file, **given)
        assert message in str(caught.value)


def test_nothing_runs_before_the_parameters_are_checked(con, sql_file):
    file = sql_file("-- parameters: a\ncreate table t (i int); select $a")
    with pytest.raises(ValueError, match=r"takes a"):
        run_sql(con, file)
    assert con.execute("select count(*) from duckdb_tables()").fetchone() == (0,)


def test_a_relation_needs_one_statement(con, sql_file):
    file = sql_file("-- parameters: none\nselect 1; select 2")
    with pytest.raises(ValueError, match=r"holds 2 statements where one is needed"):
        query_sql(con, file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"SQL file sql/no/such\.sql does not exist"):
        load_sql("no/such")
    with pytest.raises(ValueError, match=rf"SQL file {tmp_path}/such\.sql does not exist"):
        load_sql(tmp_path / "such")


def test_folders_are_listed_by_name(tmp_path):
    for name in ("b.sql", "a.x.sql", "a.sql", "readme.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    assert list_sql(tmp_path) == ("a", "a.x", "b")


def test_each_file_declares_its_purpose_and_its_parameters(con):
    for name in NAMES:
        assert not load_sql(name).startswith("-- parameters:"), name
        statements = con.extract_statements(load_sql(name))
        used = frozenset().union(*(statement.named_parameters for statement in statements))
        assert declared_parameters(name) == used, name


def test_connections_do_not_fetch_extensions():
    with connect() as con:
        settings = con.execute(
            "select value from duckdb_settings() where name like 'auto%known_extensions'"
        ).fetchall()
    assert settings == [("false",), ("false",)]
    with pytest.raises(duckdb.ConnectionException):
        con.execute("select 1")
