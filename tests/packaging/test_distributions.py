"""The wheel and the sdist, installed and used in a folder that holds names like ours."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.flows.conftest import write_modules

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples" / "corpora.toml"

pytestmark = pytest.mark.flow

BUILD = """
import sys
from setuptools import build_meta
destination = sys.argv[1]  # the first build replaces sys.argv
build_meta.build_sdist(destination)
build_meta.build_wheel(destination)
"""

# Few and small, since only the programs are of interest
CORPORA = """
[[corpus]]
name = "harbour-train"
role = "train"
format = "spider"
dialect = "sqlite"
path = "{samples}/harbour-train.json"

[[corpus]]
name = "orchard-dev"
role = "target"
format = "spider"
dialect = "sqlite"
path = "{samples}/orchard-dev.json"
"""

SCRIPT = """
from nl2sql_align import align

summary = align("corpora.toml", "results", threads=1, replicates=0)
print(len(summary.corpora), "corpora,", len(summary.set_aside), "set aside")
"""

# A running cluster, first as if the run had another version than the workers
DASK_SCRIPT = """
from distributed import LocalCluster
from nl2sql_align import ConfigurationError, align
from nl2sql_align.flows.running import dask_cluster

def run(address):
    options = {"replicates": 0, "runner": "dask", "dask_address": address}
    return align("corpora.toml", "results", **options)

if __name__ == "__main__":  # workers import this file
    list_versions = dask_cluster.list_versions
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        dask_cluster.list_versions = lambda: {**list_versions(), "sqlglot": "1.0"}
        try:
            run(cluster.scheduler_address)
        except ConfigurationError as error:
            print("refused:", error)
        dask_cluster.list_versions = list_versions
        summary = run(cluster.scheduler_address)
    print(len(summary.corpora), "corpora,", len(summary.set_aside), "set aside")
"""
HAS_DASK = importlib.util.find_spec("prefect_dask") is not None


def run(*command, cwd, seconds=300, **variables):
    """Run a command as a user would: neither our checkout nor our settings are in reach."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "NL2SQL_ALIGN_", "PYTHONPATH", "PYTEST_"))
    }
    ended = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def build(tree, destination):
    """Build both distributions from a source tree; return the sdist and the wheel."""
    run(sys.executable, "-c", BUILD, destination, cwd=tree)
    [sdist] = destination.glob("*.tar.gz")
    [wheel] = destination.glob("*.whl")
    return sdist, wheel


def content(wheel):
    """Return the files of a wheel with their bytes, all but the record of the build itself."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith(("/RECORD", "/WHEEL"))
        }


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The sdist and the wheel, built from the files that a clean clone has."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout, to build from the files of a clean clone")
    tree = tmp_path_factory.mktemp("tree")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_symlink() or (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name, follow_symlinks=False)
    return build(tree, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def environment(distributions, tmp_path_factory):
    """A fresh environment: the wheel is installed in it, its requirements are those of ours."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    [packages] = folder.glob("lib/python*/site-packages")
    # Only a path: .pth files behind it, such as that of an editable install, have no effect.
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", folder / "bin" / "python"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", distributions[1], cwd=folder)
    assert "No broken requirements found" in run(*pip, "check", cwd=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, empty_prefect_database):
    """A user's folder, whose modules must not be taken for ours, nor ours for them."""
    place = tmp_path_factory.mktemp("user")
    write_modules(place)
    (place / "corpora.toml").write_text(CORPORA.format(samples=SAMPLES.parent))
    return place


@pytest.fixture(scope="module")
def script_output(environment, folder):
    """The output of a script of the user, by Dask workers if the extra is installed."""
    (folder / "script.py").write_text(DASK_SCRIPT if HAS_DASK else SCRIPT)
    home = str(folder / ".home")
    return run(environment / "python", "script.py", cwd=folder, PREFECT_HOME=home)


@pytest.fixture(scope="module")
def warehouse(script_output):
    """The results of the script."""
    assert script_output.endswith("2 corpora, 0 set aside\n")
    return "results"


def test_a_wheel_adds_one_name(distributions):
    names = content(distributions[1])
    [top_level] = [text for name, text in names.items() if name.endswith("top_level.txt")]
    assert top_level.split() == [b"nl2sql_align"]
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"nl2sql_align"}


def test_a_wheel_has_the_samples_without_their_generator(distributions):
    samples = {name for name in content(distributions[1]) if "/samples/" in name}
    data = [path for path in SAMPLES.parent.rglob("*.*") if "generator" not in path.parts]
    assert samples == {f"nl2sql_align/{path.relative_to(ROOT)}" for path in data}
    assert len(samples) > 7


def test_a_wheel_has_all_files_of_the_three_folders(distributions):
    packaged = {
        str(path.relative_to(ROOT))
        for top in ("flows", "tasks", "sql")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(packaged) > 200
    found = content(distributions[1])
    assert {f"nl2sql_align/{name}" for name in packaged} <= found.keys()
    assert found["nl2sql_align/prefect.yaml"] == (ROOT / "prefect.yaml").read_bytes()


def test_an_sdist_builds_the_same_wheel(distributions, tmp_path):
    with tarfile.open(distributions[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    [tree] = tmp_path.iterdir()
    (tmp_path / "dist").mkdir()
    _, wheel = build(tree, tmp_path / "dist")
    assert content(wheel) == content(distributions[1])


def test_the_command_line_works_beside_modules_of_the_same_names(environment, folder, warehouse):
    command = environment / "nl2sql-align"
    assert run(command, "--version", cwd=folder).startswith("nl2sql-align ")
    assert run(command, "template", "SELECT a FROM b", cwd=folder) == "SELECT FROM\n"
    assert "harbour-train" in run(command, "matrix", warehouse, cwd=folder)


def test_python_works_beside_modules_of_the_same_names(environment, folder, warehouse):
    script = f"from nl2sql_align import load; print(load({warehouse!r}).matrix().columns)"
    assert "orchard-dev" in run(environment / "python", "-c", script, cwd=folder)


@pytest.mark.fault
@pytest.mark.skipif(not HAS_DASK, reason="needs the extra dask")
def test_a_running_dask_cluster_is_used_if_it_has_the_same_versions(script_output, warehouse):
    refused = script_output.splitlines()[0]
    assert re.fullmatch(r"refused: .* has sqlglot .*, and this run 1\.0.*", refused)


@pytest.mark.service
def test_the_service_writes_its_deployments_before_it_starts(environment, tmp_path):
    ended = subprocess.run(
        [environment / "python", "-m", "nl2sql_align.flows.serve", "start"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "*"},
        capture_output=True,
        text=True,
    )
    assert "'*' in PREFECT_SERVER_CORS_ALLOWED_ORIGINS is not an origin" in ended.stderr
    assert (tmp_path / "prefect.yaml").read_bytes() == (ROOT / "prefect.yaml").read_bytes()
