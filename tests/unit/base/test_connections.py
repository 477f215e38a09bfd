"""How much of the machine the steps may use, and the connections that they share."""

import os
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from nl2sql_align.tasks.base.connections import bounded, connected


def settings(con):
    rows = con.sql("select name, value from duckdb_settings()").fetchall()
    return dict(rows)


def test_steps_share_one_instance_and_see_nothing_of_each_other(tmp_path):
    with bounded(3, "1GB", tmp_path), connected() as one, connected() as other:
        one.sql("select 1 as a").create_view("dump")
        other.sql("select 2 as a").create_view("dump")
        one.execute("create table kept as select 5 as b")
        assert one.sql("from dump").fetchall() == [(1,)]
        assert other.sql("from dump").fetchall() == [(2,)]
        with pytest.raises(duckdb.CatalogException):
            other.sql("from kept")
        n_databases = "select count(*) from duckdb_databases() where database_name like 'step_%'"
        assert one.sql(n_databases).fetchall() == other.sql(n_databases).fetchall() == [(2,)]
        assert settings(one)["threads"] == "3"
        assert settings(one)["memory_limit"] == settings(other)["memory_limit"] == "357.6 MiB"


def test_what_does_not_fit_in_memory_goes_to_the_folder_for_it(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    with bounded(1, "60MB", folder), connected() as con:
        con.execute("create table t as select range::varchar as a from range(3000000)")
        assert con.sql("select count(*) from t").fetchall() == [(3_000_000,)]
        assert any(folder.iterdir())


def test_a_step_leaves_nothing_behind_also_where_it_fails(tmp_path):
    with bounded(1, None, tmp_path):
        with pytest.raises(ZeroDivisionError), connected() as con:
            con.execute("create table kept as select 5 as b")
            raise ZeroDivisionError
        with connected() as con:
            names = con.sql("select database_name from duckdb_databases() where not internal")
            assert len(names.fetchall()) == 2  # the instance's own, and the step's


def test_no_more_steps_are_at_work_than_threads_are_allowed(tmp_path):
    at_work, most = 0, 0
    change = threading.Condition()

    def step():
        nonlocal at_work, most
        with connected():
            with change:
                at_work += 1
                most = max(most, at_work)
            time.sleep(0.1)
            with change:
                at_work -= 1

    with bounded(2, None, tmp_path):
        threads = [threading.Thread(target=step) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2


def test_polars_obeys_the_number_of_threads(tmp_path):
    code = (
        "import sys, pathlib; from nl2sql_align.tasks.base.connections import bounded\n"
        "with bounded(3, None, pathlib.Path(sys.argv[1])):\n"
        "    import polars\n"
        "    print(polars.thread_pool_size())\n"
    )
    # What an earlier run in this process has set would be inherited.
    unset = {name: value for name, value in os.environ.items() if name != "POLARS_MAX_THREADS"}
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=unset,
    )
    assert said.stdout == "3\n"
