"""Locales, pipes and disks that a command does not expect."""

import errno
import gzip
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager

import fsspec
import pytest

from nl2sql_align.flows.cli import invoke
from nl2sql_align.flows.running.command import Reporter
from nl2sql_align.tasks.base.errors import AlignError, CorpusError, WarehouseError, find_disk_reason
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.fetch import fetch_dump
from nl2sql_align.tasks.templates.parser_pool import start_worker, stop_workers
from nl2sql_align.tasks.views.terminal import console
from nl2sql_align.tasks.views.terminal.console import LogFormat, prepare_streams, restore_text
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.faults.disks import mounted

pytestmark = pytest.mark.fault

COMMAND = [sys.executable, "-m", "nl2sql_align.flows.cli"]


def test_all_formats_are_written_in_a_locale_without_utf_8(tmp_path, monkeypatch):
    received = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, file in received.items():
        stream = io.TextIOWrapper(file, "ascii", "strict", write_through=True)
        monkeypatch.setattr(sys, name, stream)
    prepare_streams()
    dump = tmp_path / "bøats.sql"
    dump.write_text("SELECT 'häfen…' FROM boats\n", encoding="utf-8")
    outputs = {}
    for form in ("table", "csv", "json"):
        assert invoke(["inspect", str(dump), "--format", form, "--dialect", "sqlite"]) == 0
        outputs[form] = received["stdout"].getvalue()
        received["stdout"].seek(0)
        received["stdout"].truncate()
    assert b"b?ats.sql" in outputs["table"]
    assert b"SELECT 'h?fen?' FROM boats" in outputs["csv"]
    # JSON has escapes of its own, so that nothing is lost.
    assert json.loads(outputs["json"])["path"] == str(dump)
    assert b"h\\u00e4fen\\u2026" in outputs["json"]
    assert invoke(["matrix", str(tmp_path / "hafen…")]) == 1
    with Reporter(LogFormat.JSON).showing_progress():
        announce("ingest", "bøats")
    missing, line = received["stderr"].getvalue().splitlines()
    assert b"hafen\\u2026 does not exist" in missing
    assert json.loads(line)["text"] == "bøats"


def test_an_argument_that_the_locale_cannot_decode_is_read_as_utf_8():
    in_ascii = "SELECT ä".encode().decode("ascii", "surrogateescape")
    assert restore_text(in_ascii) == restore_text("SELECT ä") == "SELECT ä"
    assert restore_text(b"\xff".decode("ascii", "surrogateescape")) == "\N{REPLACEMENT CHARACTER}"


def test_a_locale_that_cannot_write_a_path_is_named(tmp_path):
    (tmp_path / "bøats.sql").write_text("SELECT 1\n")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = subprocess.run(
        [*COMMAND, "inspect", tmp_path / "bøats.sql"],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert ended.returncode == 1
    [line] = ended.stderr.decode("ascii").splitlines()
    assert "a name cannot be written in" in line
    assert "set LC_ALL=C.UTF-8, or rename the file" in line


def test_closed_streams_are_empty():
    ended = subprocess.run(
        ["sh", "-c", '"$@" template - <&- >&-', "sh", *COMMAND], capture_output=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (1, b"rejected: empty\n")


@pytest.mark.parametrize("form", LogFormat)
def test_a_run_goes_on_if_nobody_reads_its_messages(form, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(console.err, "quiet", False)
    stream = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stderr", stream)
    reporter = Reporter(form)
    with reporter.showing_progress():
        for _ in range(2):
            announce("ingest", "boats")
            reporter.report("end", "all done")
    with pytest.raises(BrokenPipeError):  # the text did go to the pipe
        stream.close()


class FullDisk(io.RawIOBase):
    """A file on a disk without free space, as ``/dev/full`` is on some systems."""

    def writable(self):
        return True

    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_a_full_disk_behind_the_output_is_reported(format, monkeypatch, capfd):
    with FullDisk() as raw, monkeypatch.context() as patch:
        stream = io.TextIOWrapper(raw, "utf-8", write_through=True)
        patch.setattr(sys, "stdout", stream)
        assert invoke(["template", "SELECT a FROM b", "--format", format]) == 1
        stream.detach()
    assert capfd.readouterr().err == (
        "nl2sql-align: a file or the output cannot be written (No space left on device); check the "
        "disk, and run again\n"
    )


def test_errors_of_disks_are_found_in_the_errors_of_all_libraries():
    assert find_disk_reason(OSError(28, "x")) == "No space left on device"
    assert find_disk_reason(RuntimeError("IO: File too large (os error 27)")) == "File too large"
    assert find_disk_reason(FileNotFoundError(2, "No such file or directory")) is None


@contextmanager
def nothing_can_be_written():
    """Refuse writing to any file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["boats.sql", "boats.sql.gz"])
def test_a_full_disk_does_not_set_corpora_aside(tmp_path, name):
    """The dump was called unreadable, and the results of the other corpora were published."""
    dump = tmp_path / name
    text = b"SELECT a FROM boats\n"
    dump.write_bytes(gzip.compress(text) if dump.suffix == ".gz" else text)
    keys = {"name": "boats", "role": "train", "format": "lines", "dialect": "sqlite"}
    entry = CorpusEntry.model_validate({**keys, "path": dump})
    (tmp_path / "stage").mkdir()
    with nothing_can_be_written(), pytest.raises(AlignError) as caught:
        ingest_corpus(entry, tmp_path / "stage" / "queries.parquet")
    assert not isinstance(caught.value, CorpusError)
    assert "File too large" in str(caught.value)
    assert "free space, and run again" in str(caught.value)
    assert ingest_corpus(entry, tmp_path / "stage" / "queries.parquet").n_queries == 1


def test_a_full_disk_during_a_download_does_not_set_a_corpus_aside(tmp_path):
    store = fsspec.filesystem("memory")
    store.pipe_file("/dumps/boats.sql", b"SELECT a FROM boats\n")
    keys = {"name": "boats", "role": "train", "format": "lines", "dialect": "sqlite"}
    entry = CorpusEntry.model_validate({**keys, "path": "memory://dumps/boats.sql"})
    warehouse = Warehouse(tmp_path / "w")
    with warehouse.locked():
        with nothing_can_be_written(), pytest.raises(WarehouseError, match="is full"):
            fetch_dump(entry, warehouse)
        assert fetch_dump(entry, warehouse).path.read_bytes() == b"SELECT a FROM boats\n"
    store.rm("/dumps", recursive=True)


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a disk of its own without free space."""
    with mounted(tmp_path, "16k"):
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "filling").write_bytes(bytes(100_000))
        yield tmp_path


def test_a_full_disk_for_temporary_files_ends_in_one_line(full_disk, monkeypatch, capsys):
    """A mapped sparse file ended the process by SIGBUS here."""
    stop_workers()
    monkeypatch.setattr(tempfile, "tempdir", str(full_disk))
    try:
        with pytest.raises(AlignError, match=r"No space left on device\); check free memory and "):
            start_worker()
    finally:
        stop_workers()
    assert invoke(["template", "SELECT 1"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "No space left on device); check free memory and the disk space of " in line
