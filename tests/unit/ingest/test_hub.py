"""Data sets on a hub, with a file system and a hub made of a dictionary."""

import json
import sys
from types import SimpleNamespace

import pytest
from fsspec.registry import _registry
from fsspec.spec import AbstractFileSystem

from nl2sql_align import compare
from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.fetch import fetch_dump
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.run.inspection import inspect_dump
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.prepare import SetAside, prepare_corpus
from nl2sql_align.tasks.warehouse.folder import Warehouse

pytestmark = pytest.mark.usefixtures("one_parser_process")

FIRST, SECOND = "a" * 40, "b" * 40


def rows(*queries):
    return json.dumps([{"query": one, "db_id": "harbour", "question": "?"} for one in queries])


BOATS = {
    "README.md": "# Boats",
    "dataset_infos.json": "{}",
    "data/train-1.json": rows("SELECT name FROM boat"),
    "data/train-2.json": rows("SELECT count(*) FROM boat"),
    "data/test.json": rows("SELECT name FROM berth WHERE id = 1"),
    "extra/dev/more.jsonl": '{"sql": "SELECT 1"}\n',
}
HUB = {
    ("datasets/port/boats", FIRST): BOATS,
    ("datasets/port/boats", SECOND): {**BOATS, "README.md": "# Newer"},
    ("datasets/port/single", FIRST): {"README.md": "x", "boats.json": BOATS["data/test.json"]},
}
REVISIONS = {None: FIRST, "main": FIRST, "refs/pr/1": SECOND, FIRST: FIRST, SECOND: SECOND}


class FakeHub(AbstractFileSystem):
    """Files named ``datasets/OWNER/NAME@COMMIT/PATH``, as the hub's file system names them."""

    protocol = "hf"
    cachable = False
    n_downloads = 0

    def _files(self, path):
        repository, _, rest = path.partition("@")
        commit, _, inner = rest.partition("/")
        return f"{repository}@{commit}", HUB.get((repository, commit), {}), inner

    def info(self, path, **_):
        _, files, inner = self._files(self._strip_protocol(path))
        if inner in files:
            blob = f"blob of {files[inner]}"
            return {"name": path, "type": "file", "size": len(files[inner]), "blob_id": blob}
        if any(name.startswith(f"{inner}/") or not inner for name in files):
            return {"name": path, "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def ls(self, path, detail=True, **_):
        root, files, inner = self._files(self._strip_protocol(path))
        below = [name for name in files if not inner or name.startswith(f"{inner}/")]
        start = f"{inner}/" if inner else ""
        names = dict.fromkeys(start + name[len(start) :].split("/")[0] for name in below)
        found = [self.info(f"{root}/{name}") for name in names]
        return found if detail else [one["name"] for one in found]

    def get_file(self, rpath, lpath, **_):
        FakeHub.n_downloads += 1
        _, files, inner = self._files(rpath)
        with open(lpath, "w") as file:  # noqa: PTH123
            file.write(files[inner])


class FakeApi:
    def repo_info(self, repository, *, repo_type, revision, timeout):
        assert repo_type == "dataset" and timeout > 0
        if (f"datasets/{repository}", REVISIONS.get(revision)) not in HUB:
            raise OSError(f"404: {repository} at {revision}")
        return SimpleNamespace(sha=REVISIONS[revision])


@pytest.fixture(autouse=True)
def hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=FakeApi))
    monkeypatch.setitem(_registry, "hf", FakeHub)
    FakeHub.n_downloads = 0


@pytest.fixture
def warehouse(tmp_path):
    warehouse = Warehouse(tmp_path / "warehouse")
    with warehouse.locked():
        yield warehouse


def entry(path, role="train", **keys):
    keys = {"format": "auto", "dialect": "sqlite", **keys}
    return CorpusEntry.model_validate({"name": "far", "role": role, "path": path, **keys})


