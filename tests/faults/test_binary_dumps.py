"""Damaged binary dumps: they end the process that reads them, and nothing else."""

import io
import signal
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest import dumps
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from tests.unit.ingest.test_dumps import entry

pytestmark = pytest.mark.fault

QUERIES = [f"SELECT {number} FROM boats" for number in range(10, 50)]
LENGTH = len(QUERIES[0])


def arrow_with_offset(write, offset: int) -> bytes:
    """Return an Arrow file of queries whose offset number 20 is another one."""
    table = pa.table({"query": QUERIES, "db_id": ["harbor"] * len(QUERIES)})
    sink = io.BytesIO()
    with write(sink, table.schema) as writer:
        writer.write_table(table)
    content = bytearray(sink.getvalue())
    place = content.index(struct.pack("<3i", 0, LENGTH, 2 * LENGTH)) + 4 * 20
    assert content[place : place + 4] == struct.pack("<i", 20 * LENGTH)
    content[place : place + 4] = struct.pack("<i", offset)
    return bytes(content)


@pytest.mark.parametrize("write", [pa.ipc.new_file, pa.ipc.new_stream])
def test_offsets_beyond_their_buffer_are_reported(tmp_path, write):
    path = tmp_path / "a.arrow"
    destination = tmp_path / "stage" / "queries.parquet"
    path.write_bytes(arrow_with_offset(write, 20 * LENGTH))
    corpus, _ = resolve_format(entry(path, "auto"))
    assert ingest_corpus(corpus, destination).n_queries == len(QUERIES)
    assert pq.read_table(destination)["sql"].to_pylist() == QUERIES
    destination.unlink()
    path.write_bytes(arrow_with_offset(write, 1 << 30))
    with pytest.raises(CorpusError, match=r"a\.arrow.*cannot be read .*offset for slot 20 out of"):
        ingest_corpus(corpus, destination)
    with pytest.raises(CorpusError, match=r"a\.arrow.*cannot be read .*offset for slot 20 out of"):
        resolve_format(entry(path, "auto"))
    assert not list(destination.parent.iterdir())


def die(*_: object) -> None:
    signal.raise_signal(signal.SIGBUS)


def test_a_dump_that_ends_its_reader_is_reported(tmp_path, monkeypatch):
    for name in ("a.arrow", "b.parquet"):
        path = tmp_path / name
        path.write_bytes(b"any")
        monkeypatch.setattr(dumps, "_read_dump", die)
        with pytest.raises(CorpusError) as caught:
            ingest_corpus(entry(path, "spider"), tmp_path / "stage" / "queries.parquet")
        assert str(caught.value) == (
            f"corpus 'c' ({path}): ends the process that reads it (SIGBUS); "
            "it is damaged: download it again"
        )
        assert not list((tmp_path / "stage").iterdir())
