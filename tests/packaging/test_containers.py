"""The image, its compose file and the GitHub action, as far as they can be checked unbuilt."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from nl2sql_align.flows.cli import app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def action():
    return yaml.safe_load((ROOT / "action.yml").read_text())


def test_the_server_asks_for_a_password_and_is_published_on_this_machine_only(services):
    server = services["server"]["environment"]
    assert server["PREFECT_SERVER_API_AUTH_STRING"].startswith("${PREFECT_SERVER_API_AUTH_STRING:?")
    assert (
        services["worker"]["environment"]["PREFECT_API_AUTH_STRING"]
        == (server["PREFECT_SERVER_API_AUTH_STRING"])
    )
    assert "*" not in server["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"]
    assert server["PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED"] == "true"
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert published == ["127.0.0.1:4200:4200"]


def test_the_worker_waits_for_a_healthy_server_and_cannot_reach_its_database(services):
    server, worker = services["server"], services["worker"]
    assert worker["depends_on"] == {"server": {"condition": "service_healthy"}}
    assert all(one["healthcheck"]["test"][0] == "CMD" for one in (server, worker))
    volumes = [{volume.split(":")[0] for volume in one["volumes"]} for one in (server, worker)]
    assert volumes[0] == {"server"} and "data" in volumes[1] and not volumes[0] & volumes[1]
    for one in (server, worker):
        assert one["cap_drop"] == ["ALL"]
        assert "privileged" not in one


def test_the_image_is_not_run_by_root_and_takes_locked_packages():
    text = (ROOT / "Dockerfile").read_text()
    final = text.split("FROM ")[-1]
    assert re.search(r"^USER align$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final and "--require-hashes" in text
    copied = re.findall(r"^COPY (?:--chmod=\d+ )?(docker/\S+|requirements) ", text, re.MULTILINE)
    kept = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied and all((ROOT / name).exists() for name in copied)
    assert all(name.split("/")[0] in kept for name in copied)
    # To build the package, pyproject.toml and the links in nl2sql_align need these.
    needed = {"LICENSE", "README.md", "pyproject.toml", "nl2sql_align"}
    links = {path.resolve().name for path in (ROOT / "nl2sql_align").iterdir() if path.is_symlink()}
    assert needed | links <= kept


def test_the_scripts_parse(action):
    scripts = [step["run"] for step in action["runs"]["steps"]]
    for shell, script in [
        *(("bash", one) for one in scripts),
        ("sh", (ROOT / "docker" / "worker.sh").read_text()),
    ]:
        ended = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (0, "")


def test_the_action_passes_its_inputs_as_variables_to_options_that_exist(action):
    [_, compare] = action["runs"]["steps"]
    passed = {re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", one)[1] for one in compare["env"].values()}
    assert passed == {*action["inputs"]} - {"python"}
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]  # a path or a condition must never become a command
    [command] = [one for one in app.registered_commands if one.callback.__name__ == "compare"]
    options = {word for word in shlex.split(compare["run"], comments=True) if word[:2] == "--"}
    named = {one.replace("arguments=(", "") for one in options} - {"--", "--format"}
    assert named <= {f"--{name}" for name in command.callback.__annotations__}