@pytest.mark.parametrize(
    ("address", "role", "fetched", "files"),
    [
        ("port/boats", "train", f"@{FIRST}/data/train-*.json", ["train-1.json", "train-2.json"]),
        ("port/boats@main/data", "target", f"@{FIRST}/data/test.json", ["test.json"]),
        ("port/boats@refs/pr/1/extra", "target", f"@{SECOND}/extra/dev/more.jsonl", ["more.jsonl"]),
        ("port/boats/data/test.json", "train", f"@{FIRST}/data/test.json", ["test.json"]),
        ("port/boats/data/*1.json", "train", f"@{FIRST}/data/*1.json", ["train-1.json"]),
        ("port/single", "target", f"@{FIRST}/boats.json", ["boats.json"]),
    ],
)
def test_an_address_is_that_of_a_commit_and_of_the_split_of_the_role(
    warehouse, address, role, fetched, files
):
    made = fetch_dump(entry(f"hf://datasets/{address}", role), warehouse)
    repository = "/".join(address.split("@")[0].split("/")[:2])
    assert made.url == f"hf://datasets/{repository}{fetched}"
    folder = made.path.parent
    assert sorted(file.name for file in folder.iterdir()) == files


def test_files_that_another_commit_leaves_alone_are_not_fetched_again(warehouse):
    first = fetch_dump(entry("hf://datasets/port/boats/data/test.json"), warehouse)
    assert FakeHub.n_downloads == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REVISIONS, None, SECOND)
        second = fetch_dump(entry("hf://datasets/port/boats/data/test.json"), warehouse)
    assert FakeHub.n_downloads == 1
    assert (first.path, SECOND in second.url) == (second.path, True)


@pytest.mark.parametrize(
    ("address", "role", "problem"),
    [
        ("port/boats", "target", "has several splits, of which role target does not choose one"),
        ("port/boats@gone", "train", r"cannot be fetched \(OSError: 404: port/boats at gone\)"),
        ("port/boats/nothing.json", "train", "does not exist; check path"),
    ],
)
def test_what_cannot_be_told_is_refused(warehouse, address, role, problem):
    with pytest.raises(CorpusError, match=problem):
        fetch_dump(entry(f"hf://datasets/{address}", role), warehouse)


def test_a_missing_driver_is_reported_with_the_line_that_installs_it(warehouse, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    aside = prepare_corpus(entry("hf://datasets/port/boats"), warehouse)
    assert isinstance(aside, SetAside)
    assert "needs a driver that is not installed" in aside.reason
    assert aside.reason.endswith("install it with pip install 'nl2sql-align[hf]'")


def test_inspect_prints_the_exact_entry():
    found = inspect_dump("hf://datasets/port/boats@main")
    assert (found.format, found.n_queries) == ("spider", 2)
    assert found.path == f"hf://datasets/port/boats@{FIRST}/data/train-*.json"
    assert 'name = "boats"\nrole = "train"\nformat = "spider"' in found.entry
    assert f'path = "{found.path}"' in found.entry


def test_compare_takes_addresses():
    made = compare("hf://datasets/port/boats@main", "hf://datasets/port/single")
    assert made.alignment["source"].to_list() == ["boats"]
    assert made.corpora.filter(made.corpora["corpus"] == "single")["n_queries"].to_list() == [1]
    note = f"boats: hf://datasets/port/boats@main is read as hf://datasets/port/boats@{FIRST}/data/"
    assert any(one.startswith(note) for one in made.notes)


def test_a_run_records_the_commit(tmp_path):
    entries = [
        entry("hf://datasets/port/boats").model_copy(update={"name": "near"}),
        entry("hf://datasets/port/single", "target"),
    ]
    warehouse = Warehouse(tmp_path / "warehouse")
    summary = run_locally(entries, warehouse)
    assert not summary.set_aside
    exact = f"hf://datasets/port/single@{FIRST}/boats.json"
    with open_results(warehouse.folder) as con:
        assert ("far", exact) in con.sql("select corpus, path from corpora").fetchall()
        [[parameters]] = con.sql("select parameters from runs").fetchall()
    assert json.loads(parameters)["texts"]["far"]["url"] == exact
