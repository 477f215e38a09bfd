"""Splitting of texts into rows of Parquet."""

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nl2sql_align.tasks.ingest.archives import write_pieces

TEXTS = st.lists(st.sampled_from(["a", "é", "💩", "\n", "\r\n", "\r", "# T:", "\n# T:", "\0"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    text=TEXTS.map("".join), chunk=st.integers(1, 9), separator=st.sampled_from(["\n", "\n# T:"])
)
def test_pieces_are_the_texts_between_separators(tmp_path, text, chunk, separator):
    path, copy = tmp_path / "a", tmp_path / "b"
    path.write_bytes(text.encode())
    write_pieces(path, copy, separator, chunk_bytes=chunk)
    expected = text.replace("\r\n", "\n").split(separator)
    if not expected[-1]:
        expected.pop()
    rows = pq.read_table(copy).to_pylist()
    assert [row["piece"] for row in rows] == expected
    assert [row["place"] for row in rows] == list(range(len(expected)))


def test_a_piece_has_a_limit(tmp_path):
    limits = {"chunk_bytes": 1000, "max_piece_bytes": 2_000_000}
    (tmp_path / "a").write_bytes(b"x" * 1_999_000 + b"\ny")
    write_pieces(tmp_path / "a", tmp_path / "b", "\n", **limits)
    (tmp_path / "a").write_bytes(b"x" * 2_002_000)
    with pytest.raises(OSError, match="a line of more than 2 MB"):
        write_pieces(tmp_path / "a", tmp_path / "b", "\n", **limits)


def test_a_text_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"SELECT 1\nSELECT '\xff'\n")
    with pytest.raises(UnicodeDecodeError):
        write_pieces(tmp_path / "a", tmp_path / "b", "\n")
