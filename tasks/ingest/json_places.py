"""The places of damaged JSON, which DuckDB's messages give in other numbers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PLACE: Final = re.compile(r" in (line|record/value) (\d+)")
_MALFORMED: Final = "Malformed JSON"
_MAX_LINE_BYTES: Final = 1 << 26


def correct_place(message: str, path: Path) -> str:
    """Return DuckDB's message about a JSON file with the true line or value, counted from 1.

    DuckDB counts only the lines that are not blank. Where JSON does not parse, it has already
    counted the value.

    Args:
        message: The message.
        path: The file.
    """
    match = _PLACE.search(message)
    if match is None:
        return message
    number, n_counted = int(match[2]), int(_MALFORMED in message)
    if match[1] == "line":
        place = _find_line(path, number, n_counted)
        found = f" in line {place}" if place is not None else ""
    else:
        found = f" in value {number - n_counted}"
    return f"{message[: match.start()]}{found}{message[match.end() :]}"


def _find_line(path: Path, number: int, n_counted: int) -> int | None:
    """Return the place of a damaged line among all lines; None if it cannot be told."""
    before: int | None = None
    for n, (place, line) in enumerate(_list_lines(path), start=1):
        if n == number - n_counted and n < number and not _is_valid(line):
            return place
        if n == number:
            return place
        before = place
    return before if n_counted else None


def _list_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank with their places, up to one that is too long."""
    place = 0
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE_BYTES):
            place += 1
            if len(line) == _MAX_LINE_BYTES:
                return
            if line.strip():
                yield place, line


def _is_valid(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
