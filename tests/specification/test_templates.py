"""Template by template, what the specification asks for: SQL in, template out.

``templates.jsonl`` holds the pairs, by rule, each with a word on why; they are documentation too.
"""

import json
from pathlib import Path

import pytest

from tasks.templates import Templatizer

PAIRS = [
    json.loads(line)
    for line in Path(__file__).with_name("templates.jsonl").read_text("utf-8").splitlines()
]
TEMPLATIZERS = {
    dialect: (Templatizer(dialect), Templatizer(dialect, shares_parses=True))
    for dialect in {pair["dialect"] for pair in PAIRS}
}


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{p['dialect']}-{p['why']}" for p in PAIRS])
def test_pair(pair):
    for templatizer in TEMPLATIZERS[pair["dialect"]]:
        found = templatizer(pair["sql"])
        assert found.template == pair["template"]
        assert (found.template is None) == (found.reject_reason is not None)


def test_sharing_parses_changes_nothing():
    for dialect, (_, shared) in TEMPLATIZERS.items():
        for pair in PAIRS:
            if pair["dialect"] == dialect:  # again, now with all shapes known
                assert shared(pair["sql"]).template == pair["template"]
