"""Placeholders have the footers of their files, and no reader takes their holes for data."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec import AbstractFileSystem

from nl2sql_align.tasks.warehouse.lazy_file import LazyFile
from nl2sql_align.tasks.warehouse.placeholders import (
    Indexed,
    is_placeholder,
    read_footer,
    read_index,
    write_index,
    write_placeholder,
)

ROWS = pl.DataFrame({"name": ["lugger", None, "ketch"], "masts": [2, None, 2]})


@pytest.fixture(params=["duckdb", "polars", "pyarrow"])
def files(request, tmp_path):
    """A Parquet file by each writer, and a placeholder for it."""
    whole, placeholder = tmp_path / "whole.parquet", tmp_path / "placeholder.parquet"
    if request.param == "duckdb":
        duckdb.from_arrow(ROWS.to_arrow()).write_parquet(str(whole), compression="zstd")
    elif request.param == "polars":
        ROWS.write_parquet(whole)
    else:
        pq.write_table(ROWS.to_arrow(), whole, compression="none", use_dictionary=False)
    footer = read_footer(whole)
    write_placeholder(placeholder, footer, whole.stat().st_size, 1_000_000_007)
    return whole, placeholder, footer


def test_a_placeholder_has_the_footer_size_and_time_and_no_data(files):
    whole, placeholder, footer = files
    assert is_placeholder(placeholder)
    assert not is_placeholder(whole)
    assert not is_placeholder(whole.with_name("missing"))
    assert read_footer(placeholder) == footer
    assert pq.read_metadata(placeholder).equals(pq.read_metadata(whole))
    stat = placeholder.stat()
    assert (stat.st_size, stat.st_mtime_ns) == (whole.stat().st_size, 1_000_000_007)
    for read in (pq.read_table, pl.read_parquet, lambda path: pq.ParquetFile(path).read()):
        with pytest.raises((OSError, pa.ArrowException, pl.exceptions.PolarsError)):
            read(placeholder)
    with pytest.raises(duckdb.Error):
        duckdb.sql("select name, masts from read_parquet(?)", params=[str(placeholder)]).fetchall()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"counts", b"PAR1\xff\xff\xff\x7fPAR1"])
def test_other_files_have_no_footer(tmp_path, content):
    file = tmp_path / "other.parquet"
    file.write_bytes(content)
    assert read_footer(file) is None


def test_a_lazy_file_opens_its_copy_for_data_only(files):
    whole, _, footer = files
    content, opened = whole.read_bytes(), []
    start = len(content) - len(footer)
    with LazyFile(len(content), footer, lambda: opened.append(1) or whole) as file:
        assert file.seek(-8, 2) == len(content) - 8
        assert (file.read(), file.read()) == (content[-8:], b"")
        file.seek(max(0, start - 16))
        assert file.read(len(content)) == bytes(start - max(0, start - 16)) + footer
        assert not opened
        file.seek(0)
        assert (file.read(4), file.tell(), file.read(start - 4)) == (b"PAR1", 4, content[4:start])
        file.seek(0)
        assert file.read() == content
    assert opened == [1]


@pytest.mark.parametrize("n_rows", [50, 10_000])
def test_duckdb_uses_no_zeros_of_a_lazy_file(tmp_path, n_rows):
    """Its first read starts before the footer; it covers all of a small file."""
    whole = tmp_path / "whole.parquet"
    numbers = [*range(n_rows)]
    pq.write_table(pa.table({"n": numbers}), whole, compression="none", use_dictionary=False)
    content, footer, reads = whole.read_bytes(), read_footer(whole), []

    class Recorded(LazyFile):
        def read(self, size=-1):
            first = self.tell()
            found = super().read(size)
            reads.append((first, found))
            return found

    class Files(AbstractFileSystem):
        protocol = "lazy"

        def glob(self, path, **_):
            return [path]

        def info(self, path, **_):
            return {"name": path, "size": len(content), "type": "file"}

        def modified(self, path):
            return datetime(2026, 1, 1, tzinfo=UTC)

        def open(self, path, mode="rb", **_):
            return Recorded(len(content), footer, lambda: whole)

    with duckdb.connect() as con:
        con.register_filesystem(Files(skip_instance_cache=True))
        for setting in ("enable_external_file_cache", "prefetch_all_parquet_files"):
            con.execute(f"set {setting} = true")
        for _ in range(2):
            assert con.sql("select n from 'lazy://one.parquet'").fetchall() == [
                (number,) for number in numbers
            ]
    wrong = [first for first, found in reads if found != content[first : first + len(found)]]
    assert wrong
    assert (min(wrong) == 0) == (n_rows == 50)


def check_threads_share(file, content, starts):
    """Read at each start in a thread of its own, once all threads have moved there."""
    moved = threading.Barrier(len(starts))

    def read(start):
        file.seek(start)
        moved.wait()
        return file.read(100)

    with ThreadPoolExecutor(len(starts)) as pool:
        assert [*pool.map(read, starts)] == [content[start : start + 100] for start in starts]


def test_threads_share_a_lazy_file(tmp_path):
    whole = tmp_path / "whole"
    content = bytes(range(256)) * 16
    whole.write_bytes(content)

    def locate():
        time.sleep(0.02)  # the other threads move in the file meanwhile
        return whole

    with LazyFile(len(content), content[-8:], locate) as file:
        check_threads_share(file, content, [0, 501, 1002, 1503])


def test_equal_indexes_have_equal_bytes(tmp_path):
    rows = {"b": Indexed("2", b"\x00\xff"), "a": Indexed("1", b"")}
    for name, given in (("one", rows), ("two", dict(reversed(rows.items())))):
        write_index(tmp_path / name, given)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert read_index(tmp_path / "one") == rows
    assert read_index(tmp_path / "missing") == {}
