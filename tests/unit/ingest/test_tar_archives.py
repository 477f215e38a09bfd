"""Tar archives as dumps, and the ones that are refused."""

import bz2
import gzip
import io
import lzma
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.archives import UnpackLimits
from nl2sql_align.tasks.ingest.corpora_file import AUTO
from nl2sql_align.tasks.ingest.dumps import digest_dump, ingest_corpus, list_sources
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from tests.unit.ingest.test_dumps import as_json, as_parquet, entry

PACKED = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".TGZ": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": lambda data: pa.Codec("zstd").compress(data).to_pybytes(),
}


def as_tar(members, **attributes):
    """Return an archive of files by name; attributes change the last one."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for number, (name, content) in enumerate(members.items(), 1):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if number == len(members):
                for key, value in attributes.items():
                    setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def rows_of(corpus, folder):
    queries = folder / "stage" / "queries.parquet"
    ingest_corpus(corpus, queries)
    assert [path.name for path in queries.parent.iterdir()] == ["queries.parquet"]
    return pq.read_table(queries)["sql"].to_pylist()


def check_refused(path, message):
    """Check that an archive is refused with a message, and leaves nothing behind."""
    before = {*path.parent.iterdir()}
    stage = path.parent / "stage"
    with pytest.raises(CorpusError) as caught:
        ingest_corpus(entry(path, "spider"), stage / "queries.parquet")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert not list(stage.glob("*"))
    assert {*path.parent.iterdir()} <= {*before, stage}


@pytest.mark.parametrize("suffix", PACKED)
def test_an_archive_is_read_as_a_folder(suffix, tmp_path):
    members = {
        "./q/b.sql": b"select 2",
        "./q/a.sql": b"\xef\xbb\xbfselect 1",
        "q/c.txt": b"no",
        "q/.d.sql": b"hidden",
    }
    path = tmp_path / f"queries{suffix}"
    path.write_bytes(PACKED[suffix](as_tar(members)))
    assert rows_of(entry(path, "sql_files"), tmp_path) == ["select 1", "select 2"]
    (tmp_path / "stage" / "queries.parquet").unlink()
    assert rows_of(entry(path, "sql_files", glob="b.*"), tmp_path) == ["select 2"]
    assert len(digest_dump(entry(path, "sql_files"))) == 64


def test_files_in_archives_are_recognized(tmp_path):
    spider = [{"query": "select 1", "db_id": "a", "question": "q"}]
    for name, content in (("a.json", as_json(spider)), ("a.parquet", as_parquet(spider))):
        path = tmp_path / "data.tar.gz"
        path.write_bytes(gzip.compress(as_tar({f"data/{name}": content})))
        corpus, _ = resolve_format(entry(path, AUTO))
        assert corpus.format == "spider"
        assert rows_of(corpus, tmp_path) == ["select 1"]
        (tmp_path / "stage" / "queries.parquet").unlink()


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}
HARD_LINK = {"type": tarfile.LNKTYPE, "linkname": "../a.json", "size": 0}
PIPE = {"type": tarfile.FIFOTYPE, "size": 0}
WHOLE = as_tar({"a.json": as_json([{"query": "select 1"}]), "b.json": b"[]"})
BAD = {
    "leaves": (as_tar({"../../a.json": b"[]"}), "names a file outside itself: '../../a.json'"),
    "absolute": (as_tar({"/etc/a.json": b"[]"}), "names a file outside itself"),
    "link": (as_tar({"a.json": b"[]", "b.json": b""}, **LINK), "'b.json' in it is a link"),
    "hard link": (as_tar({"b.json": b""}, **HARD_LINK), "'b.json' in it is a link"),
    "pipe": (as_tar({"b.json": b""}, **PIPE), "'b.json' in it is not a plain file"),
    "several kinds": (as_tar({"a.json": b"[]", "b.csv": b"a"}), "several kinds of files (a.json,"),
    "several splits": (as_tar({"train.json": b"[]", "dev.json": b"[]"}), "several splits (dev,"),
    "twice": (as_tar({"./a.json": b"[]", "a.json": b"[]"}), "contains 'a.json' twice"),
    "nothing": (as_tar({}), "contains no file to read"),
    "packed twice": (as_tar({"a.json.gz": b"[]"}), "a.json.gz is compressed twice; unpack it"),
    "cut in a file": (WHOLE[:520], "cannot be read"),
    "cut between files": (WHOLE[:1024], "it is incomplete"),
    "cut in a header": (WHOLE[:1100], "it is incomplete"),
    "a damaged header": (
        WHOLE[:1030] + b"\xff" * 300 + WHOLE[1330:2048] + b"more" * 128,
        "it is incomplete",
    ),
    "no archive": (b"select 1;\n" * 100, "cannot be read"),
    "empty": (b"", "is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_refused(name, tmp_path):
    content, message = BAD[name]
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    check_refused(path, message)


def test_links_beside_the_files_to_read_are_ignored(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(as_tar({"a.sql": b"select 1", "latest": b""}, **LINK))
    assert rows_of(entry(path, "sql_files"), tmp_path) == ["select 1"]


def test_a_damaged_compression_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(WHOLE)[:-20])
    with pytest.raises(CorpusError, match="cannot be read"):
        list_sources(entry(path, "spider"))


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"])
def test_a_bomb_is_refused_before_it_is_unpacked(suffix, tmp_path):
    files = {f"{number}.json": b" " * 500_000 for number in range(10)}
    path = tmp_path / f"a{suffix}"
    path.write_bytes(PACKED[suffix](as_tar(files)))
    limits = UnpackLimits(ratio_applies_from=1_000_000)
    with pytest.raises(CorpusError, match=r"it unpacks to more than 0\.0 GB from \d"):
        ingest_corpus(entry(path, "spider"), tmp_path / "stage" / "queries.parquet", limits)
    assert not list(tmp_path.glob("stage/*"))
