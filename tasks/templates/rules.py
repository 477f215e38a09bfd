"""Versions and limits of templates and n-grams, for modules that load neither parser nor counts."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Final

from nl2sql_align.tasks.ingest.statements import KINDS, Kind

TEMPLATE_RULES_VERSION: Final = 3
"""Raise it with every change that can alter a template, so that stored templates are redone."""


@cache  # reading it takes a millisecond, and each corpus asks
def parser_version() -> str:
    """Return the version of sqlglot, on which templates depend."""
    return version("sqlglot")


SEVERAL_STATEMENTS: Final = "more than one statement"
"""The reason why a text of several statements is rejected."""

NOT_A_QUERY: Final = "not a query, DML or DDL statement: "
"""The start of the reason why a command is rejected; the command follows."""

MAX_N: Final = 15
"""The longest n-gram, in tokens."""

NGRAM_RULES_VERSION: Final = 1
"""Raise it with every change that can alter a count or a column of the n-gram files."""


@dataclass(frozen=True)
class Limits:
    """Queries to reject: deep ones end the parser's process, and long ones take time.

    ``kinds`` are the kinds of statements that get a template.
    """

    max_characters: int = 100_000
    max_brackets: int = 200
    kinds: tuple[Kind, ...] = KINDS


DEFAULT_LIMITS: Final = Limits()
