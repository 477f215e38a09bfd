"""Consoles, tables and text for all views in the terminal."""

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nl2sql_align.tasks.base.csv_text import format_csv
from nl2sql_align.tasks.views.digits import format_value

if TYPE_CHECKING:
    import polars as pl

# Bounds on the width of shortened names, however wide or narrow the terminal is.
LONGEST_NAME: Final = 40
SHORTEST_NAME: Final = 12

NARROW: Final = 72
"""On a narrower terminal, tables lose some of their space and columns."""

ROWS_FROM_0: Final = "rows are counted from 0"
"""The remark of each listing that shows numbers of rows."""

MAX_DETAILED: Final = 3
"""With more sets of answers than this, only the best training set of each is shown."""

MAX_ANSWERS: Final = 20
"""More sets of answers are counted, and not shown."""

_TEXT_COLUMNS: Final = {"license", "verdict", "role", "training set"}


class Format(StrEnum):
    """The output formats of commands that print results."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class LogFormat(StrEnum):
    """The formats of a run's progress on standard error."""

    TEXT = "text"
    JSON = "json"


class _OutputConsole(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line to handle a reader that has gone away."""
        raise BrokenPipeError


class _MessageConsole(Console):
    def on_broken_pipe(self) -> None:
        """Write nothing more, and let the run complete without a reader of its messages."""
        self.quiet = True


# Without emoji, because Rich takes the `:date:` in `x::date::text` for one.
out: Final = _OutputConsole(highlight=False, emoji=False)
err: Final = _MessageConsole(stderr=True, highlight=False, emoji=False)


def prepare_streams() -> None:
    """Let the standard streams take any text, whatever the locale, and also if they are closed.

    Characters that an encoding lacks are replaced on output. Bytes that cannot be decoded on
    input become surrogates, as in arguments: see ``restore_text``.
    """
    for name, mode, errors in (
        ("stdin", "r", "surrogateescape"),
        ("stdout", "w", "replace"),
        ("stderr", "w", "backslashreplace"),
    ):
        stream = getattr(sys, name)
        if stream is None:
            # At once: the next file to be opened would get the descriptor of the closed stream.
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def restore_text(text: str) -> str:
    """Return text of an argument or of standard input, decoded as UTF-8 if the locale could not."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# ---- text -------------------------------------------------------------------------------------


def say(text: str, indent: int = 0, mark: str = "") -> None:
    """Print prose with markup, wrapped at word boundaries to the width of the terminal.

    Args:
        text: The prose.
        indent: How many spaces to put before each line.
        mark: A prefix of the first line; later lines are indented by its length.
    """
    before = " " * indent + mark
    for line in Text.from_markup(text, emoji=False).wrap(out, max(20, out.width - len(before))):
        line.rstrip()
        out.print(Text(before) + line, soft_wrap=True)
        before = " " * len(before)


def capture(show: Callable[[], None], width: int = 100) -> str:
    """Return the text that a function prints, without styles.

    Args:
        show: The function.
        width: The width of its lines, as that of a terminal.
    """
    before = out.width
    out.width = width
    try:
        with out.capture() as captured:
            show()
    finally:
        out.width = before
    lines = Text.from_ansi(captured.get()).plain.splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def printable(text: str) -> str:
    """Return text from a dump without the control and direction characters a terminal obeys."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def format_number(value: float | None) -> str:
    """Format a number that has no interval; return an empty string for None."""
    return "" if value is None else format_value(value)


def shorten_name(name: str, width: int = LONGEST_NAME) -> str:
    """Return a name without its middle if it is longer than the width."""
    return _cut_middle(name, width, "…")


def format_line(text: str, width: int) -> str:
    """Return text on one line, as markup, without its middle if it is longer than the width."""
    return escape(printable(shorten_name(" ".join(text.split()), width)))


def shorten_names(names: list[str], width: int) -> dict[str, str]:
    """Shorten names to a width, with a number in the gap where two would look alike."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(shorten_name(name, width), []).append(name)
    return {
        name: short if len(group) == 1 else _cut_middle(name, width, f"…{n}…")
        for short, group in alike.items()
        for n, name in enumerate(group, 1)
    }


def name_width(others: int, n_columns: int = 1) -> int:
    """Return how wide a column of names can be.

    Args:
        others: The width of all other columns, in characters.
        n_columns: How many columns of names share the rest of the line.
    """
    return max(SHORTEST_NAME, min(LONGEST_NAME, (out.width - others) // n_columns))


def _cut_middle(name: str, width: int, gap: str) -> str:
    if len(name) <= width:
        return name
    after = (width - len(gap)) // 2
    return f"{name[: width - len(gap) - after]}{gap}{name[len(name) - after :]}"


# ---- tables -----------------------------------------------------------------------------------


def make_table(first: str, *others: str) -> Table:
    """Create a table with a first column of names, and then columns as in ``add_columns``."""
    # Two spaces between columns would cut off a column on a narrow terminal.
    table = Table(
        box=None, pad_edge=False, header_style="bold", collapse_padding=out.width < NARROW
    )
    table.add_column(first, no_wrap=True)
    add_columns(table, *others)
    return table


def add_columns(table: Table, *heads: str) -> None:
    """Add columns: text is aligned on the left, numbers on the right."""
    for head in heads:
        is_text = head in _TEXT_COLUMNS
        table.add_column(escape(head), justify="left" if is_text else "right", no_wrap=True)


def add_numbers(table: Table, head: str, texts: Sequence[str]) -> list[str]:
    """Add a column, and return its numbers padded so that their decimal points are aligned."""
    after = [len(text.partition(".")[2]) for text in texts]
    padded = [text + " " * (max(after) - n) for text, n in zip(texts, after, strict=True)]
    width = max(map(len, [head, *padded]))
    # Not right-justified, because Rich then strips trailing spaces.
    table.add_column(escape(head.rjust(width)), no_wrap=True)
    return [text.rjust(width) for text in padded]


# ---- for programs -----------------------------------------------------------------------------


def print_rows(rows: "pl.DataFrame", form: Format) -> None:
    """Print rows as a JSON list of objects, or as CSV with a header."""
    if form is Format.JSON:
        print_object(rows.to_dicts())
    else:
        sys.stdout.write(format_csv(rows))


def print_object(value: Any) -> None:
    """Print an object or a list as JSON."""
    sys.stdout.write(to_json(value, sys.stdout, indent=1) + "\n")


def to_json(value: Any, stream: TextIO, indent: int | None = None) -> str:
    """Return JSON for a stream, with escapes for the characters that its encoding may lack."""
    is_unicode = stream.encoding.lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not is_unicode, indent=indent, default=str)
