"""Which requests a Prefect server of ours answers, and which database it takes."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from urllib.request import urlopen

import pytest

from nl2sql_align.flows.running.server_process import Guard, _is_whole
from tests.conftest import MAKER

ALLOWED = ["http://127.0.0.1:4200", "http://localhost:4200", "https://prefect.example.org"]


def ask(kind, headers, origins=ALLOWED):
    """Return the first message of a guarded application that answers everything with 200."""
    messages = []

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def send(message):
        messages.append(message)

    scope = {"type": kind, "headers": [(k.encode(), v.encode()) for k, v in headers]}
    asyncio.run(Guard(answer, origins)(scope, None, send))
    return messages[0].get("status", messages[0]["type"])


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:4200"},
        {"host": "LOCALHOST"},
        {"host": "127.0.0.1:4200", "origin": "http://localhost:4200"},
        {"host": "prefect.example.org", "origin": "https://prefect.example.org"},
        {"host": "127.0.0.1:4200", "origin": "https://prefect.example.org"},
    ],
)
def test_programs_and_own_pages_are_answered(headers):
    assert ask("http", headers.items()) == 200
    assert ask("websocket", headers.items()) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "")],
        [("host", "[")],
        [("host", "pages.example")],
        [("host", "127.0.0.1.pages.example:4200")],
        [("host", "pages.example@127.0.0.1"), ("origin", "http://pages.example")],
        [("host", "127.0.0.1"), ("host", "pages.example")],
        [("host", "127.0.0.1:4200"), ("origin", "null")],
        [("host", "127.0.0.1:4200"), ("origin", "http://127.0.0.1:8000")],
        [("host", "127.0.0.1:4200"), ("origin", "http://prefect.example.org")],
        [("host", "127.0.0.1"), ("origin", ALLOWED[0]), ("origin", "http://pages.example")],
    ],
)
def test_foreign_pages_are_refused(headers):
    assert ask("http", headers) == 403
    assert ask("websocket", headers) == "websocket.close"


def test_the_server_of_a_run_answers_no_page():
    assert ask("http", [("host", "127.0.0.1:9")], ()) == 200
    assert ask("http", [("host", "127.0.0.1:9"), ("origin", "http://127.0.0.1:9")], ()) == 403


def test_a_damaged_copy_of_the_empty_database_is_not_used(tmp_path):
    whole, cut = tmp_path / "whole.db", tmp_path / "cut.db"
    with closing(sqlite3.connect(whole)) as con:
        con.execute("create table alembic_version (version_num text)")
        con.execute("insert into alembic_version values ('1')")
        con.execute("create table filling as select zeroblob(100000) as zeros")
        con.commit()
    assert _is_whole(whole)
    cut.write_bytes(whole.read_bytes()[:50_000])
    assert not _is_whole(cut)
    cut.write_bytes(b"")
    assert not _is_whole(cut)


def test_the_empty_database_is_made_once_and_not_in_the_home_of_prefect(
    empty_prefect_database, cache
):
    [made] = cache.glob("prefect-*.db")
    assert all(_is_whole(file) for file in (empty_prefect_database / "prefect.db", made))
    assert not (empty_prefect_database / "home" / "prefect.db").exists()


# Makes its database only when another process is about to make one, too.
SLOW_DATABASE = """
import os, sqlite3, time
from pathlib import Path

class Interface:
    async def create_db(self):
        database = Path(os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"].partition("///")[2])
        with sqlite3.connect(database) as con:
            con.execute("create table alembic_version (version_num text)")
            con.execute("insert into alembic_version values ('1')")
        until = time.monotonic() + 60
        while len([*database.parents[1].glob("*/prefect.db")]) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)

provide_database_interface = Interface
"""


@pytest.mark.fault
def test_servers_that_start_at_once_all_have_a_database(tmp_path):
    """Servers that shared a database failed as they migrated it."""
    module = tmp_path / "modules" / "prefect" / "server" / "database.py"
    module.parent.mkdir(parents=True)
    module.write_text(SLOW_DATABASE)
    for package in module.parents[:2]:
        (package / "__init__.py").write_text("")
    variables = {"NL2SQL_ALIGN_CACHE": str(tmp_path / "cache")}
    # Not all of sys.path: a flow that another test has loaded leaves flows/ there, and select.py.
    paths = [str(module.parents[2]), os.environ.get("PYTHONPATH", "")]
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    files = [tmp_path / name / "prefect.db" for name in ("one", "other")]
    makers = []
    for file in files:
        file.parent.mkdir()
        command = [sys.executable, "-c", MAKER, str(file)]
        makers.append(subprocess.Popen(command, env={**os.environ, **variables}))
    assert [maker.wait(timeout=300) for maker in makers] == [0, 0]
    [made] = (tmp_path / "cache").iterdir()
    assert all(_is_whole(file) for file in (*files, made))


CALLER = """
import json, os
import httpx
from nl2sql_align.flows.running.temporary_server import is_temporary, serving
from prefect import get_client
from prefect.settings import get_current_settings

def look():
    return get_current_settings().api.url, is_temporary()

found = {"before": look()}
with serving():
    found["within"] = address, _ = look()
    with serving():
        found["nested"] = look()
    found["stranger"] = httpx.post(f"{address}/flows/filter", json={}).status_code
    with get_client(sync_client=True) as client:
        found["flows"] = len(client.read_flows())
with serving():
    found["again"] = look()
found["after"] = look()
found["environment"] = os.environ.get("PREFECT_API_URL")
print(json.dumps(found))
"""


@pytest.mark.fault
def test_flows_in_a_python_program_have_a_server_with_a_password(tmp_path, empty_prefect_database):
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path)}
    environment.pop("PREFECT_API_URL", None)
    ended = subprocess.run(
        [sys.executable, "-c", CALLER], capture_output=True, env=environment, timeout=300
    )
    found = json.loads(ended.stdout)
    assert found["within"] == found["nested"] == found["again"]
    assert found["within"][0].startswith("http://127.0.0.1:")
    assert found["within"][1] is True
    # Other flows of the program have the server that they would have without ours.
    assert found["before"] == found["after"] == [None, False]
    assert found["environment"] is None
    assert (found["stranger"], found["flows"]) == (401, 0)
    assert (ended.stderr, ended.returncode) == (b"", 0)
    with pytest.raises(OSError, match="refused"):
        urlopen(found["within"][0])
