"""Tables of text (CSV): their separator, and clean copies of tables with damaged rows.

DuckDB refuses a whole table for one stray quote, and its lenient modes drop characters or let a
quote swallow the rows that follow. Here, only the rows that cannot be read with certainty
are lost: they keep their places, without values, and their lines are reported.
"""

import csv
import io
import re
import shutil
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain, islice
from pathlib import Path
from typing import Final, TextIO

SEPARATORS: Final = (",", "\t", ";", "|")
"""The separators that are recognized, the most common first."""

MAX_ROW_CHARACTERS: Final = 32 << 20
_MAX_LINE_CHARACTERS: Final = 200_000_000
_SAMPLED_BYTES: Final = 1 << 18
_SAMPLED_ROWS: Final = 200
_SHOWN_PLACES: Final = 5
# After damage, rows are trusted from this many well-formed ones in succession, in a table whose
# values have line breaks.
_TRUSTED_RUN: Final = 2


@dataclass(frozen=True)
class _Places:
    """Rows of a table: their number, and the lines of the first ones, such as ``lines 5 to 7``."""

    n_rows: int = 0
    first: tuple[str, ...] = ()

    def __add__(self, other: "_Places") -> "_Places":
        return _Places(self.n_rows + other.n_rows, (self.first + other.first)[:_SHOWN_PLACES])

    def __str__(self) -> str:
        return ", ".join(self.first) + (", ..." if self.n_rows > len(self.first) else "")

    def of_file(self, name: str) -> "_Places":
        return _Places(self.n_rows, tuple(f"{place} of {name}" for place in self.first))


@dataclass(frozen=True)
class Damage:
    """The rows of a table with stray quotes, or with other numbers of values than the header.

    Attributes:
        lost: The rows that could not be read.
        stray: The rows that were read although they have stray quotes.
        has_backslashes: Whether quotes within values are escaped by backslashes.
    """

    lost: _Places = _Places()
    stray: _Places = _Places()
    has_backslashes: bool = False

    @property
    def text(self) -> str:
        """The damage as a sentence without its end; empty without damage."""
        lost, stray = self.lost, self.stray
        parts = ["its quotes are escaped by backslashes"] if self.has_backslashes else []
        if stray.n_rows:
            verb = "has stray quotes and is" if stray.n_rows == 1 else "have stray quotes and are"
            parts.append(f"{_count_rows(stray.n_rows)} {verb} read as the columns fit: {stray}")
        if lost.n_rows:
            verb = "is damaged, and its" if lost.n_rows == 1 else "are damaged, and their"
            parts.append(f"{_count_rows(lost.n_rows)} {verb} values are lost: {lost}")
        return "; ".join(parts)

    def __add__(self, other: "Damage") -> "Damage":
        """Return the damage of two tables of one dump."""
        has_backslashes = self.has_backslashes or other.has_backslashes
        return Damage(self.lost + other.lost, self.stray + other.stray, has_backslashes)

    def of_file(self, name: str) -> "Damage":
        """Return the same damage with the name of its file."""
        return replace(self, lost=self.lost.of_file(name), stray=self.stray.of_file(name))


def _count_rows(n_rows: int) -> str:
    return f"{n_rows:,} {'row' if n_rows == 1 else 'rows'}"


class UnreadableTableError(ValueError):
    """A table is damaged too much to be read."""


# ---- lines --------------------------------------------------------------------------------------


# Where a line ends: outside quotes, within them, or nowhere, since it has a stray quote.
_OUTSIDE: Final = 0
_INSIDE: Final = 1
_STRAY: Final = 2

_LINES_ABOVE: Final = re.compile(r"(?:\"?sep=[,;|\t]\"?\r?\n)?(?: *+\r?\n)*+", re.IGNORECASE)

