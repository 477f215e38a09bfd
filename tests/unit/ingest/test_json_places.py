"""Places of damaged JSON in messages."""

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from tests.unit.ingest.test_dumps import entry

ROW = '{"sql": "SELECT 1"}\n'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{ROW}not json\n{ROW}", "in line 2"),
        (f'{ROW * 5}\n  \r\n{{"sql": x}}\n{ROW}', "in line 8"),
        (f"{ROW * 5}{ROW[:9]}\n{ROW}", "in line 6"),
        (f"{ROW * 5}{ROW[:9]}", "in line 6"),
        (f'{ROW}\n{{"sql": "SELECT 1", "sql": "SELECT 2"}}\n{ROW}', "in line 3"),
        (f"not json\n{ROW}", "in value 1"),
        (f"{{x\n{ROW}", "in value 1"),
        ('[{"sql": "SELECT 1"}, {"sql": x}]', "in value 2"),
        ('[{"sql": "SELECT 1"},\n{"sql": 1, "sql": 2}]', "in value 2"),
    ],
)
def test_damaged_json_is_named_by_its_place(tmp_path, text, place):
    path = tmp_path / "a.jsonl"
    path.write_text(text, newline="")
    with pytest.raises(CorpusError, match=place):
        ingest_corpus(entry(path, "jsonl", columns={"sql": "sql"}), tmp_path / "q.parquet")
