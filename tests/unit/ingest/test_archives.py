"""Texts as rows of Parquet, a piece at a time."""

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nl2sql_align.tasks.ingest import archives
from nl2sql_align.tasks.ingest.archives import to_pieces

TEXTS = st.lists(st.sampled_from(["a", "é", "💩", "\n", "\r\n", "\r", "# T:", "\n# T:", "\0"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    text=TEXTS.map("".join), chunk=st.integers(1, 9), separator=st.sampled_from(["\n", "\n# T:"])
)
def test_pieces_are_what_stands_between_separators(tmp_path, text, chunk, separator):
    path, copy = tmp_path / "a", tmp_path / "b"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(archives, "_PIECES_BYTES", chunk)
        to_pieces(path, copy, separator)
    expected = text.replace("\r\n", "\n").split(separator)
    if not expected[-1]:
        expected.pop()
    rows = pq.read_table(copy).to_pylist()
    assert [row["piece"] for row in rows] == expected
    assert [row["place"] for row in rows] == list(range(len(expected)))


def test_a_piece_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_PIECES_BYTES", 1000)
    monkeypatch.setattr(archives, "MAX_PIECE_BYTES", 2_000_000)
    (tmp_path / "a").write_bytes(b"x" * 1_999_000 + b"\ny")
    to_pieces(tmp_path / "a", tmp_path / "b", "\n")
    (tmp_path / "a").write_bytes(b"x" * 2_002_000)
    with pytest.raises(OSError, match="a line of more than 2 MB"):
        to_pieces(tmp_path / "a", tmp_path / "b", "\n")


def test_what_is_no_utf_8_has_no_pieces(tmp_path):
    (tmp_path / "a").write_bytes(b"SELECT 1\nSELECT '\xff'\n")
    with pytest.raises(UnicodeDecodeError):
        to_pieces(tmp_path / "a", tmp_path / "b", "\n")
