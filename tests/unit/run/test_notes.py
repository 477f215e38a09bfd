"""Notes on corpora."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.run.steps import explain_surplus

OTHERWISE = "are answers missing, or do some contain line breaks?"


@pytest.mark.parametrize(
    ("format", "n_surplus", "note"),
    [
        ("lines", 2, "2 of its lines are empty: do they separate interactions? then set "),
        ("lines", 1, OTHERWISE),
        ("lines", -2, OTHERWISE),
        ("jsonl", 2, OTHERWISE),
    ],
)
def test_surplus_empty_lines_may_separate_interactions(format, n_surplus, note, tmp_path):
    texts = ["select 1", "", "select 2", " ", "select 3"]
    pq.write_table(pa.table({"raw_sql": texts}), tmp_path / "queries.parquet")
    assert explain_surplus(tmp_path / "queries.parquet", format, n_surplus).startswith(note)
