"""Consoles, tables and texts that all views in the terminal share."""

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nl2sql_align.tasks.views.digits import shown

if TYPE_CHECKING:
    import polars as pl


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command line what becomes of a reader that has gone."""
        raise BrokenPipeError


# No emoji: the `:date:` of `x::date::text` is none.
out: Final = _Console(highlight=False, emoji=False)


err: Final = _Console(stderr=True, highlight=False, emoji=False)


# However wide the terminal is; and however narrow.
LONGEST_NAME: Final = 40


SHORTEST_NAME: Final = 12


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class LogFormat(StrEnum):
    """How a run says what it does, on standard error."""

    TEXT = "text"
    JSON = "json"


def print_rows(rows: "pl.DataFrame", form: Format) -> None:
    """Prints rows for programs: JSON, a list of objects, or CSV with a header.

    In CSV, a list is its values apart by spaces: names of corpora hold none.
    """
    if form is Format.JSON:
        json.dump(rows.to_dicts(), sys.stdout, ensure_ascii=False, indent=1, default=str)
        sys.stdout.write("\n")
    else:
        lists = [name for name, kind in rows.schema.items() if kind.is_nested()]
        joined = [rows[name].list.join(" ") for name in lists]
        sys.stdout.write(rows.with_columns(joined).write_csv())


def print_object(value: dict[str, Any]) -> None:
    """Prints one object as JSON."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1, default=str)
    sys.stdout.write("\n")


def say(text: str, indent: int = 0, mark: str = "") -> None:
    """Prints prose, with markup, broken at words where the terminal ends.

    A mark stands before the first line; the others are indented by its length.
    """
    before = " " * indent + mark
    whole = Text.from_markup(text.replace(" %", f"{_NO_BREAK}%"), emoji=False)
    for line in whole.wrap(out, max(20, out.width - len(before))):
        line.rstrip()
        line.plain = line.plain.replace(_NO_BREAK, " ")
        out.print(Text(before) + line, soft_wrap=True)
        before = " " * len(before)


# A character of no text, as wide as the space that it stands for: Rich breaks lines at any space.
_NO_BREAK: Final = "\ue000"


def shortened(name: str, width: int = LONGEST_NAME) -> str:
    """A long name without its middle."""
    return _cut(name, width, "…")


def _cut(name: str, width: int, gap: str) -> str:
    if len(name) <= width:
        return name
    after = (width - len(gap)) // 2
    return f"{name[: width - len(gap) - after]}{gap}{name[len(name) - after :]}"


def distinct(names: "list[str]", width: int) -> dict[str, str]:
    """Names shortened to a width; those that would look alike then have numbers in their gaps."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(shortened(name, width), []).append(name)
    return {
        name: short if len(group) == 1 else _cut(name, width, f"…{n}…")
        for short, group in alike.items()
        for n, name in enumerate(group, 1)
    }


def names_width(others: int, names: int = 1) -> int:
    """How wide each of so many columns of names may be beside others of this width."""
    return max(SHORTEST_NAME, min(LONGEST_NAME, (out.width - others) // names))


def make_table(first: str, *others: str) -> Table:
    """A table whose first column is of names, and the others of numbers."""
    # One space apart where two would cut a column off.
    table = Table(
        box=None, pad_edge=False, header_style="bold", collapse_padding=out.width < NARROW
    )
    table.add_column(first, no_wrap=True)
    add_columns(table, *others)
    return table


def add_columns(table: Table, *heads: str) -> None:
    """Add columns, those of text on the left and those of numbers on the right."""
    for head in heads:
        is_text = head in _TEXT_COLUMNS
        table.add_column(escape(head), justify="left" if is_text else "right", no_wrap=True)


NARROW: Final = 72


_TEXT_COLUMNS: Final = {"license", "verdict", "role", "training set"}


def add_numbers(table: Table, head: str, texts: Sequence[str]) -> list[str]:
    """Adds a column, and gives its numbers with spaces that put their points below each other."""
    after = [len(text.partition(".")[2]) for text in texts]
    padded = [text + " " * (max(after) - n) for text, n in zip(texts, after, strict=True)]
    width = max(map(len, [head, *padded]))
    # Rich takes the spaces off what it justifies to the right.
    table.add_column(escape(head.rjust(width)), no_wrap=True)
    return [text.rjust(width) for text in padded]


def format_number(value: float | None) -> str:
    """Return a number as it is shown, or a dash."""
    return "" if value is None else shown(value)


def count_noun(n: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it is one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def printable(text: str) -> str:
    """Text from a dump without what a terminal would obey: control and direction characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