# The text of a quoted value up to a quote that is not doubled.
_QUOTED: Final = re.compile(r'[^"]*+(?:""[^"]*+)*+')
_QUOTED_WITH_BACKSLASHES: Final = re.compile(r"""[^"\\]*+(?:(?:""|\\.?)[^"\\]*+)*+""", re.DOTALL)
_ESCAPED: Final = re.compile(r"""\\(["\\])|"(")""")


class _Dialect:
    """The rules of tables with one separator, one kind of line end, and one of escapes."""

    def __init__(
        self, separator: str, line_end: str = "\n", *, has_backslashes: bool = False
    ) -> None:
        self.separator = separator
        self.line_end = line_end
        self.has_backslashes = has_backslashes
        self._quoted = _QUOTED_WITH_BACKSLASHES if has_backslashes else _QUOTED
        self._plain = re.compile(rf"[^{re.escape(separator)}{line_end}]*+")

    def scan_line(self, line: str, state: int) -> tuple[int, int]:
        """Return the state at the end of a line, and the number of separators outside quotes.

        Args:
            line: The line without its end.
            state: The state at its start: outside or within quotes.
        """
        if '"' not in line:
            return state, 0 if state == _INSIDE else line.count(self.separator)
        position = n_separators = 0
        while True:
            if state == _OUTSIDE and line.startswith('"', position):
                position, state = position + 1, _INSIDE
            if state == _INSIDE:
                position = _end(self._quoted.match(line, position))
                if position == len(line):
                    return _INSIDE, n_separators
                position, state = position + 1, _OUTSIDE
            else:
                start, position = position, _end(self._plain.match(line, position))
                # Such a quote would end a value that started on an earlier line.
                if line.count('"', start, position) % 2 and line[position - 1] == '"':
                    return _STRAY, n_separators
            if position == len(line):
                return _OUTSIDE, n_separators
            if line[position] != self.separator:
                return _STRAY, n_separators
            position += 1
            n_separators += 1

    def split_row(self, row: str) -> list[str]:
        """Return the values of a row without stray quotes, without its line end."""
        if '"' not in row:
            return row.split(self.separator)
        values: list[str] = []
        position = 0
        while True:
            start = position
            if row.startswith('"', position):
                position = _end(self._quoted.match(row, position + 1)) + 1
                values.append(self._unescape(row[start + 1 : position - 1]))
            else:
                position = _end(self._plain.match(row, position))
                values.append(row[start:position])
            if position == len(row):
                return values
            position += 1

    def split_stray_row(self, row: str, *, ends_at_stray: bool) -> list[str] | None:
        """Return the values of a row with stray quotes, or None if it does not have this form.

        A stray quote beside a separator or a line break is not read, since it may start or end a
        value, and neither is one outside quoted values.

        Args:
            row: The text of the row without its line end.
            ends_at_stray: A stray quote ends the quoted part of a value, as Python's csv reads it;
                otherwise, it is a part of the quoted value.
        """
        values: list[str] = []
        position = 0
        while True:
            start = position
            if row.startswith('"', position):
                position = _end(self._quoted.match(row, position + 1))
                while not self._closes(row, position):
                    if position == len(row) or row[position - 1 : position] == self.separator:
                        return None
                    if row.startswith(self.line_end, position + 1) or ends_at_stray:
                        break
                    position = _end(self._quoted.match(row, position + 1))
                value = self._unescape(row[start + 1 : position])
                position += 1
            else:
                value = ""
            rest = position
            position = _end(self._plain.match(row, position))
            if '"' in row[rest:position]:
                return None
            values.append(value + row[rest:position])
            if position == len(row):
                return values
            if row[position] != self.separator:  # a line break outside quotes
                return None
            position += 1

    def _unescape(self, text: str) -> str:
        return _ESCAPED.sub(r"\1\2", text) if self.has_backslashes else text.replace('""', '"')

    def _closes(self, row: str, quote: int) -> bool:
        """Return whether the quote at a position ends its value."""
        return quote < len(row) and (quote + 1 == len(row) or row[quote + 1] == self.separator)


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0  # the patterns match the empty text too


