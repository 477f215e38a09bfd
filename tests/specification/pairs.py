"""The queries and templates of ``templates.jsonl``, for all tests of templates."""

import json
from functools import cache
from pathlib import Path

from nl2sql_align.tasks.templates.templatizer import Templatizer

PAIRS = [
    json.loads(line)
    for line in Path(__file__).with_name("templates.jsonl").read_text("utf-8").splitlines()
]


@cache
def templatizer(dialect: str, *, shares_parses: bool = False) -> Templatizer:
    return Templatizer(dialect, shares_parses=shares_parses)
