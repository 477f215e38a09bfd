"""The service end to end: start, deploy, run by hand and by schedule, stop."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint

from nl2sql_align.flows.serve import PASSWORD_FILE, find_service
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from tests.flows.conftest import small_corpora
from tests.flows.warehouses import read

pytestmark = [pytest.mark.flow, pytest.mark.service]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with our prefect.yaml, whose nightly run does not wait for dumps to settle."""
    folder = tmp_path_factory.mktemp("project")
    small_corpora(folder / "samples").write()
    given = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    [nightly] = [one for one in given["deployments"] if one["name"] == "nightly"]
    [schedule] = nightly["schedules"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 2 * * *", "UTC")
    nightly["parameters"]["settle_minutes"] = 0
    (folder / "prefect.yaml").write_text(yaml.safe_dump(given))
    return folder


def serve(project, command, *options, seconds=600):
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "nl2sql_align.flows.serve", command, *map(str, options)],
        cwd=project,
        env=environment,
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
        assert (home / PASSWORD_FILE).stat().st_mode & 0o777 == 0o600
        assert (home / PASSWORD_FILE).read_text().strip() not in started.stdout + logs
        yield find_service(home)
    finally:
        stopped = serve(project, "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "Prefect has stopped\n"), stopped.stderr
    assert find_service(home) is None
    assert not (home / "serve.json").exists()


@pytest.fixture(scope="module")
def call(service, project):
    """Return a function that calls the server's API with its password."""
    password = (project / ".prefect" / PASSWORD_FILE).read_bytes().strip()
    headers = {
        "Authorization": f"Basic {base64.b64encode(password).decode()}",
        "Prefect-Csrf-Client": str(uuid4()),
    }
    query = f"csrf-token?client={headers['Prefect-Csrf-Client']}"
    headers["Prefect-Csrf-Token"] = send(service, query, headers)["token"]
    return lambda path, **body: send(service, path, headers, body)


def send(service, path, headers, body=None):
    request = urllib.request.Request(
        f"{service.url}/{path}",
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json", **headers},
    )
    for _ in range(10):
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:  # its database is busy; Prefect's own clients retry, too
                raise
            time.sleep(1)
    raise AssertionError(f"the server stays busy: {path}")


def wait_for_run(call, run_id, seconds=600):
    """Wait for the end of a flow run, and return it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        run = call(f"flow_runs/{run_id}")
        if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return run
        time.sleep(0.5)
    raise AssertionError(f"it does not end: {run['state']}")


def test_clients_without_the_password_get_nothing(service):
    page = {"Origin": "http://elsewhere.example", "Host": "elsewhere.example"}
    wrong = {"Authorization": f"Basic {base64.b64encode(b'nl2sql-align:guess').decode()}"}
    for headers in ({}, page, wrong):
        for path, body, code in (
            ("flows/filter", {"limit": 1}, 403),
            ("admin/settings", None, 401),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                send(service, path, headers, body)
            assert refused.value.code == code
            assert refused.value.headers["Access-Control-Allow-Origin"] is None
    asked = {**page, "Access-Control-Request-Method": "POST"}
    preflight = urllib.request.Request(f"{service.url}/flows/", headers=asked, method="OPTIONS")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(preflight, timeout=60)
    assert refused.value.code == 400
    assert refused.value.headers["Access-Control-Allow-Origin"] is None


def test_runs_by_hand_and_by_schedule_complete(call, project):
    deployments = {
        one["name"] + " " + one["entrypoint"]: one for one in call("deployments/filter", limit=50)
    }
    ad_hoc = deployments["ad-hoc nl2sql_align.flows.align.align"]
    nightly = deployments["nightly nl2sql_align.flows.nightly.nightly"]
    assert "ad-hoc nl2sql_align.flows.select.select" in deployments
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
    by_hand = call(
        f"deployments/{ad_hoc['id']}/create_flow_run",
        parameters={"warehouse": "by-hand"},
        state={"type": "SCHEDULED"},
    )
    for run, warehouse in ((by_hand, "by-hand"), (by_schedule, "warehouse-nightly")):
        ended = wait_for_run(call, run["id"])
        assert ended["state"]["type"] == "COMPLETED", ended["state"]
        names = {name for (name,) in read(project / warehouse, "select corpus from corpora")}
        assert names == {entry.name for entry in load_corpora(project / "samples" / "corpora.toml")}
        wanted = {f"{kind}-{warehouse}" for kind in ("alignment-matrix", "run-summary")}
        left = call("artifacts/filter", artifacts={"key": {"any_": sorted(wanted)}})
        assert {one["key"] for one in left} == wanted


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


@pytest.mark.parametrize(
    "entrypoint", ["flows/align.py:align", "nl2sql_align.flows.align.align"], ids=["path", "module"]
)
def test_prefect_loads_a_flow_by_path_and_by_module(entrypoint, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False).name == "align"


def test_stop_does_nothing_without_a_service(tmp_path):
    stopped = serve(tmp_path, "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "Prefect is not running\n")
