"""What is fixed about templates and n-grams, for those who need not load what makes them."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Final

from nl2sql_align.tasks.ingest.answers import KINDS, Kind

TEMPLATE_RULES_VERSION: Final = 2
"""Goes up with every change that can alter a template: stored templates are then redone."""


@cache  # to read it takes a millisecond, and each corpus asks
def parser_version() -> str:
    """The version of sqlglot, which says what a query's parse is."""
    return version("sqlglot")


MAX_N: Final = 15
"""The longest n-gram, in tokens."""

NGRAM_RULES_VERSION: Final = 1
"""Goes up with every change that can alter a count or a column of the n-gram files."""


@dataclass(frozen=True)
class Limits:
    """What is too large to be parsed: depth ends the parser's process, length costs time.

    ``kinds`` are those kinds of statements that get a template.
    """

    max_characters: int = 100_000
    max_brackets: int = 200
    kinds: tuple[Kind, ...] = KINDS


DEFAULT_LIMITS: Final = Limits()
