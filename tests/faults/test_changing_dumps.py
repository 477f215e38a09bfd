"""Dumps that are written while a run reads them: the stored queries belong to the digest."""

import hashlib
import threading
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.run.prepare import Prepared, prepare_corpus
from nl2sql_align.tasks.templates.parser_pool import stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse

pytestmark = pytest.mark.fault

N_RUNS = 3


@contextmanager
def repeating(step):
    """Repeat a step during the block."""
    is_over = threading.Event()

    def repeat():
        number = 0
        while not is_over.is_set():
            step(number)
            number += 1

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.fixture(autouse=True)
def _workers():
    yield
    stop_workers()


def prepare(path, warehouse):
    entry = CorpusEntry(
        name="boats", role="train", dialect="sqlite", format="lines", path=str(path)
    )
    with warehouse.locked():
        return prepare_corpus(entry, warehouse)


def read_lines(prepared):
    texts = pq.read_table(prepared.queries, columns=["raw_sql"])["raw_sql"].to_pylist()
    return "".join(f"{text}\n" for text in texts)


def test_a_dump_that_is_replaced_again_and_again_is_never_mixed(tmp_path):
    path = tmp_path / "boats.sql"
    texts = [f"SELECT a FROM {name}\n" * 20_000 for name in ("boats", "quays")]
    path.write_text(texts[0])

    def replace(number):
        new = tmp_path / "new.sql"
        new.write_text(texts[number % 2])
        new.replace(path)

    with repeating(replace):
        for number in range(N_RUNS):
            found = prepare(path, Warehouse(tmp_path / f"warehouse-{number}"))
            if isinstance(found, Prepared):
                text = read_lines(found)
                assert text in texts
                assert found.digest == hashlib.sha256(text.encode()).hexdigest()
                assert found.entry.path == path
            else:
                assert "changes while it is read" in found.reason
    prepared = prepare(path, Warehouse(tmp_path / "after"))
    assert read_lines(prepared) == path.read_text()


def test_a_log_in_use_is_read_up_to_a_line(tmp_path):
    path = tmp_path / "boats.log"
    path.write_text("".join(f"SELECT {n} FROM boats\n" for n in range(40_000)))

    def append(number):
        with path.open("a") as file:
            file.write(f"SELECT {number} FR")
            file.flush()
            file.write("OM quays\n")

    with repeating(append):
        prepared = prepare(path, Warehouse(tmp_path / "warehouse"))
    text = read_lines(prepared)
    # A line that its writer leaves unfinished while the dump is read looks like a last line.
    complete = text.removesuffix("\n")
    assert path.read_text().startswith(complete)
    assert prepared.digest in {hashlib.sha256(one.encode()).hexdigest() for one in (text, complete)}
    assert any("a copy of it from that time is used" in note for note in prepared.notes)
