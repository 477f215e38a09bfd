"""The golden pairs of query and template, if the shared folder is present."""

import json

import pytest

from nl2sql_align.tasks.templates.templatizer import Templatizer


@pytest.mark.shared
def test_every_golden_pair(shared_folder):
    file = shared_folder / "golden" / "templates.jsonl"
    pairs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = [Templatizer(pair["dialect"])(pair["sql"]).template for pair in pairs]
    assert found == [pair["template"] for pair in pairs]
    assert len(pairs) >= 51


@pytest.mark.shared
def test_every_golden_pair_when_parses_are_shared(shared_folder):
    file = shared_folder / "golden" / "templates.jsonl"
    pairs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for dialect in {pair["dialect"] for pair in pairs}:
        templatizer = Templatizer(dialect, shares_parses=True)
        for pair in [*pairs, *pairs]:
            if pair["dialect"] == dialect:
                assert templatizer(pair["sql"]).template == pair["template"]
