"""Limits on threads and memory, and the connections that steps share."""

import os
import pickle
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from nl2sql_align.tasks.base.connections import (
    MEMORY_LIMIT_VARIABLE,
    Engine,
    Resources,
    bounded,
    connect,
    connected,
)
from nl2sql_align.tasks.base.environment import THREADS_VARIABLE
from nl2sql_align.tasks.base.errors import ConfigurationError


def settings(con):
    rows = con.sql("select name, value from duckdb_settings()").fetchall()
    return dict(rows)


def test_steps_share_one_instance_but_not_their_tables(tmp_path):
    with bounded(3, "1GB", tmp_path), connected() as one, connected() as other:
        one.sql("select 1 as a").create_view("dump")
        other.sql("select 2 as a").create_view("dump")
        one.execute("create table own as select 5 as b")
        assert one.sql("from dump").fetchall() == [(1,)]
        assert other.sql("from dump").fetchall() == [(2,)]
        with pytest.raises(duckdb.CatalogException):
            other.sql("from own")
        n_databases = "select count(*) from duckdb_databases() where database_name like 'step_%'"
        assert one.sql(n_databases).fetchall() == other.sql(n_databases).fetchall() == [(2,)]
        assert settings(one)["threads"] == "3"
        assert settings(one)["memory_limit"] == settings(other)["memory_limit"] == "357.6 MiB"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_error_of_a_block_is_not_replaced_by_that_of_its_end(tmp_path, monkeypatch, error):
    def refuse(_):
        raise duckdb.InvalidInputException("connection is busy with another call")

    with pytest.raises(error), bounded(2, "1GB", tmp_path):
        with connected():
            pass
        monkeypatch.setattr(Engine, "_close", refuse)
        raise error
    monkeypatch.undo()
    with bounded(1, "1GB", tmp_path), pytest.raises(error), connected() as con:
        con.close()  # so that nothing can be detached
        raise error


def test_a_connection_gets_its_share_of_the_memory_but_at_most_what_it_needs(tmp_path):
    with bounded(1, "1GB", tmp_path):
        for most_bytes, limit in (
            (None, "476.8 MiB"),
            (1 << 30, "476.8 MiB"),
            (1 << 27, "128.0 MiB"),
        ):
            with connect(memory_share=0.5, most_bytes=most_bytes) as con:
                assert settings(con)["memory_limit"] == limit


def test_data_that_does_not_fit_in_memory_goes_to_the_temporary_folder(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    with bounded(1, "60MB", folder), connected() as con:
        con.execute("create table t as select range::varchar as a from range(3000000)")
        assert con.sql("select count(*) from t").fetchall() == [(3_000_000,)]
        assert any(folder.iterdir())


def test_a_step_removes_its_database_even_if_it_fails(tmp_path):
    with bounded(1, None, tmp_path):
        with pytest.raises(ZeroDivisionError), connected() as con:
            con.execute("create table own as select 5 as b")
            raise ZeroDivisionError
        with connected() as con:
            names = con.sql("select database_name from duckdb_databases() where not internal")
            assert len(names.fetchall()) == 2  # the instance's own, and the step's


def test_no_more_steps_run_at_a_time_than_there_are_threads(tmp_path):
    n_running, most = 0, 0
    change = threading.Condition()

    def step():
        nonlocal n_running, most
        with connected():
            with change:
                n_running += 1
                most = max(most, n_running)
            time.sleep(0.1)
            with change:
                n_running -= 1

    with bounded(2, None, tmp_path):
        threads = [threading.Thread(target=step) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2


def test_the_innermost_block_sets_the_limits(tmp_path, monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "5")
    monkeypatch.setenv(MEMORY_LIMIT_VARIABLE, "2GiB")
    engine = Engine()
    before = engine.resources()
    assert (before.threads, before.memory_bytes) == (5, 2 * 1024**3)
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    with engine.bounded(3, "1GB", outer), engine.connected() as one:
        with engine.bounded(None, None, inner) as limits, engine.connected() as other:
            assert limits == engine.resources() == Resources(5, 2 * 1024**3, inner)
            assert settings(other)["threads"] == "5"
        assert engine.resources() == Resources(3, 10**9, outer)
        assert settings(one)["threads"] == "3"
    assert engine.resources() == before


@pytest.mark.parametrize(
    ("threads", "memory_limit", "problem"),
    [(0, None, "'0' is not a number of threads"), (1, "much", "'much' is not a memory limit")],
)
def test_limits_that_are_not_valid_are_refused(tmp_path, threads, memory_limit, problem):
    engine = Engine()
    before = engine.resources()
    with (
        pytest.raises(ConfigurationError, match=problem),
        engine.bounded(threads, memory_limit, tmp_path),
    ):
        pytest.fail("the limits are not valid")
    assert engine.resources() == before


def test_polars_obeys_the_number_of_threads(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from nl2sql_align.tasks.base.connections import bounded\n"
        "with bounded(3, None, pathlib.Path(sys.argv[1])):\n"
        "    import polars\n"
        "    print(polars.thread_pool_size())\n"
    )
    # An earlier test in this process may have set the variable.
    unset = {name: value for name, value in os.environ.items() if name != "POLARS_MAX_THREADS"}
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=unset,
    )
    assert ended.stdout == "3\n"


def test_the_functions_are_pickled_by_reference():
    """Flows use them, and Dask pickles flows with everything that they use."""
    assert pickle.loads(pickle.dumps(bounded)) == bounded
