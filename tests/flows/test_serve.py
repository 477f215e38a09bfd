"""The service end to end: start, deploy, run by hand and by schedule, stop."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from nl2sql_align.flows.serve import PASSWORD_FILE, find_service
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from tests.flows.conftest import small_corpora, write_modules
from tests.flows.warehouses import read

pytestmark = [pytest.mark.flow, pytest.mark.service]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory, cache, empty_prefect_database):
    """A folder with our prefect.yaml, whose nightly run does not wait for dumps to settle.

    It has modules that must not be taken for ours, nor ours for them.
    """
    folder = tmp_path_factory.mktemp("project")
    write_modules(folder)
    (folder / ".prefect").mkdir(mode=0o700)
    [database] = cache.glob("prefect-*.db")
    shutil.copy(database, folder / ".prefect" / "prefect.db")
    small_corpora(folder / "samples").write()
    given = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    [nightly] = [one for one in given["deployments"] if one["name"] == "nightly"]
    [schedule] = nightly["schedules"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 2 * * *", "UTC")
    nightly["parameters"]["settle_minutes"] = 0
    (folder / "prefect.yaml").write_text(yaml.safe_dump(given))
    return folder


def environment(**variables):
    """Our environment with other variables of Prefect."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith("PREFECT_")}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**kept, "PYTHONPATH": path, **variables}


