"""Databases and conditions from elsewhere: SQL in them reads no file and replaces no table."""

import shutil
import time
from pathlib import Path

import duckdb
import pytest

from nl2sql_align import load
from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.publish import check_published
from nl2sql_align.tasks.results.read import REQUIRE_SECONDS_VARIABLE, matrix, ratio, rejects
from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.views.pictures import plot
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.unit.results.test_read import publish_results

pytestmark = pytest.mark.fault

TEXT = "the keys of the harbour office"
READERS = (
    matrix,
    ratio,
    lambda folder: rejects(folder, "base"),
    lambda folder: explain(folder, "zoo-train", "dev"),
    write_report,
    lambda folder: plot(folder, "matrix", folder / "matrix.svg"),
    load,
)


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A file that nothing may read, as text and as a Parquet file beside it."""
    file = tmp_path_factory.mktemp("it's secret") / "keys.txt"
    file.write_text(TEXT)
    with duckdb.connect() as con:
        con.execute("create table t as select $1 as corpus, $1 as ngram", [TEXT])
        con.execute(f"copy t to '{quote(file.with_suffix('.parquet'))}'")
    return file


@pytest.fixture(scope="module")
def published(tmp_path_factory, make_corpus):
    folder = tmp_path_factory.mktemp("published") / "ware [1] *house"
    publish_results(folder, make_corpus)
    return folder


@pytest.fixture
def warehouse(published, tmp_path):
    """A copy of a warehouse."""
    shutil.copytree(published, tmp_path / "warehouse")
    return tmp_path / "warehouse"


def change(database, *statements):
    with duckdb.connect(str(database)) as con:
        for statement in statements:
            con.execute(statement)


def quote(path):
    return str(path).replace("'", "''")


def executing(secret):
    """Return changes, by name, that make reading a database execute its content."""
    read = f"select * from read_text('{quote(secret)}')"
    views = {
        f"view '{name}'": [f"drop table {name} cascade", f"create view {name} as {read}"]
        for name in ("corpora", "runs", "alignment")
    }
    return {
        **views,
        "macro 'count'": ["create macro count(x) as 42"],
        "macro 'duckdb_views'": [f"create macro duckdb_views() as table {read}"],
    }


def other_contents(secret):
    """Return changes to a database, by name, that reading its tables does not execute."""
    read = f"read_text('{quote(secret)}')"
    parquet = quote(secret.with_suffix(".parquet"))
    return {
        "view 'ngram_counts'": [f"create or replace view ngram_counts as from {read}"],
        "view 'queries'": [f"create or replace view queries as from {read}"],
        "view 'alignment_change'": [f"create or replace view alignment_change as from {read}"],
        "view 'mine'": [f"create view mine as from read_parquet(['{parquet}'])"],
        "table 'mine'": ["create table mine as select 1 as x"],
        "table 'mixtures'": ["alter table mixtures add column more integer default 1"],
    }


def all_contents(secret):
    return executing(secret) | other_contents(secret)


@pytest.mark.parametrize("name", all_contents(Path("x")))
def test_contents_that_are_not_ours_are_refused(warehouse, secret, name):
    change(warehouse / "alignment.duckdb", *all_contents(secret)[name])
    check_refused(open_results, warehouse, name)


def test_every_reader_refuses_them(warehouse, secret):
    change(warehouse / "alignment.duckdb", *executing(secret)["view 'corpora'"])
    for read in READERS:
        check_refused(read, warehouse, "view 'corpora'")


def check_refused(read, warehouse, name):
    with pytest.raises(WarehouseError) as error:
        read(warehouse)
    assert name in str(error.value)
    assert str(error.value).endswith("is not read; remove it and run again")
    assert TEXT not in str(error.value)


def test_a_run_carries_nothing_over_from_such_a_database(warehouse, secret, make_corpus):
    change(Warehouse(warehouse).database, *executing(secret)["view 'runs'"])
    before = Warehouse(warehouse).database.read_bytes()
    with pytest.raises(WarehouseError, match="view 'runs'"):
        publish_results(warehouse, make_corpus)
    assert Warehouse(warehouse).database.read_bytes() == before


@pytest.mark.parametrize("name", [*executing(Path("x")), "another program's"])
def test_a_run_checks_the_database_and_the_backup(warehouse, secret, name):
    statements = {**executing(secret), "another program's": ["drop table runs cascade"]}[name]
    database, backup = Warehouse(warehouse).database, Warehouse(warehouse).backup_file
    change(database, *statements)
    with pytest.raises(WarehouseError, match=name):
        check_published(Warehouse(warehouse))
    database.replace(backup)
    with pytest.raises(WarehouseError, match=name):
        check_published(Warehouse(warehouse))


def test_connections_read_only_their_warehouse(warehouse, secret):
    link = Warehouse(warehouse).ngrams / "linked.parquet"
    link.symlink_to(secret.with_suffix(".parquet"))
    with open_results(warehouse) as con:
        for query in (
            f"from read_text('{quote(secret)}')",
            f"from read_parquet('{quote(link)}')",
            f"from read_parquet('{quote(warehouse)}/ngrams/../../{quote(secret)}')",
            "from glob('/etc/*')",
            f"attach '{quote(secret)}' as other",
            f"copy corpora to '{quote(warehouse)}/corpora.csv'",
        ):
            with pytest.raises(duckdb.PermissionException):
                con.execute(query)
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            con.execute("set enable_external_access = true")


def test_the_counts_of_a_warehouse_are_read(published):
    with open_results(published) as con:
        assert con.sql("select distinct corpus from ngram_counts order by all").fetchall() == [
            ("animals",),
            ("base",),
            ("dev",),
            ("zoo-train",),
        ]


@pytest.mark.parametrize("view", ["ngram_counts", "queries"])
def test_a_view_of_files_elsewhere_is_not_read(warehouse, secret, view):
    parquet = quote(secret.with_suffix(".parquet"))
    change(
        warehouse / "alignment.duckdb",
        f"create or replace view {view} as from read_parquet(['{parquet}'])",
    )
    with open_results(warehouse) as con, pytest.raises(duckdb.PermissionException):
        con.execute(f"from {view}")


@pytest.mark.parametrize(
    "condition",
    [
        "(select content from read_text({secret})) is not null",
        "exists (from read_csv({secret}))",
        "exists (from glob('/etc/*'))",
        "exists (from corpora)",
    ],
)
def test_a_condition_reads_the_columns_only(published, secret, condition):
    with pytest.raises(ConfigurationError, match=r"^--require: .*; the columns are: ") as error:
        matrix(published, condition.format(secret=f"'{quote(secret)}'"))
    assert TEXT not in str(error.value)


def test_a_condition_has_a_time_limit(published, monkeypatch):
    monkeypatch.setenv(REQUIRE_SECONDS_VARIABLE, "0.2")
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    before = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"^--require: not evaluated within 0.2 s; "):
        matrix(published, f"({endless}) > 0")
    assert time.monotonic() - before < 20


@pytest.mark.parametrize("limit", ["0", "-1", "soon", "nan", "1e9"])
def test_a_wrong_time_limit_is_an_error(published, monkeypatch, limit):
    monkeypatch.setenv(REQUIRE_SECONDS_VARIABLE, limit)
    with pytest.raises(ConfigurationError, match=f"^'{limit}' is not a time limit; "):
        matrix(published, "true")
