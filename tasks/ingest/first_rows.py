"""The first rows of a JSON text, which may end anywhere."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

_LEXEME: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_CLOSERS: Final = {"[": "]", "{": "}"}


def parse_json_rows(text: str, n_rows: int) -> list[Any]:
    """Return the first values in a text: the items of a list, or the values of lines.

    A text that is cut off is read up to its last complete value, so that a long object gives its
    first entries.
    """
    rows = list(islice(_parse_complete(text), n_rows))
    if not rows and (value := _parse_start(text)):
        rows = value[:n_rows] if isinstance(value, list) else [value]
    return rows


def has_json_row(text: str) -> bool:
    """Return whether the first of the values that ``parse_json_rows`` returns is complete."""
    return any(True for _ in _parse_complete(text))


def _parse_complete(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    is_list = text.startswith("[")
    position = 1 if is_list else 0
    separators = " \t\r\n," if is_list else " \t\r\n"
    while True:
        while position < len(text) and text[position] in separators:
            position += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        yield value


def _parse_start(text: str) -> Any:
    """Return the value that a text starts with, without the part after its last comma."""
    last = max((m.start() for m in _LEXEME.finditer(text) if m[0] == ","), default=0)
    closers: list[str] = []
    for match in _LEXEME.finditer(text, 0, last):
        if match[0] in _CLOSERS:
            closers.append(_CLOSERS[match[0]])
        elif match[0] in "]}" and (not closers or closers.pop() != match[0]):
            return None
    try:
        return json.loads(text[:last] + "".join(reversed(closers)))
    except (ValueError, RecursionError):
        return None