def serve(project, command, *options, seconds=600, **variables):
    return subprocess.run(
        [sys.executable, "-m", "nl2sql_align.flows.serve", command, *map(str, options)],
        cwd=project,
        env=environment(PREFECT_WORKER_QUERY_SECONDS="1", **variables),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.fixture(scope="module")
def service(project):
    """The running service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = project / ".prefect"
    try:
        started = serve(project, "start", "--port", port)
        logs = "".join(log.read_text()[-3000:] for log in home.glob("*.log"))
        assert started.returncode == 0, started.stderr + logs
        assert f"export PREFECT_API_URL=http://127.0.0.1:{port}/api" in started.stdout
        assert f'export PREFECT_API_AUTH_STRING="$(cat {home}/{PASSWORD_FILE})"' in started.stdout
        yield find_service(home)
    finally:
        stopped = serve(project, "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "Prefect has stopped\n"), stopped.stderr
    assert find_service(home) is None
    assert not (home / "serve.json").exists()


@pytest.fixture(scope="module")
def password(service, project):
    return (project / ".prefect" / PASSWORD_FILE).read_text().strip()


@pytest.fixture(scope="module")
def call(service, password):
    """Return a function that calls the API with the password and a token against forgery."""
    basic = base64.b64encode(password.encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    given = ask(f"{service.url}/csrf-token?client=test", headers)
    headers |= {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": given["token"]}

    def call(path, **body):
        return ask(f"{service.url}/{path}", headers, body)

    return call


def ask(url, headers, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, headers)
    for _ in range(10):
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:  # its database is busy; Prefect's own clients retry, too
                raise
            time.sleep(1)
    raise AssertionError(f"the server stays busy: {url}")


def wait_for_run(call, run_id, seconds=600):
    """Wait for the end of a flow run, and return it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        run = call(f"flow_runs/{run_id}")
        if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return run
        time.sleep(0.5)
    raise AssertionError(f"it does not end: {run['state']}")


def test_runs_by_hand_and_by_schedule_complete(call, project, service, password):
    deployments = {
        one["name"] + " " + one["entrypoint"]: one for one in call("deployments/filter", limit=50)
    }
    nightly = deployments["nightly nl2sql_align.flows.nightly.nightly"]
    for name, place in (
        ("select", "select.select"),
        ("mix", "decisions.mix"),
        ("sample-size", "decisions.sample_sizes"),
        ("calibrate", "decisions.calibrate"),
        ("headroom", "decisions.headroom_ratios"),
        ("explain", "decisions.explain_pair"),
        ("align", "align.align"),
    ):
        for one in (name, "ad-hoc"):  # ad-hoc is the earlier name of all
            assert f"{one} nl2sql_align.flows.{place}" in deployments
    for one in deployments.values():
        assert one["global_concurrency_limit"]["limit"] == 1
        assert one["work_pool_name"] == "nl2sql-align"
        for name, parameter in one["parameter_openapi_schema"]["properties"].items():
            assert parameter.get("description"), f"{one['name']}: {name}"
    [schedule] = nightly["schedules"]
    assert (schedule["slug"], schedule["active"]) == ("every-night", True)

    # Move the next scheduled run to now.
    until = time.monotonic() + 180
    while not (
        scheduled := call(
            "flow_runs/filter",
            deployments={"id": {"any_": [nightly["id"]]}},
            flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}},
            sort="EXPECTED_START_TIME_ASC",
        )
    ):
        assert time.monotonic() < until, "the schedule makes no runs"
        time.sleep(0.5)
    by_schedule = scheduled[0]
    assert by_schedule["auto_scheduled"]
    call(
        f"flow_runs/{by_schedule['id']}/set_state",
        state={
            "type": "SCHEDULED",
            "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"},
        },
        force=True,
    )
    by_hand = subprocess.run(
        [
            *(sys.executable, "-m", "prefect", "--no-prompt", "deployment", "run", "align/align"),
            *("--param", "warehouse=by-hand", "--watch"),
        ],
        cwd=project,
        env=environment(PREFECT_API_URL=service.url, PREFECT_API_AUTH_STRING=password),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
    ended = wait_for_run(call, by_schedule["id"])
    assert ended["state"]["type"] == "COMPLETED", ended["state"]
    for warehouse in ("by-hand", "warehouse-nightly"):
        names = {name for (name,) in read(project / warehouse, "select corpus from corpora")}
        assert names == {entry.name for entry in load_corpora(project / "samples" / "corpora.toml")}
        wanted = {f"{kind}-{warehouse}" for kind in ("alignment-matrix", "run-summary")}
        left = call("artifacts/filter", artifacts={"key": {"any_": sorted(wanted)}})
        assert {one["key"] for one in left} == wanted


EVIL = "http://pages.example"
STRANGERS = {
    "without a password": (401, {"Authorization": ""}),
    "with another password": (401, {"Authorization": "Basic YWRtaW46cGFzcw=="}),
    "from a foreign page": (403, {"Origin": EVIL}),
    "from a page of another port": (403, {"Origin": "http://127.0.0.1:1"}),
    "from a file": (403, {"Origin": "null"}),
    "under another name": (403, {"Host": "pages.example:4200"}),
    "a page of another name": (403, {"Host": "pages.example", "Origin": EVIL}),
    "a preflight": (403, {"Origin": EVIL, "Access-Control-Request-Method": "POST"}),
    "a socket": (
        403,
        {"Origin": EVIL, "Connection": "Upgrade", "Upgrade": "websocket"}
        | {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
    ),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_are_refused(service, password, name):
    status, headers = STRANGERS[name]
    method = "OPTIONS" if name == "a preflight" else "GET"
    path = "events/out" if name == "a socket" else "admin/version"
    basic = base64.b64encode(password.encode()).decode()
    # A page that knew the password would be refused all the same.
    headers = {"Authorization": f"Basic {basic}", **headers}
    request = urllib.request.Request(f"{service.url}/{path}", None, headers, method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=300)
    assert refused.value.code == status
    assert "Access-Control-Allow-Origin" not in refused.value.headers
    refused.value.close()


def test_a_change_needs_a_token_that_no_form_of_a_page_has(service, password):
    basic = base64.b64encode(password.encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        ask(f"{service.url}/flows/filter", headers, {"limit": 1})
    refused.value.close()


def test_the_password_is_in_one_file_of_this_user_only(service, project, password):
    home = project / ".prefect"
    assert (home / PASSWORD_FILE).stat().st_mode & 0o777 == 0o600
    secret = password.partition(":")[2].encode()
    assert len(secret) > 40
    assert [file.name for file in home.iterdir() if secret in file.read_bytes()] == [PASSWORD_FILE]
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            assert secret not in arguments.read_bytes()


def test_a_killed_worker_is_restarted(service, project):
    worker = workers(service)[0]
    os.kill(worker, signal.SIGKILL)
    until = time.monotonic() + 180
    while not (after := [pid for pid in workers(service) if pid != worker]):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert len(after) == 1
    assert "worker ended with -9" in (project / ".prefect" / "serve.log").read_text()


def workers(service):
    """The process ids of Prefect's workers in the process group of the service."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
        except (OSError, ValueError, IndexError):
            continue
        if group == service.pid and b"worker" in arguments:
            found.append(int(folder.name))
    return found


def test_it_runs_only_once(service, project):
    assert serve(project, "supervise").returncode == 1
    again = serve(project, "start")
    assert again.returncode == 0
    assert service.url in again.stdout
    assert find_service(project / ".prefect") == service


def test_a_mistake_is_reported_before_the_start(tmp_path):
    everywhere = serve(tmp_path, "start", PREFECT_SERVER_CORS_ALLOWED_ORIGINS="*")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = serve(tmp_path, "start", "--port", port)
    assert (everywhere.returncode, taken.returncode) == (1, 1)
    assert "Wrote prefect.yaml" in everywhere.stdout
    assert "Wrote prefect.yaml" not in taken.stdout
    assert (tmp_path / "prefect.yaml").read_bytes() == (ROOT / "prefect.yaml").read_bytes()
    assert "'*' in PREFECT_SERVER_CORS_ALLOWED_ORIGINS is not an origin" in everywhere.stderr
    assert f"cannot open port {port} (Address already in use)" in taken.stderr
    assert find_service(tmp_path / ".prefect") is None


@pytest.mark.parametrize(
    "entrypoint", ["flows/align.py:align", "nl2sql_align.flows.align.align"], ids=["path", "module"]
)
def test_prefect_loads_a_flow_by_path_and_by_module(entrypoint, monkeypatch):
    # Imported here: every process of the tests collects this module.
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(ROOT)
    assert load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False).name == "align"


def test_stop_does_nothing_without_a_service(tmp_path):
    stopped = serve(tmp_path, "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "Prefect is not running\n")