def _open_table(path: Path, line_end: str) -> TextIO:
    return path.open(encoding="utf-8", newline=line_end)


def _read_lines(file: TextIO) -> Iterator[str]:
    """Yield lines with their ends, whichever these are.

    Raises:
        UnreadableTableError: A line is too long.
    """
    while line := file.readline(_MAX_LINE_CHARACTERS + 1):
        if len(line) > _MAX_LINE_CHARACTERS:
            raise UnreadableTableError("a line is too long")
        yield line


# ---- separators ---------------------------------------------------------------------------------


def choose_preferred(format: str, suffix: str) -> str:
    """Return the separator of a table whose header lacks one, by its format and file suffix."""
    return "\t" if "tsv" in (format, suffix.removeprefix(".")) else ","


def find_separator(text: str, preferred: str = ",") -> str:
    """Return the separator of a table, from its first rows.

    The header must have the separator outside quotes. Of several such separators, the one by which
    most rows have as many values as the header is returned; among equals, the one with the most
    values, then the preferred one.

    Args:
        text: The start of the table.
        preferred: The separator of a table whose header lacks one.
    """
    lines = list(io.StringIO(text, newline=""))
    if len(lines) > 2 and not lines[-1].endswith(("\n", "\r")):
        lines.pop()  # it may be incomplete
    ranked = []
    for separator in sorted(SEPARATORS, key=lambda one: one != preferred):
        header, *sizes = [*_count_values(lines, separator)] or [0]
        if header > 1:
            share = sizes.count(header) / len(sizes) if sizes else 1.0
            ranked.append((share, header, separator))
    return max(ranked, key=lambda one: one[:2])[2] if ranked else preferred


def skip_lines_above(text: str) -> str:
    """Return a table without the lines above its header: ``sep=;`` for Excel, and blank ones."""
    return text[_end(_LINES_ABOVE.match(text)) :]


