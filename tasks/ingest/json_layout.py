"""Where the rows of a JSON dump are: its values, a list in an object, or an object by ids."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from nl2sql_align.tasks.ingest.column_choice import UnclearError, format_path
from nl2sql_align.tasks.ingest.column_names import KeyPath, Meaning, find_meaning

# Lists of objects that belong to one row.
LISTS_OF_A_ROW: Final = frozenset({"choices", "messages", "conversations", "interaction", "tools"})

_SPLITS: Final = frozenset("train training dev development val valid validation test".split())
# Columns that an object around the rows does not have.
_COLUMNS: Final = ("question", "utterance", "prompt", "response", "completion", "instance_id")
_MAX_DEPTH: Final = 3
_MAX_WORDS_OF_A_NAME: Final = 3
_N_LOOKED_AT: Final = 5
_MOST: Final = 0.8

IsSql = Callable[[str], bool]


@dataclass(frozen=True)
class Layout:
    """The rows in a JSON dump.

    Attributes:
        rows: Their path, for ``columns``.
        items: The first rows.
        outer: The objects around them.
        reason: The evidence, for a note.
    """

    rows: str
    items: list[Any]
    outer: list[Any]
    reason: str

    @property
    def is_by_id(self) -> bool:
        """Whether the key of each row is its id."""
        return self.rows.endswith(".*")


def find_layout(values: list[Any], is_sql: IsSql) -> Layout | None:
    """Return where the rows are if the values themselves are not the rows.

    Args:
        values: The first values of the dump.
        is_sql: Tells whether a text is SQL.

    Raises:
        UnclearError: Several lists could be the rows.
    """
    objects = [value for value in values if isinstance(value, dict)]
    if not objects or len(objects) < len(values):
        return None
    if len(objects) == 1:
        return _find_in_object(objects[0], (), is_sql)
    n_keys = Counter(key for row in objects for key in row)
    if max(n_keys.values(), default=2) == 1:
        merged = {key: value for row in objects for key, value in row.items()}
        if _is_by_id(merged, is_sql):
            return _make_by_id((), merged, objects)
    return None


def _find_in_object(row: dict[str, Any], at: KeyPath, is_sql: IsSql) -> Layout | None:
    if _is_by_id(row, is_sql):
        return _make_by_id(at, row, [row])
    lists = {
        key: value
        for key, value in row.items()
        if key and '"' not in key and key not in LISTS_OF_A_ROW and _is_list_of_rows(value, is_sql)
    }
    if any(key in row and not isinstance(row[key], list) for key in _COLUMNS):
        # The object is a row itself, with several texts in one column.
        lists = {key: value for key, value in lists.items() if isinstance(value[0], dict)}
    if len(lists) > 1:
        is_split = any(key.lower() in _SPLITS for key in lists)
        if len(lists) == len(row) and not is_split and not _has_names(row):
            items = [item for value in lists.values() for item in value]
            path = f"{_format_place(at)}.*[*]"
            return Layout(path, items, [row], f"in {len(lists)} lists of an object")
        names = ", ".join(f"'{key}'" for key in lists)
        places = [_format_place((*at, key)) for key in lists]
        raise UnclearError(f"has several lists of rows, {names}", places)
    for key, value in lists.items():
        return Layout(_format_place((*at, key)), value, [row], f"in the list '{key}'")
    inner = [(key, value) for key, value in row.items() if isinstance(value, dict) and key]
    if len(inner) == 1 and '"' not in inner[0][0] and len(at) < _MAX_DEPTH:
        [(key, value)] = inner
        if find_meaning((key,)) is Meaning.OTHER or len(value) > 1:
            return _find_in_object(value, (*at, key), is_sql)
    return None


def _make_by_id(at: KeyPath, row: dict[str, Any], outer: list[Any]) -> Layout:
    where = f" at '{_format_place(at)}'" if at else ""
    return Layout(
        f"{_format_place(at)}.*",
        list(row.values()),
        outer,
        f"in an object{where} whose keys are ids",
    )


def _format_place(at: KeyPath) -> str:
    """Return the path of an object or a list; ``format_path`` would write one key without ``$``."""
    return format_path((*at, 0)).removesuffix("[0]")


def _is_by_id(row: dict[str, Any], is_sql: IsSql) -> bool:
    """Tell whether the keys of an object are ids, and its values are queries or rows."""
    if len(row) < 2 or _has_names(row):
        return False
    values = [value for value in row.values() if value is not None]
    rows = [value for value in values if isinstance(value, dict)]
    if len(rows) >= _MOST * len(values):
        # The rows have keys in common, and some of them SQL.
        n_keys = Counter(key for value in rows for key in value)
        return max(n_keys.values(), default=0) * 2 > len(rows) and _holds_sql(rows, is_sql)
    texts = [text for value in values if isinstance(text := _take_first(value), str)]
    # A single word, such as null, is given where there is no query.
    longer = [text for text in texts if len(text.split(None, 1)) > 1]
    n_sql = sum(map(is_sql, longer))
    return len(texts) >= _MOST * len(values) and n_sql > 0 and len(longer) <= 2 * n_sql


def _has_names(row: dict[str, Any]) -> bool:
    """Tell whether some key is a column's name. Names have few words and no numbers."""
    return any(
        find_meaning((key,)) is not Meaning.OTHER
        for key in row
        if len(key.split()) <= _MAX_WORDS_OF_A_NAME and not re.search(r"\d", key)
    )


def _is_list_of_rows(value: Any, is_sql: IsSql) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return isinstance(value[0], dict | str) and _holds_sql(value, is_sql)


def _holds_sql(rows: list[Any], is_sql: IsSql) -> bool:
    return any(is_sql(text) for row in rows[:_N_LOOKED_AT] for text in _walk_texts(row))


def _walk_texts(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value[:1]


def _take_first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
