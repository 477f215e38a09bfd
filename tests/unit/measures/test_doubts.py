"""Doubts about predictions that repeat their target's texts."""

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.measures.doubts import find_doubts


def counted(name, key, target=None):
    return SimpleNamespace(content_key=key, entry=SimpleNamespace(name=name, target=target))


@pytest.mark.parametrize(
    ("share", "doubt"),
    [(0.95, None), (0.96, "96% of the answers"), (1.0, "100% of the answers")],
)
def test_answers_that_are_mostly_the_targets_texts_are_doubted(tmp_path, share, doubt):
    pairs = tmp_path / "pairs.parquet"
    # The first corpus of a pair is the source: the reference, whose texts the answers repeat.
    rows = [("t", "p", share), ("p", "t", 1.0), ("t", "q", 0.1), ("o", "p", 1.0)]
    names = ("source_key", "target_key", "exact_overlap")
    pq.write_table(pa.Table.from_pylist([dict(zip(names, r, strict=True)) for r in rows]), pairs)
    corpora = [
        counted("asked", "t"),
        counted("other", "o"),
        counted("answers", "p", "asked"),
        counted("better", "q", "asked"),
        counted("of another run", "p", "gone"),
    ]
    found = find_doubts(corpora, pairs)
    assert list(found) == (["answers"] if doubt else [])
    for text in found.get("answers", []):
        assert text.startswith(f"these may be the reference queries: {doubt}")
        assert text.endswith("of asked")


def test_without_predictions_nothing_is_read(tmp_path):
    assert find_doubts([counted("asked", "t")], tmp_path / "missing.parquet") == {}