def read_rows(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Yield the values of the rows of a table, of any length.

    A line with stray quotes is split at all separators. The last row may be incomplete.

    Args:
        lines: The lines of the table with their ends.
        separator: The separator of its values.
    """
    dialect = _Dialect(separator)
    state = _OUTSIDE
    read: list[str] = []
    for line in lines:
        if state == _OUTSIDE and not line.strip(" \r\n"):
            continue
        state, _ = dialect.scan_line(line.rstrip("\r\n"), state)
        read.append(line)
        if state == _INSIDE:
            continue
        row = "".join(read).rstrip("\r\n")
        yield dialect.split_row(row) if state == _OUTSIDE else row.split(separator)
        state, read = _OUTSIDE, []
    if read:
        yield dialect.split_row("".join([*read, '"']))


def read_header(path: Path, separator: str) -> list[str]:
    """Return the names of the columns of a table."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        start = file.read(_SAMPLED_BYTES)
    names = next(read_rows(io.StringIO(start, newline=""), separator), [])
    return [name.strip(" ") for name in names]


def drop_lines_above(path: Path, copy: Path) -> int:
    """Copy a table without the lines above its header, and return their number; 0 for no copy."""
    with path.open("rb") as file:
        start = file.read(_SAMPLED_BYTES).decode("utf-8-sig", "replace")
        above = start[: _end(_LINES_ABOVE.match(start))]
        if not above or above == start:
            return 0
        file.seek(0)
        n_lines = above.count("\n")
        for _ in range(n_lines):
            file.readline()
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
    return n_lines


def find_separator_of_file(path: Path, preferred: str = ",") -> str:
    """Return the separator of a table, from the first rows of its file."""
    with path.open("rb") as file:
        start = file.read(_SAMPLED_BYTES)
    return find_separator(start.decode("utf-8", "replace"), preferred)


def _count_values(lines: list[str], separator: str) -> Iterator[int]:
    """Yield the number of values in each of the first rows; 0 for a row with a stray quote."""
    dialect = _Dialect(separator)
    state, n_values, n_rows = _OUTSIDE, 1, 0
    for line in lines:
        if state == _OUTSIDE and not line.strip(" \r\n"):
            continue
        state, n_separators = dialect.scan_line(line.rstrip("\r\n"), state)
        n_values += n_separators
        if state == _INSIDE:
            continue
        yield n_values if state == _OUTSIDE else 0
        n_rows += 1
        if n_rows == _SAMPLED_ROWS:
            return
        state, n_values = _OUTSIDE, 1


# ---- rows ---------------------------------------------------------------------------------------


class _Outline:
    """The lines of a table, and where its rows end.

    For each line, both of its possible states at the start are followed, in one pass from the end
    of the table to its start: how far the lines are well-formed if the line starts outside quotes,
    and if it starts within them. The state that holds for longer is the line's own, even
    after damage before it.
    """

    def __init__(self, file: TextIO, dialect: _Dialect) -> None:
        ends, counts = (array("b"), array("b")), (array("i"), array("i"))
        self._first = 0  # the first line that is not blank
        for line in _read_lines(file):
            text = line.rstrip("\r\n")
            if self._first == len(ends[0]) and not text.strip(" "):
                self._first += 1
            for start in (_OUTSIDE, _INSIDE):
                state, n_separators = dialect.scan_line(text, start)
                ends[start].append(state)
                counts[start].append(n_separators)
        self.n_lines = len(ends[0])
        size = self.n_lines + 1
        # The line at which a row that starts here, or that continues here, has ended, and its
        # number of values or further separators; -1 for rows with a stray or an open quote.
        self._row_ends = (array("i", [-1]) * size, array("i", [-1]) * size)
        self._row_counts = (array("i", [0]) * size, array("i", [0]) * size)
        # Running out of lines is right outside quotes only.
        holds_until = (array("i", [size]) * size, array("i", [self.n_lines]) * size)
        self._is_start = bytearray([1]) * size
        for line_number in range(self.n_lines - 1, -1, -1):
            for start in (_OUTSIDE, _INSIDE):
                state = ends[start][line_number]
                count = counts[start][line_number]
                following = line_number + 1
                if state == _STRAY:
                    holds_until[start][line_number] = line_number
                    continue
                holds_until[start][line_number] = holds_until[state][following]
                if state == _OUTSIDE:
                    self._row_ends[start][line_number] = following
                    self._row_counts[start][line_number] = count
                elif self._row_ends[_INSIDE][following] > 0:
                    self._row_ends[start][line_number] = self._row_ends[_INSIDE][following]
                    self._row_counts[start][line_number] = (
                        count + self._row_counts[_INSIDE][following]
                    )
            self._is_start[line_number] = (
                holds_until[_OUTSIDE][line_number] >= holds_until[_INSIDE][line_number]
            )

    def find_row(self, line: int) -> tuple[int, int]:
        """Return the line after a well-formed row and its number of values; else (-1, 0)."""
        end = self._row_ends[_OUTSIDE][line]
        return (end, self._row_counts[_OUTSIDE][line] + 1) if end > 0 else (-1, 0)

    def find_next_start(self, line: int) -> int:
        """Return the first line after this one that starts a row, or the end of the table."""
        found = self._is_start.find(1, line + 1)
        return min(found, self.n_lines) if found >= 0 else self.n_lines

    def count_rows(self, n_values: int) -> tuple[int, int]:
        """Return the numbers of well-formed rows with a size, of any and of several lines."""
        line = n_rows = n_of_several_lines = 0
        while line < self.n_lines:
            end, found = self.find_row(line)
            if end > 0 and found == n_values:
                n_rows += 1
                n_of_several_lines += end > line + 1 and line > self._first
                line = end
            else:
                line = self.find_next_start(line)
        return n_rows, n_of_several_lines

    def find_size(self, has_header: bool) -> int:
        """Return the number of values in the header, or in most rows of one line; else 0."""
        if has_header:
            return self.find_row(self._first)[1] if self.n_lines else 0
        ends, counts = self._row_ends[_OUTSIDE], self._row_counts[_OUTSIDE]
        sizes = Counter(counts[line] + 1 for line in range(self.n_lines) if ends[line] == line + 1)
        return sizes.most_common(1)[0][0] if sizes else 0


class _Kind(Enum):
    GOOD = 0
    LENIENT = 1
    BAD = 2


@dataclass(frozen=True)
class _Row:
    """A row of a table.

    Attributes:
        kind: Whether its values are certain.
        values: Its values; empty if it is damaged.
        start: Its first line, from 0.
        end: The line after it.
        has_open_end: Whether its last value is not quoted, so that the next line may belong to it.
        may_continue: Whether its first line is too short for a row, so that it may belong to the
            row before.
    """

    kind: _Kind
    values: list[str]
    start: int
    end: int
    has_open_end: bool = False
    may_continue: bool = False

    def name_place(self, n_lines_above: int) -> str:
        """Return its lines, from 1."""
        first, last = self.start + n_lines_above + 1, self.end + n_lines_above
        return f"line {last}" if first == last else f"lines {first} to {last}"


def repair_table(
    path: Path,
    copy: Path,
    separator: str,
    *,
    has_header: bool = True,
    n_lines_above: int = 0,
    max_row_characters: int = MAX_ROW_CHARACTERS,
) -> Damage:
    """Write a well-formed copy of a table, with empty rows in place of the damaged ones.

    A row with stray quotes is read if the values of exactly one reading are as many as those of the
    header and the next row is well-formed. Empty values beyond those of the header are dropped.

    Args:
        path: The table, as UTF-8.
        copy: The file to write. All of its values are quoted.
        separator: The separator of the table and of the copy.
        has_header: Whether the first row names the columns. Otherwise, the usual number of values
            is the right one.
        n_lines_above: The number of lines that were dropped above the table.
        max_row_characters: The longest row; longer ones count as damaged.

    Raises:
        UnreadableTableError: Its header is damaged, or half of its rows or more are.
        UnicodeDecodeError: It is not UTF-8.
    """
    dialect, outline = _choose_dialect(path, separator, has_header)
    n_values = outline.find_size(has_header)
    if not n_values:
        raise UnreadableTableError("the header is damaged" if has_header else "no row can be read")
    has_breaks = outline.count_rows(n_values)[1] > 0
    n_rows = 0
    found = {_Kind.LENIENT: _Places(), _Kind.BAD: _Places()}
    with (
        _open_table(path, dialect.line_end) as file,
        copy.open("w", encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
        rows = _judge_rows(file, outline, dialect, n_values, max_row_characters)
        header = islice(rows, has_header)
        for row in chain(header, _drop_doubtful_rows(rows, has_breaks=has_breaks)):
            writer.writerow(row.values or [""] * n_values)
            n_rows += 1
            if row.kind is not _Kind.GOOD:
                found[row.kind] += _Places(1, (row.name_place(n_lines_above),))
    lost, n_rows = found[_Kind.BAD], n_rows - has_header
    if lost.n_rows and 2 * lost.n_rows >= n_rows:
        raise UnreadableTableError(f"{lost.n_rows:,} of {n_rows:,} rows cannot be read: {lost}")
    return Damage(lost, found[_Kind.LENIENT], dialect.has_backslashes)


def _choose_dialect(path: Path, separator: str, has_header: bool) -> tuple[_Dialect, _Outline]:
    """Return the rules under which most rows of a table are well-formed, and its outline."""
    with path.open("rb") as file:
        start = file.read(_SAMPLED_BYTES)
    # Carriage returns end lines only if line feeds do not.
    line_end = "\r" if b"\r" in start and b"\n" not in start else "\n"
    found = []
    for has_backslashes in (False, True) if b'\\"' in start else (False,):
        dialect = _Dialect(separator, line_end, has_backslashes=has_backslashes)
        with _open_table(path, line_end) as file:
            outline = _Outline(file, dialect)
        n_rows, _ = outline.count_rows(outline.find_size(has_header))
        found.append((n_rows, dialect, outline))
    return max(found, key=lambda one: one[0])[1:]


def _judge_rows(
    file: TextIO,
    outline: _Outline,
    dialect: _Dialect,
    n_values: int,
    max_characters: int,
) -> Iterator[_Row]:
    """Yield the rows of a table in order."""
    lines = _read_lines(file)
    start = 0
    while start < outline.n_lines:
        end, n_found = outline.find_row(start)
        is_strict = end > 0
        if n_found != n_values:
            next_start = outline.find_next_start(start)
            if not is_strict or next_start < end:
                end, is_strict = next_start, False
        text, n_characters = [], 0
        for _ in range(end - start):
            line = next(lines)
            n_characters += len(line)
            if n_characters <= max_characters:
                text.append(line)
        row = "".join(text)
        row = row[: len(row) - len(text[-1]) + len(text[-1].rstrip("\r\n"))] if text else row
        is_blank = end == start + 1 and not row.strip(" ") and n_values > 1
        if n_characters > max_characters:
            yield _Row(_Kind.BAD, [], start, end)
        elif not is_blank:
            if is_strict:
                strict = _fit(dialect.split_row(row), n_values)
                kind, values = (_Kind.BAD, []) if strict is None else (_Kind.GOOD, strict)
            else:
                kind, values = _read_stray_row(row, dialect, n_values)
            yield _Row(
                kind,
                values,
                start,
                end,
                has_open_end=not row.endswith('"'),
                may_continue=text[0].count(dialect.separator) < n_values - 1,
            )
        start = end


def _read_stray_row(row: str, dialect: _Dialect, n_values: int) -> tuple[_Kind, list[str]]:
    """Return the values of a row with stray quotes if they are certain."""
    readings = (dialect.split_stray_row(row, ends_at_stray=ends) for ends in (False, True))
    found = [values for one in readings if (values := _fit(one, n_values)) is not None]
    if not found or any(values != found[0] for values in found):
        return _Kind.BAD, []
    return _Kind.LENIENT, found[0]


def _fit(values: list[str] | None, n_values: int) -> list[str] | None:
    """Return as many values as the header has, if only empty ones are beyond them."""
    if values is None or len(values) < n_values or any(map(str.strip, values[n_values:])):
        return None
    return values[:n_values]


def _drop_doubtful_rows(rows: Iterator[_Row], *, has_breaks: bool) -> Iterator[_Row]:
    """Yield the rows, and mark those as damaged that the rows after them make doubtful.

    A row with stray quotes continues if the next line is too short for a row. Where values have
    line breaks, a row whose last value is not quoted continues, too, and a line of a value may look
    like a row. There, after damage, rows are trusted from two well-formed ones in succession.

    Args:
        rows: The rows in order.
        has_breaks: Whether values of the table have line breaks.
    """
    waiting: list[_Row] = []
    is_doubtful = False
    n_good = 0
    for row in rows:
        if row.kind is _Kind.BAD:
            if not is_doubtful and waiting:
                [last] = waiting
                may_go_on = last.kind is _Kind.LENIENT or (has_breaks and last.has_open_end)
                if not (may_go_on and row.may_continue):
                    yield last
                    waiting = []
            yield from (_Row(_Kind.BAD, [], one.start, one.end) for one in waiting)
            yield row
            waiting, n_good, is_doubtful = [], 0, has_breaks
            continue
        n_good = n_good + 1 if row.kind is _Kind.GOOD else 0
        is_doubtful = is_doubtful and n_good < _TRUSTED_RUN
        if not is_doubtful:
            yield from waiting
            waiting = []
        is_doubtful = is_doubtful or (has_breaks and row.kind is _Kind.LENIENT)
        waiting.append(row)
    yield from waiting
