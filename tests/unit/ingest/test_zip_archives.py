"""Zip archives as dumps, and the ones that are refused."""

import gzip
import io
import struct
import time
import warnings
import zipfile

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.archives import UnpackLimits, list_members
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from tests.unit.ingest.test_dumps import as_json, entry
from tests.unit.ingest.test_tar_archives import as_tar, check_refused, rows_of

ROWS = as_json([{"query": "select 1", "db_id": "harbor", "question": "q"}])
LINK, PIPE = 0o120777, 0o010644


def as_zip(*members, mode=0o100644, **options):
    """Return an archive of pairs of a name and a content; the last one has the mode."""
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of names that occur twice
        for number, (name, content) in enumerate(members, 1):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (mode if number == len(members) else 0o100644) << 16
            with archive.open(info, "w", **options) as file:
                file.write(content)
    return sink.getvalue()


def as_overlapping_zip():
    """Return an archive of two files, one of which starts within the other."""
    inner = as_zip(("b.json", ROWS))
    with zipfile.ZipFile(io.BytesIO(inner)) as archive:
        size = archive.start_dir
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.json", inner[:size])
        outer = archive.getinfo("a.json")
        with zipfile.ZipFile(io.BytesIO(inner)) as other:
            info = other.getinfo("b.json")
        info.header_offset = outer.header_offset + len(outer.FileHeader())
        archive.filelist.append(info)
        archive.NameToInfo["b.json"] = info
    return sink.getvalue()


def with_size(content, n_bytes):
    """Return an archive of one file whose directory states another unpacked size."""
    place = content.index(b"PK\1\2") + 24
    return content[:place] + struct.pack("<I", n_bytes) + content[place + 4 :]


def with_bad_name(place):
    """Return an archive of one file whose name is not UTF-8 in one of its two places."""
    parts = as_zip(("\u00e9.json", ROWS)).split("\u00e9".encode())
    marks = ["\u00e9".encode()] * 2
    marks[place] = b"\xff\xfe"
    return parts[0] + marks[0] + parts[1] + marks[1] + parts[2]


def with_compression(content, number):
    """Return an archive of one file whose directory states another compression."""
    place = content.index(b"PK\1\2") + 10
    return content[:place] + struct.pack("<H", number) + content[place + 2 :]


BAD = {
    "leaves": (as_zip(("../../a.json", b"[]")), "names a file outside itself: '../../a.json'"),
    "absolute": (as_zip(("/etc/a.json", b"[]")), "names a file outside itself"),
    "several kinds": (
        as_zip(("a.json", b"[]"), ("b.csv", b"a")),
        "several kinds of files (a.json,",
    ),
    "nothing": (as_zip(), "contains no file to read"),
    "no archive": (b"PK\x03\x04 nothing", "cannot be read (File is not a zip file)"),
    "compression": (
        with_compression(as_zip(("a.json", ROWS)), 97),
        "cannot be read (That compression method is not supported)",
    ),
    "name in its directory": (with_bad_name(1), "its directory is damaged: 'utf-8' codec can't"),
    "name before its content": (with_bad_name(0), "its directory is damaged: 'utf-8' codec can't"),
    "twice": (as_zip(("a.json", ROWS), ("a.json", b"[]")), "it contains 'a.json' twice; unpack it"),
    "twice, by path": (as_zip(("a.json", ROWS), ("./a.json", ROWS)), "contains './a.json' twice"),
    "link": (as_zip(("a.json", b"/etc/passwd"), mode=LINK), "'a.json' in it is a link; unpack it"),
    "pipe": (as_zip(("a.json", b""), mode=PIPE), "'a.json' in it is not a plain file"),
    "no name": (as_zip(("", ROWS)), "it contains a file without a name"),
    "overlap": (as_overlapping_zip(), "its files overlap"),
    "size too small": (with_size(as_zip(("a.json", ROWS)), 9), "cannot be read (Bad CRC-32"),
    "archive in it": (as_zip(("a.zip", as_zip(("a.json", ROWS)))), "is not text"),
    "packed twice": (as_zip(("a.json.gz", ROWS)), "a.json.gz is compressed twice; unpack it"),
}


def test_an_archive_is_read_as_a_folder(tmp_path):
    path = tmp_path / "queries.zip"
    path.write_bytes(
        as_zip(("q/b.sql", b"select 2"), ("q/a.sql", b"\xef\xbb\xbfselect 1"), ("q/c.txt", b"no"))
    )
    assert rows_of(entry(path, "sql_files"), tmp_path) == ["select 1", "select 2"]
    (tmp_path / "stage" / "queries.parquet").unlink()
    assert rows_of(entry(path, "sql_files", glob="b.*"), tmp_path) == ["select 2"]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_refused(name, tmp_path):
    content, message = BAD[name]
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    check_refused(path, message)


def test_members_with_64_bit_sizes_and_links_beside_the_files_to_read(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(as_zip(("a.json", ROWS), force_zip64=True))
    assert rows_of(entry(path, "spider"), tmp_path) == ["select 1"]
    (tmp_path / "stage" / "queries.parquet").unlink()
    path.write_bytes(as_zip(("a.sql", b"select 2"), ("latest", b"a.sql"), mode=LINK))
    assert rows_of(entry(path, "sql_files"), tmp_path) == ["select 2"]


def test_the_files_of_a_dump_share_its_limits(tmp_path):
    # Each file alone is within the limits; all files of the archive, or of the folder, are not.
    limits = UnpackLimits(ratio_applies_from=1_000_000)
    spaces = [(f"{number}.json", b" " * 600_000) for number in range(4)]
    (tmp_path / "a.zip").write_bytes(as_zip(*spaces))
    for name, content in spaces:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    message = r"its files unpack to more than 0\.0 GB from \d+,?\d* bytes; unpack it yourself"
    for keys in ({"path": tmp_path / "a.zip"}, {"path": tmp_path, "glob": "*.json.gz"}):
        with pytest.raises(CorpusError, match=message):
            queries = tmp_path / "stage" / "queries.parquet"
            ingest_corpus(entry(format="spider", **keys), queries, limits)
        assert not list(tmp_path.glob("stage/*"))


def test_the_number_of_members_has_a_limit(tmp_path):
    members = [(f"{number}.sql", b"select 1") for number in range(5)]
    for name, content in (("a.zip", as_zip(*members)), ("a.tar", as_tar(dict(members)))):
        (tmp_path / name).write_bytes(content)
        assert len(list_members(tmp_path / name, None, UnpackLimits(max_members=5))) == 5
        with pytest.raises(OSError, match="it contains more than 4 files; unpack it yourself"):
            list_members(tmp_path / name, None, UnpackLimits(max_members=4))


def test_many_files_take_linear_time(tmp_path):
    members = [(f"{number:04}.sql", b"select %d" % number) for number in range(2000)]
    seconds = []
    for count in (500, 2000):
        path = tmp_path / f"{count}.zip"
        path.write_bytes(as_zip(*members[:count]))
        started = time.process_time()
        assert len(rows_of(entry(path, "sql_files"), tmp_path)) == count
        seconds.append(time.process_time() - started)
        (tmp_path / "stage" / "queries.parquet").unlink()
    assert seconds[1] < 8 * seconds[0]
