"""Dumps on an object store, with a local S3 server."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, load_corpora
from nl2sql_align.tasks.ingest.fetch import fetch_dump, remove_unused_copies
from nl2sql_align.tasks.run.prepare import SetAside, prepare_corpus
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.conftest import S3_SECRET as SECRET


@pytest.fixture(scope="module")
def bucket(s3):
    """A store with a bucket for dumps."""
    s3.mkdir("dumps")
    return s3


@pytest.fixture
def warehouse(tmp_path):
    warehouse = Warehouse(tmp_path / "warehouse")
    with warehouse.locked():
        yield warehouse


def entry(path, **keys):
    keys = {"role": "train", "format": "lines", "dialect": "sqlite", **keys}
    return CorpusEntry.model_validate({"name": "far", "path": path, **keys})


def test_a_dump_on_s3_is_ingested_and_keeps_its_address(bucket, warehouse):
    bucket.pipe_file("dumps/one.sql", b"SELECT a FROM b\nSELECT 1\n")
    made = prepare_corpus(entry("s3://dumps/one.sql"), warehouse)
    assert made.n_distinct == 2
    assert made.entry.path == warehouse.copies / made.digest / "one.sql"
    assert made.entry.place == "s3://dumps/one.sql"


def test_a_dump_is_fetched_again_only_if_it_has_changed_or_its_copy_is_damaged(bucket, warehouse):
    bucket.pipe_file("dumps/two.sql", b"SELECT 2")
    first = fetch_dump(entry("s3://dumps/two.sql"), warehouse)
    inode = first.path.stat().st_ino
    assert fetch_dump(entry("s3://dumps/two.sql"), warehouse) == first
    assert first.path.stat().st_ino == inode
    first.path.write_bytes(b"SELECT x")  # damaged
    assert fetch_dump(entry("s3://dumps/two.sql"), warehouse).path.read_bytes() == b"SELECT 2"
    bucket.pipe_file("dumps/two.sql", b"SELECT 3")
    second = fetch_dump(entry("s3://dumps/two.sql"), warehouse)
    assert second.path != first.path
    assert second.path.read_bytes() == b"SELECT 3"
    remove_unused_copies({second.path.parent.name}, warehouse)
    assert {
        path.name.partition(".")[0] for path in warehouse.copies.iterdir() if path.is_dir()
    } == {second.path.parent.name}


def test_dumps_of_a_store_are_read_in_parallel(bucket, warehouse):
    for i in range(4):
        bucket.pipe_file(f"dumps/several/{i}.sql", f"SELECT {i}".encode())
    paths = [f"s3://dumps/several/{name}.sql" for name in ("*", 0, 1, 2, "[3]")]
    with ThreadPoolExecutor(len(paths)) as pool:
        made = list(pool.map(lambda path: prepare_corpus(entry(path), warehouse), paths))
    assert [one.n_distinct for one in made] == [4, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("path", "glob", "files"),
    [
        ("s3://dumps/many", None, {"a.jsonl", "b.jsonl"}),
        ("s3://dumps/many", "a*", {"a.jsonl"}),
        ("s3://dumps/many/*.jsonl", None, {"a.jsonl", "b.jsonl"}),
    ],
)
def test_folders_and_patterns_are_fetched(bucket, warehouse, path, glob, files):
    for name in ("a", "b"):
        bucket.pipe_file(f"dumps/many/{name}.jsonl", f'{{"q": "SELECT {name}"}}\n'.encode())
    made = prepare_corpus(entry(path, glob=glob, format="jsonl", columns={"sql": "q"}), warehouse)
    assert made.n_distinct == len(files)
    assert {file.name for file in (warehouse.copies / made.digest).iterdir()} == files


def test_a_dump_on_a_store_and_on_disk_have_the_same_digest(bucket, warehouse, tmp_path):
    (tmp_path / "one.sql").write_bytes(b"SELECT 5")
    bucket.put(str(tmp_path / "one.sql"), "dumps/five.sql")
    there = prepare_corpus(entry("s3://dumps/five.sql"), warehouse)
    here = prepare_corpus(entry(str(tmp_path / "one.sql")), warehouse)
    assert there.digest == here.digest
    assert there.content_key == here.content_key


def test_a_missing_or_unreachable_dump_sets_its_corpus_aside(bucket, warehouse):
    aside = prepare_corpus(entry("s3://dumps/nothing.sql"), warehouse)
    assert aside == SetAside(
        "far", "corpus 'far' (s3://dumps/nothing.sql): does not exist; check path"
    )
    with pytest.raises(CorpusError, match=r"\(nosuch://x/y\): cannot be fetched \(ValueError: "):
        fetch_dump(entry("nosuch://x/y"), warehouse)


def test_no_error_shows_a_credential(warehouse, monkeypatch):
    def fail(*_):
        raise OSError(f"refused: key {SECRET}")

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr("fsspec.core.url_to_fs", fail)
    with pytest.raises(CorpusError, match=r"refused: key \*\*\*") as caught:
        fetch_dump(entry("s3://dumps/one.sql"), warehouse)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "address", [f"s3://key:{SECRET}@dumps/a.sql", f"https://host/a.sql?signature={SECRET}"]
)
def test_an_address_with_credentials_is_refused_without_showing_them(tmp_path, address):
    file = tmp_path / "corpora.toml"
    file.write_text(
        f'[[corpus]]\nname = "a"\nrole = "train"\nformat = "lines"\npath = "{address}"\n'
    )
    with pytest.raises(ConfigurationError, match="may contain credentials") as caught:
        load_corpora(file)
    assert SECRET not in str(caught.value)
