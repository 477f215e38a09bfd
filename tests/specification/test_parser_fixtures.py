"""Statements of sqlglot's own tests lose no keyword, and keep no name.

They cover the syntax of all dialects. They are not copied: ``make test`` fetches the source
distribution of the installed version, and ``SQLGLOT_FIXTURES`` is its folder ``tests``.
"""

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlglot.dialects.dialect import Dialects

from nl2sql_align.tasks.ngrams.count import split_template
from nl2sql_align.tasks.templates.templatizer import Templatizer

FOLDER = Path(os.environ.get("SQLGLOT_FIXTURES", ""), "dialects")
pytestmark = pytest.mark.skipif(
    "SQLGLOT_FIXTURES" not in os.environ or not FOLDER.is_dir(),
    reason="SQLGLOT_FIXTURES is not the folder tests of sqlglot's source distribution",
)
DIALECTS = {dialect.value for dialect in Dialects} - {"dax", "prql"}  # these are not SQL
NORMALIZED = {"<>": "!=", "==": "="}
LEXED_APART = {"<<": "<", ">>": ">", "!~": "!", "!~*": "!", "!~~": "!", "!~~*": "!"}
# Words that are names by their place, which the parser takes as they are.
AFTER_THESE = {":", "@", "COLLATE", "CHARSET", "USING", "SET", "=>", "=", "/", ".", "%", "ENCODING"}


class Checked(NamedTuple):
    """A statement, its template, and the words that are lost and kept without a reason."""

    dialect: str
    sql: str
    template: str
    lost: Counter[str]
    extra: Counter[str]


def text_of(node: ast.expr | None) -> str | None:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else None


def statements_of(file: Path) -> Iterator[tuple[str, str]]:
    """Yield each statement in a test file of a dialect, after the dialect."""
    for group in ast.parse(file.read_text("utf-8")).body:
        if not isinstance(group, ast.ClassDef):
            continue
        dialect = "bigquery" if file.stem == "test_pipe_syntax" else ""
        for part in group.body:
            if isinstance(part, ast.Assign) and getattr(part.targets[0], "id", "") == "dialect":
                dialect = text_of(part.value) or ""
        for call in ast.walk(group):
            name = getattr(getattr(call, "func", None), "attr", "")
            if isinstance(call, ast.Call) and name.startswith("validate_"):
                given = call.args[:2] if name == "validate_identity" else call.args[:1]
                yield from ((dialect, sql) for one in given if (sql := text_of(one)))
                for keyword in call.keywords:
                    if keyword.arg in ("read", "write") and isinstance(keyword.value, ast.Dict):
                        for key, value in zip(
                            keyword.value.keys, keyword.value.values, strict=True
                        ):
                            if (sql := text_of(value)) and text_of(key) is not None:
                                yield text_of(key) or "", sql


@cache
def templatizer(dialect: str) -> Templatizer:
    return Templatizer(dialect)


@pytest.fixture(scope="module")
def checked():
    """Return all statements that have a template and that the slow reader can read."""
    found = {}
    for file in sorted(FOLDER.glob("test_*.py")):
        for dialect, sql in statements_of(file):
            name = dialect.partition(",")[0]
            for text in (sql, f"SELECT {sql}"):  # many are single expressions
                template = templatizer(name)(text).template if name in DIALECTS else None
                if template is not None:
                    found[name, text] = template
                    break
    command = [sys.executable, "-m", "tests.specification.slow_reader", "--words"]
    lines = [json.dumps(key) for key in found]
    run = subprocess.run(
        command, input="\n".join(lines), capture_output=True, check=True, encoding="utf-8"
    )
    read = [json.loads(line) for line in run.stdout.splitlines()]
    return [
        Checked(*key, template, *compare(key[1], template, words))
        for (key, template), words in zip(found.items(), read, strict=True)
        if words is not None
    ]


def compare(sql: str, template: str, words: list[str]) -> tuple[Counter[str], Counter[str]]:
    kept = [LEXED_APART.get(word, word) for word in split_template(template)]
    needed = [NORMALIZED.get(word, word) for word in words]
    needed = [
        word
        for before, word in zip(["", *needed], needed, strict=False)
        if not (before in AFTER_THESE and word not in kept)
    ]
    is_word = re.compile(r"\w").match
    lost, extra = Counter(needed) - Counter(kept), Counter(kept) - Counter(needed)
    return (
        Counter({word: n for word, n in lost.items() if is_word(word)}),
        Counter({word: n for word, n in extra.items() if is_word(word)}),
    )


def is_definition(one: Checked) -> bool:
    return re.match(r"\s*(CREATE|ALTER|DROP)\b", one.sql, re.IGNORECASE) is not None


def test_nearly_no_query_loses_a_keyword_or_keeps_a_name(checked):
    """The rest is rare, or a name by its place that the slow reader does not know.

    For example: keys of JSON paths, character sets, and routines defined within a query.
    """
    queries = [one for one in checked if not is_definition(one)]
    lost = [one for one in queries if one.lost]
    extra = [one for one in queries if one.extra]
    assert len(queries) > 12_000
    assert len(lost) <= 0.0075 * len(queries), [one.lost for one in lost]
    assert len(extra) <= 0.002 * len(queries), [one.extra for one in extra]
